# SPDX-License-Identifier: Apache-2.0
"""Text, colours, boxes and legends of everything that is drawn for people to look at."""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np

from seg_ros.core.labels import LabelMap
from seg_ros.core.types import RgbImage

__all__ = [
    'BACKGROUND',
    'BOLD',
    'MUTED',
    'REGULAR',
    'TEXT',
    'Box',
    'Colour',
    'blank',
    'draw_legend',
    'draw_text',
    'legend_height',
    'paste',
    'text_width',
]

Colour = tuple[int, int, int]
"""Red, green, blue."""

BACKGROUND: Colour = (17, 20, 26)
TEXT: Colour = (238, 241, 245)
MUTED: Colour = (150, 160, 174)

REGULAR, BOLD = 0.085, 0.13  # width of the pen, in font sizes

FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SIZE_PX = 31.0  # at scale 1
FINER = 4  # OpenCV's strokes are coarse: they are drawn larger and shrunk
GAP_EM = 1.4  # between two columns of a legend, in font sizes
SWATCH_EM = 1.1
LINE_EM = 1.7


class Box(NamedTuple):
    """A rectangle of a picture, in pixels."""

    x: int
    y: int
    width: int
    height: int


def blank(width: int, height: int, colour: Colour = BACKGROUND) -> RgbImage:
    """Returns a picture of one colour."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = colour
    return picture


def draw_text(
    picture: RgbImage,
    text: str,
    at_xy: tuple[int, int],
    size_px: int,
    colour: Colour = TEXT,
    pen: float = REGULAR,
    align: Literal['left', 'right'] = 'left',
) -> None:
    """Writes one line of text; what does not fit on the picture is cut off.

    Args:
        picture: Is written to.
        text: The line, in ASCII; OpenCV writes a question mark for anything else.
        at_xy: Where the baseline starts or ends, as ``align`` says.
        size_px: Size of the font.
        colour: Of the letters.
        pen: ``REGULAR`` or ``BOLD``.
        align: Which end of the line ``at_xy`` is.
    """
    scale, thickness = _pen(size_px, pen)
    (width, height), depth = cv2.getTextSize(text, FONT, scale, thickness)
    margin = FINER * (
        1 + thickness // FINER
    )  # the pen is wider than the letters that are measured
    baseline = -(-(height + margin) // FINER) * FINER
    rows, columns = baseline + depth + margin, width + 2 * margin
    ink = np.zeros((-(-rows // FINER) * FINER, -(-columns // FINER) * FINER), np.uint8)
    cv2.putText(ink, text, (margin, baseline), FONT, scale, 255, thickness, cv2.LINE_AA)
    size_wh = ink.shape[1] // FINER, ink.shape[0] // FINER
    ink = np.asarray(cv2.resize(ink, size_wh, interpolation=cv2.INTER_AREA), np.uint8)

    left = at_xy[0] - margin // FINER - (text_width(text, size_px, pen) if align == 'right' else 0)
    top = at_xy[1] - baseline // FINER
    ink = ink[max(0, -top) :, max(0, -left) :]
    target = picture[max(0, top) :, max(0, left) :][: ink.shape[0], : ink.shape[1]]
    share = ink[: target.shape[0], : target.shape[1], np.newaxis] / np.float32(255.0)
    target[:] = np.rint(target + share * (np.array(colour, np.float32) - target))


def text_width(text: str, size_px: int, pen: float = REGULAR) -> int:
    """Returns the width of a line of text in pixels."""
    (width, _), _ = cv2.getTextSize(text, FONT, *_pen(size_px, pen))
    return int(-(-width // FINER))


def paste(canvas: RgbImage, picture: RgbImage, box: Box) -> None:
    """Puts a picture into a box, as large as it fits, in the middle."""
    height, width = picture.shape[:2]
    scale = min(box.width / width, box.height / height)
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    if size_wh != (width, height):
        smooth = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(picture, size_wh, interpolation=smooth), np.uint8)
    x = box.x + (box.width - size_wh[0]) // 2
    y = box.y + (box.height - size_wh[1]) // 2
    canvas[y : y + size_wh[1], x : x + size_wh[0]] = picture


def legend_height(label_map: LabelMap, width: int, size_px: int) -> int:
    """Returns how many pixels high the legend is in a given width."""
    columns, _ = _grid(label_map, width, size_px)
    rows = -(-len(label_map.classes) // columns)
    return round(rows * LINE_EM * size_px)


def draw_legend(
    picture: RgbImage, label_map: LabelMap, at_xy: tuple[int, int], width: int, size_px: int
) -> None:
    """Draws the classes in aligned columns, by rising id, row after row.

    Args:
        picture: Is written to.
        label_map: The classes.
        at_xy: Upper left corner.
        width: How wide it may be.
        size_px: Size of the font.
    """
    columns, column_width = _grid(label_map, width, size_px)
    swatch = round(SWATCH_EM * size_px)
    for index, row in enumerate(sorted(label_map.classes, key=lambda row: row.id)):
        x = at_xy[0] + index % columns * column_width
        middle = at_xy[1] + round((index // columns + 0.5) * LINE_EM * size_px)
        corner = (x, middle - swatch // 2)
        opposite = (x + swatch - 1, middle - swatch // 2 + swatch - 1)
        cv2.rectangle(picture, corner, opposite, row.colour_rgb, cv2.FILLED)
        baseline = middle + round(0.34 * size_px)
        draw_text(picture, _spoken(row.name), (x + round(1.5 * swatch), baseline), size_px, TEXT)


def _pen(size_px: int, pen: float) -> tuple[float, int]:
    """Scale and thickness, as OpenCV has them, of the letters before they are shrunk."""
    return FINER * size_px / FONT_SIZE_PX, max(1, round(FINER * size_px * pen))


def _grid(label_map: LabelMap, width: int, size_px: int) -> tuple[int, int]:
    """Columns that fit, as even as they can be filled, and the width of each."""
    widest = max(text_width(_spoken(row.name), size_px) for row in label_map.classes)
    column_width = round(widest + (1.5 * SWATCH_EM + GAP_EM) * size_px)
    fit = max(1, (width + round(GAP_EM * size_px)) // column_width)
    count = len(label_map.classes)
    rows = -(-count // fit)
    return -(-count // rows), column_width


def _spoken(name: str) -> str:
    return name.replace('_', ' ')
