# SPDX-License-Identifier: Apache-2.0
"""The figures of a demo follow from its bag, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer

from seg_ros.commands.demo import topics
from seg_ros.commands.demo.recording import read_recording, summary_of
from seg_ros.core.errors import SegRosError
from test.recordings.pictures import TYPES, flat, jpeg_message

MS = 1_000_000
ENGINE_CLASSES = {1: 'road', 2: 'sky'}
TRUE_CLASSES = {1: 'sky', 2: 'road', 3: 'unicorn'}
STATUS = {
    'engine': 'tiny',
    'backend': 'canned',
    'frames_received': '9',
    'frames_dropped': '1',
    'received_to_published_ms.p50': '20.1234',
    'received_to_published_ms.p95': '30.0',
    'received_to_published_ms.p99': '31.5',
}


def latched(classes: Mapping[int, str]) -> Any:
    rows = [
        {'id': key, 'name': name, 'colour': [key, 0, 0], 'roles': []}
        for key, name in classes.items()
    ]
    text = json.dumps({'unlabelled': 255, 'classes': rows})
    return TYPES.types['std_msgs/msg/String'](data=text)


def labels(rows: list[list[int]], stamp_ns: int) -> Any:
    pixels: NDArray[np.uint8] = np.array(rows, np.uint8)
    header = jpeg_message(flat((0, 0, 0)), stamp_ns).header
    height, width = pixels.shape
    return TYPES.types['sensor_msgs/msg/Image'](
        header, height, width, 'mono8', 0, width, pixels.ravel()
    )


def diagnostics(values: Mapping[str, str]) -> Any:
    pairs = [TYPES.types['diagnostic_msgs/msg/KeyValue'](*pair) for pair in values.items()]
    kind = TYPES.types['diagnostic_msgs/msg/DiagnosticStatus']
    rows = [kind(0, 'somebody else', '', '', []), kind(0, 'segmentation: camera', '', '', pairs)]
    header = jpeg_message(flat((0, 0, 0))).header
    return TYPES.types['diagnostic_msgs/msg/DiagnosticArray'](header, rows)


def write(bag: Path, rows: list[tuple[int, str, Any]]) -> Path:
    """Writes messages with the times of their arrival."""
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for received_ns, topic, message in rows:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            writer.write(connections[topic], received_ns, TYPES.serialize_cdr(message, kind))
    return bag


def demo_bag(path: Path, status: Mapping[str, str] = STATUS) -> Path:
    """Three images 100 ms apart; the second is not answered, the third by half."""
    rows = [
        (1, topics.CLASSES, latched(ENGINE_CLASSES)),
        (2, topics.TRUTH_CLASSES, latched(TRUE_CLASSES)),
    ]
    truth = [[1, 1, 3], [2, 2, 2]]
    answers = {1000 * MS: [[2, 2, 1], [1, 1, 1]], 1200 * MS: [[2, 1, 1], [2, 2, 1]]}
    for stamp_ns in (1000 * MS, 1100 * MS, 1200 * MS):
        picture = jpeg_message(flat((200, 0, 0)), stamp_ns)
        rows.append((stamp_ns, topics.IMAGE_COMPRESSED, picture))
        rows.append((stamp_ns, topics.TRUTH, labels(truth, stamp_ns)))
        if stamp_ns in answers:
            received_ns = stamp_ns + (20 if stamp_ns == 1000 * MS else 40) * MS
            rows.append((received_ns, topics.LABEL, labels(answers[stamp_ns], stamp_ns)))
            rows.append((received_ns, topics.OVERLAY, picture))
    if status:
        rows.append((1300 * MS, topics.DIAGNOSTICS, diagnostics({**status, 'engine': 'old'})))
        rows.append((1400 * MS, topics.DIAGNOSTICS, diagnostics(status)))
    return write(path, rows)


def test_the_summary_has_exactly_its_keys_and_the_right_figures(tmp_path: Path) -> None:
    assert summary_of(read_recording(demo_bag(tmp_path / 'bag'))) == {
        'frames_in': 3,
        'frames_out': 2,
        'dropped': 1,
        'fps': 4.55,  # two label images 220 ms apart
        'backend': 'canned',
        'engine': 'tiny',
        'pixel_accuracy': 0.7,  # 5 of 5 and 2 of 5; nobody asks this engine for unicorns
        'latency_ms': {
            'received_to_published': {'p50': 20.12, 'p95': 30.0, 'p99': 31.5},
            'stamp_to_received': {'p50': 30.0, 'p95': 39.0, 'p99': 39.8},
        },
    }


def test_without_truth_there_is_no_accuracy(tmp_path: Path) -> None:
    recording = read_recording(demo_bag(tmp_path / 'bag'))
    recording.accuracy.clear()
    assert summary_of(recording)['pixel_accuracy'] is None


def test_a_moment_brings_together_what_has_one_stamp(tmp_path: Path) -> None:
    recording = read_recording(demo_bag(tmp_path / 'bag'))
    assert recording.shown() == [1000 * MS, 1200 * MS]
    moment = recording.moment(1200 * MS)
    assert (moment.elapsed_s, moment.latency_ms, moment.accuracy) == (0.2, 40.0, 0.4)
    np.testing.assert_allclose(moment.image[0, 0], (200, 0, 0), atol=6)


def test_a_node_that_never_was_active_is_said(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag', [(1, topics.TRUTH_CLASSES, latched(TRUE_CLASSES))])
    with pytest.raises(SegRosError, match='/segmentation/classes: the node never was active'):
        read_recording(bag)


def test_a_node_that_answers_nothing_is_said(tmp_path: Path) -> None:
    recording = read_recording(demo_bag(tmp_path / 'bag', status={}))
    with pytest.raises(SegRosError, match=r'sent 3 images, but.*node\.log'):
        summary_of(recording)
