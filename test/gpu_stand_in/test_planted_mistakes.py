# SPDX-License-Identifier: Apache-2.0
"""Mistakes that are easily made with CUDA: planted one by one, each is found on the stand-in.

What is found: an exception, a wrong label, a problem that the driver has noted, or something left
open. Some show on one kind of GPU alone, so both are driven.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from seg_ros.core.errors import SegRosError
from seg_ros.inference.cuda.cuda_bindings_memory import CudaBindingsMemory as Memory
from seg_ros.inference.cuda.device_memory import DeviceMemory
from seg_ros.inference.onnx.contract import IMAGE
from seg_ros.inference.tensorrt.host_sets import HostSets
from seg_ros.inference.tensorrt.plan_runner import OUTPUTS, PlanOutputs, PlanRunner, Run
from test.gpu_stand_in.stand_in import StandIn
from test.gpu_stand_in.tiny_plan import TinyPlan

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')

OWN, SHARED = 'own memory', 'shared memory'
Patch = pytest.MonkeyPatch


def no_synchronise(patch: Patch) -> None:
    patch.setattr(Memory, 'synchronise', lambda _: None)


def query_instead_of_synchronise(patch: Patch) -> None:
    patch.setattr(Memory, 'synchronise', lambda self: self._cuda.cuStreamQuery(self.stream))


def download_before_execute(patch: Patch) -> None:
    def queue(self: PlanRunner, index: int, count: int, with_confidence: bool) -> None:
        self._upload(index, count, with_confidence)
        self._download(index, count, with_confidence)
        self._execute(index, count, with_confidence)

    patch.setattr(PlanRunner, '_queue', queue)


def stale_graph_launched(patch: Patch) -> None:
    shape = PlanRunner._shape

    def kept(self: PlanRunner, count: int) -> None:
        graphs, self._graphs = self._graphs, {}
        shape(self, count)
        self._graphs = graphs

    patch.setattr(PlanRunner, '_shape', kept)


def copies_on_another_stream(patch: Patch) -> None:
    def on_another(name: str) -> None:
        copy = getattr(Memory, name)

        def wrong(self: Any, *words: Any) -> None:
            right = self.stream
            if not hasattr(self, 'another'):
                self.another, free = self._make_stream()
                self.keep(free)
            self.stream = self.another
            try:
                copy(self, *words)
            finally:
                self.stream = right

        patch.setattr(Memory, name, wrong)

    on_another('upload')
    on_another('download')


def wrong_destroy(patch: Patch) -> None:
    capture = Memory._capture

    def wrong(self: Any, queue: Callable[[], None]) -> Any:
        graph, _ = capture(self, queue)
        return graph, partial(self._free, 'cuGraphDestroy', graph)

    patch.setattr(Memory, '_capture', wrong)


def device_free_of_host_memory(patch: Patch) -> None:
    host_array = Memory._host_array

    def wrong(self: Any, *words: Any) -> Any:
        array, _ = host_array(self, *words)
        return array, partial(self._free, 'cuMemFree', array.ctypes.data)

    patch.setattr(Memory, '_host_array', wrong)


def short_allocation(patch: Patch) -> None:
    allocate = Memory._allocate
    patch.setattr(Memory, '_allocate', lambda self, size: allocate(self, size // 2))


def host_address_given_to_tensorrt(patch: Patch) -> None:
    patch.setattr(Memory, 'mapped_address', lambda _, array: int(array.ctypes.data))


def graph_freed_late(patch: Patch) -> None:
    close = DeviceMemory.close

    def late(self: Any) -> None:
        graphs = {key: free for key, free in self._open.items() if key[0] == 'graph'}
        self._open = graphs | self._open  # what is opened first is freed last
        close(self)

    patch.setattr(Memory, 'close', late)


def stream_freed_first(patch: Patch) -> None:
    close = DeviceMemory.close

    def wrong(self: Any) -> None:
        if self._open:
            self._open['stream', 0] = self._open.pop(('stream', 0))
        close(self)

    patch.setattr(Memory, 'close', wrong)


def one_set_for_both(patch: Patch) -> None:
    """The picture of the next batch is written over that which the GPU reads."""
    patch.setattr(HostSets, '__getitem__', lambda self, _: self._sets[0])
    patch.setattr(HostSets, 'room', lambda self, count: self._sets[0].arrays[IMAGE][:count])


def result_of_the_other_set(patch: Patch) -> None:
    wait = PlanRunner.wait

    def wrong(self: PlanRunner, run: Run) -> Any:
        wait(self, run)
        arrays = self._host[1 - run.host_set].arrays
        return PlanOutputs(*(arrays[name][: run.images] for name in OUTPUTS))

    patch.setattr(PlanRunner, 'wait', wrong)


MISTAKES: dict[Callable[[Patch], None], set[str]] = {
    no_synchronise: {OWN, SHARED},
    query_instead_of_synchronise: {OWN, SHARED},
    download_before_execute: {OWN},
    stale_graph_launched: {OWN, SHARED},
    copies_on_another_stream: {OWN},
    wrong_destroy: {OWN, SHARED},
    device_free_of_host_memory: {OWN, SHARED},
    short_allocation: {OWN},
    host_address_given_to_tensorrt: {SHARED},
    graph_freed_late: {OWN, SHARED},
    stream_freed_first: {OWN, SHARED},
    one_set_for_both: {OWN, SHARED},
    result_of_the_other_set: {OWN, SHARED},
}
"""Each with the kinds of GPU on which it shows."""


def found(gpu: StandIn, plan: TinyPlan) -> str:
    """Drives, and returns what is wrong; empty where nothing is."""
    gpu.heal()
    try:
        backend = plan.backend()
        try:
            plan.drive(backend)
        finally:
            backend.close()
    except (SegRosError, AssertionError) as error:
        return f'{type(error).__name__}: {error}'
    return '; '.join(gpu.problems) or (f'left open: {gpu.open()}' if gpu.open() else '')


@pytest.mark.parametrize('kind', [OWN, SHARED])
@pytest.mark.parametrize('plant', MISTAKES, ids=lambda row: row.__name__)
def test_a_planted_mistake_is_found(
    plant: Callable[[Patch], None],
    kind: str,
    careless_gpu: StandIn,
    tmp_path: Path,
    monkeypatch: Patch,
) -> None:
    careless_gpu.be(is_integrated=kind == SHARED)
    plan = TinyPlan(tmp_path, 3)
    assert found(careless_gpu, plan) == ''  # before it is planted
    plant(monkeypatch)
    assert bool(found(careless_gpu, plan)) == (kind in MISTAKES[plant])


def test_every_mistake_shows_somewhere() -> None:
    assert len(MISTAKES) == 13
    assert all(MISTAKES.values())
    assert sum(kinds != {OWN, SHARED} for kinds in MISTAKES.values()) >= 4
