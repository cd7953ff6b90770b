# SPDX-License-Identifier: Apache-2.0
"""Clips of still scenes: a camera that gets stuck, and light that is hard but shows the road.

A clip is what a camera on a vehicle gives: it comes nearer by 1 % a second, shakes by a pixel, and
has noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbImage

__all__ = ['HARD', 'HARD_NS', 'STUCK', 'STUCK_FROM_NS', 'hard_clip', 'moving', 'stuck_clip',
           'with_noise']  # fmt: skip

FloatImage = NDArray[np.float32]
Random = np.random.Generator

SENSOR_NOISE = 1.0  # grey levels, so that no two frames of a still scene are the same
ZOOM_PER_S = 0.01
SHAKE_PX = 1.0
STUCK_STEP_NS = 100_000_000
STUCK_FROM_NS = 4 * STUCK_STEP_NS  # the first frame that was there before
HARD_NS = tuple(200_000_000 * index for index in range(11))


def moving(picture: RgbImage, seconds: float, random: Random) -> RgbImage:
    """Returns the frame of a clip at this time."""
    height, width = picture.shape[:2]
    zoom = 1.0 + ZOOM_PER_S * seconds
    shake_x, shake_y = random.uniform(-SHAKE_PX, SHAKE_PX, 2).tolist()
    move = np.array([
        [zoom, 0.0, 0.5 * (1.0 - zoom) * width + shake_x],
        [0.0, zoom, 0.5 * (1.0 - zoom) * height + shake_y],
    ])  # fmt: skip
    return with_noise(
        cv2.warpAffine(picture, move, (width, height), borderMode=cv2.BORDER_REFLECT), random
    )


def with_noise(picture: NDArray[np.generic], random: Random) -> RgbImage:
    """Returns the picture with the noise of a sensor."""
    noise = random.normal(0.0, SENSOR_NOISE, picture.shape)
    return np.asarray(np.clip(picture + noise, 0.0, 255.0), np.uint8)


# A camera that gets stuck: the frame at an index, of those that were new before

Stuck = Callable[[list[RgbImage], int, RgbImage], RgbImage]


def _ring(length: int) -> Stuck:
    return lambda old, index, new: old[index % length]  # noqa: ARG005


def _half(rows: slice, columns: slice) -> Stuck:
    def stuck(old: list[RgbImage], index: int, new: RgbImage) -> RgbImage:  # noqa: ARG001
        height, width = new.shape[:2]
        frame = new.copy()
        part = (
            slice(int(rows.start * height), int(rows.stop * height)),
            slice(int(columns.start * width), int(columns.stop * width)),
        )
        frame[part] = old[0][part]
        return frame

    return stuck


WHOLE = slice(0.0, 1.0)
STUCK: Mapping[str, Mapping[str, Stuck]] = {
    'stuck ring': {'1 frame': _ring(1), '2 frames': _ring(2), '4 frames': _ring(4)},
    'stuck region': {
        'lower half': _half(slice(0.5, 1.0), WHOLE),
        'left half': _half(WHOLE, slice(0.0, 0.5)),
        'right half': _half(WHOLE, slice(0.5, 1.0)),
    },
}
"""By family and strength."""


def stuck_clip(picture: RgbImage, stuck: Stuck, random: Random) -> Iterator[tuple[int, RgbImage]]:
    """Yields stamps and frames of a camera at 10 Hz that is stuck from ``STUCK_FROM_NS`` on."""
    old: list[RgbImage] = []
    for index, stamp_ns in enumerate(range(0, STUCK_FROM_NS + 1_500_000_000, STUCK_STEP_NS)):
        new = moving(picture, stamp_ns / 1e9, random)
        if stamp_ns < STUCK_FROM_NS:
            old.append(new)
        yield stamp_ns, new if stamp_ns < STUCK_FROM_NS else stuck(old, index, new)


# Light that is hard: a picture of floats at a time of a clip of two seconds

Hard = Callable[[FloatImage, float, Random], FloatImage]


def _exposed(image: FloatImage, gain: float, settled: float, seconds: float) -> FloatImage:
    """At 0.4 s the light changes, and the exposure follows within half a second."""
    if seconds < 0.4:
        return image
    return np.asarray(image * (settled + (gain - settled) * math.exp(-(seconds - 0.4) / 0.3)))


def _tunnel_entry(image: FloatImage, seconds: float, random: Random) -> FloatImage:  # noqa: ARG001
    return _exposed(image, 0.25, 0.7, seconds)


def _tunnel_exit(image: FloatImage, seconds: float, random: Random) -> FloatImage:  # noqa: ARG001
    return _exposed(image * 0.7, 2.2, 1.2, seconds)


def _low_sun(image: FloatImage, seconds: float, random: Random) -> FloatImage:  # noqa: ARG001
    """Above the road, beside the zone, with its veil over that side of the picture."""
    return _with_lights(image * 0.9, [(0.15, 0.3, 400.0, 0.13)])


def _headlights(image: FloatImage, seconds: float, random: Random) -> FloatImage:  # noqa: ARG001
    """Night: the own lights on the road, two of somebody who comes towards us."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    own = 0.2 + 0.5 * np.exp(-(((x / width - 0.5) / 0.3) ** 2) - ((y / height - 0.8) / 0.3) ** 2)
    near = 0.02 + 0.01 * seconds
    lights = [(0.36 - near, 0.52, 300.0, 0.012), (0.36 + near, 0.52, 300.0, 0.012),
              (0.36, 0.52, 40.0, 0.08)]  # fmt: skip
    return _with_lights(image * own[..., None], lights)


