# SPDX-License-Identifier: Apache-2.0
"""The class ids of the label image that the simulation paints."""

from __future__ import annotations

__all__ = [
    'BUILDING',
    'CLASS_NAMES',
    'CYCLIST',
    'FENCE',
    'LANE_MARKING',
    'PAVEMENT',
    'PEDESTRIAN',
    'POLE',
    'ROAD',
    'SIGN',
    'SKY',
    'TREE',
    'UNLABELLED',
    'VEHICLE',
]

SKY = 0
BUILDING = 1
POLE = 2
ROAD = 3
PAVEMENT = 4
TREE = 5
SIGN = 6
FENCE = 7
VEHICLE = 8
PEDESTRIAN = 9
CYCLIST = 10
LANE_MARKING = 11
UNLABELLED = 255

CLASS_NAMES = {
    SKY: 'sky',
    BUILDING: 'building',
    POLE: 'pole',
    ROAD: 'road',
    PAVEMENT: 'pavement',
    TREE: 'tree',
    SIGN: 'sign',
    FENCE: 'fence',
    VEHICLE: 'vehicle',
    PEDESTRIAN: 'pedestrian',
    CYCLIST: 'cyclist',
    LANE_MARKING: 'lane_marking',
    UNLABELLED: 'unlabelled',
}
