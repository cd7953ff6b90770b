# SPDX-License-Identifier: Apache-2.0
"""Guessed zone: the image zone of a camera that nobody has calibrated, by the way that it sees.

The painted lines of a lane meet at the horizon, and how fast they part below it tells the height
of the lens in widths of a lane. So the sides of the corridor are known without a focal length.
How far away a row is, is not: the far edge is where the widest plausible lens would see the
stopping distance, because any other lens sees it further down.

Without a lane the two borders of the ground (``ground_borders.py``) meet at the horizon. Where
they do not, it is not below the ground that is seen furthest up; what hides the ground may hide it
from near by, and tells nothing. The zone is the one that was given, what of the way is above it,
and the sides of the way, unless somebody has drawn them: ahead in the middle of the picture and
where the borders meet, for nobody knows which of the two is turned, camera or vehicle.

How wide the way is in the picture is a matter of the lens' height. Somebody may say that alone
(``mount.z``). Else it is the lowest on a car. Whoever stands in the way of a lower one, on a
robot, or where what met was not the horizon, is told by the own height (``UprightWay``), which
needs neither lens nor horizon. So it is asked from the first frame on, while all else needs a
second of looks.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.stop.ground_borders import HORIZON_COLUMNS, HORIZON_ROWS, GroundBorders
from seg_ros.core.stop.zones import ImageZone
from seg_ros.core.types import ConfidenceImage
from seg_ros.core.units import NS_PER_S

__all__ = ['LENS_M', 'WIDEST_LENS_RAD', 'GuessedZone', 'UprightWay']

WIDEST_LENS_RAD = math.radians(120.0)
LANE_M = 3.5  # wide; 2.75 in towns to 3.75 on motorways: a fifth off moves a side by 0.3 m
GUESS_EVERY_S = 0.2  # a lane changes no faster, and looking costs 1 ms
# Looks that must agree, and of how many: two seconds of paint that is seen half of the time
LEAST_LOOKS, MOST_LOOKS = 5, 15
AGREE = 0.02  # of the height of the picture, the median deviation of the horizon
LEAST_LINE = 0.08  # of the height of the picture: a line is longer, a dash far away shorter
STRAIGHT_PX = 2.0  # off its line; more is a bend, an arrow or two lines in one
LEAST_PARTING = 0.4  # in columns a row between two lines, so that it is known where they meet
LANE_IN_HEIGHTS = 0.8, 8.0  # of the lens: a bus, 2.4 m and more, to a small robot, 0.45 m
ZONE_NAME = 'image zone by the lane markings'
# Of the looks, in which the road goes up so far: what is wrong now and then is in fewer, and a
# lorry hides the way for longer. In the true labels of camvid/val the road ends 0.52 down, with
# a standard deviation of 0.01, in those of cityscapes/val at 0.43, where the horizon is at 0.42
SEEN_LOOKS = 0.25
# The lowest on a car, 1.22 m in cityscapes: of a lens that is higher the sides are closer. Of the
# true corridor of cityscapes/val the zone has 90 % by this one, 86 % by one of 1.5 m
LENS_M = 1.2
LEVEL = 0.5  # of the height: the horizon of a camera that looks straight ahead
NAME_BY_GROUND = 'image zone by the ground'
NAME_BY_BORDERS = 'image zone by the borders of the ground'
MOST_MEETINGS = 50  # looks at borders: ten seconds of road; the camera stays where it is
AGREE_COLUMN = 0.05  # of the width, the median deviation of where the borders meet
# Nearly all grown people are taller. By this height somebody of 1.9 m counts to 1.9 m beside the
# middle of a way that is 1.5 m wide to each side, and a child of 1.1 m to 1.1 m: who is in front
# of a car or of a robot
UPRIGHT_M = 1.5
# Nobody who is seen whole is shorter than this along the longer side: half of a child of 1 m, the
# other half of whom the network lost. In clips of 804 pictures with people (roadseg) the stop is
# true in the same frames with it and without it
SHORTEST_M = 0.5
LOWEST_LENS_M, TALLEST_M = 0.25, 1.9  # whose feet are higher up is on a poster or a balcony

Float64Array = NDArray[np.float64]


class UprightWay(NamedTuple):
    """The way ahead, for who stands upright in it: the own height is the yardstick.

    As many columns as the feet are beside the middle of the way by as many rows as somebody is
    high: so many heights somebody stands beside it, whatever the lens and its height.

    Attributes:
        middles: Columns where the way ends at the horizon, from the left.
        horizon: Its row.
        half_width_m: Of the way.
        stopping_m: How far it goes.
        size_wh: Of the camera's pictures.
        lean: How far its middle goes to the right below the horizon, in widths a height: that of
            a lane in whose middle the vehicle is not.
    """

    middles: tuple[float, float]
    horizon: float
    half_width_m: float
    stopping_m: float
    size_wh: tuple[int, int]
    lean: float = 0.0

    def holds(self, feet: Iterable[tuple[float, float]], head: float) -> bool:
        """Returns whether somebody stands in it.

        Args:
            feet: Column and row, wherever they may be.
            head: Row of the highest point. All are shares of width and height.
        """
        width, height = self.size_wh
        for u, v in feet:
            tall_px = (v - head) * height
            if head <= 0.0:  # as near as the lowest lens may be: nobody sees how tall
                tall_px = max(tall_px, (v - self.horizon) * height * UPRIGHT_M / LOWEST_LENS_M)
            beside_px = self._beside(u, v) * width
            on_ground = v - self.horizon + AGREE >= LOWEST_LENS_M / TALLEST_M * (v - head)
            if (
                on_ground
                and beside_px * UPRIGHT_M <= self.half_width_m * tall_px
                and tall_px * self.stopping_m >= _widest_px(width) * UPRIGHT_M
            ):
                return True
        return False

    def is_beyond(self, foot: tuple[float, float], extent_px: float) -> bool:
        """Returns whether even the shortest one who looks so large stands beside it.

        Args:
            foot: Column and row, shares of width and height.
            extent_px: Of somebody who is seen whole, along the longer side.
        """
        beside_px = self._beside(*foot) * self.size_wh[0]
        return beside_px * SHORTEST_M > self.half_width_m * extent_px

    def _beside(self, u: float, v: float) -> float:
        """How far a point is beside the middle of the way, as a share of the width."""
        across = u - self.lean * (v - self.horizon)
        return max(self.middles[0] - across, across - self.middles[1], 0.0)


class GuessedZone:
    """Looks for the lane in label images and builds the zone by it.

    Args:
        lane_ids: Class ids of lane markings.
        half_width_m: Of the corridor.
        road_ids: Class ids of what one drives on.
        given: Corners of the zone that is taken without a guess: u1, v1, … as shares; empty where
            there is none.
        is_drawn: Whether somebody has drawn it for this camera, so that its sides are right.

    Attributes:
        upright_way: Where whoever stands is in the way as well; None where the zone needs no help:
            somebody has drawn it, or lane markings and the height of the lens are known.
        words: What the zone was built by, for people.
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
        self._borders = GroundBorders(road_ids)
        self._given = np.array(given, np.float64).reshape(-1, 2)
        self._is_drawn = is_drawn
        self.reset()

    def reset(self) -> None:
        """Forgets what was seen."""
        self._looked_ns: int | None = None
        self._built: tuple[object, ImageZone | None] = None, None
        self._looks: deque[tuple[float, float, float, float] | None] = deque(maxlen=MOST_LOOKS)
        self._tops: deque[float] = deque(maxlen=MOST_LOOKS)
        self._meetings: deque[tuple[float, float]] = deque(maxlen=MOST_MEETINGS)
        self._why_no_borders = 'too few pictures yet'
        self._horizon_seen: tuple[float, float, bool] | None = None  # since the last look
        self.upright_way: UprightWay | None = None
        self.words = ''

    def look(
        self,
        labels: NDArray[np.uint8],
        stamp_ns: int,
        confidence: ConfidenceImage | None = None,
    ) -> None:
        """Takes a frame into account, now and then.

        Args:
            labels: ``(H, W)`` class ids.
            stamp_ns: Of the frame.
            confidence: ``(H, W)``, or None: then the network is taken to be sure.
        """
        since_ns = None if self._looked_ns is None else stamp_ns - self._looked_ns
        if since_ns is not None and 0 <= since_ns < GUESS_EVERY_S * NS_PER_S:
            return
        if since_ns is not None and since_ns > MOST_LOOKS * GUESS_EVERY_S * NS_PER_S:
            self._looks.clear()  # nobody knows what way that was
            self._tops.clear()
        self._looked_ns, self._horizon_seen = stamp_ns, None
        height, width = labels.shape
        if len(self._given):
            ground = self._borders.look(labels, confidence)
            self._tops.append(ground.top)
            if ground.meeting is not None:
                self._meetings.append(ground.meeting)
            else:
                self._why_no_borders = ground.reason
        lines = _lines_of(labels, self._lane_ids)
        lane = _lane_of(lines, (width, height))
        # A lane that is seen no more tells nothing of the way: it is forgotten with its looks
        self._looks.append(
            None if lane is None else (lane[0] / width, lane[1] / height, *lane[2:])
        )

    def zone(
        self,
        stopping_m: float,
        size_wh: tuple[int, int],
        image_size_wh: tuple[int, int] | None = None,
        lens_m: float | None = None,
    ) -> ImageZone | None:
        """Returns the zone; None where too few frames agree on the lane, and ground says nothing.

        Args:
            stopping_m: From the base origin to the end of the zone; nobody knows how much less
                it is from the lens.
            size_wh: Of the label images.
            image_size_wh: Of the camera's, which they may stretch; None where it is the same.
            lens_m: How high the lens is; None where nobody has said it.
        """
        asked = self._looked_ns, stopping_m, size_wh, image_size_wh, lens_m
        if asked != self._built[0]:
            self.upright_way = None
            zone = self._build_by_lane(stopping_m, size_wh, image_size_wh or size_wh, lens_m)
            zone = zone or self._build_by_ground(stopping_m, image_size_wh or size_wh, lens_m)
            self._built = asked, zone
        return self._built[1]

    def _build_by_lane(
        self,
        stopping_m: float,
        size_wh: tuple[int, int],
        image_size_wh: tuple[int, int],
        lens_m: float | None,
    ) -> ImageZone | None:
        looks = np.array([look for look in self._looks if look is not None])
        if len(looks) < LEAST_LOOKS:
            return None
        u, v, left, right = np.median(looks, axis=0).tolist()
        if np.median(np.abs(looks[:, 1] - v)) > AGREE:
            return None
        width, height = size_wh
        is_told = lens_m is not None
        if lens_m is None:
            lens_m, said = LANE_M / (right - left), 'by the width of the lane'
        else:
            said = f'of a lens {lens_m:.2f} m high, as was told'
            # In columns of the label image, which may be less than a row high
            lens_m *= image_size_wh[0] * height / (width * image_size_wh[1])
        far = _far_row(v, lens_m, stopping_m, size_wh)
        if far >= 1.0:
            return None
        self.words = f'horizon by the lane markings, sides {said}'
        middle, half = 0.5 * (left + right), self._half_width_m / lens_m
        if not is_told:  # a cycle track is no lane of 3.5 m
            lean = middle * height / width
            self.upright_way = UprightWay(
                (u, u), v, self._half_width_m, stopping_m, image_size_wh, lean
            )
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

    def _horizon(self) -> tuple[float, float, bool]:
        """Column and row where the way ends, and whether the borders of the ground say so.

        Else the column is the middle of the picture and the row where the ground ends.
        """
        top = sorted(self._tops)[int(SEEN_LOOKS * len(self._tops))]
        if len(self._meetings) < LEAST_LOOKS:
            return 0.5, top, False
        meetings = np.array(self._meetings)
        u, v = np.median(meetings, axis=0).tolist()
        off_u, off_v = np.median(np.abs(meetings - (u, v)), axis=0).tolist()
        if off_v > AGREE or off_u > AGREE_COLUMN or v > top + AGREE:
            self._why_no_borders = 'the borders of the ground meet elsewhere in each picture'
            return 0.5, top, False
        return u, v, True

    def _build_by_ground(
        self, stopping_m: float, size_wh: tuple[int, int], lens_m: float | None
    ) -> ImageZone | None:
        """The given zone, what is above it up to the far edge, and its sides; None for no more.

        Args:
            stopping_m: To the far edge.
            size_wh: Of the camera's pictures.
            lens_m: As told.
        """
        is_told = lens_m is not None
        lens_m = lens_m or LENS_M
        self.words = f'the zone as it was given: {self._why_no_borders}'
        if not self._tops:
            return None
        if self._horizon_seen is None:
            self._horizon_seen = self._horizon()
        u, v, by_borders = self._horizon_seen
        is_turned = by_borders and not self._is_drawn  # whichever it is, camera or vehicle
        middles = (min(0.5, u), max(0.5, u)) if is_turned else (0.5, 0.5)
        # What hides the ground far away moves no side
        level = v if by_borders or self._is_drawn else min(v, LEVEL)
        # From the first look on: the own height needs no horizon that is sure. Also where the
        # height is told: the borders of a way that narrows meet below the horizon
        if not self._is_drawn:
            self.upright_way = UprightWay(middles, level, self._half_width_m, stopping_m, size_wh)
        if len(self._tops) < LEAST_LOOKS:
            return None
        given: Float64Array = self._given
        top, near = float(given[:, 1].min()), float(given[:, 1].max())
        far = _far_row(v, lens_m, stopping_m, size_wh)
        if by_borders and not self._is_drawn:
            if far >= near:
                return None
            given = np.column_stack([given[:, 0], np.maximum(given[:, 1], far)])
        elif far >= top:
            if self._is_drawn or v >= near:
                return None
            far = top
        is_known = is_told and by_borders and not self._is_drawn  # but for the focal length
        told = 'as was told' if is_told else 'as on a car: mount.z tells another'
        horizon = 'where the borders of the ground meet' if by_borders else (
            f'where the ground ends ({self._why_no_borders})'
        )  # fmt: skip
        self.words = f'horizon {horizon}, sides of a lens {lens_m:.2f} m high, {told}'
        width, height = size_wh
        part = self._half_width_m / lens_m * height / width
        wedge = []
        for side, middle in zip((-1.0, 1.0), middles, strict=True):
            room = middle if side < 0.0 else 1.0 - middle
            leaves = min(max(level + room / part, far), near)  # where it leaves the picture
            wedge += [(middle + side * part * (row - level), row) for row in (far, leaves, near)]
        if is_known:
            given = given[:0]
        corners = np.clip(np.concatenate([given, wedge]), 0.0, 1.0).astype(np.float32)
        name = NAME_BY_BORDERS if by_borders else NAME_BY_GROUND
        return ImageZone(cv2.convexHull(corners)[:, 0], name)


