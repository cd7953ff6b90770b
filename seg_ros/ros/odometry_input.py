"""The vehicle's speed and yaw rate, from odometry."""

from __future__ import annotations

from collections.abc import Callable

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from seg_ros.core.stop.zones import Motion
from seg_ros.messages.conversions import motion_of

__all__ = ['OdometryInput']


class OdometryInput:
    """Subscribes to odometry."""

    def __init__(self, node: Node, topic: str, on_motion: Callable[[Motion], None]) -> None:
        self._node = node
        self._on_motion = on_motion
        self._subscription = node.create_subscription(
            Odometry, topic, self._receive, qos_profile_sensor_data
        )

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _receive(self, message: Odometry) -> None:
        self._on_motion(motion_of(message))
