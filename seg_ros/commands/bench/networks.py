# SPDX-License-Identifier: Apache-2.0
"""The networks that ``seg_ros bench`` makes for itself: a small engine, a textbook network.

The small engine costs next to nothing, for measuring what is not inference. The textbook network
is an engine's as a tutorial would have exported it, for the textbook node: same layers, same
weights; float NCHW in, normalised by whoever calls it; scores at the size of the input out. What
the engine does inside the graph is cut off at both ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.utils import Extractor

from seg_ros.core.errors import EngineError
from seg_ros.inference.engine import Engine
from seg_ros.inference.onnx.contract import CONFIDENCE, IMAGE, LABEL, LOGITS

__all__ = ['TextbookNetwork', 'write_small_engine', 'write_textbook_network']

SIZE_WH = (160, 88)  # of the small engine, as the next two
STRIDE = 8
CLASSES = ('dark', 'bright')
OPSET = 17

BEFORE_THE_NETWORK = ('Cast', 'Transpose', 'Sub', 'Add', 'Mul', 'Div', 'Identity')
AFTER_THE_NETWORK = ('Cast', 'ArgMax', 'Identity')


def write_small_engine(folder: Path) -> Path:
    """Writes an engine whose labels tell bright places from dark ones; returns its folder."""
    folder.mkdir(parents=True)
    onnx.save(_small_model(), folder / 'model.onnx')
    classes = [
        {'id': index, 'name': name, 'colour': [index * 255] * 3, 'roles': []}
        for index, name in enumerate(CLASSES)
    ]
    spec = {'name': folder.name, 'network_size': list(SIZE_WH), 'classes': classes}
    (folder / 'spec.yaml').write_text(yaml.safe_dump(spec))
    return folder


def _small_model() -> onnx.ModelProto:
    width, height = SIZE_WH
    small_hw = height // STRIDE, width // STRIDE
    weights = np.ones((len(CLASSES), 3, STRIDE, STRIDE), np.float32) / (3 * STRIDE**2 * 255)
    weights[0] *= -1
    grow = {'mode': 'linear', 'coordinate_transformation_mode': 'half_pixel'}
    nodes = [
        helper.make_node('Cast', [IMAGE], ['numbers'], to=TensorProto.FLOAT),
        helper.make_node('Transpose', ['numbers'], ['planes'], perm=[0, 3, 1, 2]),
        helper.make_node('Conv', ['planes', 'weights', 'bias'], [LOGITS], strides=[STRIDE] * 2),
        helper.make_node('Resize', [LOGITS, '', 'scales'], ['large'], **grow),
        helper.make_node('ArgMax', ['large'], ['winner'], axis=1, keepdims=0),
        helper.make_node('Cast', ['winner'], [LABEL], to=TensorProto.UINT8),
        helper.make_node('Softmax', ['large'], ['shares'], axis=1),
        helper.make_node('ReduceMax', ['shares'], ['share'], axes=[1], keepdims=0),
        helper.make_node('Mul', ['share', 'levels'], ['level']),
        helper.make_node('Cast', ['level'], [CONFIDENCE], to=TensorProto.UINT8),
    ]
    constants = {
        'weights': weights,
        'bias': np.array([0.5, -0.5], np.float32),
        'scales': np.array([1, 1, STRIDE, STRIDE], np.float32),
        'levels': np.array(255, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        'small',
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ['N', height, width, 3])],
        [
            helper.make_tensor_value_info(
                LOGITS, TensorProto.FLOAT, ['N', len(CLASSES), *small_hw]
            ),
            helper.make_tensor_value_info(LABEL, TensorProto.UINT8, ['N', height, width]),
            helper.make_tensor_value_info(CONFIDENCE, TensorProto.UINT8, ['N', height, width]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8)


class TextbookNetwork(NamedTuple):
    """An ONNX file and how to normalise for it: ``(rgb / 255 - mean) / std``."""

    onnx_path: Path
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def write_textbook_network(engine: Engine, folder: Path) -> TextbookNetwork:
    """Writes the network to a folder and returns how to use it.

    Raises:
        EngineError: The graph begins or ends in another way than normalise … up-sample, arg-max.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load(engine.onnx_path))
    first = _first_tensor(model, engine)
    scores = _scores(model, engine)
    path = folder / 'textbook.onnx'
    onnx.save(Extractor(model).extract_model([first], [scores]), path)
    offset, span = _normalisation(model, first, engine.network_size_wh)
    mean, std = -offset / span, 1.0 / span
    return TextbookNetwork(path, tuple(mean.tolist()), tuple(std.tolist()))


def _first_tensor(model: onnx.ModelProto, engine: Engine) -> str:
    """Returns the normalised NCHW tensor that the first layer of the network takes."""
    name = IMAGE
    seen = set()
    while True:
        consumers = [node for node in model.graph.node if name in node.input]
        node = next((row for row in consumers if row.op_type in BEFORE_THE_NETWORK), None)
        if node is None:
            break
        seen.add(node.op_type)
        name = node.output[0]
    if 'Transpose' not in seen:
        raise EngineError(
            f'{engine.onnx_path} does not begin with Cast, Transpose and a normalisation, but '
            f"its tensor '{name}' goes into {sorted({row.op_type for row in consumers})}. The "
            'textbook node needs an engine that was exported or wrapped by seg_ros.'
        )
    return name


def _scores(model: onnx.ModelProto, engine: Engine) -> str:
    """Returns the up-sampled scores that the label is the arg-max of."""
    makers = {output: node for node in model.graph.node for output in node.output}
    name = LABEL
    found = False
    while not found and name in makers and makers[name].op_type in AFTER_THE_NETWORK:
        found = makers[name].op_type == 'ArgMax'
        name = makers[name].input[0]
    if not found:
        raise EngineError(
            f"{engine.onnx_path}: '{LABEL}' is not made by ArgMax. The textbook node needs an "
            'engine that was exported or wrapped by seg_ros.'
        )
    return name


def _normalisation(
    model: onnx.ModelProto, first: str, size_wh: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns, per channel, what black becomes and how far white is from it."""
    front = Extractor(model).extract_model([IMAGE], [first])
    session = onnxruntime.InferenceSession(front.SerializeToString())
    width, height = size_wh

    def of(level: int) -> NDArray[np.float64]:
        image = np.full((1, height, width, 3), level, np.uint8)
        (planes,) = session.run(None, {IMAGE: image})
        values: NDArray[np.float64] = planes[0, :, 0, 0].astype(np.float64)
        return values

    black = of(0)
    return black, of(255) - black
