# SPDX-License-Identifier: Apache-2.0
"""A backend takes over between two frames, and none is lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from seg_ros.core.errors import BackendError
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.switchable_backend import SwitchableBackend, backend_status
from test.inference.fake_builds import FakeBuild, Named, until
from test.tiny_onnx import seeded_images, write_engine

IMAGES = seeded_images()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


def label_of(backend: InferenceBackend) -> int:
    labels = backend.infer(IMAGES).labels
    assert (labels == labels.flat[0]).all()
    return int(labels.flat[0])


def test_the_first_serves_until_the_second_is_ready_and_says_how_far_that_is(
    engine: Engine,
) -> None:
    cpu, gpu, build = Named(engine, 'onnxruntime', 1), Named(engine, 'tensorrt', 2), FakeBuild()
    may_load = threading.Event()

    def make() -> Named:
        may_load.wait()
        return gpu

    backend = SwitchableBackend(cpu, build, make, 'tensorrt')
    assert label_of(backend) == 1
    assert backend_status(backend) == (
        'building',
        0.4,
        'onnxruntime serves while the plan of tensorrt is built: 40% after 12 s (Timing tactics)',
    )
    assert (backend.name, backend.detail) == ('onnxruntime', 'onnxruntime in detail')
    build.end()
    until(lambda: backend.status().state == 'loading')
    assert label_of(backend) == 1
    assert backend.status().reason == 'onnxruntime serves while tensorrt loads'
    may_load.set()
    until(lambda: label_of(backend) == 2)
    assert backend.status() == ('ready', 1.0, 'tensorrt serves since its plan is built')
    assert (backend.name, backend.detail) == ('tensorrt', 'tensorrt in detail')
    assert cpu.closed == 1
    backend.close()
    assert gpu.closed == 1


def test_no_frame_is_lost_in_the_switch(engine: Engine) -> None:
    """Frames keep coming, from one thread, while the other backend arrives from another."""
    for _ in range(20):
        build = FakeBuild()
        backend = SwitchableBackend(
            Named(engine, 'onnxruntime', 1),
            build,
            lambda: Named(engine, 'tensorrt', 2),
            'tensorrt',
        )
        labels: list[int] = []
        threading.Timer(0.005, build.end).start()
        until(lambda: labels.append(label_of(backend)) is None and labels[-1] == 2)  # noqa: B023
        labels += [label_of(backend) for _ in range(5)]
        assert labels == sorted(labels)  # ones, then twos, and each frame has its labels
        assert set(labels) == {1, 2} or labels[0] == 2
        backend.close()


def test_a_build_that_fails_leaves_the_first_at_work_and_says_why(engine: Engine) -> None:
    build = FakeBuild()
    backend = SwitchableBackend(
        Named(engine, 'onnxruntime', 1), build, lambda: Named(engine, 'tensorrt', 2), 'tensorrt'
    )
    build.end('there is no room in the cache')
    until(lambda: backend.status().state == 'failed')
    assert backend.status().reason == (
        'onnxruntime serves, for tensorrt failed: there is no room in the cache'
    )
    assert label_of(backend) == 1
    backend.close()


def test_a_plan_that_cannot_be_loaded_leaves_the_first_at_work(engine: Engine) -> None:
    build = FakeBuild()

    def make() -> Named:
        raise BackendError('The GPU has no memory left.')

    backend = SwitchableBackend(Named(engine, 'onnxruntime', 1), build, make, 'tensorrt')
    build.end()
    until(lambda: backend.status().state == 'failed')
    assert 'no memory left' in backend.status().reason
    assert label_of(backend) == 1
    backend.close()


def test_whatever_a_library_raises_while_a_plan_is_loaded_is_told(engine: Engine) -> None:
    """Else it would be loading for ever, and nobody would know."""
    build = FakeBuild()

    def make() -> Named:
        raise RuntimeError('pybind11 could not convert it')

    backend = SwitchableBackend(Named(engine, 'onnxruntime', 1), build, make, 'tensorrt')
    build.end()
    until(lambda: backend.status().state == 'failed')
    assert 'RuntimeError: pybind11 could not convert it' in backend.status().reason
    assert label_of(backend) == 1
    backend.close()


def test_a_backend_that_fails_on_its_first_frame_gives_it_to_the_first(engine: Engine) -> None:
    build, gpu = FakeBuild(), Named(engine, 'tensorrt', 2)
    gpu.fail('Xid 79')
    backend = SwitchableBackend(Named(engine, 'onnxruntime', 1), build, lambda: gpu, 'tensorrt')
    build.end()
    until(lambda: label_of(backend) == 1 and gpu.calls == 1)
    assert gpu.closed == 1
    assert backend.status().state == 'failed'
    assert 'Xid 79' in backend.status().reason
    assert backend.name == 'onnxruntime'
    backend.close()


def test_a_wrong_image_does_not_count_against_the_second(engine: Engine) -> None:
    build, gpu = FakeBuild(), Named(engine, 'tensorrt', 2)
    backend = SwitchableBackend(Named(engine, 'onnxruntime', 1), build, lambda: gpu, 'tensorrt')
    build.end()
    until(lambda: backend._next is not None)
    with pytest.raises(BackendError, match='takes images as uint8'):
        backend.infer(IMAGES[:, :8])
    assert label_of(backend) == 2
    backend.close()


def test_closing_ends_the_build_and_closes_both(engine: Engine) -> None:
    build, cpu, gpu = (
        FakeBuild(),
        Named(engine, 'onnxruntime', 1),
        Named(engine, 'tensorrt', 2),
    )
    backend = SwitchableBackend(cpu, build, lambda: gpu, 'tensorrt')
    backend.close()
    backend.close()
    assert build.closed
    assert cpu.closed >= 1
    with pytest.raises(BackendError, match='is closed'):
        backend.infer(IMAGES)

    second = SwitchableBackend(
        Named(engine, 'onnxruntime', 1), done := FakeBuild(), lambda: gpu, ''
    )
    done.end()
    until(lambda: second._next is not None)
    second.close()
    assert gpu.closed == 1


def test_a_plain_backend_is_ready_and_says_no_more(engine: Engine) -> None:
    assert backend_status(CannedBackend(engine)) == ('ready', 1.0, '')
