# SPDX-License-Identifier: Apache-2.0
"""What we make of a parameter file is what rclpy makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.node import Node

from seg_ros.core.errors import ConfigurationError
from seg_ros.parameter_files import given_parameters
from test.parameter_shapes import SPELLINGS, Shape, shapes, values_of_the_node

Read = Callable[..., dict[str, Any]]


@pytest.fixture(scope='module')
def by_rclpy(domain_id: int) -> Iterator[Read]:
    """Returns what a node of rclpy has of a file, as a list where it is one."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)

    def read(*files_and_name: Path | str) -> dict[str, Any]:
        *files, full_name = map(str, files_and_name)
        namespace, _, name = full_name.rpartition('/')
        node = Node(
            name,
            namespace=namespace,
            context=context,
            cli_args=['--ros-args', *(word for file in files for word in ('--params-file', file))],
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        values = {name: row.value for name, row in node._parameter_overrides.items()}
        node.destroy_node()
        return values

    yield read
    rclpy.shutdown(context=context)


def ours(*files_and_name: Path | str) -> dict[str, Any]:
    *files, full_name = map(str, files_and_name)
    values = given_parameters(map(Path, files), (), full_name).values
    return {name: list(row) if isinstance(row, tuple) else row for name, row in values.items()}


@settings(max_examples=60, deadline=None)
@given(values=values_of_the_node(), shape=shapes())
def test_a_file_of_any_shape_has_the_same_values_here_and_in_rclpy(
    by_rclpy: Read,
    values: dict[str, Any],
    shape: Shape,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.getbasetemp() / 'shape.yaml'
    file.write_bytes(shape.text(values))
    assert ours(file, shape.node) == by_rclpy(file, shape.node)


def test_words_have_the_same_types_here_and_in_rclpy(by_rclpy: Read, tmp_path: Path) -> None:
    file = tmp_path / 'words.yaml'
    rows = ''.join(f'    word{at}: {text}\n' for at, (text, _) in enumerate(SPELLINGS))
    file.write_text(f'/**:\n  ros__parameters:\n{rows}')
    found = given_parameters([file]).values
    assert {name: repr(value) for name, value in found.items()} == {
        name: repr(value) for name, value in by_rclpy(file, '/segmentation').items()
    }


@pytest.mark.parametrize(
    'text',
    [
        '/segmentation: {ros__parameters: {engine: a}}\n/**: {ros__parameters: {engine: b}}\n',
        '/**: {ros__parameters: {engine: a}}\n/segmentation: {ros__parameters: {engine: b}}\n',
        '/**: {ros__parameters: {a: 1}}\n---\n/*: {ros__parameters: {a: 2}}\n',
        '/*: {ros__parameters: {a: 1}}\n---\n/**: {ros__parameters: {a: 2}}\n',
        '/**: {ros__parameters: {a.b: 1, a: {b: 2}}}\n',
        '/**: {ros__parameters: {a: {b: 1}, a.b: 2}}\n',
        '/**: {ros__parameters: {a: 1}}\n---\n/**: {ros__parameters: {b: 2}}\n',
    ],
)
def test_of_two_values_the_same_wins_here_and_in_rclpy(
    by_rclpy: Read, text: str, tmp_path: Path
) -> None:
    file = tmp_path / 'twice.yaml'
    file.write_text(text)
    assert ours(file, '/segmentation') == by_rclpy(file, '/segmentation')


KEYS = (
    '/**', '/*', '*', '/segmentation', 'segmentation', '/**/segmentation', '/a/segmentation',
    'a/segmentation', '/a/**', '/a/*', '/*/segmentation', '/a/**/segmentation', '/*/b/*',
    '/**/b/segmentation', '/**/**', '/*/**', '/Segmentation', '/_a', '/a/b_/c',
)  # fmt: skip


@pytest.mark.parametrize('full_name', ['/segmentation', '/a/segmentation', '/a/b/segmentation'])
@pytest.mark.parametrize('key', KEYS)
def test_a_key_is_for_the_same_nodes_here_and_in_rclpy(
    by_rclpy: Read, key: str, full_name: str, tmp_path: Path
) -> None:
    file = tmp_path / 'key.yaml'
    file.write_text(f'"{key}": {{ros__parameters: {{engine: a}}}}\n')
    theirs = by_rclpy(file, full_name)
    if theirs:
        assert ours(file, full_name) == theirs
    else:
        with pytest.raises(ConfigurationError, match='nothing for the node'):
            ours(file, full_name)


@pytest.mark.parametrize(
    'key',
    ['/seg*', '/rob*/segmentation', '/**/', '/***', '/a.b', '/a-b', '/1a', '/1/a', '/ä', '/', '~'],
)
def test_a_key_that_rclpy_takes_for_no_node_is_refused_beside_others(
    by_rclpy: Read, key: str, tmp_path: Path
) -> None:
    file = tmp_path / 'key.yaml'
    row = '{ros__parameters: {engine: a}}'
    file.write_text(f'"{key}": {row}\n/**: {row}\n')
    with pytest.raises(Exception, match='parse'):
        by_rclpy(file, '/segmentation')
    with pytest.raises(ConfigurationError, match='which ROS takes for no node'):
        ours(file, '/segmentation')


@settings(max_examples=60, deadline=None)
@given(
    files=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ['/**', '/*', '/segmentation', 'segmentation', '/**/segmentation']
                ),
                st.dictionaries(
                    st.sampled_from(['engine', 'lane.frame']),
                    st.text('abc', min_size=1),
                    min_size=1,
                ),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda row: row[0],
        ),
        min_size=1,
        max_size=3,
    )
)
def test_of_several_sections_in_several_files_the_same_one_wins_here_and_in_rclpy(
    by_rclpy: Read,
    files: list[list[tuple[str, dict[str, str]]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """rcl adds a section to one of the same key, in the place of that, also across files."""
    paths = []
    for number, sections in enumerate(files):
        paths.append(tmp_path_factory.getbasetemp() / f'several{number}.yaml')
        content = {key: {'ros__parameters': values} for key, values in sections}
        paths[-1].write_text(yaml.safe_dump(content, sort_keys=False))
    assert ours(*paths, '/segmentation') == by_rclpy(*paths, '/segmentation')


@pytest.mark.parametrize(
    'text',
    [
        '/**:\n\tros__parameters:\n',
        '/**:\n  stop.hold_s: 2.0\n',
        'ros__parameters:\n  a: 1\n',
        '/**:\n  ros__parameters:\n',
        '/**:\n  ros__parameters:\n    a:\n',
        '/**:\n  ros__parameters:\n    a: [1, 1.4]\n',
        '/robot1:\n  /segmentation:\n    ros__parameters:\n      a: 1\n',
        '/**: &a {ros__parameters: {a: 1}}\n/*: *a\n',
        '- a\n',
    ],
)
def test_what_rclpy_refuses_is_refused_here(by_rclpy: Read, text: str, tmp_path: Path) -> None:
    file = tmp_path / 'refused.yaml'
    file.write_text(text)
    with pytest.raises(Exception, match='parse'):
        by_rclpy(file, '/segmentation')
    with pytest.raises(ConfigurationError):
        given_parameters([file])
