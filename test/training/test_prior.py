# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from training import prior  # noqa: E402
from training.classes import ROAD_SCENE, UNLABELLED, ClassRow, ClassTable  # noqa: E402
from training.evaluate import OnnxLabels  # noqa: E402
from training.export import export_onnx, write_spec  # noqa: E402
from training.labelled_set import LabelledSet  # noqa: E402
from training.models import create  # noqa: E402
from training.prior import Answers, Goodness, find_offsets, no_worse, unseen_and_seen  # noqa: E402

FLOOR, CRATE, PERSON = 0, 1, 2
CLASSES = ClassTable(
    (
        ClassRow('floor', (90, 90, 90)),
        ClassRow('crate', (200, 120, 20)),
        ClassRow('person', (220, 20, 60), ('pedestrian',)),
    )
)


def answers(shift: float) -> Answers:
    """Of a network that is unsure and gives the crate a score that is `shift` too high."""
    random = np.random.default_rng(3)
    labels = np.full((6, 96, 128), FLOOR, np.uint8)
    labels[:, 40:80, 30:90] = CRATE
    labels[:, :8] = UNLABELLED
    small = labels[:, 2::4, 2::4]
    logits = random.normal(0, 0.6, (6, 3, *small.shape[1:])).astype(np.float16)
    for label in (FLOOR, CRATE):
        logits[:, label][small == label] += 1.0
    logits[:, CRATE] += shift
    logits[:, PERSON] -= 4.0
    names = tuple('abcdef')
    return Answers(LabelledSet('halls', names, labels, labels), list(logits), (128, 96))


def test_a_class_whose_score_is_too_high_is_lowered_by_about_as_much() -> None:
    goodness = Goodness([answers(1.2)], CLASSES, slice(None))
    offsets = find_offsets(goodness, goodness.groups)
    assert offsets[CRATE] - offsets[FLOOR] == pytest.approx(-1.2, abs=0.35)
    assert goodness(offsets) > goodness(np.zeros(3, np.float32)) + 0.05
    assert goodness(offsets) == pytest.approx(
        Goodness([answers(0.0)], CLASSES, slice(None))(np.zeros(3, np.float32)), abs=0.02
    )


def test_the_sampled_pixels_tell_what_the_whole_pictures_tell() -> None:
    whole = answers(0.5).figures(np.zeros(3, np.float32), CLASSES)
    sampled = Goodness([answers(0.5)], CLASSES, slice(None))(np.zeros(3, np.float32))
    assert sampled == pytest.approx(whole['miou'], abs=0.02)


def test_a_step_that_is_not_allowed_is_not_taken() -> None:
    goodness = Goodness([answers(1.2)], CLASSES, slice(None))
    held = find_offsets(goodness, goodness.groups, lambda offsets: bool(offsets[CRATE] >= 0))
    assert held[CRATE] >= held[FLOOR] - 1e-6 or held[FLOOR] > 0
    assert not find_offsets(goodness, goodness.groups, lambda _: False).any()


def test_what_was_trained_on_may_not_fall() -> None:
    goodness = Goodness([answers(1.2)], CLASSES, slice(None))
    zero = np.zeros(3, np.float32)
    other_way = Goodness([answers(-0.6)], CLASSES, slice(None))
    allowed = prior.guard([answers(1.2)], [other_way], CLASSES)
    held = find_offsets(goodness, goodness.groups, allowed)
    assert other_way(held) >= other_way(zero)
    assert goodness(held) < goodness(find_offsets(goodness, goodness.groups)) - 0.05
    same_way = Goodness([answers(1.0)], CLASSES, slice(None))
    allowed = prior.guard([answers(1.2)], [same_way], CLASSES)
    assert goodness(find_offsets(goodness, goodness.groups, allowed)) > goodness(zero) + 0.05


