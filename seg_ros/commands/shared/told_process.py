# SPDX-License-Identifier: Apache-2.0
"""A process that is told what to do in lines of JSON, and answers in the same way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seg_ros.commands.shared.children import end_with_parent

__all__ = ['ToldProcess']

END_S = 10.0  # then it is killed


class ToldProcess:
    """A process that takes lines of JSON, and whose lines are read as they come.

    Args:
        name: Of its log.
        words: Its command line.
        logs: Folder of the log.
        environment: Its environment.
        hear: Takes each of its lines that is JSON.
    """

    def __init__(
        self,
        name: str,
        words: list[str],
        logs: Path,
        environment: Mapping[str, str],
        hear: Callable[[dict[str, Any]], None] = lambda _row: None,
    ) -> None:
        self.name = name
        self._hear = hear
        with (logs / f'{name}.log').open('ab') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(environment),
                text=True,
                preexec_fn=end_with_parent,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def tell(self, row: Mapping[str, Any]) -> None:
        """Sends a line; one to a process that is gone is lost."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(row) + '\n')
            self._process.stdin.flush()
        except OSError:
            pass

    def signal(self, number: int) -> None:
        """Sends a signal to this process alone."""
        self._process.send_signal(number)

    def end(self) -> None:
        """Ends it: politely, then firmly."""
        for number in (signal.SIGCONT, signal.SIGTERM):
            if self.is_alive:
                self._process.send_signal(number)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{'):
                self._hear(json.loads(line))
