# SPDX-License-Identifier: Apache-2.0
"""Messages that are filled anew for each frame instead of being made anew.

To make a message costs more than to fill it: the 53 poses of a path 0.5 ms, and 0.03 ms. Who
publishes or writes one has its bytes before the next frame, so that nobody sees it change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.messages.types import DiagnosticStatus, KeyValue, packed

__all__ = ['Pool', 'ReusedStatus', 'fill']


class Pool:
    """Messages of one kind, which are used again; it grows to the most that were ever needed.

    Args:
        make: Makes one more.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._messages: list[Any] = []

    def first(self, count: int) -> list[Any]:
        """Returns so many of them, as they were left: each field is to be set that ever was."""
        while len(self._messages) < count:
            self._messages.append(self._make())
        return self._messages[:count]


class ReusedStatus:
    """A DiagnosticStatus that is the same message again and again."""

    def __init__(self) -> None:
        self._message = DiagnosticStatus()
        self._rows = Pool(KeyValue)

    def filled(
        self, level: bytes, name: str, message: str, values: Mapping[str, str]
    ) -> DiagnosticStatus:
        """Returns it with other words.

        Args:
            level: Of ``DiagnosticStatus``.
            name: Of the status, as tools list it.
            message: In short.
            values: All else.
        """
        status, rows = self._message, self._rows.first(len(values))
        for row, (key, value) in zip(rows, values.items(), strict=True):
            row.key, row.value = key, value
        status.level, status.name, status.message, status.values = level, name, message, rows
        return status


def fill(message: Any, field: str, typecode: str, values: NDArray[Any]) -> None:
    """Writes values to a packed field: to the bytes that it has, where they are as many.

    Args:
        message: Whose field it is.
        field: Its name.
        typecode: As ``packed`` takes it.
        values: Any shape; the bytes count.
    """
    held = np.frombuffer(getattr(message, field), typecode)
    if held.nbytes == values.nbytes:
        held[:] = np.ascontiguousarray(values).reshape(-1).view(typecode)
    else:
        setattr(message, field, packed(typecode, values))
