# SPDX-License-Identifier: Apache-2.0
"""The start of a process: its ROS arguments, and one sentence for whatever ROS refuses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import rclpy

from seg_ros.core.errors import ConfigurationError
from seg_ros.ros.middleware import LARGEST_DOMAIN, said_by_ros, start_advice

__all__ = ['RosArguments', 'ros_arguments', 'start_ros']

WITH_VALUE = {
    '-p': 'p', '--param': 'p', '--params-file': 'file', '-r': 'remap', '--remap': 'remap',
    '-e': '', '--enclave': '', '--log-level': '', '--log-config-file': '', '--log-file-name': '',
}  # fmt: skip
"""The arguments of rcl that have a value, and what of them we read, too."""


class RosArguments(NamedTuple):
    """What the arguments of a process say of its node.

    Attributes:
        node: Its full name.
        files: Its parameter files.
        assignments: Its ``name:=value``.
    """

    node: str
    files: Sequence[Path]
    assignments: Sequence[str]


def ros_arguments(argv: Sequence[str], name: str) -> RosArguments:
    """Reads the arguments of a process that has one node.

    Args:
        argv: All that follow the command.
        name: The node's, unless it is remapped.

    Raises:
        ConfigurationError: A word that neither we nor ROS would look at.
    """
    found: dict[str, list[str]] = {'p': [], 'file': [], 'remap': []}
    is_for_ros = False
    words = iter(argv)
    for word in words:
        if word in ('--ros-args', '--'):
            is_for_ros = word == '--ros-args'
        elif not is_for_ros:
            raise ConfigurationError(
                f'{word} is not understood. What is for ROS comes after --ros-args, like '
                '--ros-args -p engine:=roadseg; --help has more.'
            )
        elif word in WITH_VALUE:
            value = next(words, None)
            if value is None:
                raise ConfigurationError(f'{word} needs a value after it.')
            found.get(WITH_VALUE[word], []).append(value)
    renamed: dict[str, str] = {}
    for rule in found['remap']:
        key, _, value = rule.partition(':=')
        whose, _, what = key.rpartition(':')
        if whose in ('', name):
            renamed.setdefault(what.replace('__name', '__node'), value)  # the first one counts
    namespace = renamed.get('__ns', '').strip('/')
    name = renamed.get('__node', name)
    full_name = f'/{namespace}/{name}' if namespace else f'/{name}'
    return RosArguments(full_name, [Path(file) for file in found['file']], found['p'])


def start_ros(argv: Sequence[str], **more: Any) -> None:
    """Starts ROS in this process.

    Args:
        argv: Its arguments.
        more: For ``rclpy.init``.

    Raises:
        ConfigurationError: ROS refuses an argument or setting, or cannot write its log.
    """
    domain = os.environ.get('ROS_DOMAIN_ID', '')
    if domain and not (domain.isdigit() and int(domain) <= LARGEST_DOMAIN):
        raise ConfigurationError(
            f'ROS does not start: ROS_DOMAIN_ID is {domain!r}. {start_advice("ROS_DOMAIN_ID")}'
        )
    try:
        rclpy.init(args=list(argv), **more)
    except Exception as error:  # rclpy raises several kinds, by distribution
        said = f'unknown arguments {error}' if 'Unknown' in type(error).__name__ else str(error)
        text = said_by_ros(said) or type(error).__name__
        raise ConfigurationError(f'ROS does not start: {text}. {start_advice(text)}') from error
