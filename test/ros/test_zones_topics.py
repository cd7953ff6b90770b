# SPDX-License-Identifier: Apache-2.0
"""Watched zones on the real graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import Bool

from seg_ros.messages.outputs import DecisionOutput
from seg_ros.messages.types import has_type
from seg_ros.messages.zones import SPEED_LIMIT
from seg_ros.ros import segmentation_node
from seg_ros.ros.segmentation_node import autostart
from test.ros.drive import Drive
from test.ros.graph import Graph, values_of, wait_for
from test.ros.nodes import canned, street


def test_a_zone_tells_when_somebody_is_in_it(graph: Graph, engine: Path) -> None:
    alarms = graph.collect(Bool, '/segmentation/zone/yard')
    status = graph.collect(DiagnosticStatus, '/segmentation/zone/yard/status')
    graph.node(
        **canned(
            engine,
            **{'zones.names': ['yard'], 'zones.max_share': [0.0], 'zones.hold_s': [0.2]},
        )
    )
    drive = Drive(graph)
    try:
        wait_for(lambda: alarms and not alarms[-1].data, 'nobody is there')
        drive.image = street()[0]
        wait_for(lambda: alarms[-1].data, 'somebody is there')
        wait_for(lambda: values_of(status[-1])['alarm'] == 'true', 'the status says so')
        assert 'pedestrian cover' in status[-1].message
    finally:
        drive.close()


def test_who_would_believe_the_last_word_for_ever_is_told_that_no_frame_is_judged(
    graph: Graph, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = DecisionOutput(
        'known',
        'std_msgs/msg/Bool',
        ('zones',),
        lambda _header, decisions: Bool(data=bool(decisions.zones)),
        when_silent=True,
    )
    given = segmentation_node.decision_outputs
    monkeypatch.setattr(
        segmentation_node, 'decision_outputs', lambda config: (*given(config), row)
    )
    known = graph.collect(Bool, '/segmentation/known')
    node = graph.node(**canned(engine, **{'zones.names': ['yard']}))
    drive = Drive(graph)
    try:
        wait_for(lambda: known and known[-1].data, 'frames are judged')
        drive.running = False
        wait_for(lambda: not known[-1].data, 'the camera is silent')
        drive.running = True
        wait_for(lambda: known[-1].data, 'frames are judged again')
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        wait_for(lambda: not known[-1].data, 'the node is not active')
    finally:
        drive.close()


@pytest.mark.skipif(has_type(SPEED_LIMIT), reason='nav2_msgs is installed')
def test_without_nav2_msgs_the_log_says_what_to_install_and_the_zone_is_watched_all_the_same(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    alarms = graph.collect(Bool, '/segmentation/zone/yard')
    graph.node(**canned(engine, **{'zones.names': ['yard'], 'zones.speed_percent': [40.0]}))
    drive = Drive(graph)
    try:
        wait_for(lambda: alarms, 'the zone is watched')
    finally:
        drive.close()
    warnings = [line for line in capfd.readouterr().err.splitlines() if 'nav2_msgs' in line]
    assert len(warnings) == 1
    assert 'Install ros-$ROS_DISTRO-nav2-msgs' in warnings[0]
    topics = dict(graph.peer.get_topic_names_and_types())
    assert '/segmentation/speed_limit' not in topics


def test_a_class_that_the_engine_does_not_know_is_refused(graph: Graph, engine: Path) -> None:
    node = graph.node(
        started=False,
        **canned(engine, **{'zones.names': ['yard'], 'zones.classes': ['unicorn']}),
    )
    assert not autostart(node)
