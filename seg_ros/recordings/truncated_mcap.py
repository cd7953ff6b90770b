# SPDX-License-Identifier: Apache-2.0
"""An MCAP file, whole or not, as a killed recorder or a bad disk leaves it.

rosbags refuses what is not whole, so that its reader is subclassed here though it is not public:
the version is pinned to the ones that are known to fit (rosbags 0.11.6 to 0.11.9; before, it opens
a file in another order), and a test fails when one of the parts that are used changes. The
``mcap`` package is no way round: its readers end at the first broken chunk, and the one that knows
the order of time reads nothing of a file without an end (60 files cut off at random: 0 of 25000
messages, ours 25000; a broken chunk in 20 files: 7600 of 15240 messages, ours 15240). Built from
its parts, a reader that finds all of that takes twice the time and brings a second zstd of 24 MB.

Layout of the records: https://mcap.dev/spec.
"""

from __future__ import annotations

import heapq
import re
import struct
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Generator, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.storage_mcap import (
    MAXSIZE,
    ChunkInfo,
    McapReader,
    Statistics,
    decompress,
    read_exact,
    read_string,
)

from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.bag_qos_text import qos_of_text
from seg_ros.recordings.bounded_file import BoundedFile
from seg_ros.recordings.zstandard import as_far_as_it_goes

__all__ = ['ForgivingMcapReader']

MAGIC = b'\x89MCAP0\r\n'
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = range(1, 7)
CHUNK_INDEX, STATISTICS, DATA_END = 0x08, 0x0B, 0x0F
RECORD_HEAD = struct.Struct('<BQ')
MESSAGE_HEAD = struct.Struct('<HIQQ')  # channel, sequence, times of recording and publishing
CHUNK_HEAD = struct.Struct('<QQQI')  # first and last time, size, checksum
FOOTER_BYTES = 37  # record and magic
CUT_CHUNK_BYTES = RECORD_HEAD.size + CHUNK_HEAD.size + 16  # of one that is cut, at least
WINDOW_BYTES = 8192  # that are read together where records may be small
CHUNK_BEGIN = re.compile(rb'(?=(\x06.{36}(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd)))', re.DOTALL)
SEARCHED_BYTES, MORE_BYTES = 1 << 20, 64  # that are searched at once, and what a find may need
DEFINED = ('ros2msg', 'ros2idl', 'omgidl', '')  # how a type may be told
QOS, TYPE_HASH = 'offered_qos_profiles', 'topic_type_hash'

Rows = dict[int, Any]


class _Stored(NamedTuple):
    """A message; ordered by its time, and then by where in the file it is."""

    recorded_ns: int
    offset: int
    row: Any
    data: bytes


class _Schemas(dict[int, Any]):
    """Forgets a definition in a language that nobody reads: it may be of a topic nobody needs."""

    def __setitem__(self, key: int, schema: Any) -> None:
        if schema.encoding not in DEFINED:
            schema = schema._replace(encoding='', data='')
        super().__setitem__(key, schema)


