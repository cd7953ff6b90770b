# SPDX-License-Identifier: Apache-2.0
"""Packages of messages that PyPI does not have, as classes of the same fields.

Each field is as https://docs.ros.org has it; vision_msgs is the same from Humble on (4.0.0), and
so is nav2_msgs/SpeedLimit. A name that a definition lacks is refused; the bytes are those of ROS.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rosbags.typesys import get_types_from_msg

from seg_ros.messages.plain import plain_type, serialised, typestore

DEFINITIONS = {
    'nav2_msgs/msg/SpeedLimit': 'std_msgs/Header header\nbool percentage\nfloat64 speed_limit',
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name',
    'vision_msgs/msg/LabelInfo': (
        'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold'
    ),
    'vision_msgs/msg/Point2D': 'float64 x\nfloat64 y',
    'vision_msgs/msg/Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'vision_msgs/msg/BoundingBox2D': ('vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y'),
    'vision_msgs/msg/BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score',
    'vision_msgs/msg/ObjectHypothesisWithPose': (
        'vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose'
    ),
    'vision_msgs/msg/Detection2D': (
        'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
        'vision_msgs/BoundingBox2D bbox\nstring id'
    ),
    'vision_msgs/msg/Detection2DArray': (
        'std_msgs/Header header\nvision_msgs/Detection2D[] detections'
    ),
    'vision_msgs/msg/Detection3D': (
        'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
        'vision_msgs/BoundingBox3D bbox\nstring id'
    ),
    'vision_msgs/msg/Detection3DArray': (
        'std_msgs/Header header\nvision_msgs/Detection3D[] detections'
    ),
}


@contextmanager
def stand_ins() -> Iterator[None]:
    """Lets ``import nav2_msgs.msg`` and ``import vision_msgs.msg`` find the classes."""
    made: dict[str, ModuleType] = {}
    for name, definition in DEFINITIONS.items():
        if name not in typestore().fielddefs:
            typestore().register(get_types_from_msg(definition, name))
    for name in DEFINITIONS:
        package, _, kind = name.split('/')
        module = made.setdefault(f'{package}.msg', ModuleType(f'{package}.msg'))
        made.setdefault(package, ModuleType(package))
        setattr(module, kind, plain_type(name))
    before = {name: sys.modules.get(name) for name in made}
    sys.modules.update(made)
    try:
        yield
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def through_bytes(message: Any, name: str) -> Any:
    """Returns the message as a reader gets it."""
    return typestore().deserialize_cdr(serialised(message, name), name)
