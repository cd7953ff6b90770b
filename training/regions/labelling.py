# SPDX-License-Identifier: Apache-2.0
"""From regions and their scores to a label image, and from pictures to regions to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.classes import UNLABELLED, ClassTable
from training.data import load
from training.labelled_set import Image
from training.regions.proposals import Regions, proposed

__all__ = ['Blob', 'blobs_of', 'labels_of_regions', 'pictures', 'resized_labels', 'things_of']

THING_ROLES = {'pedestrian', 'cyclist', 'vehicle'}  # what can be counted, and boxed
MIN_BLOB_PX = 24


class Blob(NamedTuple):
    """A thing as far as it is connected: what stands for an instance where none is labelled."""

    box: tuple[int, int, int, int]  # left, top, right, bottom; right and bottom excluded
    mask: NDArray[np.bool_]  # of the box's size
    class_id: int


def things_of(classes: ClassTable) -> list[int]:
    """Ids of the classes whose blobs are taken for instances."""
    return [index for index, row in enumerate(classes.rows) if THING_ROLES & {*row.roles}]


def blobs_of(labels: Image, things: Sequence[int]) -> list[Blob]:
    blobs = []
    for label in things:
        _, numbers, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8))
        for number, (left, top, width, height, area) in enumerate(stats[1:].tolist(), 1):
            if area >= MIN_BLOB_PX:
                box = (left, top, left + width, top + height)
                inside = numbers[box[1] : box[3], box[0] : box[2]] == number
                blobs.append(Blob(box, inside, label))
    return blobs


def labels_of_regions(
    segments: NDArray[np.int32],
    members: NDArray[np.bool_] | NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
) -> Image:
    """Each pixel gets the class of the highest-scoring region that has it.

    Args:
        segments: [h,w].
        members: [regions, segments], which of them a region has, or with which probability; its
            score counts as much. Each segment must be in a region.
        scores: [regions, classes].
    """
    claims = np.where(members > 0, members * scores.max(1)[:, None], -np.inf)
    best = claims.argmax(0)
    return np.asarray(scores.argmax(1)[best].astype(np.uint8)[segments])


def resized_labels(labels: Image, size_wh: Sequence[int]) -> Image:
    return np.asarray(
        cv2.resize(labels, tuple(size_wh), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8
    )


def pictures(
    config: dict[str, Any], count: int, random: np.random.Generator
) -> list[tuple[Image, Image, Regions]]:
    """Pictures, labels and proposals at `size_wh`, drawn from the sources by their shares."""
    shares = np.array([row['share'] for row in config['sources']])
    sets = [load(row) for row in config['sources']]
    drawn = []
    for pick in random.choice(len(sets), count, p=shares / shares.sum()):
        index = int(random.integers(len(sets[pick])))
        size_wh = tuple(config['size_wh'])
        image = cv2.resize(sets[pick].images[index], size_wh, interpolation=cv2.INTER_AREA)
        labels = np.array(resized_labels(np.asarray(sets[pick].labels[index]), size_wh))
        drawn.append((np.asarray(image), labels, proposed(image)))
    return drawn


def class_of_shares(shares: NDArray[np.float64], pure: float, mixed: float) -> NDArray[np.int64]:
    """Of each region: its class, `classes` for none of them, UNLABELLED in between."""
    most = shares.max(1)
    label = np.where(most >= pure, shares.argmax(1), UNLABELLED)
    return np.where((most > 0) & (most < mixed), shares.shape[1], label)