def test_lane_markings_that_no_set_labels_move_with_the_road() -> None:
    labels = np.full((1, 8, 8), ROAD_SCENE.id('road'), np.uint8)
    logits = [np.zeros((len(ROAD_SCENE), 4, 4), np.float16)]
    data = LabelledSet('roads', ('a',), labels, labels)
    groups = Goodness([Answers(data, logits, (8, 8))], ROAD_SCENE, slice(None)).groups
    assert [ROAD_SCENE.id('road'), ROAD_SCENE.id('lane_marking')] in groups
    assert sum(len(group) for group in groups) == len(ROAD_SCENE)


@pytest.mark.parametrize(
    ('figures', 'fine'),
    [
        ({'phantoms_per_picture': 0.4, 'people_found': {'near': 0.8}}, True),
        ({'phantoms_per_picture': 0.6, 'people_found': {'near': 0.9}}, False),
        ({'phantoms_per_picture': 0.4, 'people_found': {'near': 0.7}}, False),
    ],
)
def test_neither_a_phantom_more_nor_somebody_less_is_the_price(
    figures: dict[str, object], fine: bool
) -> None:
    than = {'phantoms_per_picture': 0.5, 'people_found': {'near': 0.8}}
    assert no_worse(figures, than) is fine


def test_a_set_that_was_trained_on_says_nothing_of_the_scores() -> None:
    seen = {'name': 'a-val', 'kind': 'camvid', 'root': 'a', 'splits': ['val']}
    other = {'name': 'b-val', 'kind': 'labelled', 'root': 'b', 'split': 'val'}
    sources = [{**seen, 'share': 1.0}, {'name': 'b', 'kind': 'labelled', 'root': 'b'}]
    rows = unseen_and_seen({'sources': sources, 'validation': [seen, other]})
    assert rows == ([other], [seen])
    with pytest.raises(ValueError, match='trained on'):
        unseen_and_seen({'sources': sources, 'validation': seen})


def test_written_offsets_are_in_the_network_and_told_by_its_spec(tmp_path: Path) -> None:
    network = create({'kind': 'fast_scnn', 'classes': 3}).eval()
    export_onnx(network, tmp_path / 'model.onnx', (64, 48))
    rows = [{'name': row.name, 'colour': row.colour} for row in CLASSES.rows]
    write_spec(tmp_path, 'halls', (64, 48), {'classes': rows, 'sources': [], 'step': 0})
    shutil.copy(tmp_path / 'model.onnx', tmp_path / 'model.int8.onnx')
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    before = OnnxLabels(tmp_path / 'model.onnx').logits(image)

    offsets = np.array([0.0, -0.5, 0.25], np.float32)
    for _ in range(2):
        prior.write(tmp_path, offsets, CLASSES.names, ['halls'])

    for form in ('model.onnx', 'model.int8.onnx'):
        after = OnnxLabels(tmp_path / form).logits(image)
        np.testing.assert_allclose(after, before + 2 * offsets[:, None, None], atol=1e-4)
    told = yaml.safe_load((tmp_path / 'spec.yaml').read_text())['training']['offsets']
    assert told == {'nats': {'crate': -1.0, 'person': 0.5}, 'found_on': ['halls']}


def test_a_network_without_a_bias_at_its_end_is_refused() -> None:
    node = onnx.helper.make_node('Relu', ['image'], ['logits'])
    value = onnx.helper.make_tensor_value_info('logits', onnx.TensorProto.FLOAT, [1, 3, 4, 4])
    graph = onnx.helper.make_graph([node], 'g', [], [value])
    with pytest.raises(ValueError, match='Relu'):
        prior.add_to_bias(onnx.helper.make_model(graph), np.zeros(3, np.float32))


def test_offsets_of_another_search_are_taken_as_given_and_a_misspelt_class_is_refused() -> None:
    offsets = prior.given_offsets(['pole=0.5', 'road=-0.25'], ROAD_SCENE.names)
    assert {name: v for name, v in zip(ROAD_SCENE.names, offsets, strict=True) if v} == {
        'pole': 0.5,
        'road': -0.25,
    }
    with pytest.raises(ValueError, match="no class 'poles', but sky, building"):
        prior.given_offsets(['poles=1'], ROAD_SCENE.names)
