# SPDX-License-Identifier: Apache-2.0
"""pycuda cannot be imported without a driver; a stand-in with its names (2026.1) takes its place.

It shows that our code holds together, not that a GPU does what it says.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seg_ros.core.errors import BackendError
from seg_ros.inference.cuda import pycuda_memory
from seg_ros.inference.cuda.pycuda_memory import PycudaMemory
from seg_ros.inference.cuda.recording_memory import FAKE_GPU

CAPACITY = 1 << 20


class CudaError(Exception):
    pass


class CudaMemoryError(CudaError):
    pass


class Pinned:
    """What pycuda gives as the base of a pinned array."""

    def __init__(self, shape: Any, dtype: Any) -> None:
        self.memory = np.zeros(shape, dtype)
        self.__array_interface__ = self.memory.__array_interface__
        self.is_free = False

    def free(self) -> None:
        self.is_free = True

    def get_device_pointer(self) -> int:
        return 4096


class Driver(ModuleType):
    """``pycuda.driver`` as far as it is used, on memory of the host."""

    Error, MemoryError = CudaError, CudaMemoryError
    host_alloc_flags = SimpleNamespace(DEVICEMAP=2)

    def __init__(self) -> None:
        super().__init__('pycuda.driver')
        self.depth = 0
        self.memory: dict[int, np.ndarray[Any, Any]] = {}
        driver = self

        class Allocation:
            def __init__(self, size: int) -> None:
                if size > CAPACITY:
                    raise CudaMemoryError('cuMemAlloc failed: out of memory')
                self.address = 1 << 20
                driver.memory[self.address] = np.zeros(size, np.uint8)

            def __int__(self) -> int:
                return self.address

            def free(self) -> None:
                del driver.memory[self.address]

        class Context:
            def push(self) -> None:
                driver.depth += 1

            @staticmethod
            def pop() -> None:
                driver.depth -= 1

        class Device:
            def __init__(self, index: int) -> None:
                pass

            def retain_primary_context(self) -> Context:
                return Context()

        class Stream:
            handle = 77

            def __init__(self, flags: int) -> None:
                assert flags == 1

            def synchronize(self) -> None:
                pass

        class Event:
            def record(self, stream: Stream) -> None:
                assert isinstance(stream, Stream)

            def time_since(self, other: Event) -> float:
                return 1.5

        self.mem_alloc, self.Context, self.Device = Allocation, Context, Device
        self.Stream, self.Event = Stream, Event

    def init(self) -> None:
        pass

    def pagelocked_empty(self, shape: Any, dtype: Any, mem_flags: int = 0) -> Any:
        return np.asarray(Pinned(shape, dtype))

    def memcpy_htod_async(self, address: int, array: Any, stream: Any) -> None:
        assert self.depth == 1, 'the context must be current'
        self.memory[address][: array.nbytes] = array.reshape(-1).view(np.uint8)

    def memcpy_dtoh_async(self, array: Any, address: int, stream: Any) -> None:
        array[...] = self.memory[address][: array.nbytes].view(array.dtype).reshape(array.shape)

    def mem_get_info(self) -> tuple[int, int]:
        return CAPACITY, CAPACITY


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    package = ModuleType('pycuda')
    package.VERSION_TEXT = '2026.1'  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'pycuda', package)
    monkeypatch.setitem(sys.modules, 'pycuda.driver', made)
    pycuda_memory._primary_context.cache_clear()
    return made


def test_what_is_uploaded_comes_back_and_all_is_freed(driver: Driver) -> None:
    memory = PycudaMemory(FAKE_GPU)
    assert (memory.name, memory.stream, memory.can_capture) == ('pycuda 2026.1', 77, False)
    with memory.current():
        there, back = (memory.host_array((2, 3), np.float32) for _ in range(2))
        there[...] = 7.0
        address = memory.allocate(there.nbytes)
        memory.upload(there, address)
        memory.download(address, back)
        memory.synchronise()
        first, second = memory.record_event(), memory.record_event()
        assert memory.elapsed_ms(first, second) == 1.5
        memory.free_event(first)
        assert memory.mapped_address(memory.host_array((4,), np.uint8, mapped=True)) == 4096
        assert memory.free_bytes() == CAPACITY
    assert back.tolist() == [[7.0] * 3] * 2
    assert driver.depth == 0
    memory.close()
    memory.close()
    assert memory.open_count == 0
    assert not driver.memory
    assert there.base.is_free  # type: ignore[union-attr]
    assert driver.depth == 0


def test_its_errors_are_ours(driver: Driver) -> None:
    memory = PycudaMemory(FAKE_GPU)
    with pytest.raises(BackendError, match=r'cuMemAlloc failed .*OUT_OF_MEMORY .*no memory left'):
        memory.allocate(CAPACITY + 1)

    def fail() -> None:
        raise CudaError('an illegal memory access was encountered')

    memory._stream.synchronize = fail
    with pytest.raises(BackendError, match=r'cuStreamSynchronize failed .*illegal memory access'):
        memory.synchronise()
    with pytest.raises(BackendError, match='pycuda has no CUDA graphs'):
        memory.capture(lambda: None)
    with pytest.raises(BackendError, match='pycuda has no CUDA graphs'):
        memory.launch(1)


def test_one_context_serves_the_whole_process(driver: Driver) -> None:
    first, second = PycudaMemory(FAKE_GPU), PycudaMemory(FAKE_GPU)
    assert first._context is second._context
    first.close()
    second.close()
