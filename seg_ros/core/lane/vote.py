# SPDX-License-Identifier: Apache-2.0
"""Hough transform of a lane: finds one without knowing anything of the images before.

All lines of a road have one shape. Every shape of a small grid of headings and curvatures
straightens the points; the right one piles them up at few lateral places.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.fit import INSIDE
from seg_ros.core.lane.points import Points
from seg_ros.core.lane.shape import Float64Array

__all__ = ['LaneVote', 'Peaks']

# The numbers without another reason were chosen on the synthetic roads of test_tracker.
MAX_POINTS = 120  # bounds the cost: 121 coarse shapes of so many points
COARSE = 5  # headings and curvatures to each side of straight ahead
FINE = 2  # more of them between two coarse ones, to each side
COARSE_BINS_PER_LANE = 7  # of the expected width: 0.49 m of 3.4 m
FINE_BINS_PER_LANE = 14  # the same: 0.24 m
VOTE_RANGE = 0.75  # of the look-ahead distance
MIN_SHARE = 0.18  # of the longest line, what another line must have
FULL_EVIDENCE = 4.0  # in shortest lines; more does not make a line better
EFFORT = 0.05  # what the largest heading or curvature costs, as a share of the score
THREE = np.ones(3)  # a line may lie across two bins, so each counts with its neighbours
PAIR_SLACK = 0.05  # of the limits of the width, as places are known to a bin only
OFFSET_COST = 0.3  # as much as the same share of the width, per width from the middle
WIDTH_COST = 2.0  # in shortest lines per relative deviation of the width


class Peaks(NamedTuple):
    """Lateral places of lines, and how much of each is painted.

    Attributes:
        left_m: ``(K,)`` rising.
        length_m: ``(K,)``.
    """

    left_m: Float64Array
    length_m: Float64Array


class LaneVote:
    """The grid of shapes, made once."""

    def __init__(self, config: LaneConfig) -> None:
        self._config = config
        self._range_m = VOTE_RANGE * config.look_ahead_m
        self._bin_m = config.width_expected_m / FINE_BINS_PER_LANE
        self._half_m = 2.0 * config.width_max_m
        limits = np.array([np.tan(config.max_heading_rad), config.max_curvature_per_m])
        self._coarse = _grid(COARSE) * limits
        self._fine = _grid(FINE) * limits * (FINE / (FINE + 1) / COARSE)
        self._effort = EFFORT / np.maximum(limits, 1e-9)

    def find(self, points: Points, width_m: float) -> Float64Array | None:
        """Returns offset, heading, curvature and width of the most likely ego lane.

        With one line only, that line is taken for the nearer side of a lane of ``width_m``.

        Args:
            points: Middles of lines.
            width_m: Width that is preferred.

        Returns:
            ``(4,)``, or None where no line is long enough.
        """
        near = np.flatnonzero((points.x < self._range_m) & (points.length_m > 0.0))
        if len(near) > MAX_POINTS:
            near = near[np.linspace(0, len(near) - 1, MAX_POINTS).astype(np.intp)]
        if len(near) < 3:
            return None
        x, y, length_m = points.x[near], points.y[near], points.length_m[near]
        length_m = length_m * (points.length_m[points.x < self._range_m].sum() / length_m.sum())
        heading, curvature = self._shape(x, y, length_m)
        straightened = y - heading * x - 0.5 * curvature * x * x
        peaks = self._peaks(straightened, length_m)
        lane = self._lane(peaks, width_m)
        return None if lane is None else np.array([lane[0], heading, curvature, lane[1]])

    def _shape(self, x: Float64Array, y: Float64Array, length_m: Float64Array) -> Float64Array:
        """Heading and curvature with the sharpest histogram of lateral places."""
        basis = np.stack([x, 0.5 * x * x])
        coarse_m = self._config.width_expected_m / COARSE_BINS_PER_LANE
        rough = self._sharpest(self._coarse, basis, y, length_m, coarse_m)
        return self._sharpest(rough + self._fine, basis, y, length_m, self._bin_m)

    def _sharpest(
        self,
        shapes: Float64Array,
        basis: Float64Array,
        y: Float64Array,
        length_m: Float64Array,
        bin_m: float,
    ) -> Float64Array:
        count = len(shapes)
        bins = 2 * int(self._half_m / bin_m) + 3
        place = (y - shapes @ basis) * (1.0 / bin_m) + 0.5 * bins
        np.clip(place, 0.0, bins - 1.0, out=place)
        index = place.astype(np.int32)
        index += (np.arange(count, dtype=np.int32) * bins)[:, None]
        votes = np.bincount(index.reshape(-1), np.tile(length_m, count), count * bins)
        votes = votes.reshape(count, bins)[:, 1:-1]
        paired = votes[:, 1:] + votes[:, :-1]  # a line may lie across two bins
        score = np.einsum('ij,ij->i', paired, paired)
        score *= 1.0 - np.abs(shapes) @ self._effort
        return np.asarray(shapes[int(score.argmax())])

    def _peaks(self, left_m: Float64Array, length_m: Float64Array) -> Peaks:
        bins = 2 * int(self._half_m / self._bin_m) + 3
        place = np.clip(left_m / self._bin_m + 0.5 * bins, 0.0, bins - 1.0)
        index = place.astype(np.intp)
        votes = np.bincount(index, length_m, bins)
        moment = np.bincount(index, length_m * left_m, bins)
        total: Float64Array = np.convolve(votes, THREE, 'same').astype(np.float64)
        total_moment = np.convolve(moment, THREE, 'same').astype(np.float64)
        inner = total[1:-1]
        top = (inner >= total[:-2]) & (inner > total[2:])
        top &= inner >= max(self._config.min_line_m, MIN_SHARE * float(inner.max()))
        at = np.flatnonzero(top) + 1
        return Peaks(total_moment[at] / total[at], total[at])

    def _lane(self, peaks: Peaks, width_m: float) -> tuple[float, float] | None:
        """Offset of the centre and width of the pair of lines around the vehicle."""
        config = self._config
        best: tuple[float, float] | None = None
        best_score = 0.0
        lines = list(zip(peaks.left_m.tolist(), peaks.length_m.tolist(), strict=True))
        full_m = FULL_EVIDENCE * config.min_line_m
        low_m, high_m = (
            (1.0 - PAIR_SLACK) * config.width_min_m,
            (1.0 + PAIR_SLACK) * config.width_max_m,
        )
        for left_m, left_length_m in lines:
            for right_m, right_length_m in lines:
                pair_m = left_m - right_m
                if not low_m <= pair_m <= high_m:
                    continue
                centre_m = 0.5 * (left_m + right_m)
                if abs(centre_m) > 0.5 * pair_m:
                    continue
                evidence = min(left_length_m, full_m) + min(right_length_m, full_m)
                odd = abs(pair_m / width_m - 1.0) + OFFSET_COST * abs(centre_m) / pair_m
                between_m = sum(
                    length_m
                    for place_m, length_m in lines
                    if abs(place_m - centre_m) < INSIDE * pair_m
                )
                evidence -= min(between_m, full_m)
                score = evidence - WIDTH_COST * config.min_line_m * odd
                if score > best_score:
                    best, best_score = (centre_m, pair_m), score
        if best is not None or not lines:
            return best
        line_m = min((left_m for left_m, _ in lines), key=lambda m: abs(abs(m) - 0.5 * width_m))
        if abs(line_m) > width_m:
            return None
        return line_m - np.copysign(0.5 * width_m, line_m), width_m


def _grid(steps: int) -> Float64Array:
    """``(N, 2)``: pairs of numbers from -1 to 1, so many to each side of zero."""
    one = np.linspace(-1.0, 1.0, 2 * steps + 1)
    return np.stack(np.meshgrid(one, one, indexing='ij'), axis=-1).reshape(-1, 2)
