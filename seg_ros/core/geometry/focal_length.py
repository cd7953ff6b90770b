# SPDX-License-Identifier: Apache-2.0
"""Focal length of a lens that nobody knows, from what a drive shows beside the lane's direction.

Where parallel lines meet gives no focal length on flat ground. A second direction does that is
square to the first: what stands upright meets in a point of its own, and the product of both
points, seen from the middle of the picture, is the square of the focal length. Or a known motion:
dashes move towards the vehicle by as much as its odometry says.

Everything here is in pixels from the principal point, x to the right and y down; that point is
taken to be the middle of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    'FocalLength',
    'Moved',
    'Vanishing',
    'focal_from_dashes',
    'focal_from_uprights',
    'upright_lines',
]

Float64Array = NDArray[np.float64]

SURE = 0.1  # of the focal length, one standard deviation: else it is unknown
NARROWEST_DEG, WIDEST_DEG = 20.0, 140.0  # across; beyond it is no lens of a vehicle
MIDDLE_OFF = 0.01  # of the width: so far is a principal point from the middle of the picture
RELATED_FRAMES = 3.0  # pictures in a row show the same walls and the same paint
LEAST_FRAMES = 8
MAD = 1.4826  # standard deviations in a median absolute deviation

# Uprights
LEAST_LENGTH = 0.06  # of the picture's height: shorter lines tell no direction
UPRIGHT_RAD = math.radians(20.0)  # from the columns of the picture
LEAST_UPRIGHTS = 60
NOISE_PX = 0.7  # of either end of a line
LEANING_RAD = math.radians(0.5)  # of posts, walls and edges that are taken for upright
ITERATIONS = 12
OUTLIER = 3.0  # times the noise: beyond it a line counts little (Geman and McClure)
OWN_DIRECTION_PX = (
    12.0  # so near the first vanishing point a line is of the lane, or tells nothing
)

# Dashes
SIDE = 3.0  # heights of the lens to either side that are looked at
SIDE_STEP = 0.15
NEAREST_ROWS = 0.12  # of the picture's height below the horizon: beyond, a nod is all there is
STEPS = 400  # of the way between the nearest and the furthest row
EDGE_STEPS = 10  # of an end of a dash: about what a network blurs
STEP_M = 0.3, 4.0  # between two pictures: less says little, more may be a dash too far
LEAST_PAIRS = 12
TRIALS = 400
LEAST_LIKENESS = 0.12  # correlation of two pictures' dashes, once moved
RIVAL = 0.6  # of the best likeness: another focal length that is as good leaves both unknown
TAPE = 0.02  # of the height of the lens, by which the focal length goes: a tape measure, tyres
PARTS = 8  # of a drive, left out one after the other (jackknife)


class FocalLength(NamedTuple):
    """What was found.

    Attributes:
        focal_px: In pixels.
        std_px: One standard deviation.
    """

    focal_px: float
    std_px: float


class Vanishing(NamedTuple):
    """Where the lines of the lane meet.

    Attributes:
        u: To the right of the principal point, in pixels.
        v: Below it.
        std_u: One standard deviation.
        std_v: The same.
        roll_rad: Of the camera; 0 where nobody knows.
    """

    u: float
    v: float
    std_u: float = 0.0
    std_v: float = 0.0
    roll_rad: float = 0.0


class Moved(NamedTuple):
    """Two pictures of the paint, and how far the vehicle went between them.

    Attributes:
        before: ``(H, W)``, not 0 where paint of a lane is.
        after: The same, of the later picture.
        metres: Between them, forward.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    metres: float


def upright_lines(grey: NDArray[np.uint8]) -> Float64Array:
    """Returns the lines of a picture that are about upright, ``(N, 4)``: x, y of both ends."""
    height, width = grey.shape
    found = cv2.createLineSegmentDetector().detect(grey)[0]
    if found is None:
        return np.zeros((0, 4))
    lines = found.reshape(-1, 4).astype(np.float64)
    across, along = lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]
    long = np.hypot(across, along) >= LEAST_LENGTH * height
    steep = np.abs(across) <= math.tan(UPRIGHT_RAD) * np.abs(along)
    middle = [0.5 * (width - 1), 0.5 * (height - 1)]
    result: Float64Array = lines[long & steep] - [*middle, *middle]
    return result


