# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import yaml
from numpy.typing import NDArray
from onnx import helper, numpy_helper

pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from seg_ros.inference.base import InferenceResult
from training import evaluate, quantize
from training.classes import ROAD_SCENE, class_id
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


def test_small_people_are_counted_whom_either_of_two_forms_sees_alone() -> None:
    reference = np.full((2, 360, 640), class_id('road'), np.uint8)
    reference[0, 100:130, 100:112] = reference[1, 100:130, 300:312] = class_id('pedestrian')
    said = reference.copy()
    assert quantize.agreement_on_people(said, reference, ROAD_SCENE) == 1.0
    said[1, 100:130, 300:312] = class_id('road')
    assert quantize.agreement_on_people(said, reference, ROAD_SCENE) == 0.5
    assert quantize.agreement_on_people(reference, said, ROAD_SCENE) == 0.5
    nobody = np.zeros_like(reference)
    assert quantize.agreement_on_people(nobody, nobody, ROAD_SCENE) == 1.0


def test_the_form_with_too_few_of_the_small_people_is_not_chosen() -> None:
    agree = iter([Agreement(1.0, 1.0, 1.0, 0.97), Agreement(1.0, 1.0, 1.0, 0.99)])
    assert quantize.choose(lambda _: None, lambda: next(agree))[0] == LEFT_OUT[1]


def test_what_rounded_weights_shift_is_taken_back_by_the_biases() -> None:
    """Two convolutions, one by channel and without a bias; weights were rounded to quarters."""
    random = np.random.default_rng(5)
    kernels = [random.normal(size=(6, 3, 3, 3)), random.normal(size=(6, 1, 3, 3))]
    plain, rounded = (of_two_convolutions(kernels, quantised=flag) for flag in (False, True))
    images = [random.integers(100, 256, (16, 16, 3)).astype(np.uint8) for _ in range(4)]
    before, wanted = (quantize.channel_means(m, ['b'], images)[0] for m in (rounded, plain))
    quantize.correct_biases(plain, rounded, images)
    after = quantize.channel_means(rounded, ['b'], images)[0]
    assert np.abs(before - wanted).max() > 10 * np.abs(after - wanted).max()


def of_two_convolutions(kernels: list[NDArray[np.float64]], *, quantised: bool) -> onnx.ModelProto:
    """Image -> 'a' -> 'b', without padding, so that means of inputs give those of outputs."""
    nodes = [
        helper.make_node('Cast', ['image'], ['float'], to=onnx.TensorProto.FLOAT),
        helper.make_node('Transpose', ['float'], ['x'], perm=[0, 3, 1, 2]),
    ]
    parts = []
    for kernel, before, name in zip(kernels, ('x', 'a'), ('a', 'b'), strict=True):
        groups = 1 if kernel.shape[1] > 1 else len(kernel)
        weights = f'w{name}'
        bias = np.zeros(len(kernel), np.float32)
        parts.append(numpy_helper.from_array(bias, f'bias{name}'))
        if quantised:
            whole = np.clip(np.round(kernel * 4), -127, 127).astype(np.int8)
            scale = np.full(len(kernel), 0.25, np.float32)
            parts += [
                numpy_helper.from_array(whole, f'q{name}'),
                numpy_helper.from_array(scale, f's{name}'),
            ]
            inputs = [f'q{name}', f's{name}']
            nodes.append(helper.make_node('DequantizeLinear', inputs, [weights], axis=0))
        else:
            parts.append(numpy_helper.from_array(kernel.astype(np.float32), weights))
        inputs = [before, weights, f'bias{name}'][: 3 if groups == 1 else 2]
        nodes.append(helper.make_node('Conv', inputs, [name], name=name, group=groups))
    image = helper.make_tensor_value_info('image', onnx.TensorProto.UINT8, [1, 16, 16, 3])
    end = helper.make_tensor_value_info('b', onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, 'two', [image], [end], parts)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


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
