# SPDX-License-Identifier: Apache-2.0
"""Kalman filter of one person on the ground: place and velocity, constant but for noise.

In numbers, not in arrays: for the handful of people in view numpy's calls cost several times as
much as all that they would compute.
"""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ['MeasuredPlace', 'PersonState', 'WalkNoise']

# Standard deviation of a velocity that nobody has measured yet: people walk at 1.34 m/s
# (Weidmann, Transporttechnik der Fussgaenger, 1993), in any direction.
WALKING_SIGMA_MPS = 1.3
# The same of who runs: 7 m/s are less than three. A second sighting further away than walking
# explains is taken for a runner, with this.
RUNNING_SIGMA_MPS = 3.0
# Process noise: from standing to walking, 1.3 m/s, in about a second.
ACCELERATION_MPS2 = 1.2
# The same without odometry, where the vehicle's own braking (2.5 m/s^2) is in it.
UNKNOWN_EGO_MPS2 = 3.0
# The noise is a velocity's random walk: it has the variance of that acceleration over steps of
# this length, whatever the frame rate.
NOISE_STEP_S = 0.1
LEAST_STEP_S = 0.01  # two frames closer than this are one as far as the noise goes


class WalkNoise(NamedTuple):
    """What a step adds to each axis: to the place, to place and velocity, to the velocity."""

    place: float
    both: float
    velocity: float

    @classmethod
    def of(cls, dt_s: float, knows_ego: bool) -> WalkNoise:
        """Of a step in time, with odometry or without."""
        acceleration = ACCELERATION_MPS2 if knows_ego else UNKNOWN_EGO_MPS2
        variance = acceleration**2 * NOISE_STEP_S / max(dt_s, LEAST_STEP_S)
        return cls(0.25 * dt_s**4 * variance, 0.5 * dt_s**3 * variance, dt_s**2 * variance)


class MeasuredPlace(NamedTuple):
    """Where somebody was seen, metres in the base frame, and the covariance of that."""

    x: float
    y: float
    xx: float
    xy: float
    yy: float


