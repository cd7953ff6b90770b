"""GPU memory, one stream and its events: the little of CUDA that a backend needs.

    GpuMemory                 an abstract base that keeps the books: what is open is closed once
    ├── CudaBindingsMemory    cuda-bindings, the wheel of NVIDIA's cuda-python
    ├── PycudaMemory          pycuda, usual on a Jetson
    └── RecordingMemory       a fake for tests, without a GPU; never chosen by itself

Everything is queued on the one stream and happens in that order; only ``synchronise`` waits.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seg_ros.core.errors import BackendError, BackendUnavailable
from seg_ros.inference.cuda.gpu import GpuInfo, find_gpu

__all__ = [
    'MEMORIES',
    'DeviceMemory',
    'GpuMemory',
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
    "Install one: pip install 'cuda-bindings==13.4.4' (CUDA 13), pip install 'cuda-bindings<13' "
    '(CUDA 12, JetPack 6), or pip install pycuda'
)

MEBI = 1 << 20

NO_MEMORY = (
    'The GPU has no memory left. End other programs on it (nvidia-smi; on a Jetson tegrastats and '
    'free), or take a smaller network or max_batch.'
)

# What people can do about an error, by a part of its name
REMEDIES = (
    ('MemoryAllocation', NO_MEMORY),
    ('OUT_OF_MEMORY', NO_MEMORY),
    ('InsufficientDriver', 'Install a driver for this CUDA version, or an older cuda-bindings.'),
    ('ECC', "The GPU's memory is damaged: look at dmesg and nvidia-smi -q -d ECC."),
)
ELSE = 'Look at dmesg for an NVRM or Xid line; if it stays, restart the machine.'


class DeviceMemory(Protocol):
    """What a backend asks of CUDA. Addresses are plain integers; sizes are bytes.

    Attributes:
        name: Library and version, for people.
        gpu: The device.
        stream: Handle of the one stream, for TensorRT.
        can_capture: Whether calls on the stream can be recorded as a CUDA graph.
    """

    name: str
    gpu: GpuInfo
    stream: int
    can_capture: bool

    def current(self) -> Any:
        """Returns a context manager; within it the calling thread may use the device."""
        ...

    def allocate(self, size: int) -> int:
        """Returns the address of new device memory."""
        ...

    def host_array(
        self, shape: tuple[int, ...], dtype: DTypeLike, *, mapped: bool = False
    ) -> NDArray[Any]:
        """Returns a pinned array; if mapped, the device can use it in place."""
        ...

    def mapped_address(self, array: NDArray[Any]) -> int:
        """Returns the device's address of a mapped array."""
        ...

    def upload(self, array: NDArray[Any], address: int) -> None:
        """Queues a copy to the device; the array is pinned and contiguous."""
        ...

    def download(self, address: int, array: NDArray[Any]) -> None:
        """Queues a copy from the device; the array is pinned and contiguous."""
        ...

    def synchronise(self) -> None:
        """Waits for all that was queued."""
        ...

    def record_event(self) -> int:
        """Queues a new event and returns its handle."""
        ...

    def elapsed_ms(self, first: int, second: int) -> float:
        """Returns the time between two events that have happened."""
        ...

    def free_event(self, event: int) -> None:
        """Frees an event."""
        ...

    def capture(self, queue: Callable[[], None]) -> int:
        """Returns a graph of all that ``queue`` puts on the stream; nothing runs yet."""
        ...

    def launch(self, graph: int) -> None:
        """Queues a graph."""
        ...

    def free_graph(self, graph: int) -> None:
        """Frees a graph that is not running."""
        ...

    def free_bytes(self) -> int:
        """Returns the device memory that nobody uses."""
        ...

    def reset(self) -> None:
        """Frees all and throws the device's context away, as after an error that sticks."""
        ...

    def close(self) -> None:
        """Frees all that is still open; a second call does nothing."""
        ...


