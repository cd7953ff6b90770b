# SPDX-License-Identifier: Apache-2.0
"""Zones: where a person stops the vehicle, on the ground in the base frame, or in the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.vehicle import CAR, VehicleConfig

__all__ = [
    'CorridorZone',
    'GroundBox',
    'GroundZone',
    'ImageZone',
    'Motion',
    'PolygonZone',
    'arc_ahead',
    'polygon_zone',
    'stopping_distance_m',
]

Float64Array = NDArray[np.float64]

# Metres between two points of a corridor's middle. In the tightest arc the chord is off by
# 1^2 / (8 * 8) = 0.016 m, far less than the corridor is sure.
ARC_STEP_M = 1.0
# Slower, the yaw rate says nothing about the way ahead: curvature is yaw rate by speed, and an
# error of 0.01 rad/s would bend the way at 0.1 m/s to a circle of 10 m.
LEAST_ARC_SPEED_MPS = 1.0
TIGHTEST_ARC_M = 8.0  # radius; cars turn within 5 to 6 m, but at walking pace only
MOST_ARC_M = 500.0  # nobody knows of a bend further away; a car at 40 m/s stands after 340 m
BELOW = 4.0  # heights of the picture: somebody at the lens stands no lower
# Times that the sides slant more below it: 1.5 m to each side, seen from half the height of a
# windscreen, 0.7 m; whoever is cut by the border is near, and nobody knows the lens
BELOW_SLANT = 3.0
CELL_M = 0.5  # between two rows of points in a zone: about the depth of somebody who stands there
MOST_ROWS = 32  # of them in a zone, so that a long one costs no more than a short one
HALVES = np.arange(MOST_ROWS) + 0.5  # the middles of steps of 1
ROUNDING_M = 1e-6  # so much larger is a box than what is in it, so that no rounding counts
STRAIGHT_RAD = 1e-3  # an arc that turns less is straight: it is off by 1 cm at 20 m


class Motion(NamedTuple):
    """What odometry said last.

    Attributes:
        stamp_ns: When it was true.
        speed_mps: Forward.
        yaw_rate_rps: Radians per second, positive turns left.
    """

    stamp_ns: int
    speed_mps: float
    yaw_rate_rps: float = 0.0


class GroundBox(NamedTuple):
    """A rectangle on the ground, metres in the base frame."""

    x0: float
    y0: float
    x1: float
    y1: float


class GroundZone(Protocol):
    """A part of the ground.

    Attributes:
        name: For people.
        reach_m: How far from the base origin it goes at most.
    """

    name: str
    reach_m: float

    @property
    def box(self) -> GroundBox:
        """Nothing of it lies outside."""
        ...

    def contains(self, points: Float64Array) -> NDArray[np.bool_]:
        """``(N,)`` which points, ``(N, 2)`` metres in the base frame, are inside."""
        ...

    def outline(self) -> Float64Array:
        """``(M, 2)`` corners in the base frame, for markers."""
        ...

    def cells(self, from_m: float, columns: int) -> Float64Array:
        """``(R, columns, 2)`` points all over it, base frame, the nearest row first.

        A row is ``CELL_M`` behind the next, or more in a long zone. NaN where the zone is not.

        Args:
            from_m: A zone ahead of the vehicle counts from so far ahead of the base origin.
            columns: Points in a row, from the left of the way to its right.
        """
        ...


class PolygonZone:
    """A polygon on the ground.

    Args:
        corners: ``(N, 2)`` or flat ``x1, y1, x2, y2, …``, base frame.
        name: For people.
    """

    def __init__(self, corners: ArrayLike, name: str = 'polygon') -> None:
        self.name = name
        self._corners = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
        self.reach_m = float(np.hypot(*self._corners.T).max(initial=0.0))

    @cached_property
    def box(self) -> GroundBox:
        return _box_around(self._corners.tolist(), 0.0)

    def contains(self, points: Float64Array) -> NDArray[np.bool_]:
        return _inside(self._corners, points)

    def outline(self) -> Float64Array:
        return self._corners

    def cells(self, from_m: float, columns: int) -> Float64Array:
        # Rows go away from the base origin, forward or to whichever side the polygon lies
        middle = self._corners.mean(axis=0)
        axis = int(np.argmax(np.abs(middle)))
        across = 1 - axis
        sign = 1.0 if middle[axis] >= 0.0 else -1.0
        distances = sign * self._corners[:, axis]
        near_m = max(float(distances.min()), from_m) if axis == 0 and sign > 0.0 else (
            float(distances.min())
        )  # fmt: skip
        rows = sign * _middles(near_m, float(distances.max()), CELL_M)
        sides = self._corners[:, across]
        points = np.empty((len(rows), columns, 2))
        points[..., axis] = rows[:, None]
        points[..., across] = _row_of(float(sides.max()), float(sides.min()), columns)
        outside = ~self.contains(points.reshape(-1, 2)).reshape(points.shape[:2])
        points[outside] = np.nan
        return points


class CorridorZone:
    """The way ahead as far as the vehicle needs to stop.

    Args:
        centre: ``(N, 2)`` middle of the way, base frame, from near to far, N at least 2.
        half_width_m: To each side.
        length_m: From the base origin along the way. Where the middle ends earlier it goes on
            straight.
        name: For people.
    """

    def __init__(
        self, centre: ArrayLike, half_width_m: float, length_m: float, name: str = 'corridor'
    ) -> None:
        self.name = name
        self.half_width_m = half_width_m
        self.length_m = length_m
        self.reach_m = length_m + half_width_m
        self._centre = _thinned(np.asarray(centre, dtype=np.float64))
        steps = self._centre[1:] - self._centre[:-1]
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        # A lane that is seen far beyond the end of the zone costs nothing
        first_m = float(self._centre[0] @ steps[0]) / max(float(lengths[0]), 1e-9)
        ends = lengths.cumsum()
        count = int(ends.searchsorted(length_m + half_width_m - first_m)) + 1
        steps, lengths = steps[:count], lengths[:count]
        self._centre = self._centre[: count + 1]
        self._along = steps / np.maximum(lengths, 1e-9)[:, None]
        self._lengths = lengths
        # The first and the last piece go on for ever
        self._least, self._most = np.zeros(len(lengths)), lengths.copy()
        self._least[0], self._most[-1] = -np.inf, np.inf
        starts = np.zeros(len(lengths))
        starts[1:] = ends[: len(lengths) - 1]
        # Distances count from the base origin, wherever the given middle starts
        self._starts = starts + float(self._centre[0] @ self._along[0])

    @cached_property
    def box(self) -> GroundBox:
        # The middle, and where the first and the last piece go on to
        first = self._centre[0] - self._starts[0] * self._along[0]
        last = self._centre[-2] + (self.length_m - self._starts[-1]) * self._along[-1]
        corners = [*self._centre.tolist(), first.tolist(), last.tolist()]
        return _box_around(corners, self.half_width_m)

    def contains(self, points: Float64Array) -> NDArray[np.bool_]:
        along, offset = self.locate(points)
        inside = (along >= 0.0) & (along <= self.length_m) & (np.abs(offset) <= self.half_width_m)
        return np.asarray(inside)

    def locate(self, points: Float64Array) -> tuple[Float64Array, Float64Array]:
        """``(N,)`` metres along the way from the base origin, and to the left of its middle."""
        points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        forward_x, forward_y = self._along.T
        x = points[:, :1] - self._centre[:-1, 0]
        y = points[:, 1:] - self._centre[:-1, 1]
        along = x * forward_x + y * forward_y
        left = y * forward_x - x * forward_y
        inside = np.minimum(np.maximum(along, self._least), self._most)
        beyond = along - inside
        squared = left * left + beyond * beyond
        nearest = squared.argmin(axis=1)
        rows = np.arange(len(points))
        return (
            self._starts[nearest] + inside[rows, nearest],
            np.copysign(np.sqrt(squared[rows, nearest]), left[rows, nearest]),
        )

    def cells(self, from_m: float, columns: int) -> Float64Array:
        along = _middles(from_m, self.length_m, CELL_M)
        piece = self._starts[1:].searchsorted(along, side='right')
        forward = self._along[piece]
        middle = self._centre[piece] + (along - self._starts[piece])[:, None] * forward
        left = forward[:, ::-1] * (-1.0, 1.0)
        offsets = _row_of(self.half_width_m, -self.half_width_m, columns)
        return np.asarray(middle[:, None] + offsets[None, :, None] * left[:, None])

    def outline(self) -> Float64Array:
        along = self._starts + self._lengths
        inside = (self._starts < self.length_m) & (along > 0.0)
        if not inside.any():
            return np.zeros((0, 2))
        tangents = self._along[inside]
        left = np.column_stack([-tangents[:, 1], tangents[:, 0]]) * self.half_width_m
        starts = np.maximum(-self._starts[inside], 0.0)[:, None]
        ends = np.minimum(self.length_m - self._starts[inside], self._lengths[inside])[:, None]
        near = self._centre[:-1][inside] + starts * tangents
        far = self._centre[:-1][inside] + ends * tangents
        left_side = np.concatenate([near + left, (far + left)[-1:]])
        right_side = np.concatenate([near - left, (far - left)[-1:]])
        return np.concatenate([left_side, right_side[::-1]])


class ImageZone:
    """A polygon in the picture, where nothing is known about the ground.

    Where it reaches the lower border its sides go on below: there stand those whose feet are cut.

    Args:
        corners: ``(N, 2)`` or flat ``u1, v1, u2, v2, …``, shares of width and height.
        name: For people.
    """

    def __init__(self, corners: ArrayLike, name: str = 'image zone') -> None:
        self.name = name
        self._corners = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
        self._with_below = _drawn_on_below(self._corners)

    def contains(self, pixels: Float64Array, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
        """``(N,)`` which pixels, ``(N, 2)`` column and row, also below the picture, are inside."""
        centres = np.asarray(pixels, dtype=np.float64).reshape(-1, 2) + 0.5
        return _inside(self._with_below, centres / np.asarray(size_wh, dtype=np.float64))

    def outline(self) -> Float64Array:
        """``(M, 2)`` corners, shares of width and height."""
        return self._corners

    def cells(self, rows: int, columns: int) -> Float64Array:
        """``(rows, columns, 2)`` points all over it, shares; the lowest row first, from the left.

        NaN where the polygon is not.
        """
        top, bottom = float(self._corners[:, 1].min()), float(self._corners[:, 1].max())
        points = np.full((rows, columns, 2), np.nan)
        for row, v in zip(points, np.linspace(bottom, top, 2 * rows + 1)[1::2], strict=True):
            # Where the edges cross the row; the polygon lies between the first and the last
            x0, y0 = self._corners.T
            x1, y1 = np.roll(self._corners, -1, axis=0).T
            spans = (y0 > v) != (y1 > v)
            if spans.any():
                u = x0[spans] + (v - y0[spans]) / (y1 - y0)[spans] * (x1 - x0)[spans]
                row[:, 0], row[:, 1] = _row_of(float(u.min()), float(u.max()), columns), v
        outside = ~_inside(self._corners, points.reshape(-1, 2)).reshape(rows, columns)
        points[outside] = np.nan
        return points


def polygon_zone(config: StopConfig, vehicle: VehicleConfig = CAR) -> PolygonZone:
    """``polygon_m`` as a zone; two numbers are a rectangle ahead of the bumper."""
    if len(config.polygon_m) != 2:
        return PolygonZone(config.polygon_m)
    length_m, half_width_m = config.polygon_m
    near_m, far_m = vehicle.front_m, vehicle.front_m + length_m
    sides = ((near_m, 1.0), (far_m, 1.0), (far_m, -1.0), (near_m, -1.0))
    return PolygonZone([(x_m, side * half_width_m) for x_m, side in sides])


def stopping_distance_m(
    speed_mps: float, config: StopConfig, vehicle: VehicleConfig = CAR
) -> float:
    """From the base origin to the furthest point that must be free at a speed."""
    speed = abs(speed_mps)
    braking_m = speed * speed / (2.0 * config.deceleration_mps2)
    return vehicle.front_m + config.margin_m + speed * config.reaction_s + braking_m


def arc_ahead(length_m: float, motion: Motion | None) -> Float64Array:
    """``(N, 2)`` the way that the vehicle takes if it goes on turning as it does.

    It ends after ``MOST_ARC_M``, so that no speed makes it a long job.
    """
    length_m = min(length_m, MOST_ARC_M)
    count = max(1, math.ceil(length_m / ARC_STEP_M))
    along = np.linspace(0.0, length_m, count + 1)
    if motion is None or abs(motion.speed_mps) < LEAST_ARC_SPEED_MPS:
        bend = 0.0
    else:
        limit = 1.0 / TIGHTEST_ARC_M
        bend = min(max(motion.yaw_rate_rps / motion.speed_mps, -limit), limit)
    if abs(bend * length_m) < STRAIGHT_RAD:
        return np.array([[0.0, 0.0], [max(length_m, ARC_STEP_M), 0.0]])
    # At most a quarter turn: nobody knows what the driver does after it
    angle = np.clip(along * bend, -0.5 * math.pi, 0.5 * math.pi)
    return np.column_stack([np.sin(angle) / bend, (1.0 - np.cos(angle)) / bend])


def _inside(corners: Float64Array, points: Float64Array) -> NDArray[np.bool_]:
    """Even-odd rule; the border belongs to one of its two sides."""
    x, y = np.asarray(points, dtype=np.float64).reshape(-1, 2).T[:, :, None]
    x0, y0 = corners.T
    x1, y1 = np.roll(corners, -1, axis=0).T
    spans = (y0 > y) != (y1 > y)
    with np.errstate(divide='ignore', invalid='ignore'):
        crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    return np.asarray((spans & (x < crossing)).sum(axis=1) % 2 == 1)


def _drawn_on_below(corners: Float64Array) -> Float64Array:
    """The corners, and below each one on the lower border where its side goes on to."""
    drawn = []
    for row, corner in enumerate(corners):
        before, after = corners[row - 1], corners[(row + 1) % len(corners)]
        if corner[1] >= 1.0 > after[1]:
            drawn.append(_below(after, corner))
        drawn.append(corner)
        if corner[1] >= 1.0 > before[1]:
            drawn.append(_below(before, corner))
    return np.array(drawn)


def _below(above: Float64Array, corner: Float64Array) -> Float64Array:
    """Where the side from a corner above to one on the lower border goes on to."""
    part = (BELOW - corner[1]) / (corner[1] - above[1])
    return np.array([corner[0] + BELOW_SLANT * part * (corner[0] - above[0]), BELOW])


def _box_around(points: Sequence[Sequence[float]], margin_m: float) -> GroundBox:
    (xs, ys), margin_m = zip(*points, strict=True), margin_m + ROUNDING_M
    return GroundBox(
        min(xs) - margin_m, min(ys) - margin_m, max(xs) + margin_m, max(ys) + margin_m
    )


def _middles(from_m: float, to_m: float, step_m: float) -> Float64Array:
    """The middles of the steps from near to far, at least one, at most ``MOST_ROWS``."""
    length_m = max(to_m - from_m, 0.0)
    count = min(max(1, math.ceil(length_m / step_m)), MOST_ROWS)
    return np.asarray(from_m + HALVES[:count] * length_m / count)


def _row_of(first: float, last: float, columns: int) -> Float64Array:
    """The middles of so many equal parts between two numbers."""
    return np.asarray(first + (np.arange(columns) + 0.5) * (last - first) / columns)


def _thinned(centre: Float64Array) -> Float64Array:
    """The points that are somewhere, at least ``ARC_STEP_M`` apart; fewer than two: ahead."""
    centre = centre.reshape(-1, 2)
    is_known = np.isfinite(centre)
    if not is_known.all():
        centre = centre[is_known.all(axis=1)]
    if len(centre):
        steps = centre[1:] - centre[:-1]
        along = np.zeros(len(centre))
        along[1:] = np.hypot(steps[:, 0], steps[:, 1]).cumsum()
        # One point for each step of the way that is begun, and the last one
        begun = np.floor(along / ARC_STEP_M + 1e-6)
        kept = [0, *((begun[1:] > begun[:-1]).nonzero()[0] + 1).tolist()]
        if along[-1] > along[kept[-1]] + 1e-6:
            kept.append(len(centre) - 1)
        centre = centre[kept]
    return centre if len(centre) > 1 else np.array([[0.0, 0.0], [1.0, 0.0]])
