# SPDX-License-Identifier: Apache-2.0
"""What we make of a parameter file is what rclpy makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from hypothesis import given, settings
from rclpy.node import Node

from seg_ros.core.errors import ConfigurationError
from seg_ros.parameter_files import given_parameters
from test.parameter_shapes import SPELLINGS, Shape, shapes, values_of_the_node

Read = Callable[[Path, str], dict[str, Any]]


@pytest.fixture(scope='module')
def by_rclpy(domain_id: int) -> Iterator[Read]:
    """Returns what a node of rclpy has of a file, as a list where it is one."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)

    def read(file: Path, full_name: str) -> dict[str, Any]:
        namespace, _, name = full_name.rpartition('/')
        node = Node(
            name,
            namespace=namespace,
            context=context,
            cli_args=['--ros-args', '--params-file', str(file)],
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        values = {name: row.value for name, row in node._parameter_overrides.items()}
        node.destroy_node()
        return values

    yield read
    rclpy.shutdown(context=context)


def ours(file: Path, full_name: str) -> dict[str, Any]:
    values = given_parameters([file], (), full_name).values
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
