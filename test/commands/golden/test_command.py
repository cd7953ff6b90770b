# SPDX-License-Identifier: Apache-2.0
"""The golden drives: made by their seeds, replayed, and compared with what is expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seg_ros.cli import main
from seg_ros.commands.golden.command import EXPECTATIONS, WRITTEN
from seg_ros.commands.golden.drives import GOLDEN_DRIVES
from seg_ros.commands.golden.scores import METRICS, comparisons
from seg_ros.commands.shared.output_folder import claim
from seg_ros.core.parameters.node_config import NodeConfig

GOOD: dict[str, float | None] = {
    'frames': 100,
    'label_agreement': 0.95,
    'stop_recall': 1.0,
    'stop_false_s': 1.0,
    'stop_fault_s': 0.0,
    'lane_valid_share': 0.9,
    'lane_offset_rms_m': 0.05,
    'lane_heading_rms_deg': 0.3,
}


def verdicts(**changes: float | None) -> set[tuple[str, str]]:
    """Returns what is not ok when these figures differ from what is expected."""
    rows = comparisons({**GOOD, **changes}, GOOD)
    return {(row.metric, row.verdict) for row in rows if row.verdict != 'ok'}


def test_a_figure_within_its_tolerance_is_ok() -> None:
    assert verdicts(label_agreement=0.9401, lane_offset_rms_m=0.07) == set()


def test_a_figure_may_be_better_but_not_worse() -> None:
    assert verdicts(label_agreement=0.93, stop_false_s=2.0) == {
        ('label_agreement', 'worse'),
        ('stop_false_s', 'worse'),
    }
    assert verdicts(label_agreement=0.97, stop_false_s=0.0) == {
        ('label_agreement', 'better'),
        ('stop_false_s', 'better'),
    }


def test_a_frame_that_is_missing_or_a_figure_that_is_gone_is_worse() -> None:
    assert verdicts(frames=99, stop_recall=None) == {('frames', 'worse'), ('stop_recall', 'worse')}


def test_a_drive_that_nobody_expected_is_new() -> None:
    assert {row.verdict for row in comparisons(GOOD, {})} == {'new'}


def test_every_drive_is_expected_of_the_engine_that_the_node_takes() -> None:
    expected = json.loads(EXPECTATIONS.read_text())[NodeConfig().engine]
    assert set(expected) == set(GOLDEN_DRIVES)
    assert all(set(figures) == set(METRICS) for figures in expected.values())


def words(tmp_path: Path) -> list[str]:
    return [
        *('golden', '--engine', 'roadsynth', '--drives', 'night_rain', '--seconds', '1'),
        *('-o', str(tmp_path / 'out'), '--expect', str(tmp_path / 'expect.json')),
    ]


def test_the_exit_code_says_whether_all_is_as_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = dict(GOOD)
    monkeypatch.setattr('seg_ros.commands.golden.command._score', lambda *_: dict(found))
    assert main(words(tmp_path)) == 1  # nobody expects anything yet
    assert main([*words(tmp_path), '--update']) == 0
    assert main(words(tmp_path)) == 0
    found['stop_recall'] = 0.5
    assert main(words(tmp_path)) == 1
    printed = capsys.readouterr()
    assert any('stop_recall' in row and 'worse' in row for row in printed.out.splitlines())
    assert 'UPDATE=1 make replay' in printed.err


@pytest.mark.slow
def test_a_second_run_has_the_figures_of_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim(tmp_path / 'out/night_rain', 'golden', WRITTEN)
    (tmp_path / 'out/night_rain/replayed.partial').mkdir()  # it was interrupted
    assert main([*words(tmp_path), '--update']) == 0
    capsys.readouterr()
    assert main([*words(tmp_path), '--json']) == 0
    rows = json.loads(capsys.readouterr().out)['night_rain']
    assert all(row['found'] == row['expected'] for row in rows)
    figures = {row['metric']: row['found'] for row in rows}
    assert figures['frames'] == 10
    assert figures['label_agreement'] > 0.8
    assert (tmp_path / 'out/night_rain/report.html').exists()
