# SPDX-License-Identifier: Apache-2.0
"""What a running process takes, as Linux tells it in ``/proc``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ['ProcessFigures', 'children_of', 'figures_of_process']

PAGE_MB = os.sysconf('SC_PAGE_SIZE') / (1 << 20)
TICK_S = 1.0 / os.sysconf('SC_CLK_TCK')
USER_TICKS, SYSTEM_TICKS, THREADS = 11, 12, 17  # proc(5), counted after the name


class ProcessFigures(NamedTuple):
    """A look at a process.

    Attributes:
        rss_mb: Memory that it has in RAM.
        files: Open file descriptors.
        threads: Their number.
        cpu_s: Time on a core since its start.
    """

    rss_mb: float
    files: int
    threads: int
    cpu_s: float


def figures_of_process(process_id: int) -> ProcessFigures | None:
    """Returns what a process takes now, None if it is gone."""
    folder = Path(f'/proc/{process_id}')
    try:
        fields = (folder / 'stat').read_text().rpartition(')')[2].split()
        pages = int((folder / 'statm').read_text().split()[1])
        files = len(list((folder / 'fd').iterdir()))
    except OSError:
        return None
    ticks = int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])
    return ProcessFigures(pages * PAGE_MB, files, int(fields[THREADS]), ticks * TICK_S)


def children_of(process_id: int) -> dict[int, str]:
    """Returns the command lines of a process's children by their ids."""
    found: dict[int, str] = {}
    for folder in Path('/proc').iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / 'stat').read_text().rpartition(')')[2].split()[1])
            if parent == process_id:
                words = (folder / 'cmdline').read_bytes().split(b'\0')
                found[int(folder.name)] = b' '.join(words).decode(errors='replace').strip()
        except OSError:
            continue  # it is gone meanwhile
    return found
