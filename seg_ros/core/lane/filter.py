# SPDX-License-Identifier: Apache-2.0
"""Kalman filter of a lane: state, covariance, and how they go on while the vehicle moves.

The state is offset, heading, curvature and rate of curvature of the middle (see ``shape``), the
width of the lane, and the camera's pitch error over its height, which makes parallel lines look
as if they met or parted and is known from that. ``fit`` is the measurement update.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.shape import Float64Array, moved, parallel, recentring

__all__ = ['PITCH', 'STATE_SIZE', 'WIDTH', 'LaneEstimate', 'LaneFilter']

STATE_SIZE = 6
WIDTH = 4  # its place in the state; offset, heading, curvature and rate are 0 to 3
PITCH = 5  # likewise: the pitch error over the camera's height, rad/m, positive looks up

# Standard deviations in the units of ``LaneFilter``: lanes, radians, tightest bends, these
# per look-ahead, lanes; of the pitch error, ``lane.pitch_per_m`` instead. The first two are what
# one second adds. Chosen on the synthetic roads of test_tracker: with half of DRIFT a lane change
# fails, with twice of it a gap that is coasted through; with half or twice of UNKNOWN_MOTION the
# track without odometry; with half of AT_START a lane that merges.
DRIFT = np.array([0.03, 0.03, 0.12, 0.6, 0.01, 0.0])
UNKNOWN_MOTION = np.array([0.06, 0.06, 0.3, 1.0, 0.0, 0.0])
AT_START = np.array([0.4, 0.25, 0.6, 5.0, 0.12, 1.0])
KNOWN_WIDTH = 0.01  # in lanes: standard deviation of a width that is a parameter
PITCH_TIME_S = 1.0  # time constant of a pitch error: a bump, a touch of the brake; not critical
SAME = np.eye(STATE_SIZE)
SHIFT_STD, SHIFT_WIDTH_STD = 0.03, 0.05  # in lanes: what a lane change adds, of place and width


class LaneEstimate(NamedTuple):
    """State and covariance of a lane.

    Attributes:
        state: ``(6,)``: m, -, 1/m, 1/m^2, m, rad/m.
        covariance: ``(6, 6)``.
    """

    state: Float64Array
    covariance: Float64Array

    @property
    def width_m(self) -> float:
        return float(self.state[WIDTH])

    @property
    def pitch_per_m(self) -> float:
        return float(self.state[PITCH])

    @property
    def shape(self) -> Float64Array:
        """``(4,)`` coefficients of the middle of the lane."""
        return self.state[:4]

    def std(self, index: int) -> float:
        """Standard deviation of one number of the state."""
        return math.sqrt(max(float(self.covariance[index, index]), 0.0))


class LaneFilter:
    """Keeps the estimate of one lane.

    Args:
        config: Scales of lane and road.
        width_m: Typical width, which lateral uncertainties are relative to.
        width_known: The width needs no measuring.
    """

    def __init__(self, config: LaneConfig, width_m: float, *, width_known: bool = False) -> None:
        curvature = max(config.max_curvature_per_m, 1e-6)
        self._reach_m = config.look_ahead_m
        units = np.array([width_m, 1.0, curvature, curvature / config.look_ahead_m, width_m, 1.0])
        # What a second adds to the variances
        self._drift = np.square(DRIFT * units)
        self._drift_unknown = np.square(np.hypot(DRIFT, UNKNOWN_MOTION) * units)
        self._start_std = AT_START * units
        self._start_std[PITCH] = max(config.pitch_per_m, 1e-9)
        if width_known:
            self._start_std[WIDTH] = KNOWN_WIDTH * width_m
        self._estimate: LaneEstimate | None = None

    @property
    def estimate(self) -> LaneEstimate | None:
        """The estimate now; None before the start and after ``reset``."""
        return self._estimate

    def start(
        self, offset_m: float, slope: float, curvature: float, width_m: float
    ) -> LaneEstimate:
        """Begins with a rough lane; returns the estimate of it."""
        state = np.array([offset_m, slope, curvature, 0.0, width_m, 0.0])
        self._estimate = LaneEstimate(state, np.diag(np.square(self._start_std)))
        return self._estimate

    def reset(self) -> None:
        """Forgets the lane."""
        self._estimate = None

    def update(self, posterior: LaneEstimate) -> None:
        """Takes over the posterior of an image, see ``fit_lane``."""
        self._estimate = posterior

    def predict(self, dt_s: float, speed_mps: float | None, yaw_rate_radps: float | None) -> None:
        """Lets time pass and the vehicle move; what is unknown of it makes less sure."""
        if self._estimate is None:
            return
        state, covariance = self._estimate.state.copy(), self._estimate.covariance
        forward_m = (speed_mps or 0.0) * dt_s
        turn_rad = (yaw_rate_radps or 0.0) * dt_s
        state[:4] = moved(
            state[:4],
            forward_m * math.cos(0.5 * turn_rad),
            forward_m * math.sin(0.5 * turn_rad),
            turn_rad,
        )
        is_known = speed_mps is not None and yaw_rate_radps is not None
        growth = (self._drift if is_known else self._drift_unknown) * dt_s
        transition = SAME.copy()
        transition[:4, :4] = recentring(forward_m)
        remembered = math.exp(-dt_s / PITCH_TIME_S)
        transition[PITCH, PITCH] = remembered
        state[PITCH] *= remembered
        growth[PITCH] = (1.0 - remembered**2) * self._start_std[PITCH] ** 2
        covariance = transition @ covariance @ transition.T
        covariance.reshape(-1)[:: STATE_SIZE + 1] += growth  # its diagonal
        self._estimate = LaneEstimate(state, covariance)

    def shift_lane(self, left_m: float, width_m: float) -> None:
        """Goes over to the lane whose middle is so far to the left, negative to the right."""
        if self._estimate is None:
            return
        state = self._estimate.state.copy()
        state[:4] = parallel(state[:4], left_m, self._reach_m)
        state[WIDTH] = width_m
        covariance = self._estimate.covariance.copy()
        covariance[0, 0] += (SHIFT_STD * width_m) ** 2
        covariance[WIDTH, WIDTH] += (SHIFT_WIDTH_STD * width_m) ** 2
        self._estimate = LaneEstimate(state, covariance)
