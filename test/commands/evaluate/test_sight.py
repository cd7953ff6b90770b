# SPDX-License-Identifier: Apache-2.0
"""The figure of sight: families of blindness over real scenes, and clean pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.cli import main
from seg_ros.commands.evaluate.sight.blindness import FAMILIES
from seg_ros.commands.evaluate.sight.clips import (
    HARD,
    HARD_NS,
    STUCK,
    STUCK_FROM_NS,
    hard_clip,
    stuck_clip,
)
from seg_ros.commands.evaluate.sight.task import wilson
from test.core.stop.street_pictures import Picture, street
from test.tiny_onnx import COLOURS, write_engine


@pytest.mark.parametrize('name', FAMILIES)
def test_a_family_spoils_a_picture_in_every_strength_and_the_same_way_again(name: str) -> None:
    clean = street()
    family = FAMILIES[name]
    assert len(family.strengths) in (3, 4)
    for strength in family.strengths:
        spoiled = family.spoil(clean, strength, np.random.default_rng(1))
        assert spoiled.dtype == np.uint8
        assert spoiled.shape == clean.shape
        assert np.abs(spoiled.astype(int) - clean).mean() > 5.0
        again = family.spoil(clean, strength, np.random.default_rng(1))
        assert (spoiled == again).all()


@pytest.mark.parametrize(
    ('family', 'strength'), [(name, strength) for name, row in STUCK.items() for strength in row]
)
def test_a_stuck_camera_shows_parts_again_that_were_new_before(family: str, strength: str) -> None:
    clip = list(stuck_clip(street(), STUCK[family][strength], np.random.default_rng(1)))
    before = [frame for stamp_ns, frame in clip if stamp_ns < STUCK_FROM_NS]
    after = [frame for stamp_ns, frame in clip if stamp_ns >= STUCK_FROM_NS]
    assert len(before) == 4
    assert clip[-1][0] - STUCK_FROM_NS >= 1_400_000_000
    for frame in after:
        is_old = np.any([(frame == old).all(axis=2) for old in before], axis=0)
        assert is_old.mean() >= (1.0 if family == 'stuck ring' else 0.5)


def outlines(picture: Picture) -> NDArray[np.float64]:
    grey = cv2.GaussianBlur(picture.mean(axis=2), (0, 0), 2.0)
    return np.abs(np.diff(grey, axis=1)).ravel() / (grey[:, 1:].ravel() + 1.0)


@pytest.mark.parametrize('name', HARD)
def test_a_clip_in_hard_light_shows_the_road_for_two_seconds(name: str) -> None:
    clip = list(hard_clip(street(), HARD[name], np.random.default_rng(1)))
    assert [stamp_ns for stamp_ns, _ in clip] == list(HARD_NS)
    assert HARD_NS[-1] == 2_000_000_000
    for _, frame in clip:
        assert frame.shape == street().shape
        alike = np.corrcoef(outlines(frame), outlines(street()))[0, 1]
        assert alike > 0.25  # of unrelated pictures 0
        assert (frame[200:] > 250).mean() < 0.3


def test_there_are_a_dozen_families() -> None:
    assert len(FAMILIES) >= 12


@pytest.mark.parametrize(
    ('hits', 'low', 'high'), [(0, 0.0, 0.04), (50, 0.40, 0.60), (100, 0.96, 1)]
)
def test_a_share_has_an_interval(hits: int, low: float, high: float) -> None:
    assert wilson(hits, 100) == pytest.approx((low, high), abs=0.01)


def test_the_task_tells_both_shares_and_skips_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = write_engine(tmp_path / 'tiny')
    folder = tmp_path / 'road'
    folder.mkdir()
    picture = np.empty((64, 128, 3), np.uint8)
    picture[:32], picture[32:] = COLOURS[0], COLOURS[1]
    picture[8:24, 20:60] = COLOURS[4]
    for index in range(2):
        cv2.imwrite(str(folder / f'{index}.png'), picture[..., ::-1])
    code = main([
        'evaluate', '--task', 'sight', '--json',
        '-p', f'engine:={engine}', '-p', 'backend:=canned',
        '--dataset', str(folder), '--dataset', str(tmp_path / 'gone'), '--scenes', '1',
        '--families', 'white noise', 'over-exposure',
    ])  # fmt: skip
    said = capsys.readouterr()
    assert code == 0
    assert 'Skipped: there is no folder' in said.err
    figures = json.loads(said.out)
    assert figures['notes'] == [f'Skipped: there is no folder {tmp_path / "gone"}.']
    assert figures['clean']['road']['clean_refused_share'] == 0.0
    assert figures['false_clear_share_others'] == 0.0  # over-exposure: white
    assert set(figures['families']) == {'white noise', 'over-exposure'}


def test_without_a_data_set_nothing_is_measured_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(['evaluate', '--task', 'sight']) == 0
    assert 'Nothing was measured' in capsys.readouterr().err
    assert main(['evaluate', '--task', 'sight', '--dataset', '/nowhere']) == 1
    assert 'Nothing was measured' in capsys.readouterr().err
