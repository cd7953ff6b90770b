# SPDX-License-Identifier: Apache-2.0
"""Lane track: the lane that the vehicle is in, as a path in metres, and whether it is valid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from seg_ros.core.lane.shape import Float64Array, FloatArray, slope_at, value_at
from seg_ros.core.units import NS_PER_S

__all__ = ['SOURCES', 'Boundary', 'Coefficients', 'LaneTrack', 'Placement']

SOURCES = ('markings', 'one_boundary', 'corridor')
INF = float('inf')
FINE_STEPS = 4  # per path point, to measure the length of the curve along chords


class Coefficients(NamedTuple):
    """A line y = c0 + c1 x + c2 x^2 / 2 + c3 x^3 / 6, metres, base frame."""

    c0: float = 0.0
    c1: float = 0.0
    c2: float = 0.0
    c3: float = 0.0

    def y(self, x: FloatArray) -> Float64Array:
        """Returns y in metres at x in metres, same shape."""
        return value_at(self, x)

    def yaw(self, x: FloatArray) -> Float64Array:
        """Returns the direction of the line in radians at x in metres, same shape."""
        return np.asarray(np.arctan(slope_at(self, x)))


STRAIGHT_AHEAD = Coefficients()


class Boundary(NamedTuple):
    """A painted line along the road.

    Attributes:
        name: ``left``, ``right``, ``left_neighbour`` or ``right_neighbour``: the last two are the
            far lines of the lanes beside.
        line: Where it is.
        length_m: Painted length that was seen of it in this image.
    """

    name: str
    line: Coefficients
    length_m: float


class Placement(NamedTuple):
    """Where the base frame of one instant is in another frame; the ground is flat.

    Attributes:
        frame_id: The other frame.
        x_m: Of the base origin there.
        y_m: The same.
        z_m: The same.
        yaw_rad: Of the base frame there.
    """

    frame_id: str
    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    yaw_rad: float = 0.0

    def placed(self, points: Float64Array) -> Float64Array:
        """Returns ``(N, 3)`` points x, y, yaw of the base frame in the other frame."""
        cos, sin = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        x, y, yaw = points.T
        return np.stack(
            [self.x_m + cos * x - sin * y, self.y_m + sin * x + cos * y, self.yaw_rad + yaw],
            axis=-1,
        )


@dataclass(frozen=True)
class LaneTrack:
    """The lane at one instant, in the base frame of that instant.

    Attributes:
        valid: Whether the lane may be followed.
        reason: Why it is valid, or why not.
        source: What it was made from, one of ``SOURCES``.
        stamp_ns: Of the image.
        centre: Middle of the lane; while the vehicle changes lanes, on its way from the middle of
            the old lane to that of the new one.
        left: Left line of the lane, or left edge of the corridor.
        right: Right line or edge.
        width_m: From line to line.
        covariance: ``((offset, both), (both, heading))``, m^2, m rad, rad^2.
        start_m: x where the path starts.
        reach_m: x where the path ends: as far as the lane was seen, at most the look-ahead.
        age_s: Time since the lane was last seen.
        pitch_per_m: How much further up (rad) the camera looks than its mounting says, by the
            lines, over its height (m): slopes, braking, or a calibration to be improved.
        boundaries: Every line that was told apart in this image.
        departure: Side of the line that the vehicle is about to cross, ``left`` or ``right``;
            empty for neither, None where it is not known or not asked for.
        placement: Where the base frame is in the frame that the paths are published in; None is
            the base frame itself. Everything else here is in the base frame.
    """

    valid: bool
    reason: str
    source: str
    stamp_ns: int
    centre: Coefficients = STRAIGHT_AHEAD
    left: Coefficients = STRAIGHT_AHEAD
    right: Coefficients = STRAIGHT_AHEAD
    width_m: float = 0.0
    covariance: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    start_m: float = 0.0
    reach_m: float = 0.0
    age_s: float = 0.0
    pitch_per_m: float = 0.0
    boundaries: tuple[Boundary, ...] = ()
    departure: str | None = None
    placement: Placement | None = None

    @property
    def offset_m(self) -> float:
        """Cross-track error: the base origin in the lane, positive is left of its middle."""
        middle = 0.5 * (self.left.c0 + self.right.c0)
        return float(-middle * np.cos(np.arctan(self.left.c1)))

    @property
    def heading_rad(self) -> float:
        """Heading error: the base frame against the lane, positive points left of it."""
        return float(-np.arctan(0.5 * (self.left.c1 + self.right.c1)))

    @property
    def curvature_per_m(self) -> float:
        """Of the lane beside the base origin, positive bends left."""
        return float(self.centre.c2 / (1.0 + self.centre.c1**2) ** 1.5)

    def points(
        self, spacing_m: float = 0.5, look_ahead_m: float | None = None, line: str = 'centre'
    ) -> Float64Array:
        """Returns points along the lane.

        Args:
            spacing_m: Along the line.
            look_ahead_m: x of the end, where that is nearer than ``reach_m``.
            line: ``centre``, ``left`` or ``right``.

        Returns:
            ``(N, 3)`` x and y in metres and the direction of the line in radians, base frame.
            At least two points of a valid track, none of an invalid one. Kept: do not write.
        """
        if not self.valid:
            return np.zeros((0, 3))
        asked = spacing_m, look_ahead_m, line
        if asked not in self._points:  # the stop and the path ask for the same
            self._points[asked] = self._points_along(*asked)
        return self._points[asked]

    @cached_property
    def _points(self) -> dict[tuple[float, float | None, str], Float64Array]:
        return {}

    def _points_along(
        self, spacing_m: float, look_ahead_m: float | None, line: str
    ) -> Float64Array:
        coefficients: Coefficients = getattr(self, line)
        end_m = self.reach_m if look_ahead_m is None else min(self.reach_m, look_ahead_m)
        end_m = max(end_m, self.start_m + spacing_m)
        count = FINE_STEPS * math.ceil((end_m - self.start_m) / spacing_m) + 1
        # As np.linspace, at a third of its cost
        fine_x = np.arange(count) * ((end_m - self.start_m) / (count - 1)) + self.start_m
        fine_x[-1] = end_m
        fine_y = coefficients.y(fine_x)
        along = np.zeros(count)
        np.cumsum(np.hypot(fine_x[1:] - fine_x[:-1], fine_y[1:] - fine_y[:-1]), out=along[1:])
        x = np.interp(np.arange(0.0, along[-1] + 1e-9, spacing_m), along, fine_x)
        points = np.empty((len(x), 3))
        points[:, 0], points[:, 1], points[:, 2] = x, coefficients.y(x), coefficients.yaw(x)
        points.setflags(write=False)
        return points

    def checked(self, now_ns: int, stale_after_s: float, ahead_s: float = INF) -> LaneTrack:
        """Returns this track, or an invalid one when its image is not of now.

        Args:
            now_ns: The clock that stamps come from.
            stale_after_s: How old the image may be.
            ahead_s: How far in the future its stamp may lie, as after a step back of sim time.
        """
        old_s = (now_ns - self.stamp_ns) / NS_PER_S
        if not self.valid or -ahead_s <= old_s <= stale_after_s:
            return self
        reason = f'stale: the image is {old_s:.2f} s old'
        if old_s < 0.0:
            reason = f'the image is {-old_s:.2f} s ahead of the clock'
        return replace(
            self, valid=False, reason=reason, age_s=self.age_s + max(0.0, old_s), departure=None
        )
