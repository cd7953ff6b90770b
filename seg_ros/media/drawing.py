"""Text, colours and boxes of everything that this package draws for people to look at."""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np

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
    'draw_text',
    'paste',
    'text_width',
]

Colour = tuple[int, int, int]
"""Red, green, blue."""

BACKGROUND: Colour = (17, 20, 26)
TEXT: Colour = (238, 241, 245)
MUTED: Colour = (150, 160, 174)

REGULAR, BOLD = 400, 650  # weights of the variable font that OpenCV 5 carries

# OpenCV 4 has only the stroke fonts: ASCII, and a capital letter of 22 pixels at scale 1.
STROKE_FONT = cv2.FONT_HERSHEY_SIMPLEX
STROKE_SIZE_PX = 31.0
ASCII_OF = str.maketrans({'·': '|', '–': '-', '—': '-', '→': '>', 'µ': 'u', '×': 'x'})


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
    weight: int = REGULAR,
    align: Literal['left', 'right', 'centre'] = 'left',
) -> None:
    """Writes one line of text.

    Args:
        picture: Is written to.
        text: The line.
        at_xy: Where the baseline starts, ends or has its middle, as ``align`` says.
        size_px: Size of the font.
        colour: Of the letters.
        weight: From 300, thin, to 800, fat.
        align: Which point of the line ``at_xy`` is.
    """
    shift = {'left': 0.0, 'centre': 0.5, 'right': 1.0}[align]
    x = at_xy[0] - round(shift * text_width(text, size_px, weight)) if shift else at_xy[0]
    origin = (x, at_xy[1])
    if _has_fonts():
        face = cv2.FontFace('sans')
        cv2.putText(picture, text, origin, colour, face, size_px, weight)
    else:
        scale, thickness = _stroke(size_px, weight)
        text = text.translate(ASCII_OF)
        cv2.putText(picture, text, origin, STROKE_FONT, scale, colour, thickness, cv2.LINE_AA)


def text_width(text: str, size_px: int, weight: int = REGULAR) -> int:
    """Returns the width of a line of text in pixels."""
    if _has_fonts():
        face = cv2.FontFace('sans')
        box = cv2.getTextSize((0, 0), text, (0, 0), face, size_px, weight)
        return int(box[2])
    scale, thickness = _stroke(size_px, weight)
    (width, _), _ = cv2.getTextSize(text.translate(ASCII_OF), STROKE_FONT, scale, thickness)
    return int(width)


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


def _has_fonts() -> bool:
    return hasattr(cv2, 'FontFace')


def _stroke(size_px: int, weight: int) -> tuple[float, int]:
    return size_px / STROKE_SIZE_PX, 2 if weight >= BOLD else 1