def _rolling_shutter(image: FloatImage, seconds: float, random: Random) -> FloatImage:  # noqa: ARG001
    """In a bend the rows are read one after the other: upright things lean by 4 degrees."""
    height, width = image.shape[:2]
    lean = 0.07 * math.sin(3.0 * seconds)
    move = np.array([[1.0, lean, -0.5 * lean * height], [0.0, 1.0, 0.0]])
    return np.asarray(
        cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT), np.float32
    )


def _rain(image: FloatImage, seconds: float, random: Random) -> FloatImage:  # noqa: ARG001
    """Drops on the glass, each with the world upside down in it, and the road between them."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    drops = np.random.default_rng(7)  # they stay where they are
    for _ in range(70):
        centre = int(drops.integers(0, width)), int(drops.integers(0, height))
        cv2.circle(mask, centre, int(width * drops.uniform(0.004, 0.015)), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.5)[..., None]
    blurred = cv2.GaussianBlur(image, (0, 0), width / 80.0)
    drop = 0.6 * blurred + 0.4 * blurred[::-1]
    return np.asarray(image * (1.0 - mask) + drop * mask)


def _with_lights(image: FloatImage, lights: list[tuple[float, float, float, float]]) -> FloatImage:
    """Adds lights: u, v, grey levels in the middle, radius as a share of the width."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for u, v, peak, radius in lights:
        away = np.hypot(x - u * width, y - v * height) / (radius * width)
        image = image + (peak * np.exp(-away))[..., None]
    return np.asarray(image, np.float32)


HARD: Mapping[str, Hard] = {
    'tunnel entry': _tunnel_entry,
    'tunnel exit': _tunnel_exit,
    'low sun': _low_sun,
    'headlights': _headlights,
    'rolling shutter': _rolling_shutter,
    'rain on glass': _rain,
}
"""What a camera must see through."""


def hard_clip(picture: RgbImage, hard: Hard, random: Random) -> Iterator[tuple[int, RgbImage]]:
    """Yields stamps and frames of two seconds in hard light."""
    for stamp_ns in HARD_NS:
        frame = moving(picture, stamp_ns / 1e9, random).astype(np.float32)
        lit = hard(frame, stamp_ns / 1e9, random)
        yield stamp_ns, with_noise(np.clip(lit, 0.0, 255.0), random)
