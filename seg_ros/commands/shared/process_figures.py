# SPDX-License-Identifier: Apache-2.0
"""What a running process takes, as Linux tells it in ``/proc``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ['ProcessFigures', 'children_of', 'figures_of_process']

MEMORY = ('VmRSS', 'RssAnon', 'RssShmem')  # in kB
TICK_S = 1.0 / os.sysconf('SC_CLK_TCK')
USER_TICKS, SYSTEM_TICKS, THREADS = 11, 12, 17  # proc(5), counted after the name


class ProcessFigures(NamedTuple):
    """A look at a process.

    Attributes:
        rss_mb: Memory that it has in RAM.
        own_mb: Of that, what nobody else has and no file backs: a leak of its own grows here.
        shared_mb: Of that, memory shared with other processes, as DDS carries images in. It grows
            until every page of the segments was used once, whose size is fixed.
        files: Open file descriptors.
        threads: Their number.
        cpu_s: Time on a core since its start.
    """

    rss_mb: float
    own_mb: float
    shared_mb: float
    files: int
    threads: int
    cpu_s: float


def figures_of_process(process_id: int) -> ProcessFigures | None:
    """Returns what a process takes now, None if it is gone."""
    folder = Path(f'/proc/{process_id}')
    try:
        fields = (folder / 'stat').read_text().rpartition(')')[2].split()
        rows = (row.partition(':') for row in (folder / 'status').read_text().splitlines())
        status = {name: value.split() for name, _, value in rows}
        files = len(list((folder / 'fd').iterdir()))
    except OSError:
        return None
    ticks = int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])
    memory_mb = [int(status[name][0]) / 1024 for name in MEMORY if name in status]
    if len(memory_mb) < len(MEMORY):  # it has ended, and nobody has waited for it yet
        return None
    return ProcessFigures(*memory_mb, files, int(fields[THREADS]), ticks * TICK_S)


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
