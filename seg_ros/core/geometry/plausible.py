# SPDX-License-Identifier: Apache-2.0
"""Plausible cameras: whether a calibration and a mounting can be those of a camera on a vehicle.

A wrong calibration is worse than none: the ground lies where nobody looks, and people stand where
nobody is. Nothing here finds a small error; these are limits that no camera of a vehicle passes.
"""

from __future__ import annotations

import math

import numpy as np

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
# Metres from the base origin to the lens: the longest bus has 25.
GREATEST_OFFSET_M = 30.0
# Degrees, beyond which a side of the picture is further up than its top. Nobody can say how a
# picture is rolled whose lens looks down within 17 degrees: there the vertical is a point.
GREATEST_ROLL_DEG, LEAST_VERTICAL = 45.0, 0.3
# Share of the pixels in the middle row and the middle column that must have a ray: a circle as
# high as a picture of 2:1 has 0.67 of them. Of a fisheye nobody asks, whose circle may be smaller.
LEAST_RAYS = 0.6
RAYS = 33  # pixels of either that are asked


def implausible(camera: Camera) -> str:
    """Returns why a camera cannot be one on a vehicle, in words; empty where it can."""
    return (
        _implausible_lens(camera.intrinsics)
        or implausible_height(camera.mount.z)
        or _implausible_place(camera)
    )


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
    share = 1.0 if is_fisheye else _share_with_rays(lens)
    if share < LEAST_RAYS:
        return (
            f'the distortion {lens.d.tolist()} ({lens.distortion_model}) folds back inside of '
            f'the picture: {1.0 - share:.0%} of its middle lines see nothing: check d and '
            'distortion_model in its CameraInfo'
        )
    return ''


def _share_with_rays(lens: CameraIntrinsics) -> float:
    """Of the middle row and the middle column: how much the distortion leaves of a picture."""
    across, down = (
        np.linspace(0.0, lens.width - 1.0, RAYS),
        np.linspace(0.0, lens.height - 1.0, RAYS),
    )
    row = np.column_stack([across, np.full(RAYS, 0.5 * (lens.height - 1.0))])
    column = np.column_stack([np.full(RAYS, 0.5 * (lens.width - 1.0)), down])
    in_row, in_column = (
        float(np.isfinite(lens.undistort(line)).all(axis=1).mean()) for line in (row, column)
    )
    return (in_row * lens.width + in_column * lens.height) / (lens.width + lens.height)


def implausible_height(height_m: float) -> str:
    """Returns why a lens cannot be so high on a vehicle, in words; empty where it can."""
    if not LEAST_HEIGHT_M <= height_m <= GREATEST_HEIGHT_M:
        return (
            f'the mounting has the lens {height_m:.2f} m above the ground, no vehicle has it '
            f'below {LEAST_HEIGHT_M} or above {GREATEST_HEIGHT_M:.0f} m: check mount.z or TF'
        )
    return ''


def _implausible_place(camera: Camera) -> str:
    mount = camera.mount
    offset_m = math.hypot(mount.x, mount.y)
    if offset_m > GREATEST_OFFSET_M:
        return (
            f'the mounting has the lens {offset_m:.0f} m beside the base origin, no vehicle has '
            f'it more than {GREATEST_OFFSET_M:.0f} m away: check mount.x and mount.y, in metres, '
            'or TF'
        )
    right, down = (float(value) for value in camera.optical_from_base[:2, 2])  # of what is up
    roll_deg = math.degrees(math.atan2(right, -down))
    if math.hypot(right, down) > LEAST_VERTICAL and abs(roll_deg) > GREATEST_ROLL_DEG:
        return (
            f'the mounting has the picture rolled by {abs(roll_deg):.0f} degrees, and engines '
            'know upright pictures: turn the images, and the mounting with them, or check '
            'mount.roll and mount.pitch, in radians, or TF'
        )
    return ''
