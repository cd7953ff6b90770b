# SPDX-License-Identifier: Apache-2.0
"""What is measured, in which order, beside what; no time is judged here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seg_ros.core.errors import BackendUnavailable, SegRosError
from seg_ros.inference.base import InferenceBackend, InferenceResult
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.inference.tuning import measure as module
from seg_ros.inference.tuning.choice import Candidate
from seg_ros.inference.tuning.load import beside_load
from seg_ros.inference.tuning.measure import (
    OUT_OF_TIME,
    Effort,
    candidates,
    measure,
    seeded_pictures,
    thread_counts,
)
from test.tiny_onnx import SIZE_WH, write_engine

PICTURES = seeded_pictures(SIZE_WH)
SHORT = Effort(first_runs=1, rounds=2, busy_rounds=2)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


class Loads:
    """Notes which loads were asked for."""

    def __init__(self) -> None:
        self.neighbours: list[int] = []

    @contextlib.contextmanager
    def __call__(self, neighbours: int) -> Iterator[None]:
        self.neighbours.append(neighbours)
        yield


class Fake:
    """Gives label 1, or another one in a share of the pixels."""

    max_batch = 1
    detail = ''

    def __init__(self, engine: Engine, name: str, wrong: float = 0.0, sure: int = 255) -> None:
        self.engine, self.name, self.wrong, self.sure = engine, name, wrong, sure
        self.closed = 0

    def infer(self, images: np.ndarray, *, with_confidence: bool = False) -> InferenceResult:
        labels = np.ones(images.shape[:3], np.uint8)
        labels[:, :, : round(self.wrong * labels.shape[2])] = 2
        return InferenceResult(labels, np.full_like(labels, self.sure))

    def close(self) -> None:
        self.closed += 1


def test_both_runtimes_are_measured_beside_cameras_and_beside_a_neighbour(engine: Engine) -> None:
    def make(candidate: Candidate) -> InferenceBackend:
        return create_backend(
            candidate.backend, engine, threads=candidate.threads, precision=candidate.precision
        ).backend

    loads = Loads()
    wanted = candidates(engine, 'fp32', threads=1)
    rows = measure(wanted, make, PICTURES, loads, effort=SHORT)
    assert [str(row.candidate) for row in rows] == [
        'onnxruntime fp32, 1 thread',
        'openvino fp32, 1 thread',
    ]
    assert all(row.agreement > 0.99 and row.busy_ms > 0.0 and not row.why_not for row in rows)
    assert loads.neighbours == [0, 1]


def test_every_number_of_threads_is_tried_with_every_precision_that_the_cpu_has(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert thread_counts(1) == [1]
    assert thread_counts(2) == [2, 1]
    assert thread_counts(8) == [8, 7, 4]
    monkeypatch.setattr(module, 'available_cores', lambda: 2)
    for flags, precisions in (((), {'fp32'}), (('amx_bf16',), {'fp32', 'bf16'})):
        monkeypatch.setattr(module, 'bf16_instructions', lambda flags=flags: flags)
        rows = candidates(engine)
        assert {row.precision for row in rows} == precisions
        assert {row.threads for row in rows} == {1, 2}
    kinds = {(row.backend, row.precision) for row in candidates(load_engine('roadseg'))}
    assert {('openvino', 'int8'), ('onnxruntime', 'int8')} <= kinds


def test_other_labels_than_those_of_fp32_are_found_and_closed(engine: Engine) -> None:
    made: list[Fake] = []

    def make(candidate: Candidate) -> Fake:
        made.append(Fake(engine, candidate.backend, 0.1 * (candidate.precision == 'int8')))
        return made[-1]

    wanted = [Candidate('onnxruntime', 'fp32', 1), Candidate('onnxruntime', 'int8', 1)]
    rows = measure(wanted, make, PICTURES, Loads(), effort=SHORT)
    assert rows[0].why_not == ''
    assert rows[1].why_not == 'its labels differ from fp32 (90.6% agree)'
    assert [backend.closed for backend in made] == [1, 1, 1]


def test_pixels_that_fp32_is_not_sure_of_are_no_reason_against_it(engine: Engine) -> None:
    class HalfSure(Fake):
        def infer(self, images: np.ndarray, *, with_confidence: bool = False) -> InferenceResult:
            said = super().infer(images)
            assert said.confidence is not None
            said.confidence[:, :, :8] = 100
            return said

    def make(candidate: Candidate) -> Fake:
        return HalfSure(engine, candidate.backend, 0.1 * (candidate.precision == 'bf16'))

    wanted = [Candidate('openvino', 'fp32', 1), Candidate('openvino', 'bf16', 1)]
    _, row = measure(wanted, make, PICTURES, Loads(), effort=SHORT)
    assert (row.why_not, row.agreement) == ('', 1.0)
    assert row.agreement_all == pytest.approx(1 - 6 / 64)


def test_what_cannot_run_here_is_a_row_with_the_reason(engine: Engine) -> None:
    def make(candidate: Candidate) -> Fake:
        if candidate.backend == 'openvino':
            raise BackendUnavailable('it is not installed')
        return Fake(engine, candidate.backend)

    wanted = [Candidate('openvino', 'fp32', 1), Candidate('onnxruntime', 'fp32', 1)]
    rows = measure(wanted, make, PICTURES, Loads(), effort=SHORT)
    assert [row.why_not for row in rows] == ['it is not installed', '']
    with pytest.raises(SegRosError, match='it is not installed'):
        measure(wanted[:1], make, PICTURES, Loads(), effort=SHORT)


def test_what_there_is_no_time_for_says_so(engine: Engine) -> None:
    wanted = [Candidate('onnxruntime', 'fp32', 1)]
    effort = Effort(budget_s=-1.0)
    (row,) = measure(wanted, lambda _: Fake(engine, 'x'), PICTURES, Loads(), effort=effort)
    assert row.why_not == OUT_OF_TIME


def test_the_load_is_processes_that_end_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    children = []
    popen = module_popen()

    def noted(*arguments: object, **options: object) -> object:
        children.append(popen(*arguments, **options))
        return children[-1]

    monkeypatch.setattr('seg_ros.inference.tuning.load.subprocess.Popen', noted)
    with beside_load(cameras=1, hz=30.0, neighbours=1):
        assert [child.poll() for child in children] == [None, None]
    assert [child.poll() for child in children] == [0, 0]


def module_popen():  # type: ignore[no-untyped-def]
    from seg_ros.inference.tuning import load

    return load.subprocess.Popen


def test_the_pictures_are_the_same_in_every_run() -> None:
    assert PICTURES.shape == (3, SIZE_WH[1], SIZE_WH[0], 3)
    assert np.array_equal(PICTURES, seeded_pictures(SIZE_WH))
    assert not np.array_equal(PICTURES[0], PICTURES[1])
