# SPDX-License-Identifier: Apache-2.0
"""Steers along a path and brakes for a stop, and knows nothing else: what the loop closes with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.units import NS_PER_S
from seg_ros.sim.vehicle import WHEELBASE_M

__all__ = ['BRAKING_MPS2', 'Follower', 'PurePursuit']

AHEAD_S = 0.8
MIN_AHEAD_M = 5.0
PATH_TIMEOUT_S = 0.5
BRAKING_MPS2 = 5.0  # a stop is a stop: firm, twice what stop.deceleration_mps2 promises

Path = NDArray[np.float64]


class PurePursuit:
    """Aims at a point of the path ahead; without a path the wheels stay where they are."""

    def __init__(self) -> None:
        self._steering_rad = 0.0

    def steering(self, path: Path, speed_mps: float) -> float:
        """Returns the angle of the front wheels in radians, positive turns left.

        Args:
            path: ``(N, 2)`` or more columns: x, y in metres, base frame of now; may be empty.
            speed_mps: Of the vehicle.
        """
        if not len(path):
            return self._steering_rad
        ahead_m = max(MIN_AHEAD_M, AHEAD_S * speed_mps)
        away_m = np.hypot(path[:, 0], path[:, 1])
        index = int(np.argmax(away_m >= ahead_m)) if away_m[-1] >= ahead_m else len(path) - 1
        x, y = float(path[index, 0]), float(path[index, 1])
        self._steering_rad = math.atan2(2.0 * WHEELBASE_M * y, x * x + y * y)
        return self._steering_rad


class Follower:
    """Drives by a path and a stop signal; the silence of either is a stop.

    Attributes:
        pathless: Whether no path has come for too long.
    """

    def __init__(self) -> None:
        self._steer = PurePursuit()
        self._path_ns: int | None = None
        self.pathless = True

    def command(
        self, stamp_ns: int, path: Path, stop: bool, speed_mps: float
    ) -> tuple[float, float | None]:
        """Returns the steering angle (rad) and the acceleration (m/s^2).

        An acceleration of None is left to the cruise control, which knows the cars ahead but no
        people.

        Args:
            stamp_ns: Of the frame that path and stop were made from.
            path: ``(N, 2)`` or more columns, base frame; empty when none was published.
            stop: The stop signal; True when there was none.
            speed_mps: Of the vehicle.
        """
        if len(path):
            self._path_ns = stamp_ns
        known_ns = self._path_ns
        self.pathless = known_ns is None or stamp_ns - known_ns > PATH_TIMEOUT_S * NS_PER_S
        brakes = stop or self.pathless
        return self._steer.steering(path, speed_mps), -BRAKING_MPS2 if brakes else None
