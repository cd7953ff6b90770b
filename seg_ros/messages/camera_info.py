# SPDX-License-Identifier: Apache-2.0
"""The lens of a camera from its CameraInfo, and the other way round."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.calibration import RegionOfInterest, SensorCalibration
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.messages.types import CameraInfo

__all__ = [
    'Calibration',
    'calibration_of',
    'camera_info_message',
    'camera_info_topic',
    'is_rectified',
]


RECTIFIED = frozenset({'rect', 'rectified'})
MountOf = Callable[[str, int], tuple[Mount | None, str]]
"""``mount_of(frame_id, now_ns)``: where the camera is, or None with the reason."""


def camera_info_topic(image_topic: str) -> str:
    """Returns where the CameraInfo of an image topic is, as image_transport has it."""
    base = image_topic.removesuffix('/compressed')
    namespace, slash, _ = base.rpartition('/')
    return f'{namespace}{slash}camera_info'


def is_rectified(image_topic: str, said: str = 'auto') -> bool:
    """Returns whether the images of a topic are rectified.

    Args:
        image_topic: Its name, after remapping.
        said: The parameter image_is_rectified: true, false, or auto, which goes by the name that
            image_proc and others give such a topic: image_rect, image_rect_color, color_rect, or
            rect/image beside raw/image (zed_wrapper since 5.1).
    """
    if said != 'auto':
        return said == 'true'
    namespace, _, name = image_topic.removesuffix('/compressed').rpartition('/')
    words = name.split('_')
    below = namespace.rpartition('/')[2]
    is_below = below in RECTIFIED and 'raw' not in words
    return is_below or not RECTIFIED.isdisjoint(words)


class Calibration:
    """Follows the lens and the mounting of one camera.

    Args:
        mount_of: Knows where the camera is.
        is_rectified: Whether the distortion was taken out of its images already.

    Attributes:
        reason: Why there is no camera; empty when there is one.
        is_refused: Whether what is said of the camera cannot be, so that nothing is proven until
            it is mended; else it is only not known.
        lens_m: How high the lens is, as far as that is known by itself; None where it is not.
    """

    def __init__(self, mount_of: MountOf, *, is_rectified: bool = False) -> None:
        self._mount_of = mount_of
        self._is_rectified = is_rectified
        self._said: tuple[SensorCalibration, str] | None = None
        self._fitted: tuple[SensorCalibration, tuple[int, int]] | None = None
        self._intrinsics: CameraIntrinsics | None = None
        self._misfit = ''
        self._camera: Camera | None = None
        self.lens_m: float | None = None
        self.reason = 'no CameraInfo has come yet'
        self.is_refused = False

    @property
    def has_lens(self) -> bool:
        """Whether anybody has said what the lens is like, right or wrong."""
        return self._said is not None and self._said[0].is_calibrated

    @property
    def is_uncalibrated(self) -> bool:
        """Whether a CameraInfo has come that says nothing of the lens."""
        return self._said is not None and not self._said[0].is_calibrated

    def take(self, message: Any) -> None:
        """Takes a CameraInfo."""
        self.know(calibration_of(message), message.header.frame_id)

    def know(self, calibration: SensorCalibration, frame_id: str) -> None:
        """Takes what is said of the lens.

        Args:
            calibration: Of the whole sensor.
            frame_id: Optical frame; empty takes that of the images.
        """
        if self._said is None:
            self.reason = 'no image has come yet since the CameraInfo'
        self._said = calibration, frame_id

    def camera(
        self, now_ns: int, image_size_wh: tuple[int, int], image_frame_id: str = ''
    ) -> Camera | None:
        """Returns the calibrated camera at its place, None with ``reason`` set.

        Args:
            now_ns: The clock that the stamps of transforms come from.
            image_size_wh: Of the image that it is for.
            image_frame_id: As the image names it.
        """
        camera, self.reason, self.is_refused = self._found(now_ns, image_size_wh, image_frame_id)
        return camera

    def _found(
        self, now_ns: int, image_size_wh: tuple[int, int], image_frame_id: str
    ) -> tuple[Camera | None, str, bool]:
        """Returns the camera, else the reason and whether it is a refusal."""
        said_frame_id = '' if self._said is None else self._said[1]
        frame_id = said_frame_id or image_frame_id
        mount, no_mount = self._mount_of(frame_id, now_ns)
        self.lens_m = mount.z if mount is not None and mount.z > 0.0 else None
        if self._said is None:
            return None, self.reason, False
        calibration, _ = self._said
        if not calibration.is_calibrated:
            return None, 'the camera is not calibrated, k and p of its CameraInfo are zero', False
        intrinsics = self._intrinsics_for(calibration, image_size_wh)
        if intrinsics is None:
            return None, self._misfit, True
        if mount is None:
            return None, no_mount, False
        if mount.z <= 0.0:
            reason = f'the camera is {mount.z:.2f} m above the ground; it must be above it'
            return None, reason, False
        if self._camera is None or (self._camera.intrinsics, self._camera.mount) != (
            intrinsics,
            mount,
        ):
            self._camera = Camera(intrinsics, mount)
        if not self._camera.watches_ground:
            up_deg = math.degrees(self._camera.elevation_rad)
            reason = (
                f'the camera looks {up_deg:.0f} degrees up, at the sky, and the ground cannot be '
                f'judged: is {frame_id or "its frame"} an optical frame, z forward? By '
                'parameters: a positive mount.pitch looks down'
            )
            return None, reason, True
        return self._camera, '', False

    def _intrinsics_for(
        self, calibration: SensorCalibration, size_wh: tuple[int, int]
    ) -> CameraIntrinsics | None:
        """The intrinsics of an image, made once; None with the reason where there are none."""
        if self._fitted != (calibration, size_wh):
            self._fitted = calibration, size_wh
            try:
                self._intrinsics = calibration.intrinsics(size_wh, is_rectified=self._is_rectified)
            except ConfigurationError as error:
                self._intrinsics, self._misfit = None, str(error)
        return self._intrinsics


def calibration_of(message: Any) -> SensorCalibration:
    """Returns what a CameraInfo of ROS 2 or ROS 1 says."""
    k, d, p = (
        (message.k, message.d, message.p)
        if hasattr(message, 'k')
        else (message.K, message.D, message.P)
    )
    roi = message.roi
    return SensorCalibration(
        width=int(message.width),
        height=int(message.height),
        k=tuple(map(float, k)),
        distortion_model=message.distortion_model,
        d=tuple(map(float, d)),
        p=tuple(map(float, p)),
        binning=(int(message.binning_x), int(message.binning_y)),
        roi=RegionOfInterest(
            int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)
        ),
    )


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
