# SPDX-License-Identifier: Apache-2.0
"""``seg_ros play`` as a process: what comes out of it, and what the node makes of its time."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool

from seg_ros.messages.conversions import stamp_ns_of
from seg_ros.recordings.bag import BagRecording
from test.ros.graph import (
    BEST_EFFORT,
    LATCHED,
    RELIABLE,
    Graph,
    image_message,
    values_of,
    wait_for,
)
from test.ros.nodes import canned
from test.ros.processes import Start, started_on
from test.ros.recording import Recorded, broken_bag, road_images, write_bag

BEGIN_NS = 1_700_000_000_000_000_000
STOP, STATUS = '/segmentation/pedestrian_stop', '/segmentation/pedestrian_stop/status'
IN_FLIGHT = 3  # heartbeats that were decided before the player did what they are compared with


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / 'play.log'


@pytest.fixture
def play(domain_id: int, log: Path) -> Iterator[Start]:
    """Starts the player; keywords go to Popen."""
    with started_on(domain_id, log, ('seg_ros.cli', 'play')) as start:
        yield start


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(60.0)


def numbered(count: int, step_ns: int = 20_000_000) -> list[Recorded]:
    """Returns strings that count, one every step."""
    return [
        Recorded('/count', BEGIN_NS + index * step_ns, String(data=str(index)))
        for index in range(count)
    ]


def test_messages_come_out_byte_for_byte_under_their_recorded_quality_of_service(
    graph: Graph, play: Start, tmp_path: Path
) -> None:
    image = image_message(np.arange(24, dtype=np.uint8).reshape(4, 6), stamp_ns=BEGIN_NS)
    rows = [
        Recorded('/classes', BEGIN_NS, String(data='{}')),
        Recorded('/image', BEGIN_NS + 1, image),
        Recorded('/count', BEGIN_NS + 2, String(data='0')),
    ]
    bag = write_bag(tmp_path / 'bag', rows, {'/classes': LATCHED, '/image': BEST_EFFORT})
    images: list[bytes] = []
    graph.peer.create_subscription(Image, '/image', images.append, BEST_EFFORT, raw=True)
    counts = graph.collect(String, '/count')
    play(bag, '--loop', '--rate', '1e-6', '--wait-for-subscriber', '/image', '/count')
    wait_for(lambda: images and counts, 'the messages')
    recorded = BagRecording(bag).messages(['/image'], BEGIN_NS, BEGIN_NS + 10)
    assert images[0] == next(recorded).data
    classes = graph.collect(String, '/classes', LATCHED)  # comes late, and gets it
    wait_for(lambda: classes, 'the latched message')

    def offer(topic: str) -> tuple[ReliabilityPolicy, DurabilityPolicy]:
        qos = graph.peer.get_publishers_info_by_topic(topic)[0].qos_profile
        return qos.reliability, qos.durability

    reliable, best_effort = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
    assert offer('/classes') == (reliable, DurabilityPolicy.TRANSIENT_LOCAL)
    assert offer('/image') == (best_effort, DurabilityPolicy.VOLATILE)
    assert offer('/count') == (reliable, DurabilityPolicy.VOLATILE)


def test_the_clock_has_said_the_time_of_a_message_before_it_comes(
    graph: Graph, play: Start, tmp_path: Path
) -> None:
    bag = write_bag(tmp_path / 'bag', numbered(50))
    heard: list[int | str] = []
    graph.peer.create_subscription(
        Clock, '/clock', lambda row: heard.append(row.clock.sec * 10**9 + row.clock.nanosec), 100
    )
    graph.peer.create_subscription(String, '/count', lambda row: heard.append(row.data), 100)
    waits = ('--wait-for-subscriber', '/count')
    assert ended(play(bag, '--rate', '4', *waits)) == 0
    wait_for(lambda: '49' in heard, 'the last message')
    clock = [row for row in heard if isinstance(row, int)]
    assert clock == sorted(clock)
    assert [row for row in heard if isinstance(row, str)] == [str(n) for n in range(50)]
    assert clock[0] >= BEGIN_NS
    assert clock[-1] == BEGIN_NS + 49 * 20_000_000


def test_a_start_inside_brings_what_was_latched_before_it_and_nothing_else(
    graph: Graph, play: Start, tmp_path: Path
) -> None:
    rows = [Recorded('/classes', BEGIN_NS, String(data='{}')), *numbered(50)]
    bag = write_bag(tmp_path / 'bag', rows, {'/classes': LATCHED})
    counts = graph.collect(String, '/count')
    classes = graph.collect(String, '/classes', LATCHED)
    waits = ('--wait-for-subscriber', '/count', '/classes')
    assert ended(play(bag, '--start', '0.4', '--duration', '0.2', *waits)) == 0
    wait_for(lambda: len(counts) == 10, 'the messages of the span')
    assert [row.data for row in counts] == [str(n) for n in range(20, 30)]
    wait_for(lambda: classes, 'the latched message')


def test_only_the_topics_that_were_named_are_played(
    graph: Graph, play: Start, log: Path, tmp_path: Path
) -> None:
    rows = [*numbered(5), Recorded('/other', BEGIN_NS, String())]
    bag = write_bag(tmp_path / 'bag', rows)
    counts = graph.collect(String, '/count')
    waits = ('--wait-for-subscriber', '/count')
    assert ended(play(bag, '--topics', '/count', *waits)) == 0
    wait_for(lambda: len(counts) == 5, 'the messages')
    assert 'Published 5 messages' in log.read_text()


def test_a_recorded_clock_and_a_type_that_is_not_installed_are_left_out_with_a_word(
    graph: Graph, play: Start, log: Path, tmp_path: Path
) -> None:
    types = get_typestore(Stores.ROS2_JAZZY)
    types.register(get_types_from_msg('int32 size', 'gizmo_msgs/msg/Gizmo'))
    with Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        for name, kind, data in (
            ('/gizmo', 'gizmo_msgs/msg/Gizmo', bytes(8)),
            ('/clock', 'rosgraph_msgs/msg/Clock', bytes(12)),
            ('/count', 'std_msgs/msg/String', serialize_message(String(data='0'))),
        ):
            row = writer.add_connection(name, kind, typestore=types)
            writer.write(row, BEGIN_NS, data)
    counts = graph.collect(String, '/count')
    assert ended(play(tmp_path / 'bag', '--wait-for-subscriber', '/count')) == 0
    wait_for(lambda: counts, 'the message')
    text = log.read_text()
    assert '/gizmo is not played. Messages of type gizmo_msgs/msg/Gizmo need the package' in text
    assert '/clock is not played. The player itself is the clock.' in text
    assert 'Published 1 messages' in text


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--start', '7'], '--start 7: .* has 0.1 s. Begin within these'),
        (['--rate', '0'], '--rate 0: give more than 0'),
        (['--topics', '/nothing'], '--topics /nothing: .* has /count. Name these'),
        (['--wait-for-subscriber', '/nothing'], 'it is not played. Name one of /count'),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_sentence(
    play: Start, log: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    bag = write_bag(tmp_path / 'bag', numbered(5))
    assert ended(play(bag, *words)) == 1
    assert re.search(sentence, log.read_text())
    assert 'Traceback' not in log.read_text()


def test_what_is_whole_of_a_broken_bag_is_played_and_the_rest_told(
    graph: Graph, play: Start, log: Path, tmp_path: Path
) -> None:
    labels = graph.collect(Image, '/segmentation/label')
    waits = ('--wait-for-subscriber', '/segmentation/label')
    assert ended(play(broken_bag(tmp_path / 'bag'), *waits)) == 0
    wait_for(lambda: labels, 'what is whole')
    assert len(labels) < 20
    assert 'is broken and left out' in log.read_text()
    assert 'Traceback' not in log.read_text()


def test_the_keys_of_a_terminal_pause_and_jump(
    graph: Graph, play: Start, log: Path, tmp_path: Path
) -> None:
    bag = write_bag(tmp_path / 'bag', numbered(1000))
    ours, theirs = pty.openpty()

    def in_front() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = play(
        bag, '--wait-for-subscriber', '/count',
        stdin=theirs, start_new_session=True, preexec_fn=in_front,
    )  # fmt: skip
    counts = graph.collect(String, '/count')
    wait_for(lambda: counts, 'messages')
    os.write(ours, b' ')
    wait_for(lambda: 'Paused at' in log.read_text(), 'the pause')
    seen = len(counts)
    os.write(ours, b'\x1b[C')
    wait_for(lambda: 'Jumped to' in log.read_text(), 'the jump')
    os.write(ours, b' ')
    wait_for(lambda: len(counts) > seen + IN_FLIGHT, 'more messages')
    numbers = [int(row.data) for row in counts]
    assert 240 <= max(b - a for a, b in itertools.pairwise(numbers)) <= 251
    process.send_signal(signal.SIGINT)
    assert ended(process) == 0
    os.close(ours)
    os.close(theirs)


def beat_of(status: DiagnosticStatus) -> tuple[str, int]:
    """Returns why, and the stamp of the frame that was judged last; 0 before any."""
    values = values_of(status)
    seconds, _, nanoseconds = values.get('frame_stamp', '0.0').partition('.')
    return values['kind'], int(seconds) * 10**9 + int(nanoseconds)


class Watched(NamedTuple):
    """What a node in sim time has said, in the order of its arrival."""

    heard: list[tuple[str, Any]]

    def of(self, name: str, since: int = 0) -> list[Any]:
        return [value for kind, value in self.heard[since:] if kind == name]

    def cleared(self, since: int = 0) -> list[int]:
        """Stamps of the frames that proved the way clear."""
        return [stamp for kind, stamp in self.of('beat', since) if kind == 'clear']

    def is_clear(self) -> bool:
        beats = self.of('beat')
        return bool(beats) and beats[-1][0] == 'clear' and self.of('stop')[-1:] == [False]


@pytest.fixture
def watched(graph: Graph, engine: Path) -> Watched:
    heard: list[tuple[str, Any]] = []
    for name, kind, topic, value in (
        ('stop', Bool, STOP, lambda row: row.data),
        ('beat', DiagnosticStatus, STATUS, beat_of),
        ('label', Image, '/segmentation/label', lambda row: stamp_ns_of(row.header)),
    ):

        def hear(message: Any, name: str = name, value: Callable[[Any], Any] = value) -> None:
            heard.append((name, value(message)))

        graph.peer.create_subscription(kind, topic, hear, RELIABLE)
    graph.node(**canned(engine, use_sim_time=True, **{'stop.hold_s': 0.2}))
    wait_for(lambda: heard, 'the heartbeat')
    return Watched(heard)


def pause_client(graph: Graph) -> Callable[[bool], str]:
    """Returns what pauses a player, which is there already, and what it answers."""
    client = graph.peer.create_client(SetBool, '/player/pause')
    wait_for(client.service_is_ready, 'the service')

    def set_paused(paused: bool) -> str:
        future = client.call_async(SetBool.Request(data=paused))
        wait_for(future.done, 'the answer')
        return str(future.result().message)

    return set_paused


@pytest.fixture
def road(tmp_path: Path) -> Path:
    """An empty road for three seconds, and again a hundred seconds later."""
    rows = [*road_images(BEGIN_NS, 3.0), *road_images(BEGIN_NS + 100 * 10**9, 3.0)]
    return write_bag(tmp_path / 'road', rows)


PLAYED = ('--wait-for-subscriber', '/image')


def test_during_a_pause_the_node_stops_and_shows_nothing_new(
    graph: Graph, play: Start, watched: Watched, road: Path
) -> None:
    play(road, '--loop', '--duration', '3', *PLAYED)
    set_paused = pause_client(graph)
    wait_for(watched.is_clear, 'the way is clear')
    assert set_paused(True).startswith('Paused at')
    wait_for(lambda: watched.of('beat')[-1][0] == 'clock_stopped', 'a stop for the clock')
    assert watched.of('stop')[-1]
    before = len(watched.heard)
    wait_for(lambda: len(watched.of('stop', before)) > 10, 'half a second of the pause')
    assert all(watched.of('stop', before))
    assert not watched.of('label', before)
    assert set_paused(False).startswith('Playing at')
    wait_for(watched.is_clear, 'the way is clear again')


def test_after_a_loop_nothing_old_is_shown_as_new(
    play: Start, watched: Watched, road: Path
) -> None:
    play(road, '--loop', '--duration', '3', *PLAYED)

    def steps_back(stamps: list[int]) -> int:
        return sum(b < a for a, b in itertools.pairwise(stamps))

    wait_for(lambda: steps_back(watched.cleared()) >= 2, 'two loops that were clear again')
    for (kind, stamp), (next_kind, next_stamp) in itertools.pairwise(watched.of('beat')):
        if next_stamp < stamp:  # the clock has gone back: a stop lies between go and go
            assert (kind, next_kind) != ('clear', 'clear')
    labels = watched.of('label')
    assert max(b - a for a, b in itertools.pairwise(labels)) < 2 * 10**9  # none of an older lap


def test_after_a_jump_forward_the_way_is_proven_again(
    play: Start, watched: Watched, road: Path
) -> None:
    before_jump = play(road, '--loop', '--duration', '3', *PLAYED)
    wait_for(watched.is_clear, 'the way is clear')
    before_jump.send_signal(signal.SIGINT)
    assert ended(before_jump) == 0
    wait_for(lambda: watched.of('stop')[-1], 'a stop, without a clock')
    heard = len(watched.heard)
    play(road, '--start', '100', '--loop', *PLAYED)
    wait_for(watched.is_clear, 'the way is clear')
    assert min(watched.cleared(heard)) >= BEGIN_NS + 100 * 10**9
    assert min(watched.of('label', heard)) >= BEGIN_NS + 100 * 10**9
