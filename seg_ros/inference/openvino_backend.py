# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: about twice as fast as ONNX Runtime where the processor has bf16."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from seg_ros.core.errors import BackendError, BackendUnavailable, ConfigurationError, EngineError
from seg_ros.core.image.upsample import Logits
from seg_ros.core.types import RgbBatch
from seg_ros.inference.cpu_backend import (
    CpuBackend,
    bf16_instructions,
    inference_threads,
    one_line,
)
from seg_ros.inference.engine import CPU_INT8_FILE, Engine, model_of
from seg_ros.inference.onnx.contract import IMAGE, LOGITS, logits_only

__all__ = ['FIX', 'OpenvinoBackend', 'auto_verdict', 'version']

PRECISIONS = ('auto', 'fp32', 'bf16', 'int8')

FIX = "pip install 'openvino==2026.4.1'"


def version() -> str:
    """Returns the library with its version.

    Raises:
        BackendUnavailable: It is not installed here.
    """
    return f'OpenVINO {_version_of(_openvino())}'


def auto_verdict(precision: str) -> tuple[bool, str]:
    """Returns whether 'auto' takes this backend for a precision, and why."""
    if precision not in ('auto', 'fp32', 'bf16'):
        return False, 'of itself it computes in fp32 and bf16 only'
    flags = bf16_instructions()
    if not flags:
        return False, 'the CPU has no bf16 instructions, and without them it is the slower one'
    if precision == 'fp32':
        return False, 'in fp32 it is the slower one'
    return True, f'the CPU has bf16 ({", ".join(flags)}), which makes it the faster one'


class OpenvinoBackend(CpuBackend):
    """Runs an engine with OpenVINO; see ``InferenceBackend``."""

    name = 'openvino'

    def __init__(self, engine: Engine, *, threads: int = 0, precision: str = 'auto') -> None:
        """Loads and warms up.

        Args:
            engine: What to run.
            threads: Threads of the one stream; 0 takes one per free core.
            precision: 'fp32', 'bf16', 'int8' by its own file of the engine, or 'auto': bf16 where
                the CPU has it, else fp32.

        Raises:
            BackendUnavailable: OpenVINO is not installed, or bf16 was asked of a CPU without it.
            ConfigurationError: Another precision.
            EngineError: OpenVINO cannot load the network, or there is none in int8 for a CPU.
        """
        if precision not in PRECISIONS:
            raise ConfigurationError(
                f"Backend 'openvino' computes in fp32, bf16 and int8, asked was '{precision}'. "
                "Take one of these or 'auto', or backend 'tensorrt' for fp16."
            )
        openvino = _openvino()
        flags = bf16_instructions()
        if precision == 'bf16' and not flags:
            raise BackendUnavailable(
                "Precision 'bf16' was asked of a CPU without bf16 instructions (amx_bf16, "
                "avx512_bf16). Take precision 'auto' or 'fp32'."
            )
        if precision == 'auto':
            precision = 'bf16' if flags else 'fp32'
        threads = inference_threads(threads)
        width, height = engine.network_size_wh
        path = _path_of(engine, precision)
        network = logits_only(model_of(engine, path), path)
        try:
            core = openvino.Core()
            model = core.read_model(model=network, weights=b'')
            model.reshape({IMAGE: [1, height, width, 3]})
            compiled = core.compile_model(
                model,
                'CPU',
                {
                    'PERFORMANCE_HINT': 'LATENCY',
                    'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bf16' else 'f32',
                    'INFERENCE_NUM_THREADS': threads,
                    'NUM_STREAMS': 1,
                    # Pinned threads would share their core with whatever else is pinned there.
                    'ENABLE_CPU_PINNING': False,
                },
            )
            self._request: Any = compiled.create_infer_request()
        except RuntimeError as error:
            raise EngineError(
                f'OpenVINO {_version_of(openvino)} cannot load {path}: '
                f"{one_line(error)}. Take backend 'onnxruntime', or export the network with "
                'opset 17.'
            ) from error
        plural = '' if threads == 1 else 's'
        super().__init__(
            engine, f'CPU {precision}, {threads} thread{plural}, OpenVINO {_version_of(openvino)}'
        )

    def _logits_of(self, image: RgbBatch) -> Logits:
        try:
            # Shared: the input is read in place, the output is a view that the next run reuses.
            outputs = self._request.infer({IMAGE: image}, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise BackendError(
                f"OpenVINO failed on engine '{self.engine.name}': {one_line(error)}. Take backend "
                "'onnxruntime'."
            ) from error
        return np.asarray(outputs[LOGITS][0], np.float32)

    def _release(self) -> None:
        self._request = None


def _path_of(engine: Engine, precision: str) -> Path:
    """Returns the file that a precision runs.

    Raises:
        EngineError: INT8 without its file.
    """
    if precision != 'int8':
        return engine.onnx_path
    if engine.cpu_int8_path is None:
        raise EngineError(
            f"Engine '{engine.name}' has no {CPU_INT8_FILE} in {engine.folder}. Make it: python "
            f'-m training.quantize {engine.folder} --calibration CONFIG, or take another '
            'precision.'
        )
    return engine.cpu_int8_path


def _openvino() -> Any:
    try:
        return import_module('openvino')
    except ImportError as error:
        raise BackendUnavailable(
            f"Backend 'openvino' needs OpenVINO, which cannot be imported ({error}). "
            f'Install it: {FIX}'
        ) from error


def _version_of(openvino: Any) -> str:
    return str(openvino.__version__).split('-', maxsplit=1)[0]
