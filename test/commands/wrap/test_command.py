# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper

from seg_ros.core.image.upsample import Upsampler
from seg_ros.inference.onnx import raw_network
from test.commands.wrap.raw_networks import (
    IMAGENET,
    SIZE_WH,
    TWINS,
    Bench,
    binary_spec,
    fcn,
    float_input,
    output,
    two_headed,
    unet,
)
from test.tiny_onnx import seeded_images


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, capsys)


def centred(images: Any) -> Any:
    """Returns what the networks of ``binary_spec`` take."""
    return (images / 255.0 - 0.5).transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize('opset', [12, 17, 18, 21])
def test_a_network_of_any_size_becomes_an_engine_of_the_size_that_is_asked(
    bench: Bench, opset: int
) -> None:
    bench.put(fcn(opset))
    said = bench.wrap('--logits', 'label', '--network-size', '64x32', *IMAGENET)
    assert '5 classes at 64x32; raw and wrapped network agree' in said

    images = seeded_images(2)
    planes = (images / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    scores = bench.raw_scores(planes.transpose(0, 3, 1, 2).astype(np.float32), 'label')
    upsampler = Upsampler(scores.shape[1:], SIZE_WH)
    expected = np.stack([upsampler.labels(row) for row in scores])
    assert len(np.unique(expected)) >= 4
    assert (bench.labels(images) == expected).mean() > 0.999


def test_the_spec_keeps_what_it_said_and_gains_what_was_decided(bench: Bench) -> None:
    bench.put(fcn(), training={'data': 'theirs'})
    bench.wrap('--logits', 'label', '--network-size', '64x32', *IMAGENET, '--bgr')
    made = yaml.safe_load((bench.engine / 'spec.yaml').read_text())
    assert made['name'] == 'wrapped'
    assert made['network_size'] == [64, 32]
    assert made['training'] == {'data': 'theirs'}
    assert made['normalisation'] == {
        'scale': 1 / 255,
        'mean': [0.485, 0.456, 0.406],
        'std': [0.229, 0.224, 0.225],
        'channel_order': 'bgr',
    }
    assert bench.engine.stat().st_mode & 0o777 == 0o755


def test_a_network_that_takes_blue_first_gets_blue_first_and_its_own_mean(bench: Bench) -> None:
    bench.put(fcn())
    caffe = ['--scale', '1', '--mean', '123,117,104', '--std', '60,61,62', '--bgr']
    bench.wrap('--logits', 'label', '--network-size', '64x32', *caffe)
    images = seeded_images()
    planes = ((images - [123.0, 117.0, 104.0]) / [60.0, 61.0, 62.0])[..., ::-1]
    scores = bench.raw_scores(planes.transpose(0, 3, 1, 2).astype(np.float32), 'label')
    expected = Upsampler(scores.shape[1:], SIZE_WH).labels(scores[0])
    assert (bench.labels(images)[0] == expected).mean() > 0.999


def test_a_float16_network_is_wrapped_and_gives_float32_logits(bench: Bench) -> None:
    bench.put(fcn(half=True))
    bench.wrap('--logits', 'label', '--network-size', '64x32', *IMAGENET)
    (logits, _, _) = onnx.load(bench.engine / 'model.onnx').graph.output
    assert logits.type.tensor_type.elem_type == TensorProto.FLOAT


def one_channel(tail: str = '') -> onnx.ModelProto:
    """Like a binary network without, or with, its sigmoid."""
    made = unet()
    if not tail:
        made.graph.node.pop()
        made.graph.node[-1].output[0] = 'mask'
    return made


@pytest.mark.parametrize('tail', ['', 'Sigmoid'])
def test_one_channel_for_one_class_is_refused_and_merge_is_named(bench: Bench, tail: str) -> None:
    """Its arg-max would be class 0 with confidence 255, whatever the picture shows."""
    road = {'id': 0, 'name': 'road', 'colour': [0, 255, 0], 'roles': ['drivable']}
    bench.put(one_channel(tail), classes=[road])
    for flags in ([], ['--softmaxed']):
        said = bench.refuse('--scale', '1/255', *flags)
        assert "output 'mask' has one channel" in said
        assert 'merge: [{class: NO}, {class: YES, output: mask, channel: 0}]' in said


def with_softmax() -> onnx.ModelProto:
    made = fcn()
    made.graph.node[2].output[0] = 'scores'
    made.graph.node.append(helper.make_node('Softmax', ['scores'], ['label'], axis=1))
    return made


FCN_FLAGS = ['--logits', 'label', '--network-size', '64x32', *IMAGENET]


def test_a_softmax_that_is_in_the_network_already_is_noticed(bench: Bench) -> None:
    bench.put(with_softmax())
    assert 'Add --softmaxed' in bench.refuse(*FCN_FLAGS)
    bench.wrap(*FCN_FLAGS, '--softmaxed')


def test_a_sigmoid_that_is_in_the_network_already_is_noticed(bench: Bench) -> None:
    bench.put(
        unet(), **binary_spec({'class': 'background'}, {'class': 'drivable', 'output': 'mask'})
    )
    assert 'Add --softmaxed' in bench.refuse()


def with_sigmoids() -> onnx.ModelProto:
    """Like a network of labels that do not exclude each other."""
    made = with_softmax()
    made.graph.node[-1].op_type = 'Sigmoid'
    del made.graph.node[-1].attribute[:]
    return made


@pytest.mark.parametrize('flags', [[], ['--softmaxed']])
def test_a_sigmoid_for_each_of_several_channels_is_refused(bench: Bench, flags: list[str]) -> None:
    bench.put(with_sigmoids())
    said = bench.refuse(*FCN_FLAGS, *flags)
    assert "Output 'label' of " in said
    assert 'Export the network before its sigmoid' in said


@pytest.mark.parametrize(('flags', 'advice'), [([], 'all behind it'), (['--softmaxed'], 'out.')])
def test_one_output_of_probabilities_beside_one_of_logits_is_refused(
    bench: Bench, flags: list[str], advice: str
) -> None:
    """The softmax that the logits need would halve the confidence of the other."""
    made = two_headed()
    made.graph.node[1].output[0] = 'da_logits'
    made.graph.node.append(helper.make_node('Softmax', ['da_logits'], ['da'], axis=1))
    bench.put(made, **binary_spec(*TWINS))
    assert advice in bench.refuse(*flags)


def test_logits_that_are_called_probabilities_are_noticed(bench: Bench) -> None:
    bench.put(fcn())
    assert 'Leave it out' in bench.refuse(*FCN_FLAGS, '--softmaxed')


def test_weights_beside_the_raw_network_are_found_wherever_one_stands(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(fcn())
    onnx.save(fcn(), bench.raw, save_as_external_data=True, location='w.bin', size_threshold=0)
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    bench.wrap(*FCN_FLAGS)
    assert sorted(path.name for path in bench.engine.iterdir()) == ['model.onnx', 'spec.yaml']


def test_weights_outside_of_the_folder_of_the_raw_network_are_not_read(
    bench: Bench, tmp_path: Path
) -> None:
    bench.put(fcn())
    made = fcn()
    (tmp_path / 'raw').mkdir()
    bench.raw = tmp_path / 'raw' / 'raw.onnx'
    onnx.save(made, bench.raw, save_as_external_data=True, location='w.bin', size_threshold=0)
    apart = onnx.load(bench.raw, load_external_data=False)
    for tensor in apart.graph.initializer:
        tensor.external_data[0].value = '../w.bin'
    bench.raw.write_bytes(apart.SerializeToString())
    (bench.raw.parent / 'w.bin').rename(tmp_path / 'w.bin')
    assert 'outside of its folder' in bench.refuse(*FCN_FLAGS)


def test_what_no_output_needs_is_left_out(bench: Bench) -> None:
    bench.put(fcn())
    bench.wrap('--logits', 'label', '--network-size', '64x32', *IMAGENET)
    nodes = onnx.load(bench.engine / 'model.onnx').graph.node
    names = [name for node in nodes for name in node.output]
    assert 'network/label' in names
    assert 'network/aux' not in names


def test_a_sigmoid_with_one_channel_becomes_a_class_beside_the_background(bench: Bench) -> None:
    bench.put(
        unet(), **binary_spec({'class': 'background'}, {'class': 'drivable', 'output': 'mask'})
    )
    bench.wrap('--softmaxed')
    images = seeded_images()
    mask = bench.raw_scores(centred(images), 'mask')
    assert 0.1 < (mask > 0.5).mean() < 0.9
    assert (bench.labels(images)[0] == (mask[0, 0] > 0.5)).mean() > 0.999


def test_two_heads_become_one_label_image(bench: Bench) -> None:
    bench.put(two_headed(), **binary_spec(*TWINS))
    bench.wrap()
    images = seeded_images()
    planes = centred(images)
    area, line = (bench.raw_scores(planes, name)[0] for name in ('da', 'll'))
    scores = np.stack([np.full_like(area[0], 0.5), area[1] - area[0], line[1] - line[0] + 0.5])
    expected = Upsampler(scores.shape, SIZE_WH).labels(scores)
    assert len(np.unique(expected)) == 3
    assert (bench.labels(images)[0] == expected).mean() > 0.999


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (
            ['--network-size', '64x32', *IMAGENET],
            'Choose the one with the class scores with --logits',
        ),
        (['--logits', 'label', *IMAGENET], 'takes any size .* --network-size 640x360'),
        (['--logits', 'label', '--network-size', '64x32'], 'Nothing says what the network wants'),
        (['--logits', 'label', '--network-size', '64x32', '--bgr'], 'without a normalisation'),
        (
            ['--logits', 'out', '--network-size', '64x32', *IMAGENET],
            "no output 'out'. Its outputs",
        ),
        (
            ['--logits', 'aux', '--network-size', '64x32', *IMAGENET],
            'names 5 classes, .* 2 channels',
        ),
        (['--network-size', '64'], "network size is '64'"),
        (['--mean', '123,117,104'], 'looks like one of bytes.*add scale 1'),
        (['--mean', '0.5,0.5'], 'not three numbers'),
        (['--scale', 'x'], 'Invalid literal for Fraction'),
        (['--scale', '1/0'], 'the normalisation is'),
        (['--scale', '0'], 'both must be above 0'),
    ],
)
def test_a_command_that_cannot_work_is_refused_with_what_to_do(
    bench: Bench, flags: list[str], message: str
) -> None:
    assert re.search(message, bench.put(fcn()).refuse(*flags))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'merge': [{'class': 'road', 'outptu': 'da'}]}, 'a row of merge is'),
        ({'merge': [{'class': 'kerb'}]}, "no class 'kerb'"),
        (binary_spec(TWINS[0], TWINS[1], TWINS[1]), "two rows for class 'drivable'"),
        ({**binary_spec(*TWINS), 'merge': list(TWINS[:2])}, "no row for class 'lane'"),
        (
            binary_spec(TWINS[0], {'class': 'drivable', 'output': 'da', 'channel': 2}),
            "channel 2 of 'da', which has the channels 0 to 1",
        ),
        (
            binary_spec(TWINS[0], {'class': 'drivable', 'output': 'da', 'channel': 'one'}),
            'channels are whole numbers',
        ),
        (binary_spec(TWINS[0], {'class': 'drivable', 'output': 'area'}), "no output 'area'"),
        (
            {**binary_spec(*TWINS), 'normalisation': {'scale': 1, 'meen': 1}},
            "there is no 'meen'",
        ),
        (
            {**binary_spec(*TWINS), 'normalisation': {'scale': 1, 'channel_order': 'gbr'}},
            'neither rgb nor bgr',
        ),
        ({**binary_spec(*TWINS), 'network_size': [32, 32]}, 'says 32x32, the network says 64x32'),
    ],
)
def test_a_spec_that_does_not_fit_the_network_is_refused(
    bench: Bench, changes: dict[str, Any], message: str
) -> None:
    assert message in bench.put(two_headed(), **changes).refuse()


