"""``seg_ros play`` as a process: what comes out of it, and what the node makes of its time."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool

from seg_ros.media.bag_messages import BagMessages
from seg_ros.messages.conversions import stamp_ns_of
from test.ros.graph import (
    BEST_EFFORT,
    LATCHED,
    RELIABLE,
    Graph,
    image_message,
    values_of,
    wait_for,
)
from test.ros.recording import Recorded, road_images, write_bag
from test.ros.test_segmentation_node import canned

BEGIN_NS = 1_700_000_000_000_000_000
STOP, STATUS = '/segmentation/pedestrian_stop', '/segmentation/pedestrian_stop/status'
IN_FLIGHT = 3  # heartbeats that were decided before the player did what they are compared with

Play = Callable[..., 'subprocess.Popen[bytes]']


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / 'play.log'


@pytest.fixture
def play(domain_id: int, log: Path) -> Iterator[Play]:
    """Starts the player; keywords go to Popen."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*words: object, **more: Any) -> subprocess.Popen[bytes]:
        with log.open('ab') as output:
            process = subprocess.Popen(
                [sys.executable, '-m', 'seg_ros.cli', 'play', *map(str, words)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
                **{'stdin': subprocess.DEVNULL, **more},
            )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.terminate()
        process.wait()


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(60.0)


def numbered(count: int, step_ns: int = 20_000_000) -> list[Recorded]:
    """Returns strings that count, one every step."""
    return [
        Recorded('/count', BEGIN_NS + index * step_ns, String(data=str(index)))
        for index in range(count)
    ]


def test_messages_come_out_byte_for_byte_under_their_recorded_quality_of_service(
    graph: Graph, play: Play, tmp_path: Path
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
    recorded = BagMessages(bag).messages(['/image'], BEGIN_NS, BEGIN_NS + 10)
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
    graph: Graph, play: Play, tmp_path: Path
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
    graph: Graph, play: Play, tmp_path: Path
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
    graph: Graph, play: Play, log: Path, tmp_path: Path
) -> None:
    rows = [*numbered(5), Recorded('/other', BEGIN_NS, String())]
    bag = write_bag(tmp_path / 'bag', rows)
    counts = graph.collect(String, '/count')
    waits = ('--wait-for-subscriber', '/count')
    assert ended(play(bag, '--topics', '/count', *waits)) == 0
    wait_for(lambda: len(counts) == 5, 'the messages')
    assert 'Published 5 messages' in log.read_text()


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
    play: Play, log: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    import re

    bag = write_bag(tmp_path / 'bag', numbered(5))
    assert ended(play(bag, *words)) == 1
    assert re.search(sentence, log.read_text())
    assert 'Traceback' not in log.read_text()


def test_the_keys_of_a_terminal_pause_and_jump(
    graph: Graph, play: Play, log: Path, tmp_path: Path
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


class Watched(NamedTuple):
    """What a node in sim time has said, in the order of its arrival."""

    heard: list[tuple[str, Any]]

    def of(self, name: str, since: int = 0) -> list[Any]:
        return [value for kind, value in self.heard[since:] if kind == name]

    def is_clear(self) -> bool:
        return self.of('status')[-1:] == ['clear'] and self.of('stop')[-1:] == [False]


@pytest.fixture
def watched(graph: Graph, engine: Path) -> Watched:
    heard: list[tuple[str, Any]] = []
    for name, kind, topic, value in (
        ('stop', Bool, STOP, lambda row: row.data),
        ('status', DiagnosticStatus, STATUS, lambda row: values_of(row)['kind']),
        ('label', Image, '/segmentation/label', lambda row: stamp_ns_of(row.header)),
    ):

        def hear(message: Any, name: str = name, value: Callable[[Any], Any] = value) -> None:
            heard.append((name, value(message)))

        graph.peer.create_subscription(kind, topic, hear, RELIABLE)
    graph.node(**canned(engine, use_sim_time=True, **{'stop.hold_s': 0.2}))
    wait_for(lambda: heard, 'the heartbeat')
    return Watched(heard)


def set_paused(graph: Graph, paused: bool) -> str:
    client = graph.peer.create_client(SetBool, '/player/pause')
    assert client.wait_for_service(60.0)
    future = client.call_async(SetBool.Request(data=paused))
    wait_for(future.done, 'the answer')
    return str(future.result().message)


@pytest.fixture
def road(tmp_path: Path) -> Path:
    """An empty road for three seconds, and again a hundred seconds later."""
    rows = [*road_images(BEGIN_NS, 3.0), *road_images(BEGIN_NS + 100 * 10**9, 3.0)]
    return write_bag(tmp_path / 'road', rows)


PLAYED = ('--wait-for-subscriber', '/image')


def test_during_a_pause_the_node_stops_and_shows_nothing_new(
    graph: Graph, play: Play, watched: Watched, road: Path
) -> None:
    play(road, '--loop', '--duration', '3', *PLAYED)
    wait_for(watched.is_clear, 'the way is clear')
    assert set_paused(graph, True).startswith('Paused at')
    wait_for(lambda: watched.of('status')[-1] == 'clock_stopped', 'a stop for the clock')
    assert watched.of('stop')[-1]
    before = len(watched.heard)
    wait_for(lambda: len(watched.of('stop', before)) > 10, 'half a second of the pause')
    assert all(watched.of('stop', before))
    assert not watched.of('label', before)
    assert set_paused(graph, False).startswith('Playing at')
    wait_for(watched.is_clear, 'the way is clear again')


def test_after_a_loop_nothing_old_is_shown_as_new(
    play: Play, watched: Watched, road: Path
) -> None:
    play(road, '--loop', '--duration', '3', *PLAYED)

    def laps() -> list[int]:
        """Where the labels begin anew."""
        labels = [
            (index, value) for index, (name, value) in enumerate(watched.heard) if name == 'label'
        ]
        return [b[0] for a, b in itertools.pairwise(labels) if b[1] < a[1]]

    wait_for(lambda: len(laps()) >= 2, 'two loops')
    again = laps()[0]
    kinds = watched.of('status', again)
    proven = kinds.index('clear', IN_FLIGHT) if 'clear' in kinds[IN_FLIGHT:] else len(kinds)
    assert {'unproven', 'stale', 'future_stamp', 'no_frame'} & set(kinds[:proven]), kinds
    stamps = watched.of('label', again)
    assert stamps[0] - BEGIN_NS < 1_000_000_000  # none of the lap before
    lap = stamps[: 1 + next((i for i, (a, b) in enumerate(itertools.pairwise(stamps)) if b < a))]
    assert lap == sorted(lap)


def test_after_a_jump_forward_the_way_is_proven_again(
    play: Play, watched: Watched, road: Path
) -> None:
    assert ended(play(road, '--duration', '3', *PLAYED)) == 0
    assert False in watched.of('stop')
    wait_for(lambda: watched.of('status')[-1] == 'clock_stopped', 'the clock is gone')
    before = len(watched.heard)
    play(road, '--start', '100', *PLAYED)
    wait_for(lambda: watched.of('label', before), 'labels of after the jump')
    wait_for(watched.is_clear, 'the way is clear')
    since = watched.heard[before:]
    clear = since.index(('status', 'clear'))
    labels = [value for name, value in since[:clear] if name == 'label']
    assert len(labels) >= 2  # the third that proves it may be on its way
    assert min(labels) >= BEGIN_NS + 100 * 10**9
