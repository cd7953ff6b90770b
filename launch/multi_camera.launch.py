# SPDX-License-Identifier: Apache-2.0
"""Launches one segmentation node for several cameras: one process, one engine.

ros2 launch seg_ros multi_camera.launch.py cameras:=front,left image_topic:=image

reads /front/image and /left/image and publishes ~/front/label, ~/left/label and so on.
"""

from collections.abc import Mapping

from launch import LaunchDescription

from seg_ros.ros.launching import Argument, Cameras, segmentation_launch

ARGUMENTS = (
    Argument('cameras', 'front,left,right,rear', 'Names of the cameras, commas between them.'),
    Argument('image_topic', 'image', 'Image topic below each camera.'),
)


def several_cameras(words: Mapping[str, str]) -> Cameras:
    names = [name.strip() for name in words['cameras'].split(',') if name.strip()]
    topics = [f'/{name}/{words["image_topic"]}' for name in names]
    return Cameras({'camera_names': names, 'image_topics': topics}, [])


def generate_launch_description() -> LaunchDescription:
    return segmentation_launch('multi_camera.launch.py', ARGUMENTS, several_cameras)
