"""What the graph says of the vehicle: each camera's lens and place, its motion, and TF.

The lens comes by CameraInfo, the place by TF (where tf2_ros is installed) or parameters, the
motion by odometry.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.zones import Motion
from seg_ros.messages.camera_info import Calibration, camera_info_topic
from seg_ros.messages.conversions import motion_of
from seg_ros.messages.lane import placed_lane
from seg_ros.messages.mounting import Mounting, wants_transforms

__all__ = [
    'CameraGeometry',
    'NodeTransforms',
    'OdometryInput',
    'lane_placing',
    'node_mounting',
    'node_transforms',
]

WAIT_S = 0.05  # for TF at a stamp: odometry of 20 Hz may come that much after the camera


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


class NodeTransforms:
    """Listens to TF for all who ask.

    Raises:
        ImportError: tf2_ros is not installed.
    """

    def __init__(self, node: Node) -> None:
        import tf2_ros

        self._clock_type = node.get_clock().clock_type
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def newest(self, frame: str, of_frame: str) -> Any:
        """Returns the newest TransformStamped of a frame in another; raises without one."""
        return self._buffer.lookup_transform(frame, of_frame, Time())

    def at(self, frame: str, of_frame: str, stamp_ns: int) -> Any:
        """Returns that of a time, and waits for it a little; not for the executor's thread."""
        stamp = Time(nanoseconds=stamp_ns, clock_type=self._clock_type)
        return self._buffer.lookup_transform(frame, of_frame, stamp, Duration(seconds=WAIT_S))


def node_transforms(node: Node, config: NodeConfig) -> NodeTransforms | None:
    """Returns TF where the parameters ask for it, and where it is welcome and there.

    Raises:
        ConfigurationError: TF is asked for, but tf2_ros is not installed.
    """
    if not (wants_transforms(config) or config.lane.frame):
        return None
    try:
        return NodeTransforms(node)
    except ImportError as error:
        for asked, instead in (
            (config.mount.source == 'tf', 'mount.source is tf: give mount.x to mount.yaw'),
            (config.lane.frame, f'lane.frame is {config.lane.frame}: leave it empty'),
        ):
            if asked:
                raise ConfigurationError(
                    f'{instead}, or install ros-<distribution>-tf2-ros-py; tf2_ros cannot be '
                    f'imported: {error}.'
                ) from error
        return None


def node_mounting(config: NodeConfig, transforms: NodeTransforms | None) -> Mounting:
    """Returns where the cameras are, from TF or from parameters, as the parameters say."""
    if transforms is None or not wants_transforms(config):
        return Mounting(config, None)
    return Mounting(config, transforms.newest)


def lane_placing(
    config: NodeConfig, transforms: NodeTransforms | None
) -> Callable[[LaneTrack], LaneTrack] | None:
    """Returns what puts a lane into ``lane.frame``; None where that is the base frame."""
    if transforms is None or not config.lane.frame:
        return None
    return functools.partial(
        placed_lane,
        frame=config.lane.frame,
        base_frame=config.base_frame,
        look_up=transforms.at,
    )
