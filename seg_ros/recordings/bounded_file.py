# SPDX-License-Identifier: Apache-2.0
"""A file of which no more can be asked than it has."""

from __future__ import annotations

import io
import os
from typing import Any

__all__ = ['BoundedFile']


class BoundedFile(io.BufferedReader):
    """Takes an open file over; a broken length in it costs what the file has, not what it says.

    Python makes room for whatever ``read`` is asked for, or ends in an OverflowError: both are
    an end of the file here, which every reader has to expect.
    """

    def __init__(self, file: Any) -> None:
        super().__init__(file.detach())
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(-1 if size is None else min(size, self._size))

    def seek(self, target: int, whence: int = os.SEEK_SET) -> int:
        return super().seek(min(target, self._size), whence)
