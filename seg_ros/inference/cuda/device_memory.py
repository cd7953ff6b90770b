# SPDX-License-Identifier: Apache-2.0
"""GPU memory, one stream and its events: the little of CUDA that a backend needs.

    DeviceMemory              what a backend asks of CUDA; what is open is freed once
    ├── CudaBindingsMemory    cuda-bindings, the wheel of NVIDIA's cuda-python
    ├── PycudaMemory          pycuda, usual on a Jetson
    └── RecordingMemory       a fake for tests, without a GPU; never chosen by itself

Everything is queued on the one stream and happens in that order; only ``synchronise`` waits.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seg_ros.core.errors import BackendError, BackendUnavailable, DeviceLost
from seg_ros.inference.cuda.gpu import GpuInfo, find_gpu

__all__ = [
    'MEMORIES',
    'DeviceMemory',
    'Free',
    'device_failure',
    'memory_version',
    'open_device_memory',
]

MEMORIES: dict[str, str] = {
    'cuda-bindings': 'seg_ros.inference.cuda.cuda_bindings_memory:CudaBindingsMemory',
    'pycuda': 'seg_ros.inference.cuda.pycuda_memory:PycudaMemory',
}
"""Name → where its class is; the first that can be imported is taken."""

INSTALL = (
    "Install one: pip install 'cuda-bindings==13.4.4' (CUDA 13, JetPack 7), pip install "
    "'cuda-bindings==12.9.10' (CUDA 12, JetPack 6), or pip install pycuda"
)

MEBI = 1 << 20

Free = Callable[[], None]
"""Frees what came with it; called once."""

NO_MEMORY = (
    'The GPU has no memory left. End other programs on it (nvidia-smi; on a Jetson tegrastats and '
    'free), or take a smaller network or max_batch.'
)

# What people can do about an error, by a part of its name
REMEDIES = (
    ('OUT_OF_MEMORY', NO_MEMORY),
    ('ECC', "The GPU's memory is damaged: look at dmesg and nvidia-smi -q -d ECC."),
)
ELSE = 'Look at dmesg for an NVRM or Xid line; if it stays, restart the machine.'

# Errors after which cuda.h says "the process must be terminated and relaunched", and those after
# which the context, which the whole process shares, is gone: by name, and as pycuda words them
LOST = {
    'ECC_UNCORRECTABLE': 'uncorrectable ECC error',
    'NVLINK_UNCORRECTABLE': 'uncorrectable NVLink error',
    'CONTAINED': 'invalid access of peer GPU memory',
    'ILLEGAL_ADDRESS': 'illegal memory access',
    'LAUNCH_TIMEOUT': 'the launch timed out',
    'CONTEXT_IS_DESTROYED': 'context is destroyed',
    'ASSERT': 'device-side assert',
    'HARDWARE_STACK_ERROR': 'hardware stack error',
    'ILLEGAL_INSTRUCTION': 'illegal instruction',
    'MISALIGNED_ADDRESS': 'misaligned address',
    'INVALID_ADDRESS_SPACE': 'global/shared address space',
    'INVALID_PC': 'invalid program counter',
    'LAUNCH_FAILED': 'unspecified launch failure',
    'TENSOR_MEMORY_LEAK': 'tensor memory',
    'MPS_CLIENT_TERMINATED': 'MPS client terminated',
    'EXTERNAL_DEVICE': 'external device',
}
NEW_PROCESS = 'This process cannot use the GPU any more; a new one can: start it again.'


class DeviceMemory(ABC):
    """What a backend asks of CUDA. Addresses are plain integers; sizes are bytes.

    The base keeps the books: what a library's hook opens comes with the function that frees it,
    and is freed once, at the latest by ``close``.

    Args:
        name: Library and version, for people.
        gpu: The device.

    Attributes:
        name: As given.
        gpu: As given.
        stream: Handle of the one stream, for TensorRT.
        can_capture: Whether calls on the stream can be recorded as a CUDA graph.
    """

    can_capture = True

    def __init__(self, name: str, gpu: GpuInfo) -> None:
        self.name = name
        self.gpu = gpu
        self._numbers = itertools.count(1)
        self._open: dict[tuple[str, int], Free] = {}
        self._is_closed = False
        self._retain()
        try:
            with self.current():
                self.stream, self._open['stream', 0] = self._make_stream()
        except BaseException:
            with suppress(BackendError):  # what went wrong first is what is told
                self.close()
            raise

    @property
    def open_count(self) -> int:
        """How many buffers, events, graphs and streams are open."""
        return len(self._open)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes a context within which the calling thread may use the device."""
        self._enter()
        try:
            yield
        except BaseException:
            with suppress(BackendError):  # the same here
                self._leave()
            raise
        self._leave()

    def keep(self, free: Free) -> None:
        """Calls what frees something of another library when its turn comes: see ``close``."""
        self._open['kept', next(self._numbers)] = free

    def allocate(self, size: int) -> int:
        """Returns the address of new device memory."""
        address, free = self._allocate(size)
        self._open['device', address] = free
        return address

    def host_array(
        self, shape: tuple[int, ...], dtype: DTypeLike, *, mapped: bool = False
    ) -> NDArray[Any]:
        """Returns a pinned array; if mapped, the device can use it in place."""
        array, free = self._host_array(shape, np.dtype(dtype), mapped)
        self._open['host', array.ctypes.data] = free
        return array

    @abstractmethod
    def mapped_address(self, array: NDArray[Any]) -> int:
        """Returns the device's address of a mapped array."""

    @abstractmethod
    def upload(self, array: NDArray[Any], address: int) -> None:
        """Queues a copy to the device; the array is pinned and contiguous."""

    @abstractmethod
    def download(self, address: int, array: NDArray[Any]) -> None:
        """Queues a copy from the device; the array is pinned and contiguous."""

    @abstractmethod
    def synchronise(self) -> None:
        """Waits for all that was queued."""

    def record_event(self) -> int:
        """Queues a new event and returns its handle."""
        event, free = self._record_event()
        self._open['event', event] = free
        return event

    @abstractmethod
    def elapsed_ms(self, first: int, second: int) -> float:
        """Returns the time between two events that have happened."""

    def free_event(self, event: int) -> None:
        """Frees an event."""
        self._open.pop(('event', event))()

    def capture(self, queue: Callable[[], None]) -> int:
        """Returns a graph of all that ``queue`` puts on the stream; nothing runs yet."""
        graph, free = self._capture(queue)
        self._open['graph', graph] = free
        return graph

    @abstractmethod
    def launch(self, graph: int) -> None:
        """Queues a graph."""

    def free_graph(self, graph: int) -> None:
        """Frees a graph that is not running."""
        self._open.pop(('graph', graph))()

    @abstractmethod
    def free_bytes(self) -> int:
        """Returns the device memory that nobody uses."""

    def close(self) -> None:
        """Frees all that is still open, the latest first; a second call does nothing.

        Raises:
            BackendError: The first thing that went wrong; the rest was freed all the same.
        """
        if self._is_closed:
            return
        self._is_closed = True
        failures: list[BackendError] = []

        def attempt(free: Free) -> None:
            try:
                free()
            except BackendError as error:
                failures.append(error)

        def free_all() -> None:
            with self.current():
                if self._open:
                    attempt(self.synchronise)  # what is still queued uses what is freed next
                for key in reversed(list(self._open)):
                    attempt(self._open.pop(key))

        attempt(free_all)
        if self._open:  # it could not enter: once more, or all of it is left behind
            attempt(free_all)
        attempt(self._release)
        if failures:
            raise failures[0]

    # Hooks of the libraries: each returns a handle or array, and how to free it.

    def _retain(self) -> None:  # noqa: B027  a library may have nothing to do
        """Asks for the context, before anything else."""

    def _release(self) -> None:  # noqa: B027
        """Lets go of the context, after everything else."""

    @abstractmethod
    def _enter(self) -> None:
        """Makes the device current for this thread."""

    @abstractmethod
    def _leave(self) -> None:
        """Undoes ``_enter``."""

    @abstractmethod
    def _make_stream(self) -> tuple[int, Free]: ...

    @abstractmethod
    def _allocate(self, size: int) -> tuple[int, Free]: ...

    @abstractmethod
    def _host_array(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], mapped: bool
    ) -> tuple[NDArray[Any], Free]: ...

    @abstractmethod
    def _record_event(self) -> tuple[int, Free]: ...

    @abstractmethod
    def _capture(self, queue: Callable[[], None]) -> tuple[int, Free]: ...


