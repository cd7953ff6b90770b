"""Where a camera is on the vehicle: from TF where tf2_ros is installed, else from parameters."""

from __future__ import annotations

import importlib
import math
from typing import Any

from rclpy.node import Node
from rclpy.time import Time

from seg_ros.core.camera import Mount
from seg_ros.core.config import NodeConfig
from seg_ros.core.errors import ConfigurationError

__all__ = ['Mounting', 'mount_of_transform']

# The optical frame (z forward, x right, y down) turned into the body frame (x forward, y left).
OPTICAL_FROM_BODY_QUATERNION = (0.5, -0.5, 0.5, 0.5)  # x, y, z, w
SAME_M, SAME_RAD = 0.005, 0.001  # a transform that moved less is the same mounting


class Mounting:
    """Answers where each camera is, and if not, why not.

    Raises:
        ConfigurationError: TF is asked for, but tf2_ros is not installed.
    """

    def __init__(self, node: Node, config: NodeConfig) -> None:
        self._node = node
        self._config = config
        self._last: dict[str, Mount] = {}
        self._buffer: Any = None
        self._listener: Any = None
        source = config.mount.source
        if source == 'tf' or (source == 'auto' and max(config.mount.z) <= 0.0):
            self._listen(required=source == 'tf')

    def _listen(self, *, required: bool) -> None:
        try:
            tf2_ros = importlib.import_module('tf2_ros')
        except ImportError as error:
            if required:
                raise ConfigurationError(
                    f'mount.source is tf, but tf2_ros cannot be imported: {error}. Install '
                    'ros-<distribution>-tf2-ros-py, or give mount.x to mount.yaw.'
                ) from error
            return
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, self._node)

    def mount(self, camera: str, frame_id: str) -> tuple[Mount | None, str]:
        """Returns the mounting of a camera, or None with the reason.

        Args:
            camera: One of camera_names.
            frame_id: Its optical frame, as its messages name it.
        """
        if self._buffer is None:
            mount = self._config.mount.mount(self._config.camera_names.index(camera))
            return mount, '' if mount else 'mount.z is not set and there is no TF'
        if not frame_id:
            return None, 'the camera names no frame_id in its messages'
        base = self._config.base_frame
        try:
            transform = self._buffer.lookup_transform(base, frame_id, Time())
        except Exception as error:  # tf2 raises several kinds without a common root
            return None, f'no transform from {frame_id} to {base}: {error}'
        stamp = transform.header.stamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        age_s = (self._node.get_clock().now().nanoseconds - stamp_ns) / 1e9
        if stamp_ns and age_s > self._config.mount.tf_timeout_s:  # a static transform has no stamp
            return None, f'the transform from {frame_id} to {base} is {age_s:.1f} s old'
        mount = mount_of_transform(transform.transform)
        last = self._last.get(camera)
        if last is None or not _is_same(mount, last):
            self._last[camera] = mount
        return self._last[camera], ''


def mount_of_transform(transform: Any) -> Mount:
    """Returns the mounting of a camera body from the transform of its optical frame.

    Args:
        transform: geometry_msgs/Transform from the optical frame to the base frame.
    """
    q = transform.rotation
    x, y, z, w = _product((q.x, q.y, q.z, q.w), OPTICAL_FROM_BODY_QUATERNION)
    return Mount(
        x=transform.translation.x,
        y=transform.translation.y,
        z=transform.translation.z,
        roll=math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y)),
        pitch=math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x)))),
        yaw=math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)),
    )


Quaternion = tuple[float, float, float, float]


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def _is_same(a: Mount, b: Mount) -> bool:
    moved = max(abs(a.x - b.x), abs(a.y - b.y), abs(a.z - b.z))
    turned = max(abs(a.roll - b.roll), abs(a.pitch - b.pitch), abs(a.yaw - b.yaw))
    return moved < SAME_M and turned < SAME_RAD
