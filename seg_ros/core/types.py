# SPDX-License-Identifier: Apache-2.0
"""The arrays and small records that travel through the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    'Allocate',
    'ConfidenceImage',
    'LabelImage',
    'NetworkView',
    'RgbBatch',
    'RgbImage',
]

RgbImage = NDArray[np.uint8]
"""``(H, W, 3)``, channels red, green, blue."""

RgbBatch = NDArray[np.uint8]
"""``(N, H, W, 3)``, channels red, green, blue."""

LabelImage = NDArray[np.uint8]
"""``(H, W)``, one class id per pixel, 255 = unlabelled."""

ConfidenceImage = NDArray[np.uint8]
"""``(H, W)``, probability of the label, 0 (none) to 255 (certain)."""

Allocate = Callable[[str, tuple[int, ...]], NDArray[np.uint8]]
"""``allocate(name, shape)``: the caller's buffer for a named result, reused frame after frame."""


@dataclass(frozen=True)
class NetworkView:
    """What the network saw and said, at its own size; valid until the next frame.

    Attributes:
        picture: The image that went in.
        labels: What came out, uncertain pixels included.
        confidence: How sure it is, None unless asked for.
        image_size_wh: Of the camera's image; None where it is that of the picture.
    """

    picture: RgbImage
    labels: LabelImage
    confidence: ConfidenceImage | None = None
    image_size_wh: tuple[int, int] | None = None
