# SPDX-License-Identifier: Apache-2.0
"""A course that was driven: each leg from above, and how far it was from the lane's middle."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbImage
from seg_ros.pictures.drawing import MUTED, blank, draw_text

__all__ = ['course_picture']

MAP_PX, STRIP_PX, HEIGHT_PX, EDGE_PX = 300, 900, 110, 12
ROOM_RGB, WAY_RGB, BRAKED_RGB, OUTSIDE_RGB = (
    (44, 50, 60),
    (90, 200, 120),
    (255, 150, 40),
    (240, 60, 60),
)

Points = NDArray[np.float64]


def course_picture(legs: Sequence[Sequence[Sequence[float]]]) -> RgbImage:
    """Returns a row per leg: the map at the left, the offset over the way at the right.

    Green: driven; orange: while the vehicle braked for a stop or for want of a path; red: beyond
    the lane. The grey band is the room that the vehicle has in its lane.

    Args:
        legs: ``Sample`` after sample.
    """
    picture = blank(MAP_PX + STRIP_PX, HEIGHT_PX * max(1, len(legs)))
    for index, samples in enumerate(legs):
        row = picture[index * HEIGHT_PX : (index + 1) * HEIGHT_PX]
        if len(samples) > 1:
            places = np.array(samples, dtype=np.float64)
            _draw_map(row[:, :MAP_PX], places)
            _draw_strip(row[:, MAP_PX:], places)
        draw_text(row, f'leg {index + 1}', (3, 15), 12, MUTED)
    return picture


def _draw_map(picture: RgbImage, places: Points) -> None:
    way = places[:, 1:3] - places[:, 1:3].min(axis=0)
    room = np.array([MAP_PX, HEIGHT_PX]) - 2.0 * EDGE_PX
    scale = float((room / np.maximum(way.max(axis=0), 1.0)).min())
    pixels = EDGE_PX + way * scale
    pixels[:, 1] = HEIGHT_PX - pixels[:, 1]
    _draw_way(picture, pixels, places)


def _draw_strip(picture: RgbImage, places: Points) -> None:
    s_m, offset_m, room_m = places[:, 0], places[:, 3], places[:, 4]
    scale = (0.5 * HEIGHT_PX - EDGE_PX) / max(float(room_m.max()), 0.1)
    width = STRIP_PX - 2 * EDGE_PX
    across = EDGE_PX + (s_m - s_m[0]) / max(float(s_m[-1] - s_m[0]), 1.0) * width
    middle = 0.5 * HEIGHT_PX
    top = np.stack([across, middle - scale * room_m], axis=-1)
    bottom = np.stack([across, middle + scale * room_m], axis=-1)
    band = np.concatenate([top, bottom[::-1]]).round().astype(np.int32)
    cv2.fillPoly(picture, [band], ROOM_RGB)
    _draw_way(picture, np.stack([across, middle - scale * offset_m], axis=-1), places)
    text = f'{s_m[-1] - s_m[0]:.0f} m, room {room_m[-1]:.2f} m to either side'
    draw_text(picture, text, (EDGE_PX, HEIGHT_PX - 4), 11, MUTED)


def _draw_way(picture: RgbImage, pixels: Points, places: Points) -> None:
    outside = np.abs(places[:, 3]) > places[:, 4]
    corners = pixels.round().astype(np.int32)
    for index in range(1, len(corners)):
        colour = WAY_RGB
        if places[index, 5]:
            colour = BRAKED_RGB
        if outside[index]:
            colour = OUTSIDE_RGB
        ends = corners[index - 1].tolist(), corners[index].tolist()
        cv2.line(picture, *ends, colour, 2, cv2.LINE_AA)
