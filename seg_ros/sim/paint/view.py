"""The camera at one instant: from the world into the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim.vehicle import VehicleState

__all__ = ['NEAR_M', 'View']

NEAR_M = 0.25

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """World points to pixels for one frame.

    Attributes:
        rotation: ``(3, 3)`` optical from world.
        offset: ``(3,)`` optical from world.
        focal_px: Of the pinhole.
        centre_px: Principal point.
        eye: ``(3,)`` the camera in the world.
        size_wh: Of the image.
    """

    rotation: Float64Array
    offset: Float64Array
    focal_px: float
    centre_px: tuple[float, float]
    eye: Float64Array
    size_wh: tuple[int, int]

    @classmethod
    def of(cls, camera: Camera, state: VehicleState) -> View:
        cos, sin = math.cos(state.yaw_rad), math.sin(state.yaw_rad)
        base_from_world = np.eye(4)
        base_from_world[:2, :2] = [[cos, sin], [-sin, cos]]
        base_from_world[:2, 3] = -base_from_world[:2, :2] @ [state.x_m, state.y_m]
        transform = camera.optical_from_base @ base_from_world
        rotation, offset = transform[:3, :3], transform[:3, 3]
        k = camera.intrinsics.k
        return cls(
            rotation=rotation,
            offset=offset,
            focal_px=float(k[0, 0]),
            centre_px=(float(k[0, 2]), float(k[1, 2])),
            eye=-rotation.T @ offset,
            size_wh=(camera.intrinsics.width, camera.intrinsics.height),
        )

    def optical(self, points: Float64Array) -> Float64Array:
        """``(N, 3)`` world points in the optical frame."""
        return np.asarray(points @ self.rotation.T + self.offset)

    def pixels(self, optical: Float64Array) -> Float64Array:
        """``(N, 2)`` pixels of optical points, all in front of the camera."""
        scaled = self.focal_px * optical[:, :2] / optical[:, 2:]
        return np.asarray(scaled + self.centre_px)

    def polygon(self, points: Float64Array) -> Float64Array | None:
        """``(M, 2)`` pixels of a world polygon, cut at the near plane; None if behind it."""
        optical = self.optical(points)
        depth = optical[:, 2]
        if depth.min() < NEAR_M:
            if depth.max() < NEAR_M:
                return None
            optical = _cut_near(optical)
        return self.pixels(optical)

    def depth(self, x: float, y: float, z: float = 0.0) -> float:
        row = self.rotation[2]
        return float(row[0] * x + row[1] * y + row[2] * z + self.offset[2])

    def pixel(self, x: float, y: float, z: float = 0.0) -> tuple[float, float, float]:
        """Pixel and depth of one world point; the pixel means nothing behind the near plane."""
        ox, oy, oz = self.rotation @ (x, y, z) + self.offset
        depth = float(oz)
        scale = self.focal_px / max(depth, NEAR_M)
        return (
            float(ox) * scale + self.centre_px[0],
            float(oy) * scale + self.centre_px[1],
            depth,
        )


def _cut_near(optical: Float64Array) -> Float64Array:
    """The part of a polygon in front of the near plane (Sutherland and Hodgman)."""
    kept: list[Float64Array] = []
    previous = optical[-1]
    for current in optical:
        if (current[2] >= NEAR_M) != (previous[2] >= NEAR_M):
            part = (NEAR_M - previous[2]) / (current[2] - previous[2])
            crossing = previous + part * (current - previous)
            crossing[2] = NEAR_M
            kept.append(crossing)
        if current[2] >= NEAR_M:
            kept.append(current)
        previous = current
    return np.array(kept)
