# SPDX-License-Identifier: Apache-2.0
"""A plan that is built in a process of its own, so that neither its load nor its crash is ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from seg_ros.core.errors import BackendError
from seg_ros.inference.engine import Engine
from seg_ros.inference.tensorrt.plan_build import BuildOptions

__all__ = ['BackgroundBuild', 'BuildState', 'build_command']

STOP_TIMEOUT_S = 5.0  # a build ends at once when it is asked; after that it is killed
LAST_WORDS = 400  # characters of a crashed build's output, as one line of a log can hold
LAST_LINES = 20  # of that output that are kept: a stack trace's end


class BuildState(NamedTuple):
    """Where a build stands.

    Attributes:
        is_done: Whether it has ended, well or not.
        failure: Why it failed; empty while it runs and when it ended well.
        phase: What it does.
        share: How much of it is done, 0 to 1.
        elapsed_s: How long it has taken so far.
    """

    is_done: bool
    failure: str
    phase: str
    share: float
    elapsed_s: float


def build_command(
    engine: Engine, options: BuildOptions, cache_path: Path, *, force: bool = False
) -> list[str]:
    """Returns the command line of the ``build_process`` that builds a plan."""
    width, height = engine.network_size_wh
    return [
        sys.executable,
        '-m',
        'seg_ros.inference.tensorrt.build_process',
        str(engine.folder.resolve()),
        '--precision',
        options.precision,
        '--network-size',
        f'{width}x{height}',
        '--max-batch',
        str(options.max_batch),
        '--cache',
        str(cache_path),
        *(['--force'] if force else []),
    ]


class BackgroundBuild:
    """A running build; it ends with this process, however that ends.

    Args:
        command: Words of the process; see ``build_command``. It prints JSON lines, each with
            ``phase`` and ``share``, or ``failed``, or ``plan`` at its end.
        environment: Of the process; this one's by default.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._start_s = time.monotonic()
        self._end_s: float | None = None
        self._phase, self._share, self._failure = 'starting', 0.0, ''
        self._has_plan = False
        self._is_closed = False
        try:
            self._process = subprocess.Popen(
                list(command),
                # The build watches this pipe: its end means that we are gone.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(os.environ if environment is None else environment),
                text=True,
                start_new_session=True,  # Ctrl-C is for the node, which ends the build in order
            )
        except OSError as error:
            raise BackendError(f'The build cannot be started: {error}.') from error
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._read, name='plan-build', daemon=True)
        self._listener = threading.Thread(target=self._listen, name='plan-errors', daemon=True)
        self._listener.start()
        self._reader.start()

    def state(self) -> BuildState:
        """Returns where it stands; never waits."""
        end_s = self._end_s
        return BuildState(
            end_s is not None,
            self._failure,
            self._phase,
            self._share,
            (end_s or time.monotonic()) - self._start_s,
        )

    def wait(self) -> BuildState:
        """Waits for the end and returns how it was."""
        self._reader.join()
        return self.state()

    def close(self) -> None:
        """Ends the build if it still runs; a second call does nothing."""
        self._is_closed = True
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reader.join(STOP_TIMEOUT_S)

    def _read(self) -> None:
        """Follows the build to its end; runs in a thread."""
        process = self._process
        assert process.stdout is not None
        assert process.stdin is not None
        for line in process.stdout:
            with suppress(ValueError):  # what libraries print is not for us
                row = json.loads(line)
                if isinstance(row, dict):
                    self._take(row)
        code = process.wait()
        self._listener.join(STOP_TIMEOUT_S)
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        if not self._has_plan and not self._failure:
            if self._is_closed:
                self._failure = 'it was ended'
            else:
                how = f'signal {-code}' if code < 0 else f'exit code {code}'
                said = ' '.join(' '.join(self._errors).split())[-LAST_WORDS:]
                self._failure = f'its process ended with {how}{f": {said}" if said else ""}'
        self._end_s = time.monotonic()

    def _listen(self) -> None:
        """Keeps what the build says outside its protocol; runs in a thread."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)
            del self._errors[:-LAST_LINES]
        self._process.stderr.close()

    def _take(self, row: Mapping[str, object]) -> None:
        if 'failed' in row:
            self._failure = str(row['failed'])
        elif 'plan' in row:
            self._has_plan, self._share = True, 1.0
        elif isinstance(share := row.get('share'), (int, float)):
            self._phase, self._share = str(row.get('phase', '')), float(share)
