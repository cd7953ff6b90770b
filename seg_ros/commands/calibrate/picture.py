# SPDX-License-Identifier: Apache-2.0
"""The picture of a mounting: horizon and distances, over what the camera saw."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.pictures.drawing import BOLD, Colour, draw_text

__all__ = ['mounting_picture']

DISTANCES_M = (5.0, 10.0, 20.0)
HALF_WIDTH_M = 6.0
FAR_M = 1e5
HORIZON: Colour = (255, 205, 110)
DISTANCE: Colour = (110, 200, 255)
OWN_LANE: Colour = (61, 220, 132)
PAINT: Colour = (255, 80, 80)
SHIFT = 4


def mounting_picture(
    image: RgbImage, paint: LabelImage, camera: Camera, own_lane_m: tuple[float, ...]
) -> RgbImage:
    """Returns the picture with horizon, lines at 5, 10 and 20 m, and those of the own lane.

    Args:
        image: As it came from the camera.
        paint: ``(h, w)``, not 0 where the network sees lane markings; any size.
        camera: Of pictures of the image's size.
        own_lane_m: How far left its lines are; none where they were not seen.
    """
    picture = image.copy()
    height, width = picture.shape[:2]
    seen = cv2.resize(paint, (width, height), interpolation=cv2.INTER_NEAREST) != 0
    picture[seen] = (0.4 * picture[seen] + 0.6 * np.array(PAINT)).astype(np.uint8)
    size_px = max(13, round(height / 32))
    across = np.linspace(-HALF_WIDTH_M, HALF_WIDTH_M, 61)
    angles = np.radians(np.linspace(-60.0, 60.0, 121))
    at_eye = np.full_like(angles, camera.mount.z)
    level = np.column_stack([FAR_M * np.cos(angles), FAR_M * np.sin(angles), at_eye])
    _line(picture, camera, level, HORIZON, 'horizon', size_px)
    for distance_m in DISTANCES_M:
        row = np.column_stack([np.full_like(across, distance_m), across, np.zeros_like(across)])
        _line(picture, camera, row, DISTANCE, f'{distance_m:g} m', size_px)
    along = np.geomspace(2.0, 60.0, 60)
    for side_m in own_lane_m:
        edge = np.column_stack([along, np.full_like(along, side_m), np.zeros_like(along)])
        _line(picture, camera, edge, OWN_LANE, '', size_px)
    return picture


def _line(
    picture: RgbImage,
    camera: Camera,
    points: NDArray[np.float64],
    colour: Colour,
    text: str,
    size_px: int,
) -> None:
    pixels, in_front = camera.project(points)
    pixels = pixels[in_front]
    height, width = picture.shape[:2]
    inside = (np.abs(pixels - [width / 2, height / 2]) < [2 * width, 2 * height]).all(axis=1)
    pixels = pixels[inside]
    if len(pixels) < 2:
        return
    fixed = np.round(pixels * (1 << SHIFT)).astype(np.int32)
    thickness = max(1, height // 360)
    cv2.polylines(picture, [fixed], False, (0, 0, 0), 3 * thickness, cv2.LINE_AA, SHIFT)
    cv2.polylines(picture, [fixed], False, colour, thickness, cv2.LINE_AA, SHIFT)
    if text:
        visible = pixels[(pixels[:, 0] < width - 1) & (pixels[:, 0] > 0)]
        if len(visible):
            at = visible[np.argmax(visible[:, 0])]
            place = (round(at[0]) - 6, round(at[1]) - 6)
            draw_text(picture, text, place, size_px, colour, BOLD, align='right')
