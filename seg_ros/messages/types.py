"""The classes of the messages: those of the installed ROS packages, else plain ones like them.

Whoever fills messages takes the classes from here, so that the node and a replay on a machine
without ROS say the same with the same code.
"""

from __future__ import annotations

import array
import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['has_type', 'message_type', 'packed', 'prefer_plain', 'uses_ros']

PACKAGES = (
    'diagnostic_msgs',
    'geometry_msgs',
    'nav_msgs',
    'sensor_msgs',
    'std_msgs',
    'visualization_msgs',
)


_kind: dict[str, bool] = {}  # 'ros': what this process has decided for


def prefer_plain() -> None:
    """Takes plain classes though ROS may be there: a tenth of the time for whoever writes bags.

    Where classes have been taken already it changes nothing.
    """
    _kind.setdefault('ros', False)


def uses_ros() -> bool:
    """Returns whether the classes are those of ROS; the first who asks decides it for good.

    A message is never made of classes of both kinds.
    """
    if 'ros' not in _kind:
        _kind['ros'] = all(_is_installed(package) for package in PACKAGES)
    return _kind['ros']


def message_type(name: str) -> Any:
    """Returns the class of a type like ``sensor_msgs/msg/Image``.

    Raises:
        ConfigurationError: There is neither ROS nor rosbags, which knows the definitions.
    """
    if uses_ros():
        package, _, kind = name.split('/')
        return getattr(importlib.import_module(f'{package}.msg'), kind)
    from seg_ros.messages.plain import plain_type

    return plain_type(name)


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
    data = values.tobytes()
    return array.array(typecode, data) if uses_ros() else np.frombuffer(data, typecode)


def _is_installed(package: str) -> bool:
    try:
        importlib.import_module(f'{package}.msg')
    except ImportError:
        return False
    return True
