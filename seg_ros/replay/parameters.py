# SPDX-License-Identifier: Apache-2.0
"""The node's parameters from a YAML file and from ``name:=value``, without a node."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import Option, ParameterValue, config_from_values, options_of
from seg_ros.core.parameters.renamed import with_new_names

__all__ = ['config_of']

LOGGER = logging.getLogger(__name__)
NODE_NAMES = ('/**', 'segmentation', '/segmentation')
NOT_OURS = ('use_sim_time', 'qos_overrides')


def config_of(file: Path | None, assignments: Sequence[str]) -> NodeConfig:
    """Returns the parameters as the node would have them.

    Args:
        file: A parameter file of ROS, like ``config/segmentation.yaml``; None has the defaults.
        assignments: Like ``mount.z:=[1.4]``; they win.

    Raises:
        ConfigurationError: The file cannot be read, or a value that the node would refuse.
    """
    values = dict(_file_values(file)) if file is not None else {}
    values.update(_assigned(text) for text in assignments)
    defaults = {name: (default, rule) for name, default, rule in options_of(NodeConfig)}
    checked: dict[str, ParameterValue] = {}
    for name, value in with_new_names(values, LOGGER.warning).items():
        if name.split('.')[0] in NOT_OURS:
            continue
        if name not in defaults:
            raise ConfigurationError(
                f'There is no parameter {name}. config/segmentation.yaml has them all.'
            )
        checked[name] = _checked(name, value, *defaults[name])
    return config_from_values(NodeConfig(), checked)


def _file_values(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        content = yaml.safe_load(file.read_text(encoding='utf-8'))
        for name in NODE_NAMES:
            if name in content:
                yield from _flat(content[name]['ros__parameters'], '')
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        msg = (
            f'{file} was to be read as a parameter file, but: {error!r}. It needs "/**:" and, '
            'below it, "ros__parameters:", like config/segmentation.yaml.'
        )
        raise ConfigurationError(msg) from error


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def _assigned(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition(':=')
    if not sign:
        raise ConfigurationError(f'-p {text}: write it like stop.hold_s:=1.5')
    return name, yaml.safe_load(value)


def _checked(name: str, value: Any, default: ParameterValue, rule: Option) -> ParameterValue:
    """Returns a value of the type that rclpy would take."""
    if isinstance(default, tuple) and isinstance(value, list):
        kind = type(default[0])
        if all(type(item) is kind for item in value):
            return tuple(value)
    elif type(value) is type(default) or (isinstance(value, bool) and rule.takes_bool):
        return value
    raise ConfigurationError(
        f'{name} is {value!r}, but its type must be that of {default!r}, its default.'
    )
