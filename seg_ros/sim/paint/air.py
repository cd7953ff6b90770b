# SPDX-License-Identifier: Apache-2.0
"""What lies between the scene and the finished picture: glow, wetness, rain, the sensor."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.sim import classes
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.paint.brush import Brush, Rgb
from seg_ros.sim.paint.textures import noise
from seg_ros.sim.paint.weather import Light

__all__ = ['Sensor', 'Wetness', 'add_glow']

GLOW_SIDE = 128
STREAK_GROWTH = 192
NOISE_GROWTH = 96

RgbImage = NDArray[np.uint8]


@lru_cache(maxsize=2)
def _glow_picture() -> NDArray[np.float32]:
    place = (np.arange(GLOW_SIDE) + 0.5) / GLOW_SIDE * 2.0 - 1.0
    distance = np.hypot(place[:, None], place[None, :])
    glow = 0.75 * np.exp(-((distance / 0.16) ** 2)) + 0.3 * np.exp(-distance / 0.22)
    return (np.clip(glow, 0, 1) * np.clip(1.2 - 1.2 * distance, 0, 1)).astype(np.float32)


def add_glow(
    brush: Brush, x: float, y: float, z: float, radius_m: float, colour: Rgb, *, mirrored: bool
) -> None:
    """Light that spreads around a lamp; on a wet road also its mirror image, drawn out."""
    view = brush.view
    u, v, depth = view.pixel(x, y, z)
    if depth < 1.0:
        return
    clear = brush.light.clearness(depth)
    radius_px = radius_m * view.focal_px / depth + 2.0
    colour = (colour[0] * clear, colour[1] * clear, colour[2] * clear)
    if _is_hidden(brush, u, v):
        return
    _spread(brush, u, v, radius_px, radius_px, colour)
    if mirrored:
        um, vm, _ = view.pixel(x, y, -z)
        tall = radius_px * 2.6
        dim = (0.42 * colour[0], 0.42 * colour[1], 0.42 * colour[2])
        _spread(brush, um, vm, 0.5 * radius_px, tall, dim)


def _is_hidden(brush: Brush, u: float, v: float) -> bool:
    column, row = round(u), round(v)
    width, height = brush.canvas.size_wh
    if not (0 <= column < width and 0 <= row < height):
        return False
    return int(brush.canvas.codes[row, column]) in {classes.BUILDING, classes.TREE}


def _spread(brush: Brush, u: float, v: float, wide: float, tall: float, colour: Rgb) -> None:
    width, height = brush.canvas.size_wh
    x0, y0 = round(u - wide), round(v - tall)
    w, h = max(2, round(2 * wide)), max(2, round(2 * tall))
    if x0 >= width or y0 >= height or x0 + w <= 0 or y0 + h <= 0 or w > 2 * width:
        return
    glow = cv2.resize(_glow_picture(), (w, h), interpolation=cv2.INTER_AREA)
    light = glow[..., None] * np.array(colour, dtype=np.float32)
    brush.canvas.add_light(np.minimum(light, 255.0).astype(np.uint8), x0, y0)


class Wetness:
    """The mirror image in a wet road: blurred along the image's rows' normal, and patchy."""

    def __init__(
        self, config: SceneConfig, distance_m: NDArray[np.float64], first_row: int
    ) -> None:
        self._first_row = first_row
        rows = distance_m.shape[0]
        width = config.size_wh[0]
        generator = np.random.default_rng([config.seed, 93])
        grazing = np.clip(distance_m / 40.0, 0.0, 1.0) ** 0.7
        patches = noise((max(rows, 8), width), (24, 6), generator)[:rows]
        share = (0.10 + 0.42 * grazing) * np.clip(1.0 + 0.3 * patches, 0.3, 1.5)
        mirrored_rows = min(rows, first_row)
        fade = np.clip((mirrored_rows - np.arange(rows)) / 50.0, 0.0, 1.0)[:, None]
        self._share = (np.clip(share, 0.0, 0.75) * fade).astype(np.float32)

    def paint(self, image: RgbImage, codes: NDArray[np.uint8]) -> None:
        first = self._first_row
        rows = min(self._share.shape[0], first)
        if rows < 8:
            return
        above = image[first - rows : first][::-1]
        small = cv2.resize(
            above, (above.shape[1] // 4, max(2, rows // 4)), interpolation=cv2.INTER_AREA
        )
        small = cv2.blur(small, (3, 13))
        mirror = cv2.resize(small, (above.shape[1], rows), interpolation=cv2.INTER_LINEAR)
        part = image[first : first + rows]
        labels = codes[first : first + rows]
        wet = (labels == classes.ROAD) | (labels == classes.LANE_MARKING)
        share = self._share[:rows] * wet
        share3 = cv2.cvtColor(share, cv2.COLOR_GRAY2RGB)
        mixed = part + (mirror.astype(np.float32) - part) * share3
        part[:] = cv2.convertScaleAbs(mixed)


class Sensor:
    """Rain in the air, and the camera's own blur and noise; all drawn from seed and frame."""

    def __init__(self, config: SceneConfig, light: Light) -> None:
        self._seed = config.seed
        self._size_wh = config.size_wh
        self._light = light
        width, height = config.size_wh
        generator = np.random.default_rng([config.seed, 95])
        shape = (height + NOISE_GROWTH, width + NOISE_GROWTH, 3)
        grey = generator.standard_normal(shape[:2], dtype=np.float32)
        grain = generator.standard_normal(shape, dtype=np.float32)
        grain = np.float32(light.noise) * (0.5 * grain + 0.8 * grey[..., None])
        self._brighter = np.clip(np.round(grain), 0, 255).astype(np.uint8)
        self._darker = np.clip(np.round(-grain), 0, 255).astype(np.uint8)
        self._streaks = _streaks(config, light) if light.rain > 0.0 else None
        self._tone = _tone(generator)

    def expose(self, image: RgbImage, frame: int) -> RgbImage:
        """The finished picture."""
        generator = np.random.default_rng([self._seed, frame, 97])
        width, height = self._size_wh
        if self._streaks is not None:
            x, y = (int(v) for v in generator.integers(0, STREAK_GROWTH, 2))
            image = cv2.add(image, self._streaks[y : y + height, x : x + width])
            image = cv2.GaussianBlur(image, (3, 3), 0.7)
        else:
            image = cv2.GaussianBlur(image, (3, 3), 0.45)
        image = cv2.LUT(image, self._tone)
        x, y = (int(v) for v in generator.integers(0, NOISE_GROWTH, 2))
        image = cv2.add(image, self._brighter[y : y + height, x : x + width])
        image = cv2.subtract(image, self._darker[y : y + height, x : x + width])
        return np.asarray(image, dtype=np.uint8)


