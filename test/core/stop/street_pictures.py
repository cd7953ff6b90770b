# SPDX-License-Identifier: Apache-2.0
"""Pictures of a street, with the noise of a camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from test.people_scene import SIZE_WH

__all__ = ['Picture', 'street', 'with_noise']

Picture = NDArray[np.uint8]


def street(seed: int = 0) -> Picture:
    """Boxes of many sizes and shades in the upper half, a road with marks in the lower one."""
    random = np.random.default_rng(seed)
    picture = np.full((*SIZE_WH[::-1], 3), 95, np.uint8)
    picture[:180] = 150
    # The road is darker the farther it is: no ground is of one shade
    picture[180:] = np.linspace(91.0, 101.0, 180)[:, None, None]
    for _ in range(120):
        x, y = random.integers(0, 600), random.integers(0, 160)
        end = (int(x + random.integers(5, 60)), int(y + random.integers(5, 60)))
        # Light falls on all colours alike: a thing is bright or dark, and has a tint
        colour = random.integers(0, 255) + random.integers(-30, 31, 3)
        cv2.rectangle(picture, (int(x), int(y)), end, colour.clip(0, 255).tolist(), -1)
    for _ in range(60):
        x, y = random.integers(0, 640), random.integers(190, 350)
        cv2.line(picture, (int(x), int(y)), (int(x) + 12, int(y) + 5), (160, 160, 150), 1)
    # Nothing that a camera sees is of one shade from border to border
    coarse = np.random.default_rng(seed).normal(0.0, 16.0, (60, 107)).astype(np.float32)
    shades = cv2.resize(coarse, SIZE_WH, interpolation=cv2.INTER_LINEAR)[..., None]
    return with_noise(picture + shades, 2.0, seed)


def with_noise(picture: NDArray[np.generic], deviation: float, seed: int = 0) -> Picture:
    noise = np.random.default_rng(seed).normal(0.0, deviation, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)
