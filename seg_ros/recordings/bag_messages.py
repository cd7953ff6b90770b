"""The messages of a rosbag2 as they were recorded: serialised, in the order of their times."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seg_ros.core.errors import ConfigurationError
from seg_ros.recordings.bags import bag_rows, broken_parts, is_truncated, open_bag

__all__ = ['BagMessages', 'RecordedMessage', 'RecordedTopic']


class RecordedTopic(NamedTuple):
    """A topic of a bag.

    Attributes:
        type_name: Like ``sensor_msgs/msg/Image``.
        offers: ``rosbags.interfaces.Qos`` of each publisher; none where the bag does not tell.
    """

    type_name: str
    offers: tuple[Any, ...]

    @property
    def latched(self) -> bool:
        """Whether who comes late is to get what was published before."""
        return any(offer.durability.name == 'TRANSIENT_LOCAL' for offer in self.offers)


class RecordedMessage(NamedTuple):
    """A serialised message and the time of its recording."""

    topic: str
    recorded_ns: int
    data: bytes


class BagMessages:
    """Reads the messages of a bag.

    Args:
        path: Folder of a rosbag2, or a single ``.mcap`` or ``.db3`` file.
        topics: Those that are wanted; empty wants all.

    Attributes:
        begin_ns: Time of the first message.
        end_ns: Time after the last one.
        topics: By name.
        broken: What had to be left out so far, in sentences.

    Raises:
        ConfigurationError: It is no rosbag2, is empty, or has no such topic.
    """

    def __init__(self, path: Path, topics: Collection[str] = ()) -> None:
        self.path = path
        self.topics: dict[str, RecordedTopic] = {}
        self.broken: dict[str, None] = {}
        with open_bag(path) as reader:
            if not reader.is2:
                msg = (
                    f'{path} is a ROS 1 bag, whose messages ROS 2 cannot read. Convert it: '
                    f'rosbags-convert --src {path} --dst {path.with_suffix("")}'
                )
                raise ConfigurationError(msg)
            names = {row.topic for row in reader.connections}
            if unknown := sorted(set(topics) - names):
                msg = f'--topics {unknown[0]}: {path} has {", ".join(sorted(names))}. Name these.'
                raise ConfigurationError(msg)
            if not reader.message_count:
                raise ConfigurationError(f'{path} has no message in it. Name another bag.')
            self.begin_ns, self.end_ns = reader.start_time, reader.end_time
            if is_truncated(reader):
                self.broken[f'{path} was cut off; it is played as far as it goes.'] = None
            for row in reader.connections:
                if not topics or row.topic in topics:
                    known = self.topics.get(row.topic, RecordedTopic(row.msgtype, ()))
                    offers = (*known.offers, *row.ext.offered_qos_profiles)
                    self.topics[row.topic] = known._replace(offers=offers)

    def messages(
        self, topics: Collection[str], from_ns: int, until_ns: int
    ) -> Iterator[RecordedMessage]:
        """Yields the messages of a span, first what was latched before it.

        Args:
            topics: Of ``self.topics``.
            from_ns: Begin of the span.
            until_ns: Its end, which is not in it.

        Raises:
            SegRosError: The bag is broken in the middle.
        """
        latched = {name for name in topics if self.topics[name].latched}
        with open_bag(self.path) as reader:
            if from_ns > self.begin_ns:
                for row, _, data in bag_rows(self.path, reader, latched, stop_ns=from_ns):
                    yield RecordedMessage(row.topic, from_ns, bytes(data))
            for row, at_ns, data in bag_rows(self.path, reader, topics, from_ns, until_ns):
                yield RecordedMessage(row.topic, at_ns, bytes(data))
            self.broken.update(dict.fromkeys(broken_parts(reader)))
