# SPDX-License-Identifier: Apache-2.0
"""The report as one picture: verdict, timeline and worst moments, for a CI job to show."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from seg_ros.core.types import RgbImage
from seg_ros.pictures.drawing import BOLD, MUTED, TEXT, Box, Colour, blank, draw_text, paste
from seg_ros.report.chart import Chart
from seg_ros.report.page import Page

__all__ = ['page_picture']

WIDTH, MARGIN, LEFT = 1400, 24, 170
HEADER, TILES, AXIS, GAP = 96, 84, 30, 4
CURVE_HEIGHT, TRACK_HEIGHT = 74, 22
PANEL: Colour = (27, 32, 41)
GRID: Colour = (61, 70, 86)
BAD: Colour = (229, 57, 53)
GOOD: Colour = (102, 187, 106)
COLUMNS, CAPTION = 4, 46
SUBPIXEL = 4  # bits of a pixel's fraction, as cv2 draws
MOST_TICKS = 12


def page_picture(page: Page) -> RgbImage:
    """Returns ``(H, W, 3)``."""
    heights = [_height(row) + GAP for row in page.rows]
    pictured = [(moment, pictures) for moment, pictures in page.moments if pictures]
    box = (WIDTH - 2 * MARGIN) // COLUMNS
    below = -(-len(pictured) // COLUMNS) * (box * 9 // 16 + CAPTION)
    top = HEADER + TILES + MARGIN
    canvas = blank(WIDTH, top + sum(heights) + AXIS + below + MARGIN)
    _draw_head(canvas, page)
    y = top
    for row, height in zip(page.rows, heights, strict=True):
        _draw_chart(canvas, row, Box(LEFT, y, WIDTH - LEFT - MARGIN, height - GAP), page.span_s)
        y += height
    _draw_axis(canvas, y, page)
    for index, (moment, _) in reversed(list(enumerate(pictured))):
        x = _x_of(moment.at_s, page.span_s)
        canvas[top - 6 : y, x : x + 1] = TEXT
        canvas[top - 22 : top - 4, x - 10 : x + 12] = BAD
        draw_text(canvas, str(index + 1), (x - 4, top - 8), 14, TEXT, BOLD)
    for index, (moment, pictures) in enumerate(pictured):
        x = MARGIN + (index % COLUMNS) * box
        at_y = y + AXIS + (index // COLUMNS) * (box * 9 // 16 + CAPTION)
        share = (box - 8) // len(pictures)
        for place, picture in enumerate(pictures):
            paste(canvas, picture, Box(x + place * share, at_y, share, (box - 8) * 9 // 16))
        words = _ascii(f'{index + 1}  {moment.title}')
        draw_text(canvas, words, (x, at_y + box * 9 // 16 + 14), 15, TEXT, BOLD)
        draw_text(canvas, f'at {moment.at_s:.2f} s', (x, at_y + box * 9 // 16 + 34), 13, MUTED)
    return canvas


def _height(row: Chart) -> int:
    return TRACK_HEIGHT * len(row.bands) if row.bands else CURVE_HEIGHT


def _draw_head(canvas: RgbImage, page: Page) -> None:
    draw_text(canvas, _ascii(page.title), (MARGIN, 36), 24, TEXT, BOLD)
    draw_text(canvas, _ascii(page.subtitle), (WIDTH - MARGIN, 36), 15, MUTED, align='right')
    canvas[54:84, MARGIN : WIDTH - MARGIN] = PANEL
    canvas[54:84, MARGIN : MARGIN + 5] = BAD if page.verdict.bad else GOOD
    draw_text(canvas, _ascii(page.verdict.text), (MARGIN + 16, 75), 17)
    width = (WIDTH - 2 * MARGIN) // max(1, len(page.tiles))
    for index, tile in enumerate(page.tiles):
        x = MARGIN + index * width
        canvas[HEADER : HEADER + TILES - 6, x : x + width - 8] = PANEL
        if tile.mood:
            canvas[HEADER : HEADER + 3, x : x + width - 8] = BAD if tile.mood == 'bad' else GOOD
        box = canvas[HEADER : HEADER + TILES - 6, x : x + width - 8]
        draw_text(box, _ascii(tile.name), (10, 22), 14, MUTED)
        draw_text(box, _ascii(tile.value), (10, 48), 20, TEXT, BOLD)
        draw_text(box, _ascii(tile.note), (10, 69), 13, MUTED)


def _draw_chart(canvas: RgbImage, row: Chart, box: Box, span_s: tuple[float, float]) -> None:
    draw_text(canvas, _ascii(row.title), (MARGIN, box.y + 16), 15)
    if row.unit:
        draw_text(canvas, _ascii(row.unit), (MARGIN, box.y + 34), 13, MUTED)
    plot = canvas[box.y : box.y + box.height, box.x : box.x + box.width]
    plot[:] = PANEL
    if row.missing:
        draw_text(plot, _ascii(row.missing), (16, box.height // 2 + 6), 14, MUTED)
        return
    low, high = row.limits

    def points(at_s: ArrayLike, values: ArrayLike) -> NDArray[np.int32]:
        x = (np.asarray(at_s) - span_s[0]) / (span_s[1] - span_s[0]) * (box.width - 1)
        y = (high - np.asarray(values)) / (high - low) * (box.height - 1)
        return np.asarray(np.rint(np.stack([x, y], axis=-1) * 2**SUBPIXEL), np.int32)

    for area in row.areas:
        outline = np.vstack([points(area.at_s, area.high), points(area.at_s, area.low)[::-1]])
        cv2.fillPoly(plot, [outline], area.colour, cv2.LINE_AA, SUBPIXEL)
    for track, bands in enumerate(row.bands):
        top = track * TRACK_HEIGHT + 2
        for band in bands:
            (a, _), (b, _) = points([band.from_s, band.to_s], [0.0, 0.0]) >> SUBPIXEL
            plot[top : top + TRACK_HEIGHT - 4, max(0, a) : max(a + 2, b)] = band.colour
    if row.zero:
        plot[int(points([0.0], [0.0])[0, 1] >> SUBPIXEL)] = GRID
    for tick in row.ticks:
        x = int(points([tick], [0.0])[0, 0] >> SUBPIXEL)
        plot[-box.height // 3 :, x : x + 2] = BAD
    for line in row.lines:
        for piece in _whole_pieces(line.values):
            curve = points(line.at_s[piece], line.values[piece])
            cv2.polylines(plot, [curve], False, line.colour, 1, cv2.LINE_AA, SUBPIXEL)
    if not row.bands:
        draw_text(plot, f'{high:g}', (4, 13), 12, MUTED)
        draw_text(plot, f'{low:g}', (4, box.height - 4), 12, MUTED)


def _whole_pieces(values: NDArray[np.float64]) -> Iterator[slice]:
    """Yields where the values are numbers, from one NaN to the next."""
    ends = np.flatnonzero(np.diff(np.isfinite(values), prepend=False, append=False))
    for begin, end in ends.reshape(-1, 2).tolist():
        yield slice(begin, end)


def _draw_axis(canvas: RgbImage, y: int, page: Page) -> None:
    begin_s, end_s = page.span_s
    length_s = max(end_s - begin_s, 1e-6)
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
    step = next((step for step in steps if length_s / step <= MOST_TICKS), 1200)
    for number in range(int(np.ceil(begin_s / step)), int(end_s / step) + 1):
        x = _x_of(number * step, page.span_s)
        draw_text(canvas, f'{number * step:g} s', (x - 12, y + 18), 13, MUTED)


def _x_of(at_s: float, span_s: tuple[float, float]) -> int:
    share = (at_s - span_s[0]) / max(span_s[1] - span_s[0], 1e-6)
    return LEFT + round(share * (WIDTH - LEFT - MARGIN))


def _ascii(text: str) -> str:
    """Text that OpenCV can write."""
    return text.replace('°', 'deg').replace('≥', '>=').encode('ascii', 'replace').decode()
