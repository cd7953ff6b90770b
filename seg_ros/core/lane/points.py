# SPDX-License-Identifier: Apache-2.0
"""Ground points of the lane: middles of painted lines and edges of the road, in metres.

An inverse perspective mapping of runs of pixels instead of whole images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import GroundTable
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.shape import Float64Array
from seg_ros.core.types import ConfidenceImage, LabelImage

__all__ = ['LaneView', 'Points']

ROWS_PER_LOOK_AHEAD = 180  # at most: one in 0.19 m of 34.5 m, a sixteenth of the shortest line
FIT_RANGE = 1.15  # how much further than the path is looked
# In widest lanes to each side: the far line of the lane beside is at 1.5, or at 2.0 from a vehicle
# on the line of its own lane; and a tenth more.
LATERAL_RANGE = 2.2
LONGEST_ROW = 30.0  # the look-ahead over it is the most that one image row counts for: 1 m of 30
CROWD = 7  # lines in a row, above which it is a crossing or noise; three lanes have four


@dataclass(frozen=True)
class Points:
    """Points on the ground, base frame, ``(N,)`` each.

    Attributes:
        row: Index of the image row among those that are read; points are sorted by it, and from
            left to right within a row.
        x: Metres forward.
        y: Metres left.
        length_m: Length of line or edge that the point stands for, times its confidence.
        pixel_m: Width of a pixel there.
    """

    row: NDArray[np.intp]
    x: Float64Array
    y: Float64Array
    length_m: Float64Array
    pixel_m: Float64Array

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def in_one_row(self) -> NDArray[np.bool_]:
        """``(N - 1,)`` whether a point and the next are in one row."""
        return np.asarray(self.row[1:] == self.row[:-1])

    @cached_property
    def half_pixel_m(self) -> Float64Array:
        """``(N,)``, how far the middle of a line may be off."""
        return np.asarray(0.5 * self.pixel_m)

    def joined(self, other: Points) -> Points:
        """Returns these points and the others, in order."""
        row, y = np.concatenate([self.row, other.row]), np.concatenate([self.y, other.y])
        order = np.lexsort((-y, row))
        return Points(
            row[order],
            np.concatenate([self.x, other.x])[order],
            y[order],
            np.concatenate([self.length_m, other.length_m])[order],
            np.concatenate([self.pixel_m, other.pixel_m])[order],
        )


class LaneView:
    """What is fixed while the camera keeps its place: which rows are read, and where they lie.

    Args:
        table: ``(H, W, 2)`` ground point of every pixel.
        config: Range and widths.

    Attributes:
        shape_hw: Of the label images.
        camera_x_m: Where the camera is, base frame.
    """

    def __init__(self, table: GroundTable, config: LaneConfig) -> None:
        self._marking_max_m = config.marking_max_m
        self._lateral_m = LATERAL_RANGE * config.width_max_m
        self.shape_hw = table.shape[:2]
        reach_m = FIT_RANGE * config.look_ahead_m
        ahead = np.where(np.isfinite(table[..., 0]), table[..., 0], np.inf)
        row_x = np.median(ahead, axis=1)
        self._rows = _rows_every(row_x, reach_m, reach_m / ROWS_PER_LOOK_AHEAD)
        near = table[self._rows].astype(np.float64)
        self._x = np.ascontiguousarray(near[..., 0])
        self._y = np.ascontiguousarray(near[..., 1])
        width = table.shape[1]
        self._pixel_m = np.abs(np.nanmedian(np.diff(self._y, axis=1), axis=1))
        self._row_length_m = np.minimum(
            np.abs(np.gradient(row_x[self._rows])) if len(self._rows) > 1 else 0.0,
            config.look_ahead_m / LONGEST_ROW,
        )
        self._bordered = np.zeros((len(self._rows), width + 2), np.uint8)
        self.camera_x_m = _camera_x(self._x, self._y) if self.sees_ground else 0.0

    @property
    def sees_ground(self) -> bool:
        """Whether there are rows to read at all."""
        return len(self._rows) > 1

    def markings(
        self, labels: LabelImage, confidence: ConfidenceImage | None, lane_lut: NDArray[np.uint8]
    ) -> Points:
        """Returns the middle of every run of line pixels in the rows that are read."""
        row, first, last = self._runs(labels, lane_lut)
        y_first, y_last = self._y[row, first], self._y[row, last]
        y = 0.5 * (y_first + y_last)
        pixel_m = self._pixel_m[row]
        good = np.abs(y_first - y_last) <= self._marking_max_m + 0.5 * pixel_m  # narrow
        good &= np.abs(y) < self._lateral_m
        good &= first > 0
        good &= last < self.shape_hw[1] - 1
        row, first, last, y, pixel_m = row[good], first[good], last[good], y[good], pixel_m[good]
        x = 0.5 * (self._x[row, first] + self._x[row, last])
        crowd = np.bincount(row, minlength=len(self._rows))
        share = np.minimum(1.0, (CROWD / np.maximum(crowd, 1)) ** 2)
        length_m = (self._row_length_m * share)[row]
        if confidence is not None:
            length_m *= confidence[self._rows[row], (first + last) // 2] / 255.0
        return Points(row, x, y, length_m, pixel_m)

    def corridor(
        self, labels: LabelImage, drivable_lut: NDArray[np.uint8]
    ) -> tuple[Points, Points]:
        """Returns left and right edge of the drivable ground in front, row after row.

        Edges that are only the border of the image are left out.
        """
        row, first, last = self._runs(labels, drivable_lut)
        bounds = np.searchsorted(row, np.arange(len(self._rows) + 1)).tolist()
        first_of, last_of = first.tolist(), last.tolist()
        column = int(np.nanargmin(np.abs(self._y[-1])))
        lefts: list[tuple[int, int]] = []
        rights: list[tuple[int, int]] = []
        for index in range(len(self._rows) - 1, -1, -1):
            runs = range(bounds[index], bounds[index + 1])
            run = next((r for r in runs if first_of[r] <= column <= last_of[r]), None)
            if run is None and (lefts or rights):
                break
            if run is None:
                continue
            column = (first_of[run] + last_of[run]) // 2
            if first_of[run] > 0:
                lefts.append((index, first_of[run]))
            if last_of[run] < self.shape_hw[1] - 1:
                rights.append((index, last_of[run]))
        return self._edge(lefts), self._edge(rights)

    def _edge(self, places: list[tuple[int, int]]) -> Points:
        row, column = np.array(places, dtype=np.intp).reshape(-1, 2).T
        x, y = self._x[row, column], self._y[row, column]
        good = np.abs(y) < self._lateral_m
        row = row[good]
        return Points(row, x[good], y[good], self._row_length_m[row], self._pixel_m[row])

    def _runs(
        self, labels: LabelImage, lut: NDArray[np.uint8]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Row, first and last column of every run of pixels whose label is in the table."""
        bordered, rows = self._bordered, labels[self._rows]
        ids = lut.nonzero()[0].tolist()
        if len(ids) == 1:  # comparing costs a quarter of a table; with an np.int64, as much
            bordered[:, 1:-1] = rows == ids[0]
        else:
            bordered[:, 1:-1] = cv2.LUT(rows, lut)
        flat = bordered.reshape(-1)
        changes = (flat[1:] != flat[:-1]).nonzero()[0]
        row, column = np.divmod(changes, bordered.shape[1])
        return row[::2], column[::2], column[1::2] - 1


def _camera_x(x: Float64Array, y: Float64Array) -> float:
    """Place below the camera: where the lines of the image columns meet on the ground."""
    whole = np.flatnonzero(np.isfinite(y[0]) & np.isfinite(y[-1]))
    first, last = whole[0], whole[-1]
    slope = (y[0, [first, last]] - y[-1, [first, last]]) / (
        x[0, [first, last]] - x[-1, [first, last]]
    )
    at_zero = y[-1, [first, last]] - slope * x[-1, [first, last]]
    return float((at_zero[1] - at_zero[0]) / (slope[0] - slope[1]))


def _rows_every(row_x: NDArray[np.float32], reach_m: float, spacing_m: float) -> NDArray[np.intp]:
    """Rows from the bottom up, at least so far apart on the ground; rising."""
    rows = []
    last_m = -np.inf
    for row in range(len(row_x) - 1, -1, -1):
        if row_x[row] > reach_m:
            break
        if row_x[row] >= last_m + spacing_m:
            rows.append(row)
            last_m = float(row_x[row])
    return np.array(rows[::-1], dtype=np.intp)
