# SPDX-License-Identifier: Apache-2.0
"""The TensorRT backend on a fake GPU: what it calls, in which order, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from seg_ros.core.errors import (
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    DeviceLost,
)
from seg_ros.inference.cuda import device_memory
from seg_ros.inference.cuda.recording_memory import FAKE_GPU, RecordingMemory
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.tensorrt import backend as tensorrt_backend
from seg_ros.inference.tensorrt.api import load_tensorrt
from seg_ros.inference.tensorrt.backend import PlanMissing, TensorrtBackend
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tensorrt.plan_runner import CAPTURE_AFTER, PlanRunner
from test.fake_tensorrt import FakeMachine, plan_for, store
from test.tiny_onnx import network, seeded_images, write_engine

ORIN = FAKE_GPU._replace(
    name='Orin (fake)', capability=(8, 7), is_integrated=True, multiprocessors=8
)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / 'cache')


def backend_on(
    machine: FakeMachine, engine: Engine, cache: PlanCache, **more: Any
) -> TensorrtBackend:
    return TensorrtBackend(
        engine,
        cache_path=cache.folder,
        stack=machine.stack,
        max_batch=machine.max_batch,
        **more,
    )


@pytest.mark.parametrize('gpu', [FAKE_GPU, ORIN], ids=['own memory', 'shared memory'])
@pytest.mark.parametrize('max_batch', [1, 2])
def test_what_comes_out_is_what_the_graph_computes(
    gpu: Any, max_batch: int, engine: Engine, cache: PlanCache
) -> None:
    machine = FakeMachine(gpu, max_batch=max_batch)
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    session = onnxruntime.InferenceSession(engine.onnx_path)
    for count in (1, 3, 2, 1):  # more than a batch, and back
        images = seeded_images(count)
        label, confidence = session.run(['label', 'confidence'], {'image': images})
        for _ in range(CAPTURE_AFTER + 2):  # plain, captured, launched
            result = backend.infer(images, with_confidence=True)
            np.testing.assert_array_equal(result.labels, label)
            np.testing.assert_array_equal(result.confidence, confidence)
    assert backend.infer(images).confidence is None
    backend.close()
    assert machine.memory.open_count == 0
    assert machine.memory.free_bytes() == machine.capacity


def test_a_frame_is_uploaded_run_brought_back_and_only_then_waited_for(
    engine: Engine, cache: PlanCache
) -> None:
    machine = FakeMachine()
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    made = machine.memory.calls.copy()
    # All that is made is made before the first run, and the addresses are set before it
    assert made.index('execute') > max(
        len(made) - 1 - made[::-1].index(name) for name in ('allocate', 'set_tensor_address')
    )
    machine.memory.calls.clear()
    backend.infer(seeded_images(), with_confidence=True)
    run = ['upload', 'execute', *['download'] * 3, 'synchronise']
    # A graph for each of the two sets that the host hands over with
    assert machine.memory.calls == ['free_graph', 'free_graph', 'set_input_shape', *run]
    machine.memory.calls.clear()
    for _ in range(CAPTURE_AFTER - 1):
        backend.infer(seeded_images(), with_confidence=True)
    assert machine.memory.calls == run * (CAPTURE_AFTER - 1)
    for _ in range(2):
        machine.memory.calls.clear()
        backend.infer(seeded_images(), with_confidence=True)
        assert machine.memory.calls == ['capture', *run[:-1], 'launch', 'synchronise']
    machine.memory.calls.clear()
    backend.infer(seeded_images(), with_confidence=True)
    assert machine.memory.calls == ['launch', 'synchronise']
    backend.close()


@pytest.mark.parametrize(
    ('gpu', 'parts'), [(FAKE_GPU, 3), (ORIN, 1)], ids=['own memory', 'shared memory']
)
def test_what_is_timed_is_the_graphs_that_run_and_not_what_queues_them(
    gpu: Any, parts: int, engine: Engine
) -> None:
    machine = FakeMachine(gpu)
    memory = machine.open_memory()
    runner = PlanRunner(machine.stack.api, memory, plan_for(engine), engine.network_size_wh)
    memory.calls.clear()
    assert len(runner.timed(1, 5)) == 5
    assert memory.calls.count('capture') == memory.calls.count('free_graph') - 2 == parts
    assert memory.calls.count('launch') == 5 * parts
    assert memory.calls.count('execute') == 2  # once before, and once captured
    runner.close()
    assert memory.open_count == 0


def test_a_graph_that_is_stale_is_freed(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine(max_batch=2)
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    counts = set()
    for _ in range(3):
        for count, with_confidence in ((1, True), (2, True), (2, False)):
            for _ in range(CAPTURE_AFTER + 2):
                backend.infer(seeded_images(count), with_confidence=with_confidence)
            counts.add(machine.memory.open_count)
    assert len(counts) == 1
    backend.close()


def test_sizes_that_change_all_the_time_are_not_captured(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine(max_batch=2)
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    machine.memory.calls.clear()
    for _ in range(5):
        for count in (1, 1, 2):
            backend.infer(seeded_images(count), with_confidence=True)
    assert 'capture' not in machine.memory.calls
    backend.close()


def test_shared_memory_is_used_in_place(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine(ORIN)
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    backend.infer(seeded_images(), with_confidence=True)
    assert not {'allocate', 'upload', 'download'} & set(machine.memory.calls)
    assert 'shared memory' in backend.detail
    backend.close()


def test_what_cannot_be_captured_runs_without_a_graph(
    engine: Engine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = FakeMachine()
    store(cache, engine, machine)

    def refuse(self: RecordingMemory, queue: Any) -> Any:
        raise BackendError('CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED')

    monkeypatch.setattr(RecordingMemory, '_capture', refuse)
    backend = backend_on(machine, engine, cache)
    assert 'graph' not in backend.detail
    assert backend.infer(seeded_images()).labels.any()
    assert 'launch' not in machine.memory.calls
    backend.close()


def test_a_hundred_backends_leave_nothing_behind(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine()
    store(cache, engine, machine)
    for _ in range(100):
        backend = backend_on(machine, engine, cache)
        backend.infer(seeded_images())
        backend.close()
        backend.close()
    assert [memory.open_count for memory in machine.memories] == [0] * 2 * 100
    assert {memory.free_bytes() for memory in machine.memories} == {machine.capacity}


def test_scores_that_are_no_numbers_are_an_error(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine()
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    machine.gives_no_numbers = True
    with pytest.raises(BackendError, match=r"scores that are no numbers .*'fp32'"):
        backend.infer(seeded_images())
    assert len(machine.memories) == 2  # of the sets and the runner: the GPU is well
    machine.gives_no_numbers = False
    assert backend.infer(seeded_images()).labels.any()
    backend.close()


def test_a_plan_that_gives_no_numbers_from_the_start_is_thrown_away(
    engine: Engine, cache: PlanCache
) -> None:
    """Kept, it would stop the vehicle at every start."""
    machine = FakeMachine()
    machine.gives_no_numbers = True
    store(cache, engine, machine)
    with pytest.raises(PlanMissing, match='gives scores that are no numbers'):
        backend_on(machine, engine, cache)
    assert not list(cache.plans())
    assert machine.memory.open_count == 0


def test_after_a_failure_that_it_survives_the_gpu_is_started_again(
    engine: Engine, cache: PlanCache
) -> None:
    machine = FakeMachine()
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    expected = backend.infer(seeded_images()).labels.copy()
    machine.memory.failing = ('synchronise', 'CUDA_ERROR_SYSTEM_NOT_READY')
    with pytest.raises(
        BackendError, match=r'SYSTEM_NOT_READY.*dmesg.*started again with the next frame, 3'
    ):
        backend.infer(seeded_images())
    assert machine.memory.open_count == 0
    np.testing.assert_array_equal(backend.infer(seeded_images()).labels, expected)
    assert len(machine.memories) == 3  # of the sets, and of two runners
    backend.close()
    assert [memory.open_count for memory in machine.memories] == [0] * 3


@pytest.mark.parametrize('name', ['ILLEGAL_ADDRESS', 'LAUNCH_FAILED', 'ECC_UNCORRECTABLE'])
def test_after_an_error_that_sticks_only_a_new_process_is_asked_for(
    name: str, engine: Engine, cache: PlanCache
) -> None:
    machine = FakeMachine()
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    machine.memory.failing = ('synchronise', f'CUDA_ERROR_{name}')
    for _ in range(3):
        with pytest.raises(DeviceLost, match=rf'{name} .*a new one can: start it again'):
            backend.infer(seeded_images())
    assert len(machine.memories) == 2  # nothing was opened in vain
    machine.memory.calls.clear()
    backend.close()
    assert machine.memory.calls == []  # it may hang, and the end of the process frees all


def test_a_gpu_that_fails_again_and_again_is_left_alone(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine()
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    machine.memory.failing = machine.failing = ('synchronise', 'CUDA_ERROR_UNKNOWN')
    for _ in range(4):
        with pytest.raises(BackendError, match=r'failed on no GPU .* with CUDA_ERROR_UNKNOWN'):
            backend.infer(seeded_images())
    for _ in range(2):
        with pytest.raises(BackendError, match=r'failed 4 times in a row and is left alone'):
            backend.infer(seeded_images())
    assert [memory.open_count for memory in machine.memories[1:]] == [0] * 4
    backend.close()
    assert machine.memories[0].open_count == 0  # the sets, which outlive the runners


def test_a_run_that_tensorrt_refuses_is_an_error_with_its_words(
    engine: Engine, cache: PlanCache
) -> None:
    machine = FakeMachine()
    store(cache, engine, machine)
    backend = backend_on(machine, engine, cache)
    machine.refuses_runs = True
    with pytest.raises(BackendError, match=r'TensorRT 10.16.1.11 failed on no GPU .*: told to'):
        backend.infer(seeded_images(), with_confidence=True)
    backend.close()


def test_too_little_device_memory_is_said_with_what_is_free(
    engine: Engine, cache: PlanCache
) -> None:
    machine = FakeMachine(capacity=4096)
    store(cache, engine, machine)
    with pytest.raises(
        BackendError, match=r'CUDA_ERROR_OUT_OF_MEMORY .*MB are free.*no memory left\. End other'
    ):
        backend_on(machine, engine, cache)
    assert machine.memory.open_count == 0


def test_no_memory_for_a_context_is_said(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine()
    machine.no_context = True
    store(cache, engine, machine)
    with pytest.raises(BackendError, match=r'gives no context .*1024 MB of GPU memory are free'):
        backend_on(machine, engine, cache)


def test_without_a_plan_it_says_how_to_build_it(engine: Engine, cache: PlanCache) -> None:
    with pytest.raises(
        PlanMissing,
        match=r"no TensorRT plan of engine 'tiny'.*none was built yet for no GPU .*"
        r'seg_ros build-engine tiny --precision fp16',
    ):
        backend_on(FakeMachine(), engine, cache)


def test_a_plan_that_tensorrt_refuses_is_thrown_away(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine()
    store(cache, engine, machine, b'something else')
    with pytest.raises(PlanMissing, match=r'TensorRT 10.16.1.11 refuses the plan: .*magicTag'):
        backend_on(machine, engine, cache)
    assert not list(cache.plans())
    assert machine.memory.open_count == 0


@pytest.mark.parametrize(
    ('machine', 'change', 'why'),
    [
        (FakeMachine(version='10.3.0'), None, 'was built by tensorrt 10.16.1.11, this is tensorr'),
        (FakeMachine(ORIN), None, r'is for no GPU .* sm_86, this is Orin \(fake\) \(8 SMs\) sm_8'),
        (
            FakeMachine(FAKE_GPU._replace(multiprocessors=16)),
            None,
            r'is for no GPU .*\(0 SMs\) sm_86, this is no GPU .*\(16 SMs\)',
        ),
        (FakeMachine(max_batch=2), None, 'takes 1 images at most, asked is 2'),
        (FakeMachine(), 'onnx', 'was built from another network file'),
        (FakeMachine(), 'precision', 'is in fp16, asked is fp32'),
    ],
    ids=[
        'other version',
        'other GPU',
        'larger of that name',
        'larger batch',
        'changed ONNX',
        'changed precision',
    ],
)
def test_a_plan_of_something_else_is_never_run(
    machine: FakeMachine, change: str | None, why: str, engine: Engine, cache: PlanCache
) -> None:
    store(cache, engine, FakeMachine())
    if change == 'onnx':
        onnx.save(network(seed=7), engine.onnx_path)
    precision = 'fp32' if change == 'precision' else 'auto'
    with pytest.raises(PlanMissing, match=why):
        backend_on(machine, engine, cache, precision=precision)
    assert not machine.memories


def test_a_plan_for_more_images_does_for_fewer(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine(max_batch=4)
    store(cache, engine, machine)
    backend = TensorrtBackend(engine, cache_path=cache.folder, stack=machine.stack, max_batch=2)
    assert backend.infer(seeded_images(2)).labels.shape[0] == 2
    backend.close()


def test_a_precision_without_plans_is_refused(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match=r"no precision 'bf16'. Take one of auto, fp16"):
        TensorrtBackend(engine, precision='bf16', stack=FakeMachine().stack)


def test_asked_for_by_name_it_says_why_it_cannot_run_here(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_gpu(index: int = 0) -> Any:
        raise BackendUnavailable('it needs an NVIDIA GPU, and there is no driver (no libcuda)')

    monkeypatch.setattr(tensorrt_backend, 'find_gpu', no_gpu)
    with pytest.raises(
        BackendUnavailable,
        match=r"'tensorrt' cannot run here: it needs an NVIDIA GPU.*no libcuda.*'auto' takes",
    ):
        TensorrtBackend(engine)


def test_without_a_library_for_its_memory_it_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f'No module named {name}')

    monkeypatch.setattr(device_memory, 'import_module', missing)
    with pytest.raises(
        BackendUnavailable, match=r'cuda-bindings or pycuda .*cuda-bindings: No.*; pycuda: No.*pip'
    ):
        device_memory.memory_version()


def test_without_tensorrt_it_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f'No module named {name}', name=name)

    monkeypatch.setattr('seg_ros.inference.tensorrt.api.import_module', missing)
    with pytest.raises(
        BackendUnavailable, match=r'needs TensorRT, which is not installed\. Only a m'
    ):
        load_tensorrt()


def test_a_gpu_that_tensorrt_for_rtx_does_not_know_is_refused() -> None:
    module = pytest.importorskip('tensorrt_rtx_bindings')
    api = tensorrt_backend.TensorrtApi(module, 'tensorrt_rtx')
    with pytest.raises(BackendUnavailable, match=r'does not run on Orin .*only on sm_75, sm_80'):
        api.check_gpu(ORIN)
    api.check_gpu(FAKE_GPU)
