"""What ``seg_ros wrap`` makes of third parties' networks is compiled by TensorRT for RTX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seg_ros.inference.engine import load_engine
from seg_ros.inference.engine_build import BuildOptions, build_plan
from seg_ros.inference.half_precision import half_precision
from seg_ros.inference.plan_check import reference_labels
from seg_ros.inference.tensorrt_api import TensorrtApi
from test.tiny_onnx import seeded_images
from test.tools.test_wrap import IMAGENET, TWINS, Bench, binary_spec, fcn, two_headed, unet

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


@pytest.mark.parametrize('name', NETWORKS)
def test_a_wrapped_network_compiles_and_keeps_its_labels_in_half_precision(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')
    api = TensorrtApi(module, 'tensorrt_rtx')
    make, changes, flags = NETWORKS[name]
    bench = Bench(tmp_path, capsys)
    bench.put(make(), **changes)
    bench.wrap(*flags)
    engine = load_engine(bench.engine)
    for precision in ('fp32', 'fp16'):
        options = BuildOptions(precision, targets=('sm_86', 'sm_89'))
        assert build_plan(api, engine, options).data
    images = seeded_images(2)
    model = engine.onnx_path.read_bytes()
    labels = [reference_labels(data, images) for data in (model, half_precision(model, name))]
    assert (labels[0] == labels[1]).mean() >= 0.995
