# SPDX-License-Identifier: Apache-2.0
"""Hears labels and heartbeat; tells once a second how late they were, and when it beat."""

from __future__ import annotations

import json
import time

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from seg_ros.commands.faults.camera import STOP_TOPIC
from seg_ros.commands.soak.cameras import CAMERAS
from seg_ros.core.units import NS_PER_MS
from seg_ros.messages.conversions import stamp_ns_of
from seg_ros.ros.message_info import MessageInfo, source_time_ns, with_info

__all__: list[str] = []

TELL_S = 1.0


def main() -> None:
    """Listens until it is told to end."""
    rclpy.init(args=[])
    node = rclpy.create_node('soak_listener', start_parameter_services=False)
    late_ms: list[float] = []
    beats_ns: list[int] = []
    stops = [0]

    def see(message: Image) -> None:
        late_ms.append((time.time_ns() - stamp_ns_of(message.header)) / NS_PER_MS)

    def hear(message: Bool, info: MessageInfo) -> None:
        beats_ns.append(source_time_ns(info) or time.time_ns())
        stops[0] += message.data

    def tell() -> None:
        row = {'late_ms': [round(value, 2) for value in late_ms], 'beats_ns': beats_ns}
        print(json.dumps({**row, 'stops': stops[0]}), flush=True)
        late_ms.clear()
        beats_ns.clear()
        stops[0] = 0

    for camera in CAMERAS:
        topic = f'/segmentation/{camera}/label'
        node.create_subscription(Image, topic, see, QoSProfile(depth=2))
    qos = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
    node.create_subscription(Bool, STOP_TOPIC, with_info(hear), qos)
    node.create_timer(TELL_S, tell)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
