# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: the arguments of the node, and the node itself.

An argument that is left empty leaves its parameter to the parameters file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, TimerAction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from seg_ros.ros.device_lost import EXIT_DEVICE_LOST, RESTART_AFTER_S

__all__ = ['Argument', 'Cameras', 'segmentation_launch']


class Argument(NamedTuple):
    """A launch argument."""

    name: str
    default: Any
    description: str


class Cameras(NamedTuple):
    """What a launch file makes of its arguments."""

    parameters: Mapping[str, Any]
    remappings: Sequence[tuple[str, str]]


PARAMS_FILE = PathJoinSubstitution([FindPackageShare('seg_ros'), 'config', 'segmentation.yaml'])
ARGUMENTS = (
    Argument('params_file', PARAMS_FILE, 'YAML file of parameters.'),
    Argument('engine', '', 'Name or path of an engine; empty: as the file says.'),
    Argument('backend', '', 'auto, onnxruntime or openvino; empty: as the file says.'),
    Argument('autostart', '', 'true or false: configure and activate at start; empty: the file.'),
    Argument('use_sim_time', 'false', 'Take the time from /clock.'),
    Argument('namespace', '', 'Namespace of the node.'),
    Argument('name', 'segmentation', 'Name of the node.'),
    Argument('log_level', 'info', 'debug, info, warn, error or fatal.'),
)


def segmentation_launch(
    own_arguments: Sequence[Argument], cameras: Callable[[Mapping[str, str]], Cameras]
) -> LaunchDescription:
    """Returns the description of a launch file.

    Args:
        own_arguments: The arguments that say which cameras there are.
        cameras: Makes parameters and remappings of the words of all arguments.
    """
    arguments = (*own_arguments, *ARGUMENTS)

    def again(event: Any, context: LaunchContext) -> list[TimerAction]:
        """Starts the node again where it ended because only a new process can use the GPU."""
        if event.returncode != EXIT_DEVICE_LOST:
            return []
        return [TimerAction(period=RESTART_AFTER_S, actions=node(context))]

    def node(context: LaunchContext) -> list[LifecycleNode]:
        words = {row.name: LaunchConfiguration(row.name).perform(context) for row in arguments}
        chosen = cameras(words)
        parameters = {
            **chosen.parameters,
            **{name: words[name] for name in ('engine', 'backend') if words[name]},
            **({'autostart': is_true(words['autostart'])} if words['autostart'] else {}),
            'use_sim_time': is_true(words['use_sim_time']),
        }
        return [
            LifecycleNode(
                package='seg_ros',
                executable='segmentation_node',
                name=words['name'],
                namespace=words['namespace'],
                parameters=[words['params_file'], parameters],
                remappings=list(chosen.remappings),
                arguments=['--ros-args', '--log-level', words['log_level']],
                output='screen',
                emulate_tty=True,
                on_exit=again,
            )
        ]

    declared = [
        DeclareLaunchArgument(row.name, default_value=row.default, description=row.description)
        for row in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=node)])


def is_true(word: str) -> bool:
    """Returns whether a launch argument says true, as launch itself reads it."""
    return word.strip().lower() in ('true', '1', 'yes', 'on')
