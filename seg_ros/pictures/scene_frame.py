# SPDX-License-Identifier: Apache-2.0
"""A camera's picture with all that was made of it: labels, zone, people, lane, and the stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.pictures.drawing import BOLD, Colour, draw_text, text_width

__all__ = ['ImageShapes', 'SceneFrame', 'fitted_lines', 'ground_pixels', 'person_box']

Points = NDArray[np.float64]

ZONE: Colour = (255, 205, 110)
LANE: Colour = (61, 220, 132)
PERSON: Colour = (255, 255, 255)
PERSON_M = 0.5, 1.75  # about an adult, for the eye alone
EDGE_M = 0.25  # between two points of an edge, so that it may be drawn in any lens
BANNER = 0.075  # of the height of the picture
LEAST_BANNER_PX = 26
ONE_LINE_PX, TWO_LINES_PX, LEAST_TEXT_PX = (
    10,
    11,
    9,
)  # of the reason; two lines where one is too small
SHIFT = 4  # fractional bits of the coordinates that cv2 draws with


class ImageShapes(NamedTuple):
    """What is drawn over a picture, in its pixels.

    Attributes:
        zone: ``(N, 2)`` outline of the stop zone.
        lanes: ``(N, 2)`` each.
        people: left, top, right, bottom and text of each.
    """

    zone: Points
    lanes: Sequence[Points] = ()
    people: Sequence[tuple[float, float, float, float, str]] = ()


class SceneFrame:
    """Draws pictures of one camera at their own size, cut to even numbers for codecs.

    Args:
        colours: ``(256, 1, 3)`` colour of each class.
        alpha: Opacity of the label colours.
    """

    def __init__(self, colours: NDArray[np.uint8], alpha: float) -> None:
        self._colours = colours
        self._alpha = alpha

    def draw(
        self,
        image: RgbImage,
        labels: LabelImage,
        shapes: ImageShapes,
        stop: tuple[str, str, Colour] | None,
    ) -> RgbImage:
        """Returns a new picture.

        Args:
            image: ``(H, W, 3)``.
            labels: ``(H, W)``.
            shapes: In its pixels.
            stop: The word, the reason and the colour of the banner; None draws none.
        """
        colours = cv2.applyColorMap(labels, self._colours)
        mixed = cv2.addWeighted(colours, self._alpha, image, 1.0 - self._alpha, 0.0)
        picture = np.asarray(mixed, np.uint8)
        height, width = picture.shape[:2]
        pen = max(1, height // 300)
        for line in shapes.lanes:
            _line(picture, line, LANE, pen)
        _line(picture, shapes.zone, ZONE, pen, closed=True)
        text_px = max(11, height // 34)
        for left, top, right, bottom, text in shapes.people:
            corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            _line(picture, corners, PERSON, pen, closed=True)
            draw_text(picture, text, (round(left), max(text_px, round(top) - 4)), text_px, PERSON)
        if stop is not None:
            _banner(picture, *stop)
        return picture[: height - height % 2, : width - width % 2]


def ground_pixels(camera: Camera, points: Points, *, closed: bool = False) -> Points:
    """Returns where points of the ground are in the picture; those behind the camera are left out.

    Args:
        camera: Of the picture.
        points: ``(N, 2)`` metres, base frame.
        closed: Whether they are an outline, which gets points between its corners.
    """
    if closed and len(points):
        parts = []
        for at, to in zip(points, np.roll(points, -1, axis=0), strict=True):
            steps = max(1, int(np.ceil(np.hypot(*(to - at)) / EDGE_M)))
            parts.append(at + np.linspace(0.0, 1.0, steps, endpoint=False)[:, None] * (to - at))
        points = np.concatenate(parts)
    pixels, in_front = camera.project(np.column_stack([points, np.zeros(len(points))]))
    return np.asarray(pixels[in_front])


def person_box(camera: Camera, x_m: float, y_m: float) -> tuple[float, float, float, float] | None:
    """Returns the box of a person who stands there, in pixels; None where it is not in front."""
    width_m, height_m = PERSON_M
    body = [[x_m, y_m, 0.0], [x_m, y_m, height_m], [x_m, y_m + width_m, 0.0]]
    pixels, in_front = camera.project(body)
    if not in_front.all():
        return None
    (u, bottom), (_, top), (beside, _) = pixels.tolist()
    half = 0.5 * abs(beside - u)
    return u - half, top, u + half, bottom


def _line(
    picture: RgbImage, points: Points, colour: Colour, pen: int, *, closed: bool = False
) -> None:
    height, width = picture.shape[:2]
    # Far outside of the picture coordinates overflow what cv2 draws with
    points = points[
        (np.abs(points - [width / 2, height / 2]) < 8 * max(width, height)).all(axis=1)
    ]
    if len(points) < 2:
        return
    fixed = np.round(points * (1 << SHIFT)).astype(np.int32)
    cv2.polylines(picture, [fixed], closed, (0, 0, 0), 3 * pen, cv2.LINE_AA, SHIFT)
    cv2.polylines(picture, [fixed], closed, colour, pen, cv2.LINE_AA, SHIFT)


def _banner(picture: RgbImage, word: str, reason: str, colour: Colour) -> None:
    height, width = picture.shape[:2]
    tall = max(LEAST_BANNER_PX, round(BANNER * height))
    picture[:tall] = colour
    word_px = round(0.58 * tall)
    baseline = round(0.70 * tall)
    draw_text(picture, word, (round(0.35 * tall), baseline), word_px, (255, 255, 255), BOLD)
    left = round(0.9 * tall) + text_width(word, word_px, BOLD)
    lines, reason_px = fitted_lines(reason, round(0.42 * tall), width - 6 - left)
    if len(lines) == 1:
        draw_text(picture, lines[0], (left, baseline - 1), reason_px, (255, 255, 255))
    for number, line in enumerate(lines if len(lines) > 1 else ()):
        at = round((0.42, 0.86)[number] * tall)
        draw_text(picture, line, (left, at), reason_px, (255, 255, 255))


def fitted_lines(text: str, most_px: int, width: int) -> tuple[list[str], int]:
    """A text as the one or two lines that fit, and their size; the end is left out last."""
    for size_px in range(most_px, ONE_LINE_PX - 1, -1):
        if text_width(text, size_px) <= width:
            return [text], size_px
    words = text.split()
    for count in range(len(words), 1, -1):
        rest = '' if count == len(words) else '...'
        for size_px in range(min(most_px, TWO_LINES_PX), LEAST_TEXT_PX - 1, -1):
            halves = [
                [' '.join(words[:at]), ' '.join(words[at:count]) + rest] for at in range(1, count)
            ]
            lines = min(halves, key=lambda row: max(map(len, row)))
            if all(text_width(line, size_px) <= width for line in lines):
                return lines, size_px
    return [text], LEAST_TEXT_PX
