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
from seg_ros.commands.evaluate.sight.kept_blindness import KEPT
from seg_ros.commands.evaluate.sight.pictures import clean_pictures
from seg_ros.commands.evaluate.sight.task import _Sample, wilson
from seg_ros.core.stop.config import StopConfig
from test.core.stop.street_pictures import Picture, street
from test.tiny_onnx import COLOURS, write_engine


@pytest.mark.parametrize('name', [*FAMILIES, *KEPT])
def test_a_family_spoils_a_picture_in_every_strength_and_the_same_way_again(name: str) -> None:
    clean = street()
    family = {**FAMILIES, **KEPT}[name]
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


ROAD, PAVEMENT, TREE, CAR, PAINT, UNKNOWN = 3, 4, 5, 8, 11, 255


@pytest.mark.parametrize(
    ('rows', 'is_ground'),
    [
        ({0: TREE, 180: ROAD}, True),
        ({0: TREE, 180: ROAD, 300: PAINT}, True),
        ({0: TREE}, False),  # a hedge
        ({0: TREE, 180: PAVEMENT}, False),
        ({0: UNKNOWN}, True),
        ({0: CAR, 290: ROAD}, True),  # up to who drives ahead
    ],
)
def test_a_road_lies_ahead_where_the_own_labels_of_a_picture_say_nothing_else(
    rows: dict[int, int], is_ground: bool, tmp_path: Path
) -> None:
    labels = np.empty((360, 640), np.uint8)
    for top, label in rows.items():
        labels[top:] = label
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((360, 640, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'a.label.png'), labels)
    (picture,) = clean_pictures(tmp_path)
    assert picture.has_ground_ahead(StopConfig()) is is_ground
    (tmp_path / 'images').mkdir()
    (tmp_path / 'masks').mkdir()
    for name, folder in (('a.png', 'images'), ('a.label.png', 'masks')):
        (tmp_path / name).rename(tmp_path / folder / 'a.png')
    (picture,) = clean_pictures(tmp_path)
    assert picture.has_ground_ahead(StopConfig()) is is_ground


def test_a_picture_that_nobody_labelled_has_a_road_ahead(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((360, 640, 3), np.uint8))
    (picture,) = clean_pictures(tmp_path)
    assert picture.has_ground_ahead(StopConfig())


def test_a_sample_is_drawn_by_its_seed_for_each_strength() -> None:
    assert _Sample(0, 1).of(5, 2, 0) == _Sample(5, 1).of(5, 2, 0) == [0, 1, 2, 3, 4]
    drawn = [_Sample(2, 1).of(5, place, 0) for place in range(20)]
    assert drawn == [_Sample(2, 1).of(5, place, 0) for place in range(20)]
    assert drawn != [_Sample(2, 2).of(5, place, 0) for place in range(20)]
    assert {len(set(numbers)) for numbers in drawn} == {2}
    assert {number for numbers in drawn for number in numbers} == {0, 1, 2, 3, 4}


def test_a_family_that_a_check_was_made_for_is_not_kept() -> None:
    assert not set(FAMILIES) & set(KEPT)
    assert len(KEPT) >= 5


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
        '--families', 'white noise', 'over-exposure', 'striped', '--sample', '1', '--seed', '3',
    ])  # fmt: skip
    said = capsys.readouterr()
    assert code == 0
    assert 'Skipped: there is no folder' in said.err
    figures = json.loads(said.out)
    assert figures['notes'] == [f'Skipped: there is no folder {tmp_path / "gone"}.']
    assert figures['clean']['road']['clean_refused_share'] == 0.0
    assert figures['false_clear_share_others'] == 0.0  # over-exposure: white
    assert figures['false_clear_share_kept'] is not None
    assert figures['streams'] == 9
    assert figures['sample'] == {'count': 1, 'seed': 3}
    assert figures['clean']['road']['of_ground']['pictures'] == 2
    assert set(figures['families']) == {'white noise', 'over-exposure', 'striped'}


def test_without_a_data_set_nothing_is_measured_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(['evaluate', '--task', 'sight']) == 0
    assert 'Nothing was measured' in capsys.readouterr().err
    assert main(['evaluate', '--task', 'sight', '--dataset', '/nowhere']) == 1
    assert 'Nothing was measured' in capsys.readouterr().err
