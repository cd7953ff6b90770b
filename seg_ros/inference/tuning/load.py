# SPDX-License-Identifier: Apache-2.0
"""What runs beside a network on a robot: cameras whose images are copied, and busy neighbours.

    python -m seg_ros.inference.tuning.load --hz 30     one camera
    python -m seg_ros.inference.tuning.load --hz 0      a neighbour that wants a whole core

Each is a process, as camera drivers and neighbours are, and ends when its caller does.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['beside_load', 'main', 'others_share']

CAMERA_SHAPE = (720, 1280, 3)
NETWORK_SIZE_WH = (640, 360)
COPIES = 3  # driver, middleware, message
STOP_TIMEOUT_S = 5.0
LOOK_S = 0.4  # the kernel counts in hundredths of a second
CPU_TIMES = Path('/proc/stat')
IDLE = (3, 4)  # of the columns of a processor there: idle, and waiting for a disk
COLUMNS = 8  # that add up; guests are in the others


@contextmanager
def beside_load(cameras: int, hz: float, neighbours: int = 0) -> Iterator[None]:
    """Runs so many cameras and busy neighbours while its block runs."""
    module = [sys.executable, '-m', __name__]
    rates = [hz] * cameras + [0.0] * neighbours
    children: list[subprocess.Popen[bytes]] = []
    try:
        for rate in rates:
            words = [*module, '--hz', str(rate)]
            child = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            children.append(child)
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()  # it has begun
        yield
    finally:
        for child in children:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.close()  # it ends
        for child in children:
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            assert child.stdout is not None
            child.stdout.close()


def others_share(seconds: float = LOOK_S) -> float:
    """Returns which share of the processors others take while this process waits, 0 to 1.

    The processors are those that this process may use; other guests of the same host count, too.
    0 where the system does not tell.
    """
    before = _cpu_times()
    time.sleep(seconds)
    spent = _cpu_times() - before
    whole = float(spent.sum())
    return 1.0 - float(spent[list(IDLE)].sum()) / whole if whole > 0.0 else 0.0


def _cpu_times() -> NDArray[np.float64]:
    """``(COLUMNS,)`` ticks of the processors that this process may use, together."""
    total = np.zeros(COLUMNS)
    try:
        rows = re.findall(r'^cpu(\d+) (.*)$', CPU_TIMES.read_text(), re.MULTILINE)
        allowed = os.sched_getaffinity(0)
    except (OSError, AttributeError):  # not Linux
        return total
    for number, ticks in rows:
        if int(number) in allowed:
            total += np.array(ticks.split()[:COLUMNS], dtype=np.float64)
    return total


def main(words: Sequence[str] | None = None) -> int:
    """Is a camera or a neighbour until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--hz', type=float, required=True)
    hz = parser.parse_args(words).hz
    cv2.setNumThreads(1)
    image = np.zeros(CAMERA_SHAPE, np.uint8)
    over = threading.Event()
    threading.Thread(target=_end_with_caller, args=(over,), daemon=True).start()
    print('ready', flush=True)
    due_s = time.monotonic()
    while not over.is_set():
        for _ in range(COPIES):
            image = image.copy()
        cv2.cvtColor(cv2.resize(image, NETWORK_SIZE_WH), cv2.COLOR_RGB2BGR)
        if hz > 0.0:
            due_s = max(due_s + 1.0 / hz, time.monotonic())
            over.wait(due_s - time.monotonic())
    return 0


def _end_with_caller(over: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    over.set()


if __name__ == '__main__':
    sys.exit(main())
