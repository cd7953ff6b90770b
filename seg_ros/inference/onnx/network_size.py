# SPDX-License-Identifier: Apache-2.0
"""A fully convolutional network at another size than the one that it was exported with.

Its weights fit every size; what does not are the sizes that the export wrote into the graph:
those of crops, of enlargements to a given size, and of means that are spread over a map. Each of
them is a map of the image at some stride, ``ceil(size / stride)``, and gets the new size's number.
A crop that the old size did not need is put in after the enlargement that made it necessary.

What is no such network (attention over positions, pools whose window is a share of the map) is
refused: its tensors are no maps of the image at one stride.

An export with a symbolic size is as fast and needs none of this; third parties export fixed ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from seg_ros.core.errors import EngineError
from seg_ros.inference.onnx.contract import CONFIDENCE, IMAGE, LABEL, LOGITS
from seg_ros.inference.onnx.model_file import cut_to_outputs
from seg_ros.inference.onnx.wrapping import onnx

__all__ = ['resized']

STRIDES = tuple(1 << power for power in range(8))  # to 128; encoders end at 32
SIZE_AXES = (2, 3)  # of channels-first maps: height, width
TO_THE_END = np.iinfo(np.int64).max
SIZE_INPUTS = {'Slice': (1, 2, 3, 4), 'Expand': (1,), 'Resize': (3,), 'Pad': (1,)}
UPSAMPLING = ('Resize', 'Upsample', 'ConvTranspose')
KEEPING = ('QuantizeLinear', 'DequantizeLinear', 'Slice')  # between an enlargement and its crop
ROUNDING, LARGEST_BORDER = 2, 8  # pixels; the border is cut off again, as after an enlargement
MOST_ELEMENTS = 1024  # of a constant that holds sizes; larger ones are weights

Shape = tuple[int, ...]
SizeHw = tuple[int, int]


def resized(data: bytes, size_wh: tuple[int, int], name: str) -> bytes:
    """Returns the model for images of another size; its weights are the same.

    Args:
        data: An ONNX model that keeps the contract.
        size_wh: Width and height that it shall take.
        name: What it is called in messages.

    Raises:
        ConfigurationError: The onnx package is not installed.
        EngineError: A network that has only the size that it was exported with.
    """
    model = onnx().load_from_string(data)
    size_hw = size_wh[1], size_wh[0]
    try:
        graph = _Graph(model)
        graph.write_sizes(size_hw)
        graph.crop_what_is_too_large()
        graph.check()
    except _Fixed as error:
        raise EngineError(
            f'{name} cannot run at {size_wh[0]}x{size_wh[1]}: {error}. Take a size whose sides '
            'are multiples of 32, or export the network at the size that you want.'
        ) from error
    return cut_to_outputs(model.SerializeToString(), [LOGITS, LABEL, CONFIDENCE])


class _Fixed(Exception):
    """Why a network has one size only, as the end of a sentence."""


class _Graph:
    """An ONNX graph whose sizes are changed in place; raises ``_Fixed`` where that cannot be."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._graph = model.graph
        self._constants = {row.name: row for row in self._graph.initializer}
        self._makers = {name: node for node in self._graph.node for name in node.output}
        image = next(row for row in self._graph.input if row.name == IMAGE)
        dimensions = image.type.tensor_type.shape.dim
        self._old_hw: SizeHw = dimensions[1].dim_value, dimensions[2].dim_value
        self._new_hw: SizeHw = self._old_hw
        self._names = (f'network_size/{number}' for number in itertools.count())
        del self._graph.value_info[:]  # the exporter's word on the old sizes
        self._fold_sizes()
        self._old = self._shapes()
        self._new = self._old
        if unknown := [name for name in self._makers if name and name not in self._old]:
            raise _Fixed(f"the size of its '{unknown[0]}' is not known")

    def write_sizes(self, size_hw: SizeHw) -> None:
        """Replaces every size that is written into the graph."""
        self._new_hw = size_hw
        for node in list(self._graph.node):
            if node.op_type == 'Slice':
                self._resize_slice(node)
            elif node.op_type == 'Expand':
                self._resize_vector(node, 1, range(4))
            elif node.op_type == 'Resize' and len(node.input) > 3 and node.input[3]:
                axes = next((row.ints for row in node.attribute if row.name == 'axes'), range(4))
                self._resize_vector(node, 3, axes)
        for row in (*self._graph.input, *self._graph.output):
            shape = row.type.tensor_type.shape.dim
            if row.name in (IMAGE, LABEL, CONFIDENCE):
                shape[1].dim_value, shape[2].dim_value = size_hw
            else:  # logits
                for axis in SIZE_AXES:
                    shape[axis].Clear()
        self._new = self._shapes()

    def crop_what_is_too_large(self) -> None:
        """Puts a crop behind each enlargement whose result is larger than what it meets."""
        for _ in range(len(self._graph.node)):
            found = next(self._disagreements(), None)
            if found is None:
                return
            large, size_hw = found
            maker = self._upsampling_of(large)
            if maker is None:
                raise _Fixed(
                    f"'{large}' would be {_text(self._new[large][2:])} where another part of the "
                    f'network is {_text(size_hw)}'
                )
            self._crop(maker, size_hw)
            self._new = self._shapes()

    def check(self) -> None:
        """Checks that every tensor is the same map of the image as before, and the outputs too."""
        for name in (LABEL, CONFIDENCE):
            if self._new.get(name, ())[1:] not in ((), self._new_hw):
                width, height = self._new[name][:0:-1]
                raise _Fixed(f"its '{name}' would be {width}x{height}; that size would do")
        for name, old in self._old.items():
            new = self._new.get(name)
            if self._is_constant(name):
                continue
            if new is None or not self._is_same_map(old, new, self._slack(name)):
                became = 'has no size any more' if new is None else f'would be {_text(new)}'
                raise _Fixed(
                    f"'{name}' is {_text(old)} where the image is {_text(self._old_hw)}, and "
                    f'{became}, which is not the same part of it'
                )

    def _slack(self, name: str) -> int:
        """Returns by how many pixels a map may differ from its share of the image, and not so."""
        maker = self._makers.get(name)
        while maker is not None and maker.op_type in KEEPING:
            maker = self._makers.get(maker.input[0])
        is_larger = maker is not None and maker.op_type in (*UPSAMPLING, 'Pad')
        return LARGEST_BORDER if is_larger else ROUNDING

    def _is_same_map(self, old: Shape, new: Shape, slack: int) -> bool:
        """Returns whether both are the image at the same stride, or do not depend on it."""
        if len(old) != len(new):
            return False
        if old == new and (len(old) < 3 or set(old[-2:]) == {1}):
            return True
        for axis in range(1, len(old) - 1):  # of the height; channels come before or after
            if old[:axis] + old[axis + 2 :] != new[:axis] + new[axis + 2 :]:
                continue
            pairs = [
                *zip(old[axis : axis + 2], self._old_hw, strict=True),
                *zip(new[axis : axis + 2], self._new_hw, strict=True),
            ]
            if any(all(abs(side - whole / by) < slack for side, whole in pairs) for by in STRIDES):
                return True
        return False

    def _fold_sizes(self) -> None:
        """Replaces what is computed from constants alone where nodes take their sizes from."""
        for node in self._graph.node:
            for index in SIZE_INPUTS.get(node.op_type, ()):
                name = node.input[index] if index < len(node.input) else ''
                if name and name not in self._constants and self._is_constant(name):
                    self._write(node, index, [int(row) for row in np.ravel(self._value(name))])

    def _resize_slice(self, node: Any) -> None:
        """Gives a crop the new size of what it leaves; a slice along channels stays."""
        shape = self._old[node.input[0]]
        starts, ends = (self._vector(node.input[index]) for index in (1, 2))
        axes = self._vector(node.input[3]) if len(node.input) > 3 else list(range(len(shape)))
        steps = self._vector(node.input[4]) if len(node.input) > 4 else None
        if len(shape) != 4 or starts is None or ends is None or axes is None:
            return
        new = list(ends)
        for index, axis in enumerate(axes):
            start, end, side = starts[index], ends[index], shape[axis or 0]
            if axis is None or start is None or end is None or axis % 4 not in SIZE_AXES:
                continue
            if start < 0 or end < 0 or (steps and steps[index] != 1):
                continue  # counted from the end, or every other pixel
            try:
                new[index] = start + self._scaled(min(end, side) - start, axis % 4)
            except _Fixed:
                if end < side:
                    raise
                new[index] = TO_THE_END
        if new != ends:
            self._write(node, 2, new)

    def _resize_vector(self, node: Any, index: int, axes: Any) -> None:
        """Gives a tensor's shape, an input of the node, its new height and width."""
        values = self._vector(node.input[index])
        if values is None or len(self._old[node.output[0]]) != 4:
            return
        new = list(values)
        for position, axis in enumerate(axes):
            value = new[position]
            if axis in SIZE_AXES and value is not None and value > 1:
                new[position] = self._scaled(value, axis)
        if new != values:
            self._write(node, index, new)

    def _scaled(self, side: int, axis: int) -> int:
        """Returns the new height or width of a map that has this one now."""
        old, new = self._old_hw[axis - 2], self._new_hw[axis - 2]
        sides = [-(-new // stride) for stride in STRIDES if -(-old // stride) == side]
        if len(set(sides)) != 1:
            raise _Fixed(
                f'a size of {side} is written into its graph, and it is not clear what part of '
                f'{old} that is'
            )
        return sides[0]

    def _vector(self, name: str) -> list[int | None] | None:
        """Returns the numbers of a small integer tensor, None for those that the input decides."""
        maker = self._makers.get(name)
        if name not in self._constants and maker is None:
            return None
        if self._is_constant(name):
            return [int(value) for value in np.ravel(self._value(name))]
        if maker is None or maker.op_type != 'Concat':
            return None
        numbers: list[int | None] = []
        for part in maker.input:
            known = self._vector(part)
            length = self._old.get(part, ())
            if known is None and len(length) != 1:
                return None
            numbers += [None] * length[0] if known is None else known
        return numbers

    def _write(self, node: Any, index: int, values: list[int | None]) -> None:
        """Makes an input of a node these numbers; those that are None stay as they are."""
        node.input[index] = self._written(node, node.input[index], values)

    def _written(self, node: Any, name: str, values: list[int | None]) -> str:
        if None not in values:
            return self._constant(values)
        parts, first = [], 0
        for part in self._makers[name].input:
            known = self._vector(part)
            count = self._old[part][0] if known is None else len(known)
            numbers = values[first : first + count]
            parts.append(part if known is None else self._written(node, part, numbers))
            first += count
        new = self._free_name()
        joined = onnx().helper.make_node('Concat', parts, [new], name=new, axis=0)
        self._insert(joined, list(self._graph.node).index(node))
        return new

    def _constant(self, values: Iterable[int | None]) -> str:
        """Returns the name of a new constant with these numbers."""
        name = self._free_name()
        array = np.array(list(values), np.int64)
        self._graph.initializer.append(onnx().numpy_helper.from_array(array, name))
        self._constants[name] = self._graph.initializer[-1]
        return name

    def _free_name(self) -> str:
        """Returns a name that is not in the graph, even if that was made here before."""
        taken = self._constants.keys() | self._makers.keys()
        return next(name for name in self._names if name not in taken)

    def _is_constant(self, name: str) -> bool:
        if name in self._constants:
            return True
        maker = self._makers.get(name)
        return maker is not None and all(self._is_constant(row) for row in maker.input if row)

    def _value(self, name: str) -> Any:
        """Returns the value of a constant, which may be the result of some nodes."""
        if name in self._constants:
            return onnx().numpy_helper.to_array(self._constants[name])
        package = onnx()
        maker = self._makers[name]
        if maker.op_type == 'Constant' and maker.attribute[0].name == 'value':
            return package.numpy_helper.to_array(maker.attribute[0].t)
        nodes, wanted = [], {name}
        for node in reversed(self._graph.node):
            if wanted & set(node.output):
                nodes.append(node)
                wanted |= set(node.input)
        weights = [row for key, row in self._constants.items() if key in wanted]
        output = package.helper.make_tensor_value_info(name, package.TensorProto.INT64, None)
        part = package.helper.make_graph(nodes[::-1], 'part', [], [output], weights)
        small = package.helper.make_model(part, opset_imports=self._model.opset_import)
        return import_module('onnx.reference').ReferenceEvaluator(small).run(None, {})[0]

    def _disagreements(self) -> Iterator[tuple[str, SizeHw]]:
        """Yields what is too large for a node that joins maps, and the size that it should be."""
        for node in self._graph.node:
            maps = [
                row for row in node.input if len(self._new.get(row, ())) == 4 and row in self._old
            ]
            for first, second in itertools.pairwise(maps):
                if node.op_type in ('Conv', 'ConvTranspose'):
                    continue  # the other one is its weights
                one, other = self._new[first][2:], self._new[second][2:]
                if self._old[first][2:] == self._old[second][2:] and one != other:
                    least = min(one[0], other[0]), min(one[1], other[1])
                    yield (first if one != least else second), least

    def _upsampling_of(self, name: str) -> Any:
        """Returns the nearest node before a tensor that has enlarged it; None without any."""
        extent = self._new[name][2:]
        names = [name]
        for current in names:
            maker = self._makers.get(current)
            if maker is None:
                continue
            if maker.op_type in UPSAMPLING:
                return maker
            names += [row for row in maker.input if self._new.get(row, ())[2:] == extent]
        return None

    def _crop(self, maker: Any, size_hw: SizeHw) -> None:
        """Puts a crop behind a node; its output keeps its name and gets the smaller size."""
        output = maker.output[0]
        full = maker.output[0] = self._free_name()
        self._makers[full] = maker
        window = [self._constant(row) for row in ((0, 0), size_hw, SIZE_AXES)]
        crop = onnx().helper.make_node('Slice', [full, *window], [output], name=f'{full}/crop')
        self._insert(crop, list(self._graph.node).index(maker) + 1)

    def _insert(self, node: Any, index: int) -> None:
        self._graph.node.insert(index, node)
        for name in node.output:
            self._makers[name] = self._graph.node[index]

    def _shapes(self) -> dict[str, Shape]:
        """Returns the shape of every tensor that has one, for one image."""
        package = onnx()
        small = package.ModelProto()
        small.CopyFrom(self._model)
        for row in small.graph.initializer:
            if np.prod(row.dims) > MOST_ELEMENTS:  # their shapes are enough
                row.ClearField('raw_data')
        for row in (*small.graph.input, *small.graph.output):
            row.type.tensor_type.shape.dim[0].dim_value = 1
            if row.name != IMAGE:
                row.type.tensor_type.ClearField('shape')
        inference = package.shape_inference
        try:
            inferred = inference.infer_shapes(small, data_prop=True).graph
        except inference.InferenceError as error:
            why = ' '.join(str(error).split())
            raise _Fixed(f'its parts do not fit together ({why})') from error
        shapes = {row.name: tuple(row.dims) for row in inferred.initializer}
        for row in (*inferred.input, *inferred.value_info, *inferred.output):
            tensor = row.type.tensor_type
            if tensor.HasField('shape') and all(d.HasField('dim_value') for d in tensor.shape.dim):
                shapes[row.name] = tuple(d.dim_value for d in tensor.shape.dim)
        return shapes


def _text(shape: Shape) -> str:
    return 'x'.join(str(side) for side in shape)
