# SPDX-License-Identifier: Apache-2.0
"""The SROS2 policy allows what the nodes do on a graph, and none but the gate to drive.

The wheels of ROS have no security plugins: whether DDS enforces it cannot be tested here.
"""

from __future__ import annotations

import fnmatch
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from seg_ros.ros.gate_node import GateNode
from test.paths import REPOSITORY
from test.ros.graph import Graph, wait_for
from test.ros.nodes import canned

POLICY = ElementTree.parse(REPOSITORY / 'config/sros2/policy.xml').getroot()


def allowed(node: str, kind: str, how: str) -> list[str]:
    """Returns the expressions that a profile has, ``publish`` for ``topics`` and so on."""
    profiles = [row for row in POLICY.iter('profile') if row.get('node') == node]
    return [
        str(name.text)
        for profile in profiles
        for group in profile.findall(kind)
        if group.get(how) == 'ALLOW'
        for name in group
    ]


def not_allowed(names: list[str], expressions: list[str]) -> list[str]:
    return [
        name
        for name in names
        if not any(fnmatch.fnmatchcase(name, expression) for expression in expressions)
    ]


def names_of(rows: list[tuple[str, list[str]]]) -> list[str]:
    return [name for name, _ in rows]


@pytest.mark.parametrize('node', ['segmentation', 'segmentation_heartbeat'])
def test_the_node_and_its_heartbeat_do_nothing_that_the_policy_does_not_allow(
    graph: Graph, engine: Path, node: str
) -> None:
    graph.node(**canned(engine, heartbeat_process=True))
    peer: Any = graph.peer
    wait_for(lambda: 'segmentation_heartbeat' in peer.get_node_names(), 'the heartbeat')

    def published() -> list[str]:
        return names_of(peer.get_publisher_names_and_types_by_node(node, '/'))

    wait_for(lambda: '/segmentation/pedestrian_stop/status' in published() or (
        node == 'segmentation' and '/segmentation/label' in published()
    ), 'its topics')  # fmt: skip
    assert not_allowed(published(), allowed(node, 'topics', 'publish')) == []
    subscribed = names_of(peer.get_subscriber_names_and_types_by_node(node, '/'))
    assert not_allowed(subscribed, allowed(node, 'topics', 'subscribe')) == []
    services = names_of(peer.get_service_names_and_types_by_node(node, '/'))
    assert not_allowed(services, allowed(node, 'services', 'reply')) == []


def test_the_gate_does_nothing_that_the_policy_does_not_allow(graph: Graph) -> None:
    gate = GateNode(context=graph.peer.context)
    peer: Any = graph.peer
    try:
        name = 'pedestrian_gate'
        wait_for(lambda: name in peer.get_node_names(), 'the gate')
        published = names_of(peer.get_publisher_names_and_types_by_node(name, '/'))
        assert '/cmd_vel_out' in published
        assert not_allowed(published, allowed(name, 'topics', 'publish')) == []
        subscribed = names_of(peer.get_subscriber_names_and_types_by_node(name, '/'))
        assert not_allowed(subscribed, allowed(name, 'topics', 'subscribe')) == []
    finally:
        gate.destroy_node()


@pytest.mark.parametrize('node', ['segmentation', 'segmentation_heartbeat', 'pedestrian_gate'])
def test_the_policy_lets_no_node_drive_but_the_gate(node: str) -> None:
    may = not not_allowed(['/cmd_vel_out'], allowed(node, 'topics', 'publish'))
    assert may == (node == 'pedestrian_gate')
    assert not_allowed(['/cmd_vel'], allowed(node, 'topics', 'publish')) == ['/cmd_vel']
