# SPDX-License-Identifier: Apache-2.0
"""The network that a TensorRT plan is built from: the deployment graph as TensorRT runs it best.

It computes the same, written so that no builder makes something slow or wrong of it:

- every type stands in the graph, for the builder must not choose one (strong typing);
- weights behind a cast are constants, or a convolution counts as dynamic;
- an arg-max over a full image becomes a TopK, which is slow, so it is written with maxima:
  ``max → equal → where(class id) → min`` gives the first of the highest classes, pixel by pixel;
- only a float may be cast to uint8 (TensorRT 10.3);
- ``health`` is there instead of the scores: a number per image that is none when a score is none;
- for one image at a time its shape is fixed, so that everything that follows from it is constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from seg_ros.core.errors import EngineError
from seg_ros.inference.onnx.contract import CONFIDENCE, LABEL, LOGITS
from seg_ros.inference.onnx.half_precision import half_precision
from seg_ros.inference.onnx.model_file import cut_to_outputs
from seg_ros.inference.onnx.wrapping import REDUCE_TAKES_AXES_AS_INPUT, onnx

__all__ = ['HEALTH', 'plan_network']

HEALTH = 'health'
"""The output ``float32 [N]`` that is no number when a score of that image is none."""

WEIGHTED = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
MOST_CLASSES = 255  # that a label of 8 bits can name
PLANE = (1024, 2048)  # height, width: at least that of any network, where the graph leaves it open


def plan_network(data: bytes, name: str, precision: str, *, one_image: bool) -> bytes:
    """Returns the model that a plan is built from; its outputs are label, confidence and health.

    Args:
        data: An ONNX model that keeps the contract.
        name: What it is called in messages.
        precision: 'fp32', 'fp16', or 'int8' for a model that is quantised.
        one_image: Whether it never runs on more than one image at a time.

    Raises:
        ConfigurationError: The onnx package is not installed.
        EngineError: A network that cannot be converted to this precision.
    """
    data = cut_to_outputs(data, [LOGITS, LABEL, CONFIDENCE])
    model = onnx().load_from_string(data)
    _fold_casts(model.graph)
    if precision == 'int8':
        _quantise_weighted_only(model.graph)
    if precision == 'fp16':
        model = onnx().load_from_string(half_precision(model.SerializeToString(), name))
    _Rewriting(model, name).rewrite()
    if one_image:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]  # they may say an open batch, and are derived anyway
    model.ParseFromString(cut_to_outputs(model.SerializeToString(), [LABEL, CONFIDENCE, HEALTH]))
    _drop_unread(model.graph)
    return bytes(model.SerializeToString())


def _fold_casts(graph: Any) -> None:
    """Makes constants of constants behind casts."""
    package = onnx()
    stored = {row.name: row for row in graph.initializer}
    for node in list(graph.node):
        if node.op_type != 'Cast' or node.input[0] not in stored:
            continue
        values = package.numpy_helper.to_array(stored[node.input[0]])
        dtype = package.helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
        graph.initializer.append(
            package.numpy_helper.from_array(values.astype(dtype), node.output[0])
        )
        graph.node.remove(node)


def _drop_unread(graph: Any) -> None:
    read = {name for node in graph.node for name in node.input}
    for row in [row for row in graph.initializer if row.name not in read]:
        graph.initializer.remove(row)


def _quantise_weighted_only(graph: Any) -> None:
    """Leaves a quantised activation to the weighted layers that read it; others read the float.

    Between a convolution and its activation a pair of quantisation keeps the two from becoming
    one kernel, and rounds twice.
    """
    made_by: dict[str, Any] = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type in (*WEIGHTED, 'QuantizeLinear', 'DequantizeLinear'):
            continue
        for index, name in enumerate(node.input):
            widen: Any = made_by.get(name)
            narrow: Any = made_by.get(widen.input[0]) if _is(widen, 'DequantizeLinear') else None
            if _is(narrow, 'QuantizeLinear'):
                node.input[index] = narrow.input[0]


def _is(node: Any, operator: str) -> bool:
    return bool(node is not None and node.op_type == operator)


class _Rewriting:
    """One model on its way; its nodes stay in order."""

    def __init__(self, model: Any, name: str) -> None:
        self._graph = model.graph
        self._name = name
        self._opset = next(
            row.version for row in model.opset_import if row.domain in ('', 'ai.onnx')
        )
        inferred = onnx().shape_inference.infer_shapes(model, data_prop=True).graph
        rows = (*inferred.input, *inferred.value_info, *inferred.output)
        self._types = {row.name: row.type.tensor_type.elem_type for row in rows}
        self._types |= {row.name: row.data_type for row in self._graph.initializer}
        self._shapes = {
            row.name: [axis.dim_value or None for axis in row.type.tensor_type.shape.dim]
            for row in rows
        }
        self._count = 0

    def rewrite(self) -> None:
        nodes: list[Any] = []
        for node in self._graph.node:
            if node.op_type == 'ArgMax' and self._is_over_classes(node):
                nodes += self._arg_max(node)
            else:
                nodes.append(node)
        rows = [row for node in nodes for row in self._with_float_before_bytes(node)]
        rows += self._health()
        del self._graph.node[:]
        self._graph.node.extend(rows)
        helper, types = onnx().helper, onnx().TensorProto
        images = self._graph.input[0].type.tensor_type.shape.dim[0]
        batch = images.dim_value or images.dim_param or None
        self._graph.output.append(helper.make_tensor_value_info(HEALTH, types.FLOAT, [batch]))

    def _is_over_classes(self, node: Any) -> bool:
        attributes = _attributes(node)
        shape = self._shapes.get(node.input[0], [])
        return (
            attributes.get('axis', 0) in (1, -3)
            and not attributes.get('select_last_index', 0)
            and len(shape) == 4
            and 1 <= (shape[1] or 0) <= MOST_CLASSES
        )

    def _arg_max(self, node: Any) -> Iterator[Any]:
        """Yields the same as an arg-max over the classes, as a float and as its integer."""
        types = onnx().TensorProto
        scores = node.input[0]
        classes = self._shapes[scores][1]
        keep = _attributes(node).get('keepdims', 1)
        ids = np.arange(classes, dtype=np.float32).reshape(1, -1, 1, 1)
        highest, is_highest, ids_there, winner = (self._new(word) for word in 'abcd')
        yield self._reduce('ReduceMax', scores, highest, [1], keep=1)
        yield self._node('Equal', [scores, highest], is_highest)
        chosen = [is_highest, self._constant(ids), self._constant(np.float32(classes))]
        yield self._node('Where', chosen, ids_there)
        yield self._reduce('ReduceMin', ids_there, winner, [1], keep=keep)
        self._types[winner] = types.FLOAT
        readers = [row for row in self._graph.node if node.output[0] in row.input]
        for row in readers:
            if row.op_type == 'Cast':
                row.input[0] = winner
        yield self._node('Cast', [winner], node.output[0], to=types.INT64)

    def _with_float_before_bytes(self, node: Any) -> Iterator[Any]:
        types = onnx().TensorProto
        floats = (types.FLOAT, types.FLOAT16)
        makes_bytes = node.op_type == 'Cast' and node.attribute[0].i == types.UINT8
        if makes_bytes and self._types.get(node.input[0]) not in floats:
            number = self._new('float')
            yield self._node('Cast', [node.input[0]], number, to=types.FLOAT)
            node.input[0] = number
        yield node

    def _health(self) -> Iterator[Any]:
        """Yields the mean score of each image, which no arg-max could replace: it shows a NaN.

        Scaled before they are added up: the sum alone leaves what a half can hold.
        """
        shape = self._shapes.get(LOGITS, [])
        if len(shape) != 4:
            raise EngineError(f"{self._name}: the shape of '{LOGITS}' is not known.")
        size = [row or most for row, most in zip(shape[1:], (MOST_CLASSES, *PLANE), strict=True)]
        share = 2.0 ** -math.ceil(math.log2(math.prod(size)))
        numbers, scaled = self._new('scores'), self._new('scaled')
        yield self._node('Cast', [LOGITS], numbers, to=onnx().TensorProto.FLOAT)
        yield self._node('Mul', [numbers, self._constant(np.float32(share))], scaled)
        axes = self._constant(np.array([1, 2, 3], np.int64))
        yield self._node('ReduceSum', [scaled, axes], HEALTH, keepdims=0)

    def _reduce(self, operator: str, name: str, output: str, axes: list[int], *, keep: int) -> Any:
        if self._opset >= REDUCE_TAKES_AXES_AS_INPUT:
            names = [name, self._constant(np.array(axes, np.int64))]
            return self._node(operator, names, output, keepdims=keep)
        return self._node(operator, [name], output, axes=axes, keepdims=keep)

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return onnx().helper.make_node(operator, inputs, [output], name=output, **attributes)

    def _constant(self, value: Any) -> str:
        name = self._new('constant')
        self._graph.initializer.append(onnx().numpy_helper.from_array(np.asarray(value), name))
        return name

    def _new(self, word: str) -> str:
        self._count += 1
        return f'plan/{word}_{self._count}'


def _attributes(node: Any) -> dict[str, Any]:
    return {row.name: onnx().helper.get_attribute_value(row) for row in node.attribute}
