# SPDX-License-Identifier: Apache-2.0
"""Builds the stand-in for a CUDA driver, and speaks to the one that this process has loaded."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from test.paths import REPOSITORY

__all__ = ['GIB', 'KINDS', 'StandIn', 'build', 'environment']

HERE = Path(__file__).parent
KINDS = ('device', 'host', 'mapped', 'stream', 'event', 'graph', 'launchable graph')
GIB = 1 << 30


def build(folder: Path, *flags: str) -> Path:
    """Returns the folder of the driver, compiled; skips the test where there is no compiler."""
    if shutil.which('gcc') is None:
        pytest.skip('gcc is not installed, and makes the driver of this test')
    library = folder / 'libcuda.so.1'
    words = ['-shared', '-fPIC', '-O1', '-g', '-Wall', '-Wl,-soname,libcuda.so.1', *flags]
    subprocess.run(
        ['gcc', *words, str(HERE / 'driver.c'), '-o', str(library), '-lpthread', '-ldl'],
        check=True,
    )
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Returns the environment of a process that finds the driver, and TensorRT beside it."""
    paths = [str(REPOSITORY), str(HERE / 'packages'), os.environ.get('PYTHONPATH', '')]
    return {
        **os.environ,
        'LD_LIBRARY_PATH': f'{folder}:{os.environ.get("LD_LIBRARY_PATH", "")}',
        'PYTHONPATH': os.pathsep.join(filter(None, paths)),
        **more,
    }


class StandIn:
    """The driver of this process; every test begins with a new one."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL('libcuda.so.1')
        self._library.standin_problems.restype = ctypes.c_char_p
        self._library.standin_last_call.restype = ctypes.c_char_p
        self._library.standin_calls.restype = ctypes.c_long
        self._library.standin_open.restype = ctypes.c_size_t
        self.heal()
        self.be()

    def be(
        self, *, is_integrated: bool = False, total_bytes: int = 8 * GIB, execute_ms: float = 0.0
    ) -> None:
        """Says what kind of GPU it is; with execute_ms a network takes that long."""
        self._library.standin_be(
            is_integrated, ctypes.c_size_t(total_bytes), ctypes.c_int64(int(execute_ms * 1e6))
        )

    def fail(self, call: str = '', *, at: int = 1, error: int = 999, sticks: bool = False) -> None:
        """Lets a call fail, counted from now on: that of a name, or any."""
        self._library.standin_fail(call.encode(), ctypes.c_long(at), error, sticks)

    def heal(self) -> None:
        """Makes all as in a new process."""
        self._library.standin_heal()

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return int(self._library.standin_calls())

    @property
    def last_call(self) -> str:
        """The name of the latest."""
        return str(self._library.standin_last_call().decode())

    @property
    def problems(self) -> list[str]:
        """What was done wrong so far, a line each."""
        return str(self._library.standin_problems().decode()).splitlines()

    @property
    def waits_asleep(self) -> bool:
        """Whether who waits for it leaves the core to others (CU_CTX_SCHED_BLOCKING_SYNC)."""
        return bool(self._library.standin_flags() & 4)

    def open(self) -> dict[str, int]:
        """Returns how much is open of each kind; empty where nothing is."""
        counts = {name: self._library.standin_open(row) for row, name in enumerate(KINDS)}
        counts['context'] = self._library.standin_retained()
        return {name: count for name, count in counts.items() if count}

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Within it nothing is done wrong, and nothing is left open at its end."""
        yield
        assert self.problems == []
        assert self.open() == {}
