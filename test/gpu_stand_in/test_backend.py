# SPDX-License-Identifier: Apache-2.0
"""The real backend with cuda-bindings on the stand-in: what comes out, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_ros.core.errors import BackendError, BackendUnavailable, DeviceLost
from seg_ros.inference.registry import PlanOptions, create_backend
from seg_ros.inference.tensorrt import plan_runner
from seg_ros.inference.tensorrt.plan_build import BuildOptions
from seg_ros.inference.tensorrt.plan_maker import build_stack, make_plan
from test.gpu_stand_in.stand_in import StandIn
from test.gpu_stand_in.tiny_plan import TinyPlan

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')

GPUS = pytest.mark.parametrize('is_integrated', [False, True], ids=['own memory', 'shared'])
ERRORS = [(2, False), (999, False), (700, True), (719, True)]


@GPUS
@pytest.mark.parametrize('max_batch', [1, 3])
def test_what_comes_out_is_what_the_graph_computes(
    max_batch: int, is_integrated: bool, gpu: StandIn, tmp_path: Path
) -> None:
    gpu.be(is_integrated=is_integrated)
    plan = TinyPlan(tmp_path, max_batch)
    backend = plan.backend()
    assert 'CUDA graph' in backend.detail
    assert ('shared memory' in backend.detail) == is_integrated
    plan.drive(backend)
    plan.check(backend, 0, 2 * max_batch)  # in parts
    backend.close()


@GPUS
def test_a_plan_is_built_checked_and_served(
    is_integrated: bool, gpu: StandIn, tmp_path: Path
) -> None:
    gpu.be(is_integrated=is_integrated)
    plan = TinyPlan(tmp_path)
    made = make_plan(build_stack(), plan.engine, BuildOptions('fp32', 3), plan.cache, force=True)
    assert str(made.notes['check']).startswith('100.000% of the labels')
    chosen = create_backend(
        'tensorrt', plan.engine, precision='fp32', plans=PlanOptions(plan.cache.folder, 3)
    )
    plan.check(chosen.backend, 0, 3)
    chosen.backend.close()


def test_a_hundred_backends_leave_nothing_behind(gpu: StandIn, tmp_path: Path) -> None:
    plan = TinyPlan(tmp_path)
    for _ in range(100):
        backend = plan.backend()
        plan.check(backend, 0)
        backend.close()
        backend.close()
        assert gpu.open() == {}


def test_too_little_memory_is_said_and_leaves_nothing_behind(gpu: StandIn, tmp_path: Path) -> None:
    plan = TinyPlan(tmp_path)
    for total, said in ((1 << 10, r'gives no context'), ((1 << 16) + 4096, 'no memory left')):
        gpu.be(total_bytes=total)
        with pytest.raises(BackendError, match=said):
            plan.backend()
        assert gpu.open() == {}
    gpu.be()


def swept(plan: TinyPlan, gpu: StandIn, error: int, sticks: bool, at: int) -> tuple[bool, str]:
    """Drives with the call of that number failing; returns whether it failed, and how it ended."""
    gpu.heal()
    gpu.fail(at=at, error=error, sticks=sticks)
    failures: list[Exception] = []
    backend = None
    try:
        backend = plan.backend()
    except BackendError as first:
        failures.append(first)
    if backend is not None:
        for index in range(7):  # enough for a graph, again after a failure
            try:
                plan.check(backend, index)
            except BackendError as failure:
                failures.append(failure)
        try:
            backend.close()
        except BackendError as failure:
            failures.append(failure)
    assert gpu.problems == []
    if any(isinstance(row, DeviceLost) for row in failures):
        assert sticks
        # Once it is lost it stays lost, and every frame says so
        assert all(isinstance(row, DeviceLost) for row in failures[-2:])
        return True, 'lost'
    assert not sticks or not failures or backend is None
    assert gpu.open() == {}, f'{failures}'
    assert len(failures) <= 1, 'one error is told once'
    assert all(isinstance(row, BackendError) for row in failures)
    return bool(failures), 'well'


@GPUS
@pytest.mark.parametrize(('error', 'sticks'), ERRORS)
def test_whatever_call_fails_it_goes_on_or_asks_for_a_new_process(
    error: int,
    sticks: bool,
    is_integrated: bool,
    careless_gpu: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that hangs is ended by the time of its process."""
    monkeypatch.setattr(plan_runner, 'CAPTURE_AFTER', 2)  # all ways of a run in fewer runs
    gpu = careless_gpu
    gpu.be(is_integrated=is_integrated)
    plan = TinyPlan(tmp_path)
    swept(plan, gpu, error, sticks, 1 << 20)  # none fails
    calls = gpu.calls
    assert calls > 50
    ends = [swept(plan, gpu, error, sticks, at) for at in range(1, calls + 1)]
    failed = sum(row[0] for row in ends)
    assert failed > 0.8 * calls  # the others are what may fail: a capture, what frees
    assert ('lost' in {row[1] for row in ends}) == sticks
    gpu.heal()


def test_a_driver_that_is_broken_when_it_is_asked_says_so(
    careless_gpu: StandIn, tmp_path: Path
) -> None:
    for call in ('cuInit', 'cuDeviceGetCount', 'cuDeviceGetName', 'cuDeviceGetAttribute'):
        careless_gpu.heal()
        careless_gpu.fail(call)
        with pytest.raises(BackendUnavailable, match=rf'{call} gives error 999'):
            TinyPlan(tmp_path / call)
