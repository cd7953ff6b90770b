# SPDX-License-Identifier: Apache-2.0
"""What of our GPU code can be checked on any NVIDIA GPU, without TensorRT: its memory.

    python -m seg_ros.commands.gpu.memory_check

needs numpy and cuda-bindings or pycuda only, and prints its rows and figures as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from seg_ros.core.errors import BackendError, SegRosError
from seg_ros.inference.cuda.device_memory import open_device_memory
from seg_ros.inference.cuda.gpu import gpu_clocks

__all__ = ['CYCLES', 'MOST_DRIFT_BYTES', 'CheckRow', 'check_memory', 'drift_bytes', 'main']

CYCLES = 100  # times; so a leak of more than 10 KiB each time is seen
WARM_UP_CYCLES = 5  # libraries keep something of their first ones
MOST_DRIFT_BYTES = 1 << 20  # over all cycles; the driver's own books come and go
COPY_BYTES = 64 << 20  # milliseconds on the bus: longer than what a call costs
SMALL_BYTES, ROUND_TRIPS, LONG_WAITS = 256, 1000, 20
GIGA = 1e9


class CheckRow(NamedTuple):
    """One thing that was looked at."""

    check: str
    ok: bool
    value: str


def check_memory(
    open_memory: Callable[[], Any], keep: Callable[[CheckRow], None], cycles: int = CYCLES
) -> dict[str, Any]:
    """Looks at the memory of the GPU, without TensorRT; returns its figures.

    Args:
        open_memory: Opens it.
        keep: Takes what was found.
        cycles: How often it is opened and closed.
    """
    memory = open_memory()
    with memory.current():
        there, back = (memory.host_array((COPY_BYTES,), np.uint8) for _ in range(2))
        address = memory.allocate(COPY_BYTES)
        there[:] = np.random.default_rng(0).integers(0, 256, COPY_BYTES, np.uint8)

        def both() -> None:
            memory.upload(there, address)
            memory.download(address, back)

        both()
        memory.synchronise()
        keep(CheckRow('pinned copies', bool((there == back).all()), f'{COPY_BYTES >> 20} MB'))
        events = [memory.record_event()]
        memory.upload(there, address)
        events.append(memory.record_event())
        memory.download(address, back)
        events.append(memory.record_event())
        memory.synchronise()
        up_ms = memory.elapsed_ms(events[0], events[1])
        down_ms = memory.elapsed_ms(events[1], events[2])
        keep(
            CheckRow('events', up_ms > 0 and down_ms > 0, f'{up_ms:.2f} ms up, {down_ms:.2f} down')
        )
        if memory.can_capture:
            graph = memory.capture(both)
            there[:] ^= 0xFF
            memory.launch(graph)
            memory.synchronise()
            keep(CheckRow('CUDA graph', bool((there == back).all()), 'copies, captured'))
        mapped = memory.host_array((256,), np.uint8, mapped=True)
        keep(CheckRow('mapped memory', memory.mapped_address(mapped) != 0, 'has an address'))
        try:
            memory.allocate(memory.gpu.total_bytes * 4)
            keep(CheckRow('too much memory', False, 'it was given'))
        except BackendError as error:
            keep(CheckRow('too much memory', 'no memory left' in str(error), str(error)))
        wait = _wait_figures(memory, there, address, both)
    memory.close()
    drift = drift_bytes(open_memory, lambda: _open_and_close(open_memory), cycles)
    keep(
        CheckRow(
            f'{cycles} memories', drift <= MOST_DRIFT_BYTES, f'{drift} bytes are gone after them'
        )
    )
    return {
        'library': memory.name,
        'upload_gb_s': COPY_BYTES / GIGA / up_ms * 1e3,
        'download_gb_s': COPY_BYTES / GIGA / down_ms * 1e3,
        'drift_bytes': drift,
        **wait,
    }


def _wait_figures(
    memory: Any, there: Any, address: int, queue: Callable[[], None]
) -> dict[str, float]:
    """Returns what waiting costs: the way there and back of a word, and processor time."""
    small = there[:SMALL_BYTES]
    trips_us = []
    for _ in range(ROUND_TRIPS):
        start_s = time.perf_counter()
        memory.upload(small, address)
        memory.synchronise()
        trips_us.append((time.perf_counter() - start_s) * 1e6)
    wall_s, cpu_s = time.perf_counter(), time.thread_time()
    for _ in range(LONG_WAITS):
        queue()
        memory.synchronise()
    return {
        'round_trip_us': float(np.median(trips_us)),
        'wait_ms': (time.perf_counter() - wall_s) / LONG_WAITS * 1e3,
        'wait_cpu_ms': (time.thread_time() - cpu_s) / LONG_WAITS * 1e3,
    }


def drift_bytes(open_memory: Callable[[], Any], cycle: Callable[[], object], cycles: int) -> int:
    """Returns by how many bytes the free memory shrinks over the cycles."""
    for _ in range(WARM_UP_CYCLES):
        cycle()
    before = _free_bytes(open_memory)
    for _ in range(cycles):
        cycle()
    return before - _free_bytes(open_memory)


def _free_bytes(open_memory: Callable[[], Any]) -> int:
    memory = open_memory()
    try:
        with memory.current():
            return int(memory.free_bytes())
    finally:
        memory.close()


def _open_and_close(open_memory: Callable[[], Any]) -> None:
    memory = open_memory()
    with memory.current():
        memory.allocate(1 << 20)
        memory.host_array((1 << 20,), np.uint8)
        memory.record_event()
        memory.synchronise()
    memory.close()


def main() -> int:
    """Checks the memory of this machine's GPU; returns 0 if all is well."""
    rows: list[CheckRow] = []
    try:
        memory = open_device_memory()
        gpu = memory.gpu
        memory.close()
        figures = check_memory(open_device_memory, rows.append)
    except SegRosError as error:
        print(f'Nothing can be checked here: {error}', file=sys.stderr)
        return 1
    told = {
        'gpu': gpu._asdict(),
        'clocks': gpu_clocks()._asdict(),
        'memory': figures,
        'checks': [row._asdict() for row in rows],
    }
    print(json.dumps(told, indent=2))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == '__main__':
    sys.exit(main())