def _tone(generator: np.random.Generator) -> NDArray[np.uint8]:
    """``(256, 1, 3)``: exposure, contrast and white balance of this camera."""
    exposure = float(generator.uniform(0.9, 1.12))
    gamma = float(generator.uniform(0.9, 1.1))
    balance = generator.uniform(0.965, 1.035, 3)
    level = np.linspace(0.0, 1.0, 256)[:, None] ** gamma
    tone = 255.0 * exposure * level * balance
    return np.clip(np.rint(tone), 0, 255).astype(np.uint8).reshape(256, 1, 3)


def _streaks(config: SceneConfig, light: Light) -> RgbImage:
    width, height = config.size_wh
    shape = (height + STREAK_GROWTH, width + STREAK_GROWTH)
    generator = np.random.default_rng([config.seed, 99])
    board = np.zeros(shape, dtype=np.uint8)
    strength = 26.0 if max(light.ambient) > 0.4 else 16.0
    for _ in range(round(900 * light.rain * shape[0] * shape[1] / 460000)):
        x, y = int(generator.integers(shape[1])), int(generator.integers(shape[0]))
        length = int(generator.integers(6, 34))
        value = strength * float(generator.uniform(0.3, 1.0))
        cv2.line(board, (x, y), (x - length // 7, y + length), value, 1, cv2.LINE_AA)
    return np.asarray(cv2.cvtColor(board, cv2.COLOR_GRAY2RGB))
