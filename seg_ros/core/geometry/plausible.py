# SPDX-License-Identifier: Apache-2.0
"""Plausible cameras: whether a calibration and a mounting can be those of a camera on a vehicle.

A wrong calibration is worse than none: the ground lies where nobody looks, and people stand where
nobody is. Nothing here finds a small error; these are limits that no camera of a vehicle passes.
"""

from __future__ import annotations

import math

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.geometry.intrinsics import CameraIntrinsics

__all__ = ['implausible', 'implausible_height']

# Degrees across. Tele lenses of vehicles have 15 to 30, of trains 5; at 175 the rays at the two
# sides of a pinhole's picture would be 23 times as far apart as the lens is from it. A fisheye may
# show a circle smaller than its picture, which then seems to have any width.
LEAST_FIELD_OF_VIEW_DEG, GREATEST_PINHOLE_DEG = 5.0, 175.0
# fx by fy: 1 for square pixels, 0.67 to 1.5 where a picture was squeezed from 2:1 to 4:3 or back,
# 2 where one field of an interlaced picture is taken.
GREATEST_PIXEL_RATIO = 2.2
# The principal point lies in the middle, and in a part cut out of a picture at most half of it
# beside.
GREATEST_OFF_CENTRE = 1.0  # of the width or height, from the middle
# Metres of the lens above the ground: a robot under a shelf 0.05, a bus 3, a mining truck 7.
LEAST_HEIGHT_M, GREATEST_HEIGHT_M = 0.03, 12.0


def implausible(camera: Camera) -> str:
    """Returns why a camera cannot be one on a vehicle, in words; empty where it can."""
    return _implausible_lens(camera.intrinsics) or implausible_height(camera.mount.z)


def _implausible_lens(lens: CameraIntrinsics) -> str:
    fx, fy = float(lens.k[0, 0]), float(lens.k[1, 1])
    is_fisheye = lens.distortion_model == 'equidistant'
    half = 0.5 * lens.width / fx
    across_deg = math.degrees(2.0 * (half if is_fisheye else math.atan(half)))
    is_too_wide = not is_fisheye and across_deg > GREATEST_PINHOLE_DEG
    if across_deg < LEAST_FIELD_OF_VIEW_DEG or is_too_wide:
        return (
            f'the calibration gives the lens a field of view of {across_deg:.1f} degrees across '
            f'(fx {fx:.0f} px at a width of {lens.width}), no camera on a vehicle has less than '
            f'{LEAST_FIELD_OF_VIEW_DEG:.0f} or more than {GREATEST_PINHOLE_DEG:.0f}: check k and '
            'width in its CameraInfo'
        )
    if not 1.0 / GREATEST_PIXEL_RATIO <= fx / fy <= GREATEST_PIXEL_RATIO:
        return (
            f'the focal lengths of the calibration are {fx:.0f} and {fy:.0f} px, so that a pixel '
            'would be more than twice as long as wide: check k in its CameraInfo'
        )
    for name, at, length in (('cx', lens.k[0, 2], lens.width), ('cy', lens.k[1, 2], lens.height)):
        if abs(at + 0.5 - 0.5 * length) > GREATEST_OFF_CENTRE * length:
            return (
                f'the principal point of the calibration has {name} {at:.0f} px in a picture of '
                f'{length}, far outside: check k, width and height in its CameraInfo'
            )
    return ''


def implausible_height(height_m: float) -> str:
    """Returns why a lens cannot be so high on a vehicle, in words; empty where it can."""
    if not LEAST_HEIGHT_M <= height_m <= GREATEST_HEIGHT_M:
        return (
            f'the mounting has the lens {height_m:.2f} m above the ground, no vehicle has it '
            f'below {LEAST_HEIGHT_M} or above {GREATEST_HEIGHT_M:.0f} m: check mount.z or TF'
        )
    return ''