class _Channels(dict[int, Any]):
    """Keeps what is said of each channel from rosbags, which would refuse the file for it."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[int, bytes] = {}

    def __setitem__(self, key: int, channel: Any) -> None:
        self.said[key] = channel.metadata
        super().__setitem__(key, channel._replace(metadata=b''))


class ForgivingMcapReader(McapReader):  # type: ignore[misc]  # rosbags is not followed
    """Reads a file as rosbags does, but in the order of time, and what is whole of a broken one.

    Attributes:
        is_truncated: Whether the end is missing; then it is read as far as its records are whole.
        broken: What was left out or cannot be, in sentences.
    """

    bio: Any
    connections: list[Any]
    metadata: Any
    is_truncated = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.broken: list[str] = []
        self.schemas = _Schemas()
        self.channels = _Channels()
        self._forget()

    def _forget(self) -> None:
        self.schemas.clear()
        self.channels.clear()
        self.chunks.clear()
        self.connections.clear()
        self.statistics: Any = None
        # Messages outside of chunks: their times, the places and sizes of their bytes, channels
        self._loose = array('Q'), array('Q'), array('Q'), array('H')
        self._rest: tuple[int, bytes] = (0, b'')  # what is whole of a chunk that is not

    def _open(self) -> None:
        self.bio = BoundedFile(self.bio)
        self._read_head()
        try:
            self._read_summary()
        except Exception:  # whatever struct, decoding and rosbags make of bytes that are none
            self.is_truncated = True
            self._read_without_index()
        self._take_over()

    def messages(
        self, connections: Collection[Any], start: int | None = None, stop: int | None = None
    ) -> Generator[Any, None, None]:
        """Yields messages in the order of their times."""
        rows = {row.id: row for row in connections}
        first_ns, end_ns = start or 0, MAXSIZE if stop is None else stop
        sources: list[Iterator[_Stored]] = [
            self._from_chunk(chunk, rows, first_ns, end_ns)
            for chunk in self.chunks
            if first_ns <= chunk.message_end_time
            and chunk.message_start_time < end_ns
            and any(chunk.channel_count.get(number, 0) for number in rows)
        ]
        if self._loose[0]:
            sources.append(self._from_loose(rows, first_ns, end_ns))
        if self._rest[1]:
            sources.append(_messages_in(*self._rest, rows, first_ns, end_ns))
        merged = sources[0] if len(sources) == 1 else heapq.merge(*sources)
        for stored in merged:
            if stored.row is not None:  # else it only says where the chunk begins
                yield stored.row, stored.recorded_ns, stored.data

    def _from_chunk(
        self, chunk: ChunkInfo, rows: Rows, first_ns: int, end_ns: int
    ) -> Iterator[_Stored]:
        offset = chunk.chunk_start_offset
        yield _Stored(chunk.message_start_time, offset, None, b'')
        try:
            data = self._content(chunk)
        except Exception as error:  # whatever the decompressors raise
            begin_s, end_s = chunk.message_start_time / NS_PER_S, chunk.message_end_time / NS_PER_S
            self._tell(
                f'The chunk from {begin_s:.3f} s to {end_s:.3f} s of {self.path} is broken and '
                f'left out: {error}'
            )
            return
        yield from _messages_in(offset, data, rows, first_ns, end_ns)

    def _from_loose(self, rows: Rows, first_ns: int, end_ns: int) -> Iterator[_Stored]:
        times, places, sizes, channels = self._loose
        order: Sequence[int] = range(len(times))
        if (np.diff(np.frombuffer(times, np.uint64).view(np.int64)) < 0).any():
            order = sorted(order, key=times.__getitem__)
        window, begin, end = b'', 0, 0
        for number in order:
            row = rows.get(channels[number])
            recorded_ns = times[number]
            if row is None or not first_ns <= recorded_ns < end_ns:
                continue
            place, size = places[number], sizes[number]
            if place < begin or place + size > end:
                self.bio.seek(place)
                window = self.bio.read(max(size, WINDOW_BYTES))
                begin, end = place, place + len(window)
            at = place - begin
            yield _Stored(recorded_ns, place, row, window[at : at + size])

    def _content(self, chunk: ChunkInfo) -> bytes:
        """Returns the records of a chunk."""
        self.bio.seek(chunk.chunk_start_offset + RECORD_HEAD.size)
        *_, checksum = CHUNK_HEAD.unpack(read_exact(self.bio, CHUNK_HEAD.size))
        self.bio.seek(4 + len(chunk.compression) + 8, 1)
        packed = read_exact(self.bio, chunk.compressed_size)
        found: bytes = decompress(packed, chunk.compression, chunk.uncompressed_size, checksum)
        return found

    def _read_head(self) -> None:
        """Finds where the records begin, whatever profile the writer says it has."""
        head = self.bio.read(len(MAGIC) + RECORD_HEAD.size)
        if not head:
            raise ReaderError(f'File {str(self.path)!r} seems to be empty.')
        if head[: len(MAGIC)] != MAGIC or len(head) < len(MAGIC) + RECORD_HEAD.size:
            raise ReaderError(f'{str(self.path)!r} does not begin as an MCAP file.')
        opcode, length = RECORD_HEAD.unpack_from(head, len(MAGIC))
        if opcode != HEADER:
            raise ReaderError(f'{str(self.path)!r} has no header.')
        self.data_start = len(head) + length

    def _read_summary(self) -> None:
        """Takes what the end of the file tells of the rest; reads the records if it does not."""
        self.bio.seek(-FOOTER_BYTES, 2)
        footer_start = self.bio.tell()
        data = self.bio.read()
        opcode, length = RECORD_HEAD.unpack_from(data)
        if data[-len(MAGIC) :] != MAGIC or (opcode, length) != (FOOTER, 20):
            raise ReaderError('The end is missing.')
        (self.data_end,) = struct.unpack_from('<Q', data, RECORD_HEAD.size)
        if not self.data_end:
            self.data_end = footer_start
            self._read_without_index()
            return
        if not self.data_start <= self.data_end <= footer_start:
            raise ReaderError('The index is none.')
        self.read_index()
        counted: Counter[int] = Counter()
        for chunk in self.chunks:
            counted.update(chunk.channel_count)
        told = self.statistics
        is_whole = told is None or told.message_count == sum(counted.values())
        if not (counted and self.channels and is_whole and self._is_index_whole()):
            self._read_without_index()
            return
        spans = [row[:2] for row in self.chunks if any(row.channel_count.values())]
        self._count(counted, min(row[0] for row in spans), max(row[1] for row in spans))

    def _is_index_whole(self) -> bool:
        """Whether every message is in the chunks of the index, and these are what it says.

        It goes from chunk to chunk and reads the head of each; where there is something else than
        records, it goes on at the next chunk.
        """
        left = {row.chunk_start_offset: row for row in self.chunks}
        if len(left) < len(self.chunks):
            return False
        at = self.data_start
        while at < self.data_end:
            self.bio.seek(at)
            head = self.bio.read(RECORD_HEAD.size + 16)
            opcode, length = RECORD_HEAD.unpack_from(head)
            end = at + RECORD_HEAD.size + length
            if opcode == DATA_END:
                break
            if not opcode or end > self.data_end:
                end = min((place for place in left if place > at), default=self.data_end)
            elif opcode == MESSAGE:
                return False
            elif opcode == CHUNK:
                chunk = left.pop(at, None)
                times = struct.unpack_from('<QQ', head, RECORD_HEAD.size)
                if chunk is None or times != (chunk.message_start_time, chunk.message_end_time):
                    return False
                end += chunk.message_index_length
            at = end
        return not left

    def _read_without_index(self) -> None:
        """Makes of the records themselves what the end of the file should have told."""
        self._forget()
        times, places, sizes, channels = self._loose
        counts: Counter[int] = Counter()
        span = [MAXSIZE, 0]
        for opcode, at, end, head in self._records():
            place = at + RECORD_HEAD.size + MESSAGE_HEAD.size
            if opcode == MESSAGE and place <= end:
                channel, _, recorded_ns, _ = MESSAGE_HEAD.unpack(head)
                times.append(recorded_ns)
                places.append(place)
                sizes.append(end - place)
                channels.append(channel)
            elif opcode == MESSAGE:
                self._tell(f'A message at byte {at} of {self.path} is too short, and left out.')
            elif opcode in (SCHEMA, CHANNEL):
                self._scan(self.bio, at, end)
            elif opcode == CHUNK:
                found = self._read_chunk(at, end)
                if found is not None and found.message_count:
                    counts.update(found.channel_message_counts)
                    span = [min(span[0], found.start_time), max(span[1], found.end_time)]
        if times:
            counts.update(channels)
            span = [min(span[0], min(times)), max(span[1], max(times))]
        self._count(counts, *span)

    def _read_chunk(self, at: int, end: int) -> Statistics | None:
        """Takes a chunk into the index, and returns what is in it; None if it is broken."""
        self.bio.seek(at + RECORD_HEAD.size)
        first_ns, last_ns, size, checksum = CHUNK_HEAD.unpack(
            read_exact(self.bio, CHUNK_HEAD.size)
        )
        compression = read_string(self.bio)
        (packed_size,) = struct.unpack('<Q', read_exact(self.bio, 8))
        packed = self.bio.read(packed_size)
        try:
            is_whole = len(packed) == packed_size
            if is_whole:
                data = decompress(packed, compression, size, checksum)
            else:  # the file ends within
                data = _whole_records(as_far_as_it_goes(packed, compression))
                self._rest = at, data
            found = self._scan(BytesIO(data), 0, len(data))
        except Exception as error:  # whatever the decompressors raise
            self._tell(
                f'The chunk from {first_ns / NS_PER_S:.3f} s to {last_ns / NS_PER_S:.3f} s of '
                f'{self.path} is broken and left out: {error}'
            )
            return None
        if is_whole:
            if found.message_count:
                first_ns, last_ns = found.start_time, found.end_time
            self.chunks.append(
                ChunkInfo(
                    first_ns, last_ns, at, end - at, {}, 0, compression, packed_size, size,
                    dict(found.channel_message_counts),
                )
            )  # fmt: skip
        return found

    def _records(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yields opcode, begin, end and head of every record of the data, as far as it is whole.

        The head is what a message begins with. The last record may be a chunk that ends behind the
        file.
        """
        size: int = self.bio.seek(0, 2)
        at = self.data_start
        head_bytes = RECORD_HEAD.size + MESSAGE_HEAD.size
        window, begin, last = b'', 0, -1  # last: the place of the last head that is whole in it
        while at + RECORD_HEAD.size <= size:
            if not begin <= at <= last:
                self.bio.seek(at)
                window = self.bio.read(WINDOW_BYTES)
                begin, last = at, at + len(window) - head_bytes
            place = at - begin
            opcode, length = RECORD_HEAD.unpack_from(window, place)
            end = at + RECORD_HEAD.size + length
            if opcode in (DATA_END, FOOTER):
                if not self.is_truncated and end < self.data_end:
                    self._tell(
                        f'{self.path} ends at byte {at} and goes on behind that: it is several '
                        'files in one. Of it the first is read; split it.'
                    )
                return
            is_cut = end > size
            if not opcode or (is_cut and (opcode != CHUNK or at + CUT_CHUNK_BYTES > size)):
                found = self._chunk_behind(at, size)
                if found is None and self.is_truncated:
                    return  # that is its end
                said = 'nothing' if found is None else f'from byte {found} on'
                self._tell(f'{self.path} is damaged at byte {at}; behind that it is read {said}.')
                if found is None:
                    return
                at = found
                continue
            yield opcode, at, end, window[place + RECORD_HEAD.size : place + head_bytes]
            at = end

    def _chunk_behind(self, at: int, size: int) -> int | None:
        """Returns where a chunk begins behind bytes that are no records, None without any."""
        at += 1
        while at < size:
            self.bio.seek(at)
            window = self.bio.read(SEARCHED_BYTES + MORE_BYTES)
            for match in CHUNK_BEGIN.finditer(window):
                begin, end = match.span(1)
                if end + 8 > len(window):
                    break
                _, length = RECORD_HEAD.unpack_from(window, begin)
                first_ns, last_ns, *_ = CHUNK_HEAD.unpack_from(window, begin + RECORD_HEAD.size)
                (packed,) = struct.unpack_from('<Q', window, end)
                whole = end + 8 + packed - begin - RECORD_HEAD.size
                if length == whole and first_ns <= last_ns and at + end + 8 + packed <= size:
                    return at + begin
            at += SEARCHED_BYTES
        return None

    def _scan(self, file: Any, begin: int, end: int) -> Statistics:
        """Has rosbags learn the schemas and channels of some records, and count them."""
        ours = self.bio, self.data_start, self.data_end
        self.bio, self.data_start, self.data_end = file, begin, end
        try:
            self.meta_scan()
            return self.statistics
        finally:
            self.bio, self.data_start, self.data_end = ours
            self.statistics = None

    def _count(self, counts: Counter[int], begin_ns: int, last_ns: int) -> None:
        self.statistics = Statistics(
            sum(counts.values()), len(self.schemas), len(self.channels), 0, 0, len(self.chunks),
            begin_ns, last_ns, defaultdict(int, counts),
        )  # fmt: skip

    def _take_over(self) -> None:
        """Tells who opens the file what is in it."""
        found = self.statistics
        self.connections = [self._row(row, found) for row in self.connections]
        if found.message_count:
            self.metadata = self.metadata._replace(
                duration=found.end_time + 1 - found.start_time,
                start_time=found.start_time,
                end_time=found.end_time + 1,
                message_count=found.message_count,
            )

    def _row(self, row: Any, found: Statistics) -> Any:
        said = _texts(self.channels.said.get(row.id, b''))
        try:
            offers = qos_of_text(said.get(QOS, ''))
        except ValueError as error:
            self._tell(
                f'The quality of service of {row.topic} in {self.path} is not told: {error}'
            )
            offers = []
        return row._replace(
            msgcount=found.channel_message_counts.get(row.id, 0),
            digest=said.get(TYPE_HASH, ''),
            ext=row.ext._replace(offered_qos_profiles=offers),
        )

    def _tell(self, sentence: str) -> None:
        if sentence not in self.broken:
            self.broken.append(sentence)


