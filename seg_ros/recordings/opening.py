# SPDX-License-Identifier: Apache-2.0
"""Opens whatever was recorded."""

from __future__ import annotations

from pathlib import Path

import cv2

from seg_ros.core.errors import ConfigurationError
from seg_ros.recordings.bag import BagRecording, is_bag
from seg_ros.recordings.image_file import is_image, kind_of
from seg_ros.recordings.picture_files import FolderRecording, VideoRecording
from seg_ros.recordings.recording import Recording

__all__ = ['open_recording']


def open_recording(path: Path, rate_hz: float | None = None) -> Recording:
    """Returns the recording at a path: a bag, a video, or a folder of images.

    Args:
        path: Folder or file.
        rate_hz: Frames a second of a video or folder; None takes the video's own, or 5.

    Raises:
        ConfigurationError: It is not there, or is none of these.
    """
    if not path.exists():
        raise ConfigurationError(f'{path}: there is no such file or folder. Check the path.')
    if is_bag(path):
        return BagRecording(path)
    if kind_of(path) == 'gif' and _moves(path):
        return VideoRecording(path, rate_hz)
    if path.is_dir() or is_image(path):
        return FolderRecording(path, rate_hz)
    return VideoRecording(path, rate_hz)


def _moves(path: Path) -> bool:
    """Whether a GIF has more than one picture: OpenCV reads it as an image, too."""
    capture = cv2.VideoCapture(str(path))
    try:
        return bool(capture.grab() and capture.grab())
    finally:
        capture.release()
