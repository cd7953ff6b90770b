# SPDX-License-Identifier: Apache-2.0
"""A batch is under way on the GPU while the last one is read and the next one is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seg_ros.core.errors import BackendError, DeviceLost
from seg_ros.inference.base import OverlappingBackend
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.cuda.recording_memory import FAKE_GPU, RecordingMemory
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.reference import reference_outputs
from seg_ros.inference.switchable_backend import SwitchableBackend
from seg_ros.inference.tensorrt.backend import TensorrtBackend
from seg_ros.inference.tensorrt.one_thread_backend import OneThreadBackend
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from test.fake_tensorrt import FakeMachine, store
from test.inference.fake_builds import FakeBuild, Named, until
from test.tiny_onnx import seeded_images, write_engine

IMAGES = seeded_images(6)
SHARED = FAKE_GPU._replace(is_integrated=True)


class Rig:
    """A backend on a fake GPU, and what ONNX Runtime says of the images."""

    def __init__(self, folder: Path, machine: FakeMachine) -> None:
        self.machine = machine
        self.engine = load_engine(write_engine(folder / 'tiny'))
        cache = PlanCache(folder / 'cache')
        store(cache, self.engine, machine)
        self.expected = reference_outputs(self.engine.onnx_path.read_bytes(), IMAGES).labels
        self.backend = TensorrtBackend(
            self.engine,
            cache_path=cache.folder,
            stack=machine.stack,
            max_batch=machine.max_batch,
        )

    def prepared(self, index: int, backend: Any = None) -> Any:
        """Writes an image where the next batch is taken from, as the worker does."""
        room = (backend or self.backend).room(1)
        room[0] = IMAGES[index]
        return room

    def is_that_of(self, index: int, result: Any) -> bool:
        return bool(np.array_equal(result.labels[0], self.expected[index]))


@pytest.fixture(params=[FAKE_GPU, SHARED], ids=['own memory', 'shared memory'])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return Rig(tmp_path, FakeMachine(request.param))


def test_the_last_result_and_the_next_picture_stay_while_the_gpu_works(rig: Rig) -> None:
    backend = rig.backend
    assert isinstance(backend, OverlappingBackend)
    first = backend.begin(rig.prepared(0))()
    under_way = backend.begin(rig.prepared(1))
    for index in range(2, 6):
        picture = rig.prepared(index)
        second = under_way()
        under_way = backend.begin(picture)
        assert rig.is_that_of(index - 2, first)
        assert np.array_equal(picture[0], IMAGES[index])
        first = second
    assert rig.is_that_of(5, under_way())
    backend.close()


def test_a_batch_is_taken_from_where_it_was_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[Any] = []
    copyto = np.copyto
    monkeypatch.setattr(np, 'copyto', lambda *words: (copied.append(words), copyto(*words)))
    rooms = []
    for index in range(3):
        rooms.append(rig.prepared(index))
        assert rig.is_that_of(index, rig.backend.infer(rooms[-1]))
    assert copied == []
    assert np.shares_memory(rooms[0], rooms[2])
    assert not np.shares_memory(rooms[0], rooms[1])
    assert rig.is_that_of(3, rig.backend.infer(IMAGES[3:4]))  # of somebody else
    assert len(copied) == 1
    mirrored = rig.prepared(4)[:, :, ::-1]
    expected = reference_outputs(
        rig.engine.onnx_path.read_bytes(), np.ascontiguousarray(mirrored)
    ).labels
    np.testing.assert_array_equal(rig.backend.infer(mirrored).labels, expected)
    rig.backend.close()


def test_when_a_batch_fails_the_next_that_was_prepared_meanwhile_is_served(rig: Rig) -> None:
    backend, machine = rig.backend, rig.machine
    last = backend.begin(rig.prepared(0))()
    under_way = backend.begin(rig.prepared(1))
    machine.memory.failing = ('synchronise', 'CUDA_ERROR_SYSTEM_NOT_READY')
    assert rig.is_that_of(0, last)
    picture = rig.prepared(2)
    with pytest.raises(BackendError, match=r'SYSTEM_NOT_READY.*started again with the next frame'):
        under_way()
    assert machine.memory.open_count == 0  # of the runner that failed
    result = backend.begin(picture)()
    assert rig.is_that_of(2, result)
    assert np.array_equal(picture[0], IMAGES[2])
    backend.close()
    assert [memory.open_count for memory in machine.memories] == [0] * 3


def test_a_result_outlives_the_failure_of_the_batch_after_it(rig: Rig) -> None:
    backend, machine = rig.backend, rig.machine
    under_way = backend.begin(rig.prepared(0))
    picture = rig.prepared(1)
    result = under_way()
    machine.refuses_runs = True
    with pytest.raises(BackendError, match='told to fail'):
        backend.begin(picture, with_confidence=True)  # not what the graph was captured with
    assert rig.is_that_of(0, result)
    machine.refuses_runs = False
    assert rig.is_that_of(3, backend.begin(rig.prepared(3))())
    backend.close()


def test_a_gpu_that_is_lost_is_told_by_the_batch_under_way_and_by_the_next(rig: Rig) -> None:
    under_way = rig.backend.begin(rig.prepared(0))
    picture = rig.prepared(1)
    rig.machine.memory.failing = ('synchronise', 'CUDA_ERROR_LAUNCH_FAILED')
    with pytest.raises(DeviceLost):
        under_way()
    with pytest.raises(DeviceLost):
        rig.backend.begin(picture)
    assert np.array_equal(picture[0], IMAGES[1])
    rig.backend.close()


def test_nobody_gets_the_result_of_another_batch(rig: Rig) -> None:
    forgotten = rig.backend.begin(rig.prepared(0))
    under_way = rig.backend.begin(rig.prepared(1))
    with pytest.raises(BackendError, match='Another run was begun'):
        forgotten()
    rig.backend.close()
    with pytest.raises(BackendError, match='is closed'):
        under_way()


def test_more_images_than_fit_have_ended_when_they_have_begun(tmp_path: Path) -> None:
    rig = Rig(tmp_path, FakeMachine(max_batch=2))
    room = rig.backend.room(5)
    room[...] = IMAGES[:5]
    np.testing.assert_array_equal(rig.backend.begin(room)().labels, rig.expected[:5])
    rig.backend.close()


def test_all_of_it_happens_in_the_one_thread_and_begin_returns_when_the_gpu_has_its_work(
    rig: Rig,
) -> None:
    backend = OneThreadBackend(lambda: rig.backend)
    assert isinstance(backend, OverlappingBackend)
    assert backend.overlaps
    rig.machine.memory.threads.clear()
    calls = rig.machine.memory.calls
    calls.clear()
    under_way = backend.begin(rig.prepared(0, backend))
    assert calls[-1] in ('launch', 'download', 'execute', 'synchronise')
    assert rig.is_that_of(0, under_way())
    assert len(rig.machine.memory.threads) == 1
    rig.machine.memory.failing = ('synchronise', 'CUDA_ERROR_UNKNOWN')
    under_way = backend.begin(rig.prepared(1, backend))
    with pytest.raises(BackendError, match='CUDA_ERROR_UNKNOWN'):
        under_way()
    backend.close()
    with pytest.raises(BackendError, match='is closed'):
        backend.begin(IMAGES[:1])


def test_one_that_cannot_overlap_says_so(tmp_path: Path) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    backend = OneThreadBackend(lambda: CannedBackend(engine))
    assert not backend.overlaps
    backend.close()


def switching(engine: Engine, better: Any) -> tuple[SwitchableBackend, FakeBuild]:
    build = FakeBuild()
    backend = SwitchableBackend(Named(engine, 'onnxruntime', 1), build, lambda: better, 'tensorrt')
    return backend, build


def test_after_the_switch_it_overlaps_and_the_first_frame_is_not_lost(rig: Rig) -> None:
    backend, build = switching(rig.engine, rig.backend)
    assert not backend.overlaps
    assert (backend.begin(IMAGES[:1])().labels == 1).all()
    build.end()
    until(lambda: backend._next is not None)
    assert not backend.overlaps  # it still is the other that serves
    assert rig.is_that_of(1, backend.begin(IMAGES[1:2])())
    assert backend.overlaps
    under_way = backend.begin(rig.prepared(2, backend))
    picture = rig.prepared(3, backend)
    assert rig.is_that_of(2, under_way())
    assert rig.is_that_of(3, backend.begin(picture)())
    backend.close()


def test_a_first_frame_that_fails_is_the_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, build = switching(rig.engine, rig.backend)
    build.end()
    until(lambda: backend._next is not None)

    def refuse(self: RecordingMemory) -> None:
        raise BackendError('told to fail')

    monkeypatch.setattr(RecordingMemory, 'synchronise', refuse)
    assert (backend.begin(IMAGES[:1])().labels == 1).all()
    assert not backend.overlaps
    assert backend.status().state == 'failed'
    backend.close()
