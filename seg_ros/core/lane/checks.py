# SPDX-License-Identifier: Apache-2.0
"""Plausibility checks of a fitted lane; each says in words what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.filter import WIDTH, LaneEstimate
from seg_ros.core.lane.fit import LaneFit

__all__ = ['Known', 'Limits', 'fit_problem', 'path_problem']

# What has no other reason was chosen on the synthetic roads of test_tracker. "Half" and "twice"
# name a scene that fails there with half or twice the number; "not critical": both pass.
WIDTH_SLACK = 0.04  # of the limits, for the noise of a fit: 0.1 m of 2.4 m
MIN_AGREEMENT = 0.4  # of what is near a line, the share that lies on it; twice: crosswalk stripes
# In lanes (0.24 m of 3.4 m), of a width that places the line that is not seen; not critical
MAX_WIDTH_STD = 0.07
MAX_BEND = 2.0  # of the tightest bend: the shape of one image is rough; not critical
MAX_HEADING = 1.2  # of the largest heading at which a lane is looked for
MAX_PITCH_ERROR = 4.5  # in expected pitch errors, which are standard deviations; not critical
MAX_PITCH_CHANGE = 3.0  # the same, from what is usual; not critical
PAINT_INSIDE = 0.5  # of the weaker side: more paint inside of a lane is a line; not critical
MAX_OFFSET = 0.9  # in lanes, from the middle of the lane; half: a lane change
# The same, of a lane that was not followed until now: its line is at 0.5, and a little more; half:
# a vehicle beside the middle; twice: a lane that merges
NEW_OFFSET = 0.55


@dataclass(frozen=True)
class Limits:
    """What a lane must be like.

    Attributes:
        narrowest_m: Least width.
        widest_m: Greatest width.
        residual_m: RMS distance of the points from the fitted lines that is still good.
    """

    narrowest_m: float
    widest_m: float
    residual_m: float


class Known(NamedTuple):
    """What the images before have shown.

    Attributes:
        lane: The lane was confirmed.
        width: Its two lines were seen together, or its width is a parameter.
        pitch_per_m: The usual one, None when there were no images.
    """

    lane: bool
    width: bool
    pitch_per_m: float | None


def fit_problem(fit: LaneFit, config: LaneConfig, limits: Limits, known: Known) -> str:
    """Returns why a fit of one image is refused, empty when it is good.

    Args:
        fit: What to judge.
        config: What roads are like.
        limits: What this kind of lane is like.
        known: What the images before have shown.
    """
    width_m = fit.estimate.width_m
    seen = [side for side in (fit.left, fit.right) if side.length_m >= config.min_line_m]
    if not seen:
        return (
            f'too few pixels: {fit.left.length_m:.1f} m of the left and {fit.right.length_m:.1f} '
            f'm of the right side, {config.min_line_m:.1f} m needed'
        )
    low_m, high_m = limits.narrowest_m, limits.widest_m
    if not low_m * (1.0 - WIDTH_SLACK) <= width_m <= high_m * (1.0 + WIDTH_SLACK):
        return f'implausible width {width_m:.2f} m, {low_m:.2f} to {high_m:.2f} m expected'
    width_std_m = fit.estimate.std(WIDTH)
    if len(seen) < 2 and not (known.width and width_std_m < MAX_WIDTH_STD * width_m):
        return 'only one side is seen and the width is not known yet'
    if bend := _bend_problem(fit, config):
        return bend
    if fit.residual_m > limits.residual_m:
        return f'the pixels do not fit a lane: {fit.residual_m:.2f} m off'
    if fork := _fork_problem(fit.estimate, config, known.pitch_per_m):
        return fork
    offset_m = abs(float(fit.estimate.state[0]))
    if not known.lane and offset_m > NEW_OFFSET * width_m:
        return f'a lane beside the vehicle, {offset_m:.2f} m from its middle, is not its own'
    weaker_m = min(fit.left.length_m, fit.right.length_m)
    if not known.lane and fit.inside_m > max(2.0 * config.min_line_m, PAINT_INSIDE * weaker_m):
        return f'{fit.inside_m:.1f} m of a line run inside of the lane'
    for name, other, sign, side in (
        ('left', 'right', 1.0, fit.left),
        ('right', 'left', -1.0, fit.right),
    ):
        if side.length_m >= config.min_line_m and side.agreement < MIN_AGREEMENT:
            return f'the {name} side does not run along the {other} one'
        if side.length_m < config.min_line_m <= fit.beside_m(sign):
            return f'the {name} line is further from the {other} one than the lane is wide'
    return ''


def path_problem(
    offset_m: float,
    width_m: float,
    near_std_m: float,
    reach_m: float,
    start_m: float,
    config: LaneConfig,
) -> str:
    """Returns why a believed lane may not be followed, empty when it may."""
    if near_std_m > config.max_offset_std_m:
        return f'too uncertain: the path is known to {near_std_m:.2f} m only'
    if abs(offset_m) > MAX_OFFSET * width_m:
        return f'the vehicle is outside of the lane, {abs(offset_m):.2f} m from its middle'
    if reach_m < start_m + config.min_reach_m:
        return f'the lane is seen to {reach_m:.1f} m only'
    return ''


def _bend_problem(fit: LaneFit, config: LaneConfig) -> str:
    _, slope, curvature, rate = fit.estimate.shape.tolist()
    if abs(slope) > MAX_HEADING * config.max_heading_rad:
        return f'implausible heading: the lane is {abs(slope):.2f} rad off the vehicle'
    seen_m = min(max(fit.left.reach_m, fit.right.reach_m), config.look_ahead_m)
    steepest = max(abs(curvature), abs(curvature + rate * seen_m))
    if steepest > MAX_BEND * config.max_curvature_per_m:
        return f'implausible bend of {steepest:.3f} per m'
    return ''


def _fork_problem(
    estimate: LaneEstimate, config: LaneConfig, usual_pitch_per_m: float | None
) -> str:
    """Lines that do not look parallel: the camera's pitch explains a little of that."""
    pitch_per_m = estimate.pitch_per_m
    if (
        usual_pitch_per_m is not None
        and abs(pitch_per_m - usual_pitch_per_m) > MAX_PITCH_CHANGE * config.pitch_per_m
    ):
        return 'the two sides are not parallel any more'
    if abs(pitch_per_m) > MAX_PITCH_ERROR * config.pitch_per_m:
        direction = 'up' if pitch_per_m > 0.0 else 'down'
        return (
            'the two sides are not parallel: the road forks, or the camera looks '
            f'{abs(pitch_per_m):.3f} rad per metre of its height further {direction} than '
            'mount.pitch says'
        )
    return ''
