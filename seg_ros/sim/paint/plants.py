# SPDX-License-Identifier: Apache-2.0
"""Trees and hedges: foliage as pictures that face the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.sim import classes
from seg_ros.sim.paint.brush import Brush, Pyramid, Rgb
from seg_ros.sim.scenery import Tree

__all__ = ['CROWN_RADIUS', 'crown_height', 'paint_tree']

HEIGHT_PX = 352
ASPECT = 0.8  # width of the picture against its height
OVERSAMPLING = 2
CROWN_RADIUS = 0.34  # of the height of the tree
VARIANTS = 4

Points = NDArray[np.float64]


@dataclass(frozen=True)
class _Kind:
    """A kind of tree; lengths are shares of its height."""

    name: str
    dark: Rgb
    light: Rgb
    bark: Rgb
    crown_low: float
    crown_wide: float


_KINDS = (
    _Kind('lime', (30, 50, 22), (116, 146, 58), (72, 58, 46), 0.27, 0.36),
    _Kind('maple', (36, 48, 20), (142, 150, 62), (84, 72, 60), 0.3, 0.38),
    _Kind('plane', (34, 58, 30), (128, 160, 82), (122, 114, 96), 0.34, 0.37),
    _Kind('poplar', (30, 52, 26), (104, 136, 62), (86, 78, 66), 0.14, 0.17),
    _Kind('spruce', (20, 38, 26), (70, 98, 60), (66, 50, 40), 0.08, 0.26),
)
_COUNTS = {'city': 3, 'country': 5}


def crown_height(tree: Tree) -> float:
    """Middle of the crown above the ground, metres."""
    return 0.64 * tree.height_m


def paint_tree(brush: Brush, tree: Tree, *, street: bool) -> None:
    """A tree, lit from the side where the sun is."""
    place = brush.place(tree.s_m, tree.d_m)
    if place.depth_m < 0.8:
        return
    kinds = _COUNTS['city'] if street else _COUNTS['country']
    texture = _tree_picture(tree.look % kinds, (tree.look // 8) % VARIANTS)
    # The picture is lit from the left.
    left = brush.view.rotation[0] @ brush.sun
    share = 0.4 + 0.6 * brush.sun_share(place)
    factor = brush.lit(place, facing=0.85 * share)
    size_m = (ASPECT * tree.height_m, tree.height_m)
    brush.picture(texture, place, size_m, factor, classes.TREE, mirrored=bool(left > 0.0))


@lru_cache(maxsize=32)
def _tree_picture(kind_index: int, variant: int) -> Pyramid:
    """``(HEIGHT_PX, width, 4)`` colours multiplied by alpha, lit from the upper left."""
    kind = _KINDS[kind_index]
    generator = np.random.default_rng([kind_index, variant, 61])
    h = HEIGHT_PX * OVERSAMPLING
    w = round(h * ASPECT)
    board = np.zeros((h, w, 4), dtype=np.uint8)
    _trunk(board, kind, generator)
    leaves = _leaves(kind, generator)
    centres = np.rint(leaves[:, :2] * (h, -h) + (0.5 * w, h)).astype(np.int64).tolist()
    wide = np.maximum(np.rint(leaves[:, 2] * h), 1).astype(np.int64).tolist()
    angles = generator.uniform(-60.0, 60.0, len(leaves)).tolist()
    dark, light = np.array(kind.dark), np.array(kind.light)
    colours = np.full((len(leaves), 4), 255.0)
    colours[:, :3] = dark + (light - dark) * leaves[:, 3:4]
    for centre, radius, angle, colour in zip(centres, wide, angles, colours.tolist(), strict=True):
        axes = (radius, max(1, round(0.62 * radius)))
        cv2.ellipse(board, centre, axes, angle, 0.0, 360.0, colour, -1)
    picture = cv2.resize(
        board, (round(HEIGHT_PX * ASPECT), HEIGHT_PX), interpolation=cv2.INTER_AREA
    )
    return Pyramid(np.asarray(picture, dtype=np.uint8))


def _trunk(board: NDArray[np.uint8], kind: _Kind, generator: np.random.Generator) -> None:
    h, w = board.shape[:2]
    top = kind.crown_low + 0.35
    for width, shift, tone in ((0.021, 0.0, 0.7), (0.014, -0.005, 1.0), (0.005, -0.009, 1.25)):
        colour = [min(255.0, c * tone) for c in kind.bark]
        points = [
            (-1.25 * width + shift, 0.0),
            (1.25 * width + shift, 0.0),
            (0.55 * width + shift, top),
            (-0.55 * width + shift, top),
        ]
        pixels = np.array([(0.5 * w + x * h, (1.0 - y) * h) for x, y in points])
        cv2.fillPoly(board, [np.round(pixels).astype(np.int32)], (*colour, 255.0))
    for _ in range(7):
        start = float(generator.uniform(kind.crown_low - 0.03, kind.crown_low + 0.25))
        angle = float(generator.uniform(0.35, 1.0)) * float(generator.choice([-1.0, 1.0]))
        reach = float(generator.uniform(0.1, 0.24)) * kind.crown_wide / 0.36
        end = (0.5 * w + math.sin(angle) * reach * h, (1 - start - math.cos(angle) * reach) * h)
        colour = [0.75 * c for c in kind.bark]
        cv2.line(
            board,
            (round(0.5 * w), round((1 - start) * h)),
            (round(end[0]), round(end[1])),
            (*colour, 255.0),
            max(1, round(0.009 * h)),
        )


def _leaves(kind: _Kind, generator: np.random.Generator) -> NDArray[np.float64]:
    """``(N, 5)``: x, y, radius, brightness, distance; the hidden ones first."""
    clumps = _clumps(kind, generator)
    parts = []
    for cx, cy, cz, radius in clumps:
        count = int(150 * (radius / 0.1) ** 2) + 24
        direction = generator.standard_normal((count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        reach = radius * generator.uniform(0.55, 1.05, count)
        x = cx + direction[:, 0] * reach
        y = cy + 0.85 * direction[:, 1] * reach
        z = cz + direction[:, 2] * reach
        towards_light = -0.5 * direction[:, 0] + 0.75 * direction[:, 1] - 0.35 * direction[:, 2]
        whole = -0.8 * cx + 1.1 * (cy - 0.62)
        brightness = 0.42 + 0.34 * towards_light + 0.5 * whole
        brightness += generator.normal(0.0, 0.11, count)
        size = generator.uniform(0.006, 0.0115, count)
        parts.append(np.column_stack([x, y, size, np.clip(brightness, 0.0, 1.0), z]))
    leaves = np.concatenate(parts)
    order = np.argsort(-leaves[:, 4], kind='stable')
    return leaves[order]


def _clumps(
    kind: _Kind, generator: np.random.Generator
) -> list[tuple[float, float, float, float]]:
    """Balls of leaves: x, y, z (away from the camera) and radius."""
    low, high = kind.crown_low, 0.965
    clumps = []
    if kind.name == 'spruce':
        for level in np.linspace(low + 0.03, high - 0.02, 16):
            reach = kind.crown_wide * (1.0 - (level - low) / (high - low)) ** 0.9 + 0.012
            for angle in generator.uniform(0.0, 2 * np.pi, 7):
                out = reach * float(generator.uniform(0.5, 0.95))
                clumps.append(
                    (
                        out * math.cos(angle),
                        float(level) - 0.25 * out,
                        out * math.sin(angle),
                        0.045,
                    )
                )
        return clumps
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    count = 34 if kind.name == 'poplar' else 40
    for _ in range(count):
        while True:
            x, y, z = generator.uniform(-1.0, 1.0, 3)
            if 0.25 < x * x + y * y + z * z < 1.0:
                break
        radius = float(generator.uniform(0.05, 0.1)) * (0.62 if kind.name == 'poplar' else 1.0)
        clumps.append(
            (
                x * (kind.crown_wide - 0.8 * radius),
                middle + y * (half - 0.8 * radius),
                z * (kind.crown_wide - 0.8 * radius),
                radius,
            )
        )
    return clumps
