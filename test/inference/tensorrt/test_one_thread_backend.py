# SPDX-License-Identifier: Apache-2.0
"""The GPU has one owner: what is made in its thread is used and freed there."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from seg_ros.core.errors import BackendError
from seg_ros.inference import registry
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import PlanOptions, create_backend
from seg_ros.inference.tensorrt.one_thread_backend import OneThreadBackend
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from test.fake_tensorrt import FakeMachine, store
from test.tiny_onnx import seeded_images, write_engine

IMAGES = seeded_images()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


def gpu_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'gpu']


def made(machine: FakeMachine, engine: Engine, folder: Path) -> InferenceBackend:
    plans = PlanOptions(folder)
    if not folder.exists():
        store(PlanCache(folder), engine, machine)
    return create_backend('tensorrt', engine, plans=plans).backend


def test_the_gpu_is_opened_used_started_again_and_freed_in_one_thread(
    machine: FakeMachine,
    engine: Engine,
    tmp_path: Path,
) -> None:
    backend = made(machine, engine, tmp_path / 'cache')
    (owner,) = gpu_threads()
    with ThreadPoolExecutor(1) as worker, ThreadPoolExecutor(1) as other:
        expected = worker.submit(backend.infer, IMAGES).result().labels.copy()
        machine.memory.failing = ('synchronise', 'cudaErrorIllegalAddress')
        with pytest.raises(BackendError, match='cudaErrorIllegalAddress'):
            worker.submit(backend.infer, IMAGES).result()
        again = other.submit(backend.infer, IMAGES).result().labels
        np.testing.assert_array_equal(again, expected)
    backend.close()
    assert len(machine.memories) == 3  # of the sets, and of two runners
    assert [memory.threads for memory in machine.memories] == [{owner.ident}] * 3
    assert [memory.open_count for memory in machine.memories] == [0, 0, 0]
    assert not gpu_threads()


def test_a_hundred_times_configured_and_cleaned_up_no_thread_and_no_memory_is_left(
    machine: FakeMachine,
    engine: Engine,
    tmp_path: Path,
) -> None:
    for _ in range(100):
        backend = made(machine, engine, tmp_path / 'cache')
        backend.infer(IMAGES)
        backend.close()
        backend.close()
    assert not gpu_threads()
    assert [memory.open_count for memory in machine.memories] == [0] * 2 * 100
    assert {memory.free_bytes() for memory in machine.memories} == {machine.capacity}
    assert all(len(memory.threads) == 1 for memory in machine.memories)


def test_what_cannot_be_made_leaves_no_thread_and_its_own_error(
    machine: FakeMachine,
    engine: Engine,
    tmp_path: Path,
) -> None:
    with pytest.raises(registry.PlanMissing, match='no TensorRT plan'):
        create_backend('tensorrt', engine, plans=PlanOptions(tmp_path / 'none'))
    assert not gpu_threads()


def test_a_frame_that_is_in_work_is_finished_before_the_backend_closes(engine: Engine) -> None:
    inner = CannedBackend(engine)
    backend = OneThreadBackend(lambda: inner)
    inner.hang()
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(backend.infer, IMAGES)
        while not inner.calls:
            assert not running.done()
        closing = pool.submit(backend.close)
        assert not closing.done()
        inner.recover()
        assert running.result().labels.shape == IMAGES.shape[:3]
        closing.result()
    with pytest.raises(BackendError, match=r"Backend 'canned' of engine 'tiny' is closed"):
        backend.infer(IMAGES)
    assert not gpu_threads()


def test_it_says_of_itself_what_the_other_says(engine: Engine) -> None:
    inner = CannedBackend(engine)
    inner.max_batch = 4
    backend = OneThreadBackend(lambda: inner)
    assert (backend.name, backend.detail, backend.engine, backend.max_batch) == (
        'canned',
        inner.detail,
        engine,
        4,
    )
    backend.close()
