# SPDX-License-Identifier: Apache-2.0
"""Networks as third parties export them, and the folder and command that wrap them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from onnx import TensorProto, helper

from seg_ros.cli import main
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
from test.tiny_onnx import CLASSES, constant, model, spec

IMAGENET = ['--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225']
SIZE_WH = (64, 32)


def float_input(
    name: str = 'image', height: int | str = 32, width: int | str = 64, **changes: Any
) -> onnx.ValueInfoProto:
    element = changes.get('element', TensorProto.FLOAT)
    return helper.make_tensor_value_info(
        name, element, [changes.get('batch', 1), changes.get('channels', 3), height, width]
    )


def output(name: str, axes: list[Any], element: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, axes)


def weights(name: str, *shape: int, dtype: type = np.float32) -> onnx.TensorProto:
    random = np.random.default_rng(sum(map(ord, name)))
    return constant(name, random.normal(0.0, 0.5, shape).astype(dtype))


def convolution(inputs: list[str], out: str, stride: int = 1) -> onnx.NodeProto:
    return helper.make_node('Conv', inputs, [out], strides=[stride, stride], pads=[1, 1, 1, 1])


def fcn(opset: int = 17, half: bool = False, **changes: Any) -> onnx.ModelProto:
    """Like an FCN: any size, scores at a quarter of it, an auxiliary head, clashing names."""
    dtype, element = (np.float16, TensorProto.FLOAT16) if half else (np.float32, TensorProto.FLOAT)
    size = {'height': 'height', 'width': 'width', 'batch': 'batch', **changes}
    graph = helper.make_graph(
        [
            convolution(['image', 'w1'], 'features', stride=2),
            helper.make_node('Relu', ['features'], ['confidence']),
            convolution(['confidence', 'w2'], 'label', stride=2),
            convolution(['confidence', 'w3'], 'aux', stride=2),
        ],
        'fcn',
        [float_input(element=element, **size)],
        [
            output('label', ['batch', CLASSES, 'h', 'w'], element),
            output('aux', ['batch', 2, 'h', 'w'], element),
        ],
        [
            weights('w1', 8, 3, 3, 3, dtype=dtype),
            weights('w2', CLASSES, 8, 3, 3, dtype=dtype),
            weights('w3', 2, 8, 3, 3, dtype=dtype),
        ],
    )
    return model(graph, opset)


def unet() -> onnx.ModelProto:
    """Like a binary U-Net: one channel at full size behind a sigmoid."""
    graph = helper.make_graph(
        [
            convolution(['input.1', 'down'], 'small', stride=2),
            helper.make_node(
                'ConvTranspose', ['small', 'up'], ['large'], strides=[2, 2], kernel_shape=[2, 2]
            ),
            helper.make_node('Sigmoid', ['large'], ['mask']),
        ],
        'unet',
        [float_input('input.1')],
        [output('mask', [1, 1, 32, 64])],
        [weights('down', 4, 3, 3, 3), weights('up', 4, 1, 2, 2)],
    )
    return model(graph)


def two_headed(lane_stride: int = 2) -> onnx.ModelProto:
    """Like TwinLiteNet: two yes/no heads of two channels."""
    graph = helper.make_graph(
        [
            convolution(['images', 'stem'], 'features'),
            convolution(['features', 'area'], 'da', stride=2),
            convolution(['features', 'line'], 'll', stride=lane_stride),
        ],
        'twins',
        [float_input('images')],
        [
            output('da', [1, 2, 16, 32]),
            output('ll', [1, 2, 32 // lane_stride, 64 // lane_stride]),
        ],
        [weights('stem', 4, 3, 3, 3), weights('area', 2, 4, 3, 3), weights('line', 2, 4, 3, 3)],
    )
    return model(graph)


class Bench:
    """A folder with a raw network and a spec, and the command that wraps them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.raw = folder / 'raw.onnx'
        self.spec = folder / 'spec.yaml'
        self.engine = folder / 'engines' / 'wrapped'
        self._capsys = capsys

    def put(self, made: onnx.ModelProto, **changes: Any) -> Bench:
        onnx.save(made, self.raw)
        rows = spec(**{'name': None, 'network_size': None, **changes})
        self.spec.write_text(yaml.safe_dump(rows))
        return self

    def wrap(self, *flags: str) -> str:
        """Returns what the command says when it succeeds."""
        assert self.run(*flags) == 0, self._capsys.readouterr().err
        return self._capsys.readouterr().out

    def refuse(self, *flags: str) -> str:
        """Returns what the command says when it fails, having left nothing behind."""
        assert self.run(*flags) == 1
        assert not self.engine.exists()
        assert list(self.engine.parent.glob('.*')) == []
        return ' '.join(self._capsys.readouterr().err.split())

    def run(self, *flags: str) -> int:
        return main(
            ['wrap', str(self.raw), '--spec', str(self.spec), '-o', str(self.engine), *flags]
        )

    def raw_scores(self, planes: Any, name: str) -> Any:
        session = onnxruntime.InferenceSession(self.raw)
        return session.run([name], {session.get_inputs()[0].name: planes})[0]

    def labels(self, images: Any) -> Any:
        backend = create_backend('onnxruntime', load_engine(self.engine), threads=1).backend
        return backend.infer(images).labels.copy()


def binary_spec(*merge: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {'id': 0, 'name': 'background', 'colour': [0, 0, 0], 'roles': ['background']},
        {'id': 1, 'name': 'drivable', 'colour': [0, 255, 0], 'roles': ['drivable']},
        {'id': 2, 'name': 'lane', 'colour': [255, 255, 0], 'roles': ['lane']},
    ]
    named = {row['class'] for row in merge}
    return {
        'classes': [row for row in rows if row['name'] in named],
        'merge': list(merge),
        'normalisation': {'scale': '1/255', 'mean': [0.5, 0.5, 0.5]},
    }


TWINS = (
    {'class': 'background', 'bias': 0.5},
    {'class': 'drivable', 'output': 'da', 'channel': 1, 'minus': 0},
    {'class': 'lane', 'output': 'll', 'channel': 1, 'minus': 0, 'bias': 0.5},
)
