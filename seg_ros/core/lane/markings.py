# SPDX-License-Identifier: Apache-2.0
"""Lane markings: the lane between painted lines, found, doubted now and then, changed.

The lines of the lanes beside are looked for as well; a lane change goes over to one of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from seg_ros.core.lane.checks import Limits
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.filter import LaneEstimate
from seg_ros.core.lane.fit import BINS_PER_LANE, LaneFit, painted_beside_m
from seg_ros.core.lane.follower import LaneFollower
from seg_ros.core.lane.points import Points
from seg_ros.core.lane.shape import Float64Array, value_at
from seg_ros.core.lane.vote import LaneVote
from seg_ros.core.units import NS_PER_S

__all__ = ['EdgeFollower', 'MarkingFollower', 'SeenLine']

SECOND_LOOK_FRAMES = 5  # every so many images, as a vote costs more than a fit
DOUBTS = 3  # in a row: 15 images, 0.75 s at 20 Hz, about as long as a lane may coast
DOUBT = 0.3  # in lanes, between the tracked middle and the one found anew
DOUBT_AT = 0.35  # of the look-ahead, 10.5 m of 30: where the two middles are compared
# In lanes from the middle. The line is at 0.5: who has changed is 0.47 from the new middle and has
# to come back by 0.06 (0.2 m at 3.4 m) to change again, so that it may drive along the line.
LANE_CHANGE = 0.53
NEIGHBOUR_MEMORY_S = 1.5  # 12 m at 8 m/s: a dash and its gap on a country road (4 m and 8 m)
NEIGHBOUR_SPREAD = 0.1  # in lanes: points of one line


class SeenLine(NamedTuple):
    """A line of the lane, or the far line of the lane beside.

    Attributes:
        left_m: Its distance to the left of the lane's middle, negative to the right.
        length_m: Painted length of it.
    """

    left_m: float
    length_m: float


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
        self.neighbours: dict[str, SeenLine] = {}
        self.glide_m = 0.0

    def predict(self, dt_s: float, speed_mps: float | None, yaw_rate_radps: float | None) -> None:
        super().predict(dt_s, speed_mps, yaw_rate_radps)
        left_m = max(abs(self.glide_m) - self._config.lane_change_mps * dt_s, 0.0)
        self.glide_m = math.copysign(left_m, self.glide_m)

    def reset(self) -> None:
        super().reset()
        self._doubts = 0
        self.neighbours = {}
        self.glide_m = 0.0

    def update(self, points: Points, camera_x_m: float, stamp_ns: int) -> None:
        self._frame += 1
        if self.estimate is None:
            found = self._vote.find(points, self.width_m)
            if found is None:
                self.problem = 'too few pixels of any line'
                return
            self.start(found)
        super().update(points, camera_x_m, stamp_ns)
        if self.fit is None or self.estimate is None:
            return
        for name, line in _find_neighbours(points, self.fit, self._config).items():
            self.neighbours[name] = line
            self._neighbours_ns[name] = stamp_ns
        for name in [n for n in self.neighbours if self._is_forgotten(n, stamp_ns)]:
            del self.neighbours[name]
        self._second_look(points, self.estimate)
        if self.estimate is not None:
            self._change_lanes(self.estimate)

    def _is_forgotten(self, name: str, stamp_ns: int) -> bool:
        return stamp_ns - self._neighbours_ns[name] > NEIGHBOUR_MEMORY_S * NS_PER_S

    def _change_lanes(self, estimate: LaneEstimate) -> None:
        """Goes over to the lane beside once the vehicle is in it."""
        middle_m, width_m = float(estimate.state[0]), estimate.width_m
        name = 'left' if middle_m < 0.0 else 'right'
        if abs(middle_m) < LANE_CHANGE * width_m or name not in self.neighbours:
            return
        near_m = math.copysign(0.5 * width_m, -middle_m)
        far_m = self.neighbours[name].left_m
        shift_m = 0.5 * (near_m + far_m)
        self.shift_lane(shift_m, abs(far_m - near_m))
        self.glide_m -= shift_m
        self.neighbours = {}

    def _second_look(self, points: Points, estimate: LaneEstimate) -> None:
        """Drops a lane that a look without memory contradicts several times."""
        if self._frame % SECOND_LOOK_FRAMES:
            return
        found = self._vote.find(points, self.width_m)
        if found is None:
            return
        at_m = np.array([DOUBT_AT * self._config.look_ahead_m])
        tracked_m = float(value_at(estimate.shape, at_m)[0])
        offset_m, slope, curvature, _ = found.tolist()
        found_m = float(value_at(np.array([offset_m, slope, curvature, 0.0]), at_m)[0])
        if abs(found_m - tracked_m) < DOUBT * self.width_m:
            self._doubts = 0
            return
        self._doubts += 1
        if self._doubts >= DOUBTS:
            self.problem = 'a second look sees another lane'
            self.reset()


class EdgeFollower(MarkingFollower):
    """The lane between one painted line and the edge of the drivable ground: streets with kerbs.

    Args:
        config: Widths and times.
    """

    def update_with_edges(
        self, lines: Points, edges: Points, camera_x_m: float, stamp_ns: int
    ) -> None:
        """Takes over what an image shows: a lane has a painted line at one of its sides only.

        Args:
            lines: Points of painted lines.
            edges: Points of the edges of the drivable ground.
            camera_x_m: Where the camera is, base frame.
            stamp_ns: Of the image.
        """
        if self.estimate is None and float(lines.length_m.sum()) < self._config.min_line_m:
            self.problem = 'too few pixels of any line'
            return
        self.update(lines.joined(edges), camera_x_m, stamp_ns)
        if self.estimate is None:
            return
        less_m, more_m = sorted(painted_beside_m(lines, self.estimate, camera_x_m))
        if self.fit is not None and not less_m < self._config.min_line_m <= more_m:
            self.reset()
            self.problem = f'{more_m:.1f} m and {less_m:.1f} m of painted line at its sides'


def _find_neighbours(points: Points, fit: LaneFit, config: LaneConfig) -> dict[str, SeenLine]:
    """Returns the lines found, under ``left`` and ``right``."""
    is_near = fit.against.foot_m < config.look_ahead_m
    half_m = 0.5 * fit.estimate.width_m
    found = {}
    for name, sign in (('left', 1.0), ('right', -1.0)):
        beyond_m = sign * fit.against.signed_m - half_m
        chosen = (beyond_m > config.width_min_m) & (beyond_m < config.width_max_m) & is_near
        line = _strongest(beyond_m[chosen], points.length_m[chosen], config)
        if line is not None:
            found[name] = SeenLine(sign * (line[0] + half_m), line[1])
    return found


def _strongest(
    place_m: Float64Array, length_m: Float64Array, config: LaneConfig
) -> tuple[float, float] | None:
    """Returns where most is painted, and how much of it; None where that is no line."""
    if float(length_m.sum()) < config.min_line_m:
        return None
    bin_m = config.width_expected_m / BINS_PER_LANE
    votes = np.bincount((place_m / bin_m).astype(np.intp), length_m)
    top_m = (int(votes.argmax()) + 0.5) * bin_m
    line = np.abs(place_m - top_m) < NEIGHBOUR_SPREAD * config.width_expected_m
    total_m = float(length_m[line].sum())
    if total_m < config.min_line_m:
        return None
    return float((place_m * length_m)[line].sum()) / total_m, total_m
