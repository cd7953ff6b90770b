# SPDX-License-Identifier: Apache-2.0
"""Keys that are pressed in the terminal, one by one, without waiting for any."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from typing import final

__all__ = ['Keys']

NAMES = {' ': 'space', '\x1b[C': 'right', '\x1b[D': 'left'}
SEQUENCE_BYTES = 16


@final
class Keys:
    """Reads keys of standard input where that is a terminal; a context manager."""

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno() if _is_ours() else None
        self._before: list[object] | None = None

    @property
    def there(self) -> bool:
        """Whether anybody can press one."""
        return self._terminal is not None

    def __enter__(self) -> Keys:
        if self._terminal is not None:
            self._before = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)  # Ctrl-C stays a signal
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._terminal is not None and self._before is not None:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def pressed(self) -> str:
        """Returns a key out of ``space``, ``left``, ``right``; empty for no such key."""
        if self._terminal is None or not select.select([self._terminal], [], [], 0.0)[0]:
            return ''
        word = os.read(self._terminal, SEQUENCE_BYTES)
        if not word:
            self._terminal = None  # it was hung up
        return NAMES.get(word.decode('ascii', 'replace'), '')


def _is_ours() -> bool:
    """Whether standard input is a terminal that this process may read, being in front."""
    try:
        terminal = sys.stdin.fileno()
        return os.isatty(terminal) and os.tcgetpgrp(terminal) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # no standard input at all
        return False
