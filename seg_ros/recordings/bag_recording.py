"""A ROS bag as a recording: rosbag2 of any storage, or ROS 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.messages.plain import typestore
from seg_ros.recordings.bags import broken_parts, is_truncated, open_bag
from seg_ros.recordings.recording import RecordedMessage, RecordedTopic, Span

__all__ = ['BagRecording', 'is_bag']

SUFFIXES = ('.mcap', '.db3', '.bag')
NEWEST_COUNTS = 'sensor_msgs/msg/CameraInfo'


def is_bag(path: Path) -> bool:
    """Returns whether a path looks like a bag."""
    if not path.is_dir():
        return path.suffix in SUFFIXES
    return (path / 'metadata.yaml').exists() or any(
        file.suffix in SUFFIXES[:2] for file in path.iterdir()
    )


class BagRecording:
    """Reads a bag.

    Args:
        path: Folder of a rosbag2, or a single ``.mcap``, ``.db3`` or ROS 1 ``.bag`` file.

    Raises:
        ConfigurationError: It is no bag, or is empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.resolve().name
        self.trouble: list[str] = []
        with open_bag(path) as reader:
            if not reader.message_count:
                raise ConfigurationError(f'{path} has no message in it. Name another bag.')
            self.is_ros1 = not reader.is2
            self.begin_ns, self.end_ns = reader.start_time, reader.end_time
            self._types = typestore() if self.is_ros1 else reader.typestore
            self.topics: dict[str, RecordedTopic] = {}
            for row in reader.connections:
                known = self.topics.get(row.topic, RecordedTopic(row.msgtype))
                offers = getattr(row.ext, 'offered_qos_profiles', ())
                self.topics[row.topic] = RecordedTopic(
                    row.msgtype,
                    known.message_count + row.msgcount,
                    (*known.offers, *offers),
                    (row.msgdef.data, row.digest)
                    if row.msgdef.data and row.digest.startswith('RIHS01')
                    else None,
                )
            if is_truncated(reader):
                self.trouble.append(f'{path} is cut off; it is read as far as it goes.')
            if self.is_ros1:
                self._leave_out_what_ros2_lacks(reader.typestore)

    def messages(self, topics: Sequence[str], span: Span) -> Iterator[RecordedMessage]:
        first_ns, end_ns = span.limits_ns(self.begin_ns, self.end_ns)
        numbers: Counter[str] = Counter()
        with open_bag(self._path) as reader:
            rows = [row for row in reader.connections if row.topic in topics]
            if first_ns > self.begin_ns:
                yield from self._before(reader, rows, first_ns)
            messages = reader.messages(rows, first_ns, end_ns) if rows else iter(())
            while True:
                try:
                    row, recorded_ns, data = next(messages)
                except StopIteration:
                    self._report(broken_parts(reader))
                    return
                except Exception as error:  # whatever the storage raises
                    count = sum(numbers.values())
                    self._report([f'{self._path} cannot be read beyond message {count}: {error}'])
                    return
                yield self._message(row, numbers[row.topic], recorded_ns, data)
                numbers[row.topic] += 1

    def read(self, message: RecordedMessage) -> Any:
        try:
            return self._types.deserialize_cdr(message.data, self.topics[message.topic].type_name)
        except Exception as error:  # rosbags raises several kinds
            raise FrameError('message_broken', f'its bytes are no message: {error}') from error

    def typestore(self) -> Any:
        return self._types

    def _report(self, sentences: Sequence[str]) -> None:
        self.trouble += [row for row in sentences if row not in self.trouble]

    def _before(
        self, reader: Any, rows: Sequence[Any], first_ns: int
    ) -> Iterator[RecordedMessage]:
        """Yields what a node that starts late is told: what is latched, and lenses."""
        newest: dict[str, RecordedMessage] = {}
        latched = [row for row in rows if self._is_latched(row.topic)]
        lenses = [row for row in rows if row.msgtype == NEWEST_COUNTS]
        if not latched and not lenses:
            return
        for row, _, data in reader.messages([*latched, *lenses], stop=first_ns):
            message = self._message(row, 0, first_ns, data)
            if row.msgtype == NEWEST_COUNTS:
                newest[row.topic] = message
            else:
                yield message
        yield from newest.values()

    def _is_latched(self, topic: str) -> bool:
        if topic == '/tf_static':
            return True
        return any(row.durability.name == 'TRANSIENT_LOCAL' for row in self.topics[topic].offers)

    def _message(self, row: Any, number: int, recorded_ns: int, data: Any) -> RecordedMessage:
        if self.is_ros1:
            data = self._types.ros1_to_cdr(data, row.msgtype)
        return RecordedMessage(row.topic, number, recorded_ns, bytes(data))

    def _leave_out_what_ros2_lacks(self, types1: Any) -> None:
        """ROS 1 types can be carried over where ROS 2 has one of the same name and fields."""
        from rosbags.convert.converter import is_same_wireformat

        for topic, row in list(self.topics.items()):
            name = row.type_name
            try:
                is_same = is_same_wireformat(types1, self._types, name, name)
            except KeyError:
                is_same = False
            if not is_same:
                self.trouble.append(f'{topic} is left out: ROS 2 has no such {name}.')
                del self.topics[topic]
