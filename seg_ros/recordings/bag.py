# SPDX-License-Identifier: Apache-2.0
"""A ROS bag as a recording: rosbag2 of any storage, or ROS 1, whole or broken.

What is a bag, what is read of it, and what is said about the rest stands here; ``bag_files.py``
finds its files, ``split_bag.py`` reads them as one.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.messages.plain import typestore
from seg_ros.recordings.bag_files import (
    BagFile,
    begins_as,
    files_in,
    found_files,
    is_named_so,
    ready_to_read,
)
from seg_ros.recordings.bag_index import METADATA, BagIndex
from seg_ros.recordings.bag_types import typestore_of
from seg_ros.recordings.recording import (
    CAMERA_INFO,
    RecordedMessage,
    RecordedTopic,
    Recording,
    tell_once,
)

__all__ = ['BagRecording', 'is_bag']

ROS1_SUFFIX = '.bag'
ALWAYS_LATCHED = '/tf_static'  # under any namespace, also where the bag does not tell
IDL_BEGIN = '=' * 80 + '\nIDL: '


def is_bag(path: Path) -> bool:
    """Returns whether a path looks like a bag."""
    if not path.is_dir():
        if path.name == METADATA:
            return True
        is_named = path.suffix == ROS1_SUFFIX or is_named_so(path)
        return is_named or begins_as(path) in ('mcap', 'sqlite3', 'ros1')
    return (path / METADATA).exists() or bool(files_in(path))


class BagRecording(Recording):
    """Reads a bag.

    What can be read of it is read, in the order of the times of recording: of a recording that was
    cut off, or is damaged in the middle, or whose metadata.yaml says something else than its
    files. Everything that is left out, or was taken in another way than the bag says, is told in
    ``trouble``.

    Args:
        path: Folder of a rosbag2, its metadata.yaml, or a single ``.mcap``, ``.db3`` or ROS 1
            ``.bag`` file.

    Attributes:
        is_ros1: Whether ROS 1 wrote it; its messages come as those of ROS 2 nevertheless.

    Raises:
        ConfigurationError: It is no bag that can be read, is empty, or rosbags is not installed.
    """

    def __init__(self, path: Path) -> None:
        if path.name == METADATA:
            path = path.parent
        super().__init__(path, path.resolve().name)
        # Open readers; one that knew this recording would keep it, and its file open, for ever
        self._idle: list[Any] = []
        weakref.finalize(self, _close, self._idle)
        self._files: list[BagFile] = []
        self._types: Any = typestore()
        self._undefined: Mapping[str, str] = {}  # why a type cannot be decoded
        self.is_ros1 = path.suffix == ROS1_SUFFIX or begins_as(path) == 'ros1'
        if self.is_ros1:
            self._read_ros1()
        else:
            self._read_ros2()
        if not any(row.message_count for row in self.topics.values()):
            said = ''.join(f' {sentence}' for sentence in self.trouble)
            raise ConfigurationError(
                f'{path} has no message in it that can be read.{said} Name another bag.'
            )

    def messages(
        self, topics: Collection[str], first_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RecordedMessage]:
        types = {name: row.type_name for name, row in self.topics.items() if name in topics}
        numbers: Counter[str] = Counter()
        if not types:
            return
        with self._reader() as reader:
            if first_ns is not None and first_ns > self.begin_ns:
                yield from self._before(reader, types, first_ns)
            for recorded_ns, _, topic, data in reader.messages(types, first_ns, end_ns):
                if topic:  # else it only says where a file begins
                    yield RecordedMessage(topic, numbers[topic], recorded_ns, data)
                    numbers[topic] += 1

    def read(self, message: RecordedMessage) -> Any:
        kind = self.topics[message.topic].type_name
        if kind in self._undefined and kind not in self._types.fielddefs:
            raise FrameError('type_unknown', f'{kind} is not known: {self._undefined[kind]}')
        try:
            return self._types.deserialize_cdr(message.data, kind)
        except Exception as error:  # rosbags raises several kinds
            raise FrameError('message_broken', f'its bytes are no message: {error}') from error

    def typestore(self) -> Any:
        return self._types

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        """An open reader that nobody else uses, for a recording may be read by many at a time."""
        reader = self._idle.pop() if self._idle else self._opened()
        try:
            yield reader
        finally:
            self._idle.append(reader)

    def _before(
        self, reader: Any, types: Mapping[str, str], first_ns: int
    ) -> Iterator[RecordedMessage]:
        """What the base class promises to whoever starts late."""
        told = {
            topic: kind
            for topic, kind in types.items()
            if kind == CAMERA_INFO or self._is_latched(topic)
        }
        newest: dict[str, RecordedMessage] = {}
        for _, _, topic, data in reader.messages(told, None, first_ns) if told else ():
            if not topic:
                continue
            message = RecordedMessage(topic, 0, first_ns, data)
            if types[topic] == CAMERA_INFO:
                newest[topic] = message
            else:
                yield message
        yield from newest.values()

    def _is_latched(self, topic: str) -> bool:
        return topic.endswith(ALWAYS_LATCHED) or self.topics[topic].latched

    def _opened(self) -> Any:
        return self._open_ros1() if self.is_ros1 else self._open_ros2()

    def _read_ros2(self) -> None:
        try:
            import rosbags.rosbag2  # noqa: F401
        except ImportError as error:
            raise _no_rosbags(self.path, error) from error
        paths, index = found_files(self.path, self.tell)
        self._files, copies = ready_to_read(paths, self.tell)
        if copies is not None:
            weakref.finalize(self, copies.cleanup)
        with self._reader() as reader:
            if not reader.is_any:
                raise ConfigurationError(
                    f'{self.path} cannot be read as a ROS bag: '
                    f'{" ".join(self.trouble) or "there is no file of one in it."} Name the '
                    'folder with its metadata.yaml, or a single .mcap, .db3 or ROS 1 .bag file.'
                )
            self.begin_ns, self.end_ns = reader.begin_ns, reader.end_ns
            self._take_topics(reader.rows, index)
            definitions = {row.msgtype: row.msgdef for row in reversed(reader.rows)}
            self._types, self._undefined = typestore_of(definitions)
        for kind in sorted(self._undefined):
            if kind in self._types.fielddefs:
                self.tell(f'{kind} is read as ROS 2 defines it: {self._undefined[kind]}.')

    def _open_ros2(self) -> Any:
        from seg_ros.recordings.split_bag import SplitBag

        return SplitBag(self._files, partial(tell_once, self.trouble))

    def _take_topics(self, rows: Sequence[Any], index: BagIndex | None) -> None:
        """Finds out what there is, and tells where metadata.yaml says something else."""
        counts: Counter[tuple[str, str]] = Counter()
        offers: dict[str, list[Any]] = {}
        definitions: dict[str, tuple[str, str]] = {}
        for row in rows:
            if row.ext.serialization_format != 'cdr':
                if row.msgcount:
                    form = row.ext.serialization_format
                    self.tell(f'{row.topic} is left out: its messages are in {form}, not in CDR.')
                continue
            counts[row.topic, row.msgtype] += row.msgcount
            known = offers.setdefault(row.topic, [])
            mine = row.ext.offered_qos_profiles
            known += [offer for offer in mine if known.count(offer) < mine.count(offer)]
            text = row.msgdef.data
            if text and (row.msgdef.format.name == 'MSG' or text.startswith(IDL_BEGIN)):
                definitions.setdefault(row.msgtype, (text, row.digest))
        told = {} if index is None else index.offers
        for (topic, kind), count in sorted(counts.items(), key=lambda item: -item[1]):
            if topic not in self.topics:
                found = tuple(offers[topic] or told.get(topic, []))
                self.topics[topic] = RecordedTopic(kind, count, found, definitions.get(kind))
            elif count:
                first = self.topics[topic].type_name
                self.tell(
                    f'{count} messages of {topic} are left out: they are {kind}, not {first}.'
                )
        self.topics = {topic: self.topics[topic] for topic, _ in counts}
        if index is not None:
            self._tell_differences(index, counts, offers)

    def _tell_differences(
        self,
        index: BagIndex,
        counts: Mapping[tuple[str, str], int],
        offers: Mapping[str, list[Any]],
    ) -> None:
        path = self.path / METADATA
        if index.trouble:
            self.tell(f'{path} is not used: {index.trouble}.')
        by_topic: Counter[str] = Counter()
        for (topic, _), count in counts.items():
            by_topic[topic] += count
        last_ns = max(self.begin_ns, self.end_ns - 1)
        kinds = {topic: row.type_name for topic, row in self.topics.items()}
        if others := index.differences(by_topic, (self.begin_ns, last_ns), offers, kinds):
            self.tell(f'{path} says {", ".join(others)}; what its files say counts.')

    def _read_ros1(self) -> None:
        with self._reader() as reader:
            self.begin_ns, self.end_ns = reader.begin_ns, reader.end_ns
            for row in reader.rows:
                known = self.topics.get(row.topic, RecordedTopic(row.msgtype))
                count = known.message_count + row.msgcount
                self.topics[row.topic] = RecordedTopic(row.msgtype, count)
            self._leave_out_what_ros2_lacks(reader.types)

    def _open_ros1(self) -> Any:
        from seg_ros.recordings.ros1_bag import Ros1Bag

        try:
            return Ros1Bag(self.path, self._types, partial(tell_once, self.trouble))
        except ImportError as error:
            raise _no_rosbags(self.path, error) from error

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


def _no_rosbags(path: Path, error: ImportError) -> ConfigurationError:
    msg = f'Reading {path} needs rosbags ({error}). Install it: pip install rosbags'
    return ConfigurationError(msg)


def _close(readers: Sequence[Any]) -> None:
    for reader in readers:
        reader.close()
