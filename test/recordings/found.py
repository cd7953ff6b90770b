# SPDX-License-Identifier: Apache-2.0
"""A drive, and what is found of it in a bag that was made otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seg_ros.recordings.bag import BagRecording
from test.replay.recordings import Row, drive_rows

__all__ = ['IMAGES', 'INFORMATION', 'MCAP_MAGIC', 'ROWS', 'Found', 'found_in', 'plain']

IMAGES = 12
ROWS = list(drive_rows(IMAGES))
INFORMATION = 'rosbag2_bagfile_information'
MCAP_MAGIC = b'\x89MCAP0\r\n'

Found = list[tuple[str, int, bytes]]


def found_in(path: Path, told: str = '') -> Found:
    """Returns what is in a bag; the one thing that is told has these words in it, if any."""
    bag = BagRecording(path)
    found = [(item.topic, item.recorded_ns, item.data) for item in bag.messages(bag.topics)]
    if told:
        assert any(told in sentence for sentence in bag.trouble), bag.trouble
    else:
        assert bag.trouble == []
    return found


def plain(rows: Sequence[Row] = ROWS) -> Found:
    return [(item.topic, item.recorded_ns, item.data) for item in rows]
