"""An MCAP file without its end, as a killed recorder or a full disk leaves it."""

from __future__ import annotations

import struct
from collections.abc import Collection, Generator
from typing import Any

from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.storage_mcap import McapReader

__all__ = ['ForgivingMcapReader']

DATA_END = 0x0F  # the record behind all data
RECORD_HEAD = struct.Struct('<BQ')


class ForgivingMcapReader(McapReader):
    """Reads a file as rosbags does, and one that ends early as far as its records are whole.

    Attributes:
        is_truncated: Whether the end is missing.
    """

    is_truncated = False

    def _open(self) -> None:
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
            return self.messages_scan(connections, start, stop)
        return super().messages(connections, start, stop)

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
        assert file is not None
        size = file.seek(0, 2)
        at = self.data_start
        while at + RECORD_HEAD.size <= size:
            file.seek(at)
            opcode, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
            end = at + RECORD_HEAD.size + length
            if not 0 < opcode < DATA_END or end > size:
                break
            at = end
        return at
