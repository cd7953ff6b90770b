# SPDX-License-Identifier: Apache-2.0
"""Own vehicle: the bonnet or bumper at the lower border of the picture, found by itself.

On a vehicle that moves everything in the picture moves, but for the vehicle. Its outline is where
the brightness of neighbouring rows differs in the mean of many pictures as much as it does in each
of them, thereabouts; of all else the mean is blurred, or spread over the rows between which it
goes to and fro. What it shows, reflections of the sky, does not matter.

What hides a part of the lens looks the same. So it is looked for in the lowest part of the picture
only (``stop.max_own_vehicle``), taken for no ground, and all that is above must be seen as before.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_S

__all__ = ['OwnVehicle']

Float32Array = NDArray[np.float32]

LOOK_WH = 160, 90
LOOK_EVERY_S = 0.25  # at a walk, 1.5 m/s, the road moves by 2 rows of these
# 20 s: longer than the shadow of a wall, or a line across the road, stays where it is
LOOKS = 80
LEAST_STEP = 4.0  # grey levels: an outline stands out from the noise, 1 of an area of 16 pixels
MOVES = 0.7  # of the step of each picture that the mean has; of what moves it has about none
STANDS = 0.5  # of the largest step of each picture within two rows: of one that sways, a fifth
SWAY = np.ones((5, 1), np.uint8)
MOST_STANDING = 0.25  # of the outlines above: horizon and lane borders; more, and nothing moves
LEAST_OUTLINES = 200  # pixels above that have one: else nobody knows whether they move
LEAST_WIDTH = 0.5  # of the columns: a line of paint or a pole is no vehicle
LEVEL_COLUMNS = 13  # in which an outline rises by at most 2 rows, as paint at the sides does not
BORDER_ROWS = 2  # as near the top of what is looked at, it may go on above
AGREE_ROWS = 2.0  # in which two outlines that follow each other differ in the median
POINT_COLUMNS = 8  # from point to point of the polygon


class OwnVehicle:
    """Looks at the pictures of one camera while it moves.

    Attributes:
        polygon: Where the vehicle is: u1, v1, u2, v2, … as shares of width and height, as in
            ``stop.ego_mask``; empty while it is not known, or not there.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets what was seen: another drive."""
        self.polygon: tuple[float, ...] = ()
        self._outline: Float32Array | None = None  # of the time before
        self._looked_ns: int | None = None
        self._begin()

    def update(self, picture: RgbImage, stamp_ns: int, most: float) -> None:
        """Takes a picture of a vehicle that moves, as far as anybody knows.

        Args:
            picture: ``(H, W, 3)``, one that is believed.
            stamp_ns: Header stamp of the frame.
            most: The share of the height that the vehicle may take; 0 does not look.
        """
        if most <= 0.0:
            self.polygon = ()
            return
        if self._looked_ns is not None:
            since_s = (stamp_ns - self._looked_ns) / NS_PER_S
            if 0.0 <= since_s < LOOK_EVERY_S:
                return
        self._looked_ns = stamp_ns
        small = cv2.resize(picture, LOOK_WH, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        self._sum += grey
        steps = cv2.absdiff(grey[1:], grey[:-1])
        self._steps += steps
        self._largest += cv2.dilate(steps, SWAY)
        self._looks += 1
        if self._looks < LOOKS:
            return
        self._sum /= LOOKS
        self._steps /= LOOKS
        self._largest /= LOOKS
        of_mean = np.asarray(cv2.absdiff(self._sum[1:], self._sum[:-1]), np.float32)
        self._judge(of_mean, most)
        self._begin()

    def _begin(self) -> None:
        width, height = LOOK_WH
        self._sum = np.zeros((height, width), np.float32)
        self._steps = np.zeros((height - 1, width), np.float32)
        self._largest = np.zeros_like(self._steps)
        self._looks = 0

    def _judge(self, of_mean: Float32Array, most: float) -> None:
        """Takes the steps from row to row of the mean picture."""
        is_outline = self._steps >= LEAST_STEP
        moves = of_mean < MOVES * self._steps
        stands = is_outline & (of_mean >= STANDS * self._largest)
        first = int((1.0 - most) * LOOK_WH[1]) - BORDER_ROWS
        above = is_outline[:first]
        if above.sum() < LEAST_OUTLINES:
            return
        if (above & ~moves[:first]).sum() > MOST_STANDING * above.sum():
            return  # nothing moves, and nothing is known
        outline = _outline(stands[first:])
        was, self._outline = self._outline, outline
        if outline is None or was is None:
            self.polygon = ()
            return
        both = np.isfinite(outline) & np.isfinite(was)
        if both.any() and np.median(np.abs(outline - was)[both]) <= AGREE_ROWS:
            self.polygon = _polygon(outline + first + 1)
        else:
            self.polygon = ()


def _outline(stands: NDArray[np.bool_]) -> Float32Array | None:
    """``(W,)`` the row above which the world moves, NaN in columns without one; None if none."""
    # Lines of paint that lead ahead stand still as well, but run down the picture
    thick = cv2.dilate(stands.astype(np.uint8), np.ones((3, 1), np.uint8))
    level = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, LEVEL_COLUMNS), np.uint8))
    stands = (level != 0) & stands
    columns = stands.any(axis=0)
    if columns.mean() < LEAST_WIDTH:
        return None
    rows = np.where(columns, stands.argmax(axis=0), np.nan).astype(np.float32)
    seen = rows[columns]
    if np.median(seen) < BORDER_ROWS or (seen < BORDER_ROWS).mean() > 0.2:
        return None
    return rows


def _polygon(rows: Float32Array) -> tuple[float, ...]:
    """The corners of what lies below an outline."""
    width, height = LOOK_WH
    known = np.flatnonzero(np.isfinite(rows))
    corners = [(known[0] / width, 1.0)]
    for left in range(int(known[0]), int(known[-1]) + 1, POINT_COLUMNS):
        part = rows[left : left + POINT_COLUMNS]
        if np.isfinite(part).any():
            # The highest: less is seen of the road, but nothing of the vehicle
            middle = left + 0.5 * min(POINT_COLUMNS, int(known[-1]) + 1 - left)
            corners.append((middle / width, float(np.nanmin(part)) / height))
    corners.append(((known[-1] + 1) / width, 1.0))
    corners[1] = (corners[0][0], corners[1][1])
    corners[-2] = (corners[-1][0], corners[-2][1])
    return tuple(round(float(value), 3) for corner in corners for value in corner)
