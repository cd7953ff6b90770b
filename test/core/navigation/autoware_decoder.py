# SPDX-License-Identifier: Apache-2.0
"""Autoware's decoder, re-enacted from perception_utils/src/run_length_encoder.cpp."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.navigation.autoware_mask import AutowareMask

__all__ = ['decoded']


def decoded(mask: AutowareMask) -> NDArray[np.uint8]:
    """Returns the image as runLengthDecoder makes it: 1 + sizeof(int) bytes a record."""
    width, height = mask.size_wh
    pixels: list[int] = []
    assert len(mask.runs) % 5 == 0
    for at in range(0, len(mask.runs), 5):
        value, length = struct.unpack('=Bi', mask.runs[at : at + 5])
        assert length > 0
        pixels += [value] * length
    assert len(pixels) == width * height  # one more and the decoder writes behind the image
    return np.array(pixels, np.uint8).reshape(height, width)
