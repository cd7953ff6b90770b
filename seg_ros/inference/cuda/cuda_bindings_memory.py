# SPDX-License-Identifier: Apache-2.0
"""GPU memory through cuda-bindings, which imports anywhere and answers honestly without a GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from importlib import import_module, metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.inference.cuda.device_memory import DeviceMemory, Free, device_failure
from seg_ros.inference.cuda.gpu import GpuInfo

__all__ = ['CudaBindingsMemory', 'version']

OUT_OF_MEMORY = 'cudaErrorMemoryAllocation'


def version() -> str:
    """Returns the package with its version.

    Raises:
        ImportError: It is not installed.
    """
    import_module('cuda.bindings.runtime')
    return f'cuda-bindings {metadata.version("cuda-bindings")}'


class CudaBindingsMemory(DeviceMemory):
    """The memory of one GPU in CUDA's primary context; see ``DeviceMemory``.

    Args:
        gpu: What is known of the device.
        index: Its number.
    """

    def __init__(self, gpu: GpuInfo, index: int = 0) -> None:
        self._cuda: Any = import_module('cuda.bindings.runtime')
        self._index = index
        super().__init__(version(), gpu)

    def upload(self, array: NDArray[Any], address: int) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(address, array.ctypes.data, array.nbytes, kind)

    def download(self, address: int, array: NDArray[Any]) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(array.ctypes.data, address, array.nbytes, kind)

    def mapped_address(self, array: NDArray[Any]) -> int:
        return int(self._call('cudaHostGetDevicePointer', array.ctypes.data, 0))

    def synchronise(self) -> None:
        self._call('cudaStreamSynchronize', self.stream)

    def elapsed_ms(self, first: int, second: int) -> float:
        return float(self._call('cudaEventElapsedTime', first, second))

    def launch(self, graph: int) -> None:
        self._call('cudaGraphLaunch', graph, self.stream)

    def free_bytes(self) -> int:
        return int(self._call('cudaMemGetInfo')[0])

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        self._call('cudaMemcpyAsync', target, source, size, kind, self.stream)

    def _enter(self) -> None:
        self._call('cudaSetDevice', self._index)  # per thread, and cheap when it is set already

    def _leave(self) -> None:
        pass  # the primary context stays current, as CUDA's runtime means it

    def _make_stream(self) -> tuple[int, Free]:
        stream = int(self._call('cudaStreamCreateWithFlags', self._cuda.cudaStreamNonBlocking))
        return stream, partial(self._free, 'cudaStreamDestroy', stream)

    def _allocate(self, size: int) -> tuple[int, Free]:
        address = int(self._call('cudaMalloc', size))
        return address, partial(self._free, 'cudaFree', address)

    def _host_array(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], mapped: bool
    ) -> tuple[NDArray[Any], Free]:
        count = int(np.prod(shape))
        flags = self._cuda.cudaHostAllocMapped if mapped else self._cuda.cudaHostAllocDefault
        address = int(self._call('cudaHostAlloc', max(1, count * dtype.itemsize), flags))
        memory = (ctypes.c_uint8 * (count * dtype.itemsize)).from_address(address)
        array: NDArray[Any] = np.frombuffer(memoryview(memory), dtype, count).reshape(shape)
        return array, partial(self._free, 'cudaFreeHost', address)

    def _record_event(self) -> tuple[int, Free]:
        event = int(self._call('cudaEventCreate'))
        self._call('cudaEventRecord', event, self.stream)
        return event, partial(self._free, 'cudaEventDestroy', event)

    def _capture(self, queue: Callable[[], None]) -> tuple[int, Free]:
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call('cudaStreamBeginCapture', self.stream, mode)
        try:
            queue()
        finally:  # the stream must leave its capture whatever happened
            graph = self._call('cudaStreamEndCapture', self.stream)
        try:
            launchable = int(self._call('cudaGraphInstantiate', graph, 0))
        finally:
            self._call('cudaGraphDestroy', graph)
        return launchable, partial(self._free, 'cudaGraphExecDestroy', launchable)

    def _reset(self) -> None:
        self._call('cudaDeviceReset')

    def _free(self, function: str, handle: int) -> None:
        self._call(function, handle)

    def _call(self, function: str, *arguments: Any) -> Any:
        """Calls CUDA; returns what comes beside the error code."""
        error, *values = getattr(self._cuda, function)(*arguments)
        if error != self._cuda.cudaError_t.cudaSuccess:
            _, text = self._cuda.cudaGetErrorString(error)
            free = -1
            if error.name == OUT_OF_MEMORY:
                code, left, _ = self._cuda.cudaMemGetInfo()
                free = int(left) if code == self._cuda.cudaError_t.cudaSuccess else -1
            raise device_failure(function, error.name, text.decode(), self.gpu, free)
        return values[0] if len(values) == 1 else values
