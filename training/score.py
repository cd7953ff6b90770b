# SPDX-License-Identifier: Apache-2.0
"""A confusion matrix as the figures that are reported."""

from __future__ import annotations

from typing import Any

import numpy as np

from seg_ros.commands.evaluate.metrics import ConfusionMatrix
from training.classes import ClassTable

__all__ = ['score']


def score(matrix: ConfusionMatrix, classes: ClassTable) -> dict[str, Any]:
    """MIoU over the classes that occur, folded ones (lane markings) counted as what they lie on.

    `iou` has every class that occurs: a folded class its own, the class it folds into with it.
    """
    folded = matrix.folded(classes.folds)
    own, counted = matrix.iou(), folded.iou()
    iou = {}
    for label, name in enumerate(classes.names):
        value = own[label] if label in classes.folds else counted[label]
        if not np.isnan(value):
            iou[name] = round(float(value), 4)
    return {
        'miou': round(folded.mean_iou(), 4),
        'pixel_accuracy': round(folded.pixel_accuracy(), 4),
        'iou': iou,
    }
