# SPDX-License-Identifier: Apache-2.0
"""The publishers of one camera: its images, and everything that is decided about its frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import Header, String

from seg_ros.core.lane.track import LaneTrack
from seg_ros.decisions import FrameDecisions
from seg_ros.inference.engine import Engine
from seg_ros.messages.conversions import (
    LABEL_INFO,
    ReusedImage,
    classes_message,
    compressed_message,
    label_info_message,
)
from seg_ros.messages.outputs import IMAGE_OUTPUTS, DecisionOutput
from seg_ros.messages.types import has_type, message_type
from seg_ros.pipeline import FrameImages

__all__ = ['CameraOutputs', 'DecisionOutputs']

# Reliable serves best-effort and reliable subscribers alike. The depth is for readers that want
# every image and are late at times, such as recorders.
IMAGE_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE
)
LABEL_INFO_TOPICS = ('label_info', 'costmap/label_info')  # beside each image that it is about
LATCHED_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# The newest decision counts; one more is kept for a reader that is late by a frame.
DECISION_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)


class CameraOutputs:
    """The publishers of one camera's images and of the names of their classes.

    Args:
        node: Creates the publishers.
        prefix: ``~`` or ``~/<camera>``.
        engine: Names the classes.
    """

    def __init__(self, node: Node, prefix: str, engine: Engine) -> None:
        self._node = node
        self._engine = engine
        self._publishers = {
            row.topic: node.create_publisher(
                message_type(row.type_name),
                f'{prefix}/{row.topic}',
                IMAGE_QOS,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for row in IMAGE_OUTPUTS.values()
        }
        self._images = {
            row.image: ReusedImage(row.encoding)
            for row in IMAGE_OUTPUTS.values()
            if row.encoding != 'jpeg'
        }
        self._classes = node.create_publisher(String, f'{prefix}/classes', LATCHED_QOS)
        self._label_infos = [
            node.create_publisher(message_type(LABEL_INFO), f'{prefix}/{topic}', LATCHED_QOS)
            for topic in LABEL_INFO_TOPICS
            if has_type(LABEL_INFO)
        ]

    def wanted(self) -> set[str]:
        """Returns the images, out of ``pipeline.IMAGES``, that somebody subscribes to."""
        return {
            IMAGE_OUTPUTS[topic].image
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count() > 0
        }

    def allocate(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Returns the bytes of the message that carries an image, to be written in place."""
        return self._images[name].pixels(shape)

    def publish(self, header: Header, images: FrameImages, jpeg_quality: int) -> int:
        """Publishes what was made, under the header of the camera's message.

        Returns:
            When the first topic, which is the label image if anybody wants it, was out; by the
            monotonic clock, in nanoseconds.
        """
        first_ns = None
        for topic, publisher in self._publishers.items():
            row = IMAGE_OUTPUTS[topic]
            pixels = getattr(images, row.image)
            if pixels is None or publisher.get_subscription_count() == 0:
                continue
            message: Any
            if row.encoding != 'jpeg':
                message = self._images[row.image].message
            else:
                message = compressed_message(pixels, jpeg_quality)
            message.header = header
            publisher.publish(message)
            first_ns = first_ns or time.monotonic_ns()
        return first_ns or time.monotonic_ns()

    def publish_classes(self, header: Header, threshold: float) -> None:
        """Publishes the names of the classes, latched."""
        self._classes.publish(classes_message(self._engine.name, self._engine.label_map))
        for publisher in self._label_infos:
            publisher.publish(label_info_message(header, self._engine.label_map, threshold))

    def destroy(self) -> None:
        """Removes the publishers from the graph."""
        for publisher in (*self._publishers.values(), self._classes, *self._label_infos):
            self._node.destroy_publisher(publisher)


class DecisionOutputs:
    """The publishers of one camera's decisions.

    Args:
        node: Creates the publishers.
        prefix: ``~`` or ``~/<camera>``.
        base_frame: Frame of what is published in metres.
        rows: What is published.
        place: Puts a lane into the frame of its paths; None leaves them in the base frame.

    What needs a package that is not installed is left out, and the log says so.
    """

    def __init__(
        self,
        node: Node,
        prefix: str,
        base_frame: str,
        rows: tuple[DecisionOutput, ...],
        place: Callable[[LaneTrack], LaneTrack] | None = None,
    ) -> None:
        self._node = node
        self._place = place
        self._base_frame = base_frame
        self._publishers = [
            (
                row,
                node.create_publisher(
                    message_type(row.type_name), f'{prefix}/{row.topic}', DECISION_QOS
                ),
            )
            for row in rows
            if self._is_possible(row)
        ]

    def wanted(self) -> set[str]:
        """Returns what must be decided for those who subscribe."""
        return {
            need
            for row, publisher in self._publishers
            if publisher.get_subscription_count() > 0
            for need in row.needs
        }

    def publish(self, camera_header: Header, decisions: FrameDecisions) -> None:
        """Publishes under the stamp of the image."""
        headers = {
            'base': Header(stamp=camera_header.stamp, frame_id=self._base_frame),
            'camera': camera_header,
        }
        lane = decisions.lane
        if self._place is not None and lane is not None and lane.valid and self._is_lane_wanted():
            decisions = replace(decisions, lane=self._place(lane))
        for row, publisher in self._publishers:
            if publisher.get_subscription_count() > 0:
                message = row.make(headers[row.frame], decisions)
                if message is not None:
                    publisher.publish(message)

    def publish_silence(self) -> None:
        """Tells those who would believe the last message for ever that no frame is judged."""
        stamp = self._node.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=self._base_frame)
        for row, publisher in self._publishers:
            if row.when_silent and publisher.get_subscription_count() > 0:
                publisher.publish(row.make(header, FrameDecisions()))

    def _is_lane_wanted(self) -> bool:
        return any(
            row.topic.startswith('lane_track') and publisher.get_subscription_count() > 0
            for row, publisher in self._publishers
        )

    def _is_possible(self, row: DecisionOutput) -> bool:
        if has_type(row.type_name):
            return True
        package = row.type_name.partition('/')[0]
        self._node.get_logger().warning(
            f'There is no {row.topic}, because {package} is not installed. Install '
            f'ros-$ROS_DISTRO-{package.replace("_", "-")} and start the node again.'
        )
        return False

    def destroy(self) -> None:
        """Removes the publishers from the graph."""
        for _, publisher in self._publishers:
            self._node.destroy_publisher(publisher)
