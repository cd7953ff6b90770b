# SPDX-License-Identifier: Apache-2.0
"""The tests of the memory with AddressSanitizer: who reads or writes beyond is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from test.gpu_stand_in.conftest import REPORTS
from test.gpu_stand_in.stand_in import build, environment
from test.paths import REPOSITORY

TIMEOUT_S = 300.0
TESTS = 'test/gpu_stand_in/test_memory.py'
BEYOND = """
import ctypes
from seg_ros.inference.cuda.device_memory import open_device_memory
memory = open_device_memory()
with memory.current():
    address = memory.allocate(64)
    library = ctypes.CDLL('libcuda.so.1')
    library.standin_view.restype = ctypes.c_void_p
    bytes_there = library.standin_view(ctypes.c_uint64(address), ctypes.c_size_t(64))
    ctypes.memset(bytes_there, 1, 65)
"""


def library_of_gcc(name: str) -> str:
    said = subprocess.run(
        ['gcc', f'-print-file-name={name}'], capture_output=True, text=True, check=True
    )
    path = said.stdout.strip()
    if not Path(path).is_absolute():
        pytest.skip(f'gcc has no {name}')
    return path


def run_sanitised(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    build(folder, '-fsanitize=address')
    preload = ' '.join(library_of_gcc(name) for name in ('libasan.so', 'libstdc++.so.6'))
    return subprocess.run(
        [sys.executable, *words],
        env=environment(
            folder,
            LD_PRELOAD=preload,
            ASAN_OPTIONS=f'detect_leaks=0:handle_segv=0:log_path={folder}/asan',
            PYTHONMALLOC='malloc',
            **{REPORTS: os.devnull},
        ),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def complaints(folder: Path) -> str:
    return ''.join(file.read_text(errors='replace') for file in folder.glob('asan.*'))


def test_nothing_is_touched_beyond_what_was_given(tmp_path: Path) -> None:
    done = run_sanitised(tmp_path, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', TESTS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert complaints(tmp_path) == ''


def test_one_byte_beyond_is_seen(tmp_path: Path) -> None:
    """The negative control."""
    done = run_sanitised(tmp_path, '-c', BEYOND)
    assert done.returncode != 0
    assert 'heap-buffer-overflow' in complaints(tmp_path)
