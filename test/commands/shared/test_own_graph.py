# SPDX-License-Identifier: Apache-2.0
"""A command's own graph is nobody else's."""

from __future__ import annotations

import socket

import pytest

from seg_ros.commands.shared.own_graph import own_graph


@pytest.mark.parametrize('exported', [{}, {'ROS_DOMAIN_ID': '0'}, {'ROS_DOMAIN_ID': '42'}])
def test_a_graph_of_our_own_is_never_in_the_users_domain(exported: dict[str, str]) -> None:
    for process_id in range(1000, 1300):
        graph = own_graph(exported, process_id, lambda _domain: False)
        assert 1 <= graph.domain_id <= 101
        assert graph.environment['ROS_DOMAIN_ID'] == str(graph.domain_id)
        assert graph.environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
        assert str(graph.domain_id) != exported.get('ROS_DOMAIN_ID')


def test_a_discovery_server_of_the_robot_is_not_asked_and_the_user_is_told() -> None:
    exported = {'ROS_DISCOVERY_SERVER': '10.0.0.1:11811', 'ROS_DOMAIN_ID': '42', 'HOME': '/root'}
    graph = own_graph(exported, 7, lambda _domain: False)
    assert 'ROS_DISCOVERY_SERVER' not in graph.environment
    assert graph.environment['HOME'] == '/root'
    assert graph.warning.startswith(
        'ROS_DOMAIN_ID=42, ROS_DISCOVERY_SERVER=10.0.0.1:11811 is exported and not followed: this '
        'runs in domain 8 of its own'
    )
    assert own_graph({}, 7).warning == ''


def test_a_domain_that_somebody_on_this_machine_is_in_is_passed_over() -> None:
    free = own_graph({}, 7).domain_id
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(('', 7410 + 250 * free))  # as DDS does
        assert own_graph({}, 7).domain_id not in (free, 0)


def test_where_every_domain_is_taken_one_of_them_is_better_than_the_robots() -> None:
    assert own_graph({'ROS_DOMAIN_ID': '8'}, 7, lambda _domain: True).domain_id == 9
