# SPDX-License-Identifier: Apache-2.0
"""The processes that ``seg_ros bench`` measures with: started, asked, and always ended.

Both sides of the talk, one JSON object a line: orders go to a process on its stdin and end with
it; its answers come on stdout, and everything else goes to stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import seg_ros
from seg_ros.commands.shared.own_graph import own_graph
from seg_ros.core.errors import SegRosError

__all__ = ['BenchProcess', 'Order', 'Orders', 'answer', 'bench_environment']

ANSWER_TIMEOUT_S = 600.0  # the longest play takes minutes
WATCH_PERIOD_S = 0.5  # how soon the death of another process is noticed
END_TIMEOUT_S = 10.0  # then it is killed
LOG_LINES = 15  # of a process that died, for its epitaph
PACKAGE = Path(seg_ros.__file__).parent

Order = dict[str, Any]


def bench_environment(log_folder: Path) -> dict[str, str]:
    """Returns this process's environment with a DDS domain of its own on this machine alone."""
    return {
        **own_graph(os.environ, os.getpid()).environment,
        'ROS_LOG_DIR': str(log_folder),
        'PYTHONPATH': os.pathsep.join([str(PACKAGE.parent), os.environ.get('PYTHONPATH', '')]),
    }


@final
class BenchProcess:
    """One Python process, which may answer orders in lines of JSON.

    Args:
        name: For messages and the log.
        words: What follows ``python`` on the command line.
        environment: Its environment.
        log_folder: Where what it says on stderr is kept.
    """

    def __init__(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], log_folder: Path
    ) -> None:
        self.name = name
        self._log_path = log_folder / f'{name}.log'
        self._log = self._log_path.open('wb')
        self._process = subprocess.Popen(
            [sys.executable, *words],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> BenchProcess:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def order(self, **order: Any) -> None:
        """Sends an order whose answer is asked for later."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + '\n')
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def answer(self, watched: Sequence[BenchProcess] = ()) -> dict[str, Any]:
        """Waits for the next line of JSON.

        Args:
            watched: Processes without which it would wait in vain.

        Raises:
            SegRosError: This or a watched process has ended, or nothing comes; with the end of
                its log.
        """
        line: str | None = ''
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while line == '':
            try:
                line = self._lines.get(timeout=WATCH_PERIOD_S)
            except queue.Empty:
                for process in watched:
                    process.check_alive()
                if time.monotonic() > deadline_s:
                    raise SegRosError(f'{self.name} says nothing.{self._tail()}') from None
        if line is None:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, watched: Sequence[BenchProcess] = (), **order: Any) -> dict[str, Any]:
        """Sends an order and waits for its answer, as ``answer`` does."""
        self.order(**order)
        return self.answer(watched)

    def check_alive(self) -> None:
        """Raises SegRosError, with the end of its log, if the process has ended."""
        if self._process.poll() is not None:
            raise self._ended()

    def resident_bytes(self) -> int:
        """Returns the memory that the process holds (RSS)."""
        self.check_alive()
        pages = int(Path(f'/proc/{self._process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE')

    def processor_s(self) -> float:
        """Returns the processor time that the process has taken, its threads' included (s)."""
        self.check_alive()
        # What stands after the name, which may hold anything; user and system time, proc(5)
        fields = Path(f'/proc/{self._process.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def close(self) -> None:
        """Ends the process as Ctrl-C would, and hard when that does not help."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        # Not communicate(), which closes the output under the thread that reads it
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=END_TIMEOUT_S)
        if not self._reader.is_alive():
            self._process.stdout.close()
        self._log.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{'):
                self._lines.put(line)
        self._lines.put(None)

    def _ended(self) -> SegRosError:
        code = self._process.wait()
        return SegRosError(f'{self.name} has ended with code {code}.{self._tail()}')

    def _tail(self) -> str:
        lines = self._log_path.read_text(errors='replace').splitlines()[-LOG_LINES:]
        return ' The end of its log:\n' + '\n'.join(lines) if lines else ' Its log is empty.'


class Orders:
    """Reads orders in a thread, so that whoever obeys can look without waiting."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Order | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._waiting.put(json.loads(line))
        self._waiting.put(None)

    def next(self) -> Order | None:
        """Waits for the next order; None at the end."""
        return self._waiting.get()

    def is_empty(self) -> bool:
        """Tells whether no order (and no end) has come since the last one."""
        return self._waiting.empty()


def answer(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)
