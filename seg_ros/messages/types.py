# SPDX-License-Identifier: Apache-2.0
"""The message classes: those of the installed ROS packages, else plain ones like them.

Whoever fills messages takes the classes from here, so that the node and a replay on a machine
without ROS say the same with the same code. This is the only file of the room that imports
message packages. A process has classes of one kind: its first import of this file decides, by
what is installed and by whether ``plain.prefer_plain`` was called before.
"""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.messages.plain import is_plain_preferred, plain_type, plain_types

try:
    if is_plain_preferred():
        raise ImportError('This process takes plain classes.')
    from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
    from geometry_msgs.msg import (
        Point,
        Pose,
        PoseArray,
        PoseStamped,
        PoseWithCovarianceStamped,
        Quaternion,
    )
    from nav_msgs.msg import OccupancyGrid, Path
    from sensor_msgs.msg import (
        CameraInfo,
        CompressedImage,
        Image,
        LaserScan,
        PointCloud2,
        PointField,
    )
    from std_msgs.msg import Bool, ColorRGBA, Header, String
    from visualization_msgs.msg import Marker, MarkerArray

    USES_ROS = True
except ImportError:
    DiagnosticStatus, KeyValue = plain_types('diagnostic_msgs', 'DiagnosticStatus KeyValue')
    Point, Pose, PoseArray, PoseStamped = plain_types(
        'geometry_msgs', 'Point Pose PoseArray PoseStamped'
    )
    PoseWithCovarianceStamped, Quaternion = plain_types(
        'geometry_msgs', 'PoseWithCovarianceStamped Quaternion'
    )
    OccupancyGrid, Path = plain_types('nav_msgs', 'OccupancyGrid Path')
    CameraInfo, CompressedImage, Image = plain_types(
        'sensor_msgs', 'CameraInfo CompressedImage Image'
    )
    LaserScan, PointCloud2, PointField = plain_types(
        'sensor_msgs', 'LaserScan PointCloud2 PointField'
    )
    Bool, ColorRGBA, Header, String = plain_types('std_msgs', 'Bool ColorRGBA Header String')
    Marker, MarkerArray = plain_types('visualization_msgs', 'Marker MarkerArray')

    USES_ROS = False

__all__ = [
    'USES_ROS',
    'Bool',
    'CameraInfo',
    'ColorRGBA',
    'CompressedImage',
    'DiagnosticStatus',
    'Header',
    'Image',
    'KeyValue',
    'LaserScan',
    'Marker',
    'MarkerArray',
    'OccupancyGrid',
    'Path',
    'Point',
    'PointCloud2',
    'PointField',
    'Pose',
    'PoseArray',
    'PoseStamped',
    'PoseWithCovarianceStamped',
    'Quaternion',
    'String',
    'has_type',
    'message_type',
    'packed',
]


def message_type(name: str) -> Any:
    """Returns the class of a type like ``sensor_msgs/msg/Image``, as tables of topics name it.

    Raises:
        ImportError: Its package is not installed, where the classes are those of ROS.
        AttributeError: The installed package is older than the type.
        KeyError: rosbags does not know the type, where the classes are plain.
        ConfigurationError: There is neither ROS nor rosbags, which knows the definitions.
    """
    package, _, kind = name.split('/')
    return getattr(_package(package), kind) if USES_ROS else plain_type(name)


def has_type(name: str) -> bool:
    """Returns whether there is a class of a type of a package that not every machine has."""
    try:
        message_type(name)
    except (ImportError, AttributeError, KeyError):
        return False
    return True


def packed(typecode: str, values: NDArray[Any]) -> Any:
    """Returns a copy of the values as the field of a message takes them.

    Args:
        typecode: Of ``array.array`` and numpy, native byte order.
        values: Any shape; the bytes count.
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    if not USES_ROS:
        return flat.view(typecode).copy()
    field = array.array(typecode)
    field.frombytes(flat.view(np.uint8).data)
    return field


def _package(name: str) -> Any:
    """Returns a message package; each stands in an import, where linters and readers look."""
    match name:
        case 'diagnostic_msgs':
            from diagnostic_msgs import msg
        case 'geometry_msgs':
            from geometry_msgs import msg
        case 'nav_msgs':
            from nav_msgs import msg
        case 'nav2_msgs':  # not on every machine
            from nav2_msgs import msg
        case 'sensor_msgs':
            from sensor_msgs import msg
        case 'std_msgs':
            from std_msgs import msg
        case 'vision_msgs':  # not on every machine
            from vision_msgs import msg
        case 'visualization_msgs':
            from visualization_msgs import msg
        case _:
            raise ImportError(f'No topic has messages of the package {name}.')
    return msg
