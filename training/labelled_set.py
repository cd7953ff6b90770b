# SPDX-License-Identifier: Apache-2.0
"""Pictures with labels in memory; the pictures of one set may differ in size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['Image', 'LabelledSet']

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledSet:
    """RGB images [H,W,3] and their labels [H,W], with 255 for unknown."""

    name: str
    names: Sequence[str]
    images: Sequence[Image]
    labels: Sequence[Image]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> str:
        """The size of the pictures, or that of the smallest and of the largest."""
        shapes = sorted({labels.shape for labels in self.labels}, key=lambda s: s[0] * s[1])
        ends = [f'{width}x{height}' for height, width in shapes]
        return ' to '.join(dict.fromkeys((ends[0], ends[-1])))
