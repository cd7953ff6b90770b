# SPDX-License-Identifier: Apache-2.0
"""The camera at one instant: from the world into the image, and what houses hide there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim.scenery import Building
from seg_ros.sim.vehicle import VehicleState

__all__ = ['NEAR_M', 'Hiding', 'View']

NEAR_M = 0.25
MARGIN_PX, MARGIN_M = 1.0, 0.5  # by so much something must be behind a wall to be hidden

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


class Hiding:
    """Which things are behind houses, so that nobody paints what nobody sees.

    For every column of the image the highest wall so far is kept with its distance. Whatever is
    farther away and nowhere higher is hidden. Errs towards painting; begins with nothing hidden.

    Args:
        view: Of the frame.
        is_level: Upright things are upright in the image. Otherwise nothing is ever hidden.
    """

    def __init__(self, view: View, is_level: bool) -> None:
        width, height = view.size_wh
        self._view = view
        self._is_level = is_level
        self._width = width
        self._top = np.full(width, float(height))
        self._depth = np.full(width, np.inf)

    def is_hidden(self, u0: float, u1: float, v_top: float, depth_m: float) -> bool:
        """Whether something is hidden that stands on the ground between two columns."""
        first, last = max(0, math.floor(u0)), min(self._width, math.ceil(u1) + 1)
        if last <= first:
            return True
        if not self._is_level:
            return False
        part = slice(first, last)
        return bool(
            (self._top[part] < v_top - MARGIN_PX).all()
            and (self._depth[part] < depth_m - MARGIN_M).all()
        )

    def hides_at(self, x: float, y: float, height_m: float, half_width_m: float) -> bool:
        """Whether an upright thing around a world point is hidden or outside of the image."""
        u, v, depth = self._view.pixel(x, y, height_m)
        if depth < 2.0 + half_width_m:
            return False
        reach = half_width_m * self._view.focal_px / (depth - half_width_m) + 1.0
        return self.is_hidden(u - reach, u + reach, v - 0.05 * reach, depth - half_width_m)

    def add(self, building: Building, front: tuple[float, float, float, float]) -> bool:
        """Takes up a building, nearer ones first; tells whether it was hidden itself.

        Args:
            building: The building.
            front: World x and y of the two ends of its front.
        """
        x0, y0, x1, y1 = front
        along = (x1 - x0, y1 - y0)
        length = math.hypot(*along)
        out = math.copysign(building.depth_m / length, building.d_m)
        outward = (-along[1] * out, along[0] * out)
        feet = [
            (x0, y0),
            (x1, y1),
            (x0 + outward[0], y0 + outward[1]),
            (x1 + outward[0], y1 + outward[1]),
        ]
        top_m = building.height_m + building.roof_m
        corners = [self._view.pixel(x, y, top_m) for x, y in feet]
        nearest = min(depth for _, _, depth in corners)
        if nearest > 1.0:
            columns = [u for u, _, _ in corners]
            v_top = min(v for _, v, _ in corners)
            if self.is_hidden(min(columns) - 1.0, max(columns) + 1.0, v_top - 1.0, nearest):
                return True
        self._cover(building.height_m, (x0, y0), (x1, y1))
        return False

    def _cover(
        self, height_m: float, left: tuple[float, float], right: tuple[float, float]
    ) -> None:
        near = NEAR_M + 0.5
        ends = [
            (*left, self._view.depth(*left, height_m)),
            (*right, self._view.depth(*right, height_m)),
        ]
        if max(ends[0][2], ends[1][2]) <= near:
            return
        for index in (0, 1):
            (xa, ya, da), (xb, yb, db) = ends[index], ends[1 - index]
            if da < near:
                part = (near - da) / (db - da)
                ends[index] = (xa + part * (xb - xa), ya + part * (yb - ya), near)
        (u0, v0, d0), (u1, v1, d1) = (self._view.pixel(x, y, height_m) for x, y, _ in ends)
        if u0 > u1:
            u0, v0, d0, u1, v1, d1 = u1, v1, d1, u0, v0, d0
        first, last = max(0, math.ceil(u0)), min(self._width, math.floor(u1) + 1)
        if last <= first:
            return
        part_of = (np.arange(first, last) - u0) / max(u1 - u0, 1e-6)
        tops = v0 + part_of * (v1 - v0)
        inverse = 1.0 / d0 + part_of * (1.0 / d1 - 1.0 / d0)
        higher = tops < self._top[first:last]
        self._top[first:last][higher] = tops[higher]
        self._depth[first:last][higher] = 1.0 / inverse[higher]
