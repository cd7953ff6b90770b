# SPDX-License-Identifier: Apache-2.0
"""Pictures in which every person has a number: synthetic crowds, and Penn-Fudan."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.image.camera_image import resized
from seg_ros.recordings.image_file import labels_of_file, rgb_of_file
from seg_ros.sim import CrossingEvent, SceneConfig, World, random_scene
from seg_ros.sim.paint.canvas import FIRST_CYCLIST_CODE, FIRST_PERSON_CODE, LAST_CODE
from training.augment import Augmentation, crop, recolour
from training.classes import UNLABELLED
from training.labelled_set import Image

__all__ = [
    'Picture',
    'augmented',
    'crowds',
    'numbers_of',
    'penn_fudan',
    'stored',
    'with_company',
]

LEAST_PX = 60  # of somebody at the network's size; who shows less is unknown
GROUP_REACH_M = (9.0, 26.0)  # between two groups
COMPANY_OVERLAP = (0.05, 0.45)  # of the width of who is put beside somebody


class Picture(NamedTuple):
    """A picture at the network's size.

    Attributes:
        name: For people.
        image: ``(H, W, 3)`` RGB.
        people: ``(H, W)``: a number of its own for each person, 0 for nobody, 255 for unknown.
    """

    name: str
    image: Image
    people: Image


def stored(row: dict[str, Any], size_wh: tuple[int, int], folder: Path) -> list[Picture]:
    """The pictures of a config's row `{name, kind, ...arguments}`; drawn at first use."""
    path = folder / f'{row["name"]}.npz'
    stamp = json.dumps([row, size_wh])
    if not path.exists() or str(np.load(path)['stamp']) != stamp:
        arguments = {key: value for key, value in row.items() if key not in ('name', 'kind')}
        reader = {'crowds': crowds, 'penn_fudan': penn_fudan}[row['kind']]
        made = list(reader(size_wh=size_wh, **arguments))
        if not made:
            raise ValueError(f"The set '{row['name']}' is empty: {arguments}")
        folder.mkdir(parents=True, exist_ok=True)
        names, images, people = zip(*made, strict=True)
        np.savez(path, stamp=stamp, names=names, images=np.stack(images), people=np.stack(people))
    kept = np.load(path)
    return list(map(Picture, kept['names'].tolist(), kept['images'], kept['people']))


def ground_of(picture: Picture) -> GroundScale | None:
    """Of a synthetic picture; of a photo nothing is known."""
    seed = picture.name.partition('-')[0]
    if not seed.isdigit():
        return None
    scene = random_scene(int(seed), picture.people.shape[::-1])
    lens = CameraIntrinsics.from_field_of_view(
        scene.size_wh, math.radians(scene.horizontal_fov_deg)
    )
    return GroundScale(Camera(lens, scene.mount).ground_table())


def crowds(
    drives: int, first_seed: int, size_wh: tuple[int, int], frames: int = 2
) -> Iterator[Picture]:
    """Random drives on which people cross in groups, who hide each other.

    Args:
        drives: How many; each has the next seed.
        first_seed: Of the first.
        size_wh: Of the pictures.
        frames: Of each drive, some seconds apart.
    """
    for seed in range(first_seed, first_seed + drives):
        random = np.random.default_rng([seed, 29])
        world = World(with_groups(random_scene(seed, size_wh), random))
        for frame in range(frames):
            for _ in range(int(random.integers(6, 24))):
                world.step(0.25)
            seen = world.render()
            people = np.zeros_like(seen.codes)
            walks = (seen.codes >= FIRST_PERSON_CODE) & (seen.codes < FIRST_CYCLIST_CODE)
            people[walks] = seen.codes[walks] - FIRST_PERSON_CODE + 1
            people[(seen.codes >= FIRST_CYCLIST_CODE) & (seen.codes <= LAST_CODE)] = UNLABELLED
            yield Picture(f'{seed}-{frame}', seen.image, without_specks(people))


