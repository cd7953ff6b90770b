# SPDX-License-Identifier: Apache-2.0
"""Houses: their facades as textures, and the boxes that wear them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.sim import classes
from seg_ros.sim.paint.brush import Brush, Pyramid, Rgb
from seg_ros.sim.paint.textures import noise
from seg_ros.sim.scenery import Building

__all__ = ['paint_building']

PX_PER_M = 24
BAY_M = 3.0
BAYS = 9
GROUND_FLOOR_M = 3.6
FLOOR_M = 3.0
MAX_DEPTH_RATIO = 2.8
OVERLAP_M = 0.15
SIDE_HEIGHT_M = 17
SIDE_WIDTH_M = 14

FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class _Style:
    """How a kind of facade looks."""

    wall: Rgb
    trim: Rgb
    frame: Rgb
    brick: bool
    window_wh_m: tuple[float, float]
    bands: bool
    balconies: bool


_STYLES = (
    _Style((206, 190, 160), (232, 224, 208), (240, 238, 232), False, (1.15, 1.75), True, False),
    _Style((158, 92, 74), (208, 200, 186), (236, 232, 226), True, (1.2, 1.6), True, False),
    _Style((196, 196, 192), (170, 170, 168), (70, 74, 80), False, (1.9, 1.5), False, True),
    _Style((222, 206, 168), (240, 232, 214), (120, 84, 58), False, (1.1, 1.8), True, True),
    _Style((142, 148, 154), (110, 116, 122), (52, 56, 62), False, (2.3, 1.9), True, False),
    _Style((186, 140, 104), (224, 210, 190), (238, 234, 228), False, (1.2, 1.6), True, False),
    _Style((172, 184, 176), (214, 218, 212), (232, 232, 230), False, (1.3, 1.6), False, True),
    _Style((120, 76, 66), (186, 174, 160), (60, 56, 54), True, (1.5, 1.7), False, False),
    _Style((230, 226, 218), (206, 198, 186), (96, 72, 56), False, (1.2, 1.4), False, False),
    _Style((214, 168, 150), (236, 222, 212), (240, 238, 234), False, (1.1, 1.7), True, False),
)
_AWNINGS: tuple[Rgb, ...] = (
    (150, 34, 36),
    (34, 84, 60),
    (38, 62, 122),
    (196, 150, 52),
    (92, 92, 96),
    (190, 84, 44),
)
_ROOFS: tuple[Rgb, ...] = ((142, 76, 56), (104, 62, 52), (88, 88, 94), (74, 70, 72))


def paint_building(brush: Brush, building: Building) -> None:
    """The box of a building: the sides that can be seen, the front last."""
    sign = math.copysign(1.0, building.d_m)
    start = brush.road.pose(building.s0_m, building.d_m)
    end = brush.road.pose(building.s1_m, building.d_m)
    front0, front1 = np.array(start[:2]), np.array(end[:2])
    along = front1 - front0
    length_m = float(np.hypot(*along))
    along /= length_m
    outward = np.array([-along[1], along[0]]) * sign
    back = outward * building.depth_m
    floors = max(1, round((building.height_m - 0.6) / FLOOR_M))
    shops = building.depth_m > 10.0
    style = building.look % len(_STYLES)
    variant = (building.look // 16) % 2
    eye = brush.view.eye[:2]
    _paint_roof(brush, building, front0, front1, outward)
    side = _side_texture(style)
    ends = ((front0, -along, building.hidden0_m), (front1, along, building.hidden1_m))
    for corner, facing, hidden_m in ends:
        top_m = building.height_m + building.roof_m
        if hidden_m >= top_m or float(np.dot(eye - corner, facing)) <= 0.0:
            continue
        factor = _wall_light(brush, building, facing)
        low_m = max(0.0, min(hidden_m, building.height_m) - 0.3)
        window = (
            0.0,
            1.0 - building.height_m / SIDE_HEIGHT_M,
            building.depth_m / SIDE_WIDTH_M,
            1.0 - low_m / SIDE_HEIGHT_M,
        )
        heights = low_m, building.height_m
        _paint_wall(brush, corner, corner + back, heights, side, window, factor)
        if building.roof_m:
            _paint_gable(brush, building, corner, outward, style, factor)
    if float(np.dot(eye - front0, -outward)) > 0.0:
        texture = _facade(style, floors, variant, shops=shops)
        bays = max(1, min(BAYS, round(length_m / BAY_M)))
        first = (building.look // 64) % (BAYS - bays + 1)
        window = (first / BAYS, 0.0, (first + bays) / BAYS, 1.0)
        factor = _wall_light(brush, building, -outward)
        _paint_wall(brush, front0, front1, (0.0, building.height_m), texture, window, factor)


def _wall_light(brush: Brush, building: Building, facing: NDArray[np.float64]) -> Rgb:
    middle = 0.5 * (building.s0_m + building.s1_m)
    place = brush.place(middle, building.d_m)
    towards_sun = max(0.0, float(np.dot(facing, brush.sun[:2])))
    red, green, blue = brush.lit(place, facing=0.9 * towards_sun)
    return 0.92 * red, 0.92 * green, 0.92 * blue


def _paint_wall(
    brush: Brush,
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    heights_m: tuple[float, float],
    texture: Pyramid,
    window: tuple[float, float, float, float],
    factor: Rgb,
) -> None:
    """A wall in pieces, each seen from about one distance, the far ones first."""
    view = brush.view
    ends = [view.depth(*left), view.depth(*right)]
    if max(ends) <= 0.5:
        return
    length_m = float(np.hypot(*(right - left)))
    cuts = [0.0, *_cuts(ends[0], ends[1]), 1.0]
    pieces = list(pairwise(cuts))
    if ends[0] < ends[1]:
        pieces.reverse()
    u0, v0, u1, v1 = window
    overlap = OVERLAP_M / length_m
    for start, stop in pieces:
        # The farther piece reaches under the nearer one, so that no seam shows.
        low_part, high_part = max(0.0, start - overlap), min(1.0, stop + overlap)
        first, last = (start, high_part) if ends[0] > ends[1] else (low_part, stop)
        a, b = left + first * (right - left), left + last * (right - left)
        low, high = heights_m
        corners = np.array([[*a, low], [*b, low], [*b, high], [*a, high]])
        part = (u0 + first * (u1 - u0), v0, u0 + last * (u1 - u0), v1)
        brush.panel(corners, texture, part, factor, classes.BUILDING)


def _cuts(depth0: float, depth1: float) -> list[float]:
    """Where to cut a wall so that no piece is much deeper at one end than at the other."""
    near, far = max(min(depth0, depth1), 1.2), max(depth0, depth1)
    count = min(5, math.ceil(math.log(max(far / near, 1.0)) / math.log(MAX_DEPTH_RATIO)))
    if count < 2:
        return []
    depths = [near * (far / near) ** (i / count) for i in range(1, count)]
    parts = [(depth - depth0) / (depth1 - depth0) for depth in depths]
    return sorted(part for part in parts if 0.02 < part < 0.98)


def _paint_roof(
    brush: Brush,
    building: Building,
    front0: NDArray[np.float64],
    front1: NDArray[np.float64],
    outward: NDArray[np.float64],
) -> None:
    if not building.roof_m:
        return
    eaves, ridge = building.height_m, building.height_m + building.roof_m
    half = 0.5 * building.depth_m
    overhang = -0.35 * outward
    distance = float(np.dot(front0 - brush.view.eye[:2], outward))
    height = brush.view.eye[2] - eaves
    # The slope is hidden behind the eaves when the way up to them is steeper than the roof.
    if distance > 0.0 and (ridge - brush.view.eye[2]) * distance < -height * (distance + half):
        return
    corners = np.array(
        [
            [*(front0 + overhang), eaves - 0.15],
            [*(front1 + overhang), eaves - 0.15],
            [*(front1 + outward * half), ridge],
            [*(front0 + outward * half), ridge],
        ]
    )
    normal = np.array([*(-outward * building.roof_m), half])
    normal /= np.linalg.norm(normal)
    middle = brush.place(0.5 * (building.s0_m + building.s1_m), building.d_m)
    factor = brush.lit(middle, facing=max(0.0, float(np.dot(normal, brush.sun))))
    roof = _roof_texture((building.look // 8) % len(_ROOFS))
    brush.panel(corners, roof, (0.0, 0.0, 1.0, 1.0), factor, classes.BUILDING)


def _paint_gable(
    brush: Brush,
    building: Building,
    corner: NDArray[np.float64],
    outward: NDArray[np.float64],
    style: int,
    factor: Rgb,
) -> None:
    eaves, ridge = building.height_m, building.height_m + building.roof_m
    peak = corner + 0.5 * building.depth_m * outward
    back = corner + building.depth_m * outward
    triangle = brush.view.polygon(np.array([[*corner, eaves], [*back, eaves], [*peak, ridge]]))
    if triangle is None:
        return
    depth = max(brush.view.depth(*corner), 1.0)
    colour = brush.shaded(_STYLES[style].wall, factor, depth, 0.97)
    brush.plain(triangle, colour, classes.BUILDING)


# Textures: red, green, blue, and light of its own


@lru_cache(maxsize=64)
def _facade(style: int, floors: int, variant: int, *, shops: bool) -> Pyramid:
    kind = _STYLES[style]
    generator = np.random.default_rng([style, floors, variant, int(shops), 51])
    ground_m = GROUND_FLOOR_M if shops else FLOOR_M
    height_m = ground_m + FLOOR_M * (floors - 1) + 0.6
    width, height = round(BAYS * BAY_M * PX_PER_M), round(height_m * PX_PER_M)
    picture = np.zeros((height, width, 4), dtype=np.float32)
    picture[..., :3] = _wall((height, width), kind, generator)
    _stain(picture, generator)

    def row(up_m: float) -> int:
        return round(height - up_m * PX_PER_M)

    for floor in range(floors):
        bottom_m = 0.0 if floor == 0 else ground_m + FLOOR_M * (floor - 1)
        if kind.bands and floor > 0:
            _box(picture, 0, row(bottom_m + 0.12), width, row(bottom_m - 0.08), kind.trim)
        door_bay = int(generator.integers(BAYS))
        for bay in range(BAYS):
            left = round(bay * BAY_M * PX_PER_M)
            if floor == 0 and shops:
                _shop(picture, left, row(0.0), kind, generator)
            elif floor == 0 and bay % 3 == door_bay % 3 and bay // 3 == 1:
                _door(picture, left, row(0.0), kind, generator)
            else:
                _window(picture, left, row(bottom_m), kind, generator, upper=floor > 0)
    _box(picture, 0, 0, width, round(0.35 * PX_PER_M), kind.trim)
    _box(
        picture,
        0,
        round(0.35 * PX_PER_M),
        width,
        round(0.45 * PX_PER_M),
        (kind.wall[0] * 0.6, kind.wall[1] * 0.6, kind.wall[2] * 0.6),
    )
    plinth = tuple(0.62 * c for c in kind.wall)
    if not shops:
        _box(picture, 0, row(0.45), width, height, (plinth[0], plinth[1], plinth[2]))
    return Pyramid(np.clip(picture, 0, 255).astype(np.uint8))


@lru_cache(maxsize=16)
def _side_texture(style: int) -> Pyramid:
    kind = _STYLES[style]
    generator = np.random.default_rng([style, 52])
    shape = (SIDE_HEIGHT_M * PX_PER_M, SIDE_WIDTH_M * PX_PER_M)
    picture = np.zeros((*shape, 4), dtype=np.float32)
    picture[..., :3] = _wall(shape, kind, generator)
    _stain(picture, generator)
    for floor in range(1, 5):
        if generator.random() < 0.7:
            left = round(float(generator.uniform(1.0, 8.0)) * PX_PER_M)
            up_m = GROUND_FLOOR_M + FLOOR_M * (floor - 1)
            _window(picture, left, round(shape[0] - up_m * PX_PER_M), kind, generator, upper=True)
    return Pyramid(np.clip(picture, 0, 255).astype(np.uint8))


@lru_cache(maxsize=8)
def _roof_texture(index: int) -> Pyramid:
    generator = np.random.default_rng([index, 53])
    shape = (128, 384)
    grey = 1.0 + 0.1 * noise(shape, (64, 96), generator) + 0.06 * noise(shape, (6, 8), generator)
    grey[::6] *= 0.72
    picture = np.zeros((*shape, 4), dtype=np.float32)
    picture[..., :3] = grey[..., None] * np.array(_ROOFS[index], dtype=np.float32)
    return Pyramid(np.clip(picture, 0, 255).astype(np.uint8))


def _wall(shape: tuple[int, int], kind: _Style, generator: np.random.Generator) -> FloatImage:
    rough = noise(shape, (max(4, shape[0] // 3), max(4, shape[1] // 3)), generator)
    broad = noise(shape, (6, 8), generator)
    grey = 1.0 + 0.025 * rough + 0.04 * broad
    if kind.brick:
        course = 3
        bricks = generator.normal(0.0, 0.07, (shape[0] // course + 1, shape[1] // 7 + 2))
        row_of = np.arange(shape[0]) // course
        column_of = (np.arange(shape[1])[None, :] + 3 * (row_of[:, None] % 2)) // 7
        grey = grey + bricks[row_of[:, None], column_of].astype(np.float32)
        grey[::course] *= 1.12
    return np.asarray(grey[..., None] * np.array(kind.wall, dtype=np.float32), dtype=np.float32)


def _stain(picture: FloatImage, generator: np.random.Generator) -> None:
    """Darker towards the street, and streaks that the rain has left."""
    height, width = picture.shape[:2]
    streaks = noise((height, width), (3, width // 8), generator)
    down = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    picture[..., :3] *= (1.0 - 0.08 * down**3 + 0.025 * streaks)[..., None]


def _box(picture: FloatImage, x0: int, y0: int, x1: int, y1: int, colour: Rgb) -> None:
    picture[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0), :3] = colour


def _window(
    picture: FloatImage,
    left: int,
    floor_row: int,
    kind: _Style,
    generator: np.random.Generator,
    *,
    upper: bool,
) -> None:
    wide, high = (round(size * PX_PER_M) for size in kind.window_wh_m)
    x0 = left + (round(BAY_M * PX_PER_M) - wide) // 2
    y1 = floor_row - round(0.85 * PX_PER_M)
    y0 = y1 - high
    if y0 < 12:
        return
    border = 3
    _box(picture, x0 - border - 1, y0 - border - 2, x0 + wide + border + 1, y0, kind.trim)
    _box(picture, x0 - border, y0, x0 + wide + border, y1 + 1, kind.trim)
    sill = (kind.trim[0] * 1.05, kind.trim[1] * 1.05, kind.trim[2] * 1.05)
    _box(picture, x0 - border - 2, y1, x0 + wide + border + 2, y1 + 4, sill)
    shadow = (kind.wall[0] * 0.66, kind.wall[1] * 0.66, kind.wall[2] * 0.66)
    _box(picture, x0 - border - 1, y1 + 4, x0 + wide + border + 1, y1 + 6, shadow)
    _glass(picture, x0, y0, x0 + wide, y1, generator)
    panes = 2 if wide < 40 else 3
    for pane in range(1, panes):
        x = x0 + wide * pane // panes
        _box(picture, x - 1, y0, x + 1, y1, kind.frame)
    _box(picture, x0, y0, x0 + wide, y0 + 2, kind.frame)
    _box(picture, x0, y0 + high // 3, x0 + wide, y0 + high // 3 + 2, kind.frame)
    _box(picture, x0, y0, x0 + 2, y1, kind.frame)
    _box(picture, x0 + wide - 2, y0, x0 + wide, y1, kind.frame)
    if upper and kind.balconies and generator.random() < 0.45:
        _balcony(picture, x0 - 8, x0 + wide + 8, y1)


def _glass(
    picture: FloatImage, x0: int, y0: int, x1: int, y1: int, generator: np.random.Generator
) -> None:
    """Dark, with a gleam of the sky, sometimes curtains; some are lit at night."""
    glass = picture[y0:y1, x0:x1]
    if not glass.size:
        return
    gleam = float(generator.uniform(0.0, 1.0)) ** 2
    down = np.linspace(1.0, 0.25, y1 - y0, dtype=np.float32)[:, None, None]
    base = np.array([46.0, 54.0, 64.0], dtype=np.float32)
    glass[..., :3] = base + gleam * down * np.array([86.0, 98.0, 112.0], dtype=np.float32)
    kind = generator.random()
    if kind < 0.3:
        curtain = (y1 - y0) if generator.random() < 0.4 else (y1 - y0) // 2
        tone = float(generator.uniform(120.0, 190.0))
        folds = tone + 12.0 * np.sin(np.arange(x1 - x0) * 0.9)
        glass[:curtain, :, :3] = (0.6 * glass[:curtain, :, :3]) + 0.4 * folds[None, :, None]
    if generator.random() < 0.34:
        strength = float(generator.uniform(90.0, 235.0))
        glass[..., 3] = strength * np.linspace(1.0, 0.75, y1 - y0, dtype=np.float32)[:, None]


def _balcony(picture: FloatImage, x0: int, x1: int, y1: int) -> None:
    top = y1 - round(0.75 * PX_PER_M)
    bars = slice(max(x0, 0), max(x1, 0), 3)
    picture[top:y1, bars, :3] = (48.0, 50.0, 54.0)
    _box(picture, x0, top - 2, x1, top + 1, (40.0, 42.0, 46.0))
    _box(picture, x0 - 2, y1 + 4, x1 + 2, y1 + 9, (150.0, 148.0, 144.0))
    _box(picture, x0 - 2, y1 + 9, x1 + 2, y1 + 13, (84.0, 82.0, 80.0))


def _door(
    picture: FloatImage, left: int, floor_row: int, kind: _Style, generator: np.random.Generator
) -> None:
    wide, high = round(1.15 * PX_PER_M), round(2.2 * PX_PER_M)
    x0 = left + (round(BAY_M * PX_PER_M) - wide) // 2
    y0 = floor_row - high
    colour = _AWNINGS[int(generator.integers(len(_AWNINGS)))]
    _box(picture, x0 - 4, y0 - 5, x0 + wide + 4, floor_row, kind.trim)
    _box(
        picture, x0, y0, x0 + wide, floor_row, (colour[0] * 0.7, colour[1] * 0.7, colour[2] * 0.7)
    )
    _box(picture, x0 + 5, y0 + 5, x0 + wide - 5, y0 + high // 3, (60.0, 66.0, 74.0))
    _box(picture, x0 - 8, floor_row - 5, x0 + wide + 8, floor_row, (150.0, 148.0, 142.0))


def _shop(
    picture: FloatImage, left: int, floor_row: int, kind: _Style, generator: np.random.Generator
) -> None:
    """A shop window, or a door, with a name band and perhaps an awning."""
    bay = round(BAY_M * PX_PER_M)
    if generator.random() < 0.24:
        _door(picture, left, floor_row, kind, generator)
        return
    top = floor_row - round(2.7 * PX_PER_M)
    x0, x1 = left + 6, left + bay - 6
    colour = _AWNINGS[int(generator.integers(len(_AWNINGS)))]
    dark = (colour[0] * 0.55, colour[1] * 0.55, colour[2] * 0.55)
    _box(picture, x0 - 3, top, x1 + 3, floor_row, dark)
    y0, y1 = top + round(0.45 * PX_PER_M), floor_row - round(0.4 * PX_PER_M)
    _glass(picture, x0, y0, x1, y1, generator)
    for _ in range(9):
        w, h = int(generator.integers(4, 14)), int(generator.integers(5, 22))
        x = int(generator.integers(x0, max(x1 - w, x0 + 1)))
        goods = generator.uniform(50.0, 200.0, 3)
        _box(picture, x, y1 - h, x + w, y1, (goods[0], goods[1], goods[2]))
    if generator.random() < 0.6:
        picture[y0:y1, x0:x1, 3] = 190.0
    middle = (x0 + x1) // 2
    _box(picture, middle - 1, y0, middle + 1, y1, kind.frame)
    if generator.random() < 0.45:
        band = (min(255.0, colour[0] * 1.2), min(255.0, colour[1] * 1.2), colour[2] * 1.2)
        awning = picture[top - 4 : y0 + 8, x0 - 4 : x1 + 4, :3]
        awning[:] = band
        awning[:, ::16] = 226.0
        awning[:, 1::16] = 226.0
        awning[:, 2::16] = 226.0
        awning *= np.linspace(1.0, 0.75, awning.shape[0], dtype=np.float32)[:, None, None]
    else:
        x = x0 + 8
        while x < x1 - 8:
            w = int(generator.integers(2, 6))
            cv2.rectangle(
                picture, (x, top + 4), (x + w - 1, top + 9), (225.0, 222.0, 214.0, 70.0), -1
            )
            x += w + 2
