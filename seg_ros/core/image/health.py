"""Image health: the contrast of a picture and a fingerprint of its bytes."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import cv2
import numpy as np

from seg_ros.core.types import RgbImage

__all__ = ['ImageHealth', 'health_of']

# Rows and columns apart of the pixels that are looked at: 3600 of a 640x360 image, whose noise
# makes two frames differ, for 20 µs.
STEP_PX = 8


class ImageHealth(NamedTuple):
    """What a glance at a picture says.

    Attributes:
        fingerprint: Two pictures with different ones differ. A living camera never sends the
            same twice, because of its noise.
        contrast: Standard deviation of the brightness, 0 to 127: small when the lens is covered,
            in darkness, when over-exposed.
    """

    fingerprint: int
    contrast: float


def health_of(image: RgbImage) -> ImageHealth:
    """Looks at every eighth pixel of every eighth row; about 20 µs.

    Args:
        image: ``(H, W, 3)`` uint8 or ``(H, W)``, any strides, any size.
    """
    sample = np.ascontiguousarray(image[::STEP_PX, ::STEP_PX])
    if sample.size == 0:
        return ImageHealth(0, 0.0)
    grey = cv2.cvtColor(sample, cv2.COLOR_RGB2GRAY) if sample.ndim == 3 else sample
    _, deviation = cv2.meanStdDev(grey)
    return ImageHealth(zlib.crc32(sample.data), float(deviation[0, 0]))
