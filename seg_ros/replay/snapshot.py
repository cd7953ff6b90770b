# SPDX-License-Identifier: Apache-2.0
"""Objects of ours as data, and back: what a checkpoint holds.

A pickle may run any code when it is read, so none is read from a file. Here a file can only say
which values the objects of some classes have: no function is called and no module imported
because of it, but for the ``__setstate__`` of a class of ours. It begins with its checksum.

    magic, SHA-256 of the rest, length of the JSON, JSON (the objects), bytes of the arrays
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import struct
import sys
import types
from collections import deque
from collections.abc import Callable
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np

__all__ = ['restored', 'snapshot']

MAGIC = b'seg_ros snapshot 1\n'
DIGEST_BYTES = 32
LENGTH = struct.Struct('<Q')
KIND = re.compile(r'[<>|][biufcSUVmM]\d{1,4}(\[\w{1,8}\])?')  # of arrays, as dtype.str has it
# Whose classes may be in one; they must have been imported already
MODULES = ('seg_ros.core.', 'seg_ros.messages.', 'seg_ros.decisions', 'seg_ros.replay.vehicle',
           'rosbags.interfaces')  # fmt: skip


def snapshot(value: Any) -> bytes:
    """Returns a value with all that it is made of; what is shared stays shared.

    Raises:
        TypeError: Something in it is of a kind that is not kept.
    """
    writer = _Writer()
    root = writer.put(value)
    text = json.dumps({'root': root, 'nodes': writer.nodes}, separators=(',', ':')).encode()
    body = b''.join([LENGTH.pack(len(text)), text, *writer.blobs])
    return MAGIC + hashlib.sha256(body).digest() + body


def restored(data: bytes) -> Any:
    """Returns the value of a snapshot.

    Raises:
        ValueError: It is none, or it is damaged.
    """
    start = len(MAGIC) + DIGEST_BYTES
    body = memoryview(data)[start:]
    is_whole = data[: len(MAGIC)] == MAGIC and len(body) >= LENGTH.size
    if not is_whole or hashlib.sha256(body).digest() != data[len(MAGIC) : start]:
        raise ValueError('it is no snapshot, or it is damaged')
    try:
        (length,) = LENGTH.unpack_from(body)
        content = json.loads(bytes(body[LENGTH.size : LENGTH.size + length]))
        return _SnapshotReader(content['nodes'], body[LENGTH.size + length :]).get(content['root'])
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        raise ValueError(f'it is no snapshot of this version: {error!r}') from error


class _Writer:
    """Makes a list of nodes of objects; a value is itself, or ``[number of its node]``."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.blobs: list[bytes] = []
        self._end = 0
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # an id counts only as long as its object lives

    def put(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.nodes)
            self._kept.append(value)
            self.nodes.append(None)  # so that it may be in itself
            self.nodes[number] = self._node(value)
        return [number]

    def _node(self, value: Any) -> list[Any]:
        kind = type(value)
        if kind in CONTAINERS:
            return [CONTAINERS[kind], [self.put(row) for row in value]]
        if kind is dict:
            return ['dict', [[self.put(key), self.put(row)] for key, row in value.items()]]
        if kind is deque:
            return ['deque', value.maxlen, [self.put(row) for row in value]]
        if kind in (bytes, bytearray):
            return ['bytes', *self._blob(bytes(value))]
        if isinstance(value, (np.ndarray, np.generic)):
            if value.dtype.hasobject:
                raise TypeError(f'an array of {value.dtype} is not kept')
            shape = list(value.shape) if isinstance(value, np.ndarray) else None
            return ['array', value.dtype.str, shape, *self._blob(value.tobytes())]
        if isinstance(value, PurePath):
            return ['path', str(value)]
        if isinstance(value, functools.partial):
            parts = (value.func, value.args, value.keywords)
            return ['partial', *(self.put(part) for part in parts)]
        if isinstance(value, types.MethodType):
            return ['method', self.put(value.__self__), value.__func__.__name__]
        name = _name_of(kind)
        if isinstance(value, Enum):
            return ['enum', name, value.name]
        if isinstance(value, tuple):
            return ['named', name, [self.put(row) for row in value]]
        return ['object', name, self.put(_state_of(value))]

    def _blob(self, data: bytes) -> tuple[int, int]:
        begin = self._end
        self.blobs.append(data)
        self._end += len(data)
        return begin, len(data)


