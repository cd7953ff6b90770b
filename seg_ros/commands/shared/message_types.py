# SPDX-License-Identifier: Apache-2.0
"""Message types by name: the class that rclpy wants, the definition that a bag keeps."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from seg_ros.core.errors import ConfigurationError

__all__ = ['learn_type', 'message_class']


def message_class(name: str) -> type:
    """Returns the class of a type like ``sensor_msgs/msg/Image``.

    Raises:
        ConfigurationError: Its package is not installed.
    """
    package, _, kind = name.split('/')
    try:
        found: type = getattr(importlib.import_module(f'{package}.msg'), kind)
    except (ImportError, AttributeError) as error:
        msg = f'Messages of type {name} need the package {package} ({error}). Install it.'
        raise ConfigurationError(msg) from error
    return found


def learn_type(typestore: Any, name: str) -> None:
    """Adds a type, and those it is made of, to a rosbags typestore that lacks it.

    Raises:
        ConfigurationError: There is no definition of it on this machine.
    """
    if name in typestore.fielddefs:
        return
    from rosbags.typesys import get_types_from_msg

    package, _, kind = name.split('/')
    try:
        share = Path(get_package_share_directory(package))
        definition = (share / 'msg' / f'{kind}.msg').read_text(encoding='utf-8')
    except (PackageNotFoundError, OSError) as error:
        msg = (
            f'The definition of {name} was looked for, but is not there ({error}). Install '
            f'{package} and source its setup file.'
        )
        raise ConfigurationError(msg) from error
    types = get_types_from_msg(definition, name)
    for part in _names_in(types[name]):
        if part != name:
            learn_type(typestore, part)
    typestore.register(types)


def _names_in(definition: Any) -> Iterator[str]:
    """Yields the message types that a rosbags definition names, at any depth."""
    if isinstance(definition, str):
        if definition.count('/') == 2:
            yield definition
    elif isinstance(definition, (tuple, list)):
        for part in definition:
            yield from _names_in(part)
