# SPDX-License-Identifier: Apache-2.0
"""What nav2.launch.py starts, through the stand-in for ``launch``."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from test.paths import REPOSITORY


def started(**arguments: str) -> dict[str, dict[str, Any]]:
    """Returns what is started, by executable."""
    path = REPOSITORY / 'launch/nav2.launch.py'
    spec = importlib.util.spec_from_file_location('nav2_launch', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from launch import LaunchContext

    context = LaunchContext()
    nodes = []
    for entity in module.generate_launch_description().entities:
        if hasattr(entity, 'function'):
            nodes += entity.function(context)
        else:
            value = arguments.get(entity.name, context.perform(entity.default_value))
            context.launch_configurations[entity.name] = value
    return {row['executable']: row for row in (context.perform(node.keywords) for node in nodes)}


@pytest.mark.parametrize('distro', ['jazzy', 'kilted'])
def test_the_node_and_an_active_collision_monitor_are_started(distro: str) -> None:
    rows = started(distro=distro, image_topic='/eye', use_sim_time='true', costmap='none')
    assert set(rows) == {'segmentation_node', 'collision_monitor', 'lifecycle_manager'}
    assert rows['segmentation_node']['remappings'] == [('image', '/eye')]
    file, time = rows['collision_monitor']['parameters']
    assert file == str(REPOSITORY / 'config/nav2/collision_monitor_jazzy.yaml')
    assert time == {'use_sim_time': True}
    assert rows['lifecycle_manager']['parameters'][0]['node_names'] == ['collision_monitor']


@pytest.mark.parametrize('layer', ['obstacle', 'voxel', 'semantic'])
def test_a_costmap_with_the_layer_that_is_asked_for_is_started_and_activated(layer: str) -> None:
    rows = started(costmap=layer)
    parameters, time = rows['nav2_costmap_2d']['parameters']
    assert parameters['plugins'][0] == f'{layer}_layer'
    assert parameters[f'{layer}_layer']['enabled'] is True
    assert time == {'use_sim_time': False}
    assert rows['lifecycle_manager']['parameters'][0]['node_names'] == [
        'collision_monitor',
        'costmap/costmap',
    ]


def test_on_humble_the_gate_stands_in_front() -> None:
    rows = started(distro='humble', name='eyes', namespace='robot')
    file = rows['collision_monitor']['parameters'][0]
    assert file == str(REPOSITORY / 'config/nav2/collision_monitor_humble.yaml')
    assert rows['seg_ros']['arguments'] == ['gate']
    assert dict(rows['seg_ros']['remappings']) == {
        'cmd_vel_in': 'cmd_vel_smoothed',
        'cmd_vel_out': 'cmd_vel_gated',
        'pedestrian_stop': '/robot/eyes/pedestrian_stop',
    }
    plain = dict(started(distro='humble')['seg_ros']['remappings'])
    assert plain['pedestrian_stop'] == '/segmentation/pedestrian_stop'


def test_own_parameters_of_the_monitor_win() -> None:
    assert started(monitor_params='/mine.yaml')['collision_monitor']['parameters'][0] == (
        '/mine.yaml'
    )
