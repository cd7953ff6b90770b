# SPDX-License-Identifier: Apache-2.0
"""What a long command is doing, on one line that changes; in a log file, now and then a line."""

from __future__ import annotations

import time
from typing import TextIO, final

__all__ = ['Progress']

LOG_PERIOD_S = 5.0  # between lines where they stay: a log of an hour has 720
CLEAR_LINE = '\r\x1b[K'


@final
class Progress:
    """Shows what is going on; a context manager that leaves the line clean.

    Args:
        stream: Where to; its line changes if it is a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._changes = stream.isatty()
        self._shown_s = -LOG_PERIOD_S

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._changes:
            self._write(CLEAR_LINE)

    def say(self, text: str) -> None:
        """Writes a line that stays."""
        self._write(f'{CLEAR_LINE if self._changes else ""}{text}\n')

    def show(self, text: str) -> None:
        """Shows what is going on now; the next call takes its place."""
        now_s = time.monotonic()
        if self._changes:
            self._write(f'{CLEAR_LINE}  {text}')
        elif now_s - self._shown_s >= LOG_PERIOD_S:
            self._shown_s = now_s
            self._write(f'  {text}\n')

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
