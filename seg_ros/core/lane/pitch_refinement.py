# SPDX-License-Identifier: Apache-2.0
"""Pitch error of a camera, averaged from the vanishing point of the lane's lines.

Lines that are parallel on the ground meet where the lane tracker says they do. What lasts is the
mounting; what does not, slopes and braking, is averaged away.
"""

from __future__ import annotations

import math

from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.units import NS_PER_S

__all__ = ['PitchRefinement']

AVERAGE_S = 4.0
FORGET_S = 30.0  # without lines, back to what the mounting says


class PitchRefinement:
    """The average pitch error of one camera.

    Args:
        limit_rad: The estimate never gets further from the mounting than this; 0 is no
            refinement.

    Attributes:
        limit_rad: May be changed at any time.
    """

    def __init__(self, limit_rad: float) -> None:
        self.limit_rad = limit_rad
        self.reset()

    def reset(self) -> None:
        """Believes the mounting again."""
        self._pitch_rad = 0.0
        self._stamp_ns: int | None = None

    def update(self, lane: LaneTrack | None, height_m: float, stamp_ns: int) -> float:
        """Returns how much further up the camera looks than its mounting says, in radians.

        Args:
            lane: Of the frame; counts if it is valid and its two lines were seen.
            height_m: Of the camera above the ground.
            stamp_ns: Of the frame.
        """
        since_s = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) / NS_PER_S
        self._stamp_ns = stamp_ns
        is_seen = lane is not None and lane.valid and lane.source == 'markings' and not lane.age_s
        target_rad = lane.pitch_per_m * height_m if lane is not None and is_seen else 0.0
        gain = -math.expm1(-max(since_s, 0.0) / (AVERAGE_S if is_seen else FORGET_S))
        if math.isfinite(target_rad):
            self._pitch_rad += gain * (target_rad - self._pitch_rad)
        self._pitch_rad = min(max(self._pitch_rad, -self.limit_rad), self.limit_rad)
        return self._pitch_rad
