# SPDX-License-Identifier: Apache-2.0
"""``seg_ros sample``: a short drive that play, replay and report have something to show of."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_ros.cli import main
from seg_ros.report.build import drive_report
from seg_ros.report.drive import read_drive


def test_five_seconds_with_a_go_a_stop_for_somebody_and_a_lane(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = tmp_path / 'sample'
    words = ('sample', '-o', str(bag), '--engine', 'roadsynth', '--backend', 'onnxruntime')
    assert main(list(words)) == 0
    said = capsys.readouterr().out
    assert f'{bag}/replay.mcap: 5 s, ' in said
    assert f'seg_ros report {bag} ' in said
    drive = read_drive(bag)
    _, figures = drive_report(drive)
    assert figures['frames']['labelled'] == 50
    assert 0.1 < figures['stop']['share'] < 0.9
    assert figures['stop']['seconds']['person'] > 1.0
    assert figures['stop']['fault_s'] < 0.5
    assert figures['lane']['valid_share'] > 0.8
    assert main(list(words)) == 1
    assert 'is there already' in capsys.readouterr().err
