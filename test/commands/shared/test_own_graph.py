# SPDX-License-Identifier: Apache-2.0
"""A command's own graph is nobody else's."""

from __future__ import annotations

import pytest

from seg_ros.commands.shared.own_graph import own_graph


@pytest.mark.parametrize('exported', [{}, {'ROS_DOMAIN_ID': '0'}, {'ROS_DOMAIN_ID': '42'}])
def test_a_graph_of_our_own_is_never_in_the_users_domain(exported: dict[str, str]) -> None:
    for process_id in range(1000, 1300):
        graph = own_graph(exported, process_id)
        assert 1 <= graph.domain_id <= 101
        assert graph.environment['ROS_DOMAIN_ID'] == str(graph.domain_id)
        assert graph.environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
        assert str(graph.domain_id) != exported.get('ROS_DOMAIN_ID')


def test_a_discovery_server_of_the_robot_is_not_asked_and_the_user_is_told() -> None:
    exported = {'ROS_DISCOVERY_SERVER': '10.0.0.1:11811', 'ROS_DOMAIN_ID': '42', 'HOME': '/root'}
    graph = own_graph(exported, 7)
    assert 'ROS_DISCOVERY_SERVER' not in graph.environment
    assert graph.environment['HOME'] == '/root'
    assert graph.warning.startswith(
        'ROS_DOMAIN_ID=42, ROS_DISCOVERY_SERVER=10.0.0.1:11811 is exported and not followed: this '
        'runs in domain 8 of its own'
    )
    assert own_graph({}, 7).warning == ''
