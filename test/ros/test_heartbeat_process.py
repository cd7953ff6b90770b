# SPDX-License-Identifier: Apache-2.0
"""The process that speaks for the node, on the real graph."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Bool

from seg_ros.commands.shared.process_figures import children_of
from seg_ros.core.errors import ConfigurationError
from test.ros.drive import Drive
from test.ros.graph import Graph, values_of, wait_for
from test.ros.nodes import canned

STOP, STATUS = '/segmentation/pedestrian_stop', '/segmentation/pedestrian_stop/status'

UNKNOWN = '_NODE_NAME_UNKNOWN_'  # of a publisher whose node is not discovered yet, as rmw has it


class Listening:
    """A node with its camera, and what is heard of it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.stops: list[Bool] = graph.collect(Bool, STOP)
        self.status: list[DiagnosticStatus] = graph.collect(DiagnosticStatus, STATUS)

    def goes(self) -> bool:
        return bool(self.stops) and not self.stops[-1].data and self.kind() == 'clear'

    def kind(self) -> str:
        return values_of(self.status[-1])['kind'] if self.status else ''

    def publishers(self) -> list[str]:
        rows = self.graph.peer.get_publishers_info_by_topic(STOP)
        return [row.node_name for row in rows]


@pytest.fixture
def listening(graph: Graph) -> Iterator[Listening]:
    heard = Listening(graph)
    drive = Drive(graph)
    yield heard
    drive.close()


def heartbeats_of(process_id: int) -> list[int]:
    return [child for child, words in children_of(process_id).items() if 'heartbeat' in words]


def test_it_is_the_only_publisher_and_says_what_the_node_says(
    graph: Graph, engine: Path, listening: Listening
) -> None:
    node = graph.node(**canned(engine, heartbeat_process=True))
    wait_for(listening.goes, 'the way is clear')
    wait_for(lambda: UNKNOWN not in listening.publishers(), 'the names of the publishers')
    assert listening.publishers() == ['segmentation_heartbeat']
    assert node._is_stop_wanted()
    node.trigger_deactivate()
    wait_for(lambda: listening.stops[-1].data and listening.kind() == 'inactive', 'a stop')
    (child,) = heartbeats_of(os.getpid())
    graph.destroy(node)
    assert child not in heartbeats_of(os.getpid())


def test_a_node_that_is_held_up_is_a_stop_and_goes_on_afterwards(
    graph: Graph, engine: Path, listening: Listening
) -> None:
    node: Any = graph.node(**canned(engine, heartbeat_process=True))
    wait_for(listening.goes, 'the way is clear')
    may_go_on = threading.Event()
    decide = node._heartbeat._decide

    def wait_and_decide(now_ns: int) -> Any:
        may_go_on.wait()
        return decide(now_ns)

    node._heartbeat._decide = wait_and_decide
    wait_for(lambda: listening.stops[-1].data and listening.kind() == 'node_silent', 'a stop')
    assert listening.status[-1].level == DiagnosticStatus.ERROR
    may_go_on.set()
    wait_for(listening.goes, 'the way is clear again')


def test_it_is_started_again_when_it_is_killed_and_its_ghost_is_no_second_publisher(
    graph: Graph, engine: Path, listening: Listening
) -> None:
    node = graph.node(**canned(engine, heartbeat_process=True))

    def known() -> list[str]:
        return [row.node_name for row in node.get_publishers_info_by_topic(STOP)]

    wait_for(listening.goes, 'the way is clear')
    # Of one that dies sooner nobody knows whose it was until DDS gives it up: a stop of 20 s
    wait_for(lambda: known() == ['segmentation_heartbeat'], 'the node knows who speaks for it')
    (child,) = heartbeats_of(os.getpid())
    listening.stops.clear()
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: 'segmentation_heartbeat_2' in listening.publishers(), 'another one')
    wait_for(listening.goes, 'the way is clear again')
    since = len(listening.status)
    time.sleep(1.0)  # four looks at the graph
    kinds = {values_of(row)['kind'] for row in listening.status[since:]}
    assert kinds, 'the status was said'
    assert 'two_publishers' not in kinds
    wait_for(listening.goes, 'no moment of a busy machine is the ghost')


@pytest.mark.parametrize('word', [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_a_process_that_dies_or_stands_still_leaves_a_stop(
    domain_id: int, engine: Path, listening: Listening, word: signal.Signals
) -> None:
    arguments = ['-p', f'engine:={engine}', '-p', 'backend:=canned']
    process = subprocess.Popen(
        [sys.executable, '-m', 'seg_ros.cli', 'run', '--ros-args', *arguments],
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
    )
    try:
        wait_for(listening.goes, 'the way is clear')
        process.send_signal(word)
        wait_for(lambda: listening.stops[-1].data and listening.kind() == 'node_silent', 'a stop')
        if word == signal.SIGSTOP:
            process.send_signal(signal.SIGCONT)
            wait_for(listening.goes, 'the way is clear again')
        else:
            wait_for(lambda: not listening.publishers(), 'who speaks for the dead ends, too')
            assert listening.stops[-1].data
    finally:
        process.kill()
        process.wait()


def test_a_heartbeat_that_cannot_be_started_is_refused_and_the_node_leaves_the_graph(
    graph: Graph, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, 'executable', '/nowhere/python')
    with pytest.raises(ConfigurationError, match='set heartbeat_process to false'):
        graph.node(**canned(engine, heartbeat_process=True))
    wait_for(lambda: 'segmentation' not in graph.peer.get_node_names(), 'no node is left')
