# SPDX-License-Identifier: Apache-2.0
"""Lane departure warning: whether the vehicle is about to cross a line of its lane.

It is the time to line crossing of the front corners that warns (compare ISO 17361).
"""

from __future__ import annotations

import math

import numpy as np

from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.track import LaneTrack

__all__ = ['SIDES', 'DepartureWarning']

SIDES = ('left', 'right')
RELEASE = 1.5  # times the warning time: a warning ends only with so much of it
RELEASE_ROOM_M = 0.1  # and with so much room to the line


class DepartureWarning:
    """Judges tracks one after the other.

    Args:
        config: Warning time.
        half_width_m: Of the vehicle.
    """

    def __init__(self, config: LaneConfig, half_width_m: float) -> None:
        self._config = config
        self._half_width_m = half_width_m
        self._side = ''

    def update(
        self, track: LaneTrack, speed_mps: float | None, yaw_rate_radps: float | None
    ) -> str | None:
        """Returns the side whose line the front is about to cross, or has crossed.

        Args:
            track: The lane now.
            speed_mps: Of the vehicle.
            yaw_rate_radps: Of the vehicle, positive turns left.

        Returns:
            One of ``SIDES``, empty for neither, None where that is not known: without a valid
            lane and without odometry.
        """
        if not track.valid or speed_mps is None or yaw_rate_radps is None:
            self._side = ''
            return None
        times_s = {
            side: self._time_to_line_crossing_s(track, side, speed_mps, yaw_rate_radps)
            for side in SIDES
        }
        side = min(times_s, key=lambda name: times_s[name])
        if times_s[side] <= self._config.departure_s:
            self._side = side
        elif self._side and self._is_over(track, self._side, times_s[self._side]):
            self._side = ''
        return self._side

    def _time_to_line_crossing_s(
        self, track: LaneTrack, side: str, speed_mps: float, yaw_rate: float
    ) -> float:
        """Time until the front corner is on the line, infinite when it moves away from it."""
        room_m = self._room_m(track, side)
        if room_m <= 0.0:
            return 0.0
        sign, at = _sign(side), np.array([track.start_m])
        slope = math.tan(float(getattr(track, side).yaw(at)[0]))
        closing_mps = sign * (yaw_rate * track.start_m - speed_mps * slope)
        return room_m / closing_mps if closing_mps > 0.0 else math.inf

    def _room_m(self, track: LaneTrack, side: str) -> float:
        line_m = float(getattr(track, side).y(np.array([track.start_m]))[0])
        return _sign(side) * line_m - self._half_width_m

    def _is_over(self, track: LaneTrack, side: str, time_s: float) -> bool:
        enough_time = time_s > RELEASE * self._config.departure_s
        return enough_time and self._room_m(track, side) > RELEASE_ROOM_M


def _sign(side: str) -> float:
    return 1.0 if side == 'left' else -1.0
