# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the default, everywhere."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from seg_ros.core.errors import BackendError, BackendUnavailable, ConfigurationError, EngineError
from seg_ros.core.image.upsample import Logits
from seg_ros.core.types import RgbBatch
from seg_ros.inference.cpu_backend import CpuBackend, inference_threads, one_line
from seg_ros.inference.engine import Engine, model_of, network_path
from seg_ros.inference.onnx.contract import IMAGE, LOGITS, logits_only

__all__ = ['FIX', 'OnnxruntimeBackend', 'auto_verdict', 'version']

FIX = "pip install 'onnxruntime==1.31.1'"


def version() -> str:
    """Returns the library with its version.

    Raises:
        BackendUnavailable: It is not installed here.
    """
    return f'ONNX Runtime {_onnxruntime().__version__}'


def auto_verdict(precision: str) -> tuple[bool, str]:
    """Returns whether 'auto' takes this backend for a precision, and why."""
    if precision not in ('auto', 'fp32'):
        return False, 'of itself it computes in fp32 only'
    return True, 'it runs on every CPU and is the fastest there in fp32'


class OnnxruntimeBackend(CpuBackend):
    """Runs an engine with ONNX Runtime; see ``InferenceBackend``.

    In int8 it runs the network that is meant for TensorRT, slower than fp32: to see on any machine
    what a robot's GPU will say.
    """

    name = 'onnxruntime'

    def __init__(self, engine: Engine, *, threads: int = 0, precision: str = 'auto') -> None:
        """Loads and warms up.

        Args:
            engine: What to run.
            threads: Threads inside one operator; 0 takes one per free core.
            precision: 'auto' or 'fp32', which are the same, or 'int8'.

        Raises:
            BackendUnavailable: ONNX Runtime is not installed.
            ConfigurationError: Another precision.
            EngineError: ONNX Runtime cannot load the network, or there is none in int8.
        """
        if precision not in ('auto', 'fp32', 'int8'):
            raise ConfigurationError(
                f"Backend 'onnxruntime' computes in fp32 and int8, asked was precision "
                f"'{precision}'. Take one of these or 'auto', or backend 'openvino' for bf16, "
                "'tensorrt' for fp16."
            )
        precision = 'int8' if precision == 'int8' else 'fp32'
        path = network_path(engine, precision)
        onnxruntime = _onnxruntime()
        threads = inference_threads(threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads take the core from whoever else needs it: 16 ms become 37 to 59 ms.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.add_session_config_entry('session.inter_op.allow_spinning', '0')
        options.log_severity_level = 3  # errors only; its warnings are about its own optimiser
        self._failures = _failures()
        network = logits_only(model_of(engine, path), path)
        try:
            self._session: Any = onnxruntime.InferenceSession(
                network, options, providers=['CPUExecutionProvider']
            )
        except self._failures as error:
            raise EngineError(
                f'ONNX Runtime {onnxruntime.__version__} cannot load {path}: '
                f'{one_line(error)}. Export it with an older opset (17 runs everywhere), or '
                'make it again: make engine'
            ) from error
        plural = '' if threads == 1 else 's'
        super().__init__(
            engine,
            f'CPU {precision}, {threads} thread{plural}, ONNX Runtime {onnxruntime.__version__}',
        )

    def _logits_of(self, image: RgbBatch) -> Logits:
        try:
            (logits,) = self._session.run([LOGITS], {IMAGE: image})
        except self._failures as error:
            raise BackendError(
                f"ONNX Runtime failed on engine '{self.engine.name}': {one_line(error)}. Check "
                "the machine's memory, and the engine with: seg_ros doctor"
            ) from error
        return np.asarray(logits[0], np.float32)

    def _release(self) -> None:
        self._session = None


def _onnxruntime() -> Any:
    try:
        return import_module('onnxruntime')
    except ImportError as error:
        raise BackendUnavailable(
            f"Backend 'onnxruntime' needs ONNX Runtime, which cannot be imported ({error}). "
            f'Install it: {FIX}'
        ) from error


def _failures() -> tuple[type[Exception], ...]:
    """Returns every exception of ONNX Runtime; they have no common base."""
    state = import_module('onnxruntime.capi.onnxruntime_pybind11_state')
    found = (value for value in vars(state).values() if isinstance(value, type))
    return (RuntimeError, *(kind for kind in found if issubclass(kind, Exception)))
