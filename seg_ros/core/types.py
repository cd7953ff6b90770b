"""The arrays and small records that travel through the pipeline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    'ConfidenceImage',
    'LabelImage',
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
