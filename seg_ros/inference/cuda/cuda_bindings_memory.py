# SPDX-License-Identifier: Apache-2.0
"""GPU memory through cuda-bindings, by the driver's own calls.

Not by the runtime's: the wheels from 12.9 on carry a runtime that refuses a driver older than
itself (error 35 on JetPack 6, whose driver is of 12.6). The driver's calls have no such gate.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module, metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import BackendError, BackendUnavailable
from seg_ros.inference.cuda.device_memory import DeviceMemory, Free, device_failure
from seg_ros.inference.cuda.gpu import GpuInfo

__all__ = ['CudaBindingsMemory', 'version']

# cuda.h
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: nothing waits for the stream that all share
DEVICEMAP = 2  # CU_MEMHOSTALLOC_DEVICEMAP
BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC: who waits sleeps, and leaves its core to others

ALLOCATING = ('cuMemAlloc', 'cuMemHostAlloc')


def version() -> str:
    """Returns the package with its version.

    Raises:
        ImportError: It is not installed.
    """
    import_module('cuda.bindings.driver')
    return f'cuda-bindings {metadata.version("cuda-bindings")}'


class CudaBindingsMemory(DeviceMemory):
    """The memory of one GPU in CUDA's primary context; see ``DeviceMemory``.

    Args:
        gpu: What is known of the device.
        index: Its number.

    Raises:
        BackendUnavailable: The driver does not know a call that is needed.
        BackendError: The driver fails.
    """

    def __init__(self, gpu: GpuInfo, index: int = 0) -> None:
        self._cuda: Any = import_module('cuda.bindings.driver')
        self._index = index
        super().__init__(version(), gpu)

    def upload(self, array: NDArray[Any], address: int) -> None:
        self._call('cuMemcpyHtoDAsync', address, array.ctypes.data, array.nbytes, self.stream)

    def download(self, address: int, array: NDArray[Any]) -> None:
        self._call('cuMemcpyDtoHAsync', array.ctypes.data, address, array.nbytes, self.stream)

    def mapped_address(self, array: NDArray[Any]) -> int:
        return int(self._call('cuMemHostGetDevicePointer', array.ctypes.data, 0))

    def synchronise(self) -> None:
        self._call('cuStreamSynchronize', self.stream)

    def elapsed_ms(self, first: int, second: int) -> float:
        return float(self._call('cuEventElapsedTime', first, second))

    def launch(self, graph: int) -> None:
        self._call('cuGraphLaunch', graph, self.stream)

    def free_bytes(self) -> int:
        return int(self._call('cuMemGetInfo')[0])

    def _retain(self) -> None:
        self._call('cuInit', 0)
        self._device = self._call('cuDeviceGet', self._index)
        self._call('cuDevicePrimaryCtxSetFlags', self._device, BLOCKING_SYNC)
        self._context = self._call('cuDevicePrimaryCtxRetain', self._device)

    def _release(self) -> None:
        self._call('cuDevicePrimaryCtxRelease', self._device)

    def _enter(self) -> None:
        self._call('cuCtxPushCurrent', self._context)

    def _leave(self) -> None:
        self._call('cuCtxPopCurrent')

    def _make_stream(self) -> tuple[int, Free]:
        stream = int(self._call('cuStreamCreate', NON_BLOCKING))
        return stream, partial(self._free, 'cuStreamDestroy', stream)

    def _allocate(self, size: int) -> tuple[int, Free]:
        address = int(self._call('cuMemAlloc', size))
        return address, partial(self._free, 'cuMemFree', address)

    def _host_array(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], mapped: bool
    ) -> tuple[NDArray[Any], Free]:
        count = int(np.prod(shape))
        size = max(1, count * dtype.itemsize)
        address = int(self._call('cuMemHostAlloc', size, DEVICEMAP if mapped else 0))
        memory = (ctypes.c_uint8 * (count * dtype.itemsize)).from_address(address)
        array: NDArray[Any] = np.frombuffer(memoryview(memory), dtype, count).reshape(shape)
        return array, partial(self._free, 'cuMemFreeHost', address)

    def _record_event(self) -> tuple[int, Free]:
        event = int(self._call('cuEventCreate', 0))
        free = partial(self._free, 'cuEventDestroy', event)
        try:
            self._call('cuEventRecord', event, self.stream)
        except BaseException:
            with suppress(BackendError):
                free()
            raise
        return event, free

    def _capture(self, queue: Callable[[], None]) -> tuple[int, Free]:
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call('cuStreamBeginCapture', self.stream, mode)
        try:
            queue()
        except BaseException:  # the stream must leave its capture whatever happened
            with suppress(BackendError):
                self._call('cuGraphDestroy', int(self._call('cuStreamEndCapture', self.stream)))
            raise
        graph = int(self._call('cuStreamEndCapture', self.stream))
        try:
            launchable = int(self._call('cuGraphInstantiate', graph, 0))
        finally:
            with suppress(BackendError):  # an error of before; the next call tells it, too
                self._call('cuGraphDestroy', graph)
        return launchable, partial(self._free, 'cuGraphExecDestroy', launchable)

    def _free(self, function: str, handle: int) -> None:
        self._call(function, handle)

    def _call(self, function: str, *arguments: Any) -> Any:
        """Calls CUDA; returns what comes beside the error code."""
        cuda = self._cuda
        try:
            error, *values = getattr(cuda, function)(*arguments)
        except RuntimeError as missing:  # by cuda-bindings itself, which looks for it in libcuda
            raise BackendUnavailable(
                f'{self.gpu.name} has a driver that does not fit {version()}: {missing}. Install '
                'a newer driver, or the cuda-bindings of its CUDA version (seg_ros doctor).'
            ) from missing
        if error == cuda.CUresult.CUDA_SUCCESS:
            return values[0] if len(values) == 1 else values
        _, text = cuda.cuGetErrorString(error)
        free = -1
        if function in ALLOCATING:  # within the context, so that there is an answer
            code, left, _ = cuda.cuMemGetInfo()
            free = int(left) if code == cuda.CUresult.CUDA_SUCCESS else -1
        raise device_failure(function, error.name, (text or b'').decode(), self.gpu, free)
