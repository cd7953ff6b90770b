"""Whether a fit may be believed: each check says in words what it found."""

from __future__ import annotations

from seg_ros.core.lane_config import LaneConfig
from seg_ros.core.lane_filter import std_of
from seg_ros.core.lane_fit import TILT, WIDTH, LaneFit

__all__ = ['fit_problem', 'path_problem']

WIDTH_SLACK = 0.04  # of the limits, for noise
MIN_AGREEMENT = 0.4
MAX_WIDTH_STD = 0.07  # in lanes: of a width that places the line that is not seen
MAX_TILT_STDS = 3.0
MAX_OFFSET = 0.9  # in lanes, from the middle of the lane


def fit_problem(
    fit: LaneFit, config: LaneConfig, limits_m: tuple[float, float], max_residual_m: float
) -> str:
    """Returns why a fit of one image is refused, empty when it is good."""
    width_m = float(fit.belief.mean[WIDTH])
    seen = [side for side in (fit.left, fit.right) if side.length_m >= config.min_line_m]
    if not seen:
        return (
            f'too few pixels: {fit.left.length_m:.1f} m of the left and {fit.right.length_m:.1f} '
            f'm of the right side, {config.min_line_m:.1f} m needed'
        )
    low_m, high_m = limits_m
    if not low_m * (1.0 - WIDTH_SLACK) <= width_m <= high_m * (1.0 + WIDTH_SLACK):
        return f'implausible width {width_m:.2f} m, {low_m:.2f} to {high_m:.2f} m expected'
    if len(seen) < 2 and std_of(fit.belief, WIDTH) > MAX_WIDTH_STD * width_m:
        return 'only one side is seen and the width is not known yet'
    if fit.residual_m > max_residual_m:
        return f'the pixels do not fit a lane: {fit.residual_m:.2f} m off'
    if len(seen) > 1 and abs(fit.belief.mean[TILT]) > MAX_TILT_STDS * config.pitch_per_m:
        return 'the two sides are not parallel'
    for name, side in (('left', fit.left), ('right', fit.right)):
        if side.length_m >= config.min_line_m and side.agreement < MIN_AGREEMENT:
            other = 'right' if name == 'left' else 'left'
            return f'the {name} side does not run along the {other} one'
    return ''


def path_problem(
    offset_m: float, width_m: float, near_std_m: float, reach_m: float, config: LaneConfig
) -> str:
    """Returns why a believed lane may not be followed, empty when it may."""
    if near_std_m > config.max_offset_std_m:
        return f'too uncertain: the path is known to {near_std_m:.2f} m only'
    if abs(offset_m) > MAX_OFFSET * width_m:
        return f'the vehicle is outside of the lane, {abs(offset_m):.2f} m from its middle'
    if reach_m < config.path_start_m + config.min_reach_m:
        return f'the lane is seen to {reach_m:.1f} m only'
    return ''
