# SPDX-License-Identifier: Apache-2.0
"""Data sets as arrays in memory: CamVid, any folder of images and masks, the synthetic road.

Every reader yields (name, RGB image, class ids) and a set is decoded once into
`out/cache/NAME/{images,labels}.npy`, which training maps into memory: a CPU that trains has no
time to decode. All images of one set have the same size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.classes import LANE, ROAD, UNLABELLED, class_id

__all__ = ['LabelledSet', 'camvid', 'folder', 'load', 'synthetic']

Sample = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]

CAMVID_UNLABELLED = 11
KERB_PX = 4  # the soft lane labels mark kerbs too: none this close to pavement or fence
NOT_THE_READERS = ('name', 'kind', 'share', 'from', 'network_size')  # keys of a config's row
CACHE = Path('out/cache')


@dataclass(frozen=True)
class LabelledSet:
    """images [N,H,W,3] RGB and labels [N,H,W] with 255 for unlabelled."""

    name: str
    names: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.names)


def lane_target(soft: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Lane markings without kerbs (CamVid README)."""
    beside = np.isin(labels, (class_id('pavement'), class_id('fence'))).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * KERB_PX + 1,) * 2)
    return (soft > 127) & (labels == ROAD) & (cv2.dilate(beside, kernel) == 0)


def camvid(root: str, splits: list[str], lanes: bool = True) -> Iterator[Sample]:
    for split in splits:
        for path in sorted((Path(root) / split).glob('*.avif')):
            image = np.asarray(Image.open(path).convert('RGB'))
            labels = np.array(Image.open(path.with_suffix('.label.png')))
            if lanes:
                soft = np.asarray(Image.open(path.with_suffix('.lane.png')))
                labels[lane_target(soft, labels)] = LANE
                unlabelled = np.asarray(Image.open(path.with_suffix('.label.png'))) == 11
            else:
                unlabelled = labels == CAMVID_UNLABELLED
            labels[unlabelled] = UNLABELLED
            yield path.stem, image, labels


def folder(
    images: str, masks: str, size_wh: list[int], ids: dict[int, int] | None = None
) -> Iterator[Sample]:
    """Images of any kind and PNG masks of the same stem; `ids` maps mask values to class ids."""
    table = np.arange(256, dtype=np.uint8)
    if ids is not None:
        table = np.full(256, UNLABELLED, np.uint8)
        for value, target in ids.items():
            table[value] = target
    suffixes = {'.png', '.jpg', '.jpeg', '.avif', '.bmp', '.webp'}
    for path in sorted(p for p in Path(images).iterdir() if p.suffix.lower() in suffixes):
        mask = Path(masks) / f'{path.stem}.png'
        if not mask.exists():
            raise FileNotFoundError(f'{path} has no mask: {mask} is missing.')
        image = np.asarray(Image.open(path).convert('RGB'))
        labels = np.asarray(Image.open(mask))
        if labels.ndim != 2:
            raise ValueError(
                f'{mask} has {labels.shape[-1]} channels; a mask holds one id a pixel.'
            )
        yield (
            path.stem,
            cv2.resize(image, tuple(size_wh), interpolation=cv2.INTER_AREA),
            table[cv2.resize(labels, tuple(size_wh), interpolation=cv2.INTER_NEAREST_EXACT)],
        )


def synthetic(
    scenes: int,
    first_seed: int,
    frames: int = 2,
    size_wh: Sequence[int] = (640, 360),
    named_share: float = 0.35,
    named: Sequence[str] = (),
    crossing: bool = False,
    weathers: Sequence[str] = (),
) -> Iterator[Sample]:
    """The synthetic road with exact labels: drives of random scenes and of named ones.

    Args:
        scenes: How many drives.
        first_seed: Each drive has the next seed; sets with disjoint ranges share no drive.
        frames: Pictures of each drive, some seconds apart.
        size_wh: Picture size.
        named_share: Share of the drives that are `seg_ros.sim.SCENARIOS`, with a seed of their
            own.
        named: Which of them; all when empty.
        crossing: Instead of named ones: people cross far ahead all along.
        weathers: Of the drives with people who cross, drawn evenly; all when empty.
    """
    from seg_ros.sim import SCENARIOS, World, random_scene

    size = (size_wh[0], size_wh[1])
    for seed in range(first_seed, first_seed + scenes):
        random = np.random.default_rng([seed, 17])
        scene = random_scene(seed, size)
        if crossing:
            scene = with_people_on_the_road(scene, weathers, random)
        elif random.random() < named_share:
            name = str(random.choice(sorted(named or SCENARIOS)))
            scene = replace(SCENARIOS[name], seed=seed, size_wh=size)
        world = World(scene)
        for frame in range(frames):
            for _ in range(int(random.integers(4, 30))):
                world.step(0.25)
            picture = world.render()
            yield f'{seed}-{frame}', picture.image, picture.labels


def with_people_on_the_road(
    scene: Any, weathers: Sequence[str], random: np.random.Generator
) -> Any:
    """The same drive in one of the weathers, with somebody crossing every few metres."""
    from seg_ros.sim import WEATHERS, CrossingEvent

    places_m = np.cumsum(random.uniform(8.0, 30.0, 150))
    return replace(
        scene,
        weather=str(random.choice(weathers or WEATHERS)),
        crossing_events=tuple(
            CrossingEvent(
                at_m=float(at_m),
                trigger_distance_m=float(random.uniform(20.0, 65.0)),
                speed_mps=float(random.uniform(0.5, 2.5)),
                from_left=bool(random.random() < 0.5),
                stops_in_lane_s=float(random.choice([0.0, 3.0], p=[0.7, 0.3])),
            )
            for at_m in places_m
        ),
    )


def from_boxes(of: dict[str, Any], classes: Sequence[str]) -> Iterator[Sample]:
    """Another source, of whose `classes` only boxes are believed (training.weak)."""
    from training.weak import boxes_of, labels_from_boxes

    arguments = {k: v for k, v in of.items() if k not in ('name', 'kind')}
    ids = [class_id(name) for name in classes]
    for name, image, labels in READERS[of['kind']](**arguments):
        yield name, image, labels_from_boxes(image, labels, boxes_of(labels, ids), ids)


READERS: dict[str, Callable[..., Iterator[Sample]]] = {
    'camvid': camvid,
    'folder': folder,
    'synthetic': synthetic,
    'from_boxes': from_boxes,
}


def load(source: dict[str, Any]) -> LabelledSet:
    """A set from its config row: {name, kind, ...reader's arguments}; decoded at first use."""
    arguments = {k: v for k, v in source.items() if k not in NOT_THE_READERS}
    cache = CACHE / source['name']
    stamp = json.dumps({'kind': source['kind'], **arguments}, sort_keys=True)
    if not (cache / 'source.json').exists() or (cache / 'source.json').read_text() != stamp:
        samples = list(READERS[source['kind']](**arguments))
        if not samples:
            raise ValueError(f"Data set '{source['name']}' is empty: {arguments}")
        cache.mkdir(parents=True, exist_ok=True)
        names, images, labels = zip(*samples, strict=True)
        np.save(cache / 'images.npy', np.stack(images))
        np.save(cache / 'labels.npy', np.stack(labels))
        (cache / 'names.json').write_text(json.dumps(names))
        (cache / 'source.json').write_text(stamp)
    return LabelledSet(
        source['name'],
        tuple(json.loads((cache / 'names.json').read_text())),
        np.load(cache / 'images.npy', mmap_mode='r'),
        np.load(cache / 'labels.npy', mmap_mode='r'),
    )
