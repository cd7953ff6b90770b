# SPDX-License-Identifier: Apache-2.0
"""A calibrated camera: from pixels to the ground, and from points of the world to pixels.

Frames follow REP 103: the base frame and the camera body frame are x forward, y left, z up; the
optical frame is z forward, x right, y down. The ground is the plane z = 0 of the base frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.intrinsics import CameraIntrinsics

__all__ = ['Camera', 'GroundTable', 'Mount']

Float64Array = NDArray[np.float64]

GroundTable = NDArray[np.float32]
"""``(H, W, 2)``: x forward and y left in metres, base frame; NaN where no ground is seen."""

OPTICAL_FROM_BODY = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])

MIN_DEPTH_M = 1e-3  # a point nearer to the image plane has no finite x/z
SKY_RAD = math.radians(45.0)  # a camera that looks further up than that watches no road
LOOKED_AT = 17  # pixels across and down that tell whether any ground is seen


@dataclass(frozen=True)
class Mount:
    """Extrinsics: the pose of the camera body in the base frame.

    The rotation is ``Rz(yaw) @ Ry(pitch) @ Rx(roll)`` as everywhere in ROS, so that a positive
    pitch lets the camera look down.

    Attributes:
        x: Metres forward of the base origin.
        y: Metres left of it.
        z: Metres above the ground.
        roll: Radians about the forward axis.
        pitch: Radians about the left axis, positive looks down.
        yaw: Radians about the upward axis, positive looks left.
    """

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0

    def __post_init__(self) -> None:
        values = (self.x, self.y, self.z, self.roll, self.pitch, self.yaw)
        if not all(math.isfinite(value) for value in values):
            msg = f'The six numbers of a mount must be finite, {values} came. Check mount.*.'
            raise ConfigurationError(msg)

    def base_from_body(self) -> Float64Array:
        """``(4, 4)`` transform from the camera body frame into the base frame."""
        cr, sr = math.cos(self.roll), math.sin(self.roll)
        cp, sp = math.cos(self.pitch), math.sin(self.pitch)
        cy, sy = math.cos(self.yaw), math.sin(self.yaw)
        about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
        about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
        about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
        transform = np.eye(4)
        transform[:3, :3] = about_z @ about_y @ about_x
        transform[:3, 3] = self.x, self.y, self.z
        return transform


@dataclass(frozen=True)
class Camera:
    """A calibrated camera at its place on the vehicle.

    Attributes:
        intrinsics: Camera matrix and distortion.
        mount: Its extrinsics.
    """

    intrinsics: CameraIntrinsics
    mount: Mount

    @cached_property
    def optical_from_base(self) -> Float64Array:
        """``(4, 4)`` transform from the base frame into the optical frame."""
        base_from_body = self.mount.base_from_body()
        rotation = OPTICAL_FROM_BODY @ base_from_body[:3, :3].T
        transform = np.eye(4)
        transform[:3, :3] = rotation
        transform[:3, 3] = -rotation @ base_from_body[:3, 3]
        return transform

    @cached_property
    def elevation_rad(self) -> float:
        """How far up the optical axis looks."""
        return math.asin(max(-1.0, min(1.0, float(self.optical_from_base[2, 2]))))

    @cached_property
    def watches_ground(self) -> bool:
        """Whether the ground can be judged: it is seen, and the camera looks not at the sky."""
        columns = np.linspace(0.0, self.intrinsics.width - 1.0, LOOKED_AT)
        rows = np.linspace(0.0, self.intrinsics.height - 1.0, LOOKED_AT)
        pixels = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
        seen = np.isfinite(self.ground_points(pixels)).all(axis=1)
        return self.elevation_rad <= SKY_RAD and bool(seen.any())

    def project(self, points_base: ArrayLike) -> tuple[Float64Array, NDArray[np.bool_]]:
        """Pixels of points in the base frame.

        Args:
            points_base: ``(N, 3)`` metres.

        Returns:
            ``(N, 2)`` pixels, and ``(N,)`` which points are in front of the camera, where the
            lens model means something. The pixels of the others are NaN. A pixel may lie outside
            of the image.
        """
        points = np.asarray(points_base, dtype=np.float64).reshape(-1, 3)
        optical = points @ self.optical_from_base[:3, :3].T + self.optical_from_base[:3, 3]
        in_front = optical[:, 2] > MIN_DEPTH_M
        if not in_front.all():
            optical[~in_front] = np.nan
        plane = optical[:, :2] / optical[:, 2:]
        in_front &= self.intrinsics.is_valid(plane)
        if in_front.all():
            return self.intrinsics.distort(plane), in_front
        pixels = np.full((len(points), 2), np.nan)
        pixels[in_front] = self.intrinsics.distort(plane[in_front])
        return pixels, in_front

    def rays(self, pixels: ArrayLike) -> Float64Array:
        """Viewing directions of pixels.

        Args:
            pixels: ``(N, 2)`` pixels of the camera image.

        Returns:
            ``(N, 3)`` unit vectors in the base frame. NaN where the lens model has no ray for
            a pixel.
        """
        plane = self.intrinsics.undistort(np.asarray(pixels, dtype=np.float64).reshape(-1, 2))
        return self._rays_from_plane(plane)

    def ground_points(self, pixels: ArrayLike) -> Float64Array:
        """Ground points that pixels see.

        Args:
            pixels: ``(N, 2)`` pixels of the camera image.

        Returns:
            ``(N, 2)`` x forward and y left in metres, base frame. NaN above the horizon.
        """
        return self._ground_from_rays(self.rays(pixels))

    def ground_table(self, size_wh: tuple[int, int] | None = None) -> GroundTable:
        """The ground point of every pixel of a label image.

        Args:
            size_wh: Size of the label image, where it differs from the camera's.

        Returns:
            ``(H, W, 2)`` x forward and y left in metres, base frame; NaN above the horizon.

        Raises:
            ConfigurationError: The camera is not above the ground, or the size is not positive.
        """
        if self.mount.z <= 0.0:
            msg = (
                f'A camera above the ground is needed for a ground table, mount.z = '
                f'{self.mount.z} m came. Measure the height of the lens above the ground.'
            )
            raise ConfigurationError(msg)
        if size_wh is None:
            size_wh = self.intrinsics.width, self.intrinsics.height
        camera = Camera(self.intrinsics.scaled(size_wh), self.mount)
        rays = camera._rays_from_plane(camera.intrinsics.undistort_image())
        table = camera._ground_from_rays(rays).reshape(size_wh[1], size_wh[0], 2)
        return table.astype(np.float32)

    def _rays_from_plane(self, plane: Float64Array) -> Float64Array:
        optical = np.column_stack([plane, np.ones(len(plane))])
        optical /= np.linalg.norm(optical, axis=1, keepdims=True)
        return np.asarray(optical @ self.optical_from_base[:3, :3])

    def _ground_from_rays(self, rays: Float64Array) -> Float64Array:
        with np.errstate(divide='ignore', invalid='ignore'):
            length_m = -self.mount.z / rays[:, 2]
            points = np.array([self.mount.x, self.mount.y]) + length_m[:, None] * rays[:, :2]
        points[~(np.isfinite(length_m) & (length_m > 0.0))] = np.nan
        return np.asarray(points)
