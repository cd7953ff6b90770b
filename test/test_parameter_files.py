# SPDX-License-Identifier: Apache-2.0
"""Parameter files mean here what they mean to ROS; ``test/ros`` holds the same to rclpy itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import options_of
from seg_ros.parameter_files import config_of_given, given_parameters, typed_word
from test.parameter_shapes import SPELLINGS, Shape, shapes, values_of_the_node

BELOW = 'ros__parameters: {stop.hold_s: 7.5}'


def config_in(
    folder: Path, text: str | bytes, *assignments: str, node: str = '/segmentation'
) -> NodeConfig:
    file = folder / 'mine.yaml'
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config_of_given(given_parameters([file], assignments, node), NodeConfig())


@pytest.mark.parametrize(
    ('key', 'node', 'is_for_it'),
    [
        ('/**', '/segmentation', True),
        ('/**', '/a/b/segmentation', True),
        ('/*', '/segmentation', True),
        ('/*', '/a/segmentation', False),
        ('/**/segmentation', '/segmentation', True),
        ('/**/segmentation', '/a/b/segmentation', True),
        ('/*/segmentation', '/a/segmentation', True),
        ('/*/segmentation', '/segmentation', False),
        ('/a/**', '/a/segmentation', True),
        ('/a/*', '/a/segmentation', True),
        ('/a/*', '/b/segmentation', False),
        ('segmentation', '/segmentation', True),
        ('/segmentation', '/segmentation', True),
        ('segmentation', '/a/segmentation', False),
        ('a/segmentation', '/a/segmentation', True),
        ('/**/eyes', '/segmentation', False),
    ],
)
def test_a_section_is_for_the_nodes_that_ros_matches_it_with(
    key: str, node: str, is_for_it: bool, tmp_path: Path
) -> None:
    text = f'"{key}": {{{BELOW}}}\n'
    if is_for_it:
        assert config_in(tmp_path, text, node=node).stop.hold_s == 7.5
    else:
        with pytest.raises(ConfigurationError, match=f'nothing for the node {node}, only for'):
            config_in(tmp_path, text, node=node)


@pytest.mark.parametrize(
    'text',
    [
        f'robot1:\n  segmentation:\n    {BELOW}\n',
        f'/robot1:\n  segmentation:\n    {BELOW}\n',
        f'/**:\n  segmentation:\n    {BELOW}\n',
        f'robot1/segmentation:\n  {BELOW}\n',
    ],
)
def test_namespaces_may_be_nested(text: str, tmp_path: Path) -> None:
    assert config_in(tmp_path, text, node='/robot1/segmentation').stop.hold_s == 7.5


def test_what_comes_later_in_a_file_wins_and_the_command_line_wins_over_all(
    tmp_path: Path,
) -> None:
    text = (
        'segmentation: {ros__parameters: {stop.hold_s: 2.0}}\n'
        '/**: {ros__parameters: {stop.hold_s: 3.0}}\n'
    )
    assert config_in(tmp_path, text).stop.hold_s == 3.0
    assert config_in(tmp_path, text, 'stop.hold_s:=4.0').stop.hold_s == 4.0
    assert config_in(tmp_path, text, 'segmentation:stop.hold_s:=5.0').stop.hold_s == 5.0


@settings(max_examples=200, deadline=None)
@given(values=values_of_the_node(), shape=shapes())
def test_every_shape_of_a_file_gives_what_the_plain_one_gives(
    values: dict[str, object], shape: Shape, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    plain = json.dumps({'/**': {'ros__parameters': values}})
    expected = config_in(folder, plain)
    assert config_in(folder, shape.text(values), node=shape.node) == expected


@pytest.mark.parametrize(('text', 'value'), SPELLINGS)
def test_words_have_the_types_that_rcl_gives_them(text: str, value: object) -> None:
    assert repr(typed_word(text)) == repr(value)


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', 'has no parameters. Begin it with "/\\*\\*:"'),
        (f'segmentaion: {{{BELOW}}}', 'Did you mean /segmentation by /segmentaion?'),
        (f'/robot1/segmentation: {{{BELOW}}}', 'replay: --node /robot1/segmentation'),
        (f'/robot*/segmentation: {{{BELOW}}}', r'Call its section /segmentation or /\*\*\.$'),
        (f'/a: {{{BELOW}}}\n/b: {{{BELOW}}}', 'only for /a, /b'),
        ('/**:\n\tros__parameters:\n', 'mine.yaml, line 2: .*Tabs cannot indent: use spaces'),
        ('/**:\n  stop.hold_s: 2.0\n', 'line 2: stop.hold_s must stand below ros__parameters'),
        ('ros__parameters:\n  stop.hold_s: 2.0\n', 'Put /\\*\\*: above it'),
        ('stop.hold_s: 2.0\n', 'line 1: stop.hold_s must stand below ros__parameters'),
        ('hello\n', 'line 1: Come the names of nodes and ros__parameters'),
        ('- a\n', 'Come the names of nodes'),
        ('/**:\n  ros__parameters:\n', 'ros__parameters of /\\*\\* has no parameters'),
        ('/**:\n  ros__parameters:\n    stop.hold_s:\n', 'line 3: stop.hold_s has no value'),
        (
            '/**:\n  ros__parameters:\n    mount.z: [1, 1.4]\n',
            'line 3: mount.z has values of different kinds. Write them alike: 1.0',
        ),
        ('/**:\n  ros__parameters:\n    mount.z: [[1.0]]\n', 'a list of lists'),
        (
            '/**:\n  ros__parameters:\n    mount.z: []\n',
            r'mount.z is \[\]. Give a list of numbers',
        ),
        (
            '/**:\n  ros__parameters:\n    mount.z: 1.4\n',
            r'mount.z is 1.4. Give a list of numbers with a point, like \[1.4\]',
        ),
        (
            '/**:\n  ros__parameters:\n    stop.hold_s: 7\n',
            'is 7. Give a number with a point, like 7.0.',
        ),
        ('/**:\n  ros__parameters:\n    stop.hold_s: "7.5"\n', "is '7.5'. Give a number with"),
        ('/**:\n  ros__parameters:\n    autostart: 1\n', 'is 1. Give true or false, like true'),
        (
            '/**:\n  ros__parameters:\n    inference_threads: 1.0\n',
            'is 1.0. Give a whole number, like 0.',
        ),
        ('/**:\n  ros__parameters:\n    engine: on\n', "engine is true. Give a text, like 'road"),
        ('/**:\n  ros__parameters:\n    stop.hold_s: .nan\n', 'must be from 0.0 to 60.0 s'),
        ('/**:\n  ros__parameters:\n    mount.z: [.nan]\n', 'Every number of it must be finite'),
        (f'/**: &a {{{BELOW}}}\n/*: *a\n', 'ROS takes no anchors and aliases'),
        (b'/**: \xff\xfe', 'was to be read as a parameter file, but'),
        ('[' * 5000, 'was to be read as a parameter file, but'),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_one_sentence_of_what_to_do(
    text: str | bytes, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        config_in(tmp_path, text)
    assert '\n' not in str(caught.value)


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='but there is no such file'):
        given_parameters([tmp_path / 'nowhere.yaml'])
    with pytest.raises(ConfigurationError, match='but it is no file'):
        given_parameters([tmp_path])


@pytest.mark.parametrize('key', ['segmentation', '/segmentation', '/**/segmentation'])
def test_a_name_that_does_not_exist_is_refused_where_the_node_is_named(
    key: str, tmp_path: Path
) -> None:
    words = r'There is no parameter stop.hold \(did you mean stop.hold_s\?\)'
    with pytest.raises(ConfigurationError, match=words):
        config_in(tmp_path, f'"{key}": {{ros__parameters: {{stop.hold: 9.0}}}}')


@pytest.mark.parametrize('key', ['/**', '/*'])
def test_a_name_that_does_not_exist_is_warned_of_where_others_may_be_meant(
    key: str, tmp_path: Path
) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text(
        f'"{key}": {{ros__parameters: {{stop.hold: 9.0, planner_hz: 5, stop.hold_s: 2.0}}}}'
    )
    found = given_parameters([file])
    (warning,) = found.warnings
    assert warning.startswith(f'{file}, {key}: There is no parameter stop.hold (did you mean')
    assert 'planner_hz' in warning
    assert config_of_given(found, NodeConfig()).stop.hold_s == 2.0


def test_what_every_node_of_ros_has_passes_without_a_word(tmp_path: Path) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text(
        'segmentation:\n  ros__parameters:\n    use_sim_time: true\n'
        '    start_type_description_service: false\n    qos_overrides:\n'
        '      /camera/image:\n        subscription: {reliability: best_effort}\n'
    )
    found = given_parameters([file])
    assert not found.warnings
    assert found.values['use_sim_time'] is True
    assert found.values['qos_overrides./camera/image.subscription.reliability'] == 'best_effort'
    assert config_of_given(found, NodeConfig()) == NodeConfig()


@pytest.mark.parametrize(
    ('assignment', 'sentence'),
    [
        ('stop.hold_s=2.0', 'write it like stop.hold_s:=1.5'),
        ('stop.hold_s:=', 'has no value. The empty text is'),
        ('stop.hold_s:=[', 'this is no YAML'),
        ('stop.hold:=2.0', r'did you mean stop.hold_s\?'),
        ('planner:stop.hold_s:=2.0', 'is for the node planner, but this is /segmentation'),
        ('mount.z:=[1, 1.4]', 'mount.z has values of different kinds'),
        ('mount.z:={a: 1}', 'a list of lists or groups'),
    ],
)
def test_an_assignment_that_cannot_be_meant_is_refused(assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        given_parameters([], [assignment])


@pytest.mark.parametrize(
    ('assignment', 'value'),
    [('mount.z:=1.25', (1.25,)), ('camera_names:=front', ('front',)), ('mount.z:=[1.4]', (1.4,))],
)
def test_one_word_of_the_command_line_is_a_list_of_one(
    assignment: str, value: tuple[object, ...]
) -> None:
    name = assignment.partition(':=')[0]
    assert given_parameters([], [assignment]).values[name] == value


def test_a_whole_number_is_no_word_of_a_list_of_numbers_with_a_point() -> None:
    with pytest.raises(ConfigurationError, match=r'mount.z is 1. Give .* like \[1.0\]'):
        config_of_given(given_parameters([], ['mount.z:=1']), NodeConfig())


def test_a_file_that_is_larger_than_anybody_writes_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / 'huge.yaml'
    file.write_text('# nothing\n' * 20_000)
    with pytest.raises(
        ConfigurationError, match=r'huge.yaml .* but: it has 200000 bytes, read are'
    ):
        given_parameters([file])


def test_no_number_of_any_parameter_may_be_nan_or_infinite() -> None:
    for name, default, _ in options_of(NodeConfig):
        is_list = isinstance(default, tuple)
        if not isinstance(default[0] if isinstance(default, tuple) else default, float):
            continue
        for word in ('.nan', '.inf', '-.inf'):
            found = given_parameters([], [f'{name}:=[{word}]' if is_list else f'{name}:={word}'])
            with pytest.raises(ConfigurationError, match=name):
                config_of_given(found, NodeConfig())