def _messages_in(
    offset: int, data: bytes, rows: Rows, first_ns: int, end_ns: int
) -> Iterator[_Stored]:
    """Yields the messages among the records of a chunk, in the order of their times."""
    found = []
    at, size = 0, len(data)
    while at + RECORD_HEAD.size <= size:
        opcode, length = RECORD_HEAD.unpack_from(data, at)
        begin, at = at + RECORD_HEAD.size, at + RECORD_HEAD.size + length
        if opcode == MESSAGE:
            channel, _, recorded_ns, _ = MESSAGE_HEAD.unpack_from(data, begin)
            if channel in rows and first_ns <= recorded_ns < end_ns:
                found.append((recorded_ns, begin + MESSAGE_HEAD.size, at, channel))
    found.sort()  # by the time, and then as they were written
    for recorded_ns, begin, end, channel in found:
        yield _Stored(recorded_ns, offset, rows[channel], data[begin:end])


def _whole_records(data: bytes) -> bytes:
    """Returns as many bytes as are whole records."""
    at = 0
    while at + RECORD_HEAD.size <= len(data):
        _, length = RECORD_HEAD.unpack_from(data, at)
        if at + RECORD_HEAD.size + length > len(data):
            break
        at += RECORD_HEAD.size + length
    return data[:at]


def _texts(data: bytes) -> dict[str, str]:
    """Returns the map of a channel, as far as it is one."""
    file = BytesIO(data)
    found: dict[str, str] = {}
    try:
        while file.tell() < len(data):
            name = read_string(file)
            found[name] = read_string(file)
    except (ReaderError, ValueError):
        return found
    return found
