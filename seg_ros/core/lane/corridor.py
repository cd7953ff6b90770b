"""Corridor: the middle of the drivable ground, followed where nothing is painted on it."""

from __future__ import annotations

import numpy as np

from seg_ros.core.lane.checks import Limits
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.fit import painted_inside_m
from seg_ros.core.lane.follower import LaneFollower
from seg_ros.core.lane.points import Points

__all__ = ['CorridorFollower']

RAGGED = 2.0  # times the residual of paint: edges of ground are rougher; half or twice passes too
MIN_ROWS = 8  # with both edges, for the parabola that it begins with: its three numbers twice over
DIVIDED = 2.0  # in shortest lines: so much paint inside is no stray spot; half or twice passes too


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

    def update_between(
        self, left: Points, right: Points, lines: Points, camera_x_m: float, stamp_ns: int
    ) -> None:
        """Takes over what an image shows of the corridor.

        Args:
            left: Points of its left edge.
            right: Points of its right edge.
            lines: Points of painted lines: one that runs inside divides it.
            camera_x_m: Where the camera is, base frame.
            stamp_ns: Of the image.
        """
        if self.estimate is None and not self._begin(left, right):
            return
        self.update(left.joined(right), camera_x_m, stamp_ns)
        if self.estimate is None:
            return
        inside_m = painted_inside_m(lines, self.estimate, camera_x_m)
        if inside_m > DIVIDED * self._config.min_line_m:
            self.reset()
            self.problem = f'{inside_m:.1f} m of a line run inside of it'

    def _begin(self, left: Points, right: Points) -> bool:
        _, at_left, at_right = np.intersect1d(left.row, right.row, return_indices=True)
        if len(at_left) < MIN_ROWS:
            self.problem = 'the drivable ground has no edge on both sides'
            return False
        x = 0.5 * (left.x[at_left] + right.x[at_right])
        across_m = left.y[at_left] - right.y[at_right]
        middle_m = 0.5 * (left.y[at_left] + right.y[at_right])
        half_curvature, slope, offset_m = np.polyfit(x, middle_m, 2).tolist()
        cos = 1.0 / np.sqrt(1.0 + np.square(slope + 2.0 * half_curvature * x))
        width_m = float(np.median(across_m * cos))
        limits = self._limits
        if not limits.narrowest_m <= width_m <= limits.widest_m:
            self.problem = f'the drivable ground is {width_m:.1f} m wide'
            return False
        self.start(np.array([offset_m, slope, 2.0 * half_curvature, width_m]))
        return True
