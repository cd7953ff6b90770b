"""The picture while it is painted, far things first, and the label image beside it.

Image and labels are painted by the same call from the same outline: the image with the share of
the pixel that is covered, the label where that share is at least one half, which for a straight
edge is where the centre of the pixel is inside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['FIRST_CYCLIST_CODE', 'FIRST_PERSON_CODE', 'Canvas', 'Sprite']

FIRST_PERSON_CODE = 16
FIRST_CYCLIST_CODE = 200
LAST_CODE = 254

SHIFT = 4  # fractional bits of the coordinates that cv2 draws with
MAX_SUPERSAMPLING = 4
SUPERSAMPLED_SIDE_PX = 640

Rgb = tuple[float, float, float]
Points = NDArray[np.float64]


class Canvas:
    """Image and codes. A code is a class id, or stands for one person or cyclist."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        width, height = size_wh
        self.size_wh = size_wh
        self.image = np.zeros((height, width, 3), dtype=np.uint8)
        self.codes = np.zeros((height, width), dtype=np.uint8)

    def paint(self, rgba: NDArray[np.uint8], x0: int, y0: int, code: int | None) -> None:
        """Lays a picture over what is there.

        Args:
            rgba: ``(h, w, 4)``, colours already multiplied by alpha. May reach over the border.
            x0: Column of its left edge.
            y0: Row of its top edge.
            code: What it is, None leaves the labels alone.
        """
        width, height = self.size_wh
        left, top = max(0, -x0), max(0, -y0)
        right = min(rgba.shape[1], width - x0)
        bottom = min(rgba.shape[0], height - y0)
        if right <= left or bottom <= top:
            return
        part = rgba[top:bottom, left:right]
        rows = slice(y0 + top, y0 + bottom)
        columns = slice(x0 + left, x0 + right)
        alpha = part[:, :, 3]
        through = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB)
        behind = cv2.multiply(self.image[rows, columns], through, scale=1.0 / 255.0)
        self.image[rows, columns] = cv2.add(behind, cv2.cvtColor(part, cv2.COLOR_RGBA2RGB))
        if code is not None:
            np.putmask(self.codes[rows, columns], alpha >= 128, np.uint8(code))

    def add_light(self, glow: NDArray[np.uint8], x0: int, y0: int) -> None:
        """Adds light; labels stay."""
        width, height = self.size_wh
        left, top = max(0, -x0), max(0, -y0)
        right = min(glow.shape[1], width - x0)
        bottom = min(glow.shape[0], height - y0)
        if right <= left or bottom <= top:
            return
        rows = slice(y0 + top, y0 + bottom)
        columns = slice(x0 + left, x0 + right)
        part = glow[top:bottom, left:right]
        self.image[rows, columns] = cv2.add(self.image[rows, columns], part)


class Sprite:
    """A small drawing board at several times the resolution, in image coordinates."""

    def __init__(
        self, points_min: tuple[float, float], points_max: tuple[float, float], canvas: Canvas,
        margin: float = 0.0,
    ) -> None:  # fmt: skip
        """Prepares a board.

        Args:
            points_min: Smallest x and y that will be drawn, pixels.
            points_max: Largest ones.
            canvas: Where it will be laid.
            margin: How far the board may reach over the canvas's border, in canvas sizes.
        """
        width, height = canvas.size_wh
        self.x0 = int(max(np.floor(points_min[0]) - 1, -margin * width))
        self.y0 = int(max(np.floor(points_min[1]) - 1, -margin * height))
        x1 = int(min(np.ceil(points_max[0]) + 2, (1 + margin) * width))
        y1 = int(min(np.ceil(points_max[1]) + 2, (1 + margin) * height))
        self.w = max(0, x1 - self.x0)
        self.h = max(0, y1 - self.y0)
        side = max(self.w, self.h, 1)
        self.scale = int(min(MAX_SUPERSAMPLING, max(2, SUPERSAMPLED_SIDE_PX // side)))
        self._board = np.zeros((self.h * self.scale, self.w * self.scale, 4), dtype=np.uint8)

    @property
    def is_empty(self) -> bool:
        return self.w == 0 or self.h == 0

    def polygon(self, points: Points, colour: Rgb) -> None:
        """Fills a polygon, convex or not, that does not cut itself."""
        cv2.fillPoly(self._board, [self._fixed(points)], _opaque(colour), cv2.LINE_8, SHIFT)

    def convex(self, points: Points, colour: Rgb) -> None:
        cv2.fillConvexPoly(self._board, self._fixed(points), _opaque(colour), cv2.LINE_8, SHIFT)

    def circle(self, x: float, y: float, radius: float, colour: Rgb) -> None:
        centre = self._fixed(np.array([[x, y]]))[0]
        cv2.circle(
            self._board,
            (int(centre[0]), int(centre[1])),
            max(1, round(radius * self.scale * (1 << SHIFT))),
            _opaque(colour),
            -1,
            cv2.LINE_8,
            SHIFT,
        )

    def picture(self) -> NDArray[np.uint8]:
        """``(h, w, 4)`` at the canvas's resolution, colours multiplied by alpha."""
        if self.is_empty:
            return np.zeros((0, 0, 4), dtype=np.uint8)
        picture = cv2.resize(self._board, (self.w, self.h), interpolation=cv2.INTER_AREA)
        return np.asarray(picture, dtype=np.uint8)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        board = (points - (self.x0 - 0.5, self.y0 - 0.5)) * self.scale - 0.5
        limit = 30000.0
        return np.round(np.clip(board, -limit, limit) * (1 << SHIFT)).astype(np.int32)


def _opaque(colour: Rgb) -> tuple[float, float, float, float]:
    return colour[0], colour[1], colour[2], 255.0
