# SPDX-License-Identifier: Apache-2.0
"""The stand-in itself: what a GPU would forgive, or answer with rubbish, is found here."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from seg_ros.core.errors import DeviceLost
from seg_ros.inference.cuda.device_memory import DeviceMemory, open_device_memory
from test.gpu_stand_in.stand_in import StandIn

cuda = pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')

SIZE = 64
TOUCH = """
import ctypes, sys
import numpy as np
from seg_ros.inference.cuda.device_memory import open_device_memory
memory = open_device_memory()
with memory.current():
    host = memory.host_array((64,), np.uint8, mapped=True)
    where = {
        'host': host.ctypes.data,
        'device': memory.allocate(64),
        'mapped': memory.mapped_address(host),
        'freed': host.ctypes.data,
    }[sys.argv[1]]
    if sys.argv[1] == 'freed':
        memory.close()
    ctypes.memset(where, 1, 1)
"""


@pytest.fixture
def memory(careless_gpu: StandIn) -> Iterator[DeviceMemory]:
    memory = open_device_memory()
    with memory.current():
        yield memory
    careless_gpu.heal()


def call(function: str, *words: Any) -> str:
    """Calls the driver as nobody should; returns the name of its error."""
    return str(getattr(cuda, function)(*words)[0].name)


@pytest.mark.parametrize(('where', 'crashes'), [
    ('host', False), ('device', True), ('mapped', True), ('freed', True),
])  # fmt: skip
def test_the_host_reaches_its_own_memory_alone_and_that_until_it_is_freed(
    where: str, crashes: bool
) -> None:
    child = subprocess.run([sys.executable, '-c', TOUCH, where], check=False)
    assert child.returncode == (-signal.SIGSEGV if crashes else 0)


def test_what_is_freed_twice_or_as_something_else_is_noted(
    memory: DeviceMemory, careless_gpu: StandIn
) -> None:
    address = memory.allocate(SIZE)
    assert call('cuMemFreeHost', address) != 'CUDA_SUCCESS'
    assert call('cuMemFree', address) == 'CUDA_SUCCESS'
    assert call('cuMemFree', address) == 'CUDA_ERROR_INVALID_HANDLE'
    assert call('cuMemFree', 12345) == 'CUDA_ERROR_INVALID_HANDLE'
    first, second, third = careless_gpu.problems
    assert 'is something else' in first
    assert 'was freed before' in second
    assert 'nobody has given this handle' in third


@pytest.mark.parametrize('how', ['freed', 'beyond its end'])
def test_who_copies_from_where_nothing_is_meets_an_error_that_sticks(
    how: str, memory: DeviceMemory
) -> None:
    host = memory.host_array((SIZE + 1,), np.uint8)
    address = memory.allocate(SIZE)
    if how == 'freed':
        call('cuMemFree', address)
    memory.download(address, host[: SIZE if how == 'freed' else SIZE + 1])
    for _ in range(2):
        with pytest.raises(DeviceLost, match='ILLEGAL_ADDRESS'):
            memory.synchronise()


def test_what_is_freed_under_queued_work_is_noted(
    memory: DeviceMemory, careless_gpu: StandIn
) -> None:
    host, address = memory.host_array((SIZE,), np.uint8), memory.allocate(SIZE)
    memory.upload(host, address)
    call('cuMemFree', address)
    (found,) = careless_gpu.problems
    assert found == 'cuMemFree: is freed while it is used by a (stream)'


def test_work_is_done_in_order_when_its_own_stream_is_waited_for(memory: DeviceMemory) -> None:
    one, two, back = (memory.host_array((SIZE,), np.uint8) for _ in range(3))
    one[:], two[:], back[:] = 1, 2, 0
    address = memory.allocate(SIZE)
    memory.upload(one, address)
    memory.download(address, back)
    memory.upload(two, address)
    other = cuda.cuStreamCreate(1)[1]
    assert call('cuStreamSynchronize', other) == 'CUDA_SUCCESS'
    assert set(back) == {0}
    memory.synchronise()
    assert set(back) == {1}  # from between the two


def test_a_graph_runs_what_it_has_captured_each_time_and_not_before(memory: DeviceMemory) -> None:
    host, back = (memory.host_array((SIZE,), np.uint8) for _ in range(2))
    host[:], back[:] = 1, 0
    address = memory.allocate(SIZE)

    def both() -> None:
        memory.upload(host, address)
        memory.download(address, back)

    graph = memory.capture(both)
    memory.synchronise()
    assert set(back) == {0}
    for value in (3, 4):
        host[:] = value
        memory.launch(graph)
        assert set(back) != {value}
        memory.synchronise()
        assert set(back) == {value}
