# SPDX-License-Identifier: Apache-2.0
"""Reads and cuts ONNX files by their wire format, without the ``onnx`` package.

A robot that runs a network needs only its runtime; ``onnx`` stays a tool of those who build
engines. An ONNX file is one protobuf message, and the few fields that matter here are in
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (their numbers never change).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

__all__ = ['TensorInfo', 'cut_to_outputs', 'read_inputs_and_outputs', 'with_data_inside']

MODEL_GRAPH, MODEL_OPSET = 7, 8
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_ATTRIBUTE = 1, 2, 5
ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS = 6, 11
INITIALIZER_NAME = 8
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR = 1
TENSOR_ELEMENT, TENSOR_SHAPE = 1, 2
SHAPE_DIMENSION = 1
DIMENSION_VALUE = 1

# The way to every tensor: which fields of a message hold a message, and of which kind
PARTS: dict[str, dict[int, str]] = {
    'model': {MODEL_GRAPH: 'graph', 20: 'training', 25: 'function'},
    'training': {1: 'graph', 2: 'graph'},
    'function': {7: 'node', 11: 'attribute'},
    'graph': {GRAPH_NODE: 'node', GRAPH_INITIALIZER: 'tensor', 15: 'sparse'},
    'node': {NODE_ATTRIBUTE: 'attribute'},
    'attribute': {
        5: 'tensor', ATTRIBUTE_GRAPH: 'graph', 10: 'tensor', ATTRIBUTE_GRAPHS: 'graph',
        22: 'sparse', 23: 'sparse',
    },
    'sparse': {1: 'tensor', 2: 'tensor'},
}  # fmt: skip
TENSOR_RAW_DATA, TENSOR_EXTERNAL, TENSOR_LOCATION = 9, 13, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2

MOST_FIELDS = 400_000  # of a model; ours have 10 000, a bomb has millions
MOST_LEVELS = 32  # graphs in graphs; loops in loops have three
LONGEST_VARINT = 70  # bits
LONGEST_AXIS = 1 << 31  # elements; runtimes count them in 32 bits, so that more is damage
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# TensorProto.DataType, by the names that numpy and people use
ELEMENT_NAMES = {
    1: 'float32',
    2: 'uint8',
    3: 'int8',
    4: 'uint16',
    5: 'int16',
    6: 'int32',
    7: 'int64',
    8: 'string',
    9: 'bool',
    10: 'float16',
    11: 'float64',
    16: 'bfloat16',
}


class TensorInfo(NamedTuple):
    """Name, element type and shape of a graph's input or output.

    Attributes:
        name: As in the graph.
        element: numpy's name of the type, such as ``uint8``.
        shape: One entry per axis, None where the size is open; None when no shape is given.
    """

    name: str
    element: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        axes = '?' if self.shape is None else ', '.join(str(n or '?') for n in self.shape)
        return f'{self.name}: {self.element} [{axes}]'


class Field(NamedTuple):
    """One field of a protobuf message.

    Attributes:
        number: Which field of its message.
        value: The number, or the bytes of a string or message.
        raw: The whole field as it lies in the file, tag included.
    """

    number: int
    value: int | memoryview
    raw: memoryview


def read_inputs_and_outputs(data: bytes) -> tuple[list[TensorInfo], list[TensorInfo]]:
    """Returns what goes into an ONNX graph and what comes out; weights are not inputs.

    Raises:
        ValueError: The data end too early, or are no ONNX model; the message says which.
    """
    fields = _Fields()
    _, graph = _model(fields, data)
    weights = {
        _text(part.value)
        for field in graph
        if field.number == GRAPH_INITIALIZER
        for part in fields(_message(field))
        if part.number == INITIALIZER_NAME
    }
    inputs = [_tensor(fields, field) for field in graph if field.number == GRAPH_INPUT]
    outputs = [_tensor(fields, field) for field in graph if field.number == GRAPH_OUTPUT]
    return [row for row in inputs if row.name not in weights], outputs


def cut_to_outputs(data: bytes, names: Iterable[str]) -> bytes:
    """Returns the model without the outputs that are not named, and without their nodes.

    ONNX Runtime computes the whole graph, whatever is fetched, and also with its run option
    ``only_execute_path_to_fetches``; so the graph must be smaller.

    Raises:
        ValueError: The data end too early, or are no ONNX model; the message says which.
    """
    fields = _Fields()
    outer, graph = _model(fields, data)
    wanted = set(names)
    kept = set()
    nodes = [
        (index, *_node_edges(fields, field.value))
        for index, field in enumerate(graph)
        if field.number == GRAPH_NODE and isinstance(field.value, memoryview)
    ]
    needed = set(wanted)
    for index, inputs, outputs in reversed(nodes):  # ONNX keeps its nodes in topological order
        if needed & outputs:
            kept.add(index)
            needed |= inputs
    body = b''.join(
        field.raw
        for index, field in enumerate(graph)
        if (field.number != GRAPH_NODE or index in kept)
        and (field.number != GRAPH_OUTPUT or _tensor(fields, field).name in wanted)
    )
    head = b''.join(field.raw for field in outer if field.number != MODEL_GRAPH)
    return head + _delimited(MODEL_GRAPH, body)


def with_data_inside(data: bytes, read: Callable[[str, int, int | None], bytes]) -> bytes:
    """Returns the model with its weights inside, also those that lie in files beside it.

    Args:
        data: An ONNX model.
        read: Returns the bytes of a file beside it: name, first byte, and how many, None for all
            that follow.

    Raises:
        ValueError: The data are no ONNX model, or do not say where its weights are.
    """
    return bytes(_with_data_inside(_Fields(), memoryview(data), 'model', read, MOST_LEVELS * 3))


def _with_data_inside(
    fields: _Fields,
    message: memoryview,
    kind: str,
    read: Callable[[str, int, int | None], bytes],
    levels: int,
) -> memoryview | bytes:
    """Returns a message whose tensors are whole; itself, uncopied, where they are already."""
    if not levels:
        raise ValueError('its graphs lie in each other without end')
    if kind == 'tensor':
        return _whole_tensor(fields, message, read)
    made: list[memoryview | bytes] = []
    is_changed = False
    for field in fields(message):
        part = PARTS[kind].get(field.number)
        if part is None:
            made.append(field.raw)
            continue
        old = _message(field)
        new = _with_data_inside(fields, old, part, read, levels - 1)
        is_changed |= new is not old
        made.append(field.raw if new is old else _delimited(field.number, new))
    return b''.join(made) if is_changed else message


def _whole_tensor(
    fields: _Fields, message: memoryview, read: Callable[[str, int, int | None], bytes]
) -> memoryview | bytes:
    rows = list(fields(message))
    if not any(row.number == TENSOR_LOCATION and row.value == 1 for row in rows):
        return message
    entries = {}
    for row in rows:
        if row.number == TENSOR_EXTERNAL:
            parts = {part.number: _text(part.value) for part in fields(_message(row))}
            entries[parts.get(ENTRY_KEY, '')] = parts.get(ENTRY_VALUE, '')
    numbers = [entries.get('offset', '0'), entries.get('length', '0')]
    if not entries.get('location') or not all(
        text.isascii() and text.isdecimal() and len(text) < 20 for text in numbers
    ):
        raise ValueError(f'its weights are in another file, which it names as {entries}')
    length = int(numbers[1]) if 'length' in entries else None
    moved = (TENSOR_EXTERNAL, TENSOR_LOCATION, TENSOR_RAW_DATA)
    kept = [row.raw for row in rows if row.number not in moved]
    weights = read(entries['location'], int(numbers[0]), length)
    return b''.join([*kept, _delimited(TENSOR_RAW_DATA, weights)])


def _delimited(number: int, value: bytes | memoryview) -> bytes:
    return _varint((number << 3) | BYTES) + _varint(len(value)) + value


def _model(fields: _Fields, data: bytes) -> tuple[list[Field], list[Field]]:
    """Returns the fields of the model and those of its graph."""
    outer = list(fields(memoryview(data)))
    graphs = [field for field in outer if field.number == MODEL_GRAPH]
    if len(graphs) != 1 or not isinstance(graphs[0].value, memoryview):
        raise ValueError('there is no graph in it')
    if not any(field.number == MODEL_OPSET for field in outer):
        raise ValueError('it ends before it names its operator set')
    graph = list(fields(graphs[0].value))
    if not any(field.number == GRAPH_OUTPUT for field in graph):
        raise ValueError('its graph has no output')
    return outer, graph


class _Fields:
    """Reads the fields of messages; ends where a model has more of them than any real one."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def __call__(self, message: memoryview) -> Iterator[Field]:
        position = 0
        while position < len(message):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f'it has more than {MOST_FIELDS} fields')
            field, position = _field(message, position)
            yield field