def open_device_memory(index: int = 0) -> DeviceMemory:
    """Returns the memory of a GPU through the first library that is there.

    Raises:
        BackendUnavailable: No GPU, or no library for it; the message says why for each.
    """
    gpu = find_gpu(index)
    name, _ = memory_version()
    module, class_name = MEMORIES[name].split(':')
    memory: DeviceMemory = getattr(import_module(module), class_name)(gpu, index)
    return memory


def memory_version() -> tuple[str, str]:
    """Returns name and version of the library that is taken; looks at no device.

    Raises:
        BackendUnavailable: None can be imported; the message says why for each.
    """
    reasons = []
    for name, target in MEMORIES.items():
        try:
            return name, import_module(target.split(':')[0]).version()
        except ImportError as error:
            reasons.append(f'{name}: {error}')
    raise BackendUnavailable(
        f'it needs cuda-bindings or pycuda to use the GPU ({"; ".join(reasons)}). {INSTALL}'
    )


def device_failure(what: str, name: str, text: str, gpu: GpuInfo, free: int = -1) -> BackendError:
    """Returns the error of a CUDA call; ``DeviceLost`` where only a new process helps.

    Args:
        what: The call.
        name: The error's name, such as CUDA_ERROR_OUT_OF_MEMORY.
        text: What the library says about it.
        gpu: The device.
        free: Bytes of device memory that are left, where that is known.
    """
    remedy = next((fix for part, fix in REMEDIES if part in name), ELSE)
    left = f', {free // MEBI} of {gpu.total_bytes // MEBI} MB are free' if free >= 0 else ''
    said = f'{what} failed on {gpu.name} with {name} ({text}{left}).'
    if any(name == f'CUDA_ERROR_{row}' or words in text for row, words in LOST.items()):
        return DeviceLost(f'{said} {NEW_PROCESS} {remedy}')
    return BackendError(f'{said} {remedy}')
