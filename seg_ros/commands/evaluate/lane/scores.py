# SPDX-License-Identifier: Apache-2.0
"""How far a lane track is from the truth, over many frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.lane.track import LaneTrack
from seg_ros.sim.frame import SimFrame

__all__ = ['AT_M', 'FALSE_BEYOND_M', 'LaneScores', 'lane_figures']

AT_M = (5, 10, 15, 25)
FALSE_BEYOND_M = 0.3  # a valid path further off than this within 15 m is falsely valid
FALSE_WITHIN_M = 15
CURVATURE_AT_M = 10.0
CURVATURE_OVER_M = 4.0

Path = NDArray[np.float64]


class LaneScores:
    """Errors of one drive.

    Attributes:
        lateral_m: For each distance in ``AT_M``, the errors of the valid paths that reach it.
        heading_rad: Errors of the valid tracks.
        curvature_per_m: The same, 10 m ahead.
        cost_ms: Time on one core, of every frame.
        frames: All of them.
        lanes: Frames in which there is a lane.
        valid: Valid tracks.
        found: Valid tracks where there is a lane.
        falsely_valid: Valid tracks that are wrong.
    """

    def __init__(self) -> None:
        self.lateral_m: dict[int, list[float]] = {at_m: [] for at_m in AT_M}
        self.heading_rad: list[float] = []
        self.curvature_per_m: list[float] = []
        self.cost_ms: list[float] = []
        self.frames = self.lanes = self.valid = self.found = self.falsely_valid = 0

    def add(self, track: LaneTrack, truth: SimFrame, *, has_lane: bool, cost_ms: float) -> None:
        """Judges one frame."""
        self.frames += 1
        self.lanes += has_lane
        self.cost_ms.append(cost_ms)
        if not track.valid:
            return
        self.valid += 1
        if not has_lane:
            self.falsely_valid += 1
            return
        self.found += 1
        worst_m = 0.0
        for at_m in AT_M:
            error_m = _lateral_error_m(track, truth.lane_centre, float(at_m))
            if error_m is None:
                continue
            self.lateral_m[at_m].append(error_m)
            if at_m <= FALSE_WITHIN_M:
                worst_m = max(worst_m, abs(error_m))
        self.falsely_valid += worst_m > FALSE_BEYOND_M
        self.heading_rad.append(track.heading_rad - truth.heading_error_rad)
        self.curvature_per_m.append(_curvature(_sampled(track)) - _curvature(truth.lane_centre))


def lane_figures(scores: Iterable[LaneScores]) -> dict[str, Any]:
    """Returns the figures of several drives taken together; None where nothing was measured."""
    drives = list(scores)
    lateral = {
        str(at_m): [error for drive in drives for error in drive.lateral_m[at_m]] for at_m in AT_M
    }
    cost_ms = [cost for drive in drives for cost in drive.cost_ms]
    valid = sum(drive.valid for drive in drives)
    lanes = sum(drive.lanes for drive in drives)
    found = sum(drive.found for drive in drives)
    return {
        'frames': sum(drive.frames for drive in drives),
        'lateral_rms_m': {at_m: _rms(errors) for at_m, errors in lateral.items()},
        'lateral_p95_m': {at_m: _p95(errors) for at_m, errors in lateral.items()},
        'reach_share': {at_m: _share(len(errors), found) for at_m, errors in lateral.items()},
        'heading_rms_rad': _rms([e for drive in drives for e in drive.heading_rad]),
        'curvature_rms_per_m': _rms([e for drive in drives for e in drive.curvature_per_m]),
        'availability': _share(found, lanes),
        'false_validity': _share(sum(drive.falsely_valid for drive in drives), valid) or 0.0,
        'cost_ms': {
            'p50': float(np.percentile(cost_ms, 50)) if cost_ms else None,
            'p95': float(np.percentile(cost_ms, 95)) if cost_ms else None,
        },
    }


def _lateral_error_m(track: LaneTrack, truth: Path, at_m: float) -> float | None:
    """Distance of the path from the true one, across the lane, positive to the left."""
    if track.reach_m < at_m or truth[-1, 0] < at_m:
        return None
    true_m = float(np.interp(at_m, truth[:, 0], truth[:, 1]))
    place = np.array([at_m])
    cos = float(np.cos(track.centre.yaw(place))[0])
    return (float(track.centre.y(place)[0]) - true_m) * cos


def _sampled(track: LaneTrack) -> Path:
    x = np.arange(0.0, CURVATURE_AT_M + CURVATURE_OVER_M + 1.0, 0.5, dtype=np.float64)
    return np.stack([x, track.centre.y(x)], axis=-1)


def _curvature(path: Path) -> float:
    """Change of direction per metre, around 10 m ahead."""
    from_m, to_m = CURVATURE_AT_M - CURVATURE_OVER_M, CURVATURE_AT_M + CURVATURE_OVER_M
    near = path[(path[:, 0] >= from_m) & (path[:, 0] <= to_m)]
    return float(2.0 * np.polyfit(near[:, 0], near[:, 1], 2)[0])


def _rms(errors: list[float]) -> float | None:
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else None


def _p95(errors: list[float]) -> float | None:
    return float(np.percentile(np.abs(errors), 95)) if errors else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
