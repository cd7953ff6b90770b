# SPDX-License-Identifier: Apache-2.0
"""Street furniture: poles, lamps, signs, fences and hedges."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.sim import classes
from seg_ros.sim.paint.brush import Brush, Place, Pyramid, Rgb
from seg_ros.sim.paint.textures import noise
from seg_ros.sim.paint.weather import LAMP_OVERHANG_M
from seg_ros.sim.scenery import Fence, Post

__all__ = ['fence_pieces', 'paint_fence', 'paint_post']

STEEL: Rgb = (126, 130, 134)
WOOD: Rgb = (98, 80, 62)
SIGN_SIZE_M = 0.66
SIGN_PX = 96
FENCE_PX_PER_M = 36
FENCE_TEXTURE_M = 12.0
FENCE_PIECE_M = 6.0

Points = NDArray[np.float64]


def paint_post(brush: Brush, post: Post) -> None:
    """A pole and what is on it."""
    place = brush.place(post.s_m, post.d_m)
    if place.depth_m < 0.7:
        return
    share = 0.3 + 0.7 * brush.sun_share(place)
    factor = brush.lit(place, 0.75 * share)
    if post.kind == 'bollard':
        _pole(brush, place, post.height_m, 0.06, (226, 226, 222), factor)
        low, high = 0.72 * post.height_m, 0.86 * post.height_m
        band = np.array([(-0.06, low), (0.06, low), (0.06, high), (-0.06, high)])
        colour = brush.shaded((40, 40, 42), factor, place.depth_m)
        brush.flat([(brush.outline(place, band), colour)], classes.POLE)
        return
    radius = {'lamp': 0.075, 'wood': 0.12}.get(post.kind, 0.04)
    _pole(brush, place, post.height_m, radius, WOOD if post.kind == 'wood' else STEEL, factor)
    if post.kind == 'lamp':
        _lamp_head(brush, post, factor)
    elif post.kind == 'wood':
        _cross_bar(brush, post, factor)
    elif post.kind in {'sign', 'crossing_sign'}:
        _plate(brush, place, post, factor)


def _pole(
    brush: Brush, place: Place, height_m: float, radius: float, colour: Rgb, factor: Rgb
) -> None:
    top = 0.75 * radius
    whole = np.array([(-radius, 0.0), (radius, 0.0), (top, height_m), (-top, height_m)])
    dark = np.array([(0.1 * radius, 0.0), (radius, 0.0), (top, height_m), (0.1 * top, height_m)])
    shapes = [
        (brush.outline(place, whole), brush.shaded(colour, factor, place.depth_m)),
        (brush.outline(place, dark), brush.shaded(colour, factor, place.depth_m, 0.66)),
    ]
    brush.flat(shapes, classes.POLE)


def _lamp_head(brush: Brush, post: Post, factor: Rgb) -> None:
    """An arm over the road and the lamp at its end."""
    inwards = -math.copysign(LAMP_OVERHANG_M, post.d_m)
    x0, y0, _ = brush.road.pose(post.s_m, post.d_m)
    x1, y1, _ = brush.road.pose(post.s_m, post.d_m + inwards)
    h = post.height_m
    arm = brush.view.polygon(
        np.array([[x0, y0, h - 0.1], [x1, y1, h + 0.12], [x1, y1, h + 0.2], [x0, y0, h]])
    )
    xh, yh, _ = brush.road.pose(post.s_m, post.d_m + 0.62 * inwards)
    head = brush.view.polygon(
        np.array([[xh, yh, h + 0.02], [x1, y1, h + 0.08], [x1, y1, h + 0.24], [xh, yh, h + 0.18]])
    )
    if arm is None or head is None:
        return
    depth = max(brush.view.depth(x1, y1), 1.0)
    glow: Rgb = (255, 226, 166) if brush.light.lamps_lit else (96, 98, 102)
    head_factor = (1.0, 1.0, 1.0) if brush.light.lamps_lit else factor
    brush.flat(
        [
            (arm, brush.shaded(STEEL, factor, depth)),
            (head, brush.shaded(glow, head_factor, depth)),
        ],
        classes.POLE,
    )


def _cross_bar(brush: Brush, post: Post, factor: Rgb) -> None:
    x0, y0, _ = brush.road.pose(post.s_m, post.d_m - 0.9)
    x1, y1, _ = brush.road.pose(post.s_m, post.d_m + 0.9)
    h = post.height_m - 0.5
    bar = brush.view.polygon(
        np.array([[x0, y0, h], [x1, y1, h], [x1, y1, h + 0.14], [x0, y0, h + 0.14]])
    )
    if bar is not None:
        colour = brush.shaded(WOOD, factor, max(brush.view.depth(x0, y0), 1.0), 0.9)
        brush.flat([(bar, colour)], classes.POLE)


def _plate(brush: Brush, place: Place, post: Post, factor: Rgb) -> None:
    """The sign faces the traffic that comes towards it; from behind it is grey."""
    faces_ego = post.d_m < 0.0 if post.kind == 'sign' else True
    index = len(_SIGNS) - 1
    if faces_ego:
        index = 0 if post.kind == 'crossing_sign' else 1 + post.look % (len(_SIGNS) - 2)
    cos, sin = math.cos(place.heading_rad), math.sin(place.heading_rad)
    half = 0.5 * SIGN_SIZE_M
    left = (place.x - sin * half - cos * 0.06, place.y + cos * half - sin * 0.06)
    right = (place.x + sin * half - cos * 0.06, place.y - cos * half - sin * 0.06)
    low, high = post.height_m - SIGN_SIZE_M, post.height_m
    corners = brush.view.polygon(
        np.array([[*left, low], [*right, low], [*right, high], [*left, high]])
    )
    if corners is None or len(corners) != 4:
        return
    bright = tuple(min(1.25, 1.15 * f + 0.1) for f in factor)
    _warp_picture(brush, corners, _sign_picture(index), (bright[0], bright[1], bright[2]), place)


def _warp_picture(
    brush: Brush, corners: Points, texture: Pyramid, factor: Rgb, place: Place
) -> None:
    """A cut-out picture on a small flat thing; its label follows its own outline."""
    width, height = brush.canvas.size_wh
    x0, y0 = (math.floor(v) for v in corners.min(axis=0))
    x1, y1 = (math.ceil(v) + 1 for v in corners.max(axis=0))
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        return
    size = max(y1 - y0, 1)
    level = min(max(round(math.log2(max(SIGN_PX / size, 1e-6))), 0), 6)
    picture = texture.level(level, level)
    side = picture.shape[0]
    source = np.array(
        [(-0.5, side - 0.5), (side - 0.5, side - 0.5), (side - 0.5, -0.5), (-0.5, -0.5)],
        dtype=np.float32,
    )
    matrix = cv2.getPerspectiveTransform((corners - (x0, y0)).astype(np.float32), source)
    drawn = cv2.warpPerspective(
        picture,
        matrix,
        (x1 - x0, y1 - y0),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    clear = brush.light.clearness(place.depth_m)
    tint = np.zeros((4, 4))
    tint[[0, 1, 2], [0, 1, 2]] = np.array(factor) * clear
    tint[:3, 3] = np.array(brush.light.haze) * (1.0 - clear) / 255.0
    tint[3, 3] = 1.0
    brush.canvas.paint(np.asarray(cv2.transform(drawn, tint)), x0, y0, classes.SIGN)


_SIGNS = ('crossing', 'limit', 'priority', 'no_entry', 'no_parking', 'warning', 'yield', 'back')
_RED = (196.0, 30.0, 36.0, 255.0)
_WHITE = (240.0, 240.0, 236.0, 255.0)
_BLUE = (28.0, 78.0, 168.0, 255.0)
_BLACK = (24.0, 24.0, 26.0, 255.0)
_YELLOW = (240.0, 190.0, 30.0, 255.0)
_GREY = (132.0, 134.0, 138.0, 255.0)


@lru_cache(maxsize=16)
def _sign_picture(index: int) -> Pyramid:
    side = SIGN_PX * 4
    board = np.zeros((side, side, 4), dtype=np.uint8)
    middle = (side // 2, side // 2)

    def disc(radius: float, colour: tuple[float, ...]) -> None:
        cv2.circle(board, middle, round(radius * side), colour, -1)

    def shape(points: list[tuple[float, float]], colour: tuple[float, ...]) -> None:
        pixels = np.round(np.array(points) * side).astype(np.int32)
        cv2.fillPoly(board, [pixels], colour)

    match _SIGNS[index]:
        case 'crossing':
            shape([(0.03, 0.03), (0.97, 0.03), (0.97, 0.97), (0.03, 0.97)], _WHITE)
            shape([(0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94)], _BLUE)
            shape([(0.5, 0.14), (0.88, 0.84), (0.12, 0.84)], _WHITE)
            shape([(0.48, 0.34), (0.56, 0.34), (0.66, 0.76), (0.58, 0.76)], _BLACK)
            shape([(0.46, 0.5), (0.54, 0.5), (0.42, 0.78), (0.34, 0.78)], _BLACK)
            cv2.circle(board, (round(0.52 * side), round(0.3 * side)), side // 22, _BLACK, -1)
        case 'limit':
            disc(0.48, _RED)
            disc(0.37, _WHITE)
            font = cv2.FONT_HERSHEY_DUPLEX
            cv2.putText(
                board,
                '50',
                (round(0.26 * side), round(0.63 * side)),
                font,
                side / 62,
                _BLACK,
                side // 20,
            )
        case 'priority':
            shape([(0.5, 0.02), (0.98, 0.5), (0.5, 0.98), (0.02, 0.5)], _WHITE)
            shape([(0.5, 0.14), (0.86, 0.5), (0.5, 0.86), (0.14, 0.5)], _YELLOW)
        case 'no_entry':
            disc(0.48, _RED)
            shape([(0.18, 0.42), (0.82, 0.42), (0.82, 0.58), (0.18, 0.58)], _WHITE)
        case 'no_parking':
            disc(0.48, _RED)
            disc(0.39, _BLUE)
            shape([(0.2, 0.14), (0.28, 0.1), (0.82, 0.86), (0.74, 0.9)], _RED)
        case 'warning':
            shape([(0.5, 0.03), (0.99, 0.9), (0.01, 0.9)], _RED)
            shape([(0.5, 0.22), (0.83, 0.81), (0.17, 0.81)], _WHITE)
            shape([(0.46, 0.4), (0.54, 0.4), (0.52, 0.66), (0.48, 0.66)], _BLACK)
        case 'yield':
            shape([(0.01, 0.08), (0.99, 0.08), (0.5, 0.95)], _RED)
            shape([(0.18, 0.18), (0.82, 0.18), (0.5, 0.75)], _WHITE)
        case _:
            disc(0.47, _GREY)
    picture = cv2.resize(board, (SIGN_PX, SIGN_PX), interpolation=cv2.INTER_AREA)
    return Pyramid(np.asarray(picture, dtype=np.uint8))


def fence_pieces(fence: Fence) -> list[tuple[float, float]]:
    """Where along the road the straight pieces of a fence begin and end."""
    count = max(1, math.ceil((fence.s1_m - fence.s0_m) / FENCE_PIECE_M))
    stations = np.linspace(fence.s0_m, fence.s1_m, count + 1).tolist()
    return list(pairwise(stations))


def paint_fence(brush: Brush, fence: Fence, piece: tuple[float, float]) -> None:
    """One piece of a fence."""
    x0, y0, heading = brush.road.pose(piece[0], fence.d_m)
    x1, y1, _ = brush.road.pose(piece[1], fence.d_m)
    normal = np.array([math.sin(heading), -math.cos(heading)]) * math.copysign(1.0, fence.d_m)
    facing = max(0.0, float(normal @ brush.sun[:2]))
    factor = brush.lit(brush.place(piece[0], fence.d_m), 0.25 + 0.7 * facing)
    high = fence.height_m
    corners = np.array([[x0, y0, 0.0], [x1, y1, 0.0], [x1, y1, high], [x0, y0, high]])
    length_m = piece[1] - piece[0]
    start = 0.5 * (round((piece[0] - fence.s0_m) / length_m) % 2)
    stop = start + length_m / FENCE_TEXTURE_M
    code = classes.TREE if fence.kind == 'hedge' else classes.FENCE
    window = (start, 0.0, stop, 1.0)
    brush.panel(corners, _fence_picture(fence.kind), window, factor, code, whole=True)


@lru_cache(maxsize=8)
def _fence_picture(kind: str) -> Pyramid:
    generator = np.random.default_rng([len(kind), 81])
    height = round(1.6 * FENCE_PX_PER_M)
    width = round(FENCE_TEXTURE_M * FENCE_PX_PER_M)
    shape = (height, width)
    fine = noise(shape, (height // 2, width // 2), generator)
    picture = np.zeros((height, width, 4), dtype=np.float32)
    picture[..., 3] = 255.0
    if kind == 'wood':
        plank = 6
        tone = generator.normal(1.0, 0.08, width // plank + 1)[np.arange(width) // plank]
        grain = noise(shape, (4, width), generator)
        grey = tone[None, :] * (1.0 + 0.07 * grain)
        grey[:, ::plank] *= 0.5
        picture[..., :3] = grey[..., None] * np.array([138.0, 104.0, 72.0])
        rail = round(0.2 * height)
        for row in (rail, height - rail):
            picture[row - 2 : row + 2, :, :3] *= 0.72
    elif kind == 'railing':
        picture[..., 3] = 0.0
        colour = np.array([62.0, 72.0, 70.0])
        picture[..., :3] = colour
        picture[:, ::5, 3] = 255.0
        picture[:, 1::5, 3] = 255.0
        for row in (2, height - 8):
            picture[row : row + 4, :, 3] = 255.0
        picture[:, :: round(2.0 * FENCE_PX_PER_M), 3] = 255.0
    elif kind == 'wall':
        grey = 1.0 + 0.06 * fine + 0.06 * noise(shape, (8, width // 8), generator)
        grey[::8] *= 0.82
        grey[:4] *= 1.15
        picture[..., :3] = grey[..., None] * np.array([166.0, 156.0, 142.0])
    elif kind == 'guard_rail':
        picture[..., 3] = 0.0
        picture[..., :3] = np.array([140.0, 144.0, 148.0])
        post = round(2.0 * FENCE_PX_PER_M)
        for column in range(4):  # posts are darker than the rail in front of them
            picture[:, column::post, :3] = 96.0
            picture[:, column::post, 3] = 255.0
        top, low = round(0.05 * height), round(0.5 * height)
        waves = np.sin(np.linspace(0.0, 4.0 * math.pi, low - top))  # the W of its section
        rail = (1.0 + 0.3 * waves)[:, None] * (1.0 + 0.04 * fine[top:low])
        picture[top:low, :, :3] = rail[..., None] * np.array([158.0, 162.0, 166.0])
        picture[top:low, :, 3] = 255.0
    elif kind == 'concrete':
        grey = 1.0 + 0.05 * fine + 0.08 * noise(shape, (6, width // 16), generator)
        grey *= np.where(np.arange(height) < 0.6 * height, 1.0, 1.12)[:, None]  # its foot slopes
        grey[:, :: round(4.0 * FENCE_PX_PER_M)] *= 0.6  # joints
        picture[..., :3] = grey[..., None] * np.array([172.0, 170.0, 164.0])
    else:
        clumps = noise(shape, (height // 7, width // 7), generator)
        grey = 0.85 + 0.2 * fine + 0.16 * clumps
        grey *= np.linspace(1.15, 0.6, height)[:, None]
        picture[..., :3] = grey[..., None] * np.array([66.0, 92.0, 44.0])
        fringe = (2.5 + 1.6 * noise((1, width), (1, width // 4), generator)[0]).astype(np.int64)
        rows = np.arange(height)[:, None]
        picture[..., 3] = np.where(rows < fringe[None, :], 0.0, 255.0)
    return Pyramid(np.clip(picture, 0, 255).astype(np.uint8))
