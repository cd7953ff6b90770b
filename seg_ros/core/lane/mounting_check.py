# SPDX-License-Identifier: Apache-2.0
"""Whether the painted lines contradict the mounting of the camera, and what would be right.

A pitch that is off by two degrees makes a lane of 3.5 m one of 2.4, and the fit of a lane that
expects small errors believes it. Where parallel lines meet needs no mounting, so that it can tell.
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.geometry.vanishing_point import lines_of, meeting_point, own_lane, turned
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.types import LabelImage
from seg_ros.core.units import NS_PER_S

__all__ = ['MountingCheck']

PERIOD_S = 0.5  # between two looks: the mounting does not change, and a look costs as a fit does
LOOKS = 24  # that are remembered
LEAST_LOOKS = 10  # 5 s of lines: longer than a bump, a ramp or braking
FORGET_S = 60.0  # a look that is older may be of another load, or of another hill
AGREE_RAD = math.radians(0.5)  # median distance of the looks from their median: else they differ
ENDS = 0.7  # of the limit, below which a contradiction is over
WIDTH_SLACK = 0.08  # of a width that is known; roads of one kind differ by less


class MountingCheck:
    """Remembers where lines met; one caller, images in order of their stamps.

    Args:
        config: The limit, and the width of the lane where it is known.
        lane_lut: ``uint8 (256,)``, not 0 for classes that are lane markings.

    Attributes:
        problem: What contradicts the mounting, with the numbers to set; empty where nothing does.
    """

    def __init__(self, config: LaneConfig, lane_lut: NDArray[np.uint8]) -> None:
        self._config = config
        self._lut = lane_lut
        self.reset()

    def reset(self) -> None:
        """Forgets what was seen: another mounting, or another place."""
        self.problem = ''
        self._looked_ns: int | None = None
        self._pitches: deque[tuple[int, float]] = deque(maxlen=LOOKS)
        self._widths: deque[tuple[int, float]] = deque(maxlen=LOOKS)

    def update(self, labels: LabelImage, camera: Camera, stamp_ns: int) -> str:
        """Returns the problem after one more image.

        Args:
            labels: ``(H, W)`` class ids.
            camera: Of label images, at its place.
            stamp_ns: Of the image.
        """
        if not self._config.max_mount_error_rad:
            return ''
        if self._looked_ns is not None:
            since_s = (stamp_ns - self._looked_ns) / NS_PER_S
            if 0.0 <= since_s < PERIOD_S:
                return self.problem
            if since_s < 0.0:  # a recording that begins again
                self.reset()
        self._looked_ns = stamp_ns
        lines = lines_of(cv2.LUT(labels, self._lut), camera.intrinsics)
        if (point := meeting_point(lines)) is None:
            return self.problem
        pitch_rad, _ = turned(*point, camera.mount.roll)
        self._pitches.append((stamp_ns, pitch_rad))
        if pair := own_lane(lines, point, camera.mount.roll):
            self._widths.append((stamp_ns, (pair[0] - pair[1]) * camera.mount.z))
        self.problem = self._pitch_problem(camera, stamp_ns) or self._width_problem(
            camera, stamp_ns
        )
        return self.problem

    def _pitch_problem(self, camera: Camera, stamp_ns: int) -> str:
        seen_rad = _median(self._pitches, stamp_ns, AGREE_RAD)
        limit_rad = self._config.max_mount_error_rad * (ENDS if self.problem else 1.0)
        said_rad = camera.mount.pitch
        if seen_rad is None or abs(seen_rad - said_rad) <= limit_rad:
            return ''
        return (
            f'the lines of the lane meet where a camera with pitch {said_rad:.3f} rad cannot see '
            f'them: set mount.pitch to {seen_rad:.3f} ({math.degrees(said_rad - seen_rad):+.1f}° '
            'is wrong with it), or correct TF; seg_ros calibrate finds it'
        )

    def _width_problem(self, camera: Camera, stamp_ns: int) -> str:
        if not self._config.width_known:  # the scale is unproven, but not contradicted
            return ''
        expected_m = self._config.width_expected_m
        seen_m = _median(self._widths, stamp_ns, 0.5 * WIDTH_SLACK * expected_m)
        slack = WIDTH_SLACK * (ENDS if self.problem else 1.0)
        if seen_m is None or abs(seen_m / expected_m - 1.0) <= slack:
            return ''
        height_m = camera.mount.z
        return (
            f'the lane is {seen_m:.2f} m wide with mount.z {height_m:.2f} m, and '
            f'lane.width_expected_m says {expected_m:.2f} m (lane.width_known): set mount.z to '
            f'{height_m * expected_m / seen_m:.2f}, or the width to what it is'
        )


def _median(looks: deque[tuple[int, float]], now_ns: int, spread: float) -> float | None:
    """The median of what was seen lately; None while that is little, or differs."""
    values = [value for at_ns, value in looks if now_ns - at_ns < FORGET_S * NS_PER_S]
    if len(values) < LEAST_LOOKS:
        return None
    median = float(np.median(values))
    off = float(np.median(np.abs(np.array(values) - median)))
    return median if off < spread else None
