# SPDX-License-Identifier: Apache-2.0
"""A recording: its topics and its messages in their order, whatever holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seg_ros.core.image.announced import MAX_PIXELS
from seg_ros.core.image.decoding import decode_image
from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_S

__all__ = [
    'CAMERA_INFO', 'COMPRESSED', 'IMAGES', 'RAW', 'RecordedMessage', 'RecordedSpan',
    'RecordedTopic', 'Recording', 'tell_once',
]  # fmt: skip

RAW = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
IMAGES = (RAW, COMPRESSED)
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'


class RecordedTopic(NamedTuple):
    """A topic of a recording.

    Attributes:
        type_name: Like ``sensor_msgs/msg/Image``.
        message_count: Messages of it, as far as the recording tells.
        offers: ``rosbags.interfaces.Qos`` of each publisher; none where the recording does not
            tell.
        definition: Text and hash of its type, None where the recording does not tell.
    """

    type_name: str
    message_count: int = 0
    offers: tuple[Any, ...] = ()
    definition: tuple[str, str] | None = None

    @property
    def latched(self) -> bool:
        """Whether who comes late is to get what was published before."""
        return any(offer.durability.name == 'TRANSIENT_LOCAL' for offer in self.offers)


class RecordedMessage(NamedTuple):
    """A message of a recording.

    Attributes:
        topic: Its topic.
        number: How many of the topic came before it.
        recorded_ns: When it was recorded.
        data: CDR bytes; empty where only ``picture`` is known.
        picture: The picture of a file that is no message.
    """

    topic: str
    number: int
    recorded_ns: int
    data: bytes
    picture: RgbImage | None = None


class RecordedSpan(NamedTuple):
    """Part of a recording, in seconds after its begin; None goes to the end."""

    start_s: float = 0.0
    duration_s: float | None = None

    def limits_ns(self, begin_ns: int, end_ns: int) -> tuple[int, int]:
        """Returns the first time that is in it and the first one after it."""
        first_ns = begin_ns + round(self.start_s * NS_PER_S)
        if self.duration_s is None:
            return first_ns, end_ns
        return first_ns, min(end_ns, first_ns + round(self.duration_s * NS_PER_S))


class Recording(ABC):
    """What can be replayed, played and reported on; it is only read.

    Args:
        path: Where it is.
        name: What it is, for people.

    Attributes:
        path: Where it is.
        name: What it is, for people.
        topics: What is in it.
        begin_ns: Time of the first message.
        end_ns: Time after the last one.
        trouble: What could not be read, in sentences; grows while it is read. Whoever reads a
            recording shows them.
        max_image_pixels: Those that a picture of it may have.
    """

    max_image_pixels = MAX_PIXELS

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.topics: dict[str, RecordedTopic] = {}
        self.begin_ns = self.end_ns = 0
        self.trouble: list[str] = []

    @abstractmethod
    def messages(
        self, topics: Collection[str], first_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RecordedMessage]:
        """Yields the messages of some topics in the order of their times.

        What cannot be read is left out, and told in ``trouble``.

        Args:
            topics: Their names.
            first_ns: Begin of the span; None is that of the recording. Of what was said before,
                first comes what a node that starts late is told: all that is latched, and the
                newest CameraInfo.
            end_ns: Its end, which is not in it; None is that of the recording.
        """

    @abstractmethod
    def read(self, message: RecordedMessage) -> Any:
        """Returns a message with its fields.

        Raises:
            FrameError: It is broken.
        """

    @abstractmethod
    def typestore(self) -> Any:
        """Returns a rosbags typestore that knows every type of its topics."""

    def picture(self, message: RecordedMessage) -> RgbImage:
        """Returns the picture of an image message.

        Raises:
            FrameError: It is broken.
        """
        return decode_image(self.read(message), self.max_image_pixels).rgb()

    def copy(self, message: RecordedMessage) -> bytes:
        """Returns the CDR bytes of a message as they are copied into another bag."""
        return message.data

    def place(self, message: RecordedMessage) -> str:
        """Returns which message it is, for people."""
        at_s = message.recorded_ns / NS_PER_S
        return f'Message {message.number} of {message.topic} at {at_s:.3f} s'

    def tell(self, sentence: str) -> None:
        """Adds to ``trouble`` what is not there yet."""
        tell_once(self.trouble, sentence)


def tell_once(trouble: list[str], sentence: str) -> None:
    """Adds a sentence to those that are told, if it is not there yet."""
    if sentence not in trouble:
        trouble.append(sentence)