def _field(message: memoryview, start: int) -> tuple[Field, int]:
    """Returns the field at a position, and the position behind it."""
    tag, position = _read_varint(message, start)
    number, wire_type = tag >> 3, tag & 7
    value: int | memoryview
    if wire_type == VARINT:
        value, position = _read_varint(message, position)
    elif wire_type in (BYTES, FIXED32, FIXED64):
        if wire_type == BYTES:
            size, position = _read_varint(message, position)
        else:
            size = 4 if wire_type == FIXED32 else 8
        if number == 0 or position + size > len(message):
            raise ValueError(f'it announces {size} bytes where {len(message) - position} are left')
        value = message[position : position + size]
        position += size
    else:
        raise ValueError(f'it has a field of the unknown wire type {wire_type}')
    return Field(number, value, message[start:position]), position


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message) and shift < LONGEST_VARINT:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError('it ends in the middle of a number')


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _message(field: Field) -> memoryview:
    if not isinstance(field.value, memoryview):
        raise ValueError(f'field {field.number} is a number where a message belongs')
    return field.value


def _text(value: int | memoryview) -> str:
    return bytes(value).decode() if isinstance(value, memoryview) else ''


def _node_edges(
    fields: _Fields, node: memoryview, levels: int = MOST_LEVELS
) -> tuple[set[str], set[str]]:
    """Returns all names that a node reads, its inner graphs included, and all that it writes."""
    if not levels:
        raise ValueError('its graphs lie in each other without end')
    inputs, outputs = set(), set()
    for field in fields(node):
        if field.number == NODE_INPUT:
            inputs.add(_text(field.value))
        elif field.number == NODE_OUTPUT:
            outputs.add(_text(field.value))
        elif field.number == NODE_ATTRIBUTE:
            for part in fields(_message(field)):
                if part.number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                    inputs |= _graph_reads(fields, _message(part), levels - 1)
    return inputs, outputs - {''}


