# SPDX-License-Identifier: Apache-2.0
"""Whatever ends an evaluation of several processes, none of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT_S = 120.0
WORDS = '--task stop --labels exact --jobs 2 --events 4 --quiet-minutes 1'


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_an_evaluation_that_is_ended_while_its_processes_begin_leaves_none(number: int) -> None:
    """They take seconds to begin; the parent that they would have ended with was gone by then."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'seg_ros.cli', 'evaluate', *WORDS.split()],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end_s = time.monotonic() + LIMIT_S
    while len(tree := below(process.pid)) < 3:  # two that drive, and Python's own
        assert process.poll() is None
        assert time.monotonic() < end_s
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(LIMIT_S) != 0
    while left := [pid for pid in tree if lives(pid)]:
        assert time.monotonic() < end_s, left
        time.sleep(0.1)


def below(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    found = []
    for children in Path(f'/proc/{pid}/task').glob('*/children'):
        try:
            for word in children.read_text().split():
                found += [int(word), *below(int(word))]
        except OSError:  # a thread that has ended
            continue
    return found


def lives(pid: int) -> bool:
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'
