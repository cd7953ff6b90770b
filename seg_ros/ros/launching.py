# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: the arguments of the node, their checks, and the node itself.

An argument that is left empty leaves its parameter to the parameters file. Everything is checked
before anything starts: what launch finds out later would leave behind what runs by then.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, TimerAction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import options_of
from seg_ros.parameter_files import (
    config_of_given,
    did_you_mean,
    given_parameters,
    values_of_mapping,
)
from seg_ros.ros.device_lost import EXIT_DEVICE_LOST, RESTART_AFTER_S

__all__ = ['IMAGE_TOPIC', 'Argument', 'Cameras', 'existing_file', 'is_true', 'segmentation_launch']

IMAGE_TOPIC = '/camera/image'  # as seg_ros camera, RViz and Foxglove have it
TRUE, FALSE = ('true', '1', 'yes', 'on'), ('false', '0', 'no', 'off')  # as launch itself reads it
BACKENDS = next(rule.choices for name, _, rule in options_of(NodeConfig) if name == 'backend')


class Argument(NamedTuple):
    """A launch argument.

    Attributes:
        name: What it is given by.
        default: A word or substitution.
        description: For ``--show-args``.
        choices: The words that it takes; empty takes any.
    """

    name: str
    default: Any
    description: str
    choices: tuple[str, ...] = ()


class Cameras(NamedTuple):
    """What a launch file makes of its arguments."""

    parameters: Mapping[str, Any]
    remappings: Sequence[tuple[str, str]]


Words = Mapping[str, str]
Neighbours = Callable[[LaunchContext, Words], list[Any]]
OnExit = Callable[[Any, LaunchContext], list[TimerAction]]

PARAMS_FILE = PathJoinSubstitution([FindPackageShare('seg_ros'), 'config', 'segmentation.yaml'])
ARGUMENTS = (
    Argument('params_file', PARAMS_FILE, 'YAML file of parameters.'),
    Argument('params', '', "Parameters that win over the file, like '{stop.hold_s: 2.0}'."),
    Argument('engine', '', 'Name or path of an engine; empty: as the file says.'),
    Argument('backend', '', 'What runs the network; empty: as the file says.', ('', *BACKENDS)),
    Argument('autostart', '', 'true or false: configure and activate at start; empty: the file.'),
    Argument('use_sim_time', 'false', 'true or false: take the time from /clock.'),
    Argument('namespace', '', 'Namespace of the node.'),
    Argument('name', 'segmentation', 'Name of the node.'),
    Argument(
        'log_level', 'info', 'How much is logged.', ('debug', 'info', 'warn', 'error', 'fatal')
    ),
)


def segmentation_launch(
    file: str,
    own_arguments: Sequence[Argument],
    cameras: Callable[[Words], Cameras],
    neighbours: Neighbours = lambda _context, _words: [],
) -> LaunchDescription:
    """Returns the description of a launch file.

    Args:
        file: Its name.
        own_arguments: The arguments that it has beside those of the node.
        cameras: Makes parameters and remappings of the words of all arguments.
        neighbours: Checks the words and returns what is started beside the node.
    """
    arguments = (*own_arguments, *ARGUMENTS)

    def everything(context: LaunchContext) -> list[Any]:
        _check_names(file, [row.name for row in arguments])
        words = {row.name: LaunchConfiguration(row.name).perform(context) for row in arguments}

        def again(event: Any, _context: LaunchContext) -> list[TimerAction]:
            """Starts the node again where it ended because only a new process can use the GPU."""
            if event.returncode != EXIT_DEVICE_LOST:
                return []
            actions = [_node(words, cameras(words), again)]
            return [TimerAction(period=RESTART_AFTER_S, actions=actions)]

        node = _node(words, cameras(words), again)
        return [node, *neighbours(context, words)]

    declared = [
        DeclareLaunchArgument(
            row.name,
            default_value=row.default,
            description=row.description,
            **({'choices': list(row.choices)} if row.choices else {}),
        )
        for row in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=everything)])


def is_true(words: Words, name: str) -> bool:
    """Returns whether a launch argument says true.

    Raises:
        ConfigurationError: It says neither true nor false.
    """
    word = words[name].strip().lower()
    if word not in (*TRUE, *FALSE):
        likely = did_you_mean(word, ('true', 'false'))
        raise ConfigurationError(f'{name}:={words[name]}{likely}: write true or false.')
    return word in TRUE


def existing_file(words: Words, name: str) -> Path:
    """Returns the file that a launch argument names.

    Raises:
        ConfigurationError: There is none.
    """
    path = Path(words[name]).expanduser()
    if not path.is_file():
        raise ConfigurationError(f'{name}:={words[name]}: there is no such file. Give its path.')
    return path


def _node(words: Words, chosen: Cameras, on_exit: OnExit) -> LifecycleNode:
    """Returns the node, with everything that it is given looked at."""
    parameters = {
        **chosen.parameters,
        **{name: words[name] for name in ('engine', 'backend') if words[name]},
        **({'autostart': is_true(words, 'autostart')} if words['autostart'] else {}),
        'use_sim_time': is_true(words, 'use_sim_time'),
    }
    file = existing_file(words, 'params_file')
    given = _assignments(values_of_mapping(words['params'], 'params').items())
    parts = (*words['namespace'].strip('/').split('/'), words['name'])
    full_name = '/'.join(['', *filter(None, parts)])
    both = [*_assignments(parameters.items()), *given]
    config_of_given(given_parameters([file], both, full_name), NodeConfig())
    return LifecycleNode(
        package='seg_ros',
        executable='segmentation_node',
        name=words['name'],
        namespace=words['namespace'],
        parameters=[str(file)],
        remappings=list(chosen.remappings),
        # As arguments: a dictionary would become one more file, whose section /** loses against
        # one for this node above it, and launch_ros would type the words of a text once more
        arguments=[
            *('--ros-args', '--log-level', words['log_level']),
            *(word for assignment in both for word in ('-p', assignment)),
        ],
        output='screen',
        emulate_tty=True,
        on_exit=on_exit,
    )


def _assignments(rows: Iterable[tuple[str, Any]]) -> list[str]:
    return [f'{name}:={json.dumps(value)}' for name, value in rows]  # JSON is YAML


def _check_names(file: str, names: Sequence[str]) -> None:
    """Raises for an argument that the launch file does not have; launch takes any.

    What includes the launch file may have arguments of its own, so that only a command line that
    names the file is looked at.
    """
    if not any(Path(word).name == file for word in sys.argv):
        return
    for word in sys.argv:
        name, sign, _ = word.partition(':=')
        if sign and name not in names:
            raise ConfigurationError(
                f'{file} has no argument {name}{did_you_mean(name, names)}. It has '
                f"{', '.join(names)}. A parameter of the node goes into params:='{{…}}'."
            )
