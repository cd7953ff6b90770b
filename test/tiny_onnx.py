# SPDX-License-Identifier: Apache-2.0
"""Makes tiny networks, with and without the engine contract, and engine folders around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE_WH = (64, 32)
CLASSES = 5
STRIDE = 4

COLOURS = [[70, 130, 180], [128, 64, 128], [244, 35, 232], [220, 20, 60], [0, 0, 142]]
ROLES = [['sky'], ['drivable'], ['walkable'], ['pedestrian', 'obstacle'], ['vehicle']]
NAMES = ['sky', 'road', 'pavement', 'pedestrian', 'vehicle']


def spec(**changes: Any) -> dict[str, Any]:
    """Returns a right spec; keywords replace its entries, None removes one."""
    made = {
        'name': 'tiny',
        'description': 'A network for tests.',
        'network_size': list(SIZE_WH),
        'classes': [
            {'id': index, 'name': NAMES[index], 'colour': COLOURS[index], 'roles': ROLES[index]}
            for index in range(CLASSES)
        ],
        'unlabelled': 255,
        'training': {'data': 'none'},
        'metrics': {'pixel_accuracy': 0.5},
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


def network(
    size_wh: tuple[int, int] = SIZE_WH,
    classes: int = CLASSES,
    batch: str | int = 'N',
    half: str = '',
    seed: int = 0,
) -> onnx.ModelProto:
    """Returns a network that keeps the contract.

    Args:
        size_wh: Network size.
        classes: Channels of the logits.
        batch: Batch size, or a name where it is open.
        half: 'weights' stores them in float16 and computes in float32; 'all' computes in float16.
        seed: Of the random weights.
    """
    width, height = size_wh
    small = [batch, classes, height // STRIDE, width // STRIDE]
    random = np.random.default_rng(seed)
    weights = {
        'w1': random.normal(0.0, 0.3, (8, 3, 3, 3)),
        'w2': random.normal(0.0, 0.3, (classes, 8, 3, 3)),
        'middle': np.array(128.0),
        'scale': np.array(1 / 64.0),
    }
    dtype = np.float16 if half else np.float32
    compute = TensorProto.FLOAT16 if half == 'all' else TensorProto.FLOAT
    initializers = [
        constant(f'{name}_stored' if half == 'weights' else name, value.astype(dtype))
        for name, value in weights.items()
    ]
    widen = [
        helper.make_node('Cast', [f'{name}_stored'], [name], to=TensorProto.FLOAT)
        for name in weights
        if half == 'weights'
    ]
    nodes = [
        *widen,
        helper.make_node('Cast', ['image'], ['numbers'], to=compute),
        helper.make_node('Sub', ['numbers', 'middle'], ['centred']),
        helper.make_node('Mul', ['centred', 'scale'], ['scaled']),
        helper.make_node('Transpose', ['scaled'], ['planes'], perm=[0, 3, 1, 2]),
        helper.make_node('Conv', ['planes', 'w1'], ['c1'], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node('Relu', ['c1'], ['r1']),
        helper.make_node('Conv', ['r1', 'w2'], ['scores'], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node('Cast', ['scores'], ['logits'], to=TensorProto.FLOAT),
        *label_nodes(),
    ]
    initializers += [
        constant('scales', np.array([1, 1, STRIDE, STRIDE], np.float32)),
        constant('levels', np.array(255.0, np.float32)),
        constant('channel_axis', np.array([1], np.int64)),
    ]
    graph = helper.make_graph(
        nodes,
        'tiny',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [batch, height, width, 3])],
        [
            helper.make_tensor_value_info('logits', TensorProto.FLOAT, small),
            helper.make_tensor_value_info('label', TensorProto.UINT8, [batch, height, width]),
            helper.make_tensor_value_info('confidence', TensorProto.UINT8, [batch, height, width]),
        ],
        initializers,
    )
    return model(graph)


def label_nodes() -> list[onnx.NodeProto]:
    """Returns the nodes from 'logits' to 'label' and 'confidence', as trainers export them."""
    grow = {'mode': 'linear', 'coordinate_transformation_mode': 'half_pixel'}
    return [
        helper.make_node('Resize', ['logits', '', 'scales'], ['large'], **grow),
        helper.make_node('ArgMax', ['large'], ['winner'], axis=1, keepdims=0),
        helper.make_node('Cast', ['winner'], ['label'], to=TensorProto.UINT8),
        helper.make_node('Softmax', ['logits'], ['probabilities'], axis=1),
        helper.make_node('ReduceMax', ['probabilities'], ['highest'], axes=[1], keepdims=1),
        helper.make_node('Resize', ['highest', '', 'scales'], ['sure'], **grow),
        helper.make_node('Mul', ['sure', 'levels'], ['level']),
        helper.make_node('Round', ['level'], ['rounded']),
        helper.make_node('Squeeze', ['rounded', 'channel_axis'], ['flat']),
        helper.make_node('Cast', ['flat'], ['confidence'], to=TensorProto.UINT8),
    ]


def constant(name: str, value: NDArray[Any]) -> onnx.TensorProto:
    return numpy_helper.from_array(value, name)


def model(graph: onnx.GraphProto, opset: int = 17) -> onnx.ModelProto:
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def write_engine(folder: Path, made: onnx.ModelProto | None = None, **spec_changes: Any) -> Path:
    """Writes an engine folder and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'spec.yaml').write_text(yaml.safe_dump(spec(**spec_changes), sort_keys=False))
    onnx.save(network() if made is None else made, folder / 'model.onnx')
    return folder


def seeded_images(count: int = 1, size_wh: tuple[int, int] = SIZE_WH, seed: int = 1) -> Any:
    """Returns ``uint8 (count, H, W, 3)`` with structure at several scales."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, size_wh[1] // 8, size_wh[0] // 8, 3))
    fine = random.integers(-30, 31, (count, size_wh[1], size_wh[0], 3))
    return np.clip(coarse.repeat(8, axis=1).repeat(8, axis=2) + fine, 0, 255).astype(np.uint8)
