# SPDX-License-Identifier: Apache-2.0
"""GPU memory without a GPU: a fake for tests that records what it is asked.

It ships with the package, so that every test of GPU code uses the same one. Nothing chooses it by
itself: who wants it must make it. Device memory is memory of the host that only ``upload``,
``download`` and ``view`` reach, and what is queued happens when it is waited for, so that a
backend that reads too early gets nothing.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seg_ros.core.errors import BackendError
from seg_ros.inference.cuda.device_memory import DeviceMemory, Free, device_failure
from seg_ros.inference.cuda.gpu import GpuInfo

__all__ = ['FAKE_GPU', 'RecordingMemory']

FAKE_GPU = GpuInfo('no GPU (recording fake)', (8, 6), is_integrated=False, total_bytes=1 << 30)

FIRST_ADDRESS = 1 << 40  # where a process has nothing: who follows it on the host crashes
ALIGNMENT = 256  # bytes, as cudaMalloc gives it

# What is mapped belongs to the context, which all memories of a process share
_mapped: dict[int, NDArray[Any]] = {}
_mapped_addresses = itertools.count(2 * FIRST_ADDRESS, ALIGNMENT)


class RecordingMemory(DeviceMemory):
    """Records every call in ``calls``; see ``DeviceMemory``.

    Args:
        gpu: What it says it is.
        capacity: Bytes of device memory; more is refused as CUDA refuses it.

    Attributes:
        calls: Name of every call, in order; those inside a graph at its capture.
        threads: Identifiers of all threads that called.
        failing: Name of the call that fails from now on, and the error's name; None for none.
    """

    def __init__(self, gpu: GpuInfo = FAKE_GPU, capacity: int = 1 << 30) -> None:
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self.failing: tuple[str, str] | None = None
        self.capacity = capacity
        self._used = 0
        self._next_address = FIRST_ADDRESS
        self._memory: dict[int, NDArray[np.uint8]] = {}
        self._queue: list[Callable[[], None]] = []
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        super().__init__('recording fake, no GPU', gpu)

    def view(self, address: int, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Returns device memory as an array, as a kernel sees it."""
        if address in _mapped:
            return _mapped[address].reshape(-1)[: int(np.prod(shape))].reshape(shape)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = self._memory[address]
        assert size <= len(memory), f'{size} bytes are used, {len(memory)} are allocated'
        return memory[:size].view(dtype).reshape(shape)

    def enqueue(self, name: str, work: Callable[[], None]) -> None:
        """Queues work on the stream, as a library that runs kernels does."""
        self._record(name)
        self._queue.append(work)

    def upload(self, array: NDArray[Any], address: int) -> None:
        def work() -> None:
            self.view(address, array.shape, array.dtype)[...] = array

        self.enqueue('upload', work)

    def download(self, address: int, array: NDArray[Any]) -> None:
        def work() -> None:
            array[...] = self.view(address, array.shape, array.dtype)

        self.enqueue('download', work)

    def mapped_address(self, array: NDArray[Any]) -> int:
        self._record('mapped_address')
        return next(key for key, row in _mapped.items() if row.base is array.base)

    def synchronise(self) -> None:
        self._record('synchronise')
        queue, self._queue = self._queue, []
        for work in queue:
            work()

    def elapsed_ms(self, first: int, second: int) -> float:
        self._record('elapsed_ms')
        return float(second - first)

    def launch(self, graph: int) -> None:
        self._record('launch')
        self._queue += self._graphs[graph]

    def free_bytes(self) -> int:
        return self.capacity - self._used

    def _record(self, name: str) -> None:
        self.calls.append(name)
        self.threads.add(threading.get_ident())
        if self.failing is not None and self.failing[0] == name:
            raise device_failure(name, self.failing[1], 'told to fail', self.gpu)

    def _enter(self) -> None:
        self.threads.add(threading.get_ident())

    def _leave(self) -> None:
        pass

    def _make_stream(self) -> tuple[int, Free]:
        self._record('make_stream')
        return 1, lambda: None

    def _allocate(self, size: int) -> tuple[int, Free]:
        self._record('allocate')
        if size > self.free_bytes():
            raise device_failure(
                'allocate',
                'CUDA_ERROR_OUT_OF_MEMORY',
                'out of memory',
                self.gpu,
                self.free_bytes(),
            )
        address = self._next_address
        self._next_address += (size // ALIGNMENT + 1) * ALIGNMENT
        self._memory[address] = np.zeros(size, np.uint8)
        self._used += size
        return address, partial(self._free, address)

    def _free(self, address: int) -> None:
        self._record('free')
        self._used -= len(self._memory.pop(address))

    def _host_array(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], mapped: bool
    ) -> tuple[NDArray[Any], Free]:
        self._record('host_array')
        array = np.zeros(int(np.prod(shape)) * dtype.itemsize, np.uint8).view(dtype).reshape(shape)
        address = next(_mapped_addresses)
        if mapped:
            _mapped[address] = array

        def free() -> None:
            self._record('free_host')
            _mapped.pop(address, None)

        return array, free

    def _record_event(self) -> tuple[int, Free]:
        self._record('record_event')
        return next(self._numbers), partial(self._record, 'free_event')

    def _capture(self, queue: Callable[[], None]) -> tuple[int, Free]:
        self._record('capture')
        waiting, self._queue = self._queue, []
        try:
            queue()
        except BackendError:
            self._queue = waiting
            raise
        graph = next(self._numbers)
        self._graphs[graph], self._queue = self._queue, waiting
        return graph, partial(self._record, 'free_graph')
