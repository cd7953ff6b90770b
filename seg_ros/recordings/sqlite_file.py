# SPDX-License-Identifier: Apache-2.0
"""A .db3 file of rosbag2, of any distribution, whole or not.

rosbags reads such files, too, but puts the path into an address as it is (``?`` and ``%20`` are
something else there), passes by the ``-wal`` that a killed recorder leaves, and refuses the file
for one damaged page or one definition that it does not know.

A database can compute its rows, without end, and its pages can lead to each other again and again:
only tables whose values are stored are read, and no reading takes more steps than the bytes of the
file can ask for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import ReaderMetadata

from seg_ros.recordings.bag_qos_text import qos_of_text

__all__ = ['SqliteFile']

MOST_MISSING = 4096  # numbers without a message, after which no further one is looked for
LATEST_NS = 2**63 - 1
WAL_HEAD_BYTES, WAL_FRAME_HEAD_BYTES = 32, 24  # https://sqlite.org/fileformat2.html#walformat
# Of SQLite's virtual machine: a row takes some 30 and has at least 10 bytes; a file of a page
# may ask for a second's
STEPS_PER_BYTE, MORE_STEPS = 4, 10_000_000
STEPS_AT_ONCE = 100_000
IN_ORDER = (
    'SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN (TOPICS) '
    'AND timestamp >= ? AND timestamp < ? ORDER BY timestamp, id'
)
# Every number is smaller than any text
SPAN = """SELECT (SELECT min(timestamp) FROM messages WHERE timestamp < ''),
(SELECT max(timestamp) FROM messages WHERE timestamp < '')"""
TOPICS = 'SELECT id, name, type, serialization_format, LATER FROM topics ORDER BY id'
FORMATS = {
    'ros2msg': MessageDefinitionFormat.MSG,
    'ros2idl': MessageDefinitionFormat.IDL,
}


class SqliteFile:
    """Reads a file.

    Args:
        path: Of the file.
        with_journal: Whether the file's -wal or -journal counts, too. SQLite writes beside the
            file then; without it nothing is written.

    Attributes:
        connections: Its topics, as ``rosbags.interfaces.Connection``.
        metadata: First time, the one after the last, and the number of messages.
        broken: What cannot be read, in sentences.
    """

    def __init__(self, path: Path, *, with_journal: bool = False) -> None:
        self.path = path
        self._with_journal = with_journal
        self.broken: list[str] = []
        self.connections: list[Any] = []
        self.metadata: Any = ReaderMetadata(0, LATEST_NS, 0, 0, None, None, None, None)
        self._database: apsw.Connection
        self._by_number: list[tuple[int, int, int]] | None = None
        self._most_steps = self._steps_left = MORE_STEPS

    def open(self) -> None:
        """Opens it.

        Raises:
            ReaderError: It is no bag.
        """
        try:
            self._most_steps += STEPS_PER_BYTE * self.path.stat().st_size
            self._database = self._opened()
            self._database.set_progress_handler(self._is_at_an_end, STEPS_AT_ONCE)
            if not (self._columns('messages') and self._columns('topics')):
                raise ReaderError(f'{self.path} has no tables of a bag in it.')
            self._read_topics()
            if self._with_journal:
                self._check_wal()
        except apsw.Error as error:
            raise ReaderError(f'{self.path} cannot be read: {error}') from error

    def close(self) -> None:
        """Closes it."""
        self._database.close()

    def messages(
        self, connections: Collection[Any], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yields topic, time and bytes of messages in the order of their times."""
        rows = {row.id: row for row in connections}
        first_ns, end_ns = start or 0, LATEST_NS if stop is None else stop
        done = 0
        if self._by_number is None:
            try:
                for number, recorded_ns, data in self._execute(
                    IN_ORDER.replace('TOPICS', ', '.join('?' * len(rows))),
                    (*rows, first_ns, end_ns),
                ):
                    done += 1
                    if isinstance(data, bytes):
                        yield rows[number], recorded_ns, data
                    else:
                        self._tell_no_bytes()
                return
            except apsw.Error:
                self._find_by_number()
        assert self._by_number is not None
        wanted = [
            (recorded_ns, identity, topic)
            for recorded_ns, identity, topic in self._by_number
            if topic in rows and first_ns <= recorded_ns < end_ns
        ]
        for recorded_ns, identity, topic in wanted[done:]:
            data = self._data_of(identity)
            if isinstance(data, bytes):
                yield rows[topic], recorded_ns, data
            elif data is not None:
                self._tell_no_bytes()

    def _opened(self) -> apsw.Connection:
        address = f'file:{quote(str(self.path.resolve()))}'
        if self._with_journal:
            return apsw.Connection(address, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
        address += '?immutable=1'
        return apsw.Connection(address, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)

    def _columns(self, table: str) -> set[str]:
        """The columns of a table that are stored; none of a view, which has no page."""
        is_stored = 'SELECT 1 FROM sqlite_master WHERE name = ? AND type = ? AND rootpage > 0'
        if not self._execute(is_stored, (table, 'table')).fetchone():
            return set()
        rows = self._execute(f'PRAGMA table_xinfo({table})')
        return {row[1] for row in rows if not row[6]}  # hidden, or computed

    def _execute(self, text: str, bindings: Sequence[Any] = ()) -> apsw.Cursor:
        """Runs a statement that takes no more steps than what is stored can need."""
        self._steps_left = self._most_steps
        return self._database.execute(text, bindings)

    def _is_at_an_end(self) -> bool:
        self._steps_left -= STEPS_AT_ONCE
        return self._steps_left < 0

    def _read_topics(self) -> None:
        """Dashing had four columns; others came with Foxy and Iron."""
        there = self._columns('topics')
        missing = {'id', 'name', 'type', 'serialization_format'} - there
        missing |= {'id', 'topic_id', 'timestamp', 'data'} - self._columns('messages')
        if missing:
            raise ReaderError(f'{self.path} does not store {", ".join(sorted(missing))}.')
        wanted = [
            name if name in there else "''"
            for name in ('offered_qos_profiles', 'type_description_hash')
        ]
        counts, begin_ns, last_ns = self._counted()
        definitions = self._definitions()
        nothing = MessageDefinition(MessageDefinitionFormat.NONE, '')
        for identity, topic, kind, form, offers, digest in self._execute(
            TOPICS.replace('LATER', ', '.join(wanted))
        ):
            if not (isinstance(topic, str) and isinstance(kind, str)):
                continue  # so that its messages are nobody's
            ext = ConnectionExtRosbag2(str(form or ''), self._offers(topic, offers))
            self.connections.append(
                Connection(
                    identity, topic, kind, definitions.get(kind, nothing), digest or '',
                    counts.get(identity, 0), ext, self,
                )
            )  # fmt: skip
        known = {row.id for row in self.connections}
        if lost := sum(counts[number] for number in counts.keys() - known):
            self._tell(
                f'{lost} messages of {self.path} are left out: it does not name their topic.'
            )
        count = sum(counts.values()) - lost
        if count:
            self.metadata = self.metadata._replace(
                duration=last_ns + 1 - begin_ns,
                start_time=begin_ns,
                end_time=last_ns + 1,
                message_count=count,
            )

    def _counted(self) -> tuple[dict[int, int], int, int]:
        """Messages of each topic, and the first and last of their times."""
        try:
            counts = dict(
                self._execute('SELECT topic_id, count(*) FROM messages GROUP BY topic_id')
            )
            ((begin_ns, last_ns),) = self._execute(SPAN)
        except apsw.Error:
            found = self._find_by_number()
            counts = {}
            for _, _, topic in found:
                counts[topic] = counts.get(topic, 0) + 1
            begin_ns, last_ns = (found[0][0], found[-1][0]) if found else (0, 0)
        return counts, begin_ns or 0, last_ns or 0

    def _definitions(self) -> dict[str, Any]:
        """The definition of each type; distributions before Iron tell none."""
        wanted = {'id', 'topic_type', 'encoding', 'encoded_message_definition'}
        if not wanted <= self._columns('message_definitions'):
            return {}
        found = {}
        for kind, encoding, text in self._execute(
            'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions '
            'ORDER BY id DESC'
        ):
            if encoding in FORMATS and text:
                found[kind] = MessageDefinition(FORMATS[encoding], text)
        return found

    def _offers(self, topic: str, text: str) -> list[Any]:
        try:
            return qos_of_text(text or '')
        except ValueError as error:
            self.broken.append(
                f'The quality of service of {topic} in {self.path} is not told: {error}.'
            )
            return []

    def _find_by_number(self) -> list[tuple[int, int, int]]:
        """Finds, one by one, the messages that can be: time, number and topic of each.

        Indexes and inner pages that are damaged do not matter so.
        """
        if self._by_number is not None:
            return self._by_number
        found = []
        missing = number = 0
        while missing < MOST_MISSING:
            number += 1
            try:
                row = self._execute(
                    'SELECT timestamp, id, topic_id FROM messages NOT INDEXED WHERE id = ?',
                    (number,),
                ).fetchone()
            except apsw.Error:
                row = None
            missing = 0 if row else missing + 1
            if row:
                found.append(row)
        found.sort()
        self.broken.append(f'{self.path} is damaged; of it is read what can be.')
        self._by_number = found
        return found

    def _data_of(self, number: int) -> bytes | None:
        try:
            row = self._execute('SELECT data FROM messages WHERE id = ?', (number,)).fetchone()
        except apsw.Error as error:
            row = None
            self._tell(f'Messages of {self.path} are damaged and left out: {error}.')
        return None if row is None else row[0]

    def _tell_no_bytes(self) -> None:
        self._tell(f'Messages of {self.path} are not bytes, and left out.')

    def _tell(self, sentence: str) -> None:
        if sentence not in self.broken:
            self.broken.append(sentence)

    def _check_wal(self) -> None:
        """Tells where a -wal goes on behind what SQLite takes of it."""
        wal = self.path.with_name(f'{self.path.name}-wal')
        if not wal.is_file():
            return
        ((_, taken, _),) = self._execute('PRAGMA wal_checkpoint(PASSIVE)')
        with wal.open('rb') as file:
            head = file.read(WAL_HEAD_BYTES)
            frame_bytes = WAL_FRAME_HEAD_BYTES + int.from_bytes(head[8:12], 'big')
            file.seek(WAL_HEAD_BYTES + max(0, taken) * frame_bytes)
            rest = file.read(WAL_FRAME_HEAD_BYTES)
        # A -wal that is used anew keeps frames of before, with another salt, behind those of now
        if taken <= 0 or (rest and rest[8:16] == head[16:24][: len(rest[8:16])]):
            what = 'The end of' if taken > 0 else 'Nothing of'
            is_it = 'is damaged or was not committed, and left out' if taken > 0 else 'can be read'
            self._tell(f'{what} {wal} {is_it}.')
