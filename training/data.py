# SPDX-License-Identifier: Apache-2.0
"""Data sets as arrays in memory: CamVid, labelled and partly labelled sets, the synthetic road.

Every reader yields (name, RGB image, labels) and a set is decoded once into
`out/cache/NAME-FINGERPRINT/{images,labels}.npy`, pixel after pixel, which training maps into
memory: a CPU that trains has no time to decode. Labels are class ids, 255 for unknown, or the
unions of `training.classes`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros import sim
from seg_ros.core.geometry.camera import Camera
from seg_ros.recordings.image_file import (
    in_natural_order,
    is_image,
    labels_of_file,
    rgb_of_file,
)
from training.classes import LANE, ROAD, ROAD_SCENE, UNLABELLED, class_id
from training.config import read_config
from training.labelled_set import Image, LabelledSet
from training.outside import any_camera, paint_arrow
from training.people import people

__all__ = ['camvid', 'folder', 'labelled', 'load', 'synthetic']

Sample = tuple[str, Image, Image]

CAMVID_UNLABELLED = 11
KERB_PX = 4  # the soft lane labels mark kerbs too: none this close to pavement or fence
NOT_THE_READERS = ('name', 'kind', 'share', 'from', 'network_size')  # keys of a config's row
ARROW_SHARE = 0.5  # of the pictures of a drive `of_the_world`
CACHE = Path('out/cache')
OWN_VEHICLE_SHARE = 0.95  # of the pictures that say nothing of a pixel on the own vehicle
OWN_VEHICLE_TOP = 0.6  # of the picture's height; the bonnet is below


def lane_target(soft: Image, labels: Image) -> NDArray[np.bool_]:
    """Lane markings without kerbs (CamVid README)."""
    beside = np.isin(labels, (class_id('pavement'), class_id('fence'))).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * KERB_PX + 1,) * 2)
    return (soft > 127) & (labels == ROAD) & (cv2.dilate(beside, kernel) == 0)


def camvid(root: str, splits: list[str], lanes: bool = True, every: int = 1) -> Iterator[Sample]:
    """CamVid's pictures; of its drives, in which each resembles the next, every n-th."""
    for split in splits:
        for path in sorted((Path(root) / split).glob('*.avif'))[::every]:
            image = rgb_of_file(path)
            labels = labels_of_file(path.with_suffix('.label.png'))
            if lanes:
                soft = labels_of_file(path.with_suffix('.lane.png'))
                labels[lane_target(soft, labels)] = LANE
                unlabelled = labels_of_file(path.with_suffix('.label.png')) == 11
            else:
                unlabelled = labels == CAMVID_UNLABELLED
            labels[unlabelled] = UNLABELLED
            yield path.stem, image, labels


def labelled(
    root: str,
    split: str = 'train',
    only: Sequence[str] = (),
    merged: dict[str, str] | None = None,
    own_vehicle: str = '',
    around: dict[str, Any] | None = None,
) -> Iterator[Sample]:
    """A folder of ID.avif and ID.label.png with the road scene's ids, 255 for unknown.

    Pictures keep their size. What no annotator has said stays unknown: a set that labels only
    some things teaches nothing of the others.

    Args:
        root: The data set's folder.
        split: Its subfolder.
        only: The classes that this set labels; others become unknown. All when empty.
        merged: Classes that this set does not tell apart, `{road: road_or_lane}`.
        own_vehicle: The union for the part at the bottom that nearly every picture leaves
            unknown, on sets of one camera whose bonnet is not labelled.
        around: `{classes, px: [from, to], label}`: what is this far outside things of these
            classes, where it is unknown.

    Raises:
        ValueError: A label is no class of the road scene, or sizes differ with `own_vehicle`.
    """
    paths = sorted((Path(root) / split).glob('*.avif'))
    own: NDArray[np.bool_] | None = None
    if own_vehicle:
        own = never_labelled_below([read_labels(path) for path in paths])
    for path in paths:
        truth = read_labels(path)
        labels = truth.copy()
        if only:
            labels[~np.isin(truth, [class_id(name) for name in only])] = UNLABELLED
        for name, union in (merged or {}).items():
            labels[truth == class_id(name)] = ROAD_SCENE.label(union)
        if own is not None:
            labels[own & (labels == UNLABELLED)] = ROAD_SCENE.label(own_vehicle)
        if around is not None:
            near = surroundings(truth, [class_id(n) for n in around['classes']], around['px'])
            labels[near & (labels == UNLABELLED)] = ROAD_SCENE.label(around['label'])
        yield path.stem, rgb_of_file(path), labels


