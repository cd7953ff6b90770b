# SPDX-License-Identifier: Apache-2.0
"""Writes a picture that is whole, or says why not."""

from __future__ import annotations

from pathlib import Path

import cv2

from seg_ros.core.types import RgbImage
from seg_ros.files import write_whole

__all__ = ['write_picture']

JPEG_QUALITY = 85  # half a million pixels stay under 200 kB


def write_picture(path: Path, picture: RgbImage) -> None:
    """Writes a picture as png or jpeg, by the suffix; ``cv2.imwrite`` is silent on a full disk.

    Raises:
        SegRosError: It cannot be written.
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    options = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY) if path.suffix == '.jpg' else ()
    write_whole(path, cv2.imencode(path.suffix, bgr, options)[1].tobytes())
