# SPDX-License-Identifier: Apache-2.0
"""A network in half precision, for a TensorRT that takes its types from the graph.

All that leads to the logits computes in float16; label and confidence are made from them in
float32, so that close scores are not rounded to a tie. ``onnxruntime.transformers.float16`` does
not do this: where it keeps those nodes in float32 its graph has two nodes of one name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import EngineError
from seg_ros.inference.onnx.contract import LOGITS
from seg_ros.inference.onnx.wrapping import onnx

__all__ = ['half_precision']

HALF_LOGITS = f'{LOGITS}/half'
LARGEST = 65504.0  # of a float16
SMALLEST = 1e-7  # below it a float16 is 0, and a logarithm of it infinite

# Inputs that stay float32 by their operator's definition (sizes and scales, not pixels)
FLOAT_INPUTS = {'Resize': {1, 2}, 'Upsample': {1}}
# Operators that have a type of their own as an attribute
TYPED = {'Cast': 'to', 'EyeLike': 'dtype', 'RandomNormal': 'dtype', 'RandomUniform': 'dtype'}


def half_precision(data: bytes, name: str) -> bytes:
    """Returns the model with all that leads to its logits in float16.

    Args:
        data: An ONNX model that keeps the contract.
        name: What it is called in messages.

    Raises:
        ConfigurationError: The onnx package is not installed.
        EngineError: A network with branches or loops, or with quantisation.
    """
    package = onnx()
    model = package.load_from_string(data)
    graph = model.graph
    leading = _leading_to_logits(graph)
    for node in leading:
        if any(row.type in (5, 10) for row in node.attribute):  # GRAPH, GRAPHS
            raise EngineError(
                f"{name} has the operator '{node.op_type}', which holds a graph of its own and is "
                'not converted to fp16. Take precision fp32, or export it without branches.'
            )
        if node.op_type in ('QuantizeLinear', 'DequantizeLinear'):
            raise EngineError(f'{name} is quantised already. Take precision int8 for it.')
    sizes = _leading_to_sizes(leading)
    leading = [node for node in leading if not sizes & set(node.output)]
    _convert_constants(graph, leading)
    for node in leading:
        _convert_types(node)
        for index, output in enumerate(node.output):
            if output == LOGITS:
                node.output[index] = HALF_LOGITS
    widen = package.helper.make_node('Cast', [HALF_LOGITS], [LOGITS], to=package.TensorProto.FLOAT)
    graph.node.insert(list(graph.node).index(leading[-1]) + 1, widen)
    del graph.value_info[:]  # their types are those of before
    return bytes(model.SerializeToString())


def _leading_to_logits(graph: Any) -> list[Any]:
    """Returns the nodes that the logits need, in order."""
    needed, nodes = {LOGITS}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input) - {''}
            nodes.append(node)
    return nodes[::-1]


def _leading_to_sizes(nodes: list[Any]) -> set[str]:
    """Returns the tensors from which inputs are made that stay float32."""
    names: set[str] = set()
    for node in reversed(nodes):
        kept = FLOAT_INPUTS.get(node.op_type, set())
        names |= {name for index, name in enumerate(node.input) if name and index in kept}
        if names & set(node.output) and node.op_type != 'Shape':
            names |= set(node.input) - {''}
    return names


def _convert_constants(graph: Any, leading: list[Any]) -> None:
    """Gives the nodes halves of their float constants; who else reads one keeps the float."""
    package = onnx()
    floats = {
        row.name: row for row in graph.initializer if row.data_type == package.TensorProto.FLOAT
    }
    halves: dict[str, str] = {}
    for node in leading:
        kept = FLOAT_INPUTS.get(node.op_type, set())
        for index, name in enumerate(node.input):
            if name not in floats or index in kept:
                continue
            if name not in halves:
                halves[name] = f'{name}/half'
                values = package.numpy_helper.to_array(floats[name])
                graph.initializer.append(
                    package.numpy_helper.from_array(_rounded(values), halves[name])
                )
            node.input[index] = halves[name]
    read = {name for node in graph.node for name in node.input}
    unread = [row for row in graph.initializer if row.name in halves and row.name not in read]
    for row in unread:
        graph.initializer.remove(row)


def _convert_types(node: Any) -> None:
    """Turns the float types that a node names into half types."""
    package = onnx()
    types = package.TensorProto
    for attribute in node.attribute:
        if attribute.name == TYPED.get(node.op_type) and attribute.i == types.FLOAT:
            attribute.i = types.FLOAT16
        elif node.op_type in ('Constant', 'ConstantOfShape') and attribute.name == 'value':
            if attribute.t.data_type == types.FLOAT:
                values = package.numpy_helper.to_array(attribute.t)
                attribute.t.CopyFrom(package.numpy_helper.from_array(_rounded(values)))
        elif node.op_type == 'Constant' and attribute.name in ('value_float', 'value_floats'):
            values = np.array(attribute.f if attribute.name == 'value_float' else attribute.floats)
            tensor = package.numpy_helper.from_array(_rounded(values))
            attribute.CopyFrom(package.helper.make_attribute('value', tensor))


def _rounded(values: NDArray[Any]) -> NDArray[np.float16]:
    """Returns halves; what would become 0 or infinite becomes the nearest number that is not."""
    tiny = (np.abs(values) < SMALLEST) & (values != 0)
    kept = np.where(tiny, np.copysign(SMALLEST, values), values)
    return np.clip(kept, -LARGEST, LARGEST).astype(np.float16)
