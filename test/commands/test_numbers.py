# SPDX-License-Identifier: Apache-2.0
"""No word of a command line ends in a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_ros.cli import main


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        ('golden --seconds nan', 'argument --seconds: nan: give a finite number'),
        ('golden --seconds 0', 'argument --seconds: 0: give more than 0'),
        ('evaluate --task stop --events -1', 'argument --events: -1: give 0 or more'),
        ('evaluate --task stop --quiet-minutes nan', 'give a finite number'),
        ('evaluate --task lane --frames 0', 'argument --frames: 0: give 1 or more'),
        ('evaluate --task lane --loop-km nan', 'argument --loop-km: nan: give a finite number'),
        ('evaluate --task lane --frames many', "'many' is no whole number"),
        ('evaluate --task navigation --frames 0', 'argument --frames: 0: give 1 or more'),
        ('camera --depth -1', 'argument --depth: -1: give 0 or more'),
        ('camera --seconds inf', 'argument --seconds: inf: give a finite number'),
        ('camera --seconds soon', "'soon' is no number"),
        ('replay drive -o new --start nan', 'argument --start: nan: give a finite number'),
        ('replay drive -o new --duration -1', 'argument --duration: -1: give more than 0'),
        ('play drive --start -1', 'argument --start: -1: give 0 or more'),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_its_name(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        ('demo --seconds nan', '--seconds nan: give more than 0'),
        ('simulate --km nan', '--km nan: give more than 0'),
        ('play drive --rate nan', '--rate nan: give more than 0'),
        ('evaluate --task lane --pictures /proc/x', '/proc/x: No such file or directory. Name'),
        ('golden --seconds 1 -o /proc/x', '-o /proc/x/city_crossings: the folder cannot be'),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f'seg_ros {words.split()[0]}: {sentence}')


def test_a_command_whose_package_is_missing_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named 'rclpy' for {name}", name='rclpy')

    monkeypatch.setattr('seg_ros.ros.process.import_module', missing)
    assert main(['run']) == 1
    assert 'seg_ros run: rclpy is not installed. Source ROS' in capsys.readouterr().err
