# SPDX-License-Identifier: Apache-2.0
"""A ROS bag as a recording: rosbag2 of any storage, or ROS 1, whole or broken.

What a bag is, how its files are opened and what is forgiven stands here and nowhere else.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.plain import typestore
from seg_ros.recordings.recording import CAMERA_INFO, RecordedMessage, RecordedTopic, Recording

__all__ = ['BagRecording', 'is_bag']

ROS2_SUFFIXES = ('.mcap', '.db3')
SUFFIXES = (*ROS2_SUFFIXES, '.bag')
METADATA = 'metadata.yaml'
ALWAYS_LATCHED = '/tf_static'  # also where the bag does not tell


def is_bag(path: Path) -> bool:
    """Returns whether a path looks like a bag."""
    if not path.is_dir():
        return path.suffix in SUFFIXES
    return (path / METADATA).exists() or bool(_files_in(path))


class BagRecording(Recording):
    """Reads a bag.

    A recording that was cut off is read as far as it goes: an MCAP file without its end, and a
    folder without its metadata.yaml. Broken chunks in the middle are left out.

    Args:
        path: Folder of a rosbag2, or a single ``.mcap``, ``.db3`` or ROS 1 ``.bag`` file.

    Attributes:
        is_ros1: Whether ROS 1 wrote it; its messages come as those of ROS 2 nevertheless.

    Raises:
        ConfigurationError: It is no bag that can be read, is empty, or rosbags is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, path.resolve().name)
        self._idle: list[Any] = []  # open readers, for opening one takes 30 ms
        weakref.finalize(self, _close, self._idle)
        with self._reader() as reader:
            if not reader.message_count:
                raise ConfigurationError(f'{path} has no message in it. Name another bag.')
            self.is_ros1 = not reader.is2
            self.begin_ns, self.end_ns = reader.start_time, reader.end_time
            self._types = typestore() if self.is_ros1 else reader.typestore
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
            if any(getattr(file, 'is_truncated', False) for file in _storages(reader)):
                self.tell(f'{path} is cut off; it is read as far as it goes.')
            if self.is_ros1:
                self._leave_out_what_ros2_lacks(reader.typestore)

    def messages(
        self, topics: Collection[str], first_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RecordedMessage]:
        numbers: Counter[str] = Counter()
        at_ns = self.begin_ns
        with self._reader() as reader:
            rows = [
                row
                for row in reader.connections
                if row.topic in topics and row.topic in self.topics
            ]
            if not rows:  # rosbags takes that for all
                return
            try:
                if first_ns is not None and first_ns > self.begin_ns:
                    yield from self._before(reader, rows, first_ns)
                for row, at_ns, data in reader.messages(rows, first_ns, end_ns):
                    yield self._message(row, numbers[row.topic], at_ns, data)
                    numbers[row.topic] += 1
            except Exception as error:  # each storage and compression has its own
                at_s = (at_ns - self.begin_ns) / NS_PER_S
                self.tell(f'{self.path} cannot be read beyond {at_s:.1f} s of it: {error}')
            for file in _storages(reader):
                for sentence in getattr(file, 'broken', ()):
                    self.tell(sentence)

    def read(self, message: RecordedMessage) -> Any:
        try:
            return self._types.deserialize_cdr(message.data, self.topics[message.topic].type_name)
        except Exception as error:  # rosbags raises several kinds
            raise FrameError('message_broken', f'its bytes are no message: {error}') from error

    def typestore(self) -> Any:
        return self._types

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        """An open reader that nobody else uses, for a recording may be read by many at a time."""
        reader = self._idle.pop() if self._idle else _opened(self.path)
        try:
            yield reader
        finally:
            self._idle.append(reader)

    def _before(
        self, reader: Any, rows: Sequence[Any], first_ns: int
    ) -> Iterator[RecordedMessage]:
        """What the base class promises to whoever starts late."""
        told = [row for row in rows if row.msgtype == CAMERA_INFO or self._is_latched(row.topic)]
        newest: dict[str, RecordedMessage] = {}
        for row, _, data in reader.messages(told, stop=first_ns) if told else ():
            message = self._message(row, 0, first_ns, data)
            if row.msgtype == CAMERA_INFO:
                newest[row.topic] = message
            else:
                yield message
        yield from newest.values()

    def _is_latched(self, topic: str) -> bool:
        return topic == ALWAYS_LATCHED or self.topics[topic].latched

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
                self.tell(f'{topic} is left out: ROS 2 has no such {name}.')
                del self.topics[topic]


def _opened(path: Path) -> Any:
    """Returns an open ``rosbags.highlevel.AnyReader`` that forgives what is broken."""
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
    except ImportError as error:
        msg = f'Reading {path} needs rosbags ({error}). Install it: pip install rosbags'
        raise ConfigurationError(msg) from error
    try:
        # Bags of older distributions name their types without defining them.
        reader = AnyReader(_files_of(path), default_typestore=typestore())
        _forgive(reader)
        reader.open()
    except (AnyReaderError, OSError, ValueError, OverflowError, MemoryError) as error:
        msg = (
            f'{path} cannot be read as a ROS bag: {error} Name the folder with its metadata.yaml, '
            'or a single .mcap, .db3 or ROS 1 .bag file.'
        )
        raise ConfigurationError(msg) from error
    return reader


def _close(readers: Sequence[Any]) -> None:
    for reader in readers:
        reader.close()


def _files_of(path: Path) -> list[Path]:
    """What rosbags opens: the bag, or the files in a folder that has no metadata."""
    if not path.is_dir() or (path / METADATA).exists():
        return [path]
    return _files_in(path) or [path]


def _files_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in ROS2_SUFFIXES)


def _storages(reader: Any) -> list[Any]:
    """What reads each file of an open bag; ROS 1 has none."""
    storages = [row.storage for row in reader.readers if hasattr(row, 'storage')]
    return [file for row in storages for file in getattr(row, 'storages', [row])]


def _forgive(reader: Any) -> None:
    """Has every MCAP file of a reader that is not open yet read as far as it goes."""
    from rosbags.rosbag2.reader import DirectoryReader
    from rosbags.rosbag2.storage_mcap import McapReader

    from seg_ros.recordings.truncated_mcap import ForgivingMcapReader

    for row in reader.readers:
        storage = getattr(row, 'storage', None)  # ROS 1 has none
        if isinstance(storage, McapReader):
            row.storage = ForgivingMcapReader(row.path)
        elif isinstance(storage, DirectoryReader):
            storage.STORAGE_PLUGINS = {**storage.STORAGE_PLUGINS, 'mcap': ForgivingMcapReader}
