# SPDX-License-Identifier: Apache-2.0
"""A TensorRT for the stand-in driver: the names of 10.x that our code uses, and no more.

A plan is ``STANDIN`` and the ONNX model that was parsed. Running it is work on the stream that is
done when the stream is synchronised, by ONNX Runtime on the memory that the addresses name, so it
is captured in a graph as a kernel would be. ``test/inference/tensorrt/test_names.py`` holds the
names that our code uses against the real bindings.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime

__version__ = '10.3.0'

MAGIC = b'STANDIN'
SCRATCH_BYTES = 1 << 16  # of a context, as TensorRT takes memory for activations

cuda = ctypes.CDLL('libcuda.so.1')
cuda.standin_view.restype = ctypes.c_void_p
FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

BuilderFlag = SimpleNamespace(TF32=1)
NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
MemoryPoolType = SimpleNamespace(WORKSPACE='workspace')
LayerInformationFormat = SimpleNamespace(ONELINE=1)


class ILogger:
    VERBOSE, INFO, WARNING, ERROR, INTERNAL_ERROR = 4, 3, 2, 1, 0

    def __init__(self) -> None:
        pass


class IProgressMonitor:
    def __init__(self) -> None:
        pass


class INetworkDefinition:
    num_layers = 0
    model = b''


class OnnxParser:
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self.network = network
        self.num_errors = 0

    def parse(self, model: bytes) -> bool:
        onnx.checker.check_model(onnx.load_from_string(model))
        self.network.model = model
        return True


class IBuilderConfig:
    progress_monitor: Any = None

    def __init__(self) -> None:
        self.most = 1
        self.pools: dict[str, int] = {}

    def clear_flag(self, flag: int) -> None:
        pass

    def set_memory_pool_limit(self, pool: str, size: int) -> None:
        self.pools[pool] = size

    def add_optimization_profile(self, profile: SimpleNamespace) -> int:
        self.most = profile.most
        return 0

    def create_timing_cache(self, data: bytes) -> bytes:
        return data

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        return True

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: b'measured')


class Builder:
    def __init__(self, logger: ILogger) -> None:
        pass

    def create_network(self, flags: int) -> INetworkDefinition:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> SimpleNamespace:
        profile = SimpleNamespace(most=1)

        def set_shape(name: str, least: Any, best: Any, most: Any) -> None:
            profile.most = most[0]

        profile.set_shape = set_shape
        return profile

    def build_serialized_network(self, network: INetworkDefinition, config: Any) -> bytes | None:
        monitor = config.progress_monitor
        monitor.phase_start('Building engine', None, 2)
        for step in range(2):
            if not monitor.step_complete('Building engine', step):
                return None
        monitor.phase_finish('Building engine')
        return MAGIC + bytes([config.most]) + network.model


@lru_cache(maxsize=8)
def session_of(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options)


class Runtime:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> ICudaEngine | None:
        if not plan.startswith(MAGIC):
            self.logger.log(ILogger.ERROR, 'Serialization assertion header.magicTag failed')
            return None
        return ICudaEngine(self.logger, plan[len(MAGIC)], plan[len(MAGIC) + 1 :])


class ICudaEngine:
    def __init__(self, logger: Any, most: int, model: bytes) -> None:
        self.logger = logger
        self.most = most
        self.session = session_of(model)
        self.outputs = [row.name for row in self.session.get_outputs()]
        self.names = ['image', *self.outputs]
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        count, *rest = self.session.get_inputs()[0].shape
        return (count if isinstance(count, int) else -1, *rest)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        rest = self.get_tensor_shape(name)[1:]
        return [(1, *rest), (self.most, *rest), (self.most, *rest)]

    def create_engine_inspector(self) -> SimpleNamespace:
        return SimpleNamespace(get_engine_information=lambda _: 'one\ntwo')

    def create_execution_context(self) -> IExecutionContext | None:
        scratch = ctypes.c_uint64()
        if error := cuda.cuMemAlloc_v2(ctypes.byref(scratch), ctypes.c_size_t(SCRATCH_BYTES)):
            self.logger.log(ILogger.ERROR, f'Error Code 2: OutOfMemory (Cuda failure {error})')
            return None
        return IExecutionContext(self, scratch)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine, scratch: ctypes.c_uint64) -> None:
        self.engine = engine
        self.scratch = scratch
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = engine.get_tensor_shape('image')
        self.runs: list[Any] = []  # kept as long as a graph may launch them

    def __del__(self) -> None:
        if cuda is not None:
            cuda.cuMemFree_v2(self.scratch)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return 1 <= shape[0] <= self.engine.most

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return name in self.engine.names

    def execute_async_v3(self, stream: int) -> bool:
        run = self.run_of(tuple(self.shape), dict(self.addresses))
        if error := cuda.cuLaunchHostFunc(ctypes.c_void_p(stream), run, None):
            self.engine.logger.log(ILogger.ERROR, f'Error Code 1: Cuda Runtime ({error})')
            return False
        return True

    def run_of(self, shape: tuple[int, ...], addresses: dict[str, int]) -> Any:
        """Returns the function that the driver calls; one for each shape and its addresses."""
        key = (shape, tuple(addresses.items()))
        for known, run in self.runs:
            if known == key:
                return run

        engine = self.engine  # and not self, which would keep this context alive in a circle

        def view(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            address = cuda.standin_view(ctypes.c_uint64(addresses[name]), ctypes.c_size_t(size))
            if address is None:
                return None  # an illegal address: the driver has noted it, and it sticks
            memory = (ctypes.c_uint8 * size).from_address(address)
            return np.frombuffer(memory, dtype).reshape(shape)

        def work(_: object) -> None:
            images = view('image', shape, np.uint8)
            if images is None:
                return
            arrays = engine.session.run(engine.outputs, {'image': images})
            for name, array in zip(engine.outputs, arrays, strict=True):
                place = view(name, array.shape, array.dtype)
                if place is not None:
                    place[...] = array

        def canned(_: object) -> None:
            """A network that takes time and no processor; its labels are all 1."""
            for name in ('label', 'confidence', 'health'):
                size = int(np.prod(shape[:3])) if name != 'health' else 4 * shape[0]
                place = view(name, (size,), np.uint8)
                place[:] = name == 'label'

        run = FUNCTION(canned if os.environ.get('SEG_ROS_STAND_IN_CANNED') else work)
        self.runs.append((key, run))
        return run