def read_labels(path: Path) -> Image:
    """The labels beside a picture.

    Raises:
        ValueError: A value is neither a class of the road scene nor 255.
    """
    labels = labels_of_file(path.with_suffix('.label.png'))
    wrong = np.setdiff1d(labels, [*range(len(ROAD_SCENE)), UNLABELLED])
    if len(wrong):
        raise ValueError(
            f'{path.with_suffix(".label.png")} has the label {wrong[0]}; the road scene has 0 to '
            f'{len(ROAD_SCENE) - 1}, and {UNLABELLED} for unknown.'
        )
    return labels


def never_labelled_below(labels: Sequence[Image]) -> NDArray[np.bool_]:
    """Where a camera sees its own vehicle: unknown in nearly all pictures, down to the bottom."""
    sizes = {picture.shape for picture in labels}
    if len(sizes) != 1:
        raise ValueError(f'own_vehicle is for sets of one camera; these have {len(sizes)} sizes.')
    unknown = np.mean([picture == UNLABELLED for picture in labels], axis=0) >= OWN_VEHICLE_SHARE
    unknown[: int(len(unknown) * OWN_VEHICLE_TOP)] = False
    # of a column all that is below a known pixel is cut off from the bottom no more
    return np.asarray(np.logical_and.accumulate(unknown[::-1], axis=0)[::-1])


def surroundings(labels: Image, ids: Sequence[int], px: Sequence[int]) -> NDArray[np.bool_]:
    """Pixels outside the things of these classes, at a distance from px[0] to px[1]."""
    outside = (~np.isin(labels, ids)).astype(np.uint8)
    if outside.all():
        return np.zeros(labels.shape, bool)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (distance >= px[0]) & (distance <= px[1])


