# SPDX-License-Identifier: Apache-2.0
"""Mounting by lane markings: how a camera is turned, from lines that are parallel on the ground.

Parallel lines meet in one point of the picture. Its ray is the direction of the lane, which is
level and which a vehicle follows on average: that gives pitch and yaw. Roll turns all lines about
that point, and only then do lanes seem wider on one side of the vehicle than on the other. The
scale of the ground cannot be seen: widths come out in heights of the lens.

Everything here is in normalised image coordinates: x/z and y/z of the optical frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics

__all__ = [
    'Lines',
    'MountingEstimate',
    'estimate_mounting',
    'lines_of',
    'meeting_point',
    'own_lane',
    'turned',
]

Float64Array = NDArray[np.float64]

BAND_PART = 12  # of the picture's height: a piece of line is straight within it
LEAST_ROWS = 6  # of a piece
LEAST_SLOPE = 0.12  # across per row of the picture: arrows and stop lines lie flatter than 83°
WIDEST_RUN = 0.06  # of the picture's width: what is wider is no line, but an area
NOISE = 0.002  # of a line's place: about a pixel of 640 at 60 degrees
SPREAD_RAD = math.radians(
    25.0
)  # of the lines of a picture: from less nobody tells where they meet
ITERATIONS = 12
OUTLIER = 4.0  # times the noise: beyond it a line counts little (Geman and McClure)
LEAST_FRAMES = 8
RELATED_FRAMES = 3.0  # pictures in a row show the same paint, and the same nod of the vehicle
FINEST_RAD = math.radians(0.1)  # nobody is surer: tyres, load and slope of the road
ROLL_SURE_RAD = math.radians(1.0)
MAX_ROLL_RAD = math.radians(8.0)
NEAR_HORIZON = -0.05  # rays that are flatter tell no place
SAME_ROW = 0.03  # of the height of the picture in focal lengths, about 0.6
LANE_IN_HEIGHTS = 0.8, 8.0  # of the lens: 2.4 m of a bus to 5 m of a small robot
MAD = 1.4826  # standard deviations in a median absolute deviation


class Lines(NamedTuple):
    """Pieces of painted lines of one picture, ``(N,)`` each.

    Attributes:
        x: Where a piece is, in its middle.
        y: The same; positive is down.
        slope: dx/dy of the piece.
        weight: Rows that it was fitted to.
    """

    x: Float64Array
    y: Float64Array
    slope: Float64Array
    weight: Float64Array


@dataclass(frozen=True)
class MountingEstimate:
    """How a camera is turned, each with one standard deviation.

    Attributes:
        pitch_rad: Positive looks down.
        yaw_rad: Positive looks left.
        roll_rad: 0 where it cannot be told.
        pitch_std_rad: Of the pitch.
        yaw_std_rad: Of the yaw; the vehicle is taken to follow its lane on average.
        roll_std_rad: Of the roll; infinite where it cannot be told.
        lane_in_heights: Width of the lane over the height of the lens; NaN without a pair.
        lane_std_in_heights: Of the same.
        frames: Pictures that showed where the lines meet.
        vanishing_point: x and y of it, of the average.
    """

    pitch_rad: float
    yaw_rad: float
    roll_rad: float
    pitch_std_rad: float
    yaw_std_rad: float
    roll_std_rad: float
    lane_in_heights: float
    lane_std_in_heights: float
    frames: int
    vanishing_point: tuple[float, float]

    def mount(self, height_m: float) -> Mount:
        """Returns the mounting at a height."""
        return Mount(z=height_m, roll=self.roll_rad, pitch=self.pitch_rad, yaw=self.yaw_rad)


def lines_of(mask: NDArray[np.uint8], intrinsics: CameraIntrinsics) -> Lines:
    """Returns the pieces of lines that a picture shows.

    Args:
        mask: ``(H, W)``, not 0 where paint of a lane is.
        intrinsics: Of a picture of that size.
    """
    height, width = mask.shape
    bordered = np.zeros((height, width + 2), np.uint8)
    bordered[:, 1:-1] = mask != 0
    _, parts = cv2.connectedComponents(bordered, connectivity=8)
    flat = bordered.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    row, column = np.divmod(changes, width + 2)
    row, first, last = row[::2], column[::2], column[1::2] - 1
    # Runs that touch the border are cut, and their middle is none; wide ones are no line
    good = (first > 0) & (last < width - 1) & (last - first < WIDEST_RUN * width)
    row, first, last = row[good], first[good], last[good]
    if not len(row):
        return Lines(*np.zeros((4, 0)))
    plane = intrinsics.undistort(np.column_stack([0.5 * (first + last), row]).astype(np.float64))
    band_px = max(LEAST_ROWS, height // BAND_PART)
    piece = parts[row, first + 1].astype(np.int64) * (height // band_px + 1) + row // band_px
    found = []
    for number in np.unique(piece):
        x, y = plane[piece == number].T
        x, y = x[np.isfinite(x)], y[np.isfinite(x)]
        if len(y) < LEAST_ROWS:
            continue
        mean_x, mean_y = float(x.mean()), float(y.mean())
        across, along = x - mean_x, y - mean_y
        slope = float(across @ along) / max(float(along @ along), 1e-12)
        residual = float(np.sqrt(np.mean((across - slope * along) ** 2)))
        if residual < 2.0 * NOISE and abs(slope) < 1.0 / LEAST_SLOPE:
            found.append((mean_x, mean_y, slope, float(len(y))))
    return Lines(*np.array(found, np.float64).reshape(-1, 4).T)


def estimate_mounting(frames: Sequence[Lines]) -> MountingEstimate | None:
    """Returns how the camera is turned; None where too few pictures show where lines meet.

    Args:
        frames: The lines of each picture, in order.
    """
    met = [(lines, point) for lines in frames if (point := meeting_point(lines)) is not None]
    if len(met) < LEAST_FRAMES:
        return None
    points = np.array([point for _, point in met])
    centre = np.median(points, axis=0)
    spread = MAD * np.median(np.abs(points - centre), axis=0)
    near = (np.abs(points - centre) <= 3.0 * np.maximum(spread, NOISE)).all(axis=1)
    centre = points[near].mean(axis=0)
    std = points[near].std(axis=0) / math.sqrt(max(1.0, near.sum() / RELATED_FRAMES))
    u, v = centre.tolist()
    pairs = np.array([pair for lines, point in met if (pair := own_lane(lines, point, 0.0))])
    roll_rad, roll_std_rad = _roll(pairs)
    pitch_rad, yaw_rad = turned(u, v, roll_rad)
    if roll_rad:
        pairs = np.array(
            [pair for lines, point in met if (pair := own_lane(lines, point, roll_rad))]
        )
    widths = pairs[:, 0] - pairs[:, 1] if len(pairs) else np.zeros(0)
    width, width_std = math.nan, math.nan
    if len(widths) >= LEAST_FRAMES:
        width = float(np.median(widths))
        scatter = MAD * float(np.median(np.abs(widths - width)))
        width_std = scatter / math.sqrt(max(1.0, len(widths) / RELATED_FRAMES))
    return MountingEstimate(
        pitch_rad,
        yaw_rad,
        roll_rad,
        max(FINEST_RAD, float(std[1])),
        max(FINEST_RAD, float(std[0])),
        roll_std_rad,
        width,
        width_std,
        int(near.sum()),
        (u, v),
    )


def meeting_point(lines: Lines) -> tuple[float, float] | None:
    """Returns where the lines of a picture meet; None where they do not tell.

    Iteratively reweighted least squares: each line is x - slope y = c, its place known to
    ``NOISE`` and its slope to about twice that over its length.
    """
    x, y, slope, weight = lines
    if len(x) < 3:
        return None
    angle = np.arctan(slope)
    if angle.max() - angle.min() < SPREAD_RAD:
        return None
    scale = 1.0 / np.sqrt(1.0 + slope * slope)
    rows = np.column_stack([scale, -slope * scale])
    right = (x - slope * y) * scale
    point = np.array([float(np.median(x)), float(y.min())])
    trust = np.ones(len(x))
    for step in range(ITERATIONS):
        # The further a piece is from the point, the less its slope says
        distance = np.hypot(x - point[0], y - point[1])
        noise = NOISE * (1.0 + 4.0 * distance)
        w = weight * trust / noise**2
        normal = (rows * w[:, None]).T @ rows
        if np.linalg.cond(normal) > 1e8:
            return None
        point = np.linalg.solve(normal, (rows * w[:, None]).T @ right)
        off = np.abs(rows @ point - right) / noise
        # From all to the few that agree
        cut = OUTLIER * max(1.0, 8.0 * (1.0 - step / (ITERATIONS // 2)))
        trust = 1.0 / np.square(1.0 + np.square(off / cut))
    agree = off < OUTLIER
    if agree.sum() < 3 or agree.sum() < 0.5 * len(off):
        return None
    if angle[agree].max() - angle[agree].min() < SPREAD_RAD or y[agree].min() < point[1] - 0.05:
        return None
    return float(point[0]), float(point[1])


def turned(u: float, v: float, roll_rad: float) -> tuple[float, float]:
    """Returns pitch and yaw of a camera that sees the direction of the lane there.

    Args:
        u: x of the vanishing point.
        v: y of it.
        roll_rad: Of the camera.
    """
    body = np.array([1.0, -u, -v]) / math.sqrt(1.0 + u * u + v * v)
    cos, sin = math.cos(roll_rad), math.sin(roll_rad)
    forward, left, up = body[0], cos * body[1] - sin * body[2], sin * body[1] + cos * body[2]
    return math.atan2(up, forward), -math.asin(left)


def own_lane(
    lines: Lines, point: tuple[float, float], roll_rad: float
) -> tuple[float, float] | None:
    """Returns how far left the two lines of the own lane are, in heights of the lens.

    The vehicle may nod and turn in its lane: the picture's own vanishing point tells how.

    Args:
        lines: Of a picture.
        point: Where they meet in it.
        roll_rad: Of the camera.
    """
    pitch_rad, yaw_rad = turned(*point, roll_rad)
    base_from_body = Mount(roll=roll_rad, pitch=pitch_rad, yaw=yaw_rad).base_from_body()[:3, :3]
    rays = np.column_stack([np.ones(len(lines.x)), -lines.x, -lines.y]) @ base_from_body.T
    below = rays[:, 2] < NEAR_HORIZON
    left, row = rays[below, 1] / -rays[below, 2], lines.y[below]
    # On a bend a line is elsewhere further on: both sides at one distance, the nearest with two
    for at in np.sort(row)[::-1]:
        beside = np.abs(row - at) < SAME_ROW
        lefts, rights = left[beside & (left > 0.0)], left[beside & (left <= 0.0)]
        if len(lefts) and len(rights):
            pair = float(lefts.min()), float(rights.max())
            is_lane = LANE_IN_HEIGHTS[0] < pair[0] - pair[1] < LANE_IN_HEIGHTS[1]
            return pair if is_lane else None
    return None


def _roll(pairs: Float64Array) -> tuple[float, float]:
    """Roll and its standard deviation, from own lanes that were taken to be seen without any.

    A small roll moves a line at q by -roll (1 + q^2), so that the width of a lane changes with
    the place of the vehicle in it.
    """
    if len(pairs) < LEAST_FRAMES:
        return 0.0, math.inf
    left, right = pairs.T
    widths, tilt = left - right, left**2 - right**2
    keep = np.ones(len(widths), np.bool_)
    for _ in range(4):
        centred = tilt[keep] - tilt[keep].mean()
        power = float(centred @ centred)
        if keep.sum() < LEAST_FRAMES or power < 1e-9:
            return 0.0, math.inf
        slope = float(centred @ widths[keep]) / power
        off = widths - widths[keep].mean() - slope * (tilt - tilt[keep].mean())
        scatter = max(MAD * float(np.median(np.abs(off[keep]))), 1e-4)
        keep = np.abs(off) < 3.0 * scatter
    std = scatter / math.sqrt(power / RELATED_FRAMES)
    if std > ROLL_SURE_RAD or abs(slope) > MAX_ROLL_RAD:
        return 0.0, math.inf
    return -slope, max(FINEST_RAD, std)