class GpuMemory(ABC):
    """Keeps the books of a ``DeviceMemory``; libraries fill in the calls.

    Args:
        name: Library and version.
        gpu: The device.
    """

    can_capture = True

    def __init__(self, name: str, gpu: GpuInfo) -> None:
        self.name = name
        self.gpu = gpu
        self._numbers = itertools.count(1)
        self._open: dict[tuple[str, int], Callable[[], None]] = {}
        self._is_closed = False
        self._enter()
        try:
            self.stream, close_stream = self._make_stream()
        finally:
            self._leave()
        self._open['stream', 0] = close_stream

    @property
    def open_count(self) -> int:
        """How many buffers, events, graphs and streams are open."""
        return len(self._open)

    @contextmanager
    def current(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def allocate(self, size: int) -> int:
        address, free = self._allocate(size)
        self._open['device', address] = free
        return address

    def host_array(
        self, shape: tuple[int, ...], dtype: DTypeLike, *, mapped: bool = False
    ) -> NDArray[Any]:
        array, free = self._host_array(shape, np.dtype(dtype), mapped)
        self._open['host', array.ctypes.data] = free
        return array

    def record_event(self) -> int:
        event, free = self._record_event()
        self._open['event', event] = free
        return event

    def free_event(self, event: int) -> None:
        self._open.pop(('event', event))()

    def capture(self, queue: Callable[[], None]) -> int:
        graph, free = self._capture(queue)
        self._open['graph', graph] = free
        return graph

    def free_graph(self, graph: int) -> None:
        self._open.pop(('graph', graph))()

    def reset(self) -> None:
        self.close()
        self._reset()

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._enter()
        try:
            failure: BackendError | None = None
            for key in reversed(list(self._open)):
                try:
                    self._open.pop(key)()
                except BackendError as error:  # the context is gone, and all of it with it
                    failure = error
        finally:
            self._leave()
        if failure is not None:
            raise failure

    @abstractmethod
    def upload(self, array: NDArray[Any], address: int) -> None: ...

    @abstractmethod
    def download(self, address: int, array: NDArray[Any]) -> None: ...

    @abstractmethod
    def mapped_address(self, array: NDArray[Any]) -> int: ...

    @abstractmethod
    def synchronise(self) -> None: ...

    @abstractmethod
    def elapsed_ms(self, first: int, second: int) -> float: ...

    @abstractmethod
    def launch(self, graph: int) -> None: ...

    @abstractmethod
    def free_bytes(self) -> int: ...

    @abstractmethod
    def _enter(self) -> None:
        """Makes the device current for this thread."""

    @abstractmethod
    def _leave(self) -> None:
        """Undoes ``_enter``."""

    @abstractmethod
    def _make_stream(self) -> tuple[int, Callable[[], None]]: ...

    @abstractmethod
    def _allocate(self, size: int) -> tuple[int, Callable[[], None]]: ...

    @abstractmethod
    def _host_array(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], mapped: bool
    ) -> tuple[NDArray[Any], Callable[[], None]]: ...

    @abstractmethod
    def _record_event(self) -> tuple[int, Callable[[], None]]: ...

    @abstractmethod
    def _capture(self, queue: Callable[[], None]) -> tuple[int, Callable[[], None]]: ...

    @abstractmethod
    def _reset(self) -> None: ...


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
    """Returns the error for a CUDA call that failed.

    Args:
        what: The call.
        name: The error's name, such as cudaErrorMemoryAllocation.
        text: What the library says about it.
        gpu: The device.
        free: Bytes of device memory that are left, where that is known.
    """
    remedy = next((fix for part, fix in REMEDIES if part in name), ELSE)
    left = f', {free // MEBI} of {gpu.total_bytes // MEBI} MB are free' if free >= 0 else ''
    return BackendError(f'{what} failed on {gpu.name} with {name} ({text}{left}). {remedy}')
