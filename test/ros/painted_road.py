# SPDX-License-Identifier: Apache-2.0
"""A road with people in the colours of the shipped engine, as a calibrated camera sees it."""

from __future__ import annotations

import math

import numpy as np
import yaml
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from test.paths import REPOSITORY

__all__ = [
    'CAMERA',
    'COLOURS',
    'IDS',
    'LAYER',
    'PERSON_M',
    'SIZE_WH',
    'SPEC',
    'camera_info',
    'picture',
]

SPEC = yaml.safe_load((REPOSITORY / 'engines/roadsynth/spec.yaml').read_text())
IDS = {row['name']: row['id'] for row in SPEC['classes']}
COLOURS = np.array([row['colour'] for row in SPEC['classes']], np.uint8)
SIZE_WH = (640, 360)
CAMERA = Camera(
    CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(62.0)),
    Mount(x=1.6, z=1.45, pitch=0.06),
)
LAYER = ('local_costmap', 'local_costmap', 'ros__parameters')
PERSON_M = (8.0, 1.0)


def picture(*people: tuple[float, float]) -> NDArray[np.uint8]:
    """Returns a road between two pavements, in the engine's colours, with people on it."""
    table = CAMERA.ground_table()
    labels = np.full(SIZE_WH[::-1], IDS['sky'], np.uint8)
    labels[np.isfinite(table[..., 0])] = IDS['road']
    with np.errstate(invalid='ignore'):
        labels[np.abs(table[..., 1]) > 5.0] = IDS['pavement']
        labels[np.abs(table[..., 1] - 1.7) < 0.06] = IDS['lane_marking']
    for x, y in people:
        corners = [[x, y + 0.25, 0.0], [x, y - 0.25, 1.75]]
        (left, bottom), (right, top) = CAMERA.project(corners)[0]
        # A pixel shows what its centre sees
        rows = slice(math.ceil(top), math.floor(bottom) + 1)
        labels[rows, math.ceil(left) : math.floor(right) + 1] = IDS['pedestrian']
    return COLOURS[labels]


def camera_info() -> CameraInfo:
    """Returns the calibration of the camera of the pictures."""
    lens = CAMERA.intrinsics
    message = CameraInfo(width=lens.width, height=lens.height, distortion_model='plumb_bob')
    message.k, message.d = lens.k.reshape(-1).tolist(), [0.0] * 5
    return message
