"""The far lines of the lanes beside the vehicle's own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.fit import TILT, WIDTH, Belief, untilted
from seg_ros.core.lane.points import Points
from seg_ros.core.lane.shape import Float64Array, distances

__all__ = ['Neighbour', 'find_neighbours']

BINS_PER_LANE = 12
SPREAD = 0.1  # in lanes: points of one line


class Neighbour(NamedTuple):
    """A line beside the lane.

    Attributes:
        left_m: Its distance to the left of the lane's middle, negative to the right.
        length_m: Painted length of it.
    """

    left_m: float
    length_m: float


def find_neighbours(
    points: Points, belief: Belief, config: LaneConfig, eye_x_m: float
) -> dict[str, Neighbour]:
    """Returns the lines found, under ``left`` and ``right``."""
    x, y = untilted(points, float(belief.mean[TILT]), eye_x_m)
    signed, foot, _ = distances(belief.mean[:4], x, y)
    signed = np.where(foot < config.look_ahead_m, signed, 0.0)
    half_m = 0.5 * float(belief.mean[WIDTH])
    found = {}
    for name, sign in (('left', 1.0), ('right', -1.0)):
        beyond_m = sign * signed - half_m
        line = _strongest(beyond_m, points.length_m, config)
        if line is not None:
            found[name] = Neighbour(sign * (line[0] + half_m), line[1])
    return found


def _strongest(
    beyond_m: Float64Array, length_m: Float64Array, config: LaneConfig
) -> tuple[float, float] | None:
    chosen = (beyond_m > config.width_min_m) & (beyond_m < config.width_max_m)
    if float(length_m[chosen].sum()) < config.min_line_m:
        return None
    place, weight = beyond_m[chosen], length_m[chosen]
    bin_m = config.width_expected_m / BINS_PER_LANE
    votes = np.bincount((place / bin_m).astype(np.intp), weight)
    top_m = (int(votes.argmax()) + 0.5) * bin_m
    line = np.abs(place - top_m) < SPREAD * config.width_expected_m
    total_m = float(weight[line].sum())
    if total_m < config.min_line_m:
        return None
    return float((place * weight)[line].sum()) / total_m, total_m
