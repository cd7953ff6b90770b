# SPDX-License-Identifier: Apache-2.0
"""One picture that shows a whole drive: moments in rows, figures above, legend below."""

from __future__ import annotations

from collections.abc import Sequence

from seg_ros.core.labels import LabelMap
from seg_ros.core.types import RgbImage
from seg_ros.pictures.drawing import (
    BOLD,
    MUTED,
    TEXT,
    Box,
    blank,
    draw_legend,
    draw_text,
    legend_height,
    paste,
)
from seg_ros.pictures.moment import PicturedMoment

__all__ = ['contact_sheet', 'evenly']

COLUMNS = 4
CELL_WIDTH = 448
MAX_PICTURE_HEIGHT = 448
MARGIN = 40
GUTTER = 20
PAIR_GAP = 3  # between a picture and its result
TITLE_PX, SUBTITLE_PX, CAPTION_PX, LEGEND_PX = 34, 21, 18, 20
CAPTION_HEIGHT = 34
ROW_GAP = 22
HEADER_HEIGHT = 96


def contact_sheet(
    title: str, subtitle: str, moments: Sequence[PicturedMoment], label_map: LabelMap
) -> RgbImage:
    """Returns the sheet.

    Args:
        title: In large letters.
        subtitle: The figures, below it.
        moments: At least one, in the order of reading; camera images of one size.
        label_map: The classes of the legend.
    """
    columns = min(COLUMNS, len(moments))
    rows = -(-len(moments) // columns)
    height, width = moments[0].image.shape[:2]
    picture_height = min(round(CELL_WIDTH * height / width), MAX_PICTURE_HEIGHT)
    cell_height = 2 * picture_height + PAIR_GAP + CAPTION_HEIGHT
    inner_width = COLUMNS * CELL_WIDTH + (COLUMNS - 1) * GUTTER
    legend_top = MARGIN + HEADER_HEIGHT + rows * (cell_height + ROW_GAP)
    sheet_height = legend_top + legend_height(label_map, inner_width, LEGEND_PX) + MARGIN
    sheet = blank(inner_width + 2 * MARGIN, sheet_height)

    draw_text(sheet, title, (MARGIN, MARGIN + TITLE_PX - 4), TITLE_PX, TEXT, BOLD)
    draw_text(sheet, subtitle, (MARGIN, MARGIN + TITLE_PX + 34), SUBTITLE_PX, MUTED)
    for index, moment in enumerate(moments):
        x = MARGIN + index % columns * (CELL_WIDTH + GUTTER)
        y = MARGIN + HEADER_HEIGHT + index // columns * (cell_height + ROW_GAP)
        below = y + picture_height + PAIR_GAP
        paste(sheet, moment.image, Box(x, y, CELL_WIDTH, picture_height))
        paste(sheet, moment.overlay, Box(x, below, CELL_WIDTH, picture_height))
        caption_xy = x, below + picture_height + CAPTION_HEIGHT - 10
        draw_text(sheet, moment.caption(), caption_xy, CAPTION_PX, TEXT)
    draw_legend(sheet, label_map, (MARGIN, legend_top), inner_width, LEGEND_PX)
    return sheet


def evenly(count: int, of: int) -> list[int]:
    """Returns up to ``count`` indices below ``of``, each in the middle of an even share."""
    count = min(count, of)
    return [(2 * index + 1) * of // (2 * count) for index in range(count)]
