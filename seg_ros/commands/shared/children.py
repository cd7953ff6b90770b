# SPDX-License-Identifier: Apache-2.0
"""Processes that a command starts, watches, and never leaves behind; and how far each is."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.inference.cpu_backend import available_cores

__all__ = ['Child', 'Children', 'LatestCounts', 'check_jobs', 'end_with_parent']

STOP_TIMEOUT_S = 15.0  # for each signal; a recorder finishes its bag meanwhile
LOG_LINES = 12  # of a child that died, for its epitaph
MOST_JOBS_PER_CORE = 8  # each has a network, hundreds of megabytes
PR_SET_PDEATHSIG = 1  # prctl(2)
LIBC = ctypes.CDLL(None)  # not to be loaded between fork and exec


class Child:
    """A process whose output goes to a log file.

    Args:
        name: What it is, for people.
        words: Its command line.
        log: Its output; overwritten.
        environment: Its environment.
    """

    def __init__(
        self, name: str, words: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        with log.open('wb') as output:
            # A session of its own: Ctrl-C reaches the command alone, which stops its children in
            # order. Where the command is killed, the kernel asks them to end.
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def check(self, *, may_end: bool = False) -> None:
        """Returns when all is well.

        Args:
            may_end: Whether it may have ended, as long as it did so without an error.

        Raises:
            SegRosError: It died; the message ends with the end of its log.
        """
        code = self.exit_code
        if code is None or (may_end and code == 0):
            return
        lines = self.log.read_text(encoding='utf-8', errors='replace').splitlines()
        end = '\n'.join(f'  {line}' for line in lines[-LOG_LINES:]) or '  (nothing)'
        raise SegRosError(
            f'The {self.name} ended early, with exit code {code}. The end of {self.log}:\n{end}'
        )

    def stop(self) -> None:
        """Ends it: politely, then firmly."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)


@final
class Children:
    """Starts children, and at its end stops those that are left, the latest first.

    Args:
        logs: Folder of the log files.
        environment: Of every child.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = environment
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_exception: object) -> None:
        for child in reversed(self._children):
            child.stop()

    def start(self, name: str, words: Sequence[str]) -> Child:
        """Returns the running child; its log is ``<name>.log``."""
        child = Child(name, words, self._logs / f'{name}.log', self._environment)
        self._children.append(child)
        return child


class LatestCounts:
    """Follows a log that has, among other lines, an object of counts in JSON now and then.

    Args:
        log: The file; it may still be written to.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read_to = 0
        self._counts: dict[str, int] = {}

    def read(self) -> dict[str, int]:
        """Returns the latest counts, none before the first."""
        with self._log.open('rb') as log:
            log.seek(self._read_to)
            whole, newline, _ = log.read().rpartition(b'\n')
        self._read_to += len(whole) + len(newline)
        lines = [line for line in whole.splitlines() if line.startswith(b'{')]
        if lines:
            self._counts = json.loads(lines[-1])
        return self._counts


def check_jobs(jobs: int) -> None:
    """Refuses a number of processes that is none, or that would bring the machine down.

    Raises:
        ConfigurationError: It is less than 1 or more than the cores can use.
    """
    most = MOST_JOBS_PER_CORE * available_cores()
    if not 1 <= jobs <= most:
        msg = (
            f'--jobs {jobs}: give 1 to {most}, {MOST_JOBS_PER_CORE} for each core of this machine.'
        )
        raise ConfigurationError(msg)


def end_with_parent(parent: int = 0) -> None:
    """Called in a child: it gets SIGTERM when its parent dies (Linux).

    Args:
        parent: Its process; where that has died before, the child ends at once. A child that
            begins slowly must know it, or it waits for ever.
    """
    with contextlib.suppress(AttributeError, OSError):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if parent and os.getppid() != parent:
        os._exit(128 + signal.SIGTERM)
