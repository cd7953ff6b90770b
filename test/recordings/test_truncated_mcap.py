# SPDX-License-Identifier: Apache-2.0
"""What is whole of an MCAP file is read, and the parts of rosbags that this needs are there."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path

import pytest
from rosbags.rosbag2 import storage_mcap
from rosbags.rosbag2.reader import DirectoryReader, Reader

from seg_ros.core.errors import ConfigurationError
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.recording import RecordedMessage
from seg_ros.recordings.truncated_mcap import ForgivingMcapReader
from test.replay.recordings import drive_rows, write_bag

PLACES = 40


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_bag(tmp_path_factory.mktemp('whole') / 'drive', drive_rows(6), chunk_rows=4)
    return folder / 'drive.mcap'


def messages(path: Path) -> list[RecordedMessage]:
    bag = BagRecording(path)
    return list(bag.messages(bag.topics))


def test_a_file_that_ends_anywhere_gives_a_beginning_of_its_messages(
    whole: Path, tmp_path: Path
) -> None:
    data, everything = whole.read_bytes(), messages(whole)
    counts = []
    for place in range(PLACES):
        cut = tmp_path / f'{place}.mcap'
        cut.write_bytes(data[: len(data) * (place + 1) // (PLACES + 1)])
        try:
            found = messages(cut)
        except ConfigurationError:  # not even one message is whole
            found = []
        assert found == everything[: len(found)]
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[-1] >= 0.8 * len(everything)


def test_the_private_parts_of_rosbags_are_those_that_ours_was_written_for() -> None:
    """When this fails: compare the new rosbags with ``truncated_mcap.py``, then move the bounds.

    They are in setup.py.
    """
    assert (0, 11, 6) <= tuple(map(int, version('rosbags').split('.'))) < (0, 12)
    assert storage_mcap.ChunkInfo._fields == (
        'message_start_time', 'message_end_time', 'chunk_start_offset', 'chunk_length',
        'message_index_offsets', 'message_index_length', 'compression', 'compressed_size',
        'uncompressed_size', 'channel_count',
    )  # fmt: skip
    assert storage_mcap.Msg._fields == ('timestamp', 'offset', 'connection', 'data')
    assert {'message_count', 'start_time', 'end_time', 'channel_message_counts'} <= set(
        storage_mcap.Statistics._fields
    )
    assert storage_mcap.MAXSIZE == 2**63 - 1
    for function, names in (
        (storage_mcap.msgsrc, 'chunk channel_map start stop bio'),
        (storage_mcap.McapReader.__init__, 'self path'),
        (storage_mcap.McapReader._open, 'self'),
        (storage_mcap.McapReader.meta_scan, 'self'),
        (storage_mcap.McapReader.messages, 'self connections start stop'),
        (storage_mcap.McapReader.messages_scan, 'self connections start stop'),
        (Reader.__init__, 'self path'),
    ):
        assert list(inspect.signature(function).parameters) == names.split()
    assert '_open()' in inspect.getsource(storage_mcap.McapReader.open)
    assert 'STORAGE_PLUGINS[' in inspect.getsource(DirectoryReader.open)
    assert 'storage' in inspect.getsource(Reader.__init__)


def test_what_is_used_of_a_file_is_there_before_it_is_opened(whole: Path) -> None:
    reader = ForgivingMcapReader(whole)
    for name in ('schemas', 'channels', 'chunks', 'connections'):
        assert not getattr(reader, name)
    assert (reader.data_start, reader.bio, reader.statistics) == (0, None, None)
