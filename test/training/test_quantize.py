# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from onnx import helper

pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from seg_ros.inference.base import InferenceResult
from training import evaluate, quantize
from training.quantize import LEFT_OUT, Agreement, LeftOut


@pytest.mark.parametrize(
    ('sure', 'seeded', 'chosen', 'made'),
    [
        ([0.98] + [0.998] * 5, [1.0] * 6, 1, [0, 1]),  # the least that is good enough
        ([0.998] * 6, [0.97, 0.98, 0.995] + [1.0] * 3, 2, [0, 1, 2]),  # on both kinds of pictures
        # none is: the best, made again
        ([0.90, 0.93, 0.97, 0.99, 0.98, 0.98], [1.0] * 6, 3, [0, 1, 2, 3, 4, 5, 3]),
    ],
)
def test_as_little_stays_in_floating_point_as_agrees(
    sure: list[float], seeded: list[float], chosen: int, made: list[int]
) -> None:
    written: list[LeftOut] = []

    def agreement() -> Agreement:
        index = LEFT_OUT.index(written[-1])
        return Agreement(sure[index], 0.5, seeded[index])

    found, tried = quantize.choose(written.append, agreement)
    assert found == LEFT_OUT[chosen]
    assert written == [LEFT_OUT[index] for index in made]
    assert len(tried) == len(dict.fromkeys(made))


def test_what_is_left_out_is_named_at_both_ends_and_by_channel() -> None:
    nodes = [
        helper.make_node('Conv', ['x', 'w'], ['y'], name=str(i), group=8 if i == 2 else 1)
        for i in range(5)
    ]
    assert LeftOut(1, 1, depthwise=False).of(nodes) == ['0', '4']
    assert sorted({*LeftOut(1, 1, depthwise=True).of(nodes)}) == ['0', '2', '4']
    assert LeftOut(0, 0, depthwise=False).of(nodes) == []


def test_pixels_that_fp32_is_unsure_of_do_not_count_as_sure() -> None:
    reference = InferenceResult(
        np.array([[[0, 1, 1, 2]]], np.uint8), np.array([[[250, 250, 90, 90]]], np.uint8)
    )
    said = InferenceResult(np.array([[[0, 1, 2, 2]]], np.uint8), None)
    assert quantize.agreement_of(said, reference) == Agreement(1.0, 0.75)


def test_every_source_calibrates_by_its_share_and_one_picture_at_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = []
    for name, value, share in (('many', 10, 3.0), ('some', 100, 1.0), ('few', 200, 0.001)):
        for part in ('images', 'masks'):
            (tmp_path / name / part).mkdir(parents=True)
            for index in range(6):
                picture = np.full((24, 32, 3) if part == 'images' else (24, 32), value, np.uint8)
                cv2.imwrite(str(tmp_path / name / part / f'{index}.png'), picture)
        rows.append(
            {'name': name, 'kind': 'folder', 'images': str(tmp_path / name / 'images'),
             'masks': str(tmp_path / name / 'masks'), 'size_wh': [32, 24], 'share': share}
        )  # fmt: skip
    images = quantize.calibration_images({'sources': rows}, (16, 16), 8)
    values = [int(image[0, 0, 0]) for image in images]
    assert values == [10] * 6 + [100] * 2 + [200]
    assert images[0].shape == (16, 16, 3)


def test_measuring_one_way_anew_keeps_the_rows_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {'images': 1, 'miou': 0.5, 'pixel_accuracy': 0.5, 'iou': {'floor': 0.5}}
    row['network_size'] = [16, 16]
    spec = {
        'name': 'tiny', 'description': 'A toy.', 'network_size': [16, 16],
        'classes': [{'id': 0, 'name': 'floor'}],
        'training': {'pretraining': 'none', 'steps': 1, 'data': ['a']},
        'metrics': {'halls': row, 'halls int8': {**row, 'miou': 0.1}},
    }  # fmt: skip
    (tmp_path / 'spec.yaml').write_text(yaml.safe_dump(spec))
    config = {'batch': 1, 'seed': 1, 'sources': [], 'evaluation': [{'name': 'halls'}]}
    (tmp_path / 'c.yaml').write_text(yaml.safe_dump(config))

    class Way:
        size_wh = (16, 16)
        infer_s = [0.01]  # noqa: RUF012

    ways = [('', Way()), (' int8', Way()), (' openvino int8', Way())]
    monkeypatch.setattr(evaluate, 'ways_through', lambda *_: iter(ways))
    monkeypatch.setattr(evaluate, 'load', lambda _: None)
    monkeypatch.setattr(evaluate, 'evaluate', measured(Way, {**row, 'miou': 0.4}))
    arguments = [str(tmp_path), '--config', str(tmp_path / 'c.yaml'), '--write', '--only', 'int8']
    monkeypatch.setattr('sys.argv', ['evaluate', *arguments])
    evaluate.main()
    told = yaml.safe_load((tmp_path / 'spec.yaml').read_text())['metrics']
    assert {name: figures['miou'] for name, figures in told.items()} == {
        'halls': 0.5,
        'halls int8': 0.4,
    }


def measured(way: type, row: dict[str, object]) -> object:
    def evaluate_it(*_: object, **__: object) -> dict[str, object]:
        way.infer_s.append(0.01)
        return dict(row)

    return evaluate_it
