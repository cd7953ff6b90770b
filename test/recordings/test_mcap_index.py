# SPDX-License-Identifier: Apache-2.0
"""The index at the end of an MCAP file is a hint; its chunks and records are the truth."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_ros.recordings.bag import BagRecording
from test.recordings.found import MCAP_MAGIC, ROWS, found_in, plain
from test.replay.recordings import BEGIN_NS, write_bag

Record = tuple[int, bytes]  # opcode and content
MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX, STATISTICS, DATA_END = 5, 6, 7, 8, 11, 15
FOOTER = 2
CHUNK_ROWS = 8

Edit = Callable[[list[Record]], list[Record]]


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = write_bag(tmp_path_factory.mktemp('whole') / 'drive', ROWS, chunk_rows=CHUNK_ROWS)
    return (folder / 'drive.mcap').read_bytes()


def records_of(data: bytes) -> list[Record]:
    found, at = [], len(MCAP_MAGIC)
    while at < len(data) - len(MCAP_MAGIC):
        opcode, length = struct.unpack_from('<BQ', data, at)
        found.append((opcode, data[at + 9 : at + 9 + length]))
        at += 9 + length
    return found


def written(records: list[Record]) -> bytes:
    return b''.join(struct.pack('<BQ', opcode, len(row)) + row for opcode, row in records)


def file_of(data: list[Record], summary: list[Record]) -> bytes:
    begin = MCAP_MAGIC + written(data)
    footer = struct.pack('<QQI', len(begin) if summary else 0, 0, 0)
    return begin + written([*summary, (FOOTER, footer)]) + MCAP_MAGIC


def parts_of(data: bytes) -> tuple[list[Record], list[Record]]:
    """Returns the records before the summary, and the summary."""
    records = records_of(data)
    end = next(place for place, row in enumerate(records) if row[0] == DATA_END) + 1
    return records[:end], [row for row in records[end:] if row[0] != FOOTER]


def without(opcode: int, number: int | None = None) -> Edit:
    def edit(summary: list[Record]) -> list[Record]:
        rows = [row for row in summary if row[0] == opcode]
        gone = rows if number is None else [rows[number]]
        return [row for row in summary if not any(row is one for one in gone)]

    return edit


def set_numbers(opcode: int, number: int, **values: int) -> Edit:
    """Has a record say other numbers of 64 bits; ``at_16=5`` is one at byte 16."""

    def edit(summary: list[Record]) -> list[Record]:
        rows = [row for row in summary if row[0] == opcode]
        made = bytearray(rows[number][1])
        for name, value in values.items():
            struct.pack_into('<Q', made, int(name.removeprefix('at_')), value)
        return [(opcode, bytes(made)) if row is rows[number] else row for row in summary]

    return edit


def both(*edits: Edit) -> Edit:
    def edit(summary: list[Record]) -> list[Record]:
        for one in edits:
            summary = one(summary)
        return summary

    return edit


@pytest.mark.parametrize(
    'edit',
    [
        without(STATISTICS),
        without(CHUNK_INDEX),
        without(CHUNK_INDEX, 2),
        both(without(STATISTICS), without(CHUNK_INDEX, 2)),
        both(without(CHUNK_INDEX, 2), set_numbers(STATISTICS, 0, at_0=len(ROWS) - CHUNK_ROWS)),
        set_numbers(STATISTICS, 0, at_0=0),
        set_numbers(STATISTICS, 0, at_26=0, at_34=0),
        set_numbers(STATISTICS, 0, at_26=BEGIN_NS + 10**9, at_34=BEGIN_NS + 2 * 10**9),
        set_numbers(CHUNK_INDEX, 2, at_0=0, at_8=0),
        set_numbers(CHUNK_INDEX, 2, at_0=BEGIN_NS + 10**10, at_8=BEGIN_NS + 2 * 10**10),
        set_numbers(CHUNK_INDEX, 2, at_16=5),
        set_numbers(CHUNK_INDEX, 2, at_24=5),
    ],
)
def test_whatever_the_summary_says_the_bag_is_what_the_chunks_hold(
    whole: bytes, tmp_path: Path, edit: Edit
) -> None:
    data, summary = parts_of(whole)
    file = tmp_path / 'a.mcap'
    file.write_bytes(file_of(data, edit(summary)))
    assert found_in(file) == plain()
    bag = BagRecording(file)
    assert (bag.begin_ns, bag.end_ns) == (ROWS[0].recorded_ns, ROWS[-1].recorded_ns + 1)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_numbers_in_the_index_give_the_bag_that_the_chunks_hold(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    before, summary = parts_of(whole)
    known = st.sampled_from([0, 1, 8, BEGIN_NS, len(whole) // 2, 2**63 - 1])
    for _ in range(data.draw(st.integers(1, 3))):
        opcode, places = data.draw(
            st.sampled_from([(CHUNK_INDEX, [0, 8, 16, 24]), (STATISTICS, [0, 26, 34])])
        )
        number = data.draw(st.integers(0, sum(row[0] == opcode for row in summary) - 1))
        place = data.draw(st.sampled_from(places))
        summary = set_numbers(opcode, number, **{f'at_{place}': data.draw(known)})(summary)
    file = tmp_path_factory.mktemp('any') / 'a.mcap'
    file.write_bytes(file_of(before, summary))
    bag = BagRecording(file)
    found = [(item.topic, item.recorded_ns, item.data) for item in bag.messages(bag.topics)]
    assert found == plain()


def test_a_message_beside_the_chunks_is_read_whether_the_index_counts_it_or_not(
    whole: bytes, tmp_path: Path
) -> None:
    data, summary = parts_of(whole)
    last = ROWS[-1]
    name = struct.pack('<I', len(last.topic)) + last.topic.encode()
    channel = next(row[1][:2] for row in summary if row[0] == 4 and name in row[1])
    times = struct.pack('<QQ', last.recorded_ns + 5, last.recorded_ns + 5)
    loose = (MESSAGE, channel + bytes(4) + times + last.data)
    file = tmp_path / 'a.mcap'
    file.write_bytes(file_of([*data[:-1], loose, data[-1]], summary))
    assert found_in(file) == [*plain(), (last.topic, last.recorded_ns + 5, last.data)]


@pytest.mark.parametrize('opcode', [0x10, 0x7F, 0x80, 0xFF])
@pytest.mark.parametrize('has_summary', [True, False])
def test_records_of_kinds_that_nobody_knows_are_passed_by(
    whole: bytes, tmp_path: Path, opcode: int, has_summary: bool
) -> None:
    """The format leaves 0x80 and above to whoever writes it, and may get more of its own."""
    data, summary = parts_of(whole)
    place = len(data) // 2
    file = tmp_path / 'a.mcap'
    # The places in the summary are wrong then, as everything in it may be
    made = [*data[:place], (opcode, b'mine'), *data[place:]]
    file.write_bytes(file_of(made, summary if has_summary else []))
    assert found_in(file) == plain()


@pytest.mark.parametrize('end', ['whole', 'without an index', 'cut'])
def test_behind_a_hole_it_is_read_on_at_the_next_chunk_and_told(
    whole: bytes, tmp_path: Path, end: str
) -> None:
    data, summary = parts_of(whole)
    places = [place for place, row in enumerate(data) if row[0] == CHUNK]
    begin = len(MCAP_MAGIC) + len(written(data[: places[2]]))
    made = bytearray(file_of(data, summary if end == 'whole' else []))
    made[begin : begin + 4096] = bytes(4096)
    if end == 'cut':
        del made[-20:]
    file = tmp_path / 'a.mcap'
    file.write_bytes(made)
    wanted = plain([*ROWS[: 2 * CHUNK_ROWS], *ROWS[3 * CHUNK_ROWS :]])
    assert found_in(file, f'is damaged at byte {begin}') == wanted


def test_a_hole_without_a_chunk_behind_it_is_told(whole: bytes, tmp_path: Path) -> None:
    data, _ = parts_of(whole)
    places = [place for place, row in enumerate(data) if row[0] == CHUNK]
    made = bytearray(file_of(data, []))
    begin = len(MCAP_MAGIC) + len(written(data[: places[-1]]))
    made[begin : begin + 4096] = bytes(4096)
    file = tmp_path / 'a.mcap'
    file.write_bytes(made)
    found = found_in(file, f'is damaged at byte {begin}; behind that it is read nothing')
    assert found == plain(ROWS[: CHUNK_ROWS * (len(places) - 1)])


def test_of_several_files_in_one_the_first_is_read_and_told(whole: bytes, tmp_path: Path) -> None:
    data, summary = parts_of(whole)
    file = tmp_path / 'a.mcap'
    file.write_bytes(file_of(data, summary) + file_of(data, []))
    assert found_in(file, 'it is several files in one') == plain()
