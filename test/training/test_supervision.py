# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from training import supervision  # noqa: E402
from training.data import load  # noqa: E402
from training.mask_quality import MaskQuality  # noqa: E402
from training.people import KINDS, Seen, labels_of, pictures  # noqa: E402
from training.people import people as read_people  # noqa: E402
from training.tags import evidence_for, seeds  # noqa: E402

PENN_FUDAN = Path('../shared/datasets/pennfudan/train')
NOBODY, PERSON, UNKNOWN = 0, 1, 255
PEDESTRIAN, CYCLIST = 9, 10
SIZE_WH = (96, 64)


def street(seed: int = 0) -> Seen:
    """Two red figures and a cyclist on a noisy grey road."""
    people = np.zeros(SIZE_WH[::-1], np.uint8)
    people[10:50, 12 + seed : 26 + seed] = 1
    people[10:50, 26 + seed : 40 + seed] = 2
    people[10:50, 70:85] = UNKNOWN
    image = np.random.default_rng(seed).integers(80, 120, (*people.shape, 3)).astype(np.uint8)
    image[people > 0] = (220, 40, 40)
    return Seen(str(seed), image, people)


def drawn(kind: str, seen: Seen) -> np.ndarray:
    (labels,) = KINDS[kind]([seen])
    return labels


def test_a_mask_says_everything_but_of_cyclists() -> None:
    seen = street()
    labels = drawn('masks', seen)
    assert (labels[(seen.people > 0) & (seen.people < UNKNOWN)] == PERSON).all()
    assert (labels[seen.people == 0] == NOBODY).all()
    assert (labels[seen.people == UNKNOWN] == UNKNOWN).all()


def test_a_filled_box_says_person_of_all_that_is_in_it() -> None:
    labels = drawn('filled_boxes', street())
    assert (labels[10:50, 12:40] == PERSON).all()
    assert (labels[:10] == NOBODY).all()


def test_two_who_touch_have_a_box_each() -> None:
    from training.people import boxes_of

    assert [tuple(box)[:4] for box in boxes_of(street())] == [(12, 10, 26, 50), (26, 10, 40, 50)]


def test_grabcut_says_nobody_only_outside_of_the_boxes() -> None:
    labels = drawn('boxes', street())
    assert not (labels[10:50, 12:40] == NOBODY).any()
    assert (labels[10:50, 12:40] == PERSON).any()


def test_a_click_says_the_middle_of_each_person_and_little_else() -> None:
    seen = street()
    labels = drawn('points', seen)
    assert set(np.unique(seen.people[labels == PERSON])) == {1, 2}
    assert (labels == UNKNOWN).mean() > 0.95
    assert (labels_of(seen)[labels == NOBODY] != PERSON).mean() > 0.9


def test_clicks_on_a_picture_without_people_say_that_nobody_is_there() -> None:
    seen = street()
    empty = Seen('empty', seen.image, np.zeros_like(seen.people))
    assert (drawn('points', empty) == NOBODY).all()


def test_the_evidence_for_somebody_is_where_the_feature_of_people_is() -> None:
    random = np.random.default_rng(0)
    features, is_there = [], []
    for index in range(16):
        one = random.normal(0, 0.1, (4, 6, 8)).astype(np.float32)
        if index % 2:
            one[2, 1:3, 2:4] += 4.0
        features.append(torch.from_numpy(one))
        is_there.append(bool(index % 2))
    evidence = evidence_for(features, is_there)[1]
    labels = seeds(evidence, (60, 80))
    assert (labels[12:28, 22:38] == PERSON).mean() > 0.5
    assert not (labels[40:] == PERSON).any()
    assert (labels[40:] == NOBODY).mean() > 0.5


