# SPDX-License-Identifier: Apache-2.0
"""Launches the node for one camera and, behind it, Nav2's collision_monitor and a costmap.

ros2 launch seg_ros nav2.launch.py image_topic:=/camera/image costmap:=obstacle

A robot that runs the whole of Nav2 has a costmap already: say costmap:=none and merge the layers
of config/nav2 into its nav2_params.yaml, docs/nav2.md.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescription
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from seg_ros.core.errors import ConfigurationError
from seg_ros.ros.launching import (
    IMAGE_TOPIC,
    Argument,
    Cameras,
    existing_file,
    is_true,
    segmentation_launch,
)

# Whose collision_monitor ignores a source that is stale, so that the gate stands in front
OLD = ('humble', 'iron')
DISTROS = (*OLD, 'jazzy', 'kilted', 'lyrical', 'rolling')


def sourced() -> str | None:
    """Returns the distribution that is sourced; None, which launch asks for, where none is."""
    distro = os.environ.get('ROS_DISTRO')
    return distro if distro in DISTROS else None


ARGUMENTS = (
    Argument('image_topic', IMAGE_TOPIC, 'Image or CompressedImage topic of the camera.'),
    Argument('distro', sourced(), 'ROS distribution; $ROS_DISTRO unless given.', DISTROS),
    Argument('monitor_params', '', 'YAML of collision_monitor; empty: of config/nav2.'),
    Argument(
        'costmap',
        'obstacle',
        'The layer of config/nav2 in a costmap of its own.',
        ('obstacle', 'voxel', 'semantic', 'none'),
    ),
)
# The executable nav2_costmap_2d names its own node, whatever the launch file says.
COSTMAP_NODE = 'costmap/costmap'
MANAGER = 'lifecycle_manager_segmentation'


def one_camera(words: Mapping[str, str]) -> Cameras:
    return Cameras({}, [('image', words['image_topic'])])


def nav2(context: LaunchContext, words: Mapping[str, str]) -> list[Node]:
    """Returns collision_monitor, a costmap and who activates them; on Humble the gate, too."""
    has_costmap = words['costmap'] != 'none'
    time = {'use_sim_time': is_true(words, 'use_sim_time')}
    if has_costmap and time['use_sim_time']:
        # Its constructor gives use_sim_time:=false as the last word (costmap_2d_ros.cpp)
        raise ConfigurationError(
            'nav2_costmap_2d started by itself takes no sim time. Say costmap:=none, and merge '
            'the layer of config/nav2 into the costmap of your nav2_params.yaml, or play in the '
            "robot's time."
        )
    kind = 'humble' if words['distro'] in OLD else 'jazzy'
    file = PathJoinSubstitution(
        [FindPackageShare('seg_ros'), 'config', 'nav2', f'collision_monitor_{kind}.yaml']
    )
    monitor_file = str(existing_file(words, 'monitor_params')) if words['monitor_params'] else file
    packages = ['nav2_collision_monitor', 'nav2_lifecycle_manager']
    check_installed(context, [*packages, *['nav2_costmap_2d'] * has_costmap], words['distro'])
    nodes = [
        Node(
            package='nav2_collision_monitor',
            executable='collision_monitor',
            name='collision_monitor',
            parameters=[monitor_file, time],
            output='screen',
        ),
        manager(MANAGER, ['collision_monitor'], time),
    ]
    if has_costmap:
        nodes += [
            Node(
                package='nav2_costmap_2d',
                executable='nav2_costmap_2d',
                parameters=[costmap_parameters(context, words['costmap']), time],
                output='screen',
            ),
            # A costmap makes no bond (collision_monitor does, when it is activated): a manager
            # that waits for one would take down, after 4 s, all that it has brought up.
            manager(f'{MANAGER}_costmap', [COSTMAP_NODE], {'bond_timeout': 0.0, **time}),
        ]
    if kind == 'humble':
        stop = '/'.join(['', *words['namespace'].strip('/').split('/'), words['name']])
        nodes.append(
            Node(
                package='seg_ros',
                executable='seg_ros',
                name='pedestrian_gate',
                arguments=['gate'],
                remappings=[
                    ('cmd_vel_in', 'cmd_vel_smoothed'),
                    ('cmd_vel_out', 'cmd_vel_gated'),
                    ('pedestrian_stop', f'{stop.replace("//", "/")}/pedestrian_stop'),
                ],
                output='screen',
            )
        )
    return nodes


def manager(name: str, managed: list[str], more: Mapping[str, Any]) -> Node:
    """Returns who configures and activates other nodes."""
    return Node(
        package='nav2_lifecycle_manager',
        executable='lifecycle_manager',
        name=name,
        parameters=[{'node_names': managed, 'autostart': True}, more],
        output='screen',
    )


def check_installed(context: LaunchContext, packages: list[str], distro: str) -> None:
    """Raises when launch would find out only after the node is started."""
    for package in packages:
        try:
            FindPackageShare(package).perform(context)
        except Exception as error:
            name = package.replace('_', '-')
            msg = f'{package} is not installed: sudo apt install ros-{distro}-{name}'
            raise ConfigurationError(msg) from error


def costmap_parameters(context: LaunchContext, layer: str) -> dict[str, Any]:
    """Returns the parameters of config/nav2/costmap_LAYER_layer.yaml, whatever node takes them."""
    file = PathJoinSubstitution(
        [FindPackageShare('seg_ros'), 'config', 'nav2', f'costmap_{layer}_layer.yaml']
    )
    rows = yaml.safe_load(Path(file.perform(context)).read_text(encoding='utf-8'))
    parameters: dict[str, Any] = rows['local_costmap']['local_costmap']['ros__parameters']
    return parameters


def generate_launch_description() -> LaunchDescription:
    return segmentation_launch('nav2.launch.py', ARGUMENTS, one_camera, nav2)