def focal_from_uprights(
    frames: Sequence[Float64Array], lane: Vanishing, size_wh: tuple[int, int]
) -> FocalLength | None:
    """Returns the focal length by what stands upright; None where that does not tell.

    A camera that looks level sees uprights as parallel, however long its lens is: pitch or tilt of
    some degrees is needed.

    Args:
        frames: The upright lines of each picture.
        lane: Where the lines of the lane meet.
        size_wh: Of the pictures.
    """
    lines = np.concatenate([*frames, np.zeros((0, 4))])
    number = np.repeat(np.arange(len(frames)), [len(row) for row in frames])
    middle = 0.5 * (lines[:, :2] + lines[:, 2:])
    step = lines[:, 2:] - lines[:, :2]
    length = np.hypot(*step.T)
    step = step / np.where(step[:, 1:] < 0.0, -length[:, None], length[:, None])
    away = (middle[:, 0] - lane.u) * step[:, 1] - (middle[:, 1] - lane.v) * step[:, 0]
    tells = np.abs(away) > OWN_DIRECTION_PX
    middle, step, length, number = middle[tells], step[tells], length[tells], number[tells]
    if len(length) < LEAST_UPRIGHTS:
        return None
    # The point is (a, 1) / w: w is 0 where it is infinitely far, as for a level camera
    rows = np.column_stack([step[:, 1], middle[:, 1] * step[:, 0] - middle[:, 0] * step[:, 1]])
    noise = np.hypot(math.sqrt(2.0) * NOISE_PX / length, LEANING_RAD)
    trust = np.ones(len(length))
    found = np.zeros(2)
    for turn in range(ITERATIONS):
        weight = trust / noise**2
        normal = (rows * weight[:, None]).T @ rows
        if np.linalg.cond(normal / np.sqrt(np.outer(*[np.diag(normal)] * 2))) > 1e6:
            return None
        found = np.linalg.solve(normal, (rows * weight[:, None]).T @ step[:, 0])
        residual = (rows @ found - step[:, 0]) / noise
        cut = OUTLIER * max(1.0, 6.0 * (1.0 - turn / (ITERATIONS // 2)))
        trust = 1.0 / np.square(1.0 + np.square(residual / cut))
    agree = np.abs(residual) < OUTLIER
    if agree.sum() < max(LEAST_UPRIGHTS, 0.4 * len(agree)):
        return None
    if len(np.unique(number[agree])) < LEAST_FRAMES:
        return None
    scatter = max(1.0, MAD * float(np.median(np.abs(residual[agree]))))
    covariance = np.linalg.inv(normal) * scatter**2 * RELATED_FRAMES
    a, w = found.tolist()
    along = a * lane.u + lane.v
    if abs(w) < 1e-9 or -along / w <= 0.0:
        return None
    square = -along / w
    middle_px = MIDDLE_OFF * size_wh[0]
    by = np.array([-lane.u / w, -square / w])  # of square by a and w
    variance = by @ covariance @ by
    variance += (math.hypot(lane.std_v, middle_px) / w) ** 2
    variance += (a * math.hypot(lane.std_u, middle_px) / w) ** 2
    focal_px = math.sqrt(square)
    return _believed(focal_px, math.sqrt(variance) / (2.0 * focal_px), size_wh)


def focal_from_dashes(
    moves: Sequence[Moved], lane: Vanishing, height_m: float
) -> FocalLength | None:
    """Returns the focal length by how far dashes move; None where that does not tell.

    On the ground a row that is p pixels below the horizon is c / p away from a point that stays
    with the camera, and c goes with height and focal length. So the dashes of one picture lie
    upon those of the next once they are moved by ``metres`` / c in 1 / p.

    Args:
        moves: Pictures with odometry between them.
        lane: Where the lines of the lane meet.
        height_m: Of the lens.
    """
    moves = [row for row in moves if STEP_M[0] <= row.metres <= STEP_M[1]]
    if len(moves) < LEAST_PAIRS:
        return None
    height, width = moves[0].before.shape
    grid = _Grid(width, height, lane)
    if not grid.is_seen:
        return None
    pictures = np.array(
        [[grid.from_above(row.before), grid.from_above(row.after)] for row in moves]
    )
    pictures -= pictures.mean(axis=(0, 1))  # what stays with the camera: solid lines, blind places
    lenses = _focal(WIDEST_DEG, width), _focal(NARROWEST_DEG, width)
    focal = np.geomspace(*lenses, TRIALS).astype(np.float64)
    reach_m = height_m * np.array([_reach(value, lane) for value in focal])
    sums = np.array([
        _sums(pair[0], pair[1], row.metres / reach_m / grid.step)
        for pair, row in zip(pictures, moves, strict=True)
    ])  # fmt: skip
    best = _peak(sums.sum(axis=0), focal)
    part = np.arange(len(moves)) * PARTS // len(moves)
    without = [_peak(sums[part != number].sum(axis=0), focal) for number in range(PARTS)]
    if best is None or None in without:
        return None
    logs = np.log(np.array(without, np.float64))
    std = math.sqrt((PARTS - 1) / PARTS * float(np.square(logs - logs.mean()).sum()))
    return _believed(best, best * math.hypot(std, TAPE), (width, height))


class _Grid:
    """The ground from above as far as no focal length is needed: sideways by along the lane.

    Args:
        width: Of the pictures.
        height: The same.
        lane: Where the lines of the lane meet.

    Attributes:
        is_seen: Whether enough of the ground is in the picture.
        step: Along the lane, of 1 / p.
    """

    def __init__(self, width: int, height: int, lane: Vanishing) -> None:
        cos, sin = math.cos(lane.roll_rad), math.sin(lane.roll_rad)
        u, v = cos * lane.u - sin * lane.v, sin * lane.u + cos * lane.v
        nearest, furthest = 0.5 * (height - 1) - v, NEAREST_ROWS * height
        self.is_seen = nearest > 2.0 * furthest
        if not self.is_seen:
            return
        along, self.step = np.linspace(1.0 / nearest, 1.0 / furthest, STEPS, retstep=True)
        side = np.arange(-SIDE, SIDE + 0.5 * SIDE_STEP, SIDE_STEP)[:, None]
        x, y = u + side / along, v + 1.0 / along + 0.0 * side
        self._x = (cos * x + sin * y + 0.5 * (width - 1)).astype(np.float32)
        self._y = (cos * y - sin * x + 0.5 * (height - 1)).astype(np.float32)

    def from_above(self, paint: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns where paint begins or ends: sideways by 1 / p, the nearest first."""
        white = (paint != 0).astype(np.float32)
        above = cv2.remap(white, self._x, self._y, cv2.INTER_LINEAR)
        ends: NDArray[np.float32] = above[:, EDGE_STEPS:] - above[:, :-EDGE_STEPS]
        return ends


def _sums(
    before: NDArray[np.float32], after: NDArray[np.float32], steps: Float64Array
) -> Float64Array:
    """Products of two pictures, one moved by each number of steps; ``(3, len(steps))``.

    Of the one with the other, and of each with itself, over what both show.
    """
    long = before.shape[1]
    whole = np.arange(long // 2)
    rows = np.empty((3, len(whole)))
    for moved in whole:
        first, second = before[:, moved:], after[:, : long - moved]
        rows[:, moved] = (first * second).sum(), np.square(first).sum(), np.square(second).sum()
    return np.array([np.interp(steps, whole, row) for row in rows])


def _peak(sums: Float64Array, focal: Float64Array) -> float | None:
    """The focal length at which the pictures are most alike; None where two are as good."""
    likeness = sums[0] / np.sqrt(np.maximum(sums[1] * sums[2], 1e-12))
    at = int(np.argmax(likeness))
    if likeness[at] < LEAST_LIKENESS or not 0 < at < len(focal) - 1:
        return None
    hills = (likeness[1:-1] > likeness[:-2]) & (likeness[1:-1] >= likeness[2:])
    others = np.flatnonzero(hills) + 1
    others = others[np.abs(np.log(focal[others] / focal[at])) > 2.0 * SURE]
    if len(others) and likeness[others].max() > RIVAL * likeness[at]:
        return None
    before, here, behind = likeness[at - 1 : at + 2].tolist()
    shift = 0.5 * (before - behind) / min(before - 2.0 * here + behind, -1e-12)
    return float(focal[at] * (focal[1] / focal[0]) ** shift)


def _focal(fov_deg: float, width: int) -> float:
    return 0.5 * width / math.tan(math.radians(0.5 * fov_deg))


def _reach(focal_px: float, lane: Vanishing) -> float:
    """Rows below the horizon times the way along the lane, for a lens one metre high."""
    square, v = focal_px**2, lane.v**2
    return math.sqrt((square + v) * (square + v + lane.u**2)) / focal_px


def _believed(focal_px: float, std_px: float, size_wh: tuple[int, int]) -> FocalLength | None:
    is_lens = _focal(WIDEST_DEG, size_wh[0]) < focal_px < _focal(NARROWEST_DEG, size_wh[0])
    return FocalLength(focal_px, std_px) if is_lens and std_px <= SURE * focal_px else None
