# SPDX-License-Identifier: Apache-2.0
"""Where a camera is on the vehicle: from transforms or from parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from seg_ros.core.geometry.camera import Mount
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.conversions import stamp_ns_of

__all__ = ['LookUp', 'Mounting', 'Quaternion', 'mount_of_transform', 'product', 'wants_transforms']

# The optical frame (z forward, x right, y down) turned into the body frame (x forward, y left).
OPTICAL_FROM_BODY_QUATERNION = (0.5, -0.5, 0.5, 0.5)  # x, y, z, w
SAME_M, SAME_RAD = 0.005, 0.001  # a transform that moved less is the same mounting

LookUp = Callable[[str, str], Any]
"""``look_up(base_frame, frame_id)``: a TransformStamped; raises where there is none."""

Quaternion = tuple[float, float, float, float]


def wants_transforms(config: NodeConfig) -> bool:
    """Returns whether transforms are looked for; with ``auto`` there may be none."""
    source = config.mount.source
    return source == 'tf' or (source == 'auto' and max(config.mount.z) <= 0.0)


class Mounting:
    """Answers where each camera is, and if not, why not.

    Args:
        config: Names the cameras and the base frame, and has the parameters.
        look_up: Where transforms are used; None takes the parameters.
    """

    def __init__(self, config: NodeConfig, look_up: LookUp | None) -> None:
        self._config = config
        self._look_up = look_up
        self._last: dict[str, Mount] = {}

    def mount(self, camera: str, frame_id: str, now_ns: int) -> tuple[Mount | None, str]:
        """Returns the mounting of a camera, or None with the reason.

        Args:
            camera: One of camera_names.
            frame_id: Its optical frame, as its messages name it.
            now_ns: The clock that the stamps of transforms come from.
        """
        if self._look_up is None:
            mount = self._config.mount.mount(self._config.camera_names.index(camera))
            return mount, '' if mount else 'mount.z is not set and there is no TF'
        if not frame_id:
            return None, 'the camera names no frame_id in its messages'
        base = self._config.base_frame
        try:
            transform = self._look_up(base, frame_id)
        except Exception as error:  # tf2 raises several kinds without a common root
            return None, f'no transform from {frame_id} to {base}: {error}'
        stamp_ns = stamp_ns_of(transform.header)
        age_s = (now_ns - stamp_ns) / NS_PER_S
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
    x, y, z, w = product((q.x, q.y, q.z, q.w), OPTICAL_FROM_BODY_QUATERNION)
    return Mount(
        x=transform.translation.x,
        y=transform.translation.y,
        z=transform.translation.z,
        roll=math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y)),
        pitch=math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x)))),
        yaw=math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)),
    )


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    """Returns the rotation b followed by a; x, y, z, w."""
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
