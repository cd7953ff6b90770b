# SPDX-License-Identifier: Apache-2.0
"""How good a label image is: confusion matrix, intersection over union, pixel accuracy.

The matrix can be drawn, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbImage
from seg_ros.pictures.drawing import blank, draw_text, text_width

__all__ = ['ConfusionMatrix', 'confusion_picture']

UNLABELLED = 255
CELL_PX, TEXT_PX, MARGIN_PX = 48, 14, 12  # of the picture


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


def confusion_picture(counts: NDArray[np.int64], names: Sequence[str]) -> RgbImage:
    """Returns the matrix with the share of each true class (row) per answer (column), in %.

    Args:
        counts: ``(C, C)`` pixels, rows are the truth.
        names: C class names.
    """
    left = MARGIN_PX + max(text_width(name, TEXT_PX) for name in names) + MARGIN_PX
    top = left
    size = CELL_PX * len(names)
    canvas = blank(left + size + MARGIN_PX, top + size + MARGIN_PX)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    heat = cv2.applyColorMap((shares * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    heat = cv2.cvtColor(heat, cv2.COLOR_BGR2RGB)
    cells = cv2.resize(heat, (size, size), interpolation=cv2.INTER_NEAREST)
    canvas[top : top + size, left : left + size] = cells
    for index, name in enumerate(names):
        middle = index * CELL_PX + CELL_PX // 2
        draw_text(canvas, name, (MARGIN_PX, top + middle + TEXT_PX // 2), TEXT_PX)
        upright = blank(top - MARGIN_PX, CELL_PX)
        draw_text(upright, name, (0, CELL_PX // 2 + TEXT_PX // 2), TEXT_PX)
        turned = np.rot90(upright)
        canvas[MARGIN_PX:top, left + index * CELL_PX : left + (index + 1) * CELL_PX] = turned
    for row, column in np.argwhere(shares >= 0.005):
        text = f'{100 * shares[row, column]:.0f}'
        x = left + column * CELL_PX + (CELL_PX - text_width(text, TEXT_PX)) // 2
        y = top + row * CELL_PX + CELL_PX // 2 + TEXT_PX // 2
        dark = (20, 20, 20) if shares[row, column] > 0.6 else (240, 240, 240)
        draw_text(canvas, text, (int(x), int(y)), TEXT_PX, dark)
    return canvas
