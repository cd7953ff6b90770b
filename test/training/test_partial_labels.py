# SPDX-License-Identifier: Apache-2.0
"""Data sets that label only some things, and what is learned of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from training import data  # noqa: E402
from training.augment import Augmentation, Sampler  # noqa: E402
from training.classes import LANE, ROAD, ROAD_SCENE, UNLABELLED  # noqa: E402
from training.labelled_set import LabelledSet  # noqa: E402
from training.train import LabelRules, phantoms, pixel_losses  # noqa: E402

PEDESTRIAN, PAVEMENT = ROAD_SCENE.id('pedestrian'), ROAD_SCENE.id('pavement')
ROAD_OR_LANE, NOBODY = ROAD_SCENE.label('road_or_lane'), ROAD_SCENE.label('nobody')


def write(root: Path, name: str, labels: np.ndarray) -> None:
    folder = root / 'train'
    folder.mkdir(parents=True, exist_ok=True)
    image = np.repeat(labels[..., None], 3, axis=-1)
    PIL.Image.fromarray(image).save(folder / f'{name}.avif', quality=95)
    PIL.Image.fromarray(labels).save(folder / f'{name}.label.png')


def street(size_wh: tuple[int, int] = (40, 30)) -> np.ndarray:
    """Unknown above, a painted road below, somebody on it."""
    labels = np.full(size_wh[::-1], UNLABELLED, np.uint8)
    labels[12:] = ROAD
    labels[12:, 10] = LANE
    labels[8:20, 20:26] = PEDESTRIAN
    return labels


def test_lane_markings_stay_and_255_is_unknown(tmp_path: Path) -> None:
    write(tmp_path, 'a', street())
    ((name, image, labels),) = data.labelled(str(tmp_path))
    assert (name, image.shape) == ('a', (30, 40, 3))
    assert (labels == street()).all()
    assert LANE == 11  # which is "unlabelled" in CamVid's files, and only there


def test_a_set_may_have_pictures_of_many_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'set', 'a', street((40, 30)))
    write(tmp_path / 'set', 'b', street((64, 48)))
    row = {'name': 'many', 'kind': 'labelled', 'root': str(tmp_path / 'set')}
    for _ in range(2):  # decoded, and out of the cache
        found = data.load(row)
        assert [labels.shape for labels in found.labels] == [(30, 40), (48, 64)]
        assert (found.labels[1] == street((64, 48))).all()
        assert found.images[1].shape == (48, 64, 3)
        assert found.sizes == '40x30 to 64x48'
    sampler = Sampler(found, Augmentation(crop_wh=(32, 32)), ROAD_SCENE)
    crops = [sampler.draw(np.random.default_rng(0)) for _ in range(8)]
    assert {labels.shape for _, labels in crops} == {(32, 32)}


def test_a_label_that_is_no_class_is_named_with_its_file(tmp_path: Path) -> None:
    wrong = street()
    wrong[0, 0] = 12
    write(tmp_path, 'a', wrong)
    with pytest.raises(ValueError, match=r'a\.label\.png has the label 12'):
        list(data.labelled(str(tmp_path)))


def test_only_the_declared_classes_of_a_partial_set_are_known(tmp_path: Path) -> None:
    write(tmp_path, 'a', street())
    ((_, _, labels),) = data.labelled(str(tmp_path), only=['pedestrian'])
    assert set(np.unique(labels)) == {PEDESTRIAN, UNLABELLED}


def test_road_of_a_set_without_lane_labels_is_road_or_lane(tmp_path: Path) -> None:
    write(tmp_path, 'a', street())
    ((_, _, labels),) = data.labelled(str(tmp_path), merged={'road': 'road_or_lane'})
    assert (labels[street() == ROAD] == ROAD_OR_LANE).all()
    assert (labels[street() == LANE] == LANE).all()


def test_nobody_is_where_every_picture_shows_the_own_bonnet(tmp_path: Path) -> None:
    for seed in range(3):
        labels = street()
        labels[26:] = UNLABELLED  # the bonnet
        labels[22 + seed, 30] = UNLABELLED  # of one picture only
        write(tmp_path, str(seed), labels)
    for _, _, labels in data.labelled(str(tmp_path), own_vehicle='nobody'):
        assert (labels[26:] == NOBODY).all()
        assert not (labels[:26] == NOBODY).any()


def test_around_somebody_cut_out_is_nobody(tmp_path: Path) -> None:
    write(tmp_path, 'a', street())
    around = {'classes': ['pedestrian'], 'px': [2, 4], 'label': 'nobody'}
    ((_, _, labels),) = data.labelled(str(tmp_path), only=['pedestrian'], around=around)
    row = labels[14, 14:20].tolist()
    assert row == [UNLABELLED, UNLABELLED, NOBODY, NOBODY, NOBODY, UNLABELLED]
    assert (labels[street() == PEDESTRIAN] == PEDESTRIAN).all()


def rules(phantom_weight: float = 1.0) -> LabelRules:
    return LabelRules.of(ROAD_SCENE, torch.ones(len(ROAD_SCENE)), phantom_weight)


def logits_of(shares: dict[int, float]) -> torch.Tensor:
    """[1,classes,1,1] of a pixel whose classes have these shares; the rest is spread evenly."""
    rest = (1 - sum(shares.values())) / (len(ROAD_SCENE) - len(shares))
    values = [shares.get(label, rest) for label in range(len(ROAD_SCENE))]
    return torch.tensor(values).log().view(1, -1, 1, 1)


def loss_of(shares: dict[int, float], label: int) -> float:
    return float(pixel_losses(logits_of(shares), torch.tensor([[[label]]]), rules()))


def test_road_or_lane_asks_for_their_sum_alone() -> None:
    for paint in (0.1, 0.5, 0.7):
        assert loss_of({ROAD: 0.8 - paint, LANE: paint}, ROAD_OR_LANE) == pytest.approx(
            -math.log(0.8), abs=1e-5
        )
    assert loss_of({ROAD: 0.3, LANE: 0.5}, ROAD) == pytest.approx(-math.log(0.3), abs=1e-5)


def test_nobody_asks_only_that_no_people_are_seen() -> None:
    assert loss_of({PAVEMENT: 0.9, PEDESTRIAN: 0.0001}, NOBODY) < 0.02
    assert loss_of({PEDESTRIAN: 0.9}, NOBODY) > 2.0


def test_the_unknown_has_no_loss_and_no_gradient() -> None:
    logits = logits_of({PEDESTRIAN: 0.9}).requires_grad_()
    pixel_losses(logits, torch.tensor([[[UNLABELLED]]]), rules()).sum().backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_phantom_is_somebody_seen_where_the_label_says_nobody_is() -> None:
    seen = logits_of({PEDESTRIAN: 0.9})
    expected = {
        ROAD: True, ROAD_OR_LANE: True, NOBODY: True,
        PEDESTRIAN: False, ROAD_SCENE.id('cyclist'): False, UNLABELLED: False,
    }  # fmt: skip
    for label, is_phantom in expected.items():
        assert bool(phantoms(seen, torch.tensor([[[label]]]), rules())) == is_phantom
    assert not bool(phantoms(logits_of({ROAD: 0.9}), torch.tensor([[[PAVEMENT]]]), rules()))


def test_a_bonnet_is_put_at_the_bottom_and_says_only_that_nobody_is_there() -> None:
    labels = np.full((1, 64, 64), ROAD, np.uint8)
    grey = LabelledSet('grey', ('a',), np.full((1, 64, 64, 3), 200, np.uint8), labels)
    augmentation = Augmentation(
        crop_wh=(64, 64), scale=(1.0, 1.0), aspect=(1.0, 1.0), rotation_deg=0.0, colour=0.0,
        paste_share=0.0, bonnet_share=1.0,
    )  # fmt: skip
    sampler = Sampler(grey, augmentation, ROAD_SCENE)
    for seed in range(20):
        image, cropped = sampler.draw(np.random.default_rng(seed))
        assert (cropped[-1] == NOBODY).all()
        assert set(np.unique(cropped)) == {ROAD, NOBODY}
        assert 0 < (cropped == NOBODY).mean() < 0.35
        assert (image[cropped == ROAD] == 200).all()
