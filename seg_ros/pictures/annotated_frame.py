# SPDX-License-Identifier: Apache-2.0
"""The pictures of the annotated video: camera and result side by side, over the legend."""

from __future__ import annotations

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

__all__ = ['AnnotatedFrame']

PANEL_WIDTH = 640
MAX_PANEL_HEIGHT = 640  # a portrait camera is shown smaller, not taller
GAP = 4
MARGIN = 16
HEADER_HEIGHT = 48
FONT_PX = 20
LEGEND_FONT_PX = 16


class AnnotatedFrame:
    """Draws moments of one camera, all in one layout.

    Args:
        title: Over the result: which engine, on what.
        label_map: The classes of the legend.
        size_wh: Size of the camera's images.

    Attributes:
        size_wh: Size of the drawn pictures, even in both directions.
    """

    def __init__(self, title: str, label_map: LabelMap, size_wh: tuple[int, int]) -> None:
        width, height = size_wh
        panel_height = min(round(PANEL_WIDTH * height / width), MAX_PANEL_HEIGHT)
        canvas_width = 2 * PANEL_WIDTH + GAP
        inner_width = canvas_width - 2 * MARGIN
        legend_top = HEADER_HEIGHT + panel_height + MARGIN // 2
        legend = legend_height(label_map, inner_width, LEGEND_FONT_PX)
        canvas_height = legend_top + legend + MARGIN // 2
        # Video codecs want even sizes.
        self._empty = blank(canvas_width, canvas_height + canvas_height % 2)
        self.size_wh = self._empty.shape[1], self._empty.shape[0]
        self._left = Box(0, HEADER_HEIGHT, PANEL_WIDTH, panel_height)
        self._right = Box(PANEL_WIDTH + GAP, HEADER_HEIGHT, PANEL_WIDTH, panel_height)
        self._write(self._left.x, 'Camera', BOLD)
        self._write(self._right.x, title, BOLD)
        draw_legend(self._empty, label_map, (MARGIN, legend_top), inner_width, LEGEND_FONT_PX)

    def draw(self, moment: PicturedMoment) -> RgbImage:
        """Returns a new picture of the moment."""
        canvas = self._empty.copy()
        paste(canvas, moment.image, self._left)
        paste(canvas, moment.overlay, self._right)
        latency = '' if moment.latency_ms is None else f'{moment.latency_ms:.0f} ms'
        for box, text, colour in (
            (self._left, f'{moment.elapsed_s:.1f} s', MUTED),
            (self._right, latency, TEXT),
        ):
            at_xy = box.x + box.width - MARGIN, _baseline()
            draw_text(canvas, text, at_xy, FONT_PX, colour, align='right')
        return canvas

    def _write(self, x: int, text: str, pen: float) -> None:
        draw_text(self._empty, text, (x + MARGIN, _baseline()), FONT_PX, TEXT, pen)


def _baseline() -> int:
    return (HEADER_HEIGHT + round(0.7 * FONT_PX)) // 2
