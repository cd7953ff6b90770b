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
from numpy.typing import NDArray

from seg_ros.core.errors import BackendError, SegRosError
from seg_ros.inference.cuda.device_memory import open_device_memory
from seg_ros.inference.cuda.gpu import gpu_clocks

__all__ = ['CYCLES', 'CheckRow', 'Drift', 'check_memory', 'drift_of', 'main']

CYCLES = 100  # times
WARM_UP_CYCLES = 5  # libraries keep something of their first ones
MOST_BYTES_PER_CYCLE = 10 << 10  # that may be gone; a buffer that is forgotten is larger
SIGMAS = 3.0  # beyond what is noise: on a Jetson the free memory is that of the whole system
COPY_BYTES = 64 << 20  # milliseconds on the bus: longer than what a call costs
SMALL_BYTES, ROUND_TRIPS, LONG_WAITS = 256, 1000, 20
GIGA = 1e9


class CheckRow(NamedTuple):
    """One thing that was looked at."""

    check: str
    ok: bool
    value: str


class Drift(NamedTuple):
    """What is gone after making and freeing something again and again.

    Attributes:
        left_open: Buffers, events, graphs and streams of ours that were not freed.
        bytes_per_cycle: Slope of the memory that is not free.
        noise_bytes: Standard error of that slope.
    """

    left_open: int
    bytes_per_cycle: float
    noise_bytes: float

    @property
    def ok(self) -> bool:
        """Whether nothing is lost, as far as this can be told from what others do."""
        sure_bytes = self.bytes_per_cycle - SIGMAS * self.noise_bytes
        return self.left_open == 0 and sure_bytes <= MOST_BYTES_PER_CYCLE

    def __str__(self) -> str:
        return (
            f'{self.left_open} left open, {self.bytes_per_cycle:.0f} ± {self.noise_bytes:.0f} '
            'bytes gone each time'
        )


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
    drift = drift_of(open_memory, _open_and_close, cycles)
    keep(CheckRow(f'{cycles} memories', drift.ok, str(drift)))
    return {
        'library': memory.name,
        'upload_gb_s': COPY_BYTES / GIGA / up_ms * 1e3,
        'download_gb_s': COPY_BYTES / GIGA / down_ms * 1e3,
        'drift': drift._asdict(),
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


def drift_of(
    open_memory: Callable[[], Any], cycle: Callable[[Callable[[], Any]], object], cycles: int
) -> Drift:
    """Returns what is lost over the cycles: by our own counts, and by the slope of free memory.

    Args:
        open_memory: Opens the memory.
        cycle: Makes and frees something once, with the memory that it opens so.
        cycles: How often.
    """
    opened: list[Any] = []

    def watched() -> Any:
        opened.append(open_memory())
        return opened[-1]

    used = np.empty(cycles + 1)
    for _ in range(WARM_UP_CYCLES):
        cycle(open_memory)
    used[0] = -_free_bytes(open_memory)
    for index in range(cycles):
        cycle(watched)
        used[index + 1] = -_free_bytes(open_memory)
    slope, noise = _slope(used)
    return Drift(sum(memory.open_count for memory in opened), slope, noise)


def _slope(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the slope of a row of values, and its standard error."""
    times = np.arange(len(values)) - (len(values) - 1) / 2
    spread = float(times @ times)
    slope = float(times @ values) / spread
    rest = values - values.mean() - slope * times
    return slope, float(np.sqrt(rest @ rest / max(1, len(values) - 2) / spread))


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
