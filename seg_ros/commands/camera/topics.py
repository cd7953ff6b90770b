# SPDX-License-Identifier: Apache-2.0
"""What ``seg_ros camera`` publishes: images with their lens, and the truth where it is known."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String

from seg_ros.core.units import NS_PER_S
from seg_ros.messages.camera_info import camera_info_message
from seg_ros.messages.conversions import ReusedImage, compressed_message
from seg_ros.recordings.sources import ImageSource, SourceFrame

__all__ = ['TOPICS', 'CameraTopics']

TOPICS = ('image', 'image/compressed', 'camera_info', 'truth/label')
OTHER_DEPTH = 10  # of topics that are small and that recorders read
JPEG_QUALITY = 90
ARRIVE_S = 0.5  # small messages that have arrived may be acknowledged 3 s later only


class CameraTopics:
    """The publishers of one camera; an image is only made where somebody subscribes to it.

    Args:
        node: Creates the publishers, in its namespace.
        source: Says what there is to publish.
        frame_id: Frame of every message.
        image_qos: Of the raw image; the other topics have its reliability.
    """

    def __init__(
        self, node: Node, source: ImageSource, frame_id: str, image_qos: QoSProfile
    ) -> None:
        self._node = node
        self._frame_id = frame_id
        self._camera = source.camera
        self._image = ReusedImage('rgb8')
        self._label = ReusedImage('mono8')
        other_qos = QoSProfile(depth=OTHER_DEPTH, reliability=image_qos.reliability)
        self._publishers = {
            'image': node.create_publisher(Image, 'image', image_qos),
            'image/compressed': node.create_publisher(
                CompressedImage, 'image/compressed', other_qos
            ),
            'camera_info': node.create_publisher(CameraInfo, 'camera_info', other_qos),
        }
        if source.class_names is not None:
            self._publishers['truth/label'] = node.create_publisher(
                Image, 'truth/label', other_qos
            )
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._classes = node.create_publisher(String, 'truth/classes', latched)
            rows = [{'id': key, 'name': name} for key, name in source.class_names.items()]
            self._classes.publish(String(data=json.dumps({'unlabelled': 255, 'classes': rows})))

    def without_subscriber(self, topics: Sequence[str]) -> list[str]:
        """Returns those of the topics that nobody subscribes to.

        Args:
            topics: Names out of ``TOPICS``, of which those that there are not are left out, or
                full names of anybody's topics.
        """
        return [
            topic
            for topic in topics
            if (topic.startswith('/') and not self._node.count_subscribers(topic))
            or (topic in self._publishers and not self._wanted(topic))
        ]

    def publish(self, frame: SourceFrame, stamp_ns: int) -> None:
        """Publishes an image and all that belongs to it, under one header."""
        header = Header(frame_id=self._frame_id)
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
        if self._wanted('image'):
            self._publish_pixels('image', self._image, frame.image, header)
        if self._wanted('camera_info'):
            height, width = frame.image.shape[:2]
            info = camera_info_message(self._camera, (width, height))
            info.header = header
            self._publishers['camera_info'].publish(info)
        if frame.label is not None and self._wanted('truth/label'):
            self._publish_pixels('truth/label', self._label, frame.label, header)
        if self._wanted('image/compressed'):
            message = compressed_message(frame.image, JPEG_QUALITY)
            message.header = header
            self._publishers['image/compressed'].publish(message)

    def finish(self) -> None:
        """Gives what was published the time to arrive; it would be lost with this process."""
        give_up_s = time.monotonic() + ARRIVE_S
        for publisher in self._publishers.values():
            left_s = max(0.0, give_up_s - time.monotonic())
            publisher.wait_for_all_acked(Duration(seconds=left_s))

    def _wanted(self, topic: str) -> bool:
        return bool(self._publishers[topic].get_subscription_count())

    def _publish_pixels(
        self, topic: str, reused: ReusedImage, pixels: NDArray[np.uint8], header: Header
    ) -> None:
        np.copyto(reused.pixels(pixels.shape), pixels)
        reused.message.header = header
        self._publishers[topic].publish(reused.message)
