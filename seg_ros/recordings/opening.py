# SPDX-License-Identifier: Apache-2.0
"""Opens whatever was recorded."""

from __future__ import annotations

from pathlib import Path

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.image.announced import has_more_pictures
from seg_ros.files import open_regular
from seg_ros.recordings.bag import BagRecording, is_bag
from seg_ros.recordings.image_file import is_image, kind_of, read_image
from seg_ros.recordings.picture_files import FolderRecording, VideoRecording
from seg_ros.recordings.recording import Recording

__all__ = ['open_recording']


def open_recording(path: Path, rate_hz: float | None = None) -> Recording:
    """Returns the recording at a path: a bag, a video, or a folder of images.

    Args:
        path: Folder or file.
        rate_hz: Frames a second of a video or folder; None takes the video's own, or 5.

    Raises:
        ConfigurationError: It is not there, cannot be read, or is none of these.
    """
    if not path.exists():
        raise ConfigurationError(f'{path}: there is no such file or folder. Check the path.')
    if not path.is_dir():
        try:  # OpenCV would wait at a pipe that nobody writes to
            open_regular(path).close()
        except OSError as error:
            msg = f'{path} cannot be read: {error.strerror}. Name a file or a folder.'
            raise ConfigurationError(msg) from error
    if is_bag(path):
        return BagRecording(path)
    if kind_of(path) == 'gif' and _moves(path):
        return VideoRecording(path, rate_hz)
    if path.is_dir() or is_image(path):
        return FolderRecording(path, rate_hz)
    return VideoRecording(path, rate_hz)


def _moves(path: Path) -> bool:
    """Whether a GIF has more than one picture: OpenCV reads it as an image, too."""
    try:
        return has_more_pictures(read_image(path))
    except FrameError:
        return False  # whoever opens it says why
