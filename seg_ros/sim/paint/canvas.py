# SPDX-License-Identifier: Apache-2.0
"""The picture while it is painted, far things first, and the label image beside it.

Image and labels are painted by the same call from the same outline: the image with the share of
the pixel that is covered, the label where that share is at least one half, which for a straight
edge is where the centre of the pixel is inside.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['FIRST_CYCLIST_CODE', 'FIRST_PERSON_CODE', 'LAST_CODE', 'Canvas', 'Sprite']

FIRST_PERSON_CODE = 16
FIRST_CYCLIST_CODE = 200
LAST_CODE = 254

SHIFT = 4  # fractional bits of the coordinates that cv2 draws with
# Smaller things are drawn more finely: longest side in pixels, supersampling
SUPERSAMPLING = ((60, 4), (120, 3))
LEAST_SUPERSAMPLING = 2

Rgb = Sequence[float]
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

    def paint_shape(
        self,
        colour: NDArray[np.uint8],
        inside: NDArray[np.float32],
        opacity: NDArray[np.uint8] | None,
        x0: int,
        y0: int,
        code: int,
    ) -> None:
        """Lays a shape that is inside of the canvas.

        Args:
            colour: ``(h, w, 3)``, not multiplied by anything.
            inside: ``(h, w)``, how far a pixel centre is inside of the shape, in pixels.
            opacity: ``(h, w)``, 255 hides what is behind; None hides it everywhere. The label
                covers the shape in either case.
            x0: Column of its left edge.
            y0: Row of its top edge.
            code: What it is.
        """
        rows = slice(y0, y0 + colour.shape[0])
        columns = slice(x0, x0 + colour.shape[1])
        behind = self.image[rows, columns]
        solid = inside >= 0.0
        np.putmask(self.codes[rows, columns], solid, np.uint8(code))
        if opacity is not None:
            cover = cv2.convertScaleAbs(np.clip(inside + 0.5, 0.0, 1.0), alpha=255.0)
            _blend(behind, colour, cv2.multiply(cover, opacity, scale=1.0 / 255.0))
            return
        # Nearly all pixels are either inside or outside; only those between are mixed.
        edge = np.flatnonzero(np.abs(inside) < 0.5)
        share = inside.reshape(-1)[edge, None] + 0.5
        row, column = np.divmod(edge, inside.shape[1])
        under = behind[row, column].astype(np.float32)
        mixed = under + (colour[row, column] - under) * share
        cv2.copyTo(colour, solid.view(np.uint8), behind)
        behind[row, column] = np.rint(mixed)

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
        self,
        points_min: tuple[float, float],
        points_max: tuple[float, float],
        canvas: Canvas,
        margin: float = 0.0,
    ) -> None:
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
        finer = (scale for limit_px, scale in SUPERSAMPLING if side <= limit_px)
        self.scale = next(finer, LEAST_SUPERSAMPLING)
        self._board = np.zeros((self.h * self.scale, self.w * self.scale, 4), dtype=np.uint8)

    @property
    def is_empty(self) -> bool:
        return self.w == 0 or self.h == 0

    def polygon(self, points: Points, colour: Rgb) -> None:
        """Fills a polygon, convex or not, that does not cut itself."""
        self.fill(self.fixed(points), colour)

    def fill(self, fixed: NDArray[np.int32], colour: Rgb) -> None:
        """The same for points that ``fixed`` has converted."""
        cv2.fillPoly(
            self._board, [fixed], (colour[0], colour[1], colour[2], 255.0), cv2.LINE_8, SHIFT
        )

    def stroke(self, a: Sequence[int], b: Sequence[int], px: float, colour: Rgb) -> None:
        """A line with round ends between two points that ``fixed`` has converted."""
        cv2.line(
            self._board,
            a,
            b,
            (colour[0], colour[1], colour[2], 255.0),
            max(1, round(px * self.scale)),
            cv2.LINE_8,
            SHIFT,
        )

    def ball(self, centre: Sequence[int], radius_px: float, colour: Rgb) -> None:
        """A disc around a point that ``fixed`` has converted."""
        cv2.circle(
            self._board,
            centre,
            max(1, round(radius_px * self.scale * (1 << SHIFT))),
            (colour[0], colour[1], colour[2], 255.0),
            -1,
            cv2.LINE_8,
            SHIFT,
        )

    def fixed(self, points: Points) -> NDArray[np.int32]:
        """``(N, 2)`` image points in the fixed-point coordinates of the board."""
        unit = float(self.scale * (1 << SHIFT))
        shift_x = (0.5 - self.x0) * unit - 0.5 * (1 << SHIFT)
        shift_y = (0.5 - self.y0) * unit - 0.5 * (1 << SHIFT)
        return np.rint(points * unit + (shift_x, shift_y)).astype(np.int32)

    def picture(self) -> NDArray[np.uint8]:
        """``(h, w, 4)`` at the canvas's resolution, colours multiplied by alpha."""
        if self.is_empty:
            return np.zeros((0, 0, 4), dtype=np.uint8)
        picture = cv2.resize(self._board, (self.w, self.h), interpolation=cv2.INTER_AREA)
        return np.asarray(picture, dtype=np.uint8)


def _blend(behind: NDArray[np.uint8], colour: NDArray[np.uint8], cover: NDArray[np.uint8]) -> None:
    opaque = cv2.cvtColor(cover, cv2.COLOR_GRAY2RGB)
    under = cv2.multiply(behind, cv2.bitwise_not(opaque), scale=1.0 / 255.0)
    behind[:] = cv2.add(under, cv2.multiply(colour, opaque, scale=1.0 / 255.0))
