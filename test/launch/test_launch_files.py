# SPDX-License-Identifier: Apache-2.0
"""What the launch files declare and start, through a stand-in for ``launch`` (see its README)."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seg_ros.commands.demo import topics as demo_topics
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import options_of
from seg_ros.parameter_files import given_parameters
from seg_ros.ros.parameters import given_overrides
from test.launch.starting import started
from test.paths import REPOSITORY


def launched(file: str, **arguments: str) -> dict[str, Any]:
    """Returns what the one node of a launch file is started with."""
    (keywords,) = started(file, **arguments)
    return keywords


def parameters(keywords: dict[str, Any]) -> dict[str, Any]:
    """Returns the parameters that win over the file."""
    values = given_parameters([], words_of(keywords)).values
    known = {name for name, _, _ in options_of(NodeConfig)} | {'use_sim_time'}
    assert set(values) <= known
    return {name: list(row) if isinstance(row, tuple) else row for name, row in values.items()}


def words_of(keywords: dict[str, Any]) -> list[str]:
    """Returns the ``name:=value`` that the node is started with."""
    arguments = keywords['arguments']
    return [word for flag, word in itertools.pairwise(arguments) if flag == '-p']


@pytest.mark.parametrize('file', ['segmentation.launch.py', 'multi_camera.launch.py'])
def test_a_launch_file_starts_the_installed_node_with_the_shipped_parameters(file: str) -> None:
    keywords = launched(file)
    assert (keywords['package'], keywords['executable']) == ('seg_ros', 'segmentation_node')
    assert Path(keywords['parameters'][0]) == REPOSITORY / 'config/segmentation.yaml'
    left_to_the_file = {'engine', 'backend', 'autostart'}
    assert not left_to_the_file & set(parameters(keywords))
    assert parameters(keywords)['use_sim_time'] is False
    assert keywords['arguments'][:3] == ['--ros-args', '--log-level', 'info']
    assert keywords['parameters'] == [str(REPOSITORY / 'config/segmentation.yaml')]


@pytest.mark.parametrize('file', ['segmentation.launch.py', 'multi_camera.launch.py'])
def test_the_arguments_reach_the_node(file: str, tmp_path: Path) -> None:
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/robot/eyes: {ros__parameters: {stop.hold_s: 2.0}}')
    keywords = launched(
        file,
        engine='other',
        backend='openvino',
        namespace='robot',
        name='eyes',
        params_file=str(mine),
        use_sim_time='true',
        autostart='false',
        log_level='debug',
    )
    assert (keywords['namespace'], keywords['name']) == ('robot', 'eyes')
    assert keywords['parameters'][0] == str(mine)
    values = parameters(keywords)
    assert (values['engine'], values['backend']) == ('other', 'openvino')
    assert (values['use_sim_time'], values['autostart']) == (True, False)
    assert keywords['arguments'][:3] == ['--ros-args', '--log-level', 'debug']


def test_one_camera_is_remapped() -> None:
    keywords = launched('segmentation.launch.py', image_topic='/front/image_raw')
    assert keywords['remappings'] == [('image', '/front/image_raw')]


def test_several_cameras_get_their_topics() -> None:
    keywords = launched('multi_camera.launch.py', cameras='front, left', image_topic='image')
    values = parameters(keywords)
    assert values['camera_names'] == ['front', 'left']
    assert values['image_topics'] == ['/front/image', '/left/image']


def test_every_parameter_is_reachable_beside_the_file() -> None:
    words = "{stop: {hold_s: 2.0}, engine: 'on', mount.z: [1.4]}"
    keywords = launched('segmentation.launch.py', params=words)
    assert words_of(keywords)[-3:] == ['stop.hold_s:=2.0', 'engine:="on"', 'mount.z:=[1.4]']


def test_an_argument_wins_over_every_section_of_the_file(tmp_path: Path) -> None:
    """A dictionary would not: launch makes a section of ``/**`` of it, which adds to the first."""
    mine = tmp_path / 'mine.yaml'
    mine.write_text(
        '/**: {ros__parameters: {engine: a}}\n/segmentation: {ros__parameters: {engine: b}}\n'
    )
    keywords = launched('segmentation.launch.py', params_file=str(mine), engine='roadseg')
    (file,) = keywords['parameters']
    argv = [*keywords['arguments'], '--params-file', file]
    found = given_overrides(argv, 'segmentation', NodeConfig()).parameters
    assert {row.name: row.value for row in found}['engine'] == 'roadseg'


def test_one_topic_is_the_default_of_all_that_have_one() -> None:
    from seg_ros.ros.launching import IMAGE_TOPIC

    assert launched('segmentation.launch.py')['remappings'] == [('image', IMAGE_TOPIC)]
    assert parameters(launched('multi_camera.launch.py', cameras='a'))['image_topics'] == [
        f'/a/{IMAGE_TOPIC.rpartition("/")[2]}'
    ]
    assert IMAGE_TOPIC == demo_topics.IMAGE
    for file in (
        'config/rviz/segmentation.rviz',
        'README.md',
        'docs/quickstart.md',
        'docs/nav2.md',
    ):
        text = (REPOSITORY / file).read_text()
        assert IMAGE_TOPIC in text
        assert f'{IMAGE_TOPIC}_raw' not in text
    assert (
        f'"{IMAGE_TOPIC}/compressed"'
        in (REPOSITORY / 'config/foxglove/segmentation.json').read_text()
    )


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ({'use_sim_time': 'ture'}, r'use_sim_time:=ture \(did you mean true\?\): write true or'),
        ({'autostart': 'maybe'}, 'autostart:=maybe: write true or false'),
        ({'params_file': '/nowhere.yaml'}, 'params_file:=/nowhere.yaml: there is no such file'),
        ({'params': '{stop.hold: 2.0}'}, r'no parameter stop.hold \(did you mean stop.hold_s'),
        ({'params': '{stop.hold_s: 2}'}, 'stop.hold_s is 2. Give a number with a point'),
        ({'params': '{camera_names: [a, b]}'}, 'Give one topic per camera'),
        ({'params': 'stop.hold_s: 2.0: 3'}, 'this is no YAML'),
        ({'params': '[1]'}, "write it like params:='{stop.hold_s: 2.0}'"),
        ({'backend': 'abacus'}, 'provided value "abacus" is not valid'),
        ({'log_level': 'loud'}, 'provided value "loud" is not valid'),
    ],
)
def test_an_argument_that_does_not_apply_ends_the_launch(
    arguments: dict[str, str], sentence: str
) -> None:
    with pytest.raises((ConfigurationError, RuntimeError), match=sentence):
        launched('segmentation.launch.py', **arguments)


def test_a_file_that_is_for_another_node_ends_the_launch(tmp_path: Path) -> None:
    file = tmp_path / 'mine.yaml'
    file.write_text('segmentation: {ros__parameters: {stop.hold_s: 2.0}}')
    assert launched('segmentation.launch.py', params_file=str(file))
    with pytest.raises(ConfigurationError, match='nothing for the node /robot/segmentation'):
        launched('segmentation.launch.py', params_file=str(file), namespace='robot')


def test_an_argument_that_the_file_does_not_have_is_refused_where_it_was_launched_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ['ros2', 'launch', 'seg_ros', 'segmentation.launch.py', 'image_topc:=/eye']
    monkeypatch.setattr(sys, 'argv', words)
    with pytest.raises(ConfigurationError, match=r'image_topc \(did you mean image_topic\?\)'):
        launched('segmentation.launch.py')
    monkeypatch.setattr(sys, 'argv', [*words[:3], 'robot.launch.py', 'lidar:=true'])
    assert launched('segmentation.launch.py')


@pytest.mark.parametrize('file', ['segmentation.launch.py', 'multi_camera.launch.py'])
def test_a_node_that_ends_because_its_gpu_is_lost_is_started_again_and_no_other(file: str) -> None:
    from seg_ros.ros.device_lost import EXIT_DEVICE_LOST

    keywords = launched(file, name='eyes')
    from launch import LaunchContext

    context = LaunchContext()
    words = ('cameras', 'engine', 'backend', 'autostart', 'namespace', 'log_level', 'name')
    context.launch_configurations = {
        **dict.fromkeys((*words, 'image_topic', 'params_file'), ''),
        'use_sim_time': 'false',
    }
    for code in (0, 1, 2, -2, -9):
        assert not keywords['on_exit'](SimpleNamespace(returncode=code), context)
    (later,) = keywords['on_exit'](SimpleNamespace(returncode=EXIT_DEVICE_LOST), context)
    (node,) = later.actions
    assert later.period > 0.0
    assert node.keywords['executable'] == 'segmentation_node'
    assert node.keywords['on_exit'] is not None  # and the next time, too
