# SPDX-License-Identifier: Apache-2.0
"""GPU memory without a GPU: what can be said of libcuda, cuda-bindings and the fake here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seg_ros.commands.gpu.memory_check import CheckRow, check_memory
from seg_ros.core.errors import BackendError, BackendUnavailable, DeviceLost
from seg_ros.inference.cuda import gpu
from seg_ros.inference.cuda.cuda_bindings_memory import CudaBindingsMemory
from seg_ros.inference.cuda.device_memory import (
    DeviceMemory,
    device_failure,
    open_device_memory,
)
from seg_ros.inference.cuda.gpu import find_gpu
from seg_ros.inference.cuda.recording_memory import FAKE_GPU, RecordingMemory
from test.paths import REPOSITORY

# A driver as find_gpu and TensorRT see it; cuInit answers what is asked of it
STUB = """
#include <string.h>
int cuInit(unsigned flags) { return INIT; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Stub", size); return 0; }
int cuDeviceTotalMem_v2(unsigned long *size, int device) { *size = 1ul << 33; return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) {
    *value = which == 75 ? 8 : which == 76 ? 7 : which == 18; return 0;
}
"""

FIND = """
from seg_ros.inference.cuda.gpu import find_gpu
try:
    print(find_gpu())
except Exception as error:
    print(type(error).__name__, error)
"""

REGISTRY = """
import sys
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
engine = load_engine(sys.argv[1])
backend, reason = create_backend('auto', engine, threads=1)
print(backend.name, reason)
try:
    create_backend('tensorrt', engine)
except Exception as error:
    print(type(error).__name__, error)
"""


def with_driver(folder: Path, init: int, count: int, code: str, *words: str) -> list[str]:
    """Runs a program with a driver that answers so; returns the lines that it prints."""
    if shutil.which('gcc') is None:
        pytest.skip('gcc is not installed, and makes the driver of this test')
    source = folder / 'stub.c'
    source.write_text(STUB)
    library = folder / 'libcuda.so.1'
    subprocess.run(
        ['gcc', '-shared', '-fPIC', f'-DINIT={init}', f'-DCOUNT={count}', source, '-o', library],
        check=True,
    )
    names = f'import seg_ros.inference.cuda.gpu as g; g.LIBRARY_NAMES = ({str(library)!r},)\n'
    child = subprocess.run(
        [sys.executable, '-c', names + code, *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    return child.stdout.splitlines()


@pytest.mark.parametrize(
    ('init', 'count', 'said'),
    [
        (
            100,
            0,
            'BackendUnavailable it needs an NVIDIA GPU: libcuda is there, but sees none. Com',
        ),
        (
            999,
            0,
            'BackendUnavailable it needs an NVIDIA GPU: libcuda is there, but cuInit gives e',
        ),
        (
            0,
            0,
            'BackendUnavailable it needs an NVIDIA GPU: number 0 was asked for, 0 are visible.',
        ),
        (
            0,
            1,
            "GpuInfo(name='Stub', capability=(8, 7), is_integrated=True, total_bytes=8589934592",
        ),
    ],
    ids=['no device', 'broken driver', 'hidden device', 'an Orin'],
)
def test_the_driver_is_asked_and_its_answer_told(
    init: int, count: int, said: str, tmp_path: Path
) -> None:
    (line,) = with_driver(tmp_path, init, count, FIND)
    assert line.startswith(said)


def test_a_driver_without_a_device_lets_auto_take_the_cpu_and_says_so(tmp_path: Path) -> None:
    from test.tiny_onnx import write_engine

    folder = write_engine(tmp_path / 'tiny')
    auto, named = with_driver(tmp_path, 100, 0, REGISTRY, str(folder))
    assert auto.split()[0] in ('openvino', 'onnxruntime')
    assert 'not tensorrt: it needs an NVIDIA GPU: libcuda is there, but sees none.' in auto
    assert named.startswith("BackendUnavailable Backend 'tensorrt' cannot run here: it needs")


def test_without_a_driver_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, 'LIBRARY_NAMES', ('libnothing_cuda.so',))
    with pytest.raises(BackendUnavailable, match=r'there is no driver \(no libcuda\)'):
        find_gpu()
    with pytest.raises(BackendUnavailable, match='no libcuda'):
        open_device_memory()


def test_without_a_driver_cuda_bindings_say_that_it_does_not_fit() -> None:
    pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')
    try:
        find_gpu()
    except BackendUnavailable:
        pass
    else:
        pytest.skip('this machine has a GPU; make gpu-check looks at it')
    with pytest.raises(BackendUnavailable, match=r'has a driver that does not fit cuda-bindings'):
        CudaBindingsMemory(FAKE_GPU)


def test_every_error_for_which_cuda_asks_for_a_new_process_is_a_lost_device() -> None:
    """By CUDA's own words, as they stand in cuda-bindings."""
    cuda = pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')
    words = {row.name: ' '.join((row.__doc__ or '').split()) for row in cuda.CUresult}
    final = ('must be terminated and relaunched', 'context cannot be used anymore')
    lost = {name for name, text in words.items() if any(row in text for row in final)}
    assert {'CUDA_ERROR_ILLEGAL_ADDRESS', 'CUDA_ERROR_ASSERT'} <= lost
    assert len(lost) >= 13
    kept = {
        name for name in lost if not isinstance(device_failure('', name, '', FAKE_GPU), DeviceLost)
    }
    assert kept == set()
    assert not isinstance(device_failure('', 'CUDA_ERROR_NOT_READY', '', FAKE_GPU), DeviceLost)


@pytest.mark.gpu
def test_the_memory_of_this_machines_gpu_is_well() -> None:
    try:
        open_device_memory().close()
    except BackendUnavailable as error:
        pytest.skip(str(error))
    rows: list[CheckRow] = []
    check_memory(open_device_memory, rows.append)
    assert [row for row in rows if not row.ok] == []


def test_the_fake_and_both_libraries_have_the_same_face() -> None:
    from seg_ros.inference.cuda.pycuda_memory import PycudaMemory

    for kind in (CudaBindingsMemory, PycudaMemory, RecordingMemory):
        assert issubclass(kind, DeviceMemory)
        assert not kind.__abstractmethods__


def test_the_fake_says_that_it_is_one() -> None:
    memory = RecordingMemory()
    assert 'no GPU' in memory.name
    assert 'no GPU' in memory.gpu.name


def test_what_is_queued_happens_when_it_is_waited_for() -> None:
    memory = RecordingMemory()
    there, back = (memory.host_array((4,), np.uint8) for _ in range(2))
    there[:] = [1, 2, 3, 4]
    address = memory.allocate(4)
    memory.upload(there, address)
    memory.download(address, back)
    assert back.tolist() == [0, 0, 0, 0]
    memory.synchronise()
    assert back.tolist() == [1, 2, 3, 4]
    there[:] = 9
    graph = memory.capture(
        lambda: (memory.upload(there, address), memory.download(address, back))[0]
    )
    memory.synchronise()
    assert back.tolist() == [1, 2, 3, 4]  # captured, not run
    memory.launch(graph)
    memory.synchronise()
    assert back.tolist() == [9, 9, 9, 9]


def test_all_that_is_open_is_closed_once_the_latest_first() -> None:
    memory = RecordingMemory()
    memory.allocate(8)
    memory.host_array((2,), np.float32)
    event = memory.record_event()
    memory.record_event()
    memory.free_event(event)
    memory.capture(lambda: None)
    assert memory.open_count == 5
    memory.calls.clear()
    memory.close()
    memory.close()
    assert memory.calls == ['synchronise', 'free_graph', 'free_event', 'free_host', 'free']
    assert memory.open_count == 0
    assert memory.free_bytes() == memory.capacity


def test_what_cannot_be_freed_does_not_keep_the_rest() -> None:
    memory = RecordingMemory()
    for _ in range(3):
        memory.allocate(8)
    memory.failing = ('free', 'CUDA_ERROR_ILLEGAL_ADDRESS')
    with pytest.raises(DeviceLost, match='ILLEGAL_ADDRESS'):
        memory.close()
    assert memory.open_count == 0


def test_more_memory_than_there_is_is_refused_as_cuda_does_it() -> None:
    memory = RecordingMemory(capacity=100)
    memory.allocate(60)
    with pytest.raises(
        BackendError, match=r'CUDA_ERROR_OUT_OF_MEMORY \(out of memory, 0 of 1024 MB are free\)'
    ):
        memory.allocate(60)
