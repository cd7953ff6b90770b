# SPDX-License-Identifier: Apache-2.0
"""How well the borders of a label image lie where they should: the boundary F-score.

Of each class the border of the answer is held against that of the truth: precision is the share
of its border pixels that have a true one near, recall the share of the true ones that have one of
the answer near, and F their harmonic mean (Csurka et al., BMVC 2013). What is unknown has no
border. A border can also be missed because a thing was not seen at all; so the pixels are counted
as well, those near a true border and those far from any (the trimap of Kohli et al. 2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.classes import UNLABELLED
from training.labelled_set import Image

__all__ = ['BoundaryFigures', 'border_of', 'through_grid']

REFERENCE_ROWS = 360  # distances are pixels of a picture of this height
NEAR_PX = 2.0
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class BoundaryFigures:
    """Books label images against the truth.

    Args:
        classes: Number of classes.
        folds: What a class counts as, `{lane marking: road}`: it has no border of its own.
        near_px: What counts as the same place, in rows of the reference height.
    """

    def __init__(
        self, classes: int, folds: Mapping[int, int] | None = None, near_px: float = NEAR_PX
    ) -> None:
        self.classes, self.near_px = classes, near_px
        self.counted_as = np.arange(256, dtype=np.uint8)
        for source, target in (folds or {}).items():
            self.counted_as[source] = target
        # of each class: border pixels of truth and answer, and those with the other's near
        self.true, self.found = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
        self.true_near, self.found_near = self.true.copy(), self.true.copy()
        self.right = {'at_borders': 0, 'elsewhere': 0}
        self.pixels = {'at_borders': 0, 'elsewhere': 0}

    def add(self, truth: Image, predicted: Image) -> None:
        """Count one picture; 255 in the truth is unknown.

        Raises:
            ValueError: The two label images differ in shape.
        """
        if truth.shape != predicted.shape:
            raise ValueError(
                f'Truth is {truth.shape} and prediction {predicted.shape}: they must be the same.'
            )
        truth, predicted = self.counted_as[truth], self.counted_as[predicted]
        reach = self.near_px * len(truth) / REFERENCE_ROWS
        known = truth < self.classes
        any_border = np.zeros(truth.shape, bool)
        for label in range(self.classes):
            mine, answers = truth == label, (predicted == label) & known
            if not mine.any() and not answers.any():
                continue
            border, drawn = border_of(mine, known), border_of(answers, known)
            any_border |= border
            self.true[label] += border.sum()
            self.found[label] += drawn.sum()
            self.true_near[label] += (border & near(drawn, reach)).sum()
            self.found_near[label] += (drawn & near(border, reach)).sum()
        at_borders = near(any_border, reach)
        for name, where in (('at_borders', at_borders), ('elsewhere', ~at_borders)):
            self.pixels[name] += int((where & known).sum())
            self.right[name] += int((where & known & (truth == predicted)).sum())

    def f_scores(self) -> NDArray[np.float64]:
        """Of each class; NaN where the truth has no border of it."""
        precision = self.found_near / np.maximum(self.found, 1)
        recall = self.true_near / np.maximum(self.true, 1)
        both = precision + recall
        scores = np.where(both > 0, 2 * precision * recall / np.where(both > 0, both, 1), 0.0)
        return np.where(self.true > 0, scores, np.nan)

    def rounded(self) -> dict[str, Any]:
        """The figures; empty when no truth has a border.

        `boundary_f`: mean F of the classes whose borders the truth has; `right_at_borders` and
        `right_elsewhere`: share of the pixels that are right, there and there.
        """
        if not self.true.any():
            return {}
        shares = {
            f'right_{name}': round(self.right[name] / count, 4)
            for name, count in self.pixels.items()
            if count
        }
        return {'boundary_f': round(float(np.nanmean(self.f_scores())), 4), **shares}


def border_of(mask: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the mask beside a known one outside it; the picture's edge is no border."""
    outside = (known & ~mask).astype(np.uint8)
    beside = cv2.dilate(outside, CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(mask & (beside > 0))


def near(border: NDArray[np.bool_], reach_px: float) -> NDArray[np.bool_]:
    """Where a border pixel is at most this far away."""
    if not border.any():
        return np.zeros(border.shape, bool)
    distance = cv2.distanceTransform(
        (~border).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return np.asarray(distance <= reach_px)


def through_grid(labels: Image, stride: int, classes: int) -> Image:
    """What is left of a truth that goes through a grid of this stride.

    Each cell holds the classes' shares of its pixels, and these are enlarged as logits are. A
    network that does as well knows all that its cells can tell; by overstating what is thin it
    can keep a little more.
    """
    height, width = labels.shape
    size_wh = (-(-width // stride), -(-height // stride))
    scores = [
        cv2.resize(
            cv2.resize(
                (labels == label).astype(np.float32), size_wh, interpolation=cv2.INTER_AREA
            ),
            (width, height),
            interpolation=cv2.INTER_LINEAR,
        )
        for label in range(classes)
    ]
    answer = np.argmax(scores, axis=0).astype(np.uint8)
    answer[labels == UNLABELLED] = UNLABELLED
    return answer
