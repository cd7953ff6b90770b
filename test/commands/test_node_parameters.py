# SPDX-License-Identifier: Apache-2.0
"""``--params`` and ``-p`` of the commands that work as the node does."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seg_ros.cli import main
from seg_ros.commands.demo.command import _node_words
from seg_ros.commands.demo.command import add_arguments as demo_arguments
from seg_ros.commands.demo.engine import DemoEngine
from seg_ros.commands.evaluate.stop.task import add_arguments as stop_arguments
from seg_ros.commands.evaluate.stop.task import judge_of
from seg_ros.commands.shared.node_parameters import (
    add_parameter_arguments,
    assignments_from_arguments,
    config_from_arguments,
)
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.parameter_files import config_of_given, given_parameters

TEXT = """\
robot1:
  segmentation:
    ros__parameters:
      use_sim_time: false
      engine: 'on'
      camera_names: [front]
      mount: {z: [1.4]}
      stop.hold_s: 2.5e-1
      image_is_rectified: true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / 'robot.yaml'
    path.write_text(TEXT)
    return path


def parsed(add: Callable[[Any], None], *words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add(parser)
    return parser.parse_args([str(word) for word in words])


def test_assignments_mean_what_the_file_means_whatever_the_node_is_called(file: Path) -> None:
    arguments = parsed(
        add_parameter_arguments, '--params', file, '--node', 'robot1/segmentation', '-p',
        'stop.zone:=image',
    )  # fmt: skip
    config = config_from_arguments(arguments)
    assert (config.engine, config.stop.hold_s, config.stop.zone) == ('on', 0.25, 'image')
    words = assignments_from_arguments(arguments)
    assert words[::2] == ['-p'] * (len(words) // 2)
    assert config_of_given(given_parameters([], words[1::2], '/any'), NodeConfig()) == config


def test_the_demo_gives_its_node_what_it_is_given_and_that_wins_over_the_source(
    file: Path,
) -> None:
    arguments = parsed(demo_arguments, '--params', file, '--node', 'robot1/segmentation')
    words = _node_words(arguments, DemoEngine(''), Mount(z=1.0, x=0.5))
    assignments = [word for at, word in enumerate(words) if words[at - 1] == '-p']
    config = config_of_given(given_parameters([], assignments, '/any'), NodeConfig())
    assert (config.mount.z, config.mount.x, config.stop.hold_s) == ((1.4,), (0.5,), 0.25)


def test_evaluate_takes_the_network_of_the_parameters_unless_an_option_says_another(
    file: Path,
) -> None:
    words = ['--params', file, '--node', 'robot1/segmentation', '-p', 'inference_threads:=3']
    arguments = parsed(stop_arguments, *words)
    assert judge_of(arguments, config_from_arguments(arguments)) == ('on', 'auto', 3, 'auto')
    arguments = parsed(stop_arguments, *words, '--engine', 'roadsynth', '--threads', '1')
    assert judge_of(arguments, config_from_arguments(arguments)) == (
        'roadsynth',
        'auto',
        1,
        'auto',
    )


@pytest.mark.parametrize(
    'words',
    [
        ('replay', 'drive', '-o', 'out'),
        ('demo', '-o', 'out'),
        ('evaluate', '--task', 'stop'),
        ('evaluate', '--task', 'lane'),
    ],
)
def test_a_name_that_does_not_exist_is_refused_before_anything_is_done(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*words, '-p', 'stop.hold:=2.0']) == 1
    said = capsys.readouterr().err
    assert said.startswith(f'seg_ros {words[0]}: There is no parameter stop.hold (did you mean')
    assert list(tmp_path.iterdir()) == []
