# SPDX-License-Identifier: Apache-2.0
"""A plan on the GPU, with all that it needs: made once, run many times, freed once.

A run is begun and waited for: between the two the GPU works, and its caller may do something else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import BackendError, DeviceLost, EngineError
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import ConfidenceBatch, LabelBatch
from seg_ros.inference.cuda.device_memory import DeviceMemory
from seg_ros.inference.onnx.contract import CONFIDENCE, IMAGE, LABEL
from seg_ros.inference.onnx.plan_network import HEALTH
from seg_ros.inference.tensorrt.api import TensorrtApi
from seg_ros.inference.tensorrt.host_sets import SETS, HostSets, tensor_shapes

__all__ = ['CAPTURE_AFTER', 'PlanOutputs', 'PlanRunner', 'Run', 'StageTimes']

OUTPUTS = (LABEL, CONFIDENCE, HEALTH)
MEBI = 1 << 20

# Cameras that come together now and then change the batch size, and each change costs the graph.
CAPTURE_AFTER = 8  # runs of one size in a row


class PlanOutputs(NamedTuple):
    """Views of pinned memory, which the run after the next overwrites.

    Attributes:
        labels: ``uint8 (N, H, W)``.
        confidence: ``uint8 (N, H, W)``; meaningless where it was not asked for.
        health: ``float32 (N,)``, no number where a score of that image is none.
    """

    labels: LabelBatch
    confidence: ConfidenceBatch
    health: NDArray[np.float32]


class Run(NamedTuple):
    """A run that was begun.

    Attributes:
        number: Of all runs.
        host_set: Which of the two it uses.
        images: In it.
    """

    number: int
    host_set: int
    images: int


class StageTimes(NamedTuple):
    """What the parts of a run took on the GPU, by its own clock."""

    upload_ms: float
    execute_ms: float
    download_ms: float


class PlanRunner:
    """Runs a plan; one caller at a time.

    Args:
        api: The TensorRT that built it.
        memory: Of the GPU; closed with the runner.
        plan: What ``build_plan`` made.
        size_wh: Network size.
        kernels: Those that were compiled before; see ``TensorrtApi.execution_context``.
        host: What it hands over with; outlives it. None makes sets that are freed with it.

    Attributes:
        max_batch: Images that run together at most.
        uses_graph: Whether runs are launched as a CUDA graph of ours.

    Raises:
        EngineError: TensorRT refuses the plan, or the plan gives scores that are no numbers.
        BackendError: The GPU fails, or has too little memory.
    """

    def __init__(
        self,
        api: TensorrtApi,
        memory: DeviceMemory,
        plan: bytes,
        size_wh: tuple[int, int],
        kernels: bytes = b'',
        host: HostSets | None = None,
    ) -> None:
        self._api = api
        self._memory = memory
        self._size_wh = size_wh
        self._shape_hwc = (size_wh[1], size_wh[0], 3)
        self._is_mapped = memory.gpu.is_integrated
        self._may_capture = memory.can_capture and not api.captures_graphs_itself
        self._graphs: dict[int, int] = {}  # one a set, whose addresses it holds
        self._asked: tuple[int, bool] | None = None
        self._runs = 0  # in a row of what was asked
        self._begun: Run | None = None
        self._numbers = itertools.count(1)
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._kernels: Any = None
        self.max_batch = 0
        try:
            with memory.current():
                memory.keep(self._free_tensorrt)
                self._load(plan, kernels)
                self._host = host or HostSets(memory, self.max_batch, size_wh)
                self.max_batch = min(self.max_batch, self._host.count)
                self._allocate()
                for run in range(CAPTURE_AFTER + SETS):  # the last ones capture
                    self._launch(run % SETS, 1, with_confidence=False)
                    memory.synchronise()
                self._check_health()
        except BaseException:
            with suppress(BackendError):  # what went wrong first is what is told
                self.close()
            raise

    @property
    def uses_graph(self) -> bool:
        return self._may_capture and bool(self._graphs)

    def run(self, images: RgbBatch, *, with_confidence: bool) -> PlanOutputs:
        """Returns what the network says of images, as ``begin`` and ``wait`` do."""
        return self.wait(self.begin(images, with_confidence=with_confidence))

    def begin(self, images: RgbBatch, *, with_confidence: bool) -> Run:
        """Lets the GPU begin, and does not wait for it. One run at a time is under way.

        Args:
            images: ``uint8 (N, H, W, 3)``, N at most ``max_batch``, any strides; in the room of
                the next set nothing is copied.
            with_confidence: Whether confidence is brought back as well.

        Raises:
            BackendError: The GPU fails.
        """
        with self._memory.current():
            if self._begun is not None:  # nobody waited for it
                self._begun = None
                self._memory.synchronise()
            run = Run(next(self._numbers), self._host.take(images), len(images))
            self._launch(run.host_set, run.images, with_confidence)
        self._begun = run
        return run

    def wait(self, run: Run) -> PlanOutputs:
        """Returns what the network says; the views are overwritten by the run after the next.

        Raises:
            BackendError: The GPU fails, or another run was begun meanwhile.
        """
        if run != self._begun:
            raise BackendError('Another run was begun before this one was waited for.')
        self._begun = None
        with self._memory.current():
            self._memory.synchronise()
        arrays = self._host[run.host_set].arrays
        return PlanOutputs(*(arrays[name][: run.images] for name in OUTPUTS))

    def timed(self, count: int, runs: int) -> list[StageTimes]:
        """Returns what the parts of a run with confidence take, one after the other, each time.

        Each part is launched as it runs in the node: as a CUDA graph, where there can be one.
        """
        memory = self._memory
        with memory.current():
            self._shape(count)
            self._queue(0, count, with_confidence=True)  # what TensorRT does once, it does now
            memory.synchronise()
            parts = [self._launching(part, count) for part in self._parts()]
            times = [self._timed_once([launch for launch, _ in parts]) for _ in range(runs)]
            for _, graph in parts:
                if graph is not None:
                    memory.free_graph(graph)
        return times

    def _parts(self) -> tuple[Callable[[int, int, bool], None], ...]:
        return self._upload, self._execute, self._download

    def _launching(
        self, part: Callable[[int, int, bool], None], count: int
    ) -> tuple[Callable[[], None], int | None]:
        """Returns what launches a part of a run, and the graph that it launches."""
        memory = self._memory
        is_empty = self._is_mapped and part != self._execute  # an empty graph is none
        if self._may_capture and not is_empty:
            try:
                graph = memory.capture(lambda: part(0, count, True))
            except DeviceLost:
                raise
            except BackendError:
                self._may_capture = False
            else:
                return lambda: memory.launch(graph), graph
        return lambda: part(0, count, True), None

    def _timed_once(self, launches: Sequence[Callable[[], None]]) -> StageTimes:
        memory = self._memory
        events = [memory.record_event()]
        for launch in launches:
            launch()
            events.append(memory.record_event())
        memory.synchronise()
        times = [memory.elapsed_ms(*pair) for pair in itertools.pairwise(events)]
        for event in events:
            memory.free_event(event)
        return StageTimes(*times)

    def layers(self) -> list[str]:
        """Returns one line per layer of the engine, as it runs on this GPU."""
        with self._memory.current():
            return self._api.describe_layers(self._engine)

    def kernels(self) -> bytes:
        """Returns what was compiled on this GPU so far, for the next time."""
        return b'' if self._kernels is None else bytes(memoryview(self._kernels.serialize()))

    def probe(self) -> None:
        """Asks whether this process can still use the GPU; TensorRT's own errors do not say.

        Raises:
            DeviceLost: It cannot.
            BackendError: Something else is wrong.
        """
        with self._memory.current():
            self._memory.synchronise()

    def close(self) -> None:
        """Frees everything; a second call does nothing.

        Raises:
            BackendError: The first thing that could not be freed; the rest was.
        """
        self._graphs.clear()
        self._memory.close()

    def _free_tensorrt(self) -> None:
        """Frees TensorRT's own memory, from the inside out."""
        self._context = self._kernels = self._engine = self._runtime = None

    def _load(self, plan: bytes, kernels: bytes) -> None:
        api = self._api
        api.forget()
        self._runtime = api.runtime()
        self._engine = self._runtime and self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(f'{api.title} refuses the plan: {api.why()}')
        names = {self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)}
        if names != {IMAGE, *OUTPUTS}:
            raise EngineError(
                f'the plan has the tensors {", ".join(sorted(names))}; expected are '
                f'{", ".join(sorted((IMAGE, *OUTPUTS)))}'
            )
        self._context, self._kernels = api.execution_context(self._engine, kernels)
        if self._context is None:
            raise BackendError(
                f'{api.title} gives no context for the plan on {self._memory.gpu.name}: '
                f'{api.why()}. {self._memory.free_bytes() // MEBI} MB of GPU memory are free; end '
                'other programs on it.'
            )
        shape = tuple(self._engine.get_tensor_shape(IMAGE))
        if shape[1:] != self._shape_hwc:
            raise EngineError(f'the plan takes images of {shape}, expected is {self._shape_hwc}')
        if shape[0] > 0:
            self.max_batch = shape[0]
        else:
            _, _, most = self._engine.get_tensor_profile_shape(IMAGE, 0)
            self.max_batch = most[0]

    def _allocate(self) -> None:
        """Gives TensorRT the memory of its tensors; both sets share it, one after the other."""
        self._addressed: int | None = None
        if self._is_mapped:
            return
        self._device = {
            name: self._memory.allocate(int(np.prod(shape)) * np.dtype(dtype).itemsize)
            for name, (shape, dtype) in tensor_shapes(self.max_batch, self._size_wh).items()
        }
        self._set_addresses(self._device)

    def _set_addresses(self, addresses: Mapping[str, int]) -> None:
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise BackendError(
                    f"{self._api.title} refuses the memory of '{name}': {self._api.why()}."
                )

    def _launch(self, index: int, count: int, with_confidence: bool) -> None:
        """Queues a run, as a graph where there is one."""
        memory = self._memory
        if self._asked != (count, with_confidence):
            self._shape(count)
            self._asked, self._runs = (count, with_confidence), 0
        elif self._may_capture and index not in self._graphs and self._runs >= CAPTURE_AFTER:
            try:
                self._graphs[index] = memory.capture(
                    lambda: self._queue(index, count, with_confidence)
                )
            except DeviceLost:
                raise
            except BackendError:  # some layers cannot be captured; they run without
                self._may_capture = False
        if index in self._graphs:
            memory.launch(self._graphs[index])
        else:
            self._queue(index, count, with_confidence)
        self._runs += 1

    def _shape(self, count: int) -> None:
        """Prepares another batch size; graphs that were captured with the old one are stale."""
        self._free_graphs()
        self._asked = None
        if not self._context.set_input_shape(IMAGE, (count, *self._shape_hwc)):
            raise BackendError(f'{self._api.title} refuses {count} images: {self._api.why()}.')

    def _free_graphs(self) -> None:
        while self._graphs:
            _, graph = self._graphs.popitem()
            self._memory.free_graph(graph)

    def _check_health(self) -> None:
        """Refuses a plan that says of a black image what is no number: it would stop for good."""
        if not np.isfinite(self._host[0].arrays[HEALTH][0]):
            raise EngineError(
                f'the plan of {self._api.title} gives scores that are no numbers (NaN or '
                'infinite), of a black image already'
            )

    def _queue(self, index: int, count: int, with_confidence: bool) -> None:
        for part in self._parts():
            part(index, count, with_confidence)

    def _upload(self, index: int, count: int, _: bool) -> None:
        if not self._is_mapped:
            self._memory.upload(self._host[index].arrays[IMAGE][:count], self._device[IMAGE])

    def _execute(self, index: int, *_: object) -> None:
        if self._is_mapped and self._addressed != index:
            self._addressed = None
            self._set_addresses(self._host[index].addresses)
            self._addressed = index
        if not self._context.execute_async_v3(self._memory.stream):
            raise BackendError(
                f'{self._api.title} failed on {self._memory.gpu.name}: {self._api.why()}.'
            )

    def _download(self, index: int, count: int, with_confidence: bool) -> None:
        if self._is_mapped:
            return
        for name in (LABEL, HEALTH, *((CONFIDENCE,) if with_confidence else ())):
            self._memory.download(self._device[name], self._host[index].arrays[name][:count])
