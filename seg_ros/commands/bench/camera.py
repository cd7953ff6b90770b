# SPDX-License-Identifier: Apache-2.0
"""The camera of ``seg_ros bench``: publishes images at an even rate and keeps their stamps.

    {"topics": ["/image"], "width": 1280, "height": 720, "rate_hz": 30, "seconds": 5,
     "reliability": "reliable"}  →  {"sent": {"/image": [stamp_ns, …]}}

Several topics are served in turn within a period. Any further order ends the one that runs.
"""

from __future__ import annotations

import time

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from seg_ros.commands.bench.process import Order, Orders, answer
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.conversions import ReusedImage
from seg_ros.ros.middleware import prepare_process

__all__ = ['main']

SUBSCRIBER_TIMEOUT_S = 60.0  # discovery takes seconds on a loaded machine
SETTLE_S = 1.0  # the node subscribes anew once it has seen what the camera offers
DEPTH = 5  # of a camera driver


class BenchCamera:
    """Publishes what the orders say."""

    def __init__(self, node: Node, orders: Orders) -> None:
        self._node = node
        self._orders = orders
        self._publishers: dict[tuple[str, str], Publisher] = {}

    def play(self, order: Order) -> dict[str, list[int]]:
        """Returns the stamps of what was sent, by topic; see the module for the order."""
        publishers = [self._publisher(topic, order['reliability']) for topic in order['topics']]
        message = picture(order['width'], order['height'])
        sent: dict[str, list[int]] = {topic: [] for topic in order['topics']}
        period_s = 1.0 / order['rate_hz'] / len(publishers)
        start_s = time.monotonic()
        for count in range(round(order['seconds'] / period_s)):
            due_s = start_s + count * period_s
            if not self._orders.is_empty():
                break
            time.sleep(max(0.0, due_s - time.monotonic()))
            turn = count % len(publishers)
            stamp_ns = time.time_ns()
            stamp = message.header.stamp
            stamp.sec, stamp.nanosec = divmod(stamp_ns, NS_PER_S)
            publishers[turn].publish(message)
            sent[order['topics'][turn]].append(stamp_ns)
        return sent

    def _publisher(self, topic: str, reliability: str) -> Publisher:
        """Returns a publisher that somebody listens to."""
        publisher = self._publishers.get((topic, reliability))
        if publisher is None:
            qos = QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=DEPTH,
                reliability=ReliabilityPolicy[reliability.upper()],
            )
            publisher = self._node.create_publisher(Image, topic, qos)
            self._publishers[topic, reliability] = publisher
            deadline_s = time.monotonic() + SUBSCRIBER_TIMEOUT_S
            while not publisher.get_subscription_count() and time.monotonic() < deadline_s:
                time.sleep(0.05)
            if not publisher.get_subscription_count():
                raise TimeoutError(f'nobody subscribed to {topic} in {SUBSCRIBER_TIMEOUT_S} s')
            time.sleep(SETTLE_S)
        return publisher


def picture(width: int, height: int) -> Image:
    """Returns an rgb8 message with some structure in it."""
    image = ReusedImage('rgb8')
    pixels = image.pixels((height, width, 3))
    rows, columns = np.ogrid[:height, :width]
    for channel in range(3):
        pixels[..., channel] = (rows * (channel + 1) + columns * 2) // 4
    image.message.header.frame_id = 'bench_camera'
    return image.message


def main() -> None:
    prepare_process()
    rclpy.init()
    orders = Orders()
    camera = BenchCamera(rclpy.create_node('bench_camera', start_parameter_services=False), orders)
    while (order := orders.next()) is not None:
        if 'topics' in order:
            answer(sent=camera.play(order))
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
