# SPDX-License-Identifier: Apache-2.0
"""Guessed zone: the image zone of a camera that nobody has calibrated, by the way that it sees.

The painted lines of a lane meet at the horizon, and how fast they part below it tells the height
of the lens in widths of a lane. So the sides of the corridor are known without a focal length.
How far away a row is, is not: the far edge is where the widest plausible lens would see the
stopping distance, because any other lens sees it further down.

Without a lane nobody knows the sides, but where ground is seen the horizon is further up. Of a
camera that looks down, ground is seen far above the zone that was given; then that goes on
upwards. The sides are at least those of a lens as low as on a car, whatever the shape of the
picture, unless somebody has drawn them. It only grows so: what hides the ground may hide it from
near by, and tells nothing.
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.stop.zones import ImageZone
from seg_ros.core.units import NS_PER_S

__all__ = ['WIDEST_LENS_RAD', 'GuessedZone']

WIDEST_LENS_RAD = math.radians(120.0)
LANE_M = 3.5  # wide; 2.75 in towns to 3.75 on motorways: a fifth off moves a side by 0.3 m
GUESS_EVERY_S = 0.2  # a lane changes no faster, and looking costs 1 ms
# Looks that must agree, and of how many: two seconds of paint that is seen half of the time
LEAST_LOOKS, MOST_LOOKS = 5, 15
AGREE = 0.02  # of the height of the picture, the median deviation of the horizon
LEAST_LINE = 0.08  # of the height of the picture: a line is longer, a dash far away shorter
STRAIGHT_PX = 2.0  # off its line; more is a bend, an arrow or two lines in one
LEAST_PARTING = 0.4  # in columns a row between two lines, so that it is known where they meet
HORIZON_ROWS = 0.2, 0.7  # of the height: where a camera that looks at the road ahead has it
HORIZON_COLUMNS = 0.25, 0.75
LANE_IN_HEIGHTS = 0.8, 8.0  # of the lens: a bus, 2.4 m and more, to a small robot, 0.45 m
ZONE_NAME = 'image zone by the lane markings'
# Of the width, in a row of the largest piece of road: less is a wrong label. What is far from that
# piece, such as a sky by night, is no road
LEAST_ROAD = 0.02
# Of the looks, in which the road goes up so far: what is wrong now and then is in fewer, and a
# lorry hides the way for longer. In the true labels of camvid/val the road ends 0.52 down, with
# a standard deviation of 0.01, in those of cityscapes/val at 0.43, where the horizon is at 0.42
SEEN_LOOKS = 0.25
# The lowest on a car, 1.22 m in cityscapes: of a lens that is higher the sides are closer. Of the
# true corridor of cityscapes/val the zone has 90 % by this one, 86 % by one of 1.5 m
LENS_M = 1.2
LEVEL = 0.5  # of the height: the horizon of a camera that looks straight ahead
NAME_BY_GROUND = 'image zone by the ground'

Float64Array = NDArray[np.float64]


class GuessedZone:
    """Looks for the lane in label images and builds the zone by it.

    Args:
        lane_ids: Class ids of lane markings.
        half_width_m: Of the corridor.
        road_ids: Class ids of what one drives on.
        given: Corners of the zone that is taken without a guess: u1, v1, … as shares; empty where
            there is none.
        is_drawn: Whether somebody has drawn it for this camera, so that its sides are right.
    """

    def __init__(
        self,
        lane_ids: tuple[int, ...],
        half_width_m: float,
        road_ids: tuple[int, ...] = (),
        given: tuple[float, ...] = (),
        *,
        is_drawn: bool = False,
    ) -> None:
        self._lane_ids = lane_ids
        self._half_width_m = half_width_m
        self._road_ids = road_ids
        self._given = np.array(given, np.float64).reshape(-1, 2)
        self._is_drawn = is_drawn
        self.reset()

    def reset(self) -> None:
        """Forgets what was seen."""
        self._looked_ns: int | None = None
        self._built: tuple[object, ImageZone | None] = None, None
        self._looks: deque[tuple[float, float, float, float]] = deque(maxlen=MOST_LOOKS)
        self._tops: deque[float] = deque(maxlen=MOST_LOOKS)

    def look(self, labels: NDArray[np.uint8], stamp_ns: int) -> None:
        """Takes a frame into account, now and then."""
        since_ns = None if self._looked_ns is None else stamp_ns - self._looked_ns
        if since_ns is not None and 0 <= since_ns < GUESS_EVERY_S * NS_PER_S:
            return
        self._looked_ns = stamp_ns
        height, width = labels.shape
        if len(self._given):
            self._tops.append(_top_of(labels, self._road_ids))
        lines = _lines_of(labels, self._lane_ids)
        lane = _lane_of(lines, (width, height))
        if lane is not None:
            u, v, left, right = lane
            self._looks.append((u / width, v / height, left, right))

    def zone(
        self,
        stopping_m: float,
        size_wh: tuple[int, int],
        image_size_wh: tuple[int, int] | None = None,
    ) -> ImageZone | None:
        """Returns the zone; None where too few frames agree on the lane, and ground says nothing.

        Args:
            stopping_m: From the base origin to the end of the zone; nobody knows how much less
                it is from the lens.
            size_wh: Of the label images.
            image_size_wh: Of the camera's, which they may stretch; None where it is the same.
        """
        asked = self._looked_ns, stopping_m, size_wh, image_size_wh
        if asked != self._built[0]:
            zone = self._build(stopping_m, size_wh)
            zone = zone or self._build_by_ground(stopping_m, image_size_wh or size_wh)
            self._built = asked, zone
        return self._built[1]

    def _build(self, stopping_m: float, size_wh: tuple[int, int]) -> ImageZone | None:
        if len(self._looks) < LEAST_LOOKS:
            return None
        looks = np.array(self._looks)
        u, v, left, right = np.median(looks, axis=0).tolist()
        if np.median(np.abs(looks[:, 1] - v)) > AGREE:
            return None
        width, height = size_wh
        lens_m = LANE_M / (right - left)
        far = _far_row(v, lens_m, stopping_m, size_wh)
        if far >= 1.0:
            return None
        middle, half = 0.5 * (left + right), self._half_width_m / lens_m
        sides = (middle - half, middle + half)
        # Columns a row are the same everywhere: shares of the width by shares of the height
        corners = [
            (u + side * (row - v) * height / width, row)
            for side, row in (
                (sides[0], 1.0),
                (sides[0], far),
                (sides[1], far),
                (sides[1], 1.0),
            )
        ]
        return ImageZone(corners, ZONE_NAME)

    def _build_by_ground(self, stopping_m: float, size_wh: tuple[int, int]) -> ImageZone | None:
        """The given zone, what is above it up to the far edge, and its sides; None for no more.

        Args:
            stopping_m: To the far edge.
            size_wh: Of the camera's pictures.
        """
        if len(self._tops) < LEAST_LOOKS:
            return None
        v = sorted(self._tops)[int(SEEN_LOOKS * len(self._tops))]
        top, near = float(self._given[:, 1].min()), float(self._given[:, 1].max())
        far = _far_row(v, LENS_M, stopping_m, size_wh)
        if far >= top:
            if self._is_drawn or v >= near:
                return None
            far = top
        if not self._is_drawn:
            v = min(v, LEVEL)  # what hides the ground far away moves no side
        width, height = size_wh
        part = self._half_width_m / LENS_M * height / width
        leaves = min(max(v + 0.5 / part, far), near)  # where the sides leave the picture
        wedge = [
            (0.5 + side * part * (row - v), row)
            for side in (-1.0, 1.0)
            for row in (far, leaves, near)
        ]
        corners = np.clip(np.concatenate([self._given, wedge]), 0.0, 1.0).astype(np.float32)
        return ImageZone(cv2.convexHull(corners)[:, 0], NAME_BY_GROUND)


def _far_row(v: float, lens_m: float, stopping_m: float, size_wh: tuple[int, int]) -> float:
    """Where the widest lens sees the stopping distance; rows are shares of the height.

    Args:
        v: Of the horizon.
        lens_m: How high the lens is.
        stopping_m: From it.
        size_wh: Of the picture.
    """
    width, height = size_wh
    widest_px = 0.5 * width / math.tan(0.5 * WIDEST_LENS_RAD)
    return v + widest_px * lens_m / stopping_m / height


def _top_of(labels: NDArray[np.uint8], road_ids: tuple[int, ...]) -> float:
    """The highest row of the largest piece of road, as a share of the height; 1 without road."""
    height, width = labels.shape
    lut = np.zeros(256, np.uint8)
    lut[list(road_ids)] = 1
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        cv2.LUT(labels, lut), ltype=cv2.CV_16U
    )
    if count < 2:
        return 1.0
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    is_road = (parts == largest).sum(axis=1) >= LEAST_ROAD * width
    return float(is_road.argmax()) / height if is_road.any() else 1.0


def _lines_of(labels: NDArray[np.uint8], lane_ids: tuple[int, ...]) -> Float64Array:
    """``(N, 3)`` straight painted lines: column at row 0, columns a row, and the lowest row."""
    mask = np.zeros(labels.shape, np.bool_)
    for lane_id in lane_ids:
        mask |= labels == lane_id
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), ltype=cv2.CV_16U
    )
    lines = []
    for number in range(1, count):
        x, y, w, h, _ = stats[number].tolist()
        if h < LEAST_LINE * labels.shape[0]:
            continue
        part = parts[y : y + h, x : x + w] == number
        on_row = part.sum(axis=1)
        rows = np.flatnonzero(on_row).astype(np.float64)
        middles = (part @ np.arange(w))[on_row > 0] / on_row[on_row > 0]
        slope, start = np.polyfit(rows, middles, 1)
        if np.abs(middles - slope * rows - start).mean() <= STRAIGHT_PX:
            lines.append((x + start - slope * y, slope, y + h))
    return np.array(lines, np.float64).reshape(-1, 3)


def _lane_of(
    lines: Float64Array, size_wh: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """Column and row where lines meet, and columns a row of the lane's two; None without."""
    starts, slopes, _ = lines.T
    first, second = np.triu_indices(len(lines), 1)
    parting = slopes[first] - slopes[second]
    first, second = first[np.abs(parting) > LEAST_PARTING], second[np.abs(parting) > LEAST_PARTING]
    if not len(first):
        return None
    rows = (starts[second] - starts[first]) / (slopes[first] - slopes[second])
    v = float(np.median(rows))
    u = float(np.median(starts[first] + slopes[first] * rows))
    width, height = size_wh
    if not (
        HORIZON_ROWS[0] <= v / height <= HORIZON_ROWS[1]
        and HORIZON_COLUMNS[0] <= u / width <= HORIZON_COLUMNS[1]
    ):
        return None
    # The nearest line on each side of the vehicle, which is below the middle of the picture
    below = starts + slopes * (height - 1)
    sides = (below - u) / (height - 1 - v)
    vehicle = (0.5 * width - u) / (height - 1 - v)
    lefts, rights = sides[sides < vehicle], sides[sides >= vehicle]
    if not (len(lefts) and len(rights)):
        return None
    left, right = float(lefts.max()), float(rights.min())
    if not LANE_IN_HEIGHTS[0] <= right - left <= LANE_IN_HEIGHTS[1]:
        return None
    return u, v, left, right
