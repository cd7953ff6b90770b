"""Follows the middle of the drivable ground where nothing is painted on it."""

from __future__ import annotations

import numpy as np

from seg_ros.core.lane_checks import Limits
from seg_ros.core.lane_config import LaneConfig
from seg_ros.core.lane_follower import LaneFollower
from seg_ros.core.lane_points import Points

__all__ = ['CorridorFollower']

RAGGED = 2.0  # edges of ground are rougher than paint
NEAR = 0.4  # of the look-ahead: where the corridor is looked for first


class CorridorFollower(LaneFollower):
    """The corridor between two edges of drivable ground.

    Args:
        config: Widths and times.
    """

    def __init__(self, config: LaneConfig) -> None:
        super().__init__(
            config,
            Limits(config.corridor_min_m, config.corridor_max_m, RAGGED * config.max_residual_m),
            0.5 * (config.corridor_min_m + config.corridor_max_m),
        )

    def look_between(self, left: Points, right: Points, eye_x_m: float, stamp_ns: int) -> None:
        """Takes over what an image shows of the corridor.

        Args:
            left: Points of its left edge.
            right: Points of its right edge.
            eye_x_m: Where the camera is, base frame.
            stamp_ns: Of the image.
        """
        if self.belief is None and not self._begin(left, right):
            return
        self.look(left.joined(right), eye_x_m, stamp_ns)

    def _begin(self, left: Points, right: Points) -> bool:
        near_m = NEAR * self._config.look_ahead_m
        left_y, right_y = left.y[left.x < near_m], right.y[right.x < near_m]
        if not len(left_y) or not len(right_y):
            self.problem = 'the drivable ground has no edge on both sides'
            return False
        left_m, right_m = float(np.median(left_y)), float(np.median(right_y))
        width_m = left_m - right_m
        limits = self._limits
        if not limits.narrowest_m <= width_m <= limits.widest_m:
            self.problem = f'the drivable ground is {width_m:.1f} m wide'
            return False
        self.start(np.array([0.5 * (left_m + right_m), 0.0, 0.0, width_m]))
        return True
