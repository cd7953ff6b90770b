# SPDX-License-Identifier: Apache-2.0
"""A TensorRT without a GPU: its runtime's calls, carried out by ONNX Runtime on fake memory.

A plan is ``FAKE`` and the ONNX model. What the calls are named is checked against the real
bindings in ``test/inference/tensorrt/test_names.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from seg_ros.inference.cuda.gpu import GpuInfo
from seg_ros.inference.cuda.recording_memory import FAKE_GPU, RecordingMemory
from seg_ros.inference.engine import Engine as SegRosEngine
from seg_ros.inference.tensorrt.api import TensorrtApi
from seg_ros.inference.tensorrt.backend import GpuStack
from seg_ros.inference.tensorrt.plan_build import (
    BuildOptions,
    BuiltPlan,
    LayerReport,
    network_of_plan,
)
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tensorrt.plan_key import plan_key

MAGIC = b'FAKE'
OUTPUTS = ('label', 'confidence', 'health')


@lru_cache(maxsize=8)
def session_of(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options)


class Logger:
    ERROR, INTERNAL_ERROR, WARNING = 'error', 'internal', 'warning'

    def __init__(self) -> None:
        pass


class Engine:
    """Runs the model that its plan holds."""

    num_io_tensors = 4

    def __init__(self, machine: FakeMachine, model: bytes) -> None:
        self.machine = machine
        self.session = session_of(model)
        shape = self.session.get_inputs()[0].shape
        self.shape = (-1 if isinstance(shape[0], str) else shape[0], *shape[1:])

    def get_tensor_name(self, index: int) -> str:
        return ('image', *OUTPUTS)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert name == 'image'
        return self.shape

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        one, most = (1, *self.shape[1:]), (self.machine.max_batch, *self.shape[1:])
        return [one, one, most]

    def create_engine_inspector(self) -> SimpleNamespace:
        return SimpleNamespace(get_engine_information=lambda _: 'one\ntwo')

    def create_execution_context(self) -> Context | None:
        self.machine.memory.calls.append('create_execution_context')
        return None if self.machine.no_context else Context(self)


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.count = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.engine.machine.memory.calls.append('set_input_shape')
        self.count = shape[0]
        return shape[1:] == self.engine.shape[1:]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.engine.machine.memory.calls.append('set_tensor_address')
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        machine, memory = self.engine.machine, self.engine.machine.memory
        if machine.refuses_runs:
            machine.log('error', 'told to fail')
            return False
        shape = (self.count, *self.engine.shape[1:])
        addresses = dict(self.addresses)  # as they are now: a graph keeps them

        def work() -> None:
            images = memory.view(addresses['image'], shape, np.uint8)
            session = self.engine.session
            arrays = session.run(list(OUTPUTS), {'image': images})
            if machine.gives_no_numbers:
                arrays[-1][:] = np.nan
            for name, array in zip(OUTPUTS, arrays, strict=True):
                memory.view(addresses[name], array.shape, array.dtype)[...] = array

        memory.enqueue('execute', work)
        return True


class FakeMachine:
    """A machine with a GPU that is none.

    Args:
        gpu: What it says it is.
        capacity: Bytes of device memory.
        max_batch: Of every plan's profile.
        version: Of TensorRT.

    Attributes:
        memories: Every memory that was opened, the latest last.
        refuses_runs: Whether TensorRT refuses to run.
        failing: See ``RecordingMemory``, of every memory that is opened from now on.
        no_context: Whether there is too little memory for a context.
        gives_no_numbers: Whether scores are NaN from now on.
    """

    def __init__(
        self,
        gpu: GpuInfo = FAKE_GPU,
        capacity: int = 1 << 30,
        max_batch: int = 1,
        version: str = '10.16.1.11',
    ) -> None:
        self.gpu = gpu
        self.capacity = capacity
        self.max_batch = max_batch
        self.memories: list[RecordingMemory] = []
        self.refuses_runs = False
        self.failing: tuple[str, str] | None = None
        self.no_context = False
        self.gives_no_numbers = False
        machine = self

        class Runtime:
            def __init__(self, logger: Any) -> None:
                machine.log = logger.log

            def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
                if plan.startswith(MAGIC):
                    return Engine(machine, plan[len(MAGIC) :])
                machine.log('error', 'Serialization assertion header.magicTag failed')
                return None

        self.log: Callable[[str, str], None] = lambda *_: None
        module = SimpleNamespace(
            __version__=version,
            ILogger=Logger,
            Runtime=Runtime,
            LayerInformationFormat=SimpleNamespace(ONELINE=1),
            BuilderFlag=SimpleNamespace(FP16=1, INT8=2, TF32=3),
        )
        self.stack = GpuStack(TensorrtApi(module, 'tensorrt'), gpu, self.open_memory)

    @property
    def memory(self) -> RecordingMemory:
        return self.memories[-1]

    def open_memory(self) -> RecordingMemory:
        self.memories.append(RecordingMemory(self.gpu, self.capacity))
        self.memory.failing = self.failing
        return self.memory


class Counter:
    """Stands for the builder: counts, and takes its time."""

    def __init__(self, plan: bytes, seconds: float = 0.0) -> None:
        self.builds = 0
        self.plan = plan
        self.seconds = seconds

    def __call__(self, *_: object, **__: object) -> BuiltPlan:
        self.builds += 1
        time.sleep(self.seconds)
        return BuiltPlan(self.plan, self.seconds, LayerReport(), b'measured')


def plan_for(engine: SegRosEngine, max_batch: int = 1) -> bytes:
    """Returns the plan of an engine, as its builder would."""
    return MAGIC + network_of_plan(engine, BuildOptions('fp32', max_batch))


def store(
    cache: PlanCache, engine: SegRosEngine, machine: FakeMachine, plan: bytes | None = None
) -> None:
    """Puts the plan of an engine into the cache, as a build would."""
    stack = machine.stack
    key = plan_key(engine, BuildOptions('fp16', machine.max_batch), stack.api, stack.gpu)
    if plan is None:
        plan = plan_for(engine, machine.max_batch)
    cache.store(key, plan, 1.0, {})
