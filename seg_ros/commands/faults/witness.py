# SPDX-License-Identifier: Apache-2.0
"""The witness of ``seg_ros faults``: writes down every word of the stop, and when it was said.

A process of its own, whom no fault touches. What it heard are lines of JSON; ``judgement.py``
judges them.
"""

from __future__ import annotations

import json
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool

from seg_ros.commands.faults.camera import STOP_TOPIC
from seg_ros.ros.message_info import MessageInfo, source_time_ns, with_info

__all__ = ['main']

QOS = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)


def main() -> None:
    """Listens until it is told to end."""
    rclpy.init(args=[])
    node = rclpy.create_node('witness', start_parameter_services=False)

    def hear(message: Bool, info: MessageInfo) -> None:
        said_ns = source_time_ns(info) or time.time_ns()
        print(json.dumps({'said_ns': said_ns, 'stop': message.data}), flush=True)

    def hear_why(status: DiagnosticStatus) -> None:
        kinds = [row.value for row in status.values if row.key == 'kind']
        print(json.dumps({'kind': kinds[0] if kinds else '', 'why': status.message}), flush=True)

    node.create_subscription(Bool, STOP_TOPIC, with_info(hear), QOS)
    node.create_subscription(DiagnosticStatus, f'{STOP_TOPIC}/status', hear_why, QOS)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
