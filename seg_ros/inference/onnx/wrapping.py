# SPDX-License-Identifier: Apache-2.0
"""Puts the deployment graph's contract around any logits network.

image ─ cast ─ transpose ─ (bgr) ─ normalise ─▶ network ─▶ (log) ─ (merge) ─▶ logits
                                                    up-sample ─ arg-max ─▶ label
                                           softmax ─ max ─ up-sample ─▶ confidence
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError, EngineError
from seg_ros.inference.onnx.contract import CONFIDENCE, IMAGE, LABEL, LOGITS
from seg_ros.inference.onnx.model_file import cut_to_outputs
from seg_ros.inference.onnx.raw_network import (
    LEAST_PROBABILITY,
    MergeRow,
    Normalisation,
    RawNetwork,
    Shape,
    merge_matrix,
)

__all__ = ['build_contract', 'onnx']

OLDEST_OPSET = 13  # Softmax means one axis from here on, and Squeeze takes its axes as an input
CONVERTED_OPSET = 17  # every supported ONNX Runtime, OpenVINO and TensorRT reads it
REDUCE_TAKES_AXES_AS_INPUT = 18  # the opset from which ReduceMax does
PREFIX = 'network/'  # keeps the network's own names apart from those of the contract


def onnx() -> Any:
    """Returns the ``onnx`` package, which only those need who build engines.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return import_module('onnx')
    except ImportError as error:
        raise ConfigurationError(
            f'Wrapping a network needs the onnx package, which cannot be imported ({error}). '
            "Install it: pip install 'onnx==1.23.2'"
        ) from error


def build_contract(
    network: RawNetwork,
    size_wh: tuple[int, int],
    normalisation: Normalisation,
    merge: Sequence[MergeRow] = (),
) -> bytes:
    """Returns an ONNX model that keeps the contract of ``seg_ros.inference.onnx.contract``.

    Args:
        network: The raw network.
        size_wh: Network size.
        normalisation: What it wants its pixels to be.
        merge: One row per class, in the order of the class ids; without any the network has one
            output, and its channels are the classes.

    Raises:
        EngineError: A network that cannot be brought to a usable opset, or outputs that do not
            fit together.
    """
    model = onnx().compose.add_prefix(_with_usable_opset(network.model), PREFIX)
    graph = model.graph
    opset = next(row.version for row in model.opset_import if row.domain in ('', 'ai.onnx'))
    build = _Nodes()
    _normalise(build, network, normalisation)
    inside = [*build.nodes, *graph.node]
    build.nodes.clear()
    classes, height, width = _logits(build, network, merge)
    _label_and_confidence(build, classes, size_wh, opset)

    helper, types = onnx().helper, onnx().TensorProto
    batch = network.batch or 'N'
    images = [batch, size_wh[1], size_wh[0]]
    del graph.input[:], graph.output[:], graph.value_info[:], graph.node[:]
    graph.node.extend([*inside, *build.nodes])
    graph.initializer.extend(build.constants)
    graph.input.append(helper.make_tensor_value_info(IMAGE, types.UINT8, [*images, 3]))
    for name, element, shape in (
        (LOGITS, types.FLOAT, [batch, classes, height, width]),
        (LABEL, types.UINT8, images),
        (CONFIDENCE, types.UINT8, images),
    ):
        graph.output.append(helper.make_tensor_value_info(name, element, shape))
    model.ir_version = max(model.ir_version, 8)  # weights need not be inputs any more
    return cut_to_outputs(model.SerializeToString(), [LOGITS, LABEL, CONFIDENCE])


