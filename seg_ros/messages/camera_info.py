"""The intrinsics of a camera (its lens) from its CameraInfo, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.messages.types import CameraInfo

__all__ = ['Calibration', 'camera_info_message', 'camera_info_topic', 'intrinsics_of']


MountOf = Callable[[str, int], tuple[Mount | None, str]]
"""``mount_of(frame_id, now_ns)``: where the camera is, or None with the reason."""


def camera_info_topic(image_topic: str) -> str:
    """Returns where the CameraInfo of an image topic is, as image_transport has it."""
    base = image_topic.removesuffix('/compressed')
    namespace, slash, _ = base.rpartition('/')
    return f'{namespace}{slash}camera_info'


class Calibration:
    """Follows the intrinsics (the lens) and the mounting of one camera.

    Args:
        mount_of: Knows where the camera is.

    Attributes:
        reason: Why there is no camera; empty when there is one.
    """

    def __init__(self, mount_of: MountOf) -> None:
        self._mount_of = mount_of
        self._intrinsics: CameraIntrinsics | None = None
        self._frame_id = ''
        self._camera: Camera | None = None
        self.reason = 'no CameraInfo has come yet'

    def take(self, message: Any) -> None:
        """Takes a CameraInfo.

        Raises:
            ConfigurationError: It does not describe a calibrated camera; none is known now.
        """
        self._frame_id = message.header.frame_id
        try:
            self._intrinsics = intrinsics_of(message, self._intrinsics)
        except ConfigurationError as error:
            self._intrinsics, self._camera = None, None
            self.reason = str(error)
            raise

    def camera(self, now_ns: int) -> Camera | None:
        """Returns the calibrated camera at its place, None with ``reason`` set."""
        if self._intrinsics is None:
            return None
        mount, reason = self._mount_of(self._frame_id, now_ns)
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


def intrinsics_of(message: Any, known: CameraIntrinsics | None) -> CameraIntrinsics:
    """Returns the intrinsics of a CameraInfo; the known ones where they are the same.

    Raises:
        ConfigurationError: The message does not describe a calibrated camera.
    """
    k, d = (message.k, message.d) if hasattr(message, 'k') else (message.K, message.D)  # ROS 1
    made = CameraIntrinsics(
        width=int(message.width),
        height=int(message.height),
        k=np.array(k, np.float64).reshape(3, 3),
        distortion_model=message.distortion_model,
        d=np.array(d, np.float64),
    )
    return known if known == made else made


def camera_info_message(camera: CameraIntrinsics | None, size_wh: tuple[int, int]) -> CameraInfo:
    """Returns intrinsics as a message without a header; all zero says that nobody calibrated."""
    if camera is None:
        return CameraInfo(width=size_wh[0], height=size_wh[1])
    message = CameraInfo(width=camera.width, height=camera.height)
    message.distortion_model = camera.distortion_model or 'plumb_bob'
    message.d = np.array(camera.d if camera.distortion_model else np.zeros(5), np.float64)
    message.k = np.array(camera.k, np.float64).ravel()
    message.r = np.eye(3).ravel()
    message.p = np.hstack([camera.k, np.zeros((3, 1))]).ravel()
    return message
