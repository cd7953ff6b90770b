# SPDX-License-Identifier: Apache-2.0
"""Borders of the ground ahead in a label image: where they meet is the horizon.

The two borders of a road, or of the floor of a corridor, are parallel as painted lines are. They
are seen where no line is, and by a lens that is low.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import ConfidenceImage

__all__ = ['GroundAhead', 'GroundBorders']

FINER = 2  # it is looked at with every so many-th pixel, which costs a quarter
# Of the width, in one piece: less is a wrong label, or the paint of a line that goes on into a
# black sky. What is far from the largest piece of ground, such as that sky, is none. By night the
# zone of a camera that looks down was up to 0.2 of the height too high without this
LEAST_WIDTH = 0.02
LEAST_ROWS = 3  # of the coarser picture, that are so wide
# Of ground that tells the horizon: by night a network calls a black sky road, unsure of it.
# The row at which roadseg's road ends is off the true labels' by 0.3 % of the height on camvid/val
# (0.4 % without this) and by 1.3 % on lums-robot/val (1.7 %), in none by over 1.4 % too low. 0.8
# is as good there, but too low by 2 % on a2d2, once by 7 %; this by 1 %, at most 2.5 %
SURE = 0.7
POINTS = 24  # of a border: a line through any two of them is tried, 276 in all
STRAIGHT_PX = 1.0  # of the coarser picture, off its line, across it
LEAST_SPAN = 0.04  # of the height, that a border is seen for
LEAST_POINTS = 0.5  # of a border are on its line: else it bends, or cars hide it
LEAST_PARTING = 0.4  # in columns a row between the two, so that it is known where they meet
# Of the height: ground above the point where its borders meet says that they are not parallel;
# and so far below it, at most, the road ends where cars hide it
MOST_ABOVE, MOST_BELOW = 0.03, 0.12
HORIZON_ROWS = 0.2, 0.7  # of the height: where a camera that looks at the road ahead has it
HORIZON_COLUMNS = 0.25, 0.75
# The same for borders, 11 degrees of a lens of 62: further beside they are those of a bend
BORDER_COLUMNS = 1.0 / 3.0, 2.0 / 3.0
FIRST, SECOND = np.triu_indices(POINTS, 1)

Float64Array = NDArray[np.float64]


class GroundAhead(NamedTuple):
    """The largest piece of ground in a picture; shares of its width and height.

    Attributes:
        top: Its highest row; 1 without any.
        meeting: Column and row where its borders meet; None where that cannot be told.
        reason: Why not.
    """

    top: float
    meeting: tuple[float, float] | None = None
    reason: str = ''


class GroundBorders:
    """Looks for the ground ahead and its borders.

    Args:
        ground_ids: Class ids of what one drives on.
    """

    def __init__(self, ground_ids: Collection[int]) -> None:
        self._lut = np.zeros(256, np.uint8)
        self._lut[list(ground_ids)] = 1

    def look(
        self, labels: NDArray[np.uint8], confidence: ConfidenceImage | None = None
    ) -> GroundAhead:
        """Returns what is seen of the ground in a label image.

        Args:
            labels: ``(H, W)`` class ids.
            confidence: ``(H, W)``, or None: then the network is taken to be sure.
        """
        is_ground = cv2.LUT(np.ascontiguousarray(labels[::FINER, ::FINER]), self._lut)
        if confidence is not None and confidence.shape == labels.shape:
            is_ground &= confidence[::FINER, ::FINER] >= SURE * 255.0
        height, width = is_ground.shape
        piece_wh = math.ceil(LEAST_WIDTH * width), LEAST_ROWS
        is_ground = cv2.morphologyEx(
            is_ground,
            cv2.MORPH_OPEN,
            np.ones(piece_wh[::-1], np.uint8),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        count, parts, stats, _ = cv2.connectedComponentsWithStats(is_ground, ltype=cv2.CV_32S)
        if count < 2:
            return GroundAhead(1.0, None, 'no ground is seen')
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        first = int(stats[largest, cv2.CC_STAT_TOP])
        rows = np.arange(first, first + int(stats[largest, cv2.CC_STAT_HEIGHT]))
        piece = parts[rows[0] : rows[-1] + 1] == largest
        top = first / height
        borders = (
            _border(piece.argmax(axis=1), rows, (width, height)),
            _border(width - 1 - piece[:, ::-1].argmax(axis=1), rows, (width, height)),
        )
        return GroundAhead(top, *_meeting(*borders, top, (width, height)))


def _border(
    columns: NDArray[np.intp], rows: NDArray[np.intp], size_wh: tuple[int, int]
) -> tuple[float, float] | None:
    """Column at row 0 and columns a row of the line on which most of a border is; None without.

    Args:
        columns: Of the border in each row.
        rows: These rows, from above.
        size_wh: Of the picture; at its sides the border is not seen.
    """
    width, height = size_wh
    is_seen = (columns > 0) & (columns < width - 1)
    x, y = columns[is_seen].astype(np.float64), rows[is_seen].astype(np.float64)
    if len(x) < max(LEAST_SPAN * height, 2.0):
        return None
    picked = np.linspace(0, len(x) - 1, POINTS).round().astype(np.intp)
    x, y = x[picked], y[picked]
    down = y[SECOND] - y[FIRST]
    first, second = FIRST[down > 0.0], SECOND[down > 0.0]
    slopes = (x[second] - x[first]) / (y[second] - y[first])
    off = np.abs(x - x[first, None] - slopes[:, None] * (y - y[first, None]))
    is_on = off <= STRAIGHT_PX * np.sqrt(1.0 + slopes * slopes)[:, None]
    on_line = is_on.sum(axis=1)
    best = int(on_line.argmax())
    x, y = x[is_on[best]], y[is_on[best]]
    if on_line[best] < LEAST_POINTS * POINTS or y[-1] - y[0] < LEAST_SPAN * height:
        return None
    slope, start = np.polyfit(y, x, 1)
    return float(start), float(slope)


def _meeting(
    left: tuple[float, float] | None,
    right: tuple[float, float] | None,
    top: float,
    size_wh: tuple[int, int],
) -> tuple[tuple[float, float] | None, str]:
    """Where two borders meet, as shares; None with the reason where it is no horizon."""
    if left is None or right is None:
        return None, 'the ground has no two straight borders'
    parting = right[1] - left[1]
    if parting < LEAST_PARTING:
        return None, 'the borders of the ground do not part towards the camera'
    width, height = size_wh
    row = (left[0] - right[0]) / parting
    u, v = (left[0] + left[1] * row) / width, row / height
    is_ahead = (
        HORIZON_ROWS[0] <= v <= HORIZON_ROWS[1]
        and BORDER_COLUMNS[0] <= u <= BORDER_COLUMNS[1]
        and top - MOST_BELOW <= v <= top + MOST_ABOVE
    )
    return ((u, v), '') if is_ahead else (None, 'the borders of the ground meet at no horizon')
