# SPDX-License-Identifier: Apache-2.0
"""Whatever ROS or we refuse at the start of a process is one sentence, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rclpy.parameter import Parameter

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.gate_config import GateConfig
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.ros import gate_node, segmentation_node
from seg_ros.ros.parameters import given_overrides
from seg_ros.ros.starting import ros_arguments
from test.ros.graph import Graph
from test.ros.nodes import canned
from test.ros.recording import road_images, write_bag

FILE = '/**/segmentation: {ros__parameters: {stop.hold_s: 7.5, mount.z: [1.4]}}\n'


@pytest.mark.parametrize(
    ('rules', 'node'),
    [
        ([], '/segmentation'),
        (['__ns:=/robot'], '/robot/segmentation'),
        (['__node:=eyes'], '/eyes'),
        (['segmentation:__node:=eyes', 'segmentation:__ns:=/a/b'], '/a/b/eyes'),
        (['other:__ns:=/robot', 'image:=/camera/image'], '/segmentation'),
    ],
)
def test_a_remapped_node_is_known_by_its_full_name(rules: list[str], node: str) -> None:
    words = [word for rule in rules for word in ('-r', rule)]
    assert ros_arguments(['--ros-args', *words], 'segmentation').node == node


def test_files_and_values_are_read_up_to_the_end_of_what_is_for_ros() -> None:
    words = ['--ros-args', '--log-level', 'debug', '--params-file', 'a.yaml', '-p', 'b:=1', '--']
    found = ros_arguments([*words, '--ros-args', '--param', 'c:=2'], 'segmentation')
    assert (found.files, found.assignments) == ([Path('a.yaml')], ['b:=1', 'c:=2'])


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['engine:=roadseg'], 'What is for ROS comes after --ros-args'),
        (['--ros-args', '-p'], '-p needs a value'),
        (['--ros-args', '-p', 'stop.hold:=2.0'], r'did you mean stop.hold_s\?'),
        (['--ros-args', '-p', 'stop.hold_s:=2'], 'Give a number with a point'),
        (['--ros-args', '-p', 'stop.hold_s:=.nan'], 'must be from 0.0 to 60.0 s'),
        (['--ros-args', '-p', 'camera_names:=[a, b]'], 'Give one topic per camera'),
        (['--ros-args', '--params-file', '/nowhere.yaml'], 'there is no such file'),
    ],
)
def test_the_node_is_refused_before_ros_starts(words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        segmentation_node.main(words)


@pytest.mark.parametrize('name', ['stop_timeout_s', 'command_timeout_s', 'rate_hz'])
@pytest.mark.parametrize('word', ['.nan', '.inf', '0.0'])
def test_the_gate_is_refused_by_the_same_rule(name: str, word: str) -> None:
    with pytest.raises(ConfigurationError, match=f'{name} is .*It must be from'):
        gate_node.main(['--ros-args', '-p', f'{name}:={word}'])
    with pytest.raises(ConfigurationError, match=rf'{name}_ \(did you mean {name}\?\)'):
        given_overrides(['--ros-args', '-p', f'{name}_:=1.0'], 'pedestrian_gate', GateConfig())


def test_the_node_has_what_the_file_says_whatever_rclpy_matches(
    graph: Graph, engine: Path, tmp_path: Path
) -> None:
    file = tmp_path / 'mine.yaml'
    file.write_text(FILE)
    words = ['--ros-args', '--params-file', str(file), '-p', 'stop.hold_s:=2.5']
    given = given_overrides(words, 'segmentation', NodeConfig())
    values = {row.name: row.value for row in given.parameters}
    node = graph.node(started=False, **canned(engine), **values)
    assert (node.config.stop.hold_s, node.config.mount.z) == (2.5, (1.4,))
    assert node.get_parameter('mount.z').type_ == Parameter.Type.DOUBLE_ARRAY


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp('bags') / 'drive', road_images(1_000_000_000, 0.2))


REFUSED: list[tuple[dict[str, str | None], list[str], str]] = [
    ({'HOME': '/proc'}, [], 'set one to what this user can write'),
    ({'HOME': None}, [], 'set one to what this user can write'),  # a service of systemd has none
    ({'ROS_LOG_DIR': '/proc/log'}, [], 'set one to what this user can write'),
    ({'ROS_DOMAIN_ID': 'home'}, [], 'Set ROS_DOMAIN_ID to a number from 0 to 232'),
    ({'ROS_DOMAIN_ID': '900'}, [], 'Set ROS_DOMAIN_ID to a number from 0 to 232'),
    ({}, ['--ros-args', '--log-level', 'loud'], 'Its levels are debug, info, warn'),
    ({}, ['--ros-args', '--bogus'], "unknown arguments ['--bogus']"),
    ({}, ['--ros-args', '-r', 'image'], 'Write it like -r image:=/camera/image'),
]


@pytest.mark.parametrize(
    ('command', 'variables', 'words', 'sentence'),
    [
        *[('run', *row) for row in REFUSED],
        *[(command, *REFUSED[0]) for command in ('gate', 'play', 'camera')],
    ],
)
def test_what_ros_refuses_is_one_sentence_of_what_to_do(
    domain_id: int,
    command: str,
    variables: dict[str, str | None],
    words: list[str],
    sentence: str,
    drive: Path,
) -> None:
    theirs = {'play': [str(drive)], 'camera': ['--seconds', '1']}.get(command, [])
    wanted = {**os.environ, 'ROS_DOMAIN_ID': str(domain_id), **variables}
    environment = {name: value for name, value in wanted.items() if value is not None}
    if 'HOME' in variables:
        environment.pop('ROS_LOG_DIR', None)
    result = subprocess.run(
        [sys.executable, '-m', 'seg_ros.cli', command, *theirs, *words],
        capture_output=True,
        text=True,
        timeout=60.0,
        env=environment,
    )
    *_, last = result.stderr.strip().splitlines()
    assert result.returncode == 1, result.stderr
    assert 'Traceback' not in result.stderr
    assert last.startswith(f'seg_ros {command}: ')
    assert sentence in last
