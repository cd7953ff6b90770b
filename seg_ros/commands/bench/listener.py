# SPDX-License-Identifier: Apache-2.0
"""The consumer of ``seg_ros bench``: keeps stamp and time of arrival of every image.

{"listen": ["/segmentation/label"], "reliability": "reliable", "depth": 10,
 "need_publisher": true}  →  {"listening": […]}, here once each topic has a publisher
{"count": true}    →  {"count": 120}
{"report": true}   →  {"received": {"/segmentation/label": [[stamp_ns, arrived_ns], …]}}
                       once nothing has arrived for a while; counting starts again
"""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from seg_ros.commands.bench.process import Order, Orders, answer
from seg_ros.messages.conversions import stamp_ns_of
from seg_ros.ros.middleware import prepare_process

__all__ = ['main']

PUBLISHER_TIMEOUT_S = 120.0  # a large engine takes its time to load
QUIET_S = 0.5  # nothing for so long: nothing more is under way

Arrivals = dict[str, list[tuple[int, int]]]


class BenchListener:
    """Subscribes to what the orders say and remembers when each image came."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._arrivals: Arrivals = {}
        self._lock = threading.Lock()

    def listen(self, order: Order) -> None:
        """Subscribes; returns when each topic has a publisher, where that is asked for."""
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=order['depth'],
            reliability=ReliabilityPolicy[order['reliability'].upper()],
        )
        for topic in order['listen']:
            self._arrivals[topic] = []
            self._node.create_subscription(Image, topic, partial(self._on_image, topic), qos)
        deadline_s = time.monotonic() + PUBLISHER_TIMEOUT_S
        for topic in order['listen'] if order['need_publisher'] else ():
            while not self._node.count_publishers(topic):
                if time.monotonic() > deadline_s:
                    raise TimeoutError(f'nobody publishes {topic} after {PUBLISHER_TIMEOUT_S} s')
                time.sleep(0.05)

    def count(self) -> int:
        with self._lock:
            return sum(len(rows) for rows in self._arrivals.values())

    def report(self) -> Arrivals:
        """Returns all that came since the last report, once nothing more comes."""
        before = -1
        while before != (before := self.count()):
            time.sleep(QUIET_S)
        with self._lock:
            arrivals = self._arrivals
            self._arrivals = {topic: [] for topic in arrivals}
        return arrivals

    def _on_image(self, topic: str, message: Image) -> None:
        arrived_ns = time.time_ns()
        with self._lock:
            self._arrivals[topic].append((stamp_ns_of(message.header), arrived_ns))


def obey(listener: BenchListener, orders: Orders) -> None:
    """Answers orders until they end."""
    while (order := orders.next()) is not None:
        if 'listen' in order:
            listener.listen(order)
            answer(listening=order['listen'])
        elif 'count' in order:
            answer(count=listener.count())
        else:
            answer(received=listener.report())


def main() -> None:
    prepare_process()
    rclpy.init()
    node = rclpy.create_node('bench_listener', start_parameter_services=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor,), daemon=True)
    thread.start()
    obey(BenchListener(node), Orders())
    rclpy.try_shutdown()
    thread.join()


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


if __name__ == '__main__':
    main()
