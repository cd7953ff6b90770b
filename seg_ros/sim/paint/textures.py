# SPDX-License-Identifier: Apache-2.0
"""Surfaces, painted by arithmetic: noise, the strip of road, facades, foliage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.sim.profile import RoadProfile

__all__ = ['STRIP_HALF_WIDTH_M', 'STRIP_LENGTH_M', 'STRIP_STEP_M', 'noise', 'road_strip_level']

STRIP_STEP_M = 0.05
STRIP_LENGTH_M = 64.0
STRIP_HALF_WIDTH_M = 32.0

FloatImage = NDArray[np.float32]


def noise(
    shape_hw: tuple[int, int], cells_hw: tuple[int, int], generator: np.random.Generator
) -> FloatImage:
    """Smooth noise with zero mean and about unit deviation that repeats in both directions."""
    grid = generator.standard_normal(cells_hw).astype(np.float32)
    margin = 2
    padded = np.pad(grid, margin, mode='wrap')
    step_y, step_x = shape_hw[0] / cells_hw[0], shape_hw[1] / cells_hw[1]
    y = ((np.arange(shape_hw[0]) + 0.5) / step_y - 0.5 + margin).astype(np.float32)
    x = ((np.arange(shape_hw[1]) + 0.5) / step_x - 0.5 + margin).astype(np.float32)
    map_x, map_y = np.meshgrid(x, y)
    return np.asarray(cv2.remap(padded, map_x, map_y, cv2.INTER_CUBIC), dtype=np.float32)


@lru_cache(maxsize=64)
def road_strip_level(
    profile: RoadProfile, *, country: bool, seed: int, along: int, across: int
) -> NDArray[np.uint8]:
    """``road_strip`` halved so many times in either direction.

    One more row at each end, so that reading over the end of the strip needs no wrapping.
    """
    strip = road_strip(profile, country=country, seed=seed)
    rows = max(8, strip.shape[0] >> along)
    columns = max(8, strip.shape[1] >> across)
    level = cv2.resize(strip, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.concatenate([level[-1:], level, level[:1]])


@lru_cache(maxsize=4)
def road_strip(profile: RoadProfile, *, country: bool, seed: int) -> NDArray[np.uint8]:
    """The ground along the road without its markings.

    Args:
        profile: What lies where.
        country: Grass and gravel instead of slabs.
        seed: Chooses asphalt and paving.

    Returns:
        ``(rows, columns, 3)``: rows along the road, one ``STRIP_LENGTH_M`` that repeats; columns
        across it from ``d = -STRIP_HALF_WIDTH_M``; one texel is ``STRIP_STEP_M`` wide. Shared,
        not to be written to.
    """
    generator = np.random.default_rng([seed, 101])
    rows = round(STRIP_LENGTH_M / STRIP_STEP_M)
    columns = round(2 * STRIP_HALF_WIDTH_M / STRIP_STEP_M)
    shape = (rows, columns)
    d = np.asarray((np.arange(columns) + 0.5) * STRIP_STEP_M - STRIP_HALF_WIDTH_M, np.float64)
    strip = _grass(shape, generator)
    paving = _GRAVEL if country else _PAVINGS[seed % len(_PAVINGS)]
    for sign in (1, -1):
        side = profile.side(sign)
        out = d * sign
        on_pavement = (out >= side.pavement_from_m) & (out < side.pavement_to_m)
        if on_pavement.any():
            width = int(on_pavement.sum())
            strip[:, on_pavement] = _pavement((rows, width), generator, paving)
        if side.kerb_m:
            on_kerb = (out >= side.asphalt_m) & (out < side.asphalt_m + side.kerb_m)
            strip[:, on_kerb] = _kerb((rows, int(on_kerb.sum())), generator)
    on_asphalt = (d <= profile.left.asphalt_m) & (d >= -profile.right.asphalt_m)
    width = int(on_asphalt.sum())
    asphalt = _asphalt((rows, width), d[on_asphalt], profile, generator)
    strip[:, on_asphalt] = _tint(asphalt, _ASPHALTS[seed % len(_ASPHALTS)])
    return np.clip(strip, 0, 255).astype(np.uint8)


def _tint(grey: FloatImage, colour: tuple[float, float, float]) -> FloatImage:
    return np.asarray(grey[..., None] * np.array(colour, dtype=np.float32), dtype=np.float32)


def _grass(shape: tuple[int, int], generator: np.random.Generator) -> FloatImage:
    fine = noise(shape, (shape[0] // 2, shape[1] // 2), generator)
    clumps = noise(shape, (shape[0] // 10, shape[1] // 10), generator)
    patches = noise(shape, (10, 10), generator)
    brightness = 1.0 + 0.16 * fine + 0.12 * clumps + 0.10 * patches
    green = _tint(brightness, (84.0, 104.0, 56.0))
    straw = _tint(brightness, (132.0, 124.0, 78.0))
    dry = np.clip(0.25 + 0.3 * patches + 0.15 * clumps, 0.0, 1.0)[..., None]
    return np.asarray(green * (1.0 - dry) + straw * dry, dtype=np.float32)


@dataclass(frozen=True)
class _Paving:
    """What pavements are made of.

    Attributes:
        colour: Middle of its shades.
        slab: Texels from joint to joint across and along, 0 without joints.
        joint: How bright the joints are.
    """

    colour: tuple[float, float, float]
    slab: tuple[int, int]
    joint: float


_PAVINGS = (
    _Paving((164.0, 158.0, 149.0), (10, 10), 0.79),
    _Paving((158.0, 120.0, 102.0), (4, 2), 0.86),
    _Paving((146.0, 146.0, 146.0), (6, 6), 0.82),
    _Paving((142.0, 140.0, 138.0), (0, 0), 1.0),
)
_GRAVEL = _Paving((150.0, 138.0, 118.0), (0, 0), 1.0)
_ASPHALTS = (
    (112.0, 112.0, 114.0),
    (96.0, 97.0, 101.0),
    (124.0, 121.0, 116.0),
    (104.0, 104.0, 103.0),
)


def _pavement(
    shape: tuple[int, int], generator: np.random.Generator, paving: _Paving
) -> FloatImage:
    fine = noise(shape, (shape[0] // 2, max(2, shape[1] // 2)), generator)
    broad = noise(shape, (16, 2), generator)
    grey = 1.0 + 0.05 * fine + 0.05 * broad
    wide, long = paving.slab
    if not wide:
        return _tint(grey + 0.05 * fine, paving.colour)
    rows, columns = np.arange(shape[0]), np.arange(shape[1])
    row_of = rows // long
    shifted = columns[None, :] + (row_of[:, None] % 2) * (wide // 2)
    tones = generator.standard_normal((shape[0] // long + 1, shape[1] // wide + 2))
    grey += 0.06 * tones[row_of[:, None], shifted // wide].astype(np.float32)
    grey[rows % long == 0] *= paving.joint
    grey[shifted % wide == 0] *= paving.joint
    return _tint(grey, paving.colour)


def _kerb(shape: tuple[int, int], generator: np.random.Generator) -> FloatImage:
    grey = 1.0 + 0.05 * noise(shape, (shape[0] // 2, 2), generator)
    grey[:: round(1.0 / STRIP_STEP_M)] *= 0.65
    return _tint(grey, (184.0, 181.0, 175.0))


def _asphalt(
    shape: tuple[int, int],
    d: NDArray[np.float64],
    profile: RoadProfile,
    generator: np.random.Generator,
) -> FloatImage:
    rows, columns = shape
    fine = noise(shape, (rows, columns), generator)
    medium = noise(shape, (rows // 5, columns // 5), generator)
    broad = noise(shape, (12, 4), generator)
    grey = 1.0 + 0.035 * fine + 0.02 * medium + 0.05 * broad
    lane_m = profile.lane_width_m
    across = np.abs(np.mod(d, lane_m) - 0.5 * lane_m)
    tracks = np.exp(-(((across - 0.78) / 0.28) ** 2))
    oil = np.exp(-((across / 0.3) ** 2))
    on_lanes = np.abs(d) < profile.half_road_m
    wear = np.where(on_lanes, 0.07 * tracks - 0.05 * oil, -0.04).astype(np.float32)
    streaks = 1.0 + 0.5 * noise(shape, (16, columns // 6 + 2), generator)
    grey += wear[None, :] * streaks
    canvas = np.ascontiguousarray(grey, dtype=np.float32)
    for _ in range(7):
        y, x = int(generator.integers(rows)), int(generator.integers(columns))
        h, w = int(generator.integers(20, 140)), int(generator.integers(12, 45))
        patch = canvas[y : y + h, x : x + w]
        patch *= float(generator.uniform(0.78, 0.92))
        if patch.size:
            cv2.rectangle(canvas, (x, y), (x + w, y + h), 0.62, 1)
    for _ in range(16):
        steps = generator.normal(0.0, 2.4, (30, 2)) + generator.normal(0.0, 3.0, 2)
        path = np.cumsum(steps, axis=0) + generator.uniform((0, 0), (columns, rows))
        cv2.polylines(canvas, [np.round(path).astype(np.int32)], False, 0.66, 1)
    for _ in range(3):
        y = int(generator.integers(20, rows - 20))
        x = int(columns / 2 + generator.choice([-1, 1]) * lane_m * 0.5 / STRIP_STEP_M)
        cv2.circle(canvas, (x, y), 7, 0.62, -1)
        cv2.circle(canvas, (x, y), 7, 0.48, 1)
    edge = round(0.25 / STRIP_STEP_M)
    canvas[:, :edge] *= 0.86
    canvas[:, -edge:] *= 0.86
    return canvas
