# SPDX-License-Identifier: Apache-2.0
"""The centre line of an endless road.

The road is a chain of bends, each turning towards a new heading. Headings stay within a cone
around the world's x axis, so that the road never meets itself and every world x has one place on
it; that is where the search for the road coordinates of a point starts.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ['Road']

Float64Array = NDArray[np.float64]

STEP_M = 0.5
MAX_HEADING_RAD = 0.85
START_M = -240.0
FREE_START_M = 30.0  # straight ahead of the start
KEPT_BEHIND_M = 400.0
GROWTH_M = 400.0
NEWTON_STEPS = 3
LOCATE_STEPS = 12
KNOWN_POSES = 8192


class Road:
    """A smooth curve that is made as it is needed.

    Road coordinates: ``s`` metres along the centre line from the start of the drive, ``d`` metres
    to its left.
    """

    def __init__(self, seed: int, max_curvature_per_m: float, *, straight: bool = False) -> None:
        self._generator = np.random.default_rng([seed, 11])
        # Most of what is asked for stands still.
        self._known_pose = lru_cache(maxsize=KNOWN_POSES)(self._pose)
        self._max_curvature_per_m = 0.0 if straight else max_curvature_per_m
        self._first_s_m = START_M
        self._x: Float64Array = np.zeros(1)
        self._y: Float64Array = np.zeros(1)
        self._heading: Float64Array = np.zeros(1)
        self._curvature: Float64Array = np.zeros(1)
        # x, y, cos and sin of the heading, curvature
        self._arcs: Float64Array = np.zeros((1, 5))
        self._append_straight(FREE_START_M - START_M)
        at_zero = round(-START_M / STEP_M)
        self._x -= self._x[at_zero]
        self.extend(GROWTH_M)

    def extend(self, to_s_m: float) -> None:
        """Makes the road at least as far as ``to_s_m``, and forgets what is far behind."""
        grown = False
        while self._last_s_m < to_s_m + 50.0:
            self._append_bend()
            grown = True
        surplus = int((to_s_m - GROWTH_M - KEPT_BEHIND_M - self._first_s_m) / STEP_M)
        if grown and surplus > 0:
            self._x = self._x[surplus:]
            self._y = self._y[surplus:]
            self._heading = self._heading[surplus:]
            self._curvature = self._curvature[surplus:]
            self._first_s_m += surplus * STEP_M
        if grown:
            self._tabulate()

    def points(self, s_m: ArrayLike, d_m: ArrayLike = 0.0) -> Float64Array:
        """``(..., 2)`` world points at road coordinates."""
        x, y, heading, _ = self._sample(np.asarray(s_m, dtype=np.float64))
        d = np.asarray(d_m, dtype=np.float64)
        return np.stack([x - d * np.sin(heading), y + d * np.cos(heading)], axis=-1)

    def pose(self, s_m: float, d_m: float = 0.0) -> tuple[float, float, float]:
        """World x, y and heading at one place."""
        return self._known_pose(s_m, d_m)

    def heading(self, s_m: ArrayLike) -> Float64Array:
        return self._sample(np.asarray(s_m, dtype=np.float64))[2]

    def curvature(self, s_m: ArrayLike) -> Float64Array:
        """Per metre, positive bends left."""
        return self._sample(np.asarray(s_m, dtype=np.float64))[3]

    def coordinates(self, x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Road coordinates of world points, arrays of the same shape."""
        place = np.interp(x, self._x, np.arange(len(self._x)))
        d = np.zeros_like(place)
        last = len(self._x) - 1
        for _ in range(NEWTON_STEPS):
            # The nearest sample stands for its surroundings: an arc through it.
            index = np.clip(np.rint(place), 0, last).astype(np.int64)
            px, py, cos, sin, curvature = np.moveaxis(self._arcs[index], -1, 0)
            dx, dy = x - px, y - py
            along, left = dx * cos + dy * sin, dy * cos - dx * sin
            ahead = np.maximum(1.0 - curvature * left, 0.35)
            bent = curvature * along
            radial = np.sqrt(bent * bent + ahead * ahead)
            d = (2.0 * left - curvature * (along * along + left * left)) / (1.0 + radial)
            place = index + along / (ahead * STEP_M)
        return self._first_s_m + STEP_M * place, d

    def locate(self, x: float, y: float, near_s_m: float) -> tuple[float, float]:
        """Road coordinates of one world point close to a place that is known roughly."""
        s = near_s_m
        d = 0.0
        for _ in range(LOCATE_STEPS):
            px, py, heading, curvature = (float(v) for v in self._sample(np.asarray(s)))
            dx, dy = x - px, y - py
            d = dy * math.cos(heading) - dx * math.sin(heading)
            along = dx * math.cos(heading) + dy * math.sin(heading)
            s += along / max(1.0 - curvature * d, 0.35)
            if abs(along) < 1e-9:
                break
        return s, d

    @property
    def _last_s_m(self) -> float:
        return self._first_s_m + (len(self._x) - 1) * STEP_M

    def _sample(
        self, s: Float64Array
    ) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        """x, y, heading and curvature at ``s``; straight on beyond both ends."""
        place = (s - self._first_s_m) / STEP_M
        index = np.clip(place.astype(np.int64), 0, len(self._x) - 2)
        part = place - index
        after = index + 1
        x = self._x[index] + part * (self._x[after] - self._x[index])
        y = self._y[index] + part * (self._y[after] - self._y[index])
        inside = np.clip(part, 0.0, 1.0)
        heading = self._heading[index] + inside * (self._heading[after] - self._heading[index])
        curvature = self._curvature[index] + inside * (
            self._curvature[after] - self._curvature[index]
        )
        return x, y, heading, curvature

    def _pose(self, s_m: float, d_m: float = 0.0) -> tuple[float, float, float]:
        place = (s_m - self._first_s_m) / STEP_M
        index = min(max(int(place), 0), len(self._x) - 2)
        part = place - index
        x0, x1 = float(self._x[index]), float(self._x[index + 1])
        y0, y1 = float(self._y[index]), float(self._y[index + 1])
        h0, h1 = float(self._heading[index]), float(self._heading[index + 1])
        heading = h0 + min(max(part, 0.0), 1.0) * (h1 - h0)
        x = x0 + part * (x1 - x0) - d_m * math.sin(heading)
        y = y0 + part * (y1 - y0) + d_m * math.cos(heading)
        return x, y, heading

    def _tabulate(self) -> None:
        cos, sin = np.cos(self._heading), np.sin(self._heading)
        self._arcs = np.column_stack([self._x, self._y, cos, sin, self._curvature])

    def _append_bend(self) -> None:
        if self._max_curvature_per_m < 1e-5:
            self._append_straight(200.0)
            return
        generator = self._generator
        if generator.random() < 0.35:
            self._append_straight(float(generator.uniform(20.0, 90.0)))
        start_rad = float(self._heading[-1])
        end_rad = float(generator.uniform(-MAX_HEADING_RAD, MAX_HEADING_RAD))
        turn_rad = end_rad - start_rad
        shortest_m = 2.0 * abs(turn_rad) / self._max_curvature_per_m
        length_m = max(40.0, shortest_m) * float(generator.uniform(1.0, 1.7))
        count = max(2, round(length_m / STEP_M))
        # The curvature (turn / length) * (1 - cos) starts and ends at zero.
        share = np.arange(1, count + 1) / count
        heading = start_rad + turn_rad * (share - np.sin(2 * np.pi * share) / (2 * np.pi))
        curvature = turn_rad / (count * STEP_M) * (1.0 - np.cos(2 * np.pi * share))
        self._append(heading, curvature)

    def _append_straight(self, length_m: float) -> None:
        count = round(length_m / STEP_M)
        self._append(np.full(count, self._heading[-1]), np.zeros(count))

    def _append(self, heading: Float64Array, curvature: Float64Array) -> None:
        before = np.concatenate([self._heading[-1:], heading[:-1]])
        middle = 0.5 * (before + heading)
        self._x = np.append(self._x, self._x[-1] + STEP_M * np.cumsum(np.cos(middle)))
        self._y = np.append(self._y, self._y[-1] + STEP_M * np.cumsum(np.sin(middle)))
        self._heading = np.append(self._heading, heading)
        self._curvature = np.append(self._curvature, curvature)