def _graph_reads(fields: _Fields, graph: memoryview, levels: int) -> set[str]:
    """Returns every name that an inner graph may take from outside."""
    names: set[str] = set()
    for field in fields(graph):
        if field.number == GRAPH_NODE:
            names |= _node_edges(fields, _message(field), levels)[0]
        elif field.number == GRAPH_OUTPUT:
            names.add(_tensor(fields, field).name)
    return names


def _tensor(fields: _Fields, field: Field) -> TensorInfo:
    name, element = '', 'unknown'
    shape: tuple[int | None, ...] | None = None
    for part in fields(_message(field)):
        if part.number == VALUE_NAME:
            name = _text(part.value)
        elif part.number == VALUE_TYPE:
            for kind in fields(_message(part)):
                if kind.number != TYPE_TENSOR:
                    continue
                for item in fields(_message(kind)):
                    if item.number == TENSOR_ELEMENT and isinstance(item.value, int):
                        element = ELEMENT_NAMES.get(item.value, f'type {item.value}')
                    elif item.number == TENSOR_SHAPE:
                        shape = tuple(_dimension(fields, axis) for axis in fields(_message(item)))
    return TensorInfo(name, element, shape)


def _dimension(fields: _Fields, axis: Field) -> int | None:
    for part in fields(_message(axis)):
        if part.number == DIMENSION_VALUE and isinstance(part.value, int):
            return part.value if 0 < part.value < LONGEST_AXIS else None  # 0 and -1 mean open
    return None
