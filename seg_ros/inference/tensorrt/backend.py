# SPDX-License-Identifier: Apache-2.0
"""TensorRT on an NVIDIA GPU: a plan from the cache, label and confidence in the graph.

Not verified on hardware so far; ``make gpu-check`` on a machine with a GPU does that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seg_ros.core.errors import (
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    DeviceLost,
    EngineError,
)
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import InferenceResult, Pending, check_batch
from seg_ros.inference.cuda.device_memory import DeviceMemory, memory_version, open_device_memory
from seg_ros.inference.cuda.gpu import GpuInfo, find_gpu
from seg_ros.inference.engine import Engine
from seg_ros.inference.tensorrt.api import FIX, TensorrtApi, load_tensorrt
from seg_ros.inference.tensorrt.host_sets import HostSets
from seg_ros.inference.tensorrt.plan_build import PLAN_PRECISIONS, BuildOptions
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tensorrt.plan_key import plan_key
from seg_ros.inference.tensorrt.plan_runner import PlanOutputs, PlanRunner, Run

__all__ = [
    'FIX',
    'GpuStack',
    'PlanMissing',
    'TensorrtBackend',
    'auto_verdict',
    'gpu_stack',
    'plan_precision',
    'version',
]

MOST_RESTARTS = 3  # in a row; a GPU that fails more often is broken
GOOD_RUNS = 300  # after which an old failure is forgotten

_left_behind: list[object] = []


class PlanMissing(BackendUnavailable):
    """A plan that must be built first; everything else is there.

    Attributes:
        why: What is wrong with the plans at hand, as the end of a sentence.
    """

    def __init__(self, engine: Engine, options: BuildOptions, why: str) -> None:
        super().__init__(
            f"There is no TensorRT plan of engine '{engine.name}' that can be used: {why}. Build "
            f'it: seg_ros build-engine {engine.name} --precision {options.precision}'
        )
        self.why = why


class _LeftAlone(BackendError):
    """The GPU is not started again."""


class GpuStack(NamedTuple):
    """All that TensorRT needs of a machine.

    Attributes:
        api: TensorRT itself.
        gpu: The device.
        open_memory: Opens the device's memory; called again after a failure that it survived.
    """

    api: TensorrtApi
    gpu: GpuInfo
    open_memory: Callable[[], DeviceMemory]


def gpu_stack() -> GpuStack:
    """Returns what this machine has.

    Raises:
        BackendUnavailable: Something is missing; the message says what.
    """
    gpu = find_gpu()
    memory_version()
    api = load_tensorrt()
    api.check_gpu(gpu)
    return GpuStack(api, gpu, open_device_memory)


def _stack_by_name() -> GpuStack:
    try:
        return gpu_stack()
    except BackendUnavailable as error:
        raise BackendUnavailable(
            f"Backend 'tensorrt' cannot run here: {str(error).rstrip('.')}. Backend 'auto' takes "
            'what can.'
        ) from error


def version() -> str:
    """Returns TensorRT with its version and the GPU.

    Raises:
        BackendUnavailable: Something is missing here; the message says what.
    """
    stack = gpu_stack()
    return f'{stack.api.title} on {stack.gpu.name} ({stack.gpu.architecture})'


def auto_verdict(precision: str) -> tuple[bool, str]:
    """Returns whether 'auto' takes this backend for a precision, and why."""
    if precision not in ('auto', *PLAN_PRECISIONS):
        return False, f'it has no plans in {precision}'
    return True, 'there is an NVIDIA GPU with TensorRT'


def plan_precision(precision: str) -> str:
    """Returns the precision of the plan that a parameter means.

    Raises:
        ConfigurationError: TensorRT has no such plans.
    """
    if precision == 'auto':
        return PLAN_PRECISIONS[0]
    if precision not in PLAN_PRECISIONS:
        raise ConfigurationError(
            f"Backend 'tensorrt' has no precision '{precision}'. Take one of auto, "
            f'{", ".join(PLAN_PRECISIONS)}.'
        )
    return precision


class TensorrtBackend:
    """Runs an engine with TensorRT; see ``OverlappingBackend``.

    What the host hands over lies in sets that outlive a runner: after a failure another runner
    goes on with what was prepared meanwhile.
    """

    name = 'tensorrt'
    overlaps = True

    def __init__(
        self,
        engine: Engine,
        *,
        threads: int = 0,  # noqa: ARG002  every backend takes it
        precision: str = 'auto',
        max_batch: int = 1,
        cache_path: Path | None = None,
        stack: GpuStack | None = None,
    ) -> None:
        """Loads the plan from the cache and warms up.

        Args:
            engine: What to run.
            threads: Means nothing here.
            precision: 'fp32', 'fp16', 'int8', or 'auto', which is fp16.
            max_batch: Images that run together; a larger batch runs in parts.
            cache_path: Folder of the plans; ``cache_folder()`` by default.
            stack: What to run on; this machine by default.

        Raises:
            BackendUnavailable: No GPU, driver, TensorRT or library for GPU memory.
            PlanMissing: A plan must be built first.
            ConfigurationError: A precision or batch size that there is not.
            EngineError: INT8 of an engine that has none.
            BackendError: The GPU fails, or has too little memory.
        """
        options = BuildOptions(plan_precision(precision), max_batch)
        self.engine = engine
        self.max_batch = max_batch
        self._stack = stack or _stack_by_name()
        cache = PlanCache(cache_path)
        key = plan_key(engine, options, self._stack.api, self._stack.gpu)
        self._plan, why = cache.load(key)
        if why:
            raise PlanMissing(engine, options, why)
        self._restarts = self._good_runs = 0
        self._lost: DeviceLost | None = None
        self._host_memory = self._stack.open_memory()
        try:
            with self._host_memory.current():
                self._host = HostSets(self._host_memory, max_batch, engine.network_size_wh)
            self._runner: PlanRunner | None = self._start(cache.hint('kernels', key))
        except BaseException as error:
            with suppress(BackendError):  # what went wrong first is what is told
                self._host_memory.close()
            if not isinstance(error, EngineError):
                raise
            refused, _ = cache.find(key)
            if refused is not None:
                cache.discard(refused)
            raise PlanMissing(engine, options, str(error)) from error
        cache.store_hint('kernels', key, self._runner.kernels())
        self._lock = threading.Lock()
        self._is_closed = False
        api, gpu = self._stack.api, self._stack.gpu
        graph = ', CUDA graph' if self._runner.uses_graph or api.captures_graphs_itself else ''
        shared = ', shared memory' if gpu.is_integrated else ''
        self.detail = f'{gpu.name} {options.precision}, {api.title}{graph}{shared}'

    def room(self, count: int) -> RgbBatch:
        """Returns pinned memory that the GPU does not use now; see ``OverlappingBackend.room``."""
        if count <= self._host.count:
            return self._host.room(count)
        width, height = self.engine.network_size_wh
        return np.empty((count, height, width, 3), np.uint8)

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        """Returns labels, and confidence if asked for; see ``InferenceBackend.infer``.

        Raises:
            DeviceLost: Only a new process can use the GPU again; so does every call after it.
            BackendError: The GPU failed and is started again with the next call, a few times; or
                the network gave what is no number.
        """
        return self.begin(images, with_confidence=with_confidence)()

    def begin(self, images: RgbBatch, *, with_confidence: bool = False) -> Pending:
        """Lets the GPU begin; see ``OverlappingBackend.begin``. Raises what ``infer`` raises."""
        with self._lock:
            self._check_usable()
            check_batch(images, self.engine)
            try:
                runner = self._runner or self._start_again()
                if len(images) > runner.max_batch:
                    outputs = self._run_in_parts(runner, images, with_confidence)
                    return partial(self._result_of, outputs, with_confidence)
                run = runner.begin(images, with_confidence=with_confidence)
            except BackendError as error:
                raise self._failed(error) from error
        return partial(self._wait, runner, run, with_confidence)

    def close(self) -> None:
        """Frees everything, the arrays of the latest result too; a second call does nothing.

        Of a GPU that is lost nothing is freed: that may hang, and the end of the process does it.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            runner, self._runner = self._runner, None
            if self._lost is not None:
                _left_behind.extend((runner, self._host_memory))  # or Python would free them
                return
            try:
                if runner is not None:
                    runner.close()
            finally:
                self._host_memory.close()

    def _check_usable(self) -> None:
        if self._is_closed:
            raise BackendError(
                f"Backend 'tensorrt' of engine '{self.engine.name}' is closed. Create a new one."
            )
        if self._lost is not None:
            raise DeviceLost(str(self._lost))

    def _wait(self, runner: PlanRunner, run: Run, with_confidence: bool) -> InferenceResult:
        """Returns what came of a run; raises what ``infer`` raises."""
        with self._lock:
            self._check_usable()
            try:
                outputs = runner.wait(run)
            except BackendError as error:
                raise self._failed(error) from error
        return self._result_of(outputs, with_confidence)

    def _result_of(self, outputs: PlanOutputs, with_confidence: bool) -> InferenceResult:
        """Returns the result of a run on a GPU that is well.

        Raises:
            BackendError: The network gave what is no number.
        """
        self._good_runs += 1
        if self._good_runs >= GOOD_RUNS:
            self._restarts = 0
        if not np.isfinite(outputs.health).all():
            raise BackendError(
                f"Engine '{self.engine.name}' gave scores that are no numbers (NaN or infinite) "
                f'on {self.detail}. Its weights are broken, or the precision is too small for '
                "them: try precision 'fp32', or make the engine again."
            )
        return InferenceResult(outputs.labels, outputs.confidence if with_confidence else None)

    def _start(self, kernels: bytes = b'') -> PlanRunner:
        stack = self._stack
        memory = stack.open_memory()
        size_wh = self.engine.network_size_wh
        return PlanRunner(stack.api, memory, self._plan, size_wh, kernels, self._host)

    def _start_again(self) -> PlanRunner:
        """Returns a new runner after a failure of the GPU, a few times."""
        if self._restarts >= MOST_RESTARTS:
            raise _LeftAlone(
                f'The GPU failed {self._restarts + 1} times in a row and is left alone now. Look '
                'at dmesg for an NVRM or Xid line, then restart the node or the machine.'
            )
        self._restarts += 1
        self._good_runs = 0
        try:
            self._runner = self._start()
        except EngineError as error:  # a plan that ran before: the GPU is what has changed
            raise BackendError(str(error)) from error
        return self._runner

    def _failed(self, error: BackendError) -> BackendError:
        """Frees the runner, or leaves it where the GPU is lost; returns what to say."""
        if isinstance(error, _LeftAlone):
            return error
        runner = self._runner
        if runner is not None and not isinstance(error, DeviceLost):
            try:
                runner.probe()
            except DeviceLost as lost:
                error = DeviceLost(f'{error} {lost}')
            except BackendError:
                pass
        if isinstance(error, DeviceLost):
            self._lost = error
            return error
        self._runner = None
        if runner is not None:
            with suppress(BackendError):  # an error of before, told again by what frees
                runner.close()
        left = MOST_RESTARTS - self._restarts
        plan = f'It is started again with the next frame, {left} more times.' if left else ''
        return BackendError(f'{error} {plan}'.rstrip())

    def _run_in_parts(
        self, runner: PlanRunner, images: RgbBatch, with_confidence: bool
    ) -> PlanOutputs:
        """Runs more images than fit, some after the others; returns copies."""
        parts = []
        for first in range(0, len(images), runner.max_batch):
            part = images[first : first + runner.max_batch]
            outputs = runner.run(part, with_confidence=with_confidence)
            parts.append([array.copy() for array in outputs])
        return PlanOutputs(*(np.concatenate(rows) for rows in zip(*parts, strict=True)))
