# SPDX-License-Identifier: Apache-2.0
"""A video as an animated WebP, as the README shows one.

python -m seg_ros.pictures.moving_picture VIDEO PICTURE [FROM_S TO_S]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.files import write_whole

__all__ = ['write_moving_picture']

RATE_HZ = 5.0  # a page loads it whole
WIDTH_PX = 560
QUALITY = 45
MOST_S = 20.0  # every picture of it is in memory


def write_moving_picture(
    video: Path, picture: Path, span_s: tuple[float, float] = (0.0, MOST_S)
) -> int:
    """Writes a part of a video as an animated WebP; returns how many pictures it has.

    Args:
        video: Whatever OpenCV reads.
        picture: The file to write, ``.webp``.
        span_s: From and to, at most ``MOST_S`` of it.

    Raises:
        ConfigurationError: The video cannot be read, the picture not written, or OpenCV is older
            than 4.12.
    """
    if not hasattr(cv2, 'imencodeanimation'):
        raise ConfigurationError(
            f'OpenCV {cv2.__version__} writes no animated WebP. Take 4.12 or newer: pip install '
            'opencv-python-headless'
        )
    pictures = list(_pictures(video, span_s))
    if not pictures:
        raise ConfigurationError(
            f'{video}: no picture of it can be read from {span_s[0]:g} to {span_s[1]:g} s. Check '
            'the file and the span.'
        )
    animation = cv2.Animation()
    animation.frames = pictures
    animation.durations = [round(1e3 / RATE_HZ)] * len(pictures)
    done, data = cv2.imencodeanimation('.webp', animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    if not done:
        raise ConfigurationError(f'{picture} cannot be encoded by OpenCV {cv2.__version__}.')
    write_whole(picture, data.tobytes())
    return len(pictures)


def _pictures(video: Path, span_s: tuple[float, float]) -> Iterator[NDArray[np.uint8]]:
    """Yields BGR pictures of the span, ``RATE_HZ`` a second by the time in the video."""
    from_s, to_s = span_s
    to_s = min(to_s, from_s + MOST_S)
    capture = cv2.VideoCapture(str(video))
    rate_hz = capture.get(cv2.CAP_PROP_FPS) or RATE_HZ
    index, next_s = 0, from_s
    while capture.grab():
        at_s = index / rate_hz
        index += 1
        if at_s > to_s:
            break
        if at_s < next_s - 0.5 / rate_hz:
            continue
        next_s += 1.0 / RATE_HZ
        _, bgr = capture.retrieve()
        height = round(bgr.shape[0] * WIDTH_PX / bgr.shape[1])
        yield np.asarray(cv2.resize(bgr, (WIDTH_PX, height), interpolation=cv2.INTER_AREA))
    capture.release()


if __name__ == '__main__':
    span = tuple(map(float, sys.argv[3:5])) or (0.0, MOST_S)
    count = write_moving_picture(Path(sys.argv[1]), Path(sys.argv[2]), (span[0], span[1]))
    print(f'{sys.argv[2]}: {count} pictures')
