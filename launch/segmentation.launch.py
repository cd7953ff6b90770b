"""Launches the segmentation node for one camera.

ros2 launch seg_ros segmentation.launch.py image_topic:=/camera/image_raw engine:=roadseg
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = (
    ('image_topic', '/camera/image_raw', 'Image or CompressedImage topic of the camera.'),
    ('engine', 'roadsynth', 'Name or path of an engine.'),
    ('backend', 'auto', 'auto, onnxruntime or openvino.'),
    ('params_file', None, 'YAML file of parameters.'),
    ('namespace', '', 'Namespace of the node.'),
    ('name', 'segmentation', 'Name of the node.'),
    ('use_sim_time', 'false', 'Take the time from /clock.'),
    ('autostart', 'true', 'Configure and activate at start.'),
    ('log_level', 'info', 'debug, info, warn, error or fatal.'),
)


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
    node = LifecycleNode(
        package='seg_ros',
        executable='segmentation_node',
        name=LaunchConfiguration('name'),
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            LaunchConfiguration('params_file'),
            {
                'engine': ParameterValue(LaunchConfiguration('engine'), value_type=str),
                'backend': ParameterValue(LaunchConfiguration('backend'), value_type=str),
                'use_sim_time': ParameterValue(
                    LaunchConfiguration('use_sim_time'), value_type=bool
                ),
                'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
            },
        ],
        remappings=[('image', LaunchConfiguration('image_topic'))],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        output='screen',
        emulate_tty=True,
    )
    return LaunchDescription([*arguments, node])
