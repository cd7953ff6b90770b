# SPDX-License-Identifier: Apache-2.0
"""Messages without ROS: classes from the definitions that rosbags knows, and their bytes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from seg_ros.core.errors import ConfigurationError

__all__ = [
    'is_plain_preferred',
    'plain_type',
    'plain_types',
    'prefer_plain',
    'serialised',
    'typestore',
]

# What their definitions give as defaults; rosbags leaves these out.
DEFAULTS = {('geometry_msgs/msg/Quaternion', 'w'): 1.0}
BASE, NAME, ARRAY, SEQUENCE = 1, 2, 3, 4  # rosbags.interfaces.Nodetype
NUMPY_TYPES = {'bool': '?', 'byte': 'uint8', 'char': 'uint8'}
PYTHON_TYPES: dict[str, Callable[[], Any]] = {
    'string': str,
    'bool': bool,
    'float32': float,
    'float64': float,
}


_is_plain_preferred = False


def prefer_plain() -> None:
    """Takes plain classes though ROS may be there: a tenth of the time for whoever writes bags.

    Where ``messages.types`` has been imported already it changes nothing.
    """
    global _is_plain_preferred
    _is_plain_preferred = True


def is_plain_preferred() -> bool:
    """Returns whether ``prefer_plain`` was called."""
    return _is_plain_preferred


@functools.lru_cache(maxsize=1)
def typestore() -> Any:
    """Returns the definitions of ROS 2 Jazzy, which are those of every distribution here.

    Raises:
        ConfigurationError: rosbags is not installed.
    """
    try:
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        msg = f'Messages without ROS need rosbags ({error}). Install it: pip install rosbags'
        raise ConfigurationError(msg) from error
    return get_typestore(Stores.ROS2_JAZZY)


@functools.cache
def plain_type(name: str) -> Any:
    """Returns a dataclass of a message type, every field with its default."""
    constants, rows = typestore().fielddefs[name]
    fields = [
        (field, Any, dataclasses.field(default_factory=_default(name, field, description)))
        for field, description in rows
    ]
    made = dataclasses.make_dataclass(name.rpartition('/')[2], fields, slots=True)
    for constant, _, value in constants:
        setattr(made, constant, value)
    return made


def plain_types(package: str, kinds: str) -> list[Any]:
    """Returns the classes of several types of a package, whose names have spaces between."""
    return [plain_type(f'{package}/msg/{kind}') for kind in kinds.split()]


def serialised(message: Any, name: str) -> bytes:
    """Returns the CDR bytes of a message, whether of a plain class or of one of ROS."""
    if not dataclasses.is_dataclass(message):
        message = _plain(message, (NAME, name))
    data = typestore().serialize_cdr(message, name)
    return bytes(data)


def _default(name: str, field: str, description: Any) -> Callable[[], Any]:
    """What makes the default of a field."""
    kind, detail = description
    if kind == NAME:
        return lambda: plain_type(detail)()
    if kind == BASE:
        given = DEFAULTS.get((name, field))
        if given is not None:
            return lambda: given
        return PYTHON_TYPES.get(detail[0], int)
    (inner, inner_detail), length = detail
    if inner == BASE and inner_detail[0] != 'string':
        return functools.partial(
            np.zeros, length, NUMPY_TYPES.get(inner_detail[0], inner_detail[0])
        )
    return list


def _plain(value: Any, description: Any) -> Any:
    """Returns a value of a ROS message as rosbags serialises it."""
    kind, detail = description
    if kind == NAME:
        rows = typestore().fielddefs[detail][1]
        return plain_type(detail)(*(_plain(getattr(value, row), what) for row, what in rows))
    if kind == BASE:  # ROS has a byte as bytes
        return value[0] if isinstance(value, bytes) else value
    (inner, inner_detail), _ = detail
    if inner == BASE and inner_detail[0] != 'string':
        return np.asarray(value, NUMPY_TYPES.get(inner_detail[0], inner_detail[0]))
    return [_plain(item, (inner, inner_detail)) for item in value]