class _SnapshotReader:
    def __init__(self, nodes: list[Any], blob: memoryview) -> None:
        self._nodes = nodes
        self._blob = blob
        self._made: dict[int, Any] = {}

    def get(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        (number,) = value
        if number not in self._made:
            kind, *rest = self._nodes[number]
            make: Callable[..., Any] = getattr(self, f'_{kind}')
            self._made[number] = make(number, *rest)
        return self._made[number]

    def _list(self, number: int, rows: list[Any]) -> list[Any]:
        made: list[Any] = []
        self._made[number] = made
        made.extend(self.get(row) for row in rows)
        return made

    def _tuple(self, _number: int, rows: list[Any]) -> tuple[Any, ...]:
        return tuple(self.get(row) for row in rows)

    def _set(self, _number: int, rows: list[Any]) -> set[Any]:
        return {self.get(row) for row in rows}

    def _frozenset(self, _number: int, rows: list[Any]) -> frozenset[Any]:
        return frozenset(self.get(row) for row in rows)

    def _dict(self, number: int, rows: list[Any]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        self._made[number] = made
        for key, row in rows:
            made[self.get(key)] = self.get(row)
        return made

    def _deque(self, number: int, most: int | None, rows: list[Any]) -> deque[Any]:
        made: deque[Any] = deque(maxlen=most)
        self._made[number] = made
        made.extend(self.get(row) for row in rows)
        return made

    def _bytes(self, _number: int, begin: int, length: int) -> bytes:
        return bytes(self._blob[begin : begin + length])

    def _array(
        self, _number: int, kind: str, shape: list[int] | None, begin: int, length: int
    ) -> Any:
        if not KIND.fullmatch(kind):  # np.dtype reads any text as Python, and says SyntaxError
            raise TypeError(f'an array of {kind} is not kept')
        dtype = np.dtype(kind)
        flat = np.frombuffer(self._blob[begin : begin + length], dtype).copy()
        return flat[0] if shape is None else flat.reshape(shape)

    def _path(self, _number: int, text: str) -> PurePath:
        return PurePath(text)

    def _partial(self, _number: int, *parts: Any) -> functools.partial[Any]:
        function, arguments, keywords = (self.get(part) for part in parts)
        if not isinstance(function, types.MethodType):
            raise TypeError(f'{function!r} is no method')
        return functools.partial(function, *arguments, **keywords)

    def _method(self, _number: int, owner: Any, name: str) -> types.MethodType:
        owner = self.get(owner)
        _class_of(_name_of(type(owner)))
        function = getattr(type(owner), name)
        if not isinstance(function, types.FunctionType) or name.startswith('__'):
            raise TypeError(f'{name} is no method')
        return types.MethodType(function, owner)

    def _enum(self, _number: int, name: str, member: str) -> Any:
        kind: Any = _class_of(name)
        return kind[member]

    def _named(self, _number: int, name: str, rows: list[Any]) -> Any:
        kind: Any = _class_of(name)
        return tuple.__new__(kind, [self.get(row) for row in rows])

    def _object(self, number: int, name: str, state: Any) -> Any:
        kind = _class_of(name)
        made: Any = object.__new__(kind)
        self._made[number] = made
        values = self.get(state)
        if hasattr(kind, '__setstate__'):
            made.__setstate__(values)
        else:
            for key, value in values.items():
                object.__setattr__(made, key, value)  # also of a frozen one
        return made


CONTAINERS: dict[type, str] = {
    row: row.__name__ for row in (list, tuple, set, frozenset)
}  # exactly these; what is derived from them is an object of its own


def _name_of(kind: type) -> str:
    name = f'{kind.__module__}:{kind.__qualname__}'
    _class_of(name)
    return name


def _class_of(name: str) -> type:
    """Returns a class of ours that is imported."""
    module, _, path = name.partition(':')
    found: Any = sys.modules.get(module) if module.startswith(MODULES) else None
    for part in path.split('.'):
        found = getattr(found, part, None)
    if not isinstance(found, type) or f'{found.__module__}:{found.__qualname__}' != name:
        raise TypeError(f'{name} is not kept')
    return found


def _state_of(value: Any) -> dict[str, Any]:
    kind = type(value)
    if any('__getstate__' in vars(row) for row in kind.__mro__[:-1]):
        state: dict[str, Any] = value.__getstate__()
        return state
    slots = [
        name
        for row in kind.__mro__
        for name in vars(row).get('__slots__', ())
        if hasattr(value, name)
    ]
    return {**getattr(value, '__dict__', {}), **{name: getattr(value, name) for name in slots}}
