# SPDX-License-Identifier: Apache-2.0
"""The exact labels of the simulation in the place of a network's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.types import LabelImage, RgbBatch
from seg_ros.inference.base import InferenceResult, check_batch
from seg_ros.inference.engine import Engine
from seg_ros.sim import classes

__all__ = ['EXACT_LABEL_MAP', 'ExactLabels']

EXACT_LABEL_MAP = LabelMap(
    tuple(
        LabelClass(class_id, classes.CLASS_NAMES[class_id], colour_rgb, roles)
        for class_id, colour_rgb, roles in (
            (classes.SKY, (128, 180, 230), ('sky',)),
            (classes.BUILDING, (128, 64, 64), ('static', 'obstacle')),
            (classes.POLE, (192, 192, 128), ('static', 'obstacle')),
            (classes.ROAD, (128, 64, 128), ('drivable',)),
            (classes.PAVEMENT, (244, 35, 232), ('walkable',)),
            (classes.TREE, (107, 142, 35), ('static', 'obstacle')),
            (classes.SIGN, (220, 220, 0), ('static', 'obstacle')),
            (classes.FENCE, (100, 80, 150), ('static', 'obstacle')),
            (classes.VEHICLE, (0, 0, 142), ('vehicle', 'obstacle')),
            (classes.PEDESTRIAN, (220, 20, 60), ('pedestrian', 'obstacle')),
            (classes.CYCLIST, (0, 150, 180), ('cyclist', 'obstacle')),
            (classes.LANE_MARKING, (255, 255, 255), ('drivable', 'lane')),
        )
    )
)
"""What the labels of the simulation mean."""


class ExactLabels:
    """Gives out the label image that it was shown; see ``InferenceBackend``.

    Args:
        size_wh: Of the label images.
        label_map: What they mean.
    """

    name = 'exact'
    detail = 'exact labels, no network'
    max_batch = 1

    def __init__(self, size_wh: tuple[int, int], label_map: LabelMap = EXACT_LABEL_MAP) -> None:
        nowhere = Path('exact labels')
        self.engine = Engine('exact', nowhere, nowhere, None, label_map, size_wh, size_wh)
        self._labels = np.zeros((1, *size_wh[::-1]), np.uint8)

    def show(self, labels: LabelImage) -> None:
        """Takes the ``(H, W)`` labels of the next image."""
        self._labels = labels[np.newaxis]

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        """Returns the labels that were shown last, certain of every pixel."""
        check_batch(images, self.engine)
        sure = np.full_like(self._labels, 255) if with_confidence else None
        return InferenceResult(self._labels, sure)

    def close(self) -> None:
        """Has nothing to release."""
