# SPDX-License-Identifier: Apache-2.0
"""A node with the canned backend, and the picture that it looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from test.tiny_onnx import COLOURS, SIZE_WH

__all__ = ['PEDESTRIAN', 'ROAD', 'canned', 'street']

ROAD, PEDESTRIAN = 1, 3


def street(scale: int = 2) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Returns an image in the engine's colours and the labels that it stands for."""
    labels = np.zeros((SIZE_WH[1], SIZE_WH[0]), np.uint8)
    labels[16:] = ROAD
    labels[10:24, 20:28] = PEDESTRIAN
    labels = labels.repeat(scale, axis=0).repeat(scale, axis=1)
    return np.array(COLOURS, np.uint8)[labels], labels


def canned(engine: Path, **more: Any) -> dict[str, Any]:
    return {
        'engine': str(engine),
        'backend': 'canned',
        'diagnostics_period_s': 0.1,
        **more,
    }
