# SPDX-License-Identifier: Apache-2.0
"""Processes of a test: they are started on its domain, and are gone when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

__all__ = ['Start', 'started_on']

Process = subprocess.Popen[bytes]


class Start(Protocol):
    """Starts a process with more words; keywords go to Popen."""

    def __call__(self, *words: object, **more: Any) -> Process: ...


@contextmanager
def started_on(domain_id: int, log: Path, module: Sequence[str]) -> Iterator[Start]:
    """Gives what starts a module of the project; what it says comes into the log.

    Args:
        domain_id: Of the graph.
        log: Takes output and errors of all of them.
        module: Its name, and the words that every process has first.
    """
    processes: list[Process] = []

    def start(*words: object, **more: Any) -> Process:
        with log.open('ab') as output:
            process = subprocess.Popen(
                [sys.executable, '-m', *module, *map(str, words)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
                **{'stdin': subprocess.DEVNULL, **more},
            )
        processes.append(process)
        return process

    try:
        yield start
    finally:
        for process in processes:
            process.terminate()  # who is killed leaves its shared memory behind
        for process in processes:
            process.wait()