class PersonState(NamedTuple):
    """Where somebody is and how it moves, and the covariance of these four.

    Metres and metres per second in the base frame. A covariance is called by its two sides:
    ``x_vy`` is that of ``x`` and ``vy``.
    """

    x: float
    y: float
    vx: float
    vy: float
    xx: float
    xy: float
    yy: float
    x_vx: float
    x_vy: float
    y_vx: float
    y_vy: float
    vx_vx: float
    vx_vy: float
    vy_vy: float

    @classmethod
    def first(cls, place: MeasuredPlace) -> PersonState:
        """Of who is seen for the first time: it may walk anywhere."""
        x, y, xx, xy, yy = place
        variance = WALKING_SIGMA_MPS**2
        return cls(x, y, 0.0, 0.0, xx, xy, yy, 0.0, 0.0, 0.0, 0.0, variance, 0.0, variance)

    def running(self, gap_s: float) -> PersonState:
        """The same of who may have run since it was first seen, ``gap_s`` ago."""
        more = RUNNING_SIGMA_MPS**2 - WALKING_SIGMA_MPS**2
        way, both = more * gap_s * gap_s, more * gap_s
        return self._replace(
            xx=self.xx + way,
            yy=self.yy + way,
            x_vx=self.x_vx + both,
            y_vy=self.y_vy + both,
            vx_vx=self.vx_vx + more,
            vy_vy=self.vy_vy + more,
        )

    def after(self, dt_s: float, noise: WalkNoise) -> PersonState:
        """On at its velocity."""
        x, y, vx, vy, xx, xy, yy, x_vx, x_vy, y_vx, y_vy, vx_vx, vx_vy, vy_vy = self
        return PersonState(
            x + dt_s * vx,
            y + dt_s * vy,
            vx,
            vy,
            xx + dt_s * (2.0 * x_vx + dt_s * vx_vx) + noise.place,
            xy + dt_s * (x_vy + y_vx + dt_s * vx_vy),
            yy + dt_s * (2.0 * y_vy + dt_s * vy_vy) + noise.place,
            x_vx + dt_s * vx_vx + noise.both,
            x_vy + dt_s * vx_vy,
            y_vx + dt_s * vx_vy,
            y_vy + dt_s * vy_vy + noise.both,
            vx_vx + noise.velocity,
            vx_vy,
            vy_vy + noise.velocity,
        )

    def seen_from(self, x_m: float, y_m: float, yaw_rad: float) -> PersonState:
        """The same in a base frame at another place, turned left."""
        cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
        x, y, vx, vy, xx, xy, yy, x_vx, x_vy, y_vx, y_vy, vx_vx, vx_vy, vy_vy = self
        x, y = x - x_m, y - y_m
        xx, xy, _, yy = _turned(xx, xy, xy, yy, cos, sin)
        x_vx, x_vy, y_vx, y_vy = _turned(x_vx, x_vy, y_vx, y_vy, cos, sin)
        vx_vx, vx_vy, _, vy_vy = _turned(vx_vx, vx_vy, vx_vy, vy_vy, cos, sin)
        return PersonState(
            cos * x + sin * y,
            cos * y - sin * x,
            cos * vx + sin * vy,
            cos * vy - sin * vx,
            xx,
            xy,
            yy,
            x_vx,
            x_vy,
            y_vx,
            y_vy,
            vx_vx,
            vx_vy,
            vy_vy,
        )

    def innovation(self, place: MeasuredPlace) -> tuple[float, float, float, float, float]:
        """How far off a sighting is, ``(dx, dy, xx, xy, yy)`` with the covariance of that."""
        return (
            place.x - self.x,
            place.y - self.y,
            self.xx + place.xx,
            self.xy + place.xy,
            self.yy + place.yy,
        )

    def corrected(self, place: MeasuredPlace) -> PersonState:
        """With a sighting taken in: the place is measured, the velocity is not."""
        x, y, vx, vy, xx, xy, yy, x_vx, x_vy, y_vx, y_vy, vx_vx, vx_vy, vy_vy = self
        dx, dy, a, b, d = self.innovation(place)
        determinant = a * d - b * b
        # The inverse of its covariance
        a, b, d = d / determinant, -b / determinant, a / determinant
        # The gain: what each number takes of the innovation
        x_x, x_y = xx * a + xy * b, xx * b + xy * d
        y_x, y_y = xy * a + yy * b, xy * b + yy * d
        vx_x, vx_y = x_vx * a + y_vx * b, x_vx * b + y_vx * d
        vy_x, vy_y = x_vy * a + y_vy * b, x_vy * b + y_vy * d
        return PersonState(
            x + x_x * dx + x_y * dy,
            y + y_x * dx + y_y * dy,
            vx + vx_x * dx + vx_y * dy,
            vy + vy_x * dx + vy_y * dy,
            xx - x_x * xx - x_y * xy,
            xy - x_x * xy - x_y * yy,
            yy - y_x * xy - y_y * yy,
            x_vx - x_x * x_vx - x_y * y_vx,
            x_vy - x_x * x_vy - x_y * y_vy,
            y_vx - y_x * x_vx - y_y * y_vx,
            y_vy - y_x * x_vy - y_y * y_vy,
            vx_vx - vx_x * x_vx - vx_y * y_vx,
            vx_vy - vx_x * x_vy - vx_y * y_vy,
            vy_vy - vy_x * x_vy - vy_y * y_vy,
        )


def _turned(
    a: float, b: float, c: float, d: float, cos: float, sin: float
) -> tuple[float, float, float, float]:
    """A ``(2, 2)`` matrix of the ground, row by row, in a frame that is turned left."""
    first, second = cos * a + sin * c, cos * b + sin * d
    third, fourth = cos * c - sin * a, cos * d - sin * b
    return (
        cos * first + sin * second,
        cos * second - sin * first,
        cos * third + sin * fourth,
        cos * fourth - sin * third,
    )
