"""How good a label image is: confusion matrix, intersection over union, pixel accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ['ConfusionMatrix']

UNLABELLED = 255


class ConfusionMatrix:
    """Counts of (true class, predicted class) over many images.

    Attributes:
        counts: int64 [classes, classes + 1], rows are the truth; the last column counts
        predictions that are no class (unlabelled).
    """

    def __init__(self, classes: int) -> None:
        if not 1 <= classes <= UNLABELLED:
            raise ValueError(f'A confusion matrix needs 1 to {UNLABELLED} classes, not {classes}.')
        self.classes = classes
        self.counts = np.zeros((classes, classes + 1), np.int64)

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count one image; pixels whose truth is no class are left out.

        Raises:
            ValueError: The two label images differ in shape.
        """
        if truth.shape != predicted.shape:
            raise ValueError(
                f'Truth is {truth.shape} and prediction {predicted.shape}: they must be the same.'
            )
        known = truth < self.classes
        columns = np.minimum(predicted[known], self.classes).astype(np.int64)
        index = truth[known].astype(np.int64) * (self.classes + 1) + columns
        self.counts += np.bincount(index, minlength=self.counts.size).reshape(self.counts.shape)

    def folded(self, into: Mapping[int, int]) -> ConfusionMatrix:
        """The matrix that would have come out, had each class `k` been called `into[k]`.

        Folded classes keep their row and column, empty: their IoU is NaN.
        """
        result = ConfusionMatrix(self.classes)
        result.counts = self.counts.copy()
        for source, target in into.items():
            result.counts[target] += result.counts[source]
            result.counts[source] = 0
            result.counts[:, target] += result.counts[:, source]
            result.counts[:, source] = 0
        return result

    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class; NaN where neither truth nor prediction has it."""
        square = self.counts[:, : self.classes]
        hit = np.diag(square).astype(np.float64)
        union = self.counts.sum(1) + square.sum(0) - hit
        iou: NDArray[np.float64] = np.full(self.classes, np.nan)
        np.divide(hit, union, out=iou, where=union > 0)
        return iou

    def mean_iou(self) -> float:
        """Mean over the classes that occur; NaN when none does."""
        iou = self.iou()
        return float(np.nanmean(iou)) if not np.isnan(iou).all() else float('nan')

    def pixel_accuracy(self) -> float:
        """Share of labelled pixels that are right; NaN when there are none."""
        total = self.counts.sum()
        return float(np.trace(self.counts[:, : self.classes]) / total) if total else float('nan')
