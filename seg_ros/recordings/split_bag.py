# SPDX-License-Identifier: Apache-2.0
"""The files of a rosbag2 as one bag: in the order of time, each message once."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.bag_files import ZSTD_MAGIC, BagFile, opened
from seg_ros.recordings.bag_types import normal_name
from seg_ros.recordings.zstandard import decompressed

__all__ = ['SplitBag', 'Stored']

Tell = Callable[[str], None]
CDR = 'cdr'

# Once this much was given back, glibc keeps up to twice as much for what is allocated next; else
# every chunk and image comes in fresh pages, which takes longer than the reading (mallopt(3),
# M_MMAP_THRESHOLD: 300 images of 0.7 MB in zstd chunks, 0.38 s before, 0.07 s after).
KEPT_BYTES = 16 << 20


Stored = tuple[int, int, str, bytes]
"""Time of the recording, number of the file, topic and bytes of a message.

They are ordered by the first two. Without a topic it only says when the file begins.
"""


class _File(NamedTuple):
    """An open file.

    Attributes:
        shown: What people call it, and what it is called in sentences of who reads it.
        reader: Reads it.
        rows: Its topics, as ``rosbags.interfaces.Connection``, with types as ROS 2 spells them.
        begin_ns, end_ns: Time of its first message, and after its last.
    """

    shown: tuple[str, str]
    reader: Any
    rows: list[Any]
    begin_ns: int
    end_ns: int


class SplitBag:
    """Reads files.

    Args:
        files: In any order. What cannot be opened is left out.
        tell: Is told, in sentences, what cannot be read.

    Attributes:
        is_any: Whether any file could be opened.
        rows: Topics of every file, the earliest first.
        begin_ns, end_ns: Time of the first message, and after the last; 0 without any.
    """

    def __init__(self, files: Sequence[BagFile], tell: Tell) -> None:
        self._tell = tell
        np.empty(KEPT_BYTES, np.uint8)
        self._files = sorted(
            (row for row in map(self._opened, files) if row is not None),
            key=lambda row: (row.begin_ns, row.end_ns, row.shown),
        )
        self.is_any = bool(self._files)
        self.rows = [row for file in self._files for row in file.rows]
        with_messages = [file for file in self._files if file.end_ns]
        self.begin_ns = min((file.begin_ns for file in with_messages), default=0)
        self.end_ns = max((file.end_ns for file in with_messages), default=0)
        self._packed: set[int] = set()  # files whose messages are compressed one by one

    def close(self) -> None:
        for file in self._files:
            file.reader.close()

    def messages(
        self, types: Mapping[str, str], start: int | None = None, stop: int | None = None
    ) -> Iterator[Stored]:
        """Yields messages in the order of their times, and where each file begins.

        Args:
            types: The type of each topic that is wanted.
            start: First time; None is the begin.
            stop: The time after the last one; None is the end.
        """
        sources = []
        files = []
        for number, file in enumerate(self._files):
            rows = [
                row
                for row in file.rows
                if types.get(row.topic) == row.msgtype and _is_cdr(row) and row.msgcount
            ]
            is_before = stop is not None and stop <= file.begin_ns
            is_after = start is not None and file.end_ns <= start
            if rows and not (is_before or is_after):
                sources.append(self._from_file(number, rows, start, stop))
                files.append(file)
        merged = sources[0] if len(sources) == 1 else heapq.merge(*sources)
        is_split = all(a.end_ns <= b.begin_ns for a, b in itertools.pairwise(files))
        return merged if is_split else self._each_once(merged)

    def _opened(self, file: BagFile) -> _File | None:
        try:
            reader = opened(file)
        except Exception as error:  # a file may hold anything
            self._tell(f'{file.shown} is left out: {self._shown(file, str(error))}')
            return None
        if getattr(reader, 'is_truncated', False):
            self._tell(f'{file.shown} is cut off; it is read as far as it goes.')
        for sentence in reader.broken:
            self._tell(self._shown(file, sentence))
        rows = [self._plain(row, file) for row in reader.connections]
        has_messages = reader.metadata.message_count > 0
        begin_ns, end_ns = (
            (reader.metadata.start_time, reader.metadata.end_time) if has_messages else (0, 0)
        )
        return _File((str(file.shown), str(file.path)), reader, rows, begin_ns, end_ns)

    def _plain(self, row: Any, file: BagFile) -> Any:
        """Returns a topic with its type and the form of its messages as ROS 2 spells them."""
        form = row.ext.serialization_format
        if not form and row.msgcount:
            self._tell(f'{file.shown} does not say in which form {row.topic} is: CDR is assumed.')
        ext = row.ext._replace(serialization_format=form.lower() or CDR)
        return row._replace(msgtype=normal_name(row.msgtype), ext=ext)

    @staticmethod
    def _shown(file: BagFile, sentence: str) -> str:
        return sentence.replace(str(file.path), str(file.shown))

    def _from_file(
        self, number: int, rows: Sequence[Any], start: int | None, stop: int | None
    ) -> Iterator[Stored]:
        """Yields the messages of a file, and says at its end how many it should have had."""
        file = self._files[number]
        yield max(file.begin_ns, start or 0), number, '', b''  # it is not read before
        read = lost = 0
        packed = number in self._packed
        at_ns, why = file.begin_ns, ''
        try:
            for row, at_ns, data in file.reader.messages(rows, start, stop):
                if packed or data[:4] == ZSTD_MAGIC:  # CDR begins with a zero
                    if not packed:
                        packed = True
                        self._packed.add(number)
                    try:
                        data = decompressed(data)
                    except Exception as error:  # each zstd has its own
                        lost += 1
                        why = why or f'the first at {at_ns / NS_PER_S:.3f} s: {error}'
                        continue
                read += 1
                yield at_ns, number, row.topic, data
        except Exception as error:  # each storage and compression has its own
            why = why or f'nothing beyond {at_ns / NS_PER_S:.3f} s: {error}'
        shown, path = file.shown
        for sentence in file.reader.broken:
            self._tell(sentence.replace(path, shown))
        is_all = (start is None or start <= file.begin_ns) and (
            stop is None or stop >= file.end_ns
        )
        held = sum(row.msgcount for row in rows)
        if is_all and read != held:
            self._tell(f'Of {held} messages of {shown} {read} can be read{why and f" ({why})"}.')
        elif why:
            self._tell(f'{lost or "Some"} messages of {shown} cannot be read ({why}).')

    def _each_once(self, merged: Iterator[Stored]) -> Iterator[Stored]:
        """Leaves out what is the same message in another file: parts are copied and kept twice."""
        together: list[Stored] = []  # of one time
        for stored in merged:
            at_ns, file, *content = stored
            if together and together[0][0] != at_ns:
                together.clear()
            twins = [row[1] for row in together if [*row[2:]] == content]
            together.append(stored)
            mine = twins.count(file)
            if others := [other for other in set(twins) if twins.count(other) > mine]:
                names = sorted(self._files[number].shown[0] for number in (others[0], file))
                self._tell(f'Messages that are in both {" and ".join(names)} are read once.')
            else:
                yield stored


def _is_cdr(row: Any) -> bool:
    return bool(row.ext.serialization_format == CDR)
