# SPDX-License-Identifier: Apache-2.0
"""A picture of the ground from above: what a planner is given of one frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbImage
from seg_ros.pictures.drawing import MUTED, TEXT, Colour, blank, draw_text

__all__ = ['GroundView', 'draw_from_above']

FREE, BLOCKED = (52, 74, 62), (96, 62, 62)
SCAN, OBSTACLE, LANE = (255, 170, 0), (255, 70, 70), (40, 210, 100)
ZONE, PERSON = (255, 205, 110), (255, 255, 255)
LEGEND = (
    ('free', FREE),
    ('not free', BLOCKED),
    ('scan', SCAN),
    ('obstacles', OBSTACLE),
    ('lane track', LANE),
    ('stop zone', ZONE),
    ('pedestrians', PERSON),
)
LEGEND_PX, LEGEND_ROW_PX, MARGIN = 15, 24, 16
SHIFT = 4  # fractional bits of the coordinates that cv2 draws with

Points = NDArray[np.float64]


def _none() -> Points:
    return np.zeros((0, 2))


@dataclass(frozen=True)
class GroundView:
    """What is known of the ground; all points are ``(N, 2)`` metres in the base frame.

    Attributes:
        cells: ``(height, width)`` int8 of an occupancy grid: 0 free, 100 not, -1 unknown.
        resolution_m: Edge of a cell.
        origin_m: Outer corner of cell (0, 0).
        scan: Where the rays of the scan end.
        obstacles: What stands there.
        lines: Middle and lines of the lane.
        zone: Outline of the stop zone.
        people: Where pedestrians stand.
    """

    cells: NDArray[np.int8]
    resolution_m: float
    origin_m: tuple[float, float]
    scan: Points = field(default_factory=_none)
    obstacles: Points = field(default_factory=_none)
    lines: tuple[Points, ...] = ()
    zone: Points = field(default_factory=_none)
    people: Points = field(default_factory=_none)


def draw_from_above(view: GroundView, size_wh: tuple[int, int]) -> RgbImage:
    """Returns the picture: forward is up, the grid fills it.

    Args:
        view: What is known.
        size_wh: Of the picture.
    """
    width, height = size_wh
    cells_y, cells_x = view.cells.shape
    px_per_m = min(width / cells_y, height / cells_x) / view.resolution_m
    picture = blank(width, height)
    _draw_cells(picture, view, px_per_m)

    def pixels(points: Points) -> NDArray[np.int32]:
        left_m = view.origin_m[1] + cells_y * view.resolution_m
        u = (left_m - points[:, 1]) * px_per_m
        v = height - (points[:, 0] - view.origin_m[0]) * px_per_m
        return np.round(np.column_stack([u, v]) * (1 << SHIFT)).astype(np.int32)

    for line in view.lines:
        cv2.polylines(picture, [pixels(line)], False, LANE, 2, cv2.LINE_AA, SHIFT)
    if len(view.zone):
        cv2.polylines(picture, [pixels(view.zone)], True, ZONE, 1, cv2.LINE_AA, SHIFT)
    for points, colour, radius in (
        (view.scan, SCAN, 1),
        (view.obstacles, OBSTACLE, 2),
        (view.people, PERSON, 6),
    ):
        for at in pixels(points):
            cv2.circle(picture, at.tolist(), radius << SHIFT, colour, -1, cv2.LINE_AA, SHIFT)
    _draw_legend(picture)
    return picture


def _draw_cells(picture: RgbImage, view: GroundView, px_per_m: float) -> None:
    """Forward is along the rows of the picture, to the left along its columns."""
    colours = blank(view.cells.shape[0], view.cells.shape[1])
    from_above = view.cells.T[::-1, ::-1]
    colours[from_above == 0] = FREE
    colours[from_above > 0] = BLOCKED
    scale = px_per_m * view.resolution_m
    size_wh = round(colours.shape[1] * scale), round(colours.shape[0] * scale)
    large = cv2.resize(colours, size_wh, interpolation=cv2.INTER_NEAREST)
    picture[picture.shape[0] - size_wh[1] :, : size_wh[0]] = large


def _draw_legend(picture: RgbImage) -> None:
    row = picture.shape[0] - MARGIN - LEGEND_ROW_PX * (len(LEGEND) - 1)
    for text, colour in LEGEND:
        _draw_key(picture, row, colour)
        draw_text(picture, text, (2 * MARGIN, row), LEGEND_PX, TEXT)
        row += LEGEND_ROW_PX


def _draw_key(picture: RgbImage, row: int, colour: Colour) -> None:
    box = slice(row - LEGEND_PX + 4, row + 1), slice(MARGIN // 2, MARGIN // 2 + LEGEND_PX - 3)
    picture[box] = MUTED
    picture[row - LEGEND_PX + 5 : row, MARGIN // 2 + 1 : MARGIN // 2 + LEGEND_PX - 4] = colour