def _far_row(v: float, lens_m: float, stopping_m: float, size_wh: tuple[int, int]) -> float:
    """Where the widest lens sees the stopping distance; rows are shares of the height.

    Args:
        v: Of the horizon.
        lens_m: How high the lens is.
        stopping_m: From it.
        size_wh: Of the picture.
    """
    width, height = size_wh
    return v + _widest_px(width) * lens_m / stopping_m / height


def _widest_px(width: int) -> float:
    """The focal length of the widest lens, for pictures of this width."""
    return 0.5 * width / math.tan(0.5 * WIDEST_LENS_RAD)


def _lines_of(labels: NDArray[np.uint8], lane_ids: tuple[int, ...]) -> Float64Array:
    """``(N, 3)`` straight painted lines: column at row 0, columns a row, and the lowest row."""
    mask = np.zeros(labels.shape, np.bool_)
    for lane_id in lane_ids:
        mask |= labels == lane_id
    # As many may be parts as are pixels of a network's noise: 16 bits do not number them
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), ltype=cv2.CV_32S)
    least = max(LEAST_LINE * labels.shape[0], 2.0)
    lines = []
    for number in (np.flatnonzero(stats[1:, cv2.CC_STAT_HEIGHT] >= least) + 1).tolist():
        x, y, w, h, _ = stats[number].tolist()
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
