"""Launches the node for one camera and, behind it, Nav2's collision_monitor.

ros2 launch seg_ros nav2.launch.py image_topic:=/camera/image_raw distro:=jazzy

The costmap layers of config/nav2 belong into the nav2_params.yaml of the robot: docs/nav2.md.
"""

from collections.abc import Mapping

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
)


def one_camera(words: Mapping[str, str]) -> Cameras:
    return Cameras({}, [('image', words['image_topic'])])


def monitor(context: LaunchContext) -> list[Node]:
    """Returns collision_monitor and who activates it; on Humble with the gate in front."""
    words = {
        name: LaunchConfiguration(name).perform(context)
        for name in ('distro', 'monitor_params', 'use_sim_time', 'name', 'namespace')
    }
    kind = DISTROS.get(words['distro'], 'jazzy')
    file = words['monitor_params'] or PathJoinSubstitution(
        [FindPackageShare('seg_ros'), 'config', 'nav2', f'collision_monitor_{kind}.yaml']
    )
    time = {'use_sim_time': is_true(words['use_sim_time'])}
    nodes = [
        Node(
            package='nav2_collision_monitor',
            executable='collision_monitor',
            name='collision_monitor',
            parameters=[file, time],
            output='screen',
        ),
        Node(
            package='nav2_lifecycle_manager',
            executable='lifecycle_manager',
            name='lifecycle_manager_collision_monitor',
            parameters=[{'node_names': ['collision_monitor'], 'autostart': True}, time],
            output='screen',
        ),
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


def generate_launch_description() -> LaunchDescription:
    *declared, node = segmentation_launch(ARGUMENTS, one_camera).entities
    own = [
        DeclareLaunchArgument(row.name, default_value=row.default, description=row.description)
        for row in OWN
    ]
    return LaunchDescription([*declared, *own, node, OpaqueFunction(function=monitor)])
