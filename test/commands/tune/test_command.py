# SPDX-License-Identifier: Apache-2.0
"""``seg_ros tune`` with both runtimes on a tiny engine; no time is judged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_ros.cli import main
from seg_ros.commands.tune import command
from seg_ros.inference import tune_process
from seg_ros.inference.engine import load_engine
from seg_ros.inference.tuning.measure import Effort
from seg_ros.inference.tuning.memory import recall, tune_key
from test.tiny_onnx import SIZE_WH, seeded_images, write_engine


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, 'PATIENT', Effort(1, 1, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_engine(tmp_path / 'tiny')


def tune(folder: Path, tmp_path: Path, *words: str) -> int:
    return main(['tune', str(folder), '--cache', str(tmp_path / 'cache'), *words])


def test_every_candidate_is_a_line_and_the_choice_is_remembered_and_shown(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(folder, tmp_path) == 0
    said = capsys.readouterr().out
    for words in ('onnxruntime fp32', 'openvino fp32', 'auto takes', '* '):
        assert words in said
    engine = load_engine(folder)
    assert recall(engine, tune_key(engine), tmp_path / 'cache').rows
    assert tune(folder, tmp_path, '--show') == 0
    assert capsys.readouterr().out == said


def test_a_busy_machine_is_told_and_remembered(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tune_process, 'others_share', lambda: 0.5)
    assert tune(folder, tmp_path) == 0
    sentence = (
        'Others took 50% of the processors when it was measured: in quiet another one may be'
    )
    assert sentence in capsys.readouterr().out
    assert tune(folder, tmp_path, '--show', '--json') == 0
    assert json.loads(capsys.readouterr().out)['doubt'].startswith('others took 50%')
    monkeypatch.setattr(tune_process, 'others_share', lambda: 0.0)
    assert tune(folder, tmp_path) == 0
    assert 'Others took' not in capsys.readouterr().out


def test_real_pictures_are_compared_too_and_scored_where_the_truth_lies_beside_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    for index, image in enumerate(seeded_images(2)):
        cv2.imwrite(str(pictures / f'{index}.png'), image)
    words = ('--pictures', str(pictures), '--json', '--precision', 'fp32', '--threads', '1')
    assert tune(folder, tmp_path, *words) == 0
    table = json.loads(capsys.readouterr().out)
    assert [row['miou'] for row in table['rows']] == [None, None]
    for index in range(2):
        truth = np.zeros((SIZE_WH[1], SIZE_WH[0]), np.uint8)
        cv2.imwrite(str(pictures / f'{index}.label.png'), truth)
    assert tune(folder, tmp_path, *words) == 0
    table = json.loads(capsys.readouterr().out)
    assert all(0.0 <= row['miou'] <= 1.0 for row in table['rows'])
    assert (table['engine'], table['chosen']['precision']) == ('tiny', 'fp32')
    engine = load_engine(folder)
    assert not recall(engine, tune_key(engine), tmp_path / 'cache').rows  # a part only


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['--show'], 'nothing was measured here yet. Measure: seg_ros tune tiny'),
        (['--cameras', '0'], '--cameras is 0; give 1 to 16'),
        (['--threads', '-1'], '--threads is -1; give 0 for several'),
        (['--pictures', '/nowhere'], 'there is no folder /nowhere'),
        (['--precision', 'fp16'], 'no backend has that precision'),
        (['--cache', '/proc/nothing'], 'Cannot write to the engine cache /proc/nothing'),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    words: list[str],
    said: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tune(folder, tmp_path, *words) == 1
    assert said in capsys.readouterr().err
