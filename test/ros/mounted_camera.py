# SPDX-License-Identifier: Apache-2.0
"""A calibrated camera on a vehicle, and the person that it sees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from test.tiny_onnx import COLOURS

__all__ = [
    'LENS',
    'MOUNT',
    'PEDESTRIAN',
    'ROAD',
    'SIZE_WH',
    'SKY',
    'WHERE',
    'camera_info',
    'person_at',
]

SIZE_WH = (128, 64)
LENS = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(70.0))
MOUNT = Mount(x=1.2, y=0.1, z=1.4, pitch=0.08)
WHERE = {f'mount.{name}': [getattr(MOUNT, name)] for name in ('x', 'y', 'z', 'pitch')}
PEDESTRIAN, ROAD, SKY = 3, 1, 0


def camera_info(**changes: Any) -> CameraInfo:
    message = CameraInfo(width=LENS.width, height=LENS.height, distortion_model='plumb_bob')
    message.k = LENS.k.reshape(-1).tolist()
    message.d = [0.0] * 5
    message.header.frame_id = 'camera_optical'
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def person_at(x_m: float, y_m: float) -> np.ndarray[Any, Any]:
    """Returns a picture, in the engine's colours, of a person on the road."""
    camera = Camera(LENS, MOUNT)
    labels = np.full(SIZE_WH[::-1], ROAD, np.uint8)
    labels[:26] = SKY
    corners = [[x_m, y_m + 0.25, 0.0], [x_m, y_m - 0.25, 1.75]]
    (left, bottom), (right, top) = camera.project(np.array(corners))[0].round().astype(int)
    labels[max(top, 0) : bottom + 1, left : right + 1] = PEDESTRIAN
    return np.array(COLOURS, np.uint8)[labels]
