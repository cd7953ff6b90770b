# SPDX-License-Identifier: Apache-2.0
"""cuda-bindings and our memory on the stand-in driver."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from seg_ros.commands.gpu.memory_check import CheckRow, check_memory
from seg_ros.core.errors import BackendError, DeviceLost
from seg_ros.inference.cuda.device_memory import open_device_memory
from seg_ros.inference.cuda.gpu import driver_version, find_gpu
from test.gpu_stand_in.stand_in import StandIn

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')


@pytest.mark.parametrize('is_integrated', [False, True], ids=['own memory', 'shared memory'])
def test_the_check_of_the_memory_passes_unchanged(is_integrated: bool, gpu: StandIn) -> None:
    gpu.be(is_integrated=is_integrated)
    rows: list[CheckRow] = []
    figures = check_memory(open_device_memory, rows.append, cycles=20)
    assert [row for row in rows if not row.ok] == []
    assert len(rows) == 6
    assert figures['library'].startswith('cuda-bindings ')
    assert find_gpu().is_integrated == is_integrated
    assert driver_version() == (12, 6)


def test_who_waits_for_the_gpu_sleeps_and_lets_python_go_on(gpu: StandIn) -> None:
    """cuda-bindings before 12.9 hold the GIL while they wait: no heartbeat meanwhile."""
    import ctypes

    memory = open_device_memory()
    cuda = ctypes.CDLL('libcuda.so.1')
    nothing = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
    gpu.be(execute_ms=200.0)
    counted = 0
    is_over = threading.Event()

    def count() -> None:
        nonlocal counted
        while not is_over.wait(0.002):
            counted += 1

    thread = threading.Thread(target=count)
    with memory.current():
        start_s = time.monotonic()
        assert cuda.cuLaunchHostFunc(ctypes.c_void_p(memory.stream), nothing, None) == 0
        thread.start()
        memory.synchronise()
        waited_s = time.monotonic() - start_s
    is_over.set()
    thread.join()
    memory.close()
    assert waited_s > 0.15
    assert counted > 10
    assert gpu.waits_asleep


def test_errors_that_stick_ask_for_a_new_process_and_others_do_not(
    careless_gpu: StandIn,
) -> None:
    memory = open_device_memory()
    careless_gpu.fail('cuStreamSynchronize', error=999)
    with memory.current():
        with pytest.raises(BackendError, match='CUDA_ERROR_UNKNOWN') as caught:
            memory.synchronise()
        assert not isinstance(caught.value, DeviceLost)
        memory.synchronise()
        careless_gpu.fail('cuStreamSynchronize', error=719, sticks=True)
        for _ in range(2):
            with pytest.raises(DeviceLost, match=r'CUDA_ERROR_LAUNCH_FAILED .*a new one can'):
                memory.synchronise()


def test_a_memory_that_cannot_be_made_leaves_nothing_behind(careless_gpu: StandIn) -> None:
    careless_gpu.fail('cuStreamCreate', error=2)
    with pytest.raises(BackendError, match='no memory left'):
        open_device_memory()
    assert careless_gpu.open() == {}


def test_what_cannot_be_captured_leaves_no_graph_and_a_stream_that_works(gpu: StandIn) -> None:
    memory = open_device_memory()
    with memory.current():
        with pytest.raises(BackendError, match='CAPTURE_UNSUPPORTED'):
            memory.capture(memory.synchronise)  # which no capture allows
        there = memory.host_array((4,), np.uint8)
        there[:] = 7
        address = memory.allocate(4)
        back = memory.host_array((4,), np.uint8)
        memory.upload(there, address)
        memory.download(address, back)
        memory.synchronise()
        assert back.tolist() == [7] * 4
    memory.close()


def test_fresh_memory_is_poisoned_and_holds_nothing_until_it_is_waited_for(gpu: StandIn) -> None:
    memory = open_device_memory()
    with memory.current():
        address = memory.allocate(4)
        back = memory.host_array((4,), np.uint8)
        back[:] = 0
        memory.download(address, back)
        assert back.tolist() == [0] * 4
        memory.synchronise()
        assert back.tolist() == [0xA5] * 4
    memory.close()
