# SPDX-License-Identifier: Apache-2.0
"""Writes a video that opens again, in the best format that this OpenCV can write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, final

import cv2
import numpy as np

from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.types import RgbImage
from seg_ros.files import name_beside

__all__ = ['FORMATS', 'VideoFormat', 'VideoWriter', 'best_format']


class VideoFormat(NamedTuple):
    """One way to write a video.

    Attributes:
        suffix: Of the file.
        fourcc: The codec, as OpenCV calls it.
        max_rate_hz: More pictures a second take too long to encode.
        plays_in: What shows it.
    """

    suffix: str
    fourcc: str
    max_rate_hz: float
    plays_in: str


FORMATS = (
    # OpenCV of Debian, Ubuntu and Jetson has H.264; the wheels from PyPI have not (patents).
    VideoFormat('.mp4', 'avc1', 30.0, 'browsers and every player'),
    # 57 ms a picture of 1284x462 on one core; OpenCV passes no faster setting on to libvpx.
    VideoFormat('.webm', 'VP80', 10.0, 'browsers and most players'),
    VideoFormat('.mp4', 'mp4v', 30.0, 'VLC, mpv and other players with FFmpeg'),
)
PROBE_FRAMES = 4
PROBE_SIZE_WH = (320, 240)  # hardware encoders refuse tiny pictures


@final
class VideoWriter:
    """Writes pictures to a video file, which is there once it is whole; a context manager.

    Args:
        path: The file, without or with any suffix; the format's suffix takes its place.
        video_format: A row of ``FORMATS``.
        size_wh: Size of every picture, even in both directions.
        rate_hz: Pictures a second.

    Attributes:
        path: The file as it will be.

    Raises:
        ConfigurationError: The file cannot be written.
        SegRosError: At its end: it is not whole, on a full disk, say.
    """

    def __init__(
        self, path: Path, video_format: VideoFormat, size_wh: tuple[int, int], rate_hz: float
    ) -> None:
        self.path = path.with_suffix(video_format.suffix)
        self._place = name_beside(self.path)
        self._size_wh = size_wh
        self._count = 0
        code = cv2.VideoWriter.fourcc(*video_format.fourcc)
        with _stderr_muted():  # FFmpeg prints which encoders it would rather have had
            self._writer = cv2.VideoWriter(str(self._place), code, rate_hz, size_wh)
        if not self._writer.isOpened():
            self._place.unlink(missing_ok=True)
            msg = (
                f'{self.path} was to be written as {video_format.fourcc} video, but OpenCV cannot '
                'open it. Check that the folder can be written to and has space.'
            )
            raise ConfigurationError(msg)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._writer.release()
        try:
            if error is None:
                self._check()
                self._place.replace(self.path)
        finally:
            self._place.unlink(missing_ok=True)

    def write(self, picture: RgbImage) -> None:
        """Appends a picture.

        Raises:
            ValueError: Its size is another one, which OpenCV would drop in silence.
        """
        if picture.shape != (self._size_wh[1], self._size_wh[0], 3):
            msg = f'The video is {self._size_wh} wide and high, this picture {picture.shape}.'
            raise ValueError(msg)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        self._count += 1

    def _check(self) -> None:
        """Reads the video: OpenCV tells nobody that the disk was full."""
        count = 0
        with _stderr_muted():
            capture = cv2.VideoCapture(str(self._place))
            while count < self._count and capture.grab():
                count += 1
            capture.release()
        if count < self._count:
            raise SegRosError(
                f'{self.path} is no whole video: {count} of its {self._count} pictures can be '
                'read. Is the disk full? Make room, and write it again.'
            )


def best_format() -> VideoFormat:
    """Returns the first row of ``FORMATS`` that this OpenCV writes so that it opens again.

    Raises:
        ConfigurationError: There is none.
    """
    for row in FORMATS:
        if _works(row):
            return row
    msg = (
        'A video was to be written, but this OpenCV has no encoder for it. Install one with '
        'FFmpeg: pip install opencv-python-headless'
    )
    raise ConfigurationError(msg)


def _works(row: VideoFormat) -> bool:
    picture = np.full((PROBE_SIZE_WH[1], PROBE_SIZE_WH[0], 3), 127, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        try:
            with VideoWriter(Path(folder) / 'probe', row, PROBE_SIZE_WH, 20.0) as writer:
                for _ in range(PROBE_FRAMES):
                    writer.write(picture)
        except SegRosError:
            return False
    return True


@contextmanager
def _stderr_muted() -> Iterator[None]:
    """Sends what C code prints to nowhere; Python's own stderr is left alone afterwards."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open('wb') as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
