# SPDX-License-Identifier: Apache-2.0
"""Track of one lane through time: confirmed by hits, coasted without, deleted when it is lost.

Each image predicts the filter, fits the lane to what is seen, and takes the fit over if the checks
find nothing. A corridor, the middle of the drivable ground, is followed where nothing is painted.
"""

from __future__ import annotations

import numpy as np

from seg_ros.core.lane.checks import Known, Limits, fit_problem
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.filter import LaneEstimate, LaneFilter
from seg_ros.core.lane.fit import LaneFit, fit_lane, painted_inside_m
from seg_ros.core.lane.points import Points
from seg_ros.core.lane.shape import Float64Array
from seg_ros.core.units import NS_PER_S

__all__ = ['CorridorFollower', 'LaneFollower']

MIN_POINTS = 4  # as many as the shape has coefficients
PITCH_LEARNING = 0.01  # of a change, per image: a time constant of 5 s at 20 Hz
PITCH_MEMORY_S = 5.0  # without the lane, as long as it took to learn
EXTRAPOLATED = 0.1  # of the look-ahead, beyond what is seen: 3 m of 30, the shortest line
# Of a corridor
RAGGED = 2.0  # times the residual of paint: edges of ground are rougher; half or twice passes too
MIN_ROWS = 8  # with both edges, for the parabola that it begins with: its three numbers twice over
DIVIDED = 2.0  # in shortest lines: so much paint inside is no stray spot; half or twice passes too


class LaneFollower:
    """Keeps one lane.

    Args:
        config: Scales and times.
        limits: Of this kind of lane.
        width_m: Expected at the start.
        width_known: That width needs no measuring.

    Attributes:
        width_m: Of the lane when it was last seen.
        problem: Why the newest image gave nothing, empty when it did.
        both_sides: Whether both lines were seen when the lane was last seen.
        reach_m: x up to which the lane is known.
        fit: Of the newest image, None where it gave nothing.
    """

    def __init__(
        self, config: LaneConfig, limits: Limits, width_m: float, *, width_known: bool = False
    ) -> None:
        self._config = config
        self._limits = limits
        self._filter = LaneFilter(config, width_m, width_known=width_known)
        self._seen_ns = 0
        self._hits = 0
        self._usual_pitch: float | None = None
        self._width_known = self._width_seen = width_known
        self.width_m = width_m
        self.problem = 'no lane was found yet'
        self.both_sides = False
        self.reach_m = 0.0
        self.fit: LaneFit | None = None

    @property
    def estimate(self) -> LaneEstimate | None:
        """The lane as it is believed now, None when there is none."""
        return self._filter.estimate

    @property
    def is_confirmed(self) -> bool:
        """Whether enough images in a row agreed since the lane was found."""
        return self.estimate is not None and self._hits >= self._config.confirm_frames

    def age_s(self, stamp_ns: int) -> float:
        """Time since the lane was last seen."""
        return (stamp_ns - self._seen_ns) / NS_PER_S

    def predict(self, dt_s: float, speed_mps: float | None, yaw_rate_radps: float | None) -> None:
        """Lets time pass and the vehicle move."""
        self._filter.predict(dt_s, speed_mps, yaw_rate_radps)
        self.reach_m -= (speed_mps or 0.0) * dt_s

    def start(self, lane: Float64Array) -> None:
        """Begins with a rough lane: offset, heading, curvature, width."""
        offset_m, slope, curvature, width_m = lane.tolist()
        self._filter.start(offset_m, slope, curvature, width_m)

    def reset(self) -> None:
        """Forgets the lane, but for its width."""
        self._filter.reset()
        self._hits = 0
        self._width_seen = self._width_known
        self.reach_m = 0.0
        self.fit = None

    def shift_lane(self, left_m: float, width_m: float) -> None:
        """Goes over to the lane whose middle is so far to the left."""
        self._filter.shift_lane(left_m, width_m)
        self.width_m = width_m

    def update(self, points: Points, camera_x_m: float, stamp_ns: int) -> None:
        """Takes over what an image shows of the lane if it can be believed, else coasts.

        Args:
            points: Of the image.
            camera_x_m: Where the camera is, base frame.
            stamp_ns: Of the image.
        """
        expected = self.estimate
        self.fit = None
        if self.age_s(stamp_ns) > PITCH_MEMORY_S:
            self._usual_pitch = None
        if expected is None:
            return
        self.problem = 'too few pixels'
        if len(points) >= MIN_POINTS:
            width_m = expected.width_m
            fit = fit_lane(points, expected, width_m, camera_x_m, coarse=self._hits == 0)
            known = Known(self.is_confirmed, self._width_seen, self._usual_pitch)
            self.problem = fit_problem(fit, self._config, self._limits, known)
            if not self.problem:
                self._accept(fit, stamp_ns)
                return
        if not self.is_confirmed or self.age_s(stamp_ns) > self._config.max_coast_s:
            self.reset()

    def _accept(self, fit: LaneFit, stamp_ns: int) -> None:
        config, limits = self._config, self._limits
        self.fit = fit
        self._filter.update(fit.estimate)
        self._seen_ns = stamp_ns
        self._hits += 1
        self.both_sides = min(fit.left.length_m, fit.right.length_m) >= config.min_line_m
        self._width_seen |= self.both_sides
        seen_m = max(fit.left.reach_m, fit.right.reach_m) + EXTRAPOLATED * config.look_ahead_m
        self.reach_m = min(max(seen_m, self.reach_m), config.look_ahead_m)
        pitch_per_m = fit.estimate.pitch_per_m
        usual = pitch_per_m if self._usual_pitch is None else self._usual_pitch
        self._usual_pitch = usual + PITCH_LEARNING * (pitch_per_m - usual)
        width_m = fit.estimate.width_m
        self.width_m = min(max(width_m, limits.narrowest_m), limits.widest_m)


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
