# SPDX-License-Identifier: Apache-2.0
"""Autoware's mask: the label image with its class ids, run-length encoded.

image_projection_based_fusion reads it. A record is one byte of class and four of count, in the
machine's own order of bytes; the records go row by row through the whole image
(perception_utils, run_length_encoder.cpp).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.types import LabelImage

__all__ = ['AUTOWARE_IDS', 'AutowareEncoder', 'AutowareMask']

AUTOWARE_IDS = {
    'UNKNOWN': 0,
    'BUILDING': 1,
    'WALL': 2,
    'OBSTACLE': 3,
    'TRAFFIC_LIGHT': 4,
    'TRAFFIC_SIGN': 5,
    'PERSON': 6,
    'VEHICLE': 7,
    'BIKE': 8,
    'ROAD': 9,
    'SIDEWALK': 10,
    'ROAD_PAINT': 11,
    'CURBSTONE': 12,
    'CROSSWALK': 13,
    'VEGETATION': 14,
    'SKY': 15,
}
"""Ids of the mask; ``ObjectClassification`` is another enumeration."""

BY_NAME = {
    'building': 'BUILDING',
    'wall': 'WALL',
    'traffic_light': 'TRAFFIC_LIGHT',
    'sign': 'TRAFFIC_SIGN',
    'traffic_sign': 'TRAFFIC_SIGN',
    'curb': 'CURBSTONE',
    'curbstone': 'CURBSTONE',
    'crosswalk': 'CROSSWALK',
    'tree': 'VEGETATION',
    'vegetation': 'VEGETATION',
    'bicycle': 'BIKE',
    'motorcycle': 'BIKE',
}
BY_ROLE = {  # the first role that a class has decides
    'pedestrian': 'PERSON',
    'cyclist': 'BIKE',
    'vehicle': 'VEHICLE',
    'lane': 'ROAD_PAINT',
    'drivable': 'ROAD',
    'walkable': 'SIDEWALK',
    'sky': 'SKY',
    'obstacle': 'OBSTACLE',
    'static': 'OBSTACLE',
}
RUN = np.dtype([('value', 'u1'), ('count', '=i4')])  # packed: 5 bytes


@dataclass(frozen=True)
class AutowareMask:
    """A mask.

    Attributes:
        size_wh: Of the image that it decodes to.
        runs: Its records.
    """

    size_wh: tuple[int, int]
    runs: bytes


class AutowareEncoder:
    """Encodes label images of one label map."""

    def __init__(self, label_map: LabelMap) -> None:
        self._lut = np.full(256, AUTOWARE_IDS['UNKNOWN'], np.uint8)
        for row in label_map.classes:
            self._lut[row.id] = AUTOWARE_IDS[_autoware_name(row)]

    def encode(self, labels: LabelImage) -> AutowareMask:
        """Returns the mask of ``(H, W)`` class ids, of the same size."""
        flat = cv2.LUT(labels, self._lut).ravel()
        starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
        runs = np.empty(starts.size, RUN)
        runs['value'] = flat[starts]
        runs['count'] = np.diff(starts, append=flat.size)
        return AutowareMask((labels.shape[1], labels.shape[0]), runs.tobytes())


def _autoware_name(row: LabelClass) -> str:
    by_name = BY_NAME.get(row.name.lower().replace(' ', '_').replace('-', '_'))
    if by_name is not None:
        return by_name
    return next((name for role, name in BY_ROLE.items() if role in row.roles), 'UNKNOWN')
