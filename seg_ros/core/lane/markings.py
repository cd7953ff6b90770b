"""Follows the painted lines: finds them, doubts them now and then, and changes lanes with them."""

from __future__ import annotations

import math

import numpy as np

from seg_ros.core.lane.checks import Limits
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.fit import WIDTH, Belief, painted_beside_m
from seg_ros.core.lane.follower import LaneFollower
from seg_ros.core.lane.neighbours import Neighbour, find_neighbours
from seg_ros.core.lane.points import Points
from seg_ros.core.lane.shape import value_at
from seg_ros.core.lane.vote import LaneVote
from seg_ros.core.units import NS_PER_S

__all__ = ['EdgeFollower', 'MarkingFollower']

SECOND_LOOK_FRAMES = 5
DOUBTS = 3
DOUBT = 0.3  # in lanes, between the tracked middle and the one found anew
DOUBT_AT = 0.35  # of the look-ahead
LANE_CHANGE = 0.53  # in lanes from the middle
NEIGHBOUR_MEMORY_S = 1.5


class MarkingFollower(LaneFollower):
    """The lane between painted lines.

    Args:
        config: Widths and times.

    Attributes:
        neighbours: Far lines of the lanes beside, under ``left`` and ``right``, when last seen.
        glide_m: How far the path is still left of the lane's middle after a lane change.
    """

    def __init__(self, config: LaneConfig) -> None:
        super().__init__(
            config,
            Limits(config.width_min_m, config.width_max_m, config.max_residual_m),
            config.width_expected_m,
            width_known=config.width_known,
        )
        self._vote = LaneVote(config)
        self._frame = 0
        self._doubts = 0
        self._neighbours_ns: dict[str, int] = {}
        self.neighbours: dict[str, Neighbour] = {}
        self.glide_m = 0.0

    def move(self, dt_s: float, speed_mps: float | None, yaw_rate_radps: float | None) -> None:
        super().move(dt_s, speed_mps, yaw_rate_radps)
        left_m = max(abs(self.glide_m) - self._config.lane_change_mps * dt_s, 0.0)
        self.glide_m = math.copysign(left_m, self.glide_m)

    def drop(self) -> None:
        super().drop()
        self._doubts = 0
        self.neighbours = {}
        self.glide_m = 0.0

    def look(self, points: Points, eye_x_m: float, stamp_ns: int) -> None:
        self._frame += 1
        if self.belief is None:
            found = self._vote.find(points, self.width_m)
            if found is None:
                self.problem = 'too few pixels of any line'
                return
            self.start(found)
        super().look(points, eye_x_m, stamp_ns)
        if self.fit is None or self.belief is None:
            return
        for name, line in find_neighbours(points, self.belief, self._config, eye_x_m).items():
            self.neighbours[name] = line
            self._neighbours_ns[name] = stamp_ns
        for name in [n for n in self.neighbours if self._is_forgotten(n, stamp_ns)]:
            del self.neighbours[name]
        self._look_again(points, self.belief)
        if self.belief is not None:
            self._change_lanes(self.belief)

    def _is_forgotten(self, name: str, stamp_ns: int) -> bool:
        return stamp_ns - self._neighbours_ns[name] > NEIGHBOUR_MEMORY_S * NS_PER_S

    def _change_lanes(self, belief: Belief) -> None:
        """Goes over to the lane beside once the vehicle is in it."""
        middle_m, width_m = float(belief.mean[0]), float(belief.mean[WIDTH])
        name = 'left' if middle_m < 0.0 else 'right'
        if abs(middle_m) < LANE_CHANGE * width_m or name not in self.neighbours:
            return
        near_m = math.copysign(0.5 * width_m, -middle_m)
        far_m = self.neighbours[name].left_m
        shift_m = 0.5 * (near_m + far_m)
        self.renumber(shift_m, abs(far_m - near_m))
        self.glide_m -= shift_m
        self.neighbours = {}

    def _look_again(self, points: Points, belief: Belief) -> None:
        """Drops a lane that a look without memory contradicts several times."""
        if self._frame % SECOND_LOOK_FRAMES:
            return
        found = self._vote.find(points, self.width_m)
        if found is None:
            return
        at_m = np.array([DOUBT_AT * self._config.look_ahead_m])
        tracked_m = float(value_at(belief.mean[:4], at_m)[0])
        offset_m, slope, curvature, _ = found.tolist()
        found_m = float(value_at(np.array([offset_m, slope, curvature, 0.0]), at_m)[0])
        if abs(found_m - tracked_m) < DOUBT * self.width_m:
            self._doubts = 0
            return
        self._doubts += 1
        if self._doubts >= DOUBTS:
            self.problem = 'a second look sees another lane'
            self.drop()


class EdgeFollower(MarkingFollower):
    """The lane between one painted line and the edge of the drivable ground: streets with kerbs.

    Args:
        config: Widths and times.
    """

    def look_with_edges(self, lines: Points, edges: Points, eye_x_m: float, stamp_ns: int) -> None:
        """Takes over what an image shows: a lane has a painted line at one of its sides only.

        Args:
            lines: Points of painted lines.
            edges: Points of the edges of the drivable ground.
            eye_x_m: Where the camera is, base frame.
            stamp_ns: Of the image.
        """
        if self.belief is None and float(lines.length_m.sum()) < self._config.min_line_m:
            self.problem = 'too few pixels of any line'
            return
        self.look(lines.joined(edges), eye_x_m, stamp_ns)
        if self.belief is None:
            return
        less_m, more_m = sorted(painted_beside_m(lines, self.belief, eye_x_m))
        if self.fit is not None and not less_m < self._config.min_line_m <= more_m:
            self.drop()
            self.problem = f'{more_m:.1f} m and {less_m:.1f} m of painted line at its sides'
