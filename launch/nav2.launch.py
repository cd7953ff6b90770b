# SPDX-License-Identifier: Apache-2.0
"""Launches the node for one camera and, behind it, Nav2's collision_monitor and a costmap.

ros2 launch seg_ros nav2.launch.py image_topic:=/camera/image_raw distro:=jazzy

A robot that runs the whole of Nav2 has a costmap already: say costmap:=none and merge the layers
of config/nav2 into its nav2_params.yaml, docs/nav2.md.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from seg_ros.ros.launching import Argument, Cameras, is_true, segmentation_launch

DISTROS = {'humble': 'humble', 'iron': 'humble'}  # all others are as Jazzy is
ARGUMENTS = (
    Argument('image_topic', '/camera/image_raw', 'Image or CompressedImage topic of the camera.'),
)
OWN = (
    Argument('distro', 'jazzy', 'ROS distribution: Humble ignores stale sources, see the file.'),
    Argument('monitor_params', '', 'YAML of collision_monitor; empty: of config/nav2.'),
    Argument(
        'costmap', 'obstacle', 'obstacle, voxel, semantic or none: the layer of config/nav2.'
    ),
)
# The executable nav2_costmap_2d names its own node, whatever the launch file says.
COSTMAP_NODE = 'costmap/costmap'


def one_camera(words: Mapping[str, str]) -> Cameras:
    return Cameras({}, [('image', words['image_topic'])])


def nav2(context: LaunchContext) -> list[Node]:
    """Returns collision_monitor, a costmap and who activates them; on Humble the gate, too."""
    words = {
        name: LaunchConfiguration(name).perform(context)
        for name in ('distro', 'monitor_params', 'costmap', 'use_sim_time', 'name', 'namespace')
    }
    kind = DISTROS.get(words['distro'], 'jazzy')
    file = words['monitor_params'] or PathJoinSubstitution(
        [FindPackageShare('seg_ros'), 'config', 'nav2', f'collision_monitor_{kind}.yaml']
    )
    time = {'use_sim_time': is_true(words['use_sim_time'])}
    managed = ['collision_monitor']
    nodes = [
        Node(
            package='nav2_collision_monitor',
            executable='collision_monitor',
            name='collision_monitor',
            parameters=[file, time],
            output='screen',
        ),
    ]
    if words['costmap'] != 'none':
        managed.append(COSTMAP_NODE)
        nodes.append(
            Node(
                package='nav2_costmap_2d',
                executable='nav2_costmap_2d',
                parameters=[costmap_parameters(context, words['costmap']), time],
                output='screen',
            )
        )
    nodes.append(
        Node(
            package='nav2_lifecycle_manager',
            executable='lifecycle_manager',
            name='lifecycle_manager_segmentation',
            parameters=[{'node_names': managed, 'autostart': True}, time],
            output='screen',
        )
    )
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


def costmap_parameters(context: LaunchContext, layer: str) -> dict[str, Any]:
    """Returns the parameters of config/nav2/costmap_LAYER_layer.yaml, whatever node takes them."""
    file = PathJoinSubstitution(
        [FindPackageShare('seg_ros'), 'config', 'nav2', f'costmap_{layer}_layer.yaml']
    )
    rows = yaml.safe_load(Path(file.perform(context)).read_text(encoding='utf-8'))
    parameters: dict[str, Any] = rows['local_costmap']['local_costmap']['ros__parameters']
    return parameters


def generate_launch_description() -> LaunchDescription:
    *declared, node = segmentation_launch(ARGUMENTS, one_camera).entities
    own = [
        DeclareLaunchArgument(row.name, default_value=row.default, description=row.description)
        for row in OWN
    ]
    return LaunchDescription([*declared, *own, node, OpaqueFunction(function=nav2)])
