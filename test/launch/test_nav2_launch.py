# SPDX-License-Identifier: Apache-2.0
"""What nav2.launch.py starts, through the stand-in for ``launch``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seg_ros.core.errors import ConfigurationError
from test.launch.starting import started as launched
from test.paths import REPOSITORY

MANAGER = 'lifecycle_manager_segmentation'


@pytest.fixture(autouse=True)
def jazzy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')


def started(**arguments: str) -> dict[str, dict[str, Any]]:
    """Returns what is started, by name, or by executable where it has none."""
    rows = launched('nav2.launch.py', **arguments)
    return {row['name'] or row['executable']: row for row in rows}


@pytest.mark.parametrize('distro', ['jazzy', 'kilted'])
def test_the_node_and_an_active_collision_monitor_are_started(distro: str) -> None:
    rows = started(distro=distro, image_topic='/eye', use_sim_time='true', costmap='none')
    assert set(rows) == {'segmentation', 'collision_monitor', MANAGER}
    assert rows['segmentation']['remappings'] == [('image', '/eye')]
    file, time = rows['collision_monitor']['parameters']
    assert file == str(REPOSITORY / 'config/nav2/collision_monitor_jazzy.yaml')
    assert time == {'use_sim_time': True}
    assert rows[MANAGER]['parameters'][0]['node_names'] == ['collision_monitor']


@pytest.mark.parametrize('layer', ['obstacle', 'voxel', 'semantic'])
def test_a_costmap_with_the_layer_that_is_asked_for_is_started_and_activated(layer: str) -> None:
    rows = started(costmap=layer)
    parameters, time = rows['nav2_costmap_2d']['parameters']
    assert parameters['plugins'][0] == f'{layer}_layer'
    assert parameters[f'{layer}_layer']['enabled'] is True
    assert time == {'use_sim_time': False}
    assert rows[MANAGER]['parameters'][0]['node_names'] == ['collision_monitor']
    names, bond = rows[f'{MANAGER}_costmap']['parameters']
    assert names['node_names'] == ['costmap/costmap']
    assert bond == {'bond_timeout': 0.0, 'use_sim_time': False}  # it never makes a bond


def test_on_humble_the_gate_stands_in_front() -> None:
    rows = started(distro='humble', name='eyes', namespace='robot')
    file = rows['collision_monitor']['parameters'][0]
    assert file == str(REPOSITORY / 'config/nav2/collision_monitor_humble.yaml')
    assert rows['pedestrian_gate']['arguments'] == ['gate']
    assert dict(rows['pedestrian_gate']['remappings']) == {
        'cmd_vel_in': 'cmd_vel_smoothed',
        'cmd_vel_out': 'cmd_vel_gated',
        'pedestrian_stop': '/robot/eyes/pedestrian_stop',
    }
    plain = dict(started(distro='humble')['pedestrian_gate']['remappings'])
    assert plain['pedestrian_stop'] == '/segmentation/pedestrian_stop'


def test_own_parameters_of_the_monitor_win(tmp_path: Path) -> None:
    mine = tmp_path / 'mine.yaml'
    mine.write_text('collision_monitor: {ros__parameters: {}}')
    file, _ = started(monitor_params=str(mine))['collision_monitor']['parameters']
    assert file == str(mine)


def test_the_distribution_is_that_which_is_sourced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    assert 'pedestrian_gate' in started()
    for unknown in ('', 'zenith'):
        monkeypatch.setenv('ROS_DISTRO', unknown)
        with pytest.raises(RuntimeError, match="Required launch argument 'distro'"):
            started()


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ({'monitor_params': '/nowhere.yaml'}, 'monitor_params:=/nowhere.yaml: there is no such'),
        ({'params_file': '/nowhere.yaml'}, 'params_file:=/nowhere.yaml: there is no such file'),
        ({'costmap': 'obstacles'}, 'provided value "obstacles" is not valid'),
        ({'distro': 'jazy'}, 'provided value "jazy" is not valid'),
        ({'use_sim_time': 'ture'}, 'did you mean true'),
        ({'use_sim_time': 'true'}, 'nav2_costmap_2d started by itself takes no sim time'),
        ({'params': '{stop.hold: 1.0}'}, 'did you mean stop.hold_s'),
    ],
)
def test_nothing_is_started_when_anything_is_wrong(
    arguments: dict[str, str], sentence: str
) -> None:
    with pytest.raises((ConfigurationError, RuntimeError), match=sentence):
        started(**arguments)


@pytest.mark.parametrize(
    'package', ['nav2_collision_monitor', 'nav2_lifecycle_manager', 'nav2_costmap_2d']
)
def test_a_package_that_is_missing_is_named_before_anything_is_started(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from launch_ros import substitutions

    monkeypatch.setattr(substitutions, 'INSTALLED', substitutions.INSTALLED - {package})
    name = package.replace('_', '-')
    with pytest.raises(ConfigurationError, match=f'sudo apt install ros-jazzy-{name}'):
        started()
