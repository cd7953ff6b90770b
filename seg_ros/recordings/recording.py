"""What is replayed: the messages of a recording in their order, whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_S

__all__ = [
    'COMPRESSED', 'IMAGES', 'RAW', 'RecordedMessage', 'RecordedTopic', 'Recording', 'Span',
    'open_recording',
]  # fmt: skip

RAW = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
IMAGES = (RAW, COMPRESSED)


class RecordedTopic(NamedTuple):
    """A topic of a recording.

    Attributes:
        type_name: Like ``sensor_msgs/msg/Image``.
        message_count: Messages of it, as far as the recording tells.
        offers: ``rosbags.interfaces.Qos`` of its publishers.
        definition: Text and hash of its type, None where the recording does not tell.
    """

    type_name: str
    message_count: int = 0
    offers: tuple[Any, ...] = ()
    definition: tuple[str, str] | None = None


class RecordedMessage(NamedTuple):
    """A message of a recording.

    Attributes:
        topic: Its topic.
        number: How many of the topic came before it.
        recorded_ns: When it was recorded.
        data: CDR bytes; empty where only ``picture`` is known.
        picture: The picture of a video.
    """

    topic: str
    number: int
    recorded_ns: int
    data: bytes
    picture: RgbImage | None = None


class Span(NamedTuple):
    """Part of a recording, in seconds after its begin; None goes to the end."""

    start_s: float = 0.0
    duration_s: float | None = None

    def limits_ns(self, begin_ns: int, end_ns: int) -> tuple[int, int]:
        """Returns the first time that is in it and the first one after it."""
        first_ns = begin_ns + round(self.start_s * NS_PER_S)
        if self.duration_s is None:
            return first_ns, end_ns
        return first_ns, min(end_ns, first_ns + round(self.duration_s * NS_PER_S))


class Recording(Protocol):
    """Something that can be replayed; it is never written to.

    Attributes:
        name: What it is, for people.
        topics: What is in it.
        begin_ns: Time of the first message.
        end_ns: Time after the last one.
        trouble: What could not be read, in sentences; grows while it is read.
    """

    name: str
    topics: Mapping[str, RecordedTopic]
    begin_ns: int
    end_ns: int
    trouble: list[str]

    def messages(self, topics: Sequence[str], span: Span) -> Iterator[RecordedMessage]:
        """Yields the messages of some topics in the order of their times.

        Of what is latched, and of lenses, the newest from before the span comes first.
        """
        ...

    def read(self, message: RecordedMessage) -> Any:
        """Returns a message with its fields.

        Raises:
            FrameError: It is broken.
        """
        ...

    def typestore(self) -> Any:
        """Returns a rosbags typestore that knows every type of its topics."""
        ...


def open_recording(path: Path, rate_hz: float | None = None) -> Recording:
    """Returns the recording at a path: a bag, a video, or a folder of images.

    Args:
        path: Folder or file.
        rate_hz: Frames a second of a video or folder; None takes the video's own, or 5.

    Raises:
        ConfigurationError: It is not there, or is none of these.
    """
    from seg_ros.recordings.bag_recording import BagRecording, is_bag
    from seg_ros.recordings.picture_recording import FolderRecording, VideoRecording

    if not path.exists():
        raise ConfigurationError(f'{path}: there is no such file or folder. Check the path.')
    if is_bag(path):
        return BagRecording(path)
    if path.is_dir() or cv2.haveImageReader(str(path)):
        return FolderRecording(path, rate_hz)
    return VideoRecording(path, rate_hz)
