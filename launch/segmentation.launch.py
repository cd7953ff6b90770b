# SPDX-License-Identifier: Apache-2.0
"""Launches the segmentation node for one camera.

ros2 launch seg_ros segmentation.launch.py image_topic:=/camera/image engine:=roadseg
"""

from collections.abc import Mapping

from launch import LaunchDescription

from seg_ros.ros.launching import IMAGE_TOPIC, Argument, Cameras, segmentation_launch

ARGUMENTS = (
    Argument('image_topic', IMAGE_TOPIC, 'Image or CompressedImage topic of the camera.'),
)


def one_camera(words: Mapping[str, str]) -> Cameras:
    return Cameras({}, [('image', words['image_topic'])])


def generate_launch_description() -> LaunchDescription:
    return segmentation_launch('segmentation.launch.py', ARGUMENTS, one_camera)