class _Nodes:
    """Collects nodes and constants; a call appends a node and returns its output's name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(
        self, operator: str, inputs: Sequence[str], output: str | None = None, **attributes: Any
    ) -> str:
        name = output or f'contract/{operator}_{len(self.nodes)}_{len(self.constants)}'
        self.nodes.append(
            onnx().helper.make_node(operator, list(inputs), [name], name=name, **attributes)
        )
        return name

    def constant(self, value: NDArray[Any]) -> str:
        name = f'contract/constant_{len(self.constants)}'
        self.constants.append(onnx().numpy_helper.from_array(value, name))
        return name


def _with_usable_opset(model: Any) -> Any:
    opset = next(row.version for row in model.opset_import if row.domain in ('', 'ai.onnx'))
    if opset >= OLDEST_OPSET:
        return model
    try:
        converter = import_module('onnx.version_converter')
        return converter.convert_version(model, CONVERTED_OPSET)
    except (RuntimeError, ValueError, converter.ConvertError) as error:
        raise EngineError(
            f'The network has opset {opset} and cannot be converted to {CONVERTED_OPSET}: '
            f'{error}. Export it again with opset {CONVERTED_OPSET}.'
        ) from error


def _normalise(build: _Nodes, network: RawNetwork, normalisation: Normalisation) -> None:
    """Adds the way from the image to the network's input."""
    types = onnx().TensorProto
    gain, offset = normalisation.gain_and_offset()
    # TensorRT takes a uint8 input only where it is cast before anything else.
    planes = build('Transpose', [build('Cast', [IMAGE], to=types.FLOAT)], perm=[0, 3, 1, 2])
    if normalisation.is_bgr:
        planes = build('Gather', [planes, build.constant(np.array([2, 1, 0]))], axis=1)
    scaled = build('Mul', [planes, build.constant(gain)])
    shifted = build('Add', [scaled, build.constant(offset)])
    element = types.FLOAT16 if network.is_half else types.FLOAT
    build('Cast', [shifted], PREFIX + network.input_name, to=element)


def _logits(build: _Nodes, network: RawNetwork, merge: Sequence[MergeRow]) -> Shape:
    """Adds the way from the network's outputs to ``logits``; returns their shape (C, h, w)."""
    scores = [
        _scores(build, PREFIX + name, shape[0], network.are_probabilities)
        for name, shape in network.outputs.items()
    ]
    if not merge:
        build('Identity', scores, LOGITS)
        return next(iter(network.outputs.values()))
    weights, bias = merge_matrix(network.outputs, merge)
    both = build('Concat', scores, axis=1)
    kernel = build.constant(weights.reshape(*weights.shape, 1, 1))
    build('Conv', [both, kernel, build.constant(bias)], LOGITS)
    return len(merge), *network.plane_hw


def _scores(build: _Nodes, name: str, channels: int, are_probabilities: bool) -> str:
    """Adds the way from one output to float32 scores; returns their name."""
    scores = build('Cast', [name], to=onnx().TensorProto.FLOAT)
    if not are_probabilities:
        return scores
    least = build.constant(np.array(LEAST_PROBABILITY, np.float32))
    one = build.constant(np.array(1.0, np.float32))
    likely = build('Log', [build('Max', [scores, least])])
    if channels > 1:
        return likely
    unlikely = build('Log', [build('Max', [build('Sub', [one, scores]), least])])
    return build('Sub', [likely, unlikely])


def _label_and_confidence(
    build: _Nodes, classes: int, size_wh: tuple[int, int], opset: int
) -> None:
    """Adds the ways from ``logits`` to ``label`` and ``confidence``."""
    types = onnx().TensorProto
    axis = build.constant(np.array([1], np.int64))
    batch = build(
        'Slice',
        [
            build('Shape', [LOGITS]),
            build.constant(np.array([0], np.int64)),
            build.constant(np.array([1], np.int64)),
        ],
    )

    def enlarge(planes: str, channels: int) -> str:
        shape = build.constant(np.array([channels, size_wh[1], size_wh[0]], np.int64))
        sizes = build('Concat', [batch, shape], axis=0)
        return build(
            'Resize',
            [planes, '', '', sizes],
            mode='linear',
            coordinate_transformation_mode='half_pixel',
        )

    winner = build('ArgMax', [enlarge(LOGITS, classes)], axis=1, keepdims=0)
    build('Cast', [winner], LABEL, to=types.UINT8)

    probabilities = build('Softmax', [LOGITS], axis=1)
    if opset >= REDUCE_TAKES_AXES_AS_INPUT:
        highest = build('ReduceMax', [probabilities, axis], keepdims=1)
    else:
        highest = build('ReduceMax', [probabilities], axes=[1], keepdims=1)
    levels = build.constant(np.array(255.0, np.float32))
    rounded = build('Round', [build('Mul', [enlarge(highest, 1), levels])])
    build('Cast', [build('Squeeze', [rounded, axis])], CONFIDENCE, to=types.UINT8)
