# SPDX-License-Identifier: Apache-2.0
"""Ground scale: pixels per metre where things stand, the inverse of the ground sample distance."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import GroundTable

__all__ = ['GroundPoint', 'GroundScale']

FAR_M = 1e4  # metres: beyond is no ground, but the rounding of the horizon
BELOW_PART = 8  # of the rows, the last ones, which tell how the ground goes on below them
MAX_STRETCH = 20.0  # of a distance by a pitch error; beyond, near the horizon, nothing is known


class GroundPoint(NamedTuple):
    """A place on the ground, and how far one pixel of error would move it.

    Attributes:
        x_m: Forward, base frame.
        y_m: Left, base frame.
        along_m: Per pixel up or down, which is along the line of sight.
        across_m: Per pixel to the side.
    """

    x_m: float
    y_m: float
    along_m: float
    across_m: float


class _Pitch(NamedTuple):
    """How much further up a camera looks than its table says, for points instead of the table."""

    up_rad: float
    camera_x_m: float
    camera_y_m: float
    camera_z_m: float

    def shrink(self, x: Any) -> Any:
        """Part of its distance at which a point seems to be; 0 or less above the horizon."""
        return math.cos(self.up_rad) - math.sin(self.up_rad) / self.camera_z_m * (
            x - self.camera_x_m
        )

    def moved(self, point: GroundPoint) -> GroundPoint | None:
        """The ground that is really seen, None next to the horizon and above."""
        shrink = self.shrink(point.x_m)
        if shrink < 1.0 / MAX_STRETCH:
            return None
        forward, left = point.x_m - self.camera_x_m, point.y_m - self.camera_y_m
        forward = forward * math.cos(self.up_rad) + self.camera_z_m * math.sin(self.up_rad)
        return GroundPoint(
            self.camera_x_m + forward / shrink,
            self.camera_y_m + left / shrink,
            point.along_m / (shrink * shrink),
            point.across_m / shrink,
        )


class GroundScale:
    """A ground table with what is asked of it again and again; made once per calibration.

    Args:
        table: ``(H, W, 2)`` metres, base frame, NaN where no ground is seen.

    Attributes:
        shape_hw: Of the label images it is for.
        is_known: Whether any pixel sees the ground.
    """

    def __init__(self, table: GroundTable) -> None:
        self._table = np.asarray(table, dtype=np.float32)
        self.shape_hw: tuple[int, int] = (int(table.shape[0]), int(table.shape[1]))
        self.is_known = bool(np.isfinite(self._table).any())
        with np.errstate(all='ignore'), warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)
            self._across = _step(self._table, axis=1)
            self._along = _step(self._table, axis=0)
            per_m = 1.0 / self._across
        # 0 pixels per metre: endlessly far away, or no ground at all
        per_m[~np.isfinite(per_m)] = 0.0
        self.px_per_m: NDArray[np.float32] = per_m
        # Column by column in memory: that is how a scale is looked for
        self._columns_px_per_m = np.ascontiguousarray(per_m.T)
        self._pitch: _Pitch | None = None

    def pitched(self, up_rad: float, camera_m: tuple[float, float, float]) -> GroundScale:
        """The same for a camera that looks further up than the table says.

        Only the answers of ``at`` and ``row_with_scale`` change, so that it costs nothing.

        Args:
            up_rad: How much further up, a few degrees at most; for a camera that looks forward.
            camera_m: Where the camera is, base frame.
        """
        if up_rad == 0.0:
            return self
        pitched = copy.copy(self)
        pitched._pitch = _Pitch(up_rad, *camera_m)
        return pitched

    def at(self, u: float, v: float) -> GroundPoint | None:
        """The ground below a pixel, None where there is none.

        Args:
            u: Column; between two columns the value is in between.
            v: Row, the same way; up to one row below the image.
        """
        height, width = self.shape_hw
        column, row = min(max(int(u), 0), width - 1), min(max(int(v), 0), height - 1)
        right, below = min(column + 1, width - 1), min(row + 1, height - 1)
        part_u, part_v = u - column, v - row
        table = self._table
        x0, y0 = table.item(row, column, 0), table.item(row, column, 1)
        x1, y1 = table.item(row, right, 0), table.item(row, right, 1)
        x2, y2 = table.item(below, column, 0), table.item(below, column, 1)
        x = x0 + part_u * (x1 - x0) + part_v * (x2 - x0)
        y = y0 + part_u * (y1 - y0) + part_v * (y2 - y0)
        along, across = self._along.item(row, column), self._across.item(row, column)
        if not (abs(x) < FAR_M and abs(y) < FAR_M and along < FAR_M and across < FAR_M):
            return None
        point = GroundPoint(x, y, along, across)
        return point if self._pitch is None else self._pitch.moved(point)

    def row_with_scale(self, u: float, px_per_m: float) -> int | None:
        """The row of a column in which a metre across has that many pixels, None if none has."""
        column = min(max(int(u), 0), self.shape_hw[1] - 1)
        scales = self._columns_px_per_m[column]
        if self._pitch is not None:
            scales = scales * self._pitch.shrink(self._table[:, column, 0])
        first = int((scales >= px_per_m).argmax())
        return first if scales[first] >= px_per_m else None

    def below(self, u: float, px_per_m: float) -> GroundPoint | None:
        """Where a column, drawn on below the image, has so many pixels in a metre across.

        Exact for a lens without distortion: along a column places go with the metres in a pixel.

        Args:
            u: Column.
            px_per_m: More than there are in the last row.

        Returns:
            None where the last rows see no ground, or have that many pixels themselves.
        """
        last = self.shape_hw[0] - 1
        first = self.at(u, last - max(1, last // BELOW_PART))
        second = self.at(u, last)
        if first is None or second is None or px_per_m <= 0.0:
            return None
        across_m, step_m = 1.0 / px_per_m, first.across_m - second.across_m
        if step_m <= 0.0 or across_m >= second.across_m:
            return None
        part = (second.across_m - across_m) / step_m
        return GroundPoint(
            second.x_m + part * (second.x_m - first.x_m),
            second.y_m + part * (second.y_m - first.y_m),
            second.along_m * (across_m / second.across_m) ** 2,
            across_m,
        )

    def below_row(self, u: float, row: float) -> GroundPoint | None:
        """The ground of a row below the image; see ``below``.

        Args:
            u: Column.
            row: Further down than the last one.
        """
        last = self.shape_hw[0] - 1
        rows = max(1, last // BELOW_PART)
        first, second = self.at(u, last - rows), self.at(u, last)
        if first is None or second is None:
            return None
        # The pixels in a metre grow evenly from row to row
        scale, before = 1.0 / second.across_m, 1.0 / first.across_m
        return self.below(u, scale + (row - last) * (scale - before) / rows)


def _step(table: GroundTable, axis: int) -> NDArray[np.float32]:
    """Metres from each pixel to the next one along an axis."""
    if table.shape[axis] < 2:
        return np.full(table.shape[:2], np.nan, dtype=np.float32)
    step = np.diff(table, axis=axis)
    length = np.hypot(step[..., 0], step[..., 1])
    last = length[:, -1:] if axis == 1 else length[-1:]
    return np.concatenate([length, last], axis=axis)
