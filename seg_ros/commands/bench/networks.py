"""An engine that costs next to nothing, for measuring what is not inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from seg_ros.inference.onnx.contract import CONFIDENCE, IMAGE, LABEL, LOGITS

__all__ = ['write_small_engine']

SIZE_WH = (160, 88)
STRIDE = 8
CLASSES = ('dark', 'bright')
OPSET = 17


def write_small_engine(folder: Path) -> Path:
    """Writes an engine whose labels tell bright places from dark ones; returns its folder."""
    folder.mkdir(parents=True)
    onnx.save(_model(), folder / 'model.onnx')
    classes = [
        {'id': index, 'name': name, 'colour': [index * 255] * 3, 'roles': []}
        for index, name in enumerate(CLASSES)
    ]
    spec = {'name': folder.name, 'network_size': list(SIZE_WH), 'classes': classes}
    (folder / 'spec.yaml').write_text(yaml.safe_dump(spec))
    return folder


def _model() -> onnx.ModelProto:
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
