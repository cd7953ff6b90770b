# SPDX-License-Identifier: Apache-2.0
"""A topic that must have one publisher has two."""

from __future__ import annotations

from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Log
from std_msgs.msg import Bool

from seg_ros.ros.stream_watch import LensNames, SenderTurns
from test.ros.drive import Drive
from test.ros.graph import Graph, latest_status, values_of, wait_for
from test.ros.nodes import canned

STOP, STATUS = '/segmentation/pedestrian_stop', '/segmentation/pedestrian_stop/status'


def test_a_second_camera_is_one_error_in_the_log_and_in_the_diagnostics(
    graph: Graph, engine: Path
) -> None:
    log = graph.collect(Log, '/rosout')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.node(**canned(engine, diagnostics_period_s=0.2))
    drive = Drive(graph)
    try:
        second = graph.publisher()
        words = '/image has 2 publishers'
        wait_for(lambda: words in latest_status(diagnostics).message, 'the diagnostics name it')
        assert latest_status(diagnostics).level == DiagnosticStatus.ERROR
        diagnostics.clear()
        wait_for(lambda: len(diagnostics) > 3, 'more looks at the graph')
        errors = [row for row in log if row.level == 40 and words in row.msg]
        assert len(errors) == 1
        graph.peer.destroy_publisher(second)
        wait_for(
            lambda: latest_status(diagnostics).level == DiagnosticStatus.OK,
            'all is well again',
        )
    finally:
        drive.close()


def test_of_two_nodes_with_one_name_neither_says_go(graph: Graph, engine: Path) -> None:
    stops = graph.collect(Bool, STOP)
    status = graph.collect(DiagnosticStatus, STATUS)
    first = graph.node(**canned(engine))
    drive = Drive(graph)
    try:
        wait_for(lambda: stops and not stops[-1].data, 'the first one says go')
        other = graph.node(**canned(engine))
        wait_for(lambda: first._streams.problem and other._streams.problem, 'both notice it')
        status.clear()
        stops.clear()
        wait_for(lambda: min(len(stops), len(status)) > 60, 'both heartbeats')
        assert all(message.data for message in stops[20:])  # the first were under way before
        assert values_of(status[-1])['kind'] == 'two_publishers'
        graph.destroy(other)
        wait_for(lambda: not stops[-1].data, 'the one that is left says go again')
    finally:
        drive.close()


@pytest.mark.parametrize(
    ('story', 'senders'),
    [
        ('aaaaabbbbb', ''),  # a camera that was started anew
        ('aaaabaaaa', ''),
        ('ababab', 'ab'),
        ('abcabcabc', 'abc'),
        ('aaaaaaaabaaaaaaaab' + 'a', 'ab'),
        ('abcdefedcba', ''),  # a zoom, in and out
        ('abab' + 30 * 'a', ''),  # long ago
    ],
)
def test_who_takes_turns_on_a_stream_comes_back_and_is_one_of_few(
    story: str, senders: str
) -> None:
    turns = SenderTurns()
    for sender in story:
        turns.take(sender)
    assert ''.join(turns.senders()) == senders


@pytest.mark.parametrize(
    ('fx_px', 'count'),
    [
        ([1000.4, 1000.6] * 8, 0),  # it focuses, to and fro across a whole number
        ([1000.0 + 0.3 * step for step in range(30)], 0),  # and changes over
        ([1000.0, 1004.0] * 8, 2),  # another one of its kind
        ([0.0, 1000.0] * 8, 2),  # an uncalibrated driver beside a calibrated one
        ([float('nan'), 1000.0] * 8, 2),
    ],
)
def test_a_lens_that_focuses_is_one_and_two_of_a_kind_are_two(
    fx_px: list[float], count: int
) -> None:
    lenses, turns = LensNames(), SenderTurns()
    for fx in fx_px:
        turns.take(lenses.name('front, 1280x720', fx, 640.0))
    assert len(turns.senders()) == count
