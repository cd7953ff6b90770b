# SPDX-License-Identifier: Apache-2.0
"""Declares the configuration's options as ROS parameters and reads them back."""

from __future__ import annotations

import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import Option, ParameterValue, config_from_values, options_of
from seg_ros.core.parameters.renamed import RENAMED, with_new_names
from seg_ros.parameter_files import config_of_given, given_parameters
from seg_ros.ros.starting import ros_arguments

__all__ = [
    'Overrides',
    'changed_config',
    'declare_parameters',
    'descriptor_of',
    'given_overrides',
    'read_config',
]

ConfigT = TypeVar('ConfigT')


class Overrides(NamedTuple):
    """What a node is given.

    Attributes:
        parameters: For its constructor.
        warnings: For its log, a sentence each.
    """

    parameters: list[Parameter]
    warnings: Sequence[str]


def declare_parameters(node: Node, config: type[Any] = NodeConfig) -> None:
    """Declares every option with its description, unit, range and default.

    Raises:
        ConfigurationError: An override is out of its range or of the wrong type.
    """
    renamed = _renamed_values(node) if config is NodeConfig else {}
    for name, default, rule in options_of(config):
        value = renamed.get(name, list(default) if isinstance(default, tuple) else default)
        _declare(node, name, value, descriptor_of(rule, default))


def descriptor_of(rule: Option, default: ParameterValue) -> ParameterDescriptor:
    """Returns the descriptor that ``ros2 param describe`` shows."""
    words = [rule.doc]
    if rule.unit:
        words.append(f'Unit: {rule.unit}.')
    if rule.choices:
        words.append(f'One of {", ".join(rule.choices)}.')
    words.append('May change at any time.' if rule.live else 'Read at configure.')
    descriptor = ParameterDescriptor(description=' '.join(words))
    descriptor.dynamic_typing = rule.takes_bool
    if rule.low is not None and rule.high is not None:
        if isinstance(default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(rule.low), to_value=int(rule.high))
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(rule.low), to_value=float(rule.high))
            ]
    return descriptor


def read_config(node: Node, default: ConfigT) -> ConfigT:
    """Returns the parameters as they are now.

    Raises:
        ConfigurationError: They do not fit their choices or each other.
    """
    names = [name for name, _, _ in options_of(type(default))]
    return config_from_values(
        default, {row.name: _plain(row.value) for row in node.get_parameters(names)}
    )


def given_overrides(argv: Sequence[str], name: str, default: object) -> Overrides:
    """Returns what the arguments of a process give its node, after a look at all of it.

    rclpy would match sections otherwise on Humble, and would not look at names; so it is told what
    we read, as overrides, which win.

    Args:
        argv: All that follow the command.
        name: The node's, unless it is remapped.
        default: Configuration of the node.

    Raises:
        ConfigurationError: The node could not work with it.
    """
    arguments = ros_arguments(argv, name)
    given = given_parameters(arguments.files, arguments.assignments, arguments.node, type(default))
    config_of_given(given, default)
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.values.items()
        if value != ()
    }
    return Overrides(
        [Parameter(name, value=value) for name, value in plain.items()], given.warnings
    )


def changed_config(
    config: NodeConfig, changes: Iterable[Parameter], *, live_only: bool
) -> NodeConfig:
    """Returns the configuration with changed parameters.

    Args:
        config: The configuration before.
        changes: The parameters to change; those that are not options are ignored.
        live_only: Whether only options that may change at any time are allowed to.

    Raises:
        ConfigurationError: The change is refused, with the reason.
    """
    rules = {name: rule for name, _, rule in options_of(NodeConfig)}
    ours = [row for row in changes if row.name in rules]
    if live_only and (fixed := [row.name for row in ours if not rules[row.name].live]):
        raise ConfigurationError(
            f'{fixed[0]} is read at configure. Clean the node up, set it, configure it again.'
        )
    return config_from_values(config, {row.name: _plain(row.value) for row in ours})


def _renamed_values(node: Node) -> dict[str, Any]:
    """What is given under old names, by the names of now."""
    defaults = {name: default for name, default, _ in options_of(NodeConfig)}
    given = {}
    for name in {*RENAMED, *RENAMED.values()}:
        default = defaults[RENAMED.get(name, name)]
        # Declared without a value, a parameter has one only where somebody gives it
        _declare(node, name, Parameter.Type.from_parameter_value(default), ParameterDescriptor())
        value = node.get_parameter_or(name).value
        node.undeclare_parameter(name)
        if value is not None:
            given[name] = value
    return with_new_names(given, node.get_logger().warning)


def _declare(node: Node, name: str, value: Any, descriptor: ParameterDescriptor) -> None:
    try:
        node.declare_parameter(name, value, descriptor)
    except Exception as error:  # rclpy raises several kinds, by distribution
        raise ConfigurationError(f'Parameter {name}: {error}') from error


def _plain(value: Any) -> ParameterValue:
    # What a service sets comes as array.array
    is_many = isinstance(value, (list, tuple, array.array))
    plain: ParameterValue = tuple(value) if is_many else value
    return plain