def with_groups(scene: SceneConfig, random: Generator) -> SceneConfig:
    """The same drive with groups of two to five who cross side by side all along."""
    events = []
    for at_m in 14.0 + np.cumsum(random.uniform(*GROUP_REACH_M, 40)):
        distance_m, speed_mps = random.uniform(10.0, 45.0), random.uniform(0.6, 1.8)
        from_left = bool(random.random() < 0.5)
        events += [
            CrossingEvent(
                at_m=float(at_m + random.normal(0.0, 0.7)),
                trigger_distance_m=float(distance_m + random.normal(0.0, 1.5)),
                speed_mps=float(speed_mps * random.uniform(0.9, 1.1)),
                from_left=from_left,
                stops_in_lane_s=float(random.choice([0.0, 4.0])),
            )
            for _ in range(random.integers(2, 6))
        ]
    return replace(scene, people_density=2.0, crossing_events=tuple(events))


def penn_fudan(
    root: str, size_wh: tuple[int, int], only: str = '', first: int = 0, count: int | None = None
) -> Iterator[Picture]:
    """Photos from two cities; who is not numbered there is unknown, never nobody.

    Args:
        root: The folder of `ID.avif` and `ID.instance.png`.
        size_wh: What they are brought to, as the node does.
        only: What the names begin with: `Fudan` and `Penn` are the cities.
        first: Of these, the first one that is taken.
        count: How many are; None for all.
    """
    paths = sorted(Path(root).glob(f'{only}*.avif'))[first:]
    for path in paths[:count]:
        numbers = labels_of_file(path.with_suffix('.instance.png'))
        people = cv2.resize(numbers, size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
        people = without_specks(np.where(people > 0, people, UNLABELLED).astype(np.uint8))
        yield Picture(path.stem, resized(rgb_of_file(path), size_wh), people)


def without_specks(people: Image) -> Image:
    """Who shows only some pixels becomes unknown."""
    few = np.bincount(people.ravel(), minlength=256) < LEAST_PX
    few[[0, UNLABELLED]] = False
    return np.where(few[people], UNLABELLED, people).astype(np.uint8)


def augmented(picture: Picture, config: Augmentation, random: Generator) -> Picture:
    """Another scale, place and light; the network's size stays."""
    image, people = crop(picture.image, picture.people, None, config, random)
    image = recolour(image, config.colour, random)
    return Picture(picture.name, image, without_specks(people))


def with_company(picture: Picture, others: Sequence[Picture], random: Generator) -> Picture:
    """Somebody of another picture is put in front of, and partly over, somebody of this one.

    Few people touch in photos, so they are made to (copy-paste: Ghiasi et al., arXiv 2012.07177).
    """
    there = numbers_of(picture.people)
    other = others[int(random.integers(len(others)))]
    guests = numbers_of(other.people)
    if not len(there) or not len(guests):
        return picture
    host = box_of(picture.people == random.choice(there))
    cut = other.people == random.choice(guests)
    x, y, w, h = box_of(cut)
    height = round((host[3]) * random.uniform(0.9, 1.1))
    width = max(1, round(w * height / h))
    size_wh = width, height
    mask = cv2.resize(
        cut[y : y + h, x : x + w].view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST_EXACT
    )
    colours = cv2.resize(other.image[y : y + h, x : x + w], size_wh)
    if random.random() < 0.5:
        mask, colours = mask[:, ::-1], colours[:, ::-1]
    shift = (1 - random.uniform(*COMPANY_OVERLAP)) * 0.5 * (host[2] + width)
    middle = host[0] + 0.5 * host[2] + random.choice([-1, 1]) * shift
    left, top = round(middle - 0.5 * width), host[1] + host[3] - height + random.integers(-2, 6)
    image, people = picture.image.copy(), picture.people.copy()
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[..., None]
    number = int(there.max()) + 1
    rows, columns = np.arange(height) + top, np.arange(width) + left
    inside_y = (rows >= 0) & (rows < len(people))
    inside_x = (columns >= 0) & (columns < people.shape[1])
    if not inside_y.any() or not inside_x.any() or number >= UNLABELLED:
        return picture
    area = np.ix_(rows[inside_y], columns[inside_x])
    part = np.ix_(inside_y, inside_x)
    image[area] = (alpha[part] * colours[part] + (1 - alpha[part]) * image[area]).astype(np.uint8)
    people[area] = np.where(mask[part] > 0, number, people[area])
    return Picture(picture.name, image, without_specks(people))


def numbers_of(people: Image) -> NDArray[np.int64]:
    """Of the persons of a picture."""
    counts = np.bincount(people.ravel(), minlength=256)
    return np.flatnonzero(counts[1:UNLABELLED]) + 1


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, width and height."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    return x, y, w, h
