"""What is believed of the lane between two images: a Kalman filter that moves with the vehicle."""

from __future__ import annotations

import math

import numpy as np

from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.fit import STATES, TILT, WIDTH, Belief
from seg_ros.core.lane.shape import Float64Array, moved, parallel, recentring

__all__ = ['LaneFilter']

# Standard deviations after one second, in the units of ``LaneFilter._units``.
DRIFT = np.array([0.03, 0.03, 0.12, 0.6, 0.01, 0.0])
UNKNOWN_MOTION = np.array([0.06, 0.06, 0.3, 1.0, 0.0, 0.0])
AT_START = np.array([0.4, 0.25, 0.6, 5.0, 0.12, 1.0])
KNOWN_WIDTH = 0.01
TILT_TIME_S = 1.0  # how long a pitch lasts


class LaneFilter:
    """Offset, heading, curvature, rate, width and tilt, with their covariance.

    Args:
        config: Scales of lane and road.
        width_m: Typical width, which lateral uncertainties are relative to.
        width_known: The width needs no measuring.
    """

    def __init__(self, config: LaneConfig, width_m: float, *, width_known: bool = False) -> None:
        curvature = max(config.max_curvature_per_m, 1e-6)
        self._reach_m = config.look_ahead_m
        self._units = np.array(
            [width_m, 1.0, curvature, curvature / config.look_ahead_m, width_m, 1.0]
        )
        self._start_std = AT_START * self._units
        self._start_std[TILT] = max(config.pitch_per_m, 1e-9)
        if width_known:
            self._start_std[WIDTH] = KNOWN_WIDTH * width_m
        self._belief: Belief | None = None

    @property
    def belief(self) -> Belief | None:
        """What is believed now; None before the start and after ``drop``."""
        return self._belief

    def start(self, offset_m: float, slope: float, curvature: float, width_m: float) -> Belief:
        """Begins with a rough lane; returns what is believed of it."""
        mean = np.array([offset_m, slope, curvature, 0.0, width_m, 0.0])
        self._belief = Belief(mean, np.diag(np.square(self._start_std)))
        return self._belief

    def drop(self) -> None:
        """Forgets the lane."""
        self._belief = None

    def accept(self, belief: Belief) -> None:
        """Takes over what an image has shown."""
        self._belief = belief

    def move(self, dt_s: float, speed_mps: float | None, yaw_rate_radps: float | None) -> None:
        """Lets time pass and the vehicle move; what is unknown of it makes less sure."""
        if self._belief is None:
            return
        mean, covariance = self._belief.mean.copy(), self._belief.covariance
        forward_m = (speed_mps or 0.0) * dt_s
        turn_rad = (yaw_rate_radps or 0.0) * dt_s
        mean[:4] = moved(
            mean[:4],
            forward_m * math.cos(0.5 * turn_rad),
            forward_m * math.sin(0.5 * turn_rad),
            turn_rad,
        )
        std = DRIFT.copy()
        if speed_mps is None or yaw_rate_radps is None:
            std = np.hypot(std, UNKNOWN_MOTION)
        transition = np.eye(STATES)
        transition[:4, :4] = recentring(forward_m)
        remembered = math.exp(-dt_s / TILT_TIME_S)
        transition[TILT, TILT] = remembered
        mean[TILT] *= remembered
        growth = np.square(std * self._units) * dt_s
        growth[TILT] = (1.0 - remembered**2) * self._start_std[TILT] ** 2
        self._belief = Belief(mean, transition @ covariance @ transition.T + np.diag(growth))

    def renumber(self, left_m: float, width_m: float) -> None:
        """Goes over to the lane whose middle is so far to the left, negative to the right."""
        if self._belief is None:
            return
        mean = self._belief.mean.copy()
        mean[:4] = parallel(mean[:4], left_m, self._reach_m)
        mean[WIDTH] = width_m
        covariance = self._belief.covariance.copy()
        covariance[0, 0] += (0.03 * width_m) ** 2
        covariance[WIDTH, WIDTH] += (0.05 * width_m) ** 2
        self._belief = Belief(mean, covariance)


def std_of(belief: Belief, state: int) -> float:
    """Standard deviation of one state."""
    return math.sqrt(max(float(belief.covariance[state, state]), 0.0))


def shape_of(belief: Belief) -> Float64Array:
    """The centre line's four coefficients."""
    return belief.mean[:4]
