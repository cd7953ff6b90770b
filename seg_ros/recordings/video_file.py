"""A video file as a camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.sources import SourceFrame, SourceOptions

__all__ = ['VideoFile', 'open_source']

DEFAULT_RATE_HZ = 30.0  # of files that do not say theirs


class VideoFile:
    """Plays a video file.

    Args:
        path: The file.

    Raises:
        ConfigurationError: OpenCV cannot read it.
    """

    camera: CameraIntrinsics | None = None
    mount: Mount | None = None
    class_names: Mapping[int, str] | None = None

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        capture = cv2.VideoCapture(str(path))
        try:
            if not (capture.isOpened() and capture.grab()):
                msg = (
                    f'{path} was to be played as a video, but OpenCV reads no picture from it. '
                    'Convert it, for example: ffmpeg -i FILE -c:v libx264 -pix_fmt yuv420p new.mp4'
                )
                raise ConfigurationError(msg)
            rate_hz = capture.get(cv2.CAP_PROP_FPS)
        finally:
            capture.release()
        self.rate_hz = rate_hz if 0.1 <= rate_hz <= 1000.0 else DEFAULT_RATE_HZ

    def frames(self) -> Iterator[SourceFrame]:
        capture = cv2.VideoCapture(str(self._path))
        try:
            index = 0
            while True:
                good, bgr = capture.read()
                if not good:
                    return
                image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
                yield SourceFrame(image, round(index * NS_PER_S / self.rate_hz))
                index += 1
        finally:
            capture.release()


def open_source(options: SourceOptions) -> VideoFile:
    return VideoFile(Path(options.what))
