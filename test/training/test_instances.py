# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from seg_ros.core.blobs import blobs_of  # noqa: E402
from training import models  # noqa: E402
from training.classes import ROAD_SCENE  # noqa: E402
from training.export import INSTANCES, export_onnx  # noqa: E402
from training.instances import compare, learn  # noqa: E402
from training.instances.grouping import Grouping, grouped  # noqa: E402
from training.instances.head import InstanceHead, WithInstances  # noqa: E402
from training.instances.pictures import (  # noqa: E402
    LEAST_PX,
    Picture,
    crowds,
    ground_of,
    numbers_of,
    penn_fudan,
    with_company,
)
from training.instances.quality import PanopticQuality  # noqa: E402

PENN_FUDAN = Path('../shared/datasets/pennfudan/train')
UNKNOWN = 255
SIZE_WH = 160, 96
TINY = {'kind': 'roadseg', 'encoder': 0, 'widths': [16, 16, 24, 32]}


def two_who_touch() -> np.ndarray:
    people = np.zeros(SIZE_WH[::-1], np.uint8)
    people[20:80, 40:60] = 1
    people[24:84, 60:80] = 2
    return people


def told_by(people: np.ndarray) -> np.ndarray:
    """What a perfect head says."""
    targets = learn.targets_of(people)
    return np.concatenate([targets.centre[None], targets.offset])


def told_apart(mask: np.ndarray, told: np.ndarray) -> np.ndarray:
    return grouped(blobs_of(mask.view(np.uint8), 4), told, mask.shape, Grouping())


def test_each_pixel_goes_to_the_person_whose_centre_it_points_at() -> None:
    people = two_who_touch()
    numbers = told_apart(people > 0, told_by(people))
    assert set(np.unique(numbers)) == {0, 1, 2}
    quality = PanopticQuality()
    quality.add(people, numbers)
    assert quality.value > 0.95


def test_people_without_a_centre_are_one_and_nobody_is_none() -> None:
    people = two_who_touch()
    told = np.zeros_like(told_by(people))
    assert set(np.unique(told_apart(people > 0, told))) == {0, 1}
    assert not told_apart(people > 9, told_by(people)).any()


def test_a_centre_where_nobody_is_makes_no_person() -> None:
    people = two_who_touch()
    told = told_by(people)
    assert set(np.unique(told_apart(people == 1, told))) == {0, 1}


def test_people_apart_stay_two_though_only_one_has_a_centre() -> None:
    people = two_who_touch()
    people[:, 58:62] = 0
    told = told_by(people)
    told[0, :, 15:] = 0.0
    assert set(np.unique(told_apart(people > 0, told))) == {0, 1, 2}


def test_a_centre_that_points_elsewhere_is_none() -> None:
    people = two_who_touch()
    told = told_by(people)
    told[0] = np.maximum(told[0], learn.targets_of((people == 0).view(np.uint8)).centre)
    told[0, 7, 11] = 1.0  # near the head of the first, whose centre is six cells below
    assert set(np.unique(told_apart(people > 0, told))) == {0, 1, 2}


def test_two_in_one_are_an_extra_one_and_two_who_are_missed() -> None:
    people = two_who_touch()
    quality = PanopticQuality()
    quality.add(people, (people > 0).astype(np.uint8))
    assert (quality.matched, quality.extra, quality.missed) == (0, 1, 2)
    assert (quality.touching, quality.touching_found) == (2, 0.0)


def test_what_is_seen_where_nothing_is_known_is_not_held_against_it() -> None:
    truth = np.full(SIZE_WH[::-1], UNKNOWN, np.uint8)
    truth[20:80, 40:60] = 7
    seen = np.zeros_like(truth)
    seen[18:84, 38:62] = 1  # reaches into the unknown
    seen[:10, :10] = 2
    quality = PanopticQuality()
    quality.add(truth, seen)
    assert (quality.matched, quality.extra, quality.missed) == (1, 0, 0)
    assert quality.value == 1.0


def test_the_loss_falls_to_nothing_where_the_head_is_right() -> None:
    targets = learn.targets_of(two_who_touch())
    batch = [torch.from_numpy(field)[None] for field in targets]
    right = torch.cat([batch[0][:, None], batch[2]], 1)
    assert float(learn.head_loss(right, batch)) < 1e-9
    assert float(learn.head_loss(right + 0.1, batch)) > 1e-3


def test_the_unknown_teaches_no_centre() -> None:
    people = two_who_touch()
    people[:, 100:] = UNKNOWN
    targets = learn.targets_of(people)
    assert (targets.centre_weight[:, 25:] == 0).all()
    assert (targets.centre_weight[:, :25] > 0).all()
    assert (targets.offset_weight > 0).sum() == (people[2::4, 2::4] % UNKNOWN > 0).sum()


def test_crowds_number_everybody_and_know_their_camera() -> None:
    pictures = list(crowds(2, 70000, SIZE_WH, frames=2))
    assert len(pictures) == 4
    counts = [np.bincount(p.people.ravel(), minlength=256)[numbers_of(p.people)] for p in pictures]
    assert sum(map(len, counts)) >= 2
    assert all((count >= LEAST_PX).all() for count in counts)
    ground = ground_of(pictures[0])
    assert ground is not None
    assert ground.shape_hw == SIZE_WH[::-1]


