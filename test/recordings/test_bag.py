# SPDX-License-Identifier: Apache-2.0
"""One reader of bags: what comes first, what is left out, and what is said about it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer

from seg_ros.core.errors import ConfigurationError
from seg_ros.messages.plain import typestore
from seg_ros.recordings.bag import BagRecording, is_bag
from seg_ros.recordings.new_bag import bag_qos, begin_bag
from test.replay.recordings import (
    BEGIN_NS,
    CHATTER,
    INFO,
    PERIOD_NS,
    Row,
    drive_rows,
    info_row,
    row,
    static_transform_row,
    write_bag,
)

LATCHED = '/classes'
ZSTD_MAGIC = bytes.fromhex('28b52ffd')


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """One message of each topic that counts later, then a count."""
    writer = begin_bag(tmp_path / 'bag')
    names: dict[str, object] = {}
    for item in _rows():
        if item.topic not in names:
            qos = bag_qos(reliable=True, latched=item.topic == LATCHED, depth=1)
            names[item.topic] = writer.add_connection(
                item.topic, item.type_name, typestore=typestore(), offered_qos_profiles=[qos]
            )
        writer.write(names[item.topic], item.recorded_ns, item.data)
    writer.close()
    return tmp_path / 'bag'


def _rows() -> Iterator[Row]:
    yield static_transform_row(BEGIN_NS)
    yield row(LATCHED, BEGIN_NS, 'std_msgs/msg/String', data='{}')
    for number in range(10):
        yield info_row(BEGIN_NS + number * PERIOD_NS)
        yield row(CHATTER, BEGIN_NS + number * PERIOD_NS, 'std_msgs/msg/String', data=str(number))


def test_a_span_begins_with_what_is_latched_and_the_newest_lens(bag: Path) -> None:
    recording = BagRecording(bag)
    first_ns = BEGIN_NS + 5 * PERIOD_NS
    found = list(recording.messages(recording.topics, first_ns, first_ns + PERIOD_NS))
    assert [row.topic for row in found] == ['/tf_static', LATCHED, INFO, INFO, CHATTER]
    assert {row.recorded_ns for row in found} == {first_ns}
    stamp = recording.read(found[2]).header.stamp
    assert stamp.nanosec + stamp.sec * 10**9 < first_ns - PERIOD_NS  # that before the span


def test_nothing_is_repeated_where_the_span_is_all_of_it(bag: Path) -> None:
    recording = BagRecording(bag)
    everything = list(recording.messages(recording.topics))
    assert len(everything) == 22
    span = recording.begin_ns, recording.end_ns
    assert list(recording.messages(recording.topics, *span)) == everything
    assert not list(recording.messages(['/nothing']))


def test_a_file_that_is_broken_in_the_middle_is_read_on_behind_it_and_told(
    tmp_path: Path,
) -> None:
    folder = write_bag(
        tmp_path / 'drive', drive_rows(40), StoragePlugin.SQLITE3, CompressionMode.MESSAGE
    )
    file = folder / 'drive.db3'
    data = bytearray(file.read_bytes())
    message = data.index(ZSTD_MAGIC, len(data) // 2)
    data[message : message + len(ZSTD_MAGIC)] = bytes(len(ZSTD_MAGIC))
    file.write_bytes(data)
    recording = BagRecording(folder)
    assert sum(1 for _ in recording.messages(recording.topics)) == 161
    assert f'Of 162 messages of {file} 161 can be read' in recording.trouble[0]
    list(recording.messages(recording.topics))
    assert len(recording.trouble) == 1  # told once, however often it is read


def test_an_empty_bag_is_refused_by_the_reader(tmp_path: Path) -> None:
    with Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP):
        pass
    with pytest.raises(ConfigurationError, match='has no message in it'):
        BagRecording(tmp_path / 'bag')


def test_a_folder_without_metadata_is_a_bag_by_its_files(tmp_path: Path) -> None:
    assert not is_bag(tmp_path)
    (tmp_path / 'a.mcap').touch()
    assert is_bag(tmp_path)
    assert not is_bag(tmp_path / 'film.mp4')


def test_a_new_bag_does_not_overwrite(bag: Path) -> None:
    with pytest.raises(ConfigurationError, match='Name a new folder'):
        begin_bag(bag)


def test_a_recording_that_nobody_holds_any_more_closes_its_files(bag: Path) -> None:
    """A reader that knew its recording kept both for ever: a file for each bag that was opened."""

    def is_open() -> bool:
        return str(bag.resolve()) in {
            str(row.readlink().parent) for row in Path('/proc/self/fd').iterdir() if row.exists()
        }

    recording = BagRecording(bag)
    assert list(recording.messages(recording.topics))
    assert is_open()
    del recording
    gc.collect()
    assert not is_open()
