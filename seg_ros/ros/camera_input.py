# SPDX-License-Identifier: Apache-2.0
"""A camera's subscription: takes what its publisher offers and says why nothing arrives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.ros.message_info import MessageInfo, with_info
from seg_ros.ros.middleware import FASTDDS_PROFILE, profile_variable
from seg_ros.ros.renewal import Renewal
from seg_ros.ros.silence import cameras_among, nobody_publishes
from seg_ros.ros.stream_watch import SenderTurns

__all__ = ['CameraInput']

TRANSPORTS = {'raw': Image, 'compressed': CompressedImage}
TYPE_NAMES = {
    'raw': 'sensor_msgs/msg/Image',
    'compressed': 'sensor_msgs/msg/CompressedImage',
}
REPEAT_WARNING_S = 30.0  # often enough to be seen in a log, too seldom to fill it

OnMessage = Callable[[str, 'Image | CompressedImage', int], None]


class CameraInput:
    """Subscribes to one camera, latest frame only.

    Args:
        node: Creates the subscription.
        name: Name of the camera.
        topic: Image topic, before remapping.
        config: Says which transport and reliability to ask for.
        on_message: Called in the executor's thread with the camera's name, each message, and
            how many before it never arrived here, by the publisher's own count.
    """

    def __init__(
        self, node: Node, name: str, topic: str, config: NodeConfig, on_message: OnMessage
    ) -> None:
        self.name = name
        self.topic = node.resolve_topic_name(topic)
        self._node = node
        self._requested_topic = topic
        self._on_message = on_message
        self._transport = 'raw' if config.image_transport == 'auto' else config.image_transport
        self._auto_transport = config.image_transport == 'auto'
        asked = self._reliability_asked_for(config)
        self._auto_reliability = asked is None
        self._reliability = ReliabilityPolicy.BEST_EFFORT if asked is None else asked
        self._lock = threading.Lock()  # of the subscription
        self._is_over = False
        self._subscription: Any = None
        self._renewal = Renewal()
        self.number: int | None = None  # of the newest message, by the publisher's count
        self._heard_s = time.monotonic()
        self._heard_ros_ns = self._ros_ns()
        self._warned_s: float | None = None
        self._had_publisher = False
        self.turns = SenderTurns()
        self.problem = ''  # why nothing comes, in a sentence; empty while something may
        self._logged = ''
        self._adapt(self._publishers())
        self._subscribe()

    @property
    def type_name(self) -> str:
        """The message type that is asked for now."""
        return TYPE_NAMES[self._transport]

    @property
    def description(self) -> str:
        """The topic, type and reliability that are asked for now."""
        return f'{self.topic} ({self.type_name}, {self._reliability.name.lower()})'

    def watch(self, silence_warn_s: float) -> None:
        """Adapts to what the publisher offers now; warns when it is silent for too long."""
        publishers = self._publishers()
        now_s = time.monotonic()
        with self._lock:
            if self._is_over:
                return
            transport = self._transport
            if self._adapt(publishers):
                self._unsubscribe()
                if transport != self._transport:
                    # DDS refuses a second type on the topic until the executor has let go of the
                    # subscription that was destroyed: subscribe at the next watch.
                    return
            elif self._renewal.is_due(now_s, has_publisher=any(map(self._fits, publishers))):
                self._node.get_logger().info(
                    f'Camera {self.name}: nothing has come from {self.topic}; subscribes anew.'
                )
                self._unsubscribe()
            if self._subscription is None:
                self._subscribe()
        if bool(publishers) != self._had_publisher:
            self._had_publisher = bool(publishers)
            self._heard_s = now_s
            self._heard_ros_ns = self._ros_ns()
            self.problem = ''
        if now_s - self._heard_s < silence_warn_s:
            self.problem = ''
            if publishers:
                self._logged = ''
            return
        if not publishers:
            self._miss_publisher()
            return
        cause = self._likely_cause(publishers)
        self.problem = f'{self.topic} has a publisher, but nothing arrives. {cause}'
        if self._warned_s is None or now_s - self._warned_s >= REPEAT_WARNING_S:
            self._warned_s = now_s
            self._node.get_logger().warning(
                f'Camera {self.name}: {self.topic} has a publisher, but nothing has arrived for '
                f'{now_s - self._heard_s:.1f} s. {cause}'
            )

    def _miss_publisher(self) -> None:
        """Says who else publishes images; logs it once, and again once one may be meant."""
        cameras = cameras_among(dict(self._node.get_topic_names_and_types()))
        cameras = [topic for topic in cameras if self._node.count_publishers(topic)]
        self.problem = nobody_publishes(self.topic, cameras, self._requested_topic)
        if not self._logged or ('(did' in self.problem and '(did' not in self._logged):
            self._logged = self.problem
            self._node.get_logger().warning(f'Camera {self.name}: {self.problem}.')

    def destroy(self) -> None:
        """Ends the subscription for good, also while another thread is about to renew it."""
        with self._lock:
            self._is_over = True
            self._unsubscribe()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self.number = None

    def receive(self, message: Image | CompressedImage, info: MessageInfo) -> None:
        """Hands a message on, with how many were lost or replaced before it."""
        number = info.get('publication_sequence_number')
        missed = 0
        if number is not None and self.number is not None and number > self.number:
            missed = number - self.number - 1
        self.number = number
        self._heard_s = time.monotonic()
        self._heard_ros_ns = self._ros_ns()
        self._warned_s = None
        self._renewal.heard()
        self.turns.take(message.header.frame_id)
        self._on_message(self.name, message, missed)

    def _reliability_asked_for(self, config: NodeConfig) -> ReliabilityPolicy | None:
        """Returns what the user asks for, by qos_overrides or parameter; None leaves it to us.

        rclpy's own override keeps the first answer for ever; ours may follow the publisher, so
        the parameter of the standard name is declared here, with nothing in it.
        """
        name = f'qos_overrides.{self.topic}.subscription.reliability'
        if not self._node.has_parameter(name):
            self._node.declare_parameter(name, '')
        word = self._node.get_parameter(name).value or config.qos_reliability
        if word == 'auto':
            return None
        if word not in ('reliable', 'best_effort'):
            raise ConfigurationError(f'{name} is {word!r}. Choose reliable or best_effort.')
        return ReliabilityPolicy[word.upper()]

    def _publishers(self) -> list[TopicEndpointInfo]:
        return list(self._node.get_publishers_info_by_topic(self.topic))

    def _adapt(self, publishers: Sequence[TopicEndpointInfo]) -> bool:
        """Takes the type and reliability that publishers offer; returns whether they changed."""
        before = self._transport, self._reliability
        types = {row.topic_type for row in publishers}
        if self._auto_transport and TYPE_NAMES[self._transport] not in types:
            offered = (name for name, kind in TYPE_NAMES.items() if kind in types)
            self._transport = next(offered, self._transport)
        offers = [
            row.qos_profile.reliability
            for row in publishers
            if row.topic_type == TYPE_NAMES[self._transport]
        ]
        if self._auto_reliability and offers:
            reliable = all(offer == ReliabilityPolicy.RELIABLE for offer in offers)
            self._reliability = (
                ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
            )
        return before != (self._transport, self._reliability)

    def _fits(self, publisher: TopicEndpointInfo) -> bool:
        is_reliable = publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        asks_for_less = self._reliability == ReliabilityPolicy.BEST_EFFORT
        return publisher.topic_type == self.type_name and bool(is_reliable or asks_for_less)

    def _subscribe(self) -> None:
        self._renewal.made()
        try:
            self._subscription = self._node.create_subscription(
                TRANSPORTS[self._transport],
                self._requested_topic,
                with_info(self.receive),
                QoSProfile(
                    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=self._reliability
                ),
                qos_overriding_options=QoSOverridingOptions(
                    (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.DURABILITY)
                ),
            )
        except rclpy_implementation.RCLError as error:
            self._node.get_logger().debug(f'Camera {self.name}: tries again, {error}')
        else:
            self._node.get_logger().info(f'Camera {self.name}: reads {self.description}.')

    def _likely_cause(self, publishers: Sequence[TopicEndpointInfo]) -> str:
        wanted = TYPE_NAMES[self._transport]
        types = sorted({row.topic_type for row in publishers})
        if wanted not in types:
            return (
                f'It publishes {", ".join(types)}, this node reads {wanted}. Publish images '
                'there, remap the topic, or set image_transport to raw, compressed or auto.'
            )
        best_effort = [
            row.node_name
            for row in publishers
            if row.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        ]
        if self._reliability == ReliabilityPolicy.RELIABLE and best_effort:
            return (
                f'QoS does not fit: {best_effort[0]} publishes best effort, this node asks for '
                'reliable. Set qos_reliability to auto or best_effort.'
            )
        if self._node.get_parameter('use_sim_time').value and (
            self._ros_ns() == self._heard_ros_ns
        ):
            return (
                'use_sim_time is true and /clock stands still: start or resume what publishes '
                '/clock, or set use_sim_time to false.'
            )
        return (
            'Type and QoS fit. Either the camera sends nothing, or its images are larger than '
            "the publisher's shared memory (512 KiB unless set) and are lost: start the camera "
            f'driver with {profile_variable()}={FASTDDS_PROFILE}'
        )

    def _ros_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
