# SPDX-License-Identifier: Apache-2.0
"""Image health: the contrast of a picture and fingerprints of its bytes."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import cv2
import numpy as np

from seg_ros.core.types import RgbImage

__all__ = ['GRID', 'ImageHealth', 'health_of']

# Rows and columns apart of the pixels that are looked at: 14400 of a 640x360 image, 900 in each
# region, whose noise makes two frames differ in every region.
STEP_PX = 4
GRID = 4  # regions across and down


class ImageHealth(NamedTuple):
    """What a glance at a picture says.

    Attributes:
        fingerprint: Two pictures with different ones differ. A living camera never sends the
            same twice, because of its noise.
        contrast: Standard deviation of the brightness, 0 to 127: small when the lens is covered,
            in darkness, when over-exposed.
        regions: The fingerprint of each of ``GRID`` x ``GRID`` regions, row by row; none of a
            picture that is too small for them.
    """

    fingerprint: int
    contrast: float
    regions: tuple[int, ...] = ()


def health_of(image: RgbImage) -> ImageHealth:
    """Looks at every fourth pixel of every fourth row; about 80 µs.

    Args:
        image: ``(H, W, 3)`` uint8 or ``(H, W)``, any strides, any size.
    """
    # From the middle of these steps: a picture that was enlarged mixes what is beside a border
    first = STEP_PX // 2 if min(image.shape[:2]) > STEP_PX else 0
    sample = np.ascontiguousarray(image[first::STEP_PX, first::STEP_PX])
    if sample.size == 0:
        return ImageHealth(0, 0.0)
    grey = cv2.cvtColor(sample, cv2.COLOR_RGB2GRAY) if sample.ndim == 3 else sample
    _, deviation = cv2.meanStdDev(grey)
    return ImageHealth(zlib.crc32(sample.data), float(deviation[0, 0]), _regions_of(sample))


def _regions_of(sample: RgbImage) -> tuple[int, ...]:
    height, width = sample.shape[0] // GRID, sample.shape[1] // GRID
    if height == 0 or width == 0:
        return ()
    whole = sample[: height * GRID, : width * GRID].reshape(GRID, height, GRID, -1)
    regions = np.ascontiguousarray(whole.swapaxes(1, 2)).reshape(GRID * GRID, -1)
    return tuple(zlib.crc32(region.data) for region in regions)
