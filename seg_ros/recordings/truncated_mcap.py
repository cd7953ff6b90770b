# SPDX-License-Identifier: Apache-2.0
"""An MCAP file that is not whole, as a killed recorder or a bad disk leaves it.

rosbags refuses such a file, so that its reader is subclassed here though it is not public: the
version is pinned to the ones that are known to fit (rosbags 0.11.6 to 0.11.9; before, it opens a
file in another order), and a test fails when one of the parts that are used changes. The ``mcap``
package is no way round: its readers end at the first broken chunk, and the one that knows the
order of time reads nothing of a file without an end (60 files cut off at random: 0 of 25000
messages, ours 25000; a broken chunk in 20 files: 7600 of 15240 messages, ours 15240). Built from
its parts, a reader that finds all of that takes twice the time and brings a second zstd of 24 MB.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.storage_mcap import MAXSIZE, ChunkInfo, McapReader, Msg, msgsrc

from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.bounded_file import BoundedFile

__all__ = ['ForgivingMcapReader']

DATA_END = 0x0F  # the record behind all data
RECORD_HEAD = struct.Struct('<BQ')


class ForgivingMcapReader(McapReader):  # type: ignore[misc]  # rosbags is not followed
    """Reads a file as rosbags does, but also what is whole of a broken one.

    Attributes:
        is_truncated: Whether the end is missing; then it is read as far as its records are whole.
        broken: What was left out in the middle, in sentences.
    """

    bio: Any
    connections: list[Any]
    metadata: Any
    is_truncated = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.broken: list[str] = []

    def _open(self) -> None:
        self.bio = BoundedFile(self.bio)
        try:
            super()._open()
        except (ReaderError, OSError, struct.error, TypeError, ValueError):
            if not self.data_start:  # it does not even begin as an MCAP file
                raise
            self._read_without_index()

    def messages(
        self, connections: Collection[Any], start: int | None = None, stop: int | None = None
    ) -> Generator[Any, None, None]:
        """Yields messages; of a truncated file in the order in which they were written."""
        if self.is_truncated:
            yield from self.messages_scan(connections, start, stop)
        elif not self.chunks:
            yield from super().messages(connections, start, stop)
        else:
            yield from self._from_chunks({row.id: row for row in connections}, start, stop)

    def _from_chunks(
        self, rows: dict[int, Any], start: int | None, stop: int | None
    ) -> Generator[Any, None, None]:
        """As rosbags does it, but goes on behind a chunk that is broken."""
        first_ns, end_ns = start or 0, MAXSIZE if stop is None else stop
        chunks = [
            self._from_chunk(chunk, rows, first_ns, end_ns)
            for chunk in self.chunks
            if first_ns <= chunk.message_end_time
            and chunk.message_start_time < end_ns
            and any(chunk.channel_count.get(number, 0) for number in rows)
        ]
        for recorded_ns, offset, row, data in heapq.merge(*chunks):
            if offset:  # else it only says where the chunk begins
                yield row, recorded_ns, data

    def _from_chunk(
        self, chunk: ChunkInfo, rows: dict[int, Any], first_ns: int, end_ns: int
    ) -> Generator[Msg, None, None]:
        try:
            yield from msgsrc(chunk, rows, first_ns, end_ns, self.bio)
        except Exception as error:  # whatever the decompressors raise
            begin_s, end_s = chunk.message_start_time / NS_PER_S, chunk.message_end_time / NS_PER_S
            self.broken.append(
                f'The chunk from {begin_s:.3f} s to {end_s:.3f} s of {self.path} is broken and '
                f'left out: {error}'
            )

    def _read_without_index(self) -> None:
        self.is_truncated = True
        for part in (self.schemas, self.channels, self.chunks, self.connections):
            part.clear()
        self.data_end = self._end_of_whole_records()
        self.meta_scan()
        assert self.statistics is not None
        counts = self.statistics.channel_message_counts
        self.connections = [row._replace(msgcount=counts[row.id]) for row in self.connections]
        if count := self.statistics.message_count:
            begin_ns, end_ns = self.statistics.start_time, self.statistics.end_time + 1
            self.metadata = self.metadata._replace(
                duration=end_ns - begin_ns,
                start_time=begin_ns,
                end_time=end_ns,
                message_count=count,
            )

    def _end_of_whole_records(self) -> int:
        file = self.bio
        size: int = file.seek(0, 2)
        at: int = self.data_start
        while at + RECORD_HEAD.size <= size:
            file.seek(at)
            opcode, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
            end = at + RECORD_HEAD.size + length
            if not 0 < opcode < DATA_END or end > size:
                break
            at = end
        return at
