# SPDX-License-Identifier: Apache-2.0
"""The NVIDIA GPU of this machine, asked of its driver alone: it needs no CUDA package."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from seg_ros.core.errors import BackendUnavailable

__all__ = ['GpuClocks', 'GpuInfo', 'driver_version', 'find_gpu', 'gpu_clocks']

LIBRARY_NAMES = ('libcuda.so.1', 'libcuda.so')

# cuda.h, CUresult and CUdevice_attribute
CUDA_ERROR_NO_DEVICE = 100
INTEGRATED, CAPABILITY_MAJOR, CAPABILITY_MINOR = 18, 75, 76
CLOCK_KHZ, MULTIPROCESSORS, MEMORY_CLOCK_KHZ, BUS_BITS = 13, 16, 36, 37

CONTAINER_FIX = (
    'Compare the driver with the kernel module (nvidia-smi); in a container start it with '
    '--gpus all.'
)


class GpuInfo(NamedTuple):
    """A GPU, as far as an engine depends on it.

    Attributes:
        name: As its driver calls it.
        capability: Compute capability, (8, 7) for an Orin.
        is_integrated: Whether it shares the memory of the processor, as on a Jetson.
        total_bytes: Its memory.
        multiprocessors: How many it has; every Orin is called "Orin" and is another GPU.
    """

    name: str
    capability: tuple[int, int]
    is_integrated: bool
    total_bytes: int
    multiprocessors: int = 0

    @property
    def architecture(self) -> str:
        """'sm_87' for an Orin."""
        return f'sm_{self.capability[0]}{self.capability[1]}'

    @property
    def target(self) -> str:
        """'Orin (16 SMs) sm_87': what a plan that is built here is for; architecture last."""
        return f'{self.name} ({self.multiprocessors} SMs) {self.architecture}'


class GpuClocks(NamedTuple):
    """What a GPU can do at most, as its driver tells it; 0 for what it does not tell."""

    clock_khz: int
    multiprocessors: int
    memory_clock_khz: int
    bus_bits: int


def find_gpu(index: int = 0) -> GpuInfo:
    """Returns the GPU of that index.

    Raises:
        BackendUnavailable: There is no driver, none that works, or no such GPU.
    """
    cuda = _library()
    if error := cuda.cuInit(0):
        if error == CUDA_ERROR_NO_DEVICE:
            raise BackendUnavailable(
                f'it needs an NVIDIA GPU: libcuda is there, but sees none. {CONTAINER_FIX}'
            )
        raise BackendUnavailable(
            f'it needs an NVIDIA GPU: libcuda is there, but cuInit gives error {error}. '
            f'{CONTAINER_FIX}'
        )
    count = ctypes.c_int()
    _ask(cuda.cuDeviceGetCount, ctypes.byref(count))
    if index >= count.value:
        raise BackendUnavailable(
            f'it needs an NVIDIA GPU: number {index} was asked for, {count.value} are visible. '
            'Look at CUDA_VISIBLE_DEVICES.'
        )
    device = ctypes.c_int()
    _ask(cuda.cuDeviceGet, ctypes.byref(device), index)
    title = ctypes.create_string_buffer(256)
    _ask(cuda.cuDeviceGetName, title, len(title), device)
    total = ctypes.c_size_t()
    _ask(cuda.cuDeviceTotalMem_v2, ctypes.byref(total), device)
    which = (CAPABILITY_MAJOR, CAPABILITY_MINOR, INTEGRATED, MULTIPROCESSORS)
    major, minor, integrated, multiprocessors = (_attribute(cuda, device, row) for row in which)
    return GpuInfo(
        title.value.decode(), (major, minor), bool(integrated), total.value, multiprocessors
    )


def driver_version() -> tuple[int, int]:
    """Returns the newest CUDA that the driver of this machine knows: (12, 6) on JetPack 6.1.

    Raises:
        BackendUnavailable: There is no driver.
    """
    version = ctypes.c_int()
    _ask(_library().cuDriverGetVersion, ctypes.byref(version))
    return version.value // 1000, version.value % 1000 // 10


def gpu_clocks(index: int = 0) -> GpuClocks:
    """Returns the clocks of the GPU of that index; ``find_gpu`` has found it.

    Raises:
        BackendUnavailable: There is no driver.
    """
    cuda = _library()
    device = ctypes.c_int()
    _ask(cuda.cuDeviceGet, ctypes.byref(device), index)
    which = (CLOCK_KHZ, MULTIPROCESSORS, MEMORY_CLOCK_KHZ, BUS_BITS)
    return GpuClocks(*(_attribute(cuda, device, row) for row in which))


def _library() -> ctypes.CDLL:
    for name in LIBRARY_NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendUnavailable('it needs an NVIDIA GPU, and there is no driver (no libcuda)')


def _attribute(cuda: ctypes.CDLL, device: ctypes.c_int, which: int) -> int:
    value = ctypes.c_int()
    _ask(cuda.cuDeviceGetAttribute, ctypes.byref(value), which, device)
    return value.value


def _ask(function: Any, *arguments: Any) -> None:
    """Calls the driver, which fails here only when it is broken."""
    if error := function(*arguments):
        raise BackendUnavailable(
            f'it needs an NVIDIA GPU: {function.__name__} gives error {error}. {CONTAINER_FIX}'
        )
