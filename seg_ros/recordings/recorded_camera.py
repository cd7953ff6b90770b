# SPDX-License-Identifier: Apache-2.0
"""The images of a recording as a camera."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.messages.camera_info import calibration_of, camera_info_topic, is_rectified
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.picture_files import FolderRecording, VideoRecording
from seg_ros.recordings.recording import CAMERA_INFO, IMAGES, Recording
from seg_ros.recordings.sources import SourceFrame, SourceOptions

__all__ = ['RecordedCamera', 'open_bag_source', 'open_folder_source', 'open_video_source']

LOGGER = logging.getLogger(__name__)


class RecordedCamera:
    """Plays one image topic of a recording at the times of its recording.

    An image that cannot be decoded is skipped with a warning, as is all that cannot be read.

    Args:
        recording: Has the images.
        topic: The image topic; empty takes the first that has a camera_info, else the first.

    Raises:
        ConfigurationError: It has no such topic.
    """

    mount: Mount | None = None
    class_names: Mapping[int, str] | None = None

    def __init__(self, recording: Recording, topic: str = '') -> None:
        self._recording = recording
        self.topic = _image_topic(recording, topic)
        self.camera = _lens(recording, self.topic)
        self.name = recording.name
        self._told = 0
        self._warn()

    def frames(self) -> Iterator[SourceFrame]:
        recording = self._recording
        for message in recording.messages([self.topic]):
            try:
                picture = recording.picture(message)
            except FrameError as error:
                LOGGER.warning('%s is skipped: %s', recording.place(message), error)
                continue
            yield SourceFrame(np.ascontiguousarray(picture), message.recorded_ns)
        self._warn()

    def _warn(self) -> None:
        """Says what could not be read, once."""
        for sentence in self._recording.trouble[self._told :]:
            LOGGER.warning('%s', sentence)
        self._told = len(self._recording.trouble)


def open_bag_source(options: SourceOptions) -> RecordedCamera:
    camera = RecordedCamera(BagRecording(Path(options.what)), options.topic)
    camera.name = f'{camera.name}, {camera.topic}'
    return camera


def open_folder_source(options: SourceOptions) -> RecordedCamera:
    return RecordedCamera(FolderRecording(Path(options.what)))


def open_video_source(options: SourceOptions) -> RecordedCamera:
    return RecordedCamera(VideoRecording(Path(options.what)))


def _image_topic(recording: Recording, asked: str) -> str:
    path, topics = recording.path, recording.topics
    images = [
        name for name, row in topics.items() if row.type_name in IMAGES and row.message_count
    ]
    # What has a camera_info beside it is a camera, and no label image or depth.
    images.sort(key=lambda name: not _is_lens(recording, camera_info_topic(name)))
    if not images:
        msg = (
            f'{path} was to be played as a camera, but has no sensor_msgs/Image or '
            'CompressedImage in it. Record one with it, or name another bag.'
        )
        raise ConfigurationError(msg)
    if asked and asked not in images:
        msg = f'--topic {asked}: the image topics of {path} are {", ".join(images)}. Name one.'
        raise ConfigurationError(msg)
    if not asked and len(images) > 1:
        LOGGER.warning(
            '%s has %d image topics; %s is played. --topic takes another: %s.',
            path, len(images), images[0], ', '.join(images[1:]),
        )  # fmt: skip
    return asked or images[0]


def _is_lens(recording: Recording, topic: str) -> bool:
    row = recording.topics.get(topic)
    return row is not None and row.type_name == CAMERA_INFO and row.message_count > 0


def _lens(recording: Recording, image_topic: str) -> CameraIntrinsics | None:
    """The lens by the first CameraInfo and the first image, None where there is none."""
    topic = camera_info_topic(image_topic)
    if not _is_lens(recording, topic):
        return None
    try:
        calibration = calibration_of(recording.read(next(recording.messages([topic]))))
        if not calibration.is_calibrated:
            return None
        size_wh = _size_wh(recording, image_topic)
        if size_wh is None:
            return None
        return calibration.intrinsics(size_wh, is_rectified=is_rectified(image_topic))
    except (ConfigurationError, FrameError, StopIteration) as error:
        LOGGER.warning('%s is played without its lens: %s', topic, error)
        return None


def _size_wh(recording: Recording, image_topic: str) -> tuple[int, int] | None:
    """Size of the first image that can be read."""
    for message in recording.messages([image_topic]):
        try:
            height, width = recording.picture(message).shape[:2]
        except FrameError:
            continue
        return width, height
    return None
