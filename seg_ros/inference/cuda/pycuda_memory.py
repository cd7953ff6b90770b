# SPDX-License-Identifier: Apache-2.0
"""GPU memory through pycuda: what JetPack's users have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import BackendError
from seg_ros.inference.cuda.device_memory import DeviceMemory, Free, device_failure
from seg_ros.inference.cuda.gpu import GpuInfo

__all__ = ['PycudaMemory', 'version']

NON_BLOCKING = 1  # cuda.h, CU_STREAM_NON_BLOCKING


def version() -> str:
    """Returns the package with its version.

    Raises:
        ImportError: It is not installed, or finds no driver.
    """
    import_module('pycuda.driver')
    return f'pycuda {import_module("pycuda").VERSION_TEXT}'


@cache
def _primary_context(index: int) -> Any:
    """Returns the context that TensorRT uses, too; it lasts as long as the process.

    pycuda cannot let go of it in another thread than the one that asked for it.
    """
    return import_module('pycuda.driver').Device(index).retain_primary_context()


class PycudaMemory(DeviceMemory):
    """The memory of one GPU in CUDA's primary context; see ``DeviceMemory``.

    pycuda has no capture of CUDA graphs.

    Args:
        gpu: What is known of the device.
        index: Its number.
    """

    can_capture = False

    def __init__(self, gpu: GpuInfo, index: int = 0) -> None:
        self._cuda: Any = import_module('pycuda.driver')
        self._events: dict[int, Any] = {}
        self.gpu = gpu
        with self._mapped('cuInit'):
            self._cuda.init()
            self._context: Any = _primary_context(index)
        super().__init__(version(), gpu)

    def upload(self, array: NDArray[Any], address: int) -> None:
        with self._mapped('cuMemcpyHtoDAsync'):
            self._cuda.memcpy_htod_async(address, array, self._stream)

    def download(self, address: int, array: NDArray[Any]) -> None:
        with self._mapped('cuMemcpyDtoHAsync'):
            self._cuda.memcpy_dtoh_async(array, address, self._stream)

    def mapped_address(self, array: NDArray[Any]) -> int:
        with self._mapped('cuMemHostGetDevicePointer'):
            return int(array.base.get_device_pointer())  # type: ignore[union-attr]

    def synchronise(self) -> None:
        with self._mapped('cuStreamSynchronize'):
            self._stream.synchronize()

    def elapsed_ms(self, first: int, second: int) -> float:
        with self._mapped('cuEventElapsedTime'):
            return float(self._events[second].time_since(self._events[first]))

    def launch(self, graph: int) -> None:  # noqa: ARG002  the protocol's signature
        raise self._no_graphs()

    def free_bytes(self) -> int:
        with self._mapped('cuMemGetInfo'):
            return int(self._cuda.mem_get_info()[0])

    def _enter(self) -> None:
        with self._mapped('cuCtxPushCurrent'):
            self._context.push()

    def _leave(self) -> None:
        with self._mapped('cuCtxPopCurrent'):
            self._cuda.Context.pop()

    def _make_stream(self) -> tuple[int, Free]:
        with self._mapped('cuStreamCreate'):
            self._stream: Any = self._cuda.Stream(NON_BLOCKING)
        return int(self._stream.handle), self._drop_stream

    def _drop_stream(self) -> None:
        self._stream = None  # pycuda frees with the last reference

    def _allocate(self, size: int) -> tuple[int, Free]:
        with self._mapped('cuMemAlloc'):
            memory = self._cuda.mem_alloc(size)
        return int(memory), memory.free

    def _host_array(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], mapped: bool
    ) -> tuple[NDArray[Any], Free]:
        flags = self._cuda.host_alloc_flags.DEVICEMAP if mapped else 0
        with self._mapped('cuMemHostAlloc'):
            array: NDArray[Any] = self._cuda.pagelocked_empty(shape, dtype, mem_flags=flags)
        return array, array.base.free  # type: ignore[union-attr]

    def _record_event(self) -> tuple[int, Free]:
        with self._mapped('cuEventRecord'):
            event = self._cuda.Event()
            event.record(self._stream)
        number = next(self._numbers)
        self._events[number] = event
        return number, partial(self._drop_event, number)

    def _drop_event(self, number: int) -> None:
        del self._events[number]

    def _capture(
        self,
        queue: Callable[[], None],  # noqa: ARG002  the base's signature
    ) -> tuple[int, Free]:
        raise self._no_graphs()

    def _no_graphs(self) -> BackendError:
        return BackendError('pycuda has no CUDA graphs. Install cuda-bindings to have them.')

    @contextmanager
    def _mapped(self, what: str) -> Iterator[None]:
        """Turns pycuda's errors into ours."""
        try:
            yield
        except self._cuda.Error as error:
            name, text = type(error).__name__, ' '.join(str(error).split())
            if isinstance(error, self._cuda.MemoryError):
                name = 'CUDA_ERROR_OUT_OF_MEMORY'
            raise device_failure(what, name, text, self.gpu) from error
