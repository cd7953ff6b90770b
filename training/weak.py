# SPDX-License-Identifier: Apache-2.0
"""From boxes to masks: GrabCut inside given boxes, with an ignored band along every border.

As a data set it is the kind `from_boxes` in a config; training.mask_quality measures the masks
against full ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.classes import UNLABELLED
from training.labelled_set import Image

__all__ = [
    'Box',
    'boxes_of',
    'draw_from_box',
    'labels_from_boxes',
    'mask_in_box',
]

ITERATIONS = 4
MIN_SIDE_PX = 8  # below, a box is taken for the object's ellipse
BAND_PX = 1  # left open on either side of a border
CONTEXT = 0.6  # of the box's sides, seen as certain background around it
FILLED_SHARE = (0.15, 0.95)  # a mask that fills less or more of its box is not believed


class Box(NamedTuple):
    """Pixels, right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int
    class_id: int


def boxes_of(labels: Image, ids: Sequence[int], min_pixels: int = 20) -> list[Box]:
    """The boxes that an annotator would draw: one around each connected part of each class."""
    boxes = []
    for label in ids:
        _, _, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8))
        for x, y, w, h, area in stats[1:].tolist():
            if area >= min_pixels:
                boxes.append(Box(x, y, x + w, y + h, label))
    return boxes


def mask_in_box(image: Image, box: Box) -> NDArray[np.bool_]:
    """The object's pixels, in an array of the box's size."""
    height, width = box.bottom - box.top, box.right - box.left
    ellipse = np.zeros((height, width), np.uint8)
    centre, axes = (width // 2, height // 2), (max(1, width // 2), max(1, height // 2))
    cv2.ellipse(ellipse, centre, axes, 0, 0, 360, 1, -1)
    if min(height, width) < MIN_SIDE_PX:
        return ellipse > 0
    margin_x, margin_y = round(CONTEXT * width) + 4, round(CONTEXT * height) + 4
    left, top = max(0, box.left - margin_x), max(0, box.top - margin_y)
    view = np.ascontiguousarray(image[top : box.bottom + margin_y, left : box.right + margin_x])
    inside = (
        slice(box.top - top, box.bottom - top),
        slice(box.left - left, box.right - left),
    )
    state = np.full(view.shape[:2], cv2.GC_BGD, np.uint8)
    state[inside] = np.where(ellipse > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    cv2.setRNGSeed(0)
    cv2.grabCut(
        view, state, None, np.zeros((1, 65)), np.zeros((1, 65)), ITERATIONS, cv2.GC_INIT_WITH_MASK
    )
    mask = np.isin(state[inside], (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not FILLED_SHARE[0] <= mask.mean() <= FILLED_SHARE[1]:
        return ellipse > 0
    return mask


def labels_from_boxes(
    image: Image, labels: Image, boxes: Sequence[Box], ids: Sequence[int]
) -> Image:
    """`labels` with the classes `ids` taken away and drawn anew from the boxes alone.

    Inside a box nothing else is known: what is not the object is unlabelled, and so is a band
    along the object's border.
    """
    result = labels.copy()
    result[np.isin(labels, ids)] = UNLABELLED
    # large boxes first: what is small is mostly in front
    for box in sorted(boxes, key=lambda b: (b.left - b.right) * (b.bottom - b.top)):
        draw_from_box(image, result, box)
    return result


def draw_from_box(image: Image, labels: Image, box: Box) -> None:
    """Write a box into `labels`: its class where the object surely is, else unlabelled."""
    kernel = np.ones((2 * BAND_PX + 1,) * 2, np.uint8)
    mask = np.pad(mask_in_box(image, box).astype(np.uint8), BAND_PX)
    sure = cv2.erode(mask, kernel)[BAND_PX:-BAND_PX, BAND_PX:-BAND_PX] > 0
    area = labels[box.top : box.bottom, box.left : box.right]
    area[...] = np.where(sure, box.class_id, UNLABELLED)
