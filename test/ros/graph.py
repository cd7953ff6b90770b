# SPDX-License-Identifier: Apache-2.0
"""A real ROS graph: the node under test and a peer that talks to it, each with its own DDS
participant, as in two processes.
"""

from __future__ import annotations

import array
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.ros.segmentation_node import SegmentationNode, autostart
from seg_ros.ros.spinning import spin_while

TIMEOUT_S = 60.0  # discovery alone takes seconds on a loaded machine
DEPTH = 100  # a test that stalls a moment still hears everything
RELIABLE = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Spinning:
    """A context with its executor in a thread."""

    def __init__(self, domain_id: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.executor = SingleThreadedExecutor(context=self.context)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        spin_while(lambda: not self._over.is_set(), self.executor, print, timeout_s=0.1)

    def close(self, nodes: list[Any]) -> None:
        self._over.set()
        self._thread.join(TIMEOUT_S)
        self.executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.shutdown(context=self.context)


class Graph:
    """The node under test and a peer node."""

    def __init__(self, domain_id: int) -> None:
        self._ours = Spinning(domain_id)
        self._theirs = Spinning(domain_id)
        self.peer = Node('peer', context=self._theirs.context)
        self._theirs.executor.add_node(self.peer)
        self.nodes: list[SegmentationNode] = []

    def node(
        self, *, started: bool = True, cli_args: Sequence[str] = (), **parameters: Any
    ) -> SegmentationNode:
        """Returns the node, active unless it shall not be started."""
        # A second process for each of hundreds of nodes takes an hour; it has tests of its own
        values = {'heartbeat_process': False, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = SegmentationNode(
            context=self._ours.context, parameter_overrides=overrides, cli_args=list(cli_args)
        )
        self.nodes.append(node)
        self._ours.executor.add_node(node)
        if started:
            assert autostart(node)
        return node

    def destroy(self, node: SegmentationNode) -> None:
        """Ends a node before the graph does."""
        self._ours.executor.remove_node(node)
        self.nodes.remove(node)
        node.destroy_node()

    def publisher(self, kind: type = Image, topic: str = '/image', qos: Any = RELIABLE) -> Any:
        return self.peer.create_publisher(kind, topic, qos)

    def collect(self, kind: type, topic: str, qos: Any = RELIABLE) -> list[Any]:
        """Subscribes; returns the list that the messages are appended to."""
        messages: list[Any] = []
        self.peer.create_subscription(kind, topic, messages.append, qos)
        return messages

    def connected(self, publisher: Any, topic: str = '/segmentation/label') -> None:
        """Waits until a camera reaches the node and the node reaches the peer."""
        self.read(publisher)
        wait_for(
            lambda: any(
                row.node_name == 'segmentation'
                for row in self.peer.get_publishers_info_by_topic(topic)
            ),
            f'the node publishes {topic}',
        )
        node = self.nodes[-1]
        wait_for(
            lambda: node.count_subscribers(topic) > 0, f'the node sees the subscriber of {topic}'
        )

    def read(self, publisher: Any) -> None:
        """Waits until the node's one subscription has the camera's type and reliability."""
        offered = publisher.msg_type.__name__, publisher.qos_profile.reliability

        def reads() -> bool:
            rows = self.peer.get_subscriptions_info_by_topic(publisher.topic_name)
            asked = [(row.topic_type.split('/')[-1], row.qos_profile.reliability) for row in rows]
            return publisher.get_subscription_count() == 1 and asked == [offered]

        wait_for(reads, 'the node reads what the camera offers')

    def close(self) -> None:
        for node in self.nodes:
            if node.chosen is not None and isinstance(node.chosen.backend, CannedBackend):
                node.chosen.backend.recover()
            node.stop_working()
            node.release()
        self._ours.close(self.nodes)
        self._theirs.close([self.peer])


@contextmanager
def graph_of(domain_id: int) -> Iterator[Graph]:
    graph = Graph(domain_id)
    try:
        yield graph
    finally:
        graph.close()


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Waits until a condition holds and returns its value; fails with what was waited for."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f'waited {timeout_s} s for: {what}'
        time.sleep(0.01)
    return value


def image_message(
    pixels: NDArray[np.uint8], stamp_ns: int = 1_500_000_000, frame_id: str = 'camera_optical'
) -> Image:
    """Returns an rgb8 or mono8 message."""
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding='rgb8' if pixels.ndim == 3 else 'mono8',
        step=int(np.prod(pixels.shape[1:])),
        header=header_of(stamp_ns, frame_id),
    )
    message.data = array.array('B', pixels.tobytes())
    return message


def header_of(stamp_ns: int, frame_id: str = 'camera_optical') -> Header:
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return header


def pixels_of(message: Image) -> NDArray[np.uint8]:
    """Returns the pixels of a packed message."""
    shape = (message.height, message.width, -1)
    return np.frombuffer(message.data, np.uint8).reshape(shape).squeeze()


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {row.key: row.value for row in status.values}


def latest_status(messages: list[DiagnosticArray], camera: str = 'camera') -> DiagnosticStatus:
    """Returns the newest status of a camera."""
    for message in reversed(messages):
        for status in message.status:
            if status.name == f'segmentation: {camera}':
                return status
    return DiagnosticStatus()