def folder(
    images: str, masks: str, size_wh: list[int], ids: dict[int, int] | None = None
) -> Iterator[Sample]:
    """Images of any kind and PNG masks of the same stem; `ids` maps mask values to class ids."""
    table = np.arange(256, dtype=np.uint8)
    if ids is not None:
        table = np.full(256, UNLABELLED, np.uint8)
        for value, target in ids.items():
            table[value] = target
    for path in in_natural_order([p for p in Path(images).iterdir() if is_image(p)]):
        mask = Path(masks) / f'{path.stem}.png'
        if not mask.exists():
            raise FileNotFoundError(f'{path} has no mask: {mask} is missing.')
        image = rgb_of_file(path)
        labels = labels_of_file(mask)
        if labels.shape != image.shape[:2]:
            raise ValueError(
                f'{mask} is {labels.shape[1]}x{labels.shape[0]}, its image {path.name} '
                f'{image.shape[1]}x{image.shape[0]}. Give both the same size.'
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
    of_the_world: bool = False,
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
        of_the_world: With cameras from 0.3 to 2.5 m and 40 to 120 degrees, barriers along the
            asphalt, and arrows in the lanes.
    """
    one = partial(
        drive,
        frames=frames,
        size_wh=(size_wh[0], size_wh[1]),
        named_share=named_share,
        named=named,
        crossing=crossing,
        weathers=weathers,
        of_the_world=of_the_world,
    )
    with ProcessPoolExecutor() as pool:
        for pictures in pool.map(one, range(first_seed, first_seed + scenes)):
            yield from pictures


def drive(
    seed: int,
    frames: int,
    size_wh: tuple[int, int],
    named_share: float,
    named: Sequence[str],
    crossing: bool,
    weathers: Sequence[str],
    of_the_world: bool = False,
) -> list[Sample]:
    """The pictures of one drive of `synthetic`."""
    from seg_ros.sim import SCENARIOS, World, random_scene

    random = np.random.default_rng([seed, 17])
    scene = random_scene(seed, size_wh)
    if crossing:
        scene = with_people_on_the_road(scene, weathers, random)
    elif random.random() < named_share:
        name = str(random.choice(sorted(named or SCENARIOS)))
        scene = replace(SCENARIOS[name], seed=seed, size_wh=size_wh)
    if of_the_world:
        scene = any_camera(scene, random)
    world = World(scene)
    camera = Camera(world.camera, world.mount)
    pictures = []
    for frame in range(frames):
        for _ in range(int(random.integers(4, 30))):
            world.step(0.25)
        picture = world.render()
        image = picture.image
        if of_the_world and random.random() < ARROW_SHARE:
            image = paint_arrow(picture, camera, random)
        pictures.append((f'{seed}-{frame}', image, picture.labels))
    return pictures


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
    'labelled': labelled,
    'folder': folder,
    'synthetic': synthetic,
    'from_boxes': from_boxes,
    'people': people,
}


def load(source: dict[str, Any]) -> LabelledSet:
    """A set from its config row: {name, kind, ...reader's arguments}; decoded at first use."""
    arguments = {k: v for k, v in source.items() if k not in NOT_THE_READERS}
    cache = CACHE / f'{source["name"]}-{fingerprint(source["kind"], arguments)}'
    if not cache.exists():
        samples = list(READERS[source['kind']](**arguments))
        if not samples:
            raise ValueError(f"Data set '{source['name']}' is empty: {arguments}")
        store(samples, cache)
    pictures = json.loads((cache / 'pictures.json').read_text())
    shapes = [(height, width) for height, width in pictures['shapes']]
    ends = np.cumsum([0, *(height * width for height, width in shapes)])
    pixels, ids = (np.load(cache / f'{name}.npy', mmap_mode='r') for name in ('images', 'labels'))
    spans = list(zip(ends[:-1], ends[1:], shapes, strict=True))
    return LabelledSet(
        source['name'],
        pictures['names'],
        [pixels[begin:end].reshape(*shape, 3) for begin, end, shape in spans],
        [ids[begin:end].reshape(shape) for begin, end, shape in spans],
    )


def fingerprint(kind: str, arguments: Mapping[str, Any]) -> str:
    """Eight digits that change with a set's row, its files, or the road that renders it.

    More pictures, or other masks, in a folder are another set; so is a drive of another renderer.
    """
    digest = hashlib.sha256(json.dumps([kind, arguments], sort_keys=True).encode())
    folders = [Path(v) for v in arguments.values() if isinstance(v, str) and Path(v).is_dir()]
    for folder in folders:
        for path in sorted(folder.rglob('*.*')):
            about = path.stat()
            digest.update(f'{path.name} {about.st_size} {about.st_mtime_ns}\n'.encode())
    if kind == 'synthetic':
        for path in sorted(Path(sim.__file__).parent.rglob('*.py')):
            digest.update(path.read_bytes())
    if kind == 'from_boxes':
        of = {k: v for k, v in arguments['of'].items() if k not in NOT_THE_READERS}
        digest.update(fingerprint(arguments['of']['kind'], of).encode())
    return digest.hexdigest()[:8]


def store(samples: Sequence[Sample], cache: Path) -> None:
    """Write a decoded set under a name of its own, then give it its name in one move.

    Runs that begin side by side decode the same set: the first to finish names it, and nobody
    ever reads half of one.
    """
    names, images, labels = zip(*samples, strict=True)
    shapes = [picture.shape for picture in labels]
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent, prefix=f'{cache.name}.') as folder:
        whole = Path(folder) / 'whole'
        whole.mkdir()
        np.save(whole / 'images.npy', np.concatenate([i.reshape(-1, 3) for i in images]))
        np.save(whole / 'labels.npy', np.concatenate([i.ravel() for i in labels]))
        (whole / 'pictures.json').write_text(json.dumps({'names': names, 'shapes': shapes}))
        try:
            whole.rename(cache)
        except OSError:
            if not cache.exists():  # no other run has named its own
                raise


def main() -> None:
    """Python -m training.data CONFIG: decode and render the sets of a config, side by side."""
    rows = all_sets(read_config(sys.argv[1]))
    with ProcessPoolExecutor() as pool:
        for row, pictures in zip(rows, pool.map(decoded, rows), strict=True):
            print(f'{row["name"]}: {pictures} pictures', flush=True)


def all_sets(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is trained on, selected on and tested on."""
    validation = config.get('validation') or []
    validation = [validation] if isinstance(validation, dict) else validation
    return [*config['sources'], *validation, *config.get('evaluation', ())]


def decoded(source: dict[str, Any]) -> int:
    return len(load(source))


if __name__ == '__main__':
    main()
