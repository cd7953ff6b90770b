# SPDX-License-Identifier: Apache-2.0
"""Targets that do what none may, so that it is known that a run finds it and keeps the input."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

__all__ = ['TARGETS', 'run']


def raises(data: bytes) -> None:
    raise ValueError(data)


def dies(_data: bytes) -> None:
    ctypes.string_at(0)


def waits(_data: bytes) -> None:
    """Holds Python's lock, so that no handler of a signal can end it."""
    ctypes.PyDLL(None).sleep(3600)


def grows(_data: bytes) -> None:
    [b'x' * (1 << 20 | number) for number in range(1200)]


TARGETS: dict[str, Callable[[bytes], None]] = {
    row.__name__: row for row in (raises, dies, waits, grows)
}


def run(name: str, data: bytes) -> None:
    """Gives bytes to a target."""
    TARGETS[name](data)
