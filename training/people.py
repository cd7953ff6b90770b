# SPDX-License-Identifier: Apache-2.0
"""Real people under every kind of label: masks, boxes, clicks, and a word for the whole picture.

As a data set it is the kind `people` in a config, with two classes, nobody and person. All the
weak labels are made from the masks, as an annotator would have made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.image.camera_image import resized
from seg_ros.recordings.image_file import labels_of_file, rgb_of_file
from training.classes import UNLABELLED, class_id
from training.labelled_set import Image
from training.weak import Box, labels_from_boxes

__all__ = ['KINDS', 'NOBODY', 'PERSON', 'Seen', 'labels_of', 'people']

NOBODY, PERSON = 0, 1
LEAST_PX = 40  # of somebody in the picture as it is trained on; an annotator draws no smaller box
CLICK_PX = 2  # radius of what a click says
PLACES_PER_PICTURE = 4  # that an annotator clicks where nobody is

Instances = NDArray[np.uint8]
"""``(H, W)``: a number for each person, 0 for nobody, 255 for unknown."""


class Seen(NamedTuple):
    """A picture with its people."""

    name: str
    image: Image
    people: Instances


def people(
    of: Sequence[dict[str, Any]], labels: str = 'masks', long_side: int = 320, every: int = 1
) -> Iterator[tuple[str, Image, Image]]:
    """Pictures of several sets with one kind of label.

    Args:
        of: The sets: `{root, only, people}`; `only` is what the names begin with, `people: none`
            takes the pictures without any and `people: some` those with.
        labels: One of `KINDS`.
        long_side: Of the pictures, in pixels.
        every: Masks: label each n-th picture, and leave the others out.

    Raises:
        ValueError: There is no such kind of label.
    """
    if labels not in KINDS:
        raise ValueError(f"There are no labels '{labels}'; there are {', '.join(sorted(KINDS))}.")
    seen = [one for row in of for one in pictures(**row, long_side=long_side)][::every]
    for one, drawn in zip(seen, KINDS[labels](seen), strict=True):
        yield one.name, one.image, drawn


def pictures(root: str, long_side: int, only: str = '', people: str = 'some') -> Iterator[Seen]:
    """Those of a folder of ID.avif and ID.label.png; ID.instance.png tells its people apart.

    Cyclists are unknown: in these sets they are one with their bicycles.
    """
    for path in sorted(Path(root).glob(f'{only}*.avif')):
        classes = labels_of_file(path.with_suffix('.label.png'))
        told_apart = path.with_suffix('.instance.png')
        if told_apart.exists():
            numbers = labels_of_file(told_apart)
        else:
            walks = (classes == class_id('pedestrian')).astype(np.uint8)
            count, parts = cv2.connectedComponents(walks)
            if count > UNLABELLED:
                raise ValueError(f'{path} has {count - 1} separate people, more than 254.')
            numbers = parts.astype(np.uint8)
        numbers[classes == class_id('cyclist')] = UNLABELLED
        height, width = numbers.shape
        scale = long_side / max(height, width)
        size_wh = round(scale * width), round(scale * height)
        numbers = cv2.resize(numbers, size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
        few = np.bincount(numbers.ravel(), minlength=256) < LEAST_PX
        few[[0, UNLABELLED]] = False
        numbers = np.where(few[numbers], UNLABELLED, numbers).astype(np.uint8)
        if bool(persons(numbers)) == (people == 'some') and (
            people == 'some' or not numbers.any()
        ):
            yield Seen(
                f'{path.parts[-3]}-{path.stem}', resized(rgb_of_file(path), size_wh), numbers
            )


def persons(numbers: Instances) -> list[int]:
    return [number for number in np.unique(numbers).tolist() if 0 < number < UNLABELLED]


def labels_of(seen: Seen) -> Image:
    """What a mask says: person, nobody, unknown."""
    labels = np.where(seen.people > 0, PERSON, NOBODY).astype(np.uint8)
    labels[seen.people == UNLABELLED] = UNLABELLED
    return labels


def boxes_of(seen: Seen) -> list[Box]:
    boxes = []
    for number in persons(seen.people):
        x, y, w, h = cv2.boundingRect((seen.people == number).astype(np.uint8))
        boxes.append(Box(x, y, x + w, y + h, PERSON))
    return boxes


def from_masks(seen: Sequence[Seen]) -> Iterator[Image]:
    return map(labels_of, seen)


def from_filled_boxes(seen: Sequence[Seen]) -> Iterator[Image]:
    """All of a box is the person: what boxes say without GrabCut."""
    for one in seen:
        labels = labels_of(one)
        for box in boxes_of(one):
            labels[box.top : box.bottom, box.left : box.right] = PERSON
        yield labels


def from_boxes(seen: Sequence[Seen]) -> Iterator[Image]:
    for one in seen:
        yield labels_from_boxes(one.image, labels_of(one), boxes_of(one), [PERSON])


def from_points(seen: Sequence[Seen]) -> Iterator[Image]:
    """A click in the middle of each person, and some where nobody is; the rest is unknown."""
    random = np.random.default_rng(len(seen))
    for one in seen:
        truth = labels_of(one)
        labels = np.full_like(truth, UNLABELLED)
        rows, columns = np.nonzero(truth == NOBODY)
        for pick in random.integers(0, len(rows), PLACES_PER_PICTURE) if len(rows) else ():
            click(labels, int(columns[pick]), int(rows[pick]), NOBODY)
        for number in persons(one.people):
            inside = np.pad((one.people == number).astype(np.uint8), 1)
            distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
            y, x = np.unravel_index(int(distance.argmax()), distance.shape)
            click(labels, int(x), int(y), PERSON)
        if not persons(one.people):  # a word says it: nobody is here
            labels = truth
        yield labels


def click(labels: Image, x: int, y: int, value: int) -> None:
    cv2.circle(labels, (x, y), CLICK_PX, value, -1)


def from_tags(seen: Sequence[Seen]) -> Iterator[Image]:
    from training.tags import labels_from_tags

    return labels_from_tags([s.image for s in seen], [bool(persons(s.people)) for s in seen])


KINDS: dict[str, Callable[[Sequence[Seen]], Iterator[Image]]] = {
    'masks': from_masks,
    'boxes': from_boxes,
    'filled_boxes': from_filled_boxes,
    'points': from_points,
    'tags': from_tags,
}
