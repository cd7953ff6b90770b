# SPDX-License-Identifier: Apache-2.0
"""The recorder as a process: what is in the bag, and that it is whole in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import Image
from std_msgs.msg import String

from seg_ros.commands.shared.message_types import learn_type, message_class
from seg_ros.core.errors import ConfigurationError
from test.ros.graph import BEST_EFFORT, LATCHED, Graph, image_message, wait_for
from test.ros.processes import Start, started_on


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return tmp_path / 'bag'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / 'recorder.log'


@pytest.fixture
def recorder(domain_id: int, bag: Path, log: Path) -> Iterator[Start]:
    """Starts the recorder of the given topics."""
    module = 'seg_ros.commands.record.recorder'
    with started_on(domain_id, log, (module, '--progress', '-o', str(bag))) as start:
        yield start


def counts_in(log: Path) -> dict[str, int]:
    """Returns the counts that the recorder reported last."""
    lines = [line for line in log.read_text().split('\n')[:-1] if line.startswith('{')]
    return dict(json.loads(lines[-1])) if lines else {}


def finished(process: subprocess.Popen[bytes], word: signal.Signals = signal.SIGINT) -> None:
    process.send_signal(word)
    assert process.wait(10.0) == 0


def messages_in(bag: Path) -> dict[str, list[tuple[int, Any]]]:
    """Returns time and message of everything, by topic."""
    found: dict[str, list[tuple[int, Any]]] = {}
    with AnyReader([bag]) as reader:
        for row, received_ns, data in reader.messages():
            message = reader.deserialize(data, row.msgtype)
            found.setdefault(row.topic, []).append((received_ns, message))
    return found


@pytest.mark.parametrize('word', [signal.SIGINT, signal.SIGTERM])
def test_a_bag_has_every_message_with_the_time_of_its_arrival(
    graph: Graph, recorder: Start, bag: Path, log: Path, word: signal.Signals
) -> None:
    images = graph.publisher(Image, '/camera/image')
    process = recorder('/camera/image')
    wait_for(images.get_subscription_count, 'the recorder')
    sent_ns = []
    for value in range(20):
        sent_ns.append(time.time_ns())
        images.publish(image_message(np.full((4, 6, 3), value, np.uint8), stamp_ns=sent_ns[-1]))
    wait_for(lambda: counts_in(log).get('/camera/image') == 20, 'all images')
    finished(process, word)
    recorded = messages_in(bag)['/camera/image']
    assert [int(message.data[0]) for _, message in recorded] == list(range(20))
    for (received_ns, message), stamp_ns in zip(recorded, sent_ns, strict=True):
        assert message.header.frame_id == 'camera_optical'
        assert message.data.size == 4 * 6 * 3
        assert 0 <= received_ns - stamp_ns < 1_000_000_000
    with AnyReader([bag]) as reader:
        row = reader.connections[0]
        assert 'std_msgs/Header header' in row.msgdef.data
        jazzy = get_typestore(Stores.ROS2_JAZZY)
        assert reader.typestore.hash_rihs01(row.msgtype) == jazzy.hash_rihs01(row.msgtype)


def test_latched_and_best_effort_topics_are_recorded_as_they_are_offered(
    graph: Graph, recorder: Start, bag: Path, log: Path
) -> None:
    graph.publisher(String, '/classes', LATCHED).publish(String(data='{"classes": []}'))
    images = graph.publisher(Image, '/camera/image', BEST_EFFORT)
    process = recorder('/camera/image', '/classes', '/nobody/publishes/this')
    wait_for(images.get_subscription_count, 'the recorder')
    images.publish(image_message(np.zeros((4, 6), np.uint8)))
    wait_for(
        lambda: counts_in(log) == {'/camera/image': 1, '/classes': 1}, 'a message of each topic'
    )
    finished(process)
    assert messages_in(bag)['/classes'][0][1].data == '{"classes": []}'
    with AnyReader([bag]) as reader:
        offered = {row.topic: row.ext.offered_qos_profiles[0] for row in reader.connections}
    assert offered['/classes'].durability == QosDurability.TRANSIENT_LOCAL
    assert offered['/camera/image'].durability == QosDurability.VOLATILE


def test_nothing_but_latched_topics_is_recorded_before_the_start(
    graph: Graph, recorder: Start, bag: Path, log: Path
) -> None:
    graph.publisher(String, '/classes', LATCHED).publish(String(data='{}'))
    beats = graph.publisher(String, '/heartbeat')
    process = recorder('--start', '/camera/image', '/camera/image', '/heartbeat', '/classes')
    wait_for(beats.get_subscription_count, 'the recorder of the heartbeat')
    beats.publish(String(data='early'))
    images = graph.publisher(Image, '/camera/image')  # later, so that it is also served later
    wait_for(images.get_subscription_count, 'the recorder of the images')
    wait_for(lambda: counts_in(log).get('/classes') == 1, 'the classes')
    images.publish(image_message(np.zeros((4, 6), np.uint8)))
    wait_for(lambda: counts_in(log).get('/camera/image') == 1, 'the image')
    beats.publish(String(data='late'))
    wait_for(lambda: counts_in(log).get('/heartbeat'), 'the heartbeat')
    finished(process)
    assert [message.data for _, message in messages_in(bag)['/heartbeat']] == ['late']


def test_a_publisher_that_dies_leaves_the_bag_whole(
    graph: Graph, recorder: Start, bag: Path, log: Path
) -> None:
    images = graph.publisher(Image, '/camera/image')
    process = recorder('/camera/image')
    wait_for(images.get_subscription_count, 'the recorder')
    images.publish(image_message(np.zeros((4, 6), np.uint8)))
    wait_for(lambda: counts_in(log).get('/camera/image') == 1, 'the image')
    graph.peer.destroy_publisher(images)
    finished(process)
    assert len(messages_in(bag)['/camera/image']) == 1


def test_a_bag_that_exists_is_not_overwritten(recorder: Start, bag: Path, log: Path) -> None:
    bag.mkdir()
    assert recorder('/camera/image').wait(20.0) == 1
    assert f'A bag was to be written to {bag}' in log.read_text()
    assert 'Traceback' not in log.read_text()


def test_a_definition_is_learnt_with_all_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    if 'AMENT_PREFIX_PATH' not in os.environ:  # the wheels are not sourced
        monkeypatch.setenv('AMENT_PREFIX_PATH', sys.prefix)
    types = get_typestore(Stores.EMPTY)
    learn_type(types, 'sensor_msgs/msg/CameraInfo')
    jazzy = get_typestore(Stores.ROS2_JAZZY)
    for name in ('sensor_msgs/msg/CameraInfo', 'std_msgs/msg/Header'):
        assert types.hash_rihs01(name) == jazzy.hash_rihs01(name)


def test_a_type_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigurationError, match='need the package gizmo_msgs'):
        message_class('gizmo_msgs/msg/Gizmo')
    with pytest.raises(ConfigurationError, match='definition of gizmo_msgs/msg/Gizmo'):
        learn_type(get_typestore(Stores.EMPTY), 'gizmo_msgs/msg/Gizmo')
