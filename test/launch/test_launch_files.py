# SPDX-License-Identifier: Apache-2.0
"""What the launch files declare and start, through a stand-in for ``launch`` (see its README)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import options_of
from test.paths import REPOSITORY


def launched(file: str, **arguments: str) -> dict[str, Any]:
    """Returns what the one node of a launch file is started with."""
    spec = importlib.util.spec_from_file_location('launch_file', REPOSITORY / 'launch' / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from launch import LaunchContext

    context = LaunchContext()
    *declared, action = module.generate_launch_description().entities
    names = {row.name for row in declared}
    assert set(arguments) <= names, f'no such argument: {set(arguments) - names}'
    for row in declared:
        value = arguments.get(row.name, context.perform(row.default_value))
        context.launch_configurations[row.name] = value
        assert row.description
    if hasattr(action, 'function'):
        (action,) = action.function(context)
    keywords: dict[str, Any] = context.perform(action.keywords)
    return keywords


def parameters(keywords: dict[str, Any]) -> dict[str, Any]:
    """Returns the parameters that win over the file."""
    values: dict[str, Any] = keywords['parameters'][-1]
    known = {name for name, _, _ in options_of(NodeConfig)} | {'use_sim_time'}
    assert set(values) <= known
    return values


@pytest.mark.parametrize('file', ['segmentation.launch.py', 'multi_camera.launch.py'])
def test_a_launch_file_starts_the_installed_node_with_the_shipped_parameters(file: str) -> None:
    keywords = launched(file)
    assert (keywords['package'], keywords['executable']) == ('seg_ros', 'segmentation_node')
    assert Path(keywords['parameters'][0]) == REPOSITORY / 'config/segmentation.yaml'
    left_to_the_file = {'engine', 'backend', 'autostart'}
    assert not left_to_the_file & set(parameters(keywords))
    assert parameters(keywords)['use_sim_time'] is False
    assert keywords['arguments'] == ['--ros-args', '--log-level', 'info']


@pytest.mark.parametrize('file', ['segmentation.launch.py', 'multi_camera.launch.py'])
def test_the_arguments_reach_the_node(file: str) -> None:
    keywords = launched(
        file,
        engine='other',
        backend='openvino',
        namespace='robot',
        name='eyes',
        params_file='/mine.yaml',
        use_sim_time='true',
        autostart='false',
        log_level='debug',
    )
    assert (keywords['namespace'], keywords['name']) == ('robot', 'eyes')
    assert keywords['parameters'][0] == '/mine.yaml'
    values = parameters(keywords)
    assert (values['engine'], values['backend']) == ('other', 'openvino')
    assert (values['use_sim_time'], values['autostart']) == (True, False)
    assert keywords['arguments'][-1] == 'debug'


def test_one_camera_is_remapped() -> None:
    keywords = launched('segmentation.launch.py', image_topic='/front/image_raw')
    assert keywords['remappings'] == [('image', '/front/image_raw')]


def test_several_cameras_get_their_topics() -> None:
    keywords = launched('multi_camera.launch.py', cameras='front, left', image_topic='image')
    values = parameters(keywords)
    assert values['camera_names'] == ['front', 'left']
    assert values['image_topics'] == ['/front/image', '/left/image']


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
