# SPDX-License-Identifier: Apache-2.0
"""Every file and row of a bag is read, or named: broken links, journals, nobody's messages."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml
from rosbags.rosbag2 import StoragePlugin

from seg_ros.recordings import bag_files
from seg_ros.recordings.bag import BagRecording, is_bag
from seg_ros.recordings.bag_index import METADATA
from seg_ros.recordings.opening import open_recording
from test.recordings.found import INFORMATION, ROWS, found_in, plain
from test.replay.recordings import write_bag

COMMITTED = 30


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp('whole') / 'drive', ROWS)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A .db3 without the constraints that keep sane what rosbag2 itself writes."""
    file = write_bag(tmp_path / 'made', ROWS, StoragePlugin.SQLITE3) / 'made.db3'
    execute(
        file,
        'CREATE TABLE m2 (id INTEGER PRIMARY KEY, topic_id, timestamp, data)',
        'INSERT INTO m2 SELECT id, topic_id, timestamp, data FROM messages',
        'DROP TABLE messages',
        'ALTER TABLE m2 RENAME TO messages',
        'CREATE TABLE t2 AS SELECT * FROM topics',
        'DROP TABLE topics',
        'ALTER TABLE t2 RENAME TO topics',
    )
    return file


def execute(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def listing(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({INFORMATION: {'relative_file_paths': list(names)}})
    (folder / METADATA).write_text(text)
    return folder


def test_a_bag_may_be_named_by_its_metadata(whole: Path) -> None:
    assert is_bag(whole / METADATA)
    bag = open_recording(whole / METADATA)
    assert isinstance(bag, BagRecording)
    assert (bag.path, bag.name) == (whole, 'drive')
    assert found_in(whole / METADATA) == plain()


def test_what_is_called_like_a_file_of_the_bag_and_is_none_is_named(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copy(whole / 'drive.mcap', tmp_path / 'a_0.mcap')
    for name in ('a_1.mcap', 'a_2.db3', 'a_3.mcap.zstd'):
        place = tmp_path / name
        if name == 'a_1.mcap':
            place.symlink_to(tmp_path / 'disk' / name)
        elif name == 'a_2.db3':
            place.mkdir()
        else:
            os.mkfifo(place)
    assert (
        found_in(tmp_path, f'{tmp_path / "a_1.mcap"} is left out: it leads to nothing') == plain()
    )
    for name in ('a_2.db3', 'a_3.mcap.zstd'):
        found_in(tmp_path, f'{tmp_path / name} is left out: it is no file')


def test_a_file_that_may_not_be_read_is_named_with_the_reason(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('a.mcap', 'b.mcap'):
        shutil.copy(whole / 'drive.mcap', tmp_path / name)
    real = bag_files.open_regular

    def refuse(path: Path) -> Any:
        if path.name == 'b.mcap':
            raise PermissionError(13, 'Permission denied')
        return real(path)

    monkeypatch.setattr(bag_files, 'open_regular', refuse)
    assert (
        found_in(tmp_path, 'b.mcap is left out: it cannot be read: Permission denied') == plain()
    )


@pytest.mark.parametrize('how', ['below', 'beside', 'absolute', 'moved here'])
def test_files_are_where_metadata_says_or_else_in_the_folder(
    whole: Path, tmp_path: Path, how: str
) -> None:
    file = tmp_path / 'data' / 'part.mcap'
    names = {
        'below': 'sub/part.mcap', 'beside': '../data/part.mcap', 'absolute': str(file),
        'moved here': 'old/part.mcap',
    }  # fmt: skip
    bag = listing(tmp_path / 'bag', names[how])
    place = {'below': bag / 'sub', 'moved here': bag}.get(how, file.parent)
    place.mkdir(exist_ok=True)
    shutil.copy(whole / 'drive.mcap', place / 'part.mcap')
    assert found_in(bag) == plain()


def killed(tmp_path: Path, mode: str) -> Path:
    """Returns what a recorder leaves that is killed while it writes: 20 of 50 not committed."""
    source = write_bag(tmp_path / 'source', ROWS, StoragePlugin.SQLITE3) / 'source.db3'
    rows = sqlite3.connect(source).execute('SELECT * FROM messages ORDER BY id').fetchall()
    live = tmp_path / 'live.db3'
    shutil.copy(source, live)
    execute(live, 'DELETE FROM messages', 'VACUUM')
    recorder = sqlite3.connect(live, isolation_level=None)
    recorder.execute(f'PRAGMA journal_mode = {mode}')
    recorder.execute('PRAGMA wal_autocheckpoint = 0')
    recorder.execute('PRAGMA cache_size = 1')  # so that it writes before it commits
    for part in (rows[:COMMITTED], rows[COMMITTED:]):
        recorder.execute('BEGIN')
        recorder.executemany('INSERT INTO messages VALUES (?, ?, ?, ?)', part)
        if part[0] == rows[0]:
            recorder.execute('COMMIT')
    folder = tmp_path / 'killed'
    folder.mkdir()
    for path in tmp_path.glob('live.db3*'):
        shutil.copy(path, folder)
    recorder.execute('ROLLBACK')
    recorder.close()
    return folder


@pytest.mark.parametrize(
    ('mode', 'told'),
    [
        ('delete', 'live.db3 was being written when its recorder ended'),
        ('truncate', 'live.db3 was being written when its recorder ended'),
        ('wal', 'The end of {}/live.db3-wal is damaged or was not committed, and left out'),
    ],
)
def test_what_was_half_written_is_taken_back_and_told(
    tmp_path: Path, mode: str, told: str
) -> None:
    folder = killed(tmp_path, mode)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found_in(folder, told.format(folder)) == plain(ROWS[:COMMITTED])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_journal_that_was_done_with_changes_nothing(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS, StoragePlugin.SQLITE3)
    (bag / 'bag.db3-journal').write_bytes(bytes(512))  # of journal_mode persist
    assert found_in(bag) == plain()


def test_of_a_wal_that_cannot_be_read_that_is_told(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS[:20], StoragePlugin.SQLITE3)
    execute(bag / 'bag.db3', 'PRAGMA journal_mode = wal')
    (bag / 'bag.db3-wal').write_bytes(b'\xaa' * 9000)
    (bag / METADATA).unlink()
    assert found_in(bag, f'Nothing of {bag}/bag.db3-wal can be read') == plain(ROWS[:20])


@pytest.mark.parametrize('end', ['-wal', '-journal'])
def test_a_journal_without_its_file_is_named(whole: Path, tmp_path: Path, end: str) -> None:
    shutil.copy(whole / 'drive.mcap', tmp_path)
    (tmp_path / f'gone.db3{end}').write_bytes(b'some')
    assert found_in(tmp_path, 'belongs to gone.db3, which is not there') == plain()


def test_messages_whose_topic_is_not_named_are_counted_and_told(database: Path) -> None:
    execute(database, "DELETE FROM topics WHERE name = '/odom'")
    wanted = plain([item for item in ROWS if item.topic != '/odom'])
    lost = len(ROWS) - len(wanted)
    assert found_in(database, f'{lost} messages of {database} are left out') == wanted


@pytest.mark.parametrize('data', ['NULL', "'text'", '5'])
def test_a_message_that_is_no_bytes_is_left_out_alone_and_told(database: Path, data: str) -> None:
    at_ns = ROWS[20].recorded_ns
    execute(database, f'INSERT INTO messages VALUES (900, 1, {at_ns}, {data})')
    assert found_in(database, 'are not bytes, and left out') == plain()


@pytest.mark.parametrize('time', ['NULL', "'soon'", '-5', "x'00'"])
def test_a_message_at_no_time_is_left_out_and_counted(database: Path, time: str) -> None:
    execute(database, f"INSERT INTO messages VALUES (900, 1, {time}, x'00')")
    assert found_in(database, f'Of 51 messages of {database} 50 can be read') == plain()
    bag = BagRecording(database)
    assert bag.end_ns == ROWS[-1].recorded_ns + 1


@pytest.mark.parametrize('column', ['serialization_format', 'offered_qos_profiles'])
def test_what_is_not_said_of_a_topic_is_no_error(database: Path, column: str) -> None:
    execute(
        database,
        f'UPDATE topics SET {column} = NULL',
        "INSERT INTO topics (id, name, type) VALUES (50, NULL, NULL), (51, '/x', NULL)",
    )
    told = 'in which form /odom is: CDR is assumed' if column.startswith('s') else ''
    assert found_in(database, told) == plain()
