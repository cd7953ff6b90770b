# SPDX-License-Identifier: Apache-2.0
"""What ``seg_ros wrap`` makes of third parties' networks is compiled by TensorRT for RTX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.onnx.half_precision import half_precision
from seg_ros.inference.onnx.network_size import resized
from seg_ros.inference.reference import check_images, reference_labels
from test.commands.wrap.raw_networks import (
    IMAGENET,
    TWINS,
    Bench,
    binary_spec,
    fcn,
    two_headed,
    unet,
)
from test.inference.tensorrt.compile_rtx import compile_rtx
from test.tiny_onnx import seeded_images

MASK = binary_spec({'class': 'background'}, {'class': 'drivable', 'output': 'mask'})
ONE_OUTPUT = ['--logits', 'label', '--network-size', '64x32']

NETWORKS: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    'plain': (fcn, {}, [*ONE_OUTPUT, *IMAGENET]),
    'opset 11': (lambda: fcn(opset=11), {}, [*ONE_OUTPUT, *IMAGENET]),
    'float16': (lambda: fcn(half=True), {}, [*ONE_OUTPUT, *IMAGENET]),
    'blue first': (fcn, {}, [*ONE_OUTPUT, '--scale', '1/255', '--bgr']),
    'probability': (unet, MASK, ['--softmaxed']),
    'two heads': (two_headed, binary_spec(*TWINS), []),
}


def wrapped(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str], size: str = '64x32'
) -> Engine:
    make, changes, flags = NETWORKS[name]
    folder.mkdir(exist_ok=True)
    bench = Bench(folder, capsys)
    bench.put(make(), **changes)
    bench.wrap(*(size if word == '64x32' else word for word in flags))
    return load_engine(bench.engine)


@pytest.mark.parametrize('name', NETWORKS)
def test_a_wrapped_network_compiles_and_keeps_its_labels_in_half_precision(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = wrapped(name, tmp_path, capsys)
    for precision in ('fp32', 'fp16'):
        compile_rtx(engine, precision)
    images = seeded_images(2)
    model = engine.onnx_path.read_bytes()
    labels = [reference_labels(data, images) for data in (model, half_precision(model, name))]
    assert (labels[0] == labels[1]).mean() >= 0.995


@pytest.mark.parametrize('name', NETWORKS)
def test_a_wrapped_network_at_another_size_is_the_one_that_is_wrapped_at_that_size(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = wrapped(name, tmp_path / 'one', capsys).onnx_path.read_bytes()
    images = check_images((104, 56))
    labels = reference_labels(resized(model, (104, 56), name), images)
    assert labels.shape == (3, 56, 104)
    if ONE_OUTPUT[-1] in NETWORKS[name][2]:  # the others have one size only
        other = wrapped(name, tmp_path / 'other', capsys, '104x56').onnx_path.read_bytes()
        assert (labels == reference_labels(other, images)).mean() >= 0.9999
