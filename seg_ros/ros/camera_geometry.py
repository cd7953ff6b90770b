"""The lens and the place of a camera: from its CameraInfo and its mounting."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from seg_ros.core.camera import Camera, CameraIntrinsics
from seg_ros.core.errors import ConfigurationError
from seg_ros.ros.mounting import Mounting

__all__ = ['CameraGeometry', 'camera_info_topic']


def camera_info_topic(image_topic: str) -> str:
    """Returns where the CameraInfo of an image topic is, as image_transport has it."""
    base = image_topic.removesuffix('/compressed')
    namespace, slash, _ = base.rpartition('/')
    return f'{namespace}{slash}camera_info'


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
        self._mounting = mounting
        self._intrinsics: CameraIntrinsics | None = None
        self._frame_id = ''
        self._camera: Camera | None = None
        self.reason = 'no CameraInfo has come yet'
        self._subscription = node.create_subscription(
            CameraInfo,
            camera_info_topic(node.resolve_topic_name(image_topic)),
            self._on_info,
            qos_profile_sensor_data,
        )

    @property
    def topic(self) -> str:
        return str(self._subscription.topic_name)

    def camera(self) -> Camera | None:
        """Returns the calibrated camera at its place, None with ``reason`` set."""
        if self._intrinsics is None:
            return None
        mount, reason = self._mounting.mount(self._name, self._frame_id)
        if mount is None:
            self.reason = reason
            return None
        if mount.z <= 0.0:
            self.reason = f'the camera is {mount.z:.2f} m above the ground; it must be above it'
            return None
        self.reason = ''
        if self._camera is None or (self._camera.intrinsics, self._camera.mount) != (
            self._intrinsics,
            mount,
        ):
            self._camera = Camera(self._intrinsics, mount)
        return self._camera

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _on_info(self, message: CameraInfo) -> None:
        self._frame_id = message.header.frame_id
        try:
            self._intrinsics = intrinsics_of(message, self._intrinsics)
        except ConfigurationError as error:
            self._intrinsics, self._camera = None, None
            if self.reason != str(error):
                self.reason = str(error)
                self._node.get_logger().error(f'Camera {self._name}, {self.topic}: {error}')


def intrinsics_of(message: CameraInfo, known: CameraIntrinsics | None) -> CameraIntrinsics:
    """Returns the lens of a CameraInfo; the known one where it is the same.

    Raises:
        ConfigurationError: The message does not describe a calibrated camera.
    """
    made = CameraIntrinsics(
        width=int(message.width),
        height=int(message.height),
        k=np.array(message.k, np.float64).reshape(3, 3),
        distortion_model=message.distortion_model,
        d=np.array(message.d, np.float64),
    )
    return known if known == made else made
