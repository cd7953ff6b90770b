# SPDX-License-Identifier: Apache-2.0
"""The focal length that a camera wrote into a JPEG: Exif 2.3, FocalLengthIn35mmFilm."""

from __future__ import annotations

import math
import struct

__all__ = ['focal_length_px']

FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)
EXIF_POINTER, FOCAL_LENGTH_35MM = 0x8769, 0xA405
SHORT, LONG = 3, 4


def focal_length_px(jpeg: bytes, size_wh: tuple[int, int]) -> float | None:
    """Returns the focal length in pixels of the whole picture; None where the file does not tell.

    Args:
        jpeg: The beginning of the file is enough.
        size_wh: Of the picture.
    """
    at = jpeg.find(b'Exif\0\0', 0, 4096)
    if at < 0:
        return None
    tiff = jpeg[at + 6 :]
    order = {b'II': '<', b'MM': '>'}.get(tiff[:2])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f'{order}I', tiff, 4)
        exif = _entry(tiff, order, first, EXIF_POINTER)
        film_mm = _entry(tiff, order, exif, FOCAL_LENGTH_35MM) if exif else None
    except struct.error:  # the file is cut
        return None
    return film_mm / FILM_DIAGONAL_MM * math.hypot(*size_wh) if film_mm else None


def _entry(tiff: bytes, order: str, directory: int, wanted: int) -> int | None:
    """A number of one value in a directory of a TIFF."""
    (count,) = struct.unpack_from(f'{order}H', tiff, directory)
    for index in range(count):
        at = directory + 2 + 12 * index
        tag, kind, _ = struct.unpack_from(f'{order}HHI', tiff, at)
        if tag == wanted and kind in (SHORT, LONG):
            (value,) = struct.unpack_from(f'{order}{"H" if kind == SHORT else "I"}', tiff, at + 8)
            return int(value)
    return None
