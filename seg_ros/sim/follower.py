"""Steers along a path and knows nothing else; what the closed loop drives with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seg_ros.sim.vehicle import WHEELBASE_M

__all__ = ['PurePursuit']

AHEAD_S = 0.8
MIN_AHEAD_M = 5.0


class PurePursuit:
    """Aims at a point of the path ahead; without a path the wheels stay where they are."""

    def __init__(self) -> None:
        self._steering_rad = 0.0

    def steering(self, path: NDArray[np.float64], speed_mps: float) -> float:
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
