# SPDX-License-Identifier: Apache-2.0
"""Signs of life of a command that waits for what says nothing itself."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TextIO, final

from seg_ros.commands.shared.progress import CLEAR_LINE

__all__ = ['Patience']

TICK_S = 1.0
DOT_S = 2.0  # between dots where lines stay, so that nobody waits for 3 s without a character


@final
class Patience:
    """Says what is waited for and how long by now; a context manager that leaves the line clean.

    Args:
        stream: Where to. On a terminal a line changes; elsewhere dots come after a while.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._changes = stream.isatty()
        self._what = ''
        self._since_s = self._written_s = time.monotonic()
        self._has_dots = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name='patience', daemon=True)

    def __enter__(self) -> Patience:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        with self._lock:
            if self._changes:
                self._write(CLEAR_LINE)
            elif self._has_dots:
                self._write('\n')

    def show(self, what: str) -> None:
        """Says what comes now."""
        with self._lock:
            self._what, self._since_s = what, time.monotonic()
            if self._changes:
                self._write(f'{CLEAR_LINE}  {what}')

    def _tick(self) -> None:
        while not self._over.wait(TICK_S):
            with self._lock:
                now_s = time.monotonic()
                if self._changes:
                    self._write(f'{CLEAR_LINE}  {self._what}  {now_s - self._since_s:.0f} s')
                elif now_s - self._written_s >= DOT_S - TICK_S / 2.0:
                    self._has_dots = True
                    self._write('.')

    def _write(self, text: str) -> None:
        self._written_s = time.monotonic()
        self._stream.write(text)
        self._stream.flush()