def test_heads_of_different_sizes_are_refused(bench: Bench) -> None:
    bench.put(two_headed(lane_stride=1), **binary_spec(*TWINS))
    assert 'different sizes (width x height): da 32x16, ll 64x32' in bench.refuse()


def test_a_normalisation_that_is_given_twice_is_refused(bench: Bench) -> None:
    bench.put(two_headed(), **binary_spec(*TWINS))
    assert 'given twice' in bench.refuse('--scale', '1/255')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'batch': 4}, 'whose batch size is 4'),
        (
            {'channels': 1},
            "has the input 'image: float32 [1, 1, 32, 64]', expected is float32 [N, 3",
        ),
        ({'element': TensorProto.UINT8}, "'image: uint8 [1, 3, 32, 64]'"),
    ],
)
def test_an_input_of_another_kind_is_refused(
    bench: Bench, changes: dict[str, Any], message: str
) -> None:
    made = two_headed()
    made.graph.input[0].CopyFrom(float_input(**changes))
    assert message in bench.put(made, **binary_spec(*TWINS)).refuse()


def test_a_network_that_ends_in_labels_is_refused(bench: Bench) -> None:
    made = fcn()
    made.graph.node.append(helper.make_node('ArgMax', ['label'], ['ids'], axis=1))
    made.graph.output.append(output('ids', ['batch', 1, 'h', 'w'], TensorProto.INT64))
    said = bench.put(made).refuse('--logits', 'ids', '--network-size', '64x32', *IMAGENET)
    assert "output 'ids' is int64 [2, 1, 8, 16]" in said
    assert 'Export the network before its arg-max' in said


