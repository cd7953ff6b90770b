# SPDX-License-Identifier: Apache-2.0
"""Label images as the figures that are reported."""

from __future__ import annotations

from typing import Any

import numpy as np

from seg_ros.commands.evaluate.label_figures import LabelFigures
from seg_ros.commands.evaluate.metrics import ConfusionMatrix
from training.classes import ClassTable

__all__ = ['label_figures', 'score']


def label_figures(classes: ClassTable) -> LabelFigures:
    """Empty figures of people, phantoms and lanes, with the ids that play these roles."""
    return LabelFigures(
        *(
            [i for i, row in enumerate(classes.rows) if {*row.roles} & roles]
            for roles in ({'pedestrian'}, {'pedestrian', 'cyclist'}, {'lane'})
        )
    )


def score(matrix: ConfusionMatrix, classes: ClassTable) -> dict[str, Any]:
    """MIoU over the classes that occur in the truth, lane markings counted as what they lie on.

    A class that only the network sees costs those it is taken from, and is none of the mean.
    `iou` has every class that occurs: a folded class its own, the class it folds into with it.
    """
    folded = matrix.folded(classes.folds)
    own, counted = matrix.iou(), folded.iou()
    occurs = folded.counts.sum(1) > 0
    iou = {}
    for label, name in enumerate(classes.names):
        value = own[label] if label in classes.folds else counted[label]
        is_there = matrix.counts[label].any() if label in classes.folds else occurs[label]
        if is_there:
            iou[name] = round(float(value), 4)
    return {
        'miou': round(float(np.nanmean(counted[occurs])), 4),
        'pixel_accuracy': round(folded.pixel_accuracy(), 4),
        'iou': iou,
    }