def test_company_touches_its_host() -> None:
    people = np.full(SIZE_WH[::-1], UNKNOWN, np.uint8)
    people[20:80, 70:90] = 1
    image = np.zeros((*people.shape, 3), np.uint8)
    image[people == 1] = 200
    alone = Picture('alone', image, people)
    together = with_company(alone, [alone], np.random.default_rng(0))
    quality = PanopticQuality()
    quality.add(together.people, together.people % UNKNOWN)
    assert quality.touching == 2
    assert (alone.people == people).all()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two drives, a tiny network that knows nothing, and four steps."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = models.create({'classes': len(ROAD_SCENE), **TINY, 'pretrained': False}).eval()
    export_onnx(network, Path('engine/model.onnx'), SIZE_WH)
    spec = Path(__file__).parents[2] / 'engines/roadseg/spec.yaml'
    text = spec.read_text().replace('[640, 360]', f'[{SIZE_WH[0]}, {SIZE_WH[1]}]', 1)
    Path('engine/spec.yaml').write_text(text)
    crowd = {'kind': 'crowds', 'drives': 2, 'frames': 2}
    return {
        'run': 'tiny', 'engine': 'engine', 'model': TINY, 'network_size': list(SIZE_WH),
        'seed': 1, 'seeds': [1, 2], 'steps': 4, 'batch': 2, 'rate': 1e-3, 'decay': 0.0,
        'train': [
            {**crowd, 'name': 'train', 'first_seed': 70000, 'times': 2, 'scale': [1.0, 1.5]}
        ],
        'select': [{**crowd, 'name': 'select', 'first_seed': 75000, 'drives': 1}],
        'test': [{**crowd, 'name': 'test', 'first_seed': 80000, 'drives': 1}],
    }  # fmt: skip


def test_one_command_trains_the_heads_and_makes_the_tables(config: dict[str, Any]) -> None:
    text = compare.compared(config)
    assert '**test**: 2 pictures' in text
    rows = [line for line in text.splitlines() if line.startswith(('| network', '| exact'))]
    assert [row.split(' | ')[1] for row in rows] == 2 * [
        'nothing (whoever touches is one)', 'blobs (the node)', 'the head',
    ]  # fmt: skip
    assert 'in all' in text
    head = learn.RUNS / 'tiny/head-1.pt'
    made = head.stat().st_mtime_ns
    learn.trained_head(config, 1)
    assert head.stat().st_mtime_ns == made


def test_a_head_that_was_stopped_goes_on_as_if_it_had_not_been(config: dict[str, Any]) -> None:
    whole = learn.trained_head(config, 1).state_dict()
    (learn.RUNS / 'tiny/head-1.pt').unlink()
    learn.trained_head(config, 1, until=2)
    again = learn.trained_head(config, 1).state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_the_head_is_an_optional_output_and_changes_no_label(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip('onnxruntime')
    torch.manual_seed(0)
    network = models.create({'classes': len(ROAD_SCENE), **TINY, 'pretrained': False}).eval()
    whole = WithInstances(network, InstanceHead([24, 16, 16])).eval()
    images = np.random.default_rng(0).integers(0, 255, (1, *SIZE_WH[::-1], 3), np.uint8)
    labels = []
    for name, one in (('without', network), ('with', whole)):
        export_onnx(one, tmp_path / f'{name}.onnx', SIZE_WH)
        session = onnxruntime.InferenceSession(
            str(tmp_path / f'{name}.onnx'), providers=['CPUExecutionProvider']
        )
        names = [output.name for output in session.get_outputs()]
        labels.append(session.run(['label'], {'image': images})[0])
    assert names == ['logits', 'label', 'confidence', INSTANCES]
    (told,) = session.run([INSTANCES], {'image': images})
    assert told.shape == (1, 3, SIZE_WH[1] // 4, SIZE_WH[0] // 4)
    assert (labels[0] == labels[1]).all()


@pytest.mark.skipif(not PENN_FUDAN.is_dir(), reason='Penn-Fudan is not here')
def test_photos_number_their_people_and_say_nothing_of_the_rest() -> None:
    picture = next(penn_fudan(str(PENN_FUDAN), (640, 360), only='Penn', count=1))
    assert picture.people.shape == (360, 640)
    assert len(numbers_of(picture.people)) >= 1
    assert not (picture.people == 0).any()
    assert ground_of(picture) is None


def test_the_head_learns_to_tell_two_apart_from_maps_that_show_them() -> None:
    """From maps in which each person has a colour of its own."""
    torch.manual_seed(0)
    people = two_who_touch()
    head = InstanceHead([3, 3, 3], (16, 16, 16))
    shown = [
        np.stack([(people[s // 2 :: s, s // 2 :: s] == n) for n in (0, 1, 2)]).astype(np.float32)
        for s in (16, 8, 4)
    ]
    maps = [torch.from_numpy(one)[None] for one in shown]
    targets = [torch.from_numpy(field)[None] for field in learn.targets_of(people)]
    optimizer = torch.optim.AdamW(head.parameters(), 1e-2)
    for _ in range(150):
        loss = learn.head_loss(head(maps), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    numbers = told_apart(people > 0, learn.told_of(head, maps))
    quality = PanopticQuality()
    quality.add(people, numbers)
    assert quality.matched == 2
    assert cv2.countNonZero((numbers > 2).astype(np.uint8)) == 0