def test_a_random_network_disagrees_with_itself_and_is_refused(bench: Bench) -> None:
    made = fcn()
    made.graph.node[-2].input[0] = 'noisy'
    made.graph.node.insert(
        2, helper.make_node('RandomNormalLike', ['confidence'], ['noise'], scale=0.1)
    )
    made.graph.node.insert(3, helper.make_node('Add', ['confidence', 'noise'], ['noisy']))
    said = bench.put(made).refuse('--logits', 'label', '--network-size', '64x32', *IMAGENET)
    assert 'disagree: the logits differ by up to' in said
    assert 'export it again in evaluation mode' in said


def test_a_wrong_wrapping_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the comparison fails when the graph forgets the mean."""
    normalise = raw_network.Normalisation.gain_and_offset
    monkeypatch.setattr(
        raw_network.Normalisation,
        'gain_and_offset',
        lambda self: (normalise(self)[0], np.zeros((1, 3, 1, 1), np.float32)),
    )
    said = bench.put(fcn()).refuse('--logits', 'label', '--network-size', '64x32', *IMAGENET)
    assert 'disagree' in said


def test_a_file_that_is_missing_or_no_network_is_refused(bench: Bench) -> None:
    bench.put(fcn())
    bench.raw.write_bytes(bench.raw.read_bytes()[:-1])
    assert 'not a whole ONNX model' in bench.refuse(*IMAGENET)
    bench.raw.unlink()
    assert 'Cannot read' in bench.refuse(*IMAGENET)


def test_a_folder_that_is_there_is_never_overwritten(bench: Bench) -> None:
    bench.put(two_headed(), **binary_spec(*TWINS)).wrap()
    before = (bench.engine / 'model.onnx').read_bytes()
    assert bench.run() == 1
    assert (bench.engine / 'model.onnx').read_bytes() == before
