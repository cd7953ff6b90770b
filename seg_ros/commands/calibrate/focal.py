# SPDX-License-Identifier: Apache-2.0
"""The focal length that nobody knows, from the pictures themselves, where they tell it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.calibrate.pictures import Lens, Pictures
from seg_ros.core.geometry.focal_length import (
    FocalLength,
    Moved,
    Vanishing,
    focal_from_dashes,
    focal_from_uprights,
    upright_lines,
)
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.geometry.vanishing_point import MountingEstimate

__all__ = ['lens_by_sight']

MOST_WIDE = 1280  # finer pictures have no better lines, and take long
PAINT_WIDE = 640


def lens_by_sight(
    pictures: Pictures,
    paint: Sequence[NDArray[np.uint8]],
    found: MountingEstimate,
    height_m: float,
) -> Lens | None:
    """Returns a lens that is known from what the pictures show; None where they do not tell.

    Args:
        pictures: With an assumed lens.
        paint: Of each, not 0 where lane markings are; any size.
        found: With the assumed lens: where the lines of the lane meet.
        height_m: Of the lens above the ground.
    """
    ways = {
        'odometry against dashes': _by_dashes(pictures, paint, found, height_m),
        'what stands upright': _by_uprights(pictures, found),
    }
    told = {name: focal for name, focal in ways.items() if focal is not None}
    if not told:
        return None
    name = min(told, key=lambda row: told[row].std_px / told[row].focal_px)
    size_wh = pictures.lens.intrinsics.width, pictures.lens.intrinsics.height
    low, fov_rad, high = (
        2.0 * math.atan(0.5 * size_wh[0] / (told[name].focal_px + side * told[name].std_px))
        for side in (1.0, 0.0, -1.0)
    )
    intrinsics = CameraIntrinsics.from_field_of_view(size_wh, fov_rad)
    source = (
        f'from {name}: {math.degrees(fov_rad):.1f} degrees across '
        f'(± {math.degrees(0.5 * (high - low)):.1f}), without distortion'
    )
    return Lens(intrinsics, source)


def _by_dashes(
    pictures: Pictures,
    paint: Sequence[NDArray[np.uint8]],
    found: MountingEstimate,
    height_m: float,
) -> FocalLength | None:
    if not pictures.way_m:
        return None
    scale, size_wh = _smaller(pictures, PAINT_WIDE)
    masks = [cv2.resize(row, size_wh, interpolation=cv2.INTER_NEAREST) for row in paint]
    moves = [
        Moved(before, after, float(metres))
        for before, after, metres in zip(masks, masks[1:], np.diff(pictures.way_m), strict=False)
    ]
    return _whole(focal_from_dashes(moves, _meeting(pictures, found, scale), height_m), scale)


def _by_uprights(pictures: Pictures, found: MountingEstimate) -> FocalLength | None:
    scale, size_wh = _smaller(pictures, MOST_WIDE)
    greys = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in pictures.images)
    lines = [
        upright_lines(cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA)) for grey in greys
    ]
    return _whole(focal_from_uprights(lines, _meeting(pictures, found, scale), size_wh), scale)


def _smaller(pictures: Pictures, most: int) -> tuple[float, tuple[int, int]]:
    """How much smaller the pictures are looked at, with square pixels, and their size then."""
    lens = pictures.lens.intrinsics
    scale = min(1.0, most / lens.width)
    return scale, (round(scale * lens.width), round(scale * lens.height))


def _meeting(pictures: Pictures, found: MountingEstimate, scale: float) -> Vanishing:
    focal_px = scale * float(pictures.lens.intrinsics.k[0, 0])
    u, v = found.vanishing_point
    return Vanishing(
        focal_px * u,
        focal_px * v,
        focal_px * found.yaw_std_rad,
        focal_px * found.pitch_std_rad,
        found.roll_rad,
    )


def _whole(found: FocalLength | None, scale: float) -> FocalLength | None:
    """Of the pictures as they came."""
    return None if found is None else FocalLength(found.focal_px / scale, found.std_px / scale)
