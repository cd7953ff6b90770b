"""The picture in a jpeg or png file, refused when a part of it is missing.

``cv2.imdecode`` alone is not enough: where the data of a jpeg ends early it paints the rest grey,
and half a picture looks like a good one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import FrameError

__all__ = ['decode_file']

JPEG_START = b'\xff\xd8\xff'
JPEG_SCAN = b'\xff\xda'
JPEG_END = b'\xff\xd9'
PNG_START = b'\x89PNG\r\n\x1a\n'
PNG_END = b'IEND'

GREY_FILL = 128  # what libjpeg paints where the data of a picture is missing


def decode_file(file: bytes, format: str) -> NDArray[Any]:  # noqa: A002, the message's name
    """Returns the pixels as they were stored: blue first, depth, channels and orientation kept.

    Args:
        file: A jpeg or png file; which of the two is read from its first bytes.
        format: How the message calls it, for the error.

    Raises:
        FrameError: Kind compressed_broken: a part is missing, or it is no jpeg or png at all.
    """
    _check_complete(file, format)
    picture = _imdecode(file)
    if picture is None or _has_missing_end(file, picture):
        raise _broken(format, f'its {len(file)} bytes cannot be decoded to the end')
    return picture


def _check_complete(file: bytes, format: str) -> None:  # noqa: A002, the message's name
    """Refuses bytes that do not begin and end as a picture does."""
    if file.startswith(JPEG_START):
        # Only behind the scan: a thumbnail in the header ends in the same two bytes.
        complete = file.rfind(JPEG_END) > file.rfind(JPEG_SCAN) > 0
    elif file.startswith(PNG_START):
        complete = PNG_END in file
    else:
        raise _broken(format, f'its {len(file)} bytes begin neither as jpeg nor as png')
    if not complete:
        raise _broken(format, f'its end is missing after {len(file)} bytes')


def _broken(format: str, what: str) -> FrameError:  # noqa: A002, the message's name
    return FrameError(
        'compressed_broken',
        f"A compressed image of format '{format}' is broken: {what}. Look for a bad cable, a "
        'full USB bus or a driver that cuts its buffers.',
    )


def _imdecode(file: bytes) -> NDArray[Any] | None:
    """Decodes without rotating and without changing depth or channels; None if it cannot."""
    try:
        picture: NDArray[Any] | None = cv2.imdecode(
            np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED
        )
    except cv2.error:
        return None
    return picture


def _has_missing_end(file: bytes, picture: NDArray[Any]) -> bool:
    """Tells whether a jpeg ends before its picture does.

    libjpeg paints the missing part grey and only prints a warning. So a picture whose last pixel
    is grey is decoded once more with extra bytes before its end: they change nothing behind a
    whole picture, but become pixels where pixels are missing.
    """
    if not file.startswith(JPEG_START) or np.any(picture[-1, -1] != GREY_FILL):
        return False
    end = file.rfind(JPEG_END)
    probe = _imdecode(file[:end] + bytes(range(1, 200)) + file[end:])
    return probe is None or not np.array_equal(probe, picture)
