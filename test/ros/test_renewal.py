# SPDX-License-Identifier: Apache-2.0
"""A subscription that has never heard its publisher is made anew, some times and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from geometry_msgs.msg import Twist
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool

from seg_ros.ros import renewal
from seg_ros.ros.gate_node import GateNode
from seg_ros.ros.renewal import WAITS_S, Renewal
from test.ros.graph import Graph, Spinning, image_message, wait_for
from test.ros.mounted_camera import SIZE_WH, WHERE, camera_info
from test.ros.nodes import canned, street

SOON_S = 0.3


def deaf(subscription: Any) -> None:
    """Lets a subscription hear nothing, as the middleware does that has lost it."""
    subscription.callback = lambda _message: None


def times_made_anew(subscription: Renewal, until_s: float, *, has_publisher: bool) -> list[float]:
    due = []
    for tenth in range(int(until_s * 10)):
        if subscription.is_due(tenth / 10, has_publisher=has_publisher):
            due.append(tenth / 10)
            subscription.made()
    return due


def test_it_is_made_anew_after_longer_and_longer_waits_and_then_left_alone() -> None:
    due = times_made_anew(Renewal(), 1000.0, has_publisher=True)
    assert due == pytest.approx([5.0, 15.1, 35.2])  # a look of 0.1 s begins each wait
    assert len(due) == len(WAITS_S)


def test_it_is_left_alone_without_a_publisher_and_once_it_has_heard_one() -> None:
    assert times_made_anew(Renewal(), 100.0, has_publisher=False) == []
    heard = Renewal()
    heard.made()
    heard.heard()
    assert times_made_anew(heard, 100.0, has_publisher=True) == []


def test_one_that_is_heard_again_has_all_its_trials_again() -> None:
    subscription = Renewal()
    assert len(times_made_anew(subscription, 100.0, has_publisher=True)) == 3
    subscription.heard()
    subscription.made()  # as when the publisher's QoS changes
    assert len(times_made_anew(subscription, 100.0, has_publisher=True)) == 3


def test_a_camera_whose_subscription_is_lost_is_heard_again(
    graph: Graph, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, 'WAITS_S', (SOON_S,) * 3)
    camera = graph.publisher()
    node = graph.node(**canned(engine))
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    lost = node.inputs[0]._subscription
    deaf(lost)

    def labelled() -> bool:
        camera.publish(image_message(street()[0]))
        return bool(labels)

    wait_for(labelled, 'a label image')
    assert node.inputs[0]._subscription is not lost


def test_a_calibration_whose_subscription_is_lost_is_heard_again(
    graph: Graph, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, 'WAITS_S', (SOON_S,) * 3)
    infos = graph.publisher(CameraInfo, '/camera_info')
    node = graph.node(**canned(engine, **WHERE))
    (port,) = node._ports.values()
    lost = port.geometry._subscription
    deaf(lost)

    def calibrated() -> bool:
        infos.publish(camera_info())
        return port.geometry.camera(SIZE_WH, 'camera_optical') is not None

    wait_for(calibrated, 'a calibration')
    assert port.geometry._subscription is not lost


def test_a_planner_whom_the_gate_has_lost_is_heard_again(
    domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, 'WAITS_S', (SOON_S,) * 3)
    spinning = Spinning(domain_id)
    peer = Node('peer', context=spinning.context)
    spinning.executor.add_node(peer)
    gate = GateNode(context=spinning.context)
    spinning.executor.add_node(gate)
    try:
        stop = peer.create_publisher(Bool, 'pedestrian_stop', 1)
        plan = peer.create_publisher(Twist, 'cmd_vel_in', 1)
        speeds: list[float] = []
        peer.create_subscription(Twist, 'cmd_vel_out', lambda row: speeds.append(row.linear.x), 10)
        wait_for(lambda: plan.get_subscription_count() > 0, 'the gate hears the planner')
        lost = gate._input
        deaf(lost)
        command = Twist()
        command.linear.x = 1.0

        def drives() -> bool:
            stop.publish(Bool(data=False))
            plan.publish(command)
            return 1.0 in speeds

        wait_for(drives, 'the velocity comes out')
        assert gate._input is not lost
    finally:
        spinning.close([gate, peer])