def test_an_unknown_kind_of_label_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r'no labels .scribbles.*boxes, filled_boxes'):
        next(read_people([], labels='scribbles'))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    folder = Path('town/train')
    folder.mkdir(parents=True)
    for seed in range(6):
        seen = street(seed)
        if seed == 5:
            seen = Seen('5', seen.image, np.zeros_like(seen.people))
        classes = np.full(seen.people.shape, UNKNOWN, np.uint8)
        classes[labels_of(seen) == PERSON] = PEDESTRIAN
        classes[seen.people == UNKNOWN] = CYCLIST
        cv2.imwrite(f'{folder}/a{seed}.png', classes)
        numbers = np.where(seen.people == UNKNOWN, 0, seen.people)
        cv2.imwrite(f'{folder}/a{seed}.instance.png', numbers)
        Path(f'{folder}/a{seed}.png').rename(f'{folder}/a{seed}.label.png')
        cv2.imwrite(f'{folder}/a{seed}.avif', seen.image[..., ::-1])
    town = {'root': 'town/train'}
    tiny = {'kind': 'fast_scnn'}
    return {
        'network_size': list(SIZE_WH),
        'seeds': [1, 2],
        'of': [town, {**town, 'people': 'none'}],
        'crops': {'crop_wh': [64, 32], 'paste_share': 0.0, 'rare_share': 0.0},
        'shared': {
            'classes': [
                {'name': 'nobody', 'colour': [0, 0, 0]},
                {'name': 'person', 'colour': [1, 1, 1], 'roles': ['pedestrian']},
            ],
            'model': tiny, 'batch': 2, 'steps': 2, 'rate': 1e-3, 'encoder_rate': 1.0,
            'decay': 0.0, 'warmup': 1, 'hard_share': 1.0, 'ema': 0.5, 'checkpoint_every': 1,
        },
        'validation': [
            {'name': 'town', 'kind': 'people', 'of': [town], 'long_side': SIZE_WH[0]}
        ],
        'rows': [
            {'name': 'masks', 'labels': 'masks'},
            {'name': 'half', 'labels': 'masks', 'every': 2},
            {'name': 'points', 'labels': 'points'},
        ],
    }  # fmt: skip


def test_one_command_makes_a_row_for_each_kind_of_labels(config: dict[str, Any]) -> None:
    rows = [supervision.measured(row, config) for row in config['rows']]
    text = supervision.report(rows, config)
    masks, half, points = text.splitlines()[-3:]
    assert masks.startswith('| masks | 6 | 100.0, 100.0 |')
    assert half.startswith('| half | 3 |')
    assert '| 100.0, ' in points
    assert 'mean of 2 seeds' in text
    assert 'town (5 pictures)' in text


def test_what_weak_labels_reach_is_a_share_of_what_masks_do(config: dict[str, Any]) -> None:
    quality = MaskQuality(0.5, 0.25)
    found = {'masks': [0.8, 0.6], 'points': [0.35, 0.35]}
    rows = [supervision.Row(name, 6, quality, {'town': iou}) for name, iou in found.items()]
    masks, points = supervision.report(rows, config).splitlines()[-2:]
    assert masks == '| masks | 6 | 50.0, 25.0 | 70.0 ± 10.0 | 100.0 |'
    assert points == '| points | 6 | 50.0, 25.0 | 35.0 ± 0.0 | 50.0 |'
    nothing = [supervision.Row('masks', 6, quality, {'town': [0.0]})]
    assert supervision.report(nothing, config).endswith('| 0.0 |  |')


def test_the_seeds_of_a_row_share_its_labels_and_nothing_else(config: dict[str, Any]) -> None:
    row = config['rows'][2]
    first, second = (supervision.config_of(row, config, seed) for seed in (1, 2))
    assert first['sources'] == second['sources']
    assert first['run'] != second['run']
    assert load(first['sources'][0]).names == load(second['sources'][0]).names


@pytest.mark.skipif(not PENN_FUDAN.is_dir(), reason='Penn-Fudan is not here')
def test_photos_come_with_each_person_numbered() -> None:
    seen = next(pictures(str(PENN_FUDAN), 320, only='Penn'))
    assert max(seen.people.shape) == 320
    assert seen.image.shape[:2] == seen.people.shape
    assert len(np.unique(seen.people)) >= 2
