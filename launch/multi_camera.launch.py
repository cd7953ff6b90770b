"""Launches one segmentation node for several cameras: one process, one engine.

ros2 launch seg_ros multi_camera.launch.py cameras:=front,left image_topic:=image_raw

reads /front/image_raw and /left/image_raw and publishes ~/front/label, ~/left/label and so on.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = (
    ('cameras', 'front,left,right,rear', 'Names of the cameras, commas between them.'),
    ('image_topic', 'image_raw', 'Image topic below each camera.'),
    ('engine', 'roadsynth', 'Name or path of an engine.'),
    ('backend', 'auto', 'auto, onnxruntime or openvino.'),
    ('params_file', None, 'YAML file of parameters.'),
    ('namespace', '', 'Namespace of the node.'),
    ('name', 'segmentation', 'Name of the node.'),
    ('use_sim_time', 'false', 'Take the time from /clock.'),
    ('autostart', 'true', 'Configure and activate at start.'),
    ('log_level', 'info', 'debug, info, warn, error or fatal.'),
)


def node_for_cameras(context: LaunchContext) -> list[LifecycleNode]:
    """Returns the node; a function, since the list of cameras is known at launch only."""
    words = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    cameras = [name.strip() for name in words['cameras'].split(',') if name.strip()]
    return [
        LifecycleNode(
            package='seg_ros',
            executable='segmentation_node',
            name=words['name'],
            namespace=words['namespace'],
            parameters=[
                words['params_file'],
                {
                    'camera_names': cameras,
                    'image_topics': [f'/{name}/{words["image_topic"]}' for name in cameras],
                    'engine': words['engine'],
                    'backend': words['backend'],
                    'use_sim_time': words['use_sim_time'].lower() == 'true',
                    'autostart': words['autostart'].lower() == 'true',
                },
            ],
            arguments=['--ros-args', '--log-level', words['log_level']],
            output='screen',
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Returns the arguments and the node; the arguments win over the file."""
    params_file = PathJoinSubstitution(
        [FindPackageShare('seg_ros'), 'config', 'segmentation.yaml']
    )
    arguments = [
        DeclareLaunchArgument(
            name,
            default_value=params_file if name == 'params_file' else default,
            description=description,
        )
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=node_for_cameras)])
