"""The lens and the place of a camera of the graph."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.messages.camera_info import Calibration, camera_info_topic
from seg_ros.messages.mounting import Mounting

__all__ = ['CameraGeometry']


class CameraGeometry:
    """Follows the calibration of one camera.

    Args:
        node: Creates the subscription.
        name: Name of the camera.
        image_topic: Its CameraInfo is beside it, after remapping.
        mounting: Knows where the cameras are.
    """

    def __init__(self, node: Node, name: str, image_topic: str, mounting: Mounting) -> None:
        self._node = node
        self._name = name
        self._calibration = Calibration(
            lambda frame_id, now_ns: mounting.mount(name, frame_id, now_ns)
        )
        self._subscription = node.create_subscription(
            CameraInfo,
            camera_info_topic(node.resolve_topic_name(image_topic)),
            self._on_info,
            qos_profile_sensor_data,
        )

    @property
    def topic(self) -> str:
        return str(self._subscription.topic_name)

    @property
    def reason(self) -> str:
        """Why there is no camera; empty when there is one."""
        return self._calibration.reason

    def camera(self) -> Camera | None:
        """Returns the calibrated camera at its place, None with ``reason`` set."""
        return self._calibration.camera(self._node.get_clock().now().nanoseconds)

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _on_info(self, message: CameraInfo) -> None:
        known = self._calibration.reason
        try:
            self._calibration.take(message)
        except ConfigurationError as error:
            if known != str(error):
                self._node.get_logger().error(f'Camera {self._name}, {self.topic}: {error}')
