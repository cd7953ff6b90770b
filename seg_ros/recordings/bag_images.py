"""The images of a recorded ROS bag as a camera."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.image.decoding import decode_image
from seg_ros.recordings.bags import open_bag
from seg_ros.recordings.sources import SourceFrame, SourceOptions

__all__ = ['BagImages', 'open_source']

LOGGER = logging.getLogger(__name__)

RAW = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'


class BagImages:
    """Plays one image topic of a bag at the times of its recording.

    An image that cannot be decoded is skipped with a warning.

    Args:
        path: Folder of a rosbag2, or a single ``.mcap``, ``.db3`` or ROS 1 ``.bag`` file.
        topic: The image topic; empty takes the first that has a camera_info, else the first.

    Raises:
        ConfigurationError: It is no bag, or has no such topic.
    """

    mount: Mount | None = None
    class_names: Mapping[int, str] | None = None

    def __init__(self, path: Path, topic: str = '') -> None:
        self._path = path
        with open_bag(path) as reader:
            types = {row.topic: row.msgtype for row in reader.connections if row.msgcount}
            images = [name for name, kind in types.items() if kind in (RAW, COMPRESSED)]
            # What has a camera_info beside it is a camera, and no label image or depth.
            images.sort(key=lambda name: types.get(_camera_info_of(name, types)) != CAMERA_INFO)
            self.topic = _chosen(path, images, topic)
            self.camera = _lens(reader, _camera_info_of(self.topic, types))
        self.name = f'{path.resolve().name}, {self.topic}'

    def frames(self) -> Iterator[SourceFrame]:
        with open_bag(self._path) as reader:
            rows = [row for row in reader.connections if row.topic == self.topic]
            for row, recorded_ns, data in reader.messages(rows):
                message = reader.deserialize(data, row.msgtype)
                try:
                    image = decode_image(message).rgb()
                except FrameError as error:
                    LOGGER.warning('An image of %s is skipped: %s', self.topic, error)
                    continue
                yield SourceFrame(np.ascontiguousarray(image), recorded_ns)


def open_source(options: SourceOptions) -> BagImages:
    return BagImages(Path(options.what), options.topic)


def _chosen(path: Path, images: Sequence[str], topic: str) -> str:
    if not images:
        msg = (
            f'{path} was to be played as a camera, but has no sensor_msgs/Image or '
            'CompressedImage in it. Record one with it, or name another bag.'
        )
        raise ConfigurationError(msg)
    if topic and topic not in images:
        msg = f'--topic {topic}: the image topics of {path} are {", ".join(images)}. Name one.'
        raise ConfigurationError(msg)
    if not topic and len(images) > 1:
        LOGGER.warning(
            '%s has %d image topics; %s is played. --topic takes another: %s.',
            path, len(images), images[0], ', '.join(images[1:]),
        )  # fmt: skip
    return topic or images[0]


def _camera_info_of(image_topic: str, types: Mapping[str, str]) -> str:
    """The name of the camera_info beside an image topic, as image_transport has it."""
    base = PurePosixPath(image_topic)
    if types[image_topic] == COMPRESSED:
        base = base.parent
    return str(base.parent / 'camera_info')


def _lens(reader: Any, topic: str) -> CameraIntrinsics | None:
    """The lens by the first message of a camera_info topic, None where there is none."""
    rows = [row for row in reader.connections if row.topic == topic]
    for row, _, data in reader.messages(rows) if rows else ():
        info = reader.deserialize(data, row.msgtype)
        k, d = (info.k, info.d) if hasattr(info, 'k') else (info.K, info.D)  # ROS 1 shouts
        if k[0] == 0.0:  # not calibrated, as CameraInfo has it
            return None
        try:
            return CameraIntrinsics(
                info.width, info.height, np.reshape(k, (3, 3)), info.distortion_model, d
            )
        except ConfigurationError as error:
            LOGGER.warning('%s is played without its lens: %s', row.topic, error)
            return None
    return None
