# SPDX-License-Identifier: Apache-2.0
"""What the CPU backends share: the network gives small logits, cv2 does the rest.

And what they ask of the processor: how much of it is ours, and whether it computes in bf16.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from seg_ros.core.errors import BackendError, EngineError
from seg_ros.core.image.upsample import Logits, Upsampler
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import ConfidenceBatch, InferenceResult, LabelBatch, check_batch
from seg_ros.inference.cpu_quota import quota_cores
from seg_ros.inference.engine import Engine

__all__ = [
    'CpuBackend',
    'available_cores',
    'bf16_instructions',
    'inference_threads',
    'one_line',
]

BF16_FLAGS = ('amx_bf16', 'avx512_bf16')  # Intel Sapphire Rapids and AMD Zen 4 onwards


def inference_threads(asked: int) -> int:
    """Returns the threads for inference: what was asked, or for 0 one per free core.

    One core is left to the camera and the executor. With a thread too many, a busy neighbour
    doubles the latency (platform-facts.md, section 3).
    """
    return asked or max(1, available_cores() - 1)


def available_cores() -> int:
    """Returns the cores that this process may use, by its affinity and its container's limit."""
    cores = len(os.sched_getaffinity(0))
    limit = quota_cores()
    return cores if limit is None else min(cores, max(1, int(limit)))


def bf16_instructions(cpuinfo: Path = Path('/proc/cpuinfo')) -> tuple[str, ...]:
    """Returns which bf16 instructions the processor has; empty without any, or unknown."""
    try:
        flags = set(cpuinfo.read_text().split())
    except OSError:
        return ()
    return tuple(flag for flag in BF16_FLAGS if flag in flags)


def one_line(error: Exception) -> str:
    """Returns a runtime's message without its line breaks, to stand inside a sentence of ours."""
    return ' '.join(str(error).split())


class CpuBackend(ABC):
    """An ``InferenceBackend`` around a runtime that yields the logits of one image.

    A batch is run image after image: a CPU gains nothing from a larger one, and so the memory
    does not depend on it.
    """

    name: str
    max_batch = 1

    def __init__(self, engine: Engine, detail: str) -> None:
        """Warms up; the runtime must be loaded."""
        self.engine = engine
        self.detail = detail
        self._is_closed = False
        self._labels = self._confidence = np.empty((0, 0, 0), np.uint8)
        width, height = engine.network_size_wh
        black = np.zeros((1, height, width, 3), np.uint8)
        shape_chw = self._logits_of(black).shape
        if shape_chw[0] != len(engine.label_map.classes):
            raise EngineError(
                f"Engine '{engine.name}' names {len(engine.label_map.classes)} classes, but its "
                f'network gives {shape_chw[0]} channels. Name one class per channel in spec.yaml.'
            )
        self._upsampler = Upsampler(shape_chw, (width, height))
        self.infer(black, with_confidence=True)

    @abstractmethod
    def _logits_of(self, image: RgbBatch) -> Logits:
        """Returns ``(C, h, w)`` of one contiguous image ``(1, H, W, 3)``; valid until the next."""

    @abstractmethod
    def _release(self) -> None:
        """Lets go of the runtime; called once."""

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        """Returns labels, and confidence if asked for; see ``InferenceBackend.infer``."""
        if self._is_closed:
            raise BackendError(
                f"Backend '{self.name}' of engine '{self.engine.name}' is closed. Create "
                'a new one.'
            )
        check_batch(images, self.engine)
        labels, confidence = self._buffers(len(images))
        for index, image in enumerate(images):
            logits = self._logits_of(np.ascontiguousarray(image[np.newaxis]))
            if not np.isfinite(logits).all():
                raise BackendError(
                    f"Engine '{self.engine.name}' gave scores that are no numbers (NaN or "
                    f'infinite) on {self.detail}. Its weights are broken, or the precision is too '
                    "small for them: try precision 'fp32', or make the engine again."
                )
            self._upsampler.labels(logits, out=labels[index])
            if with_confidence:
                self._upsampler.confidence(logits, out=confidence[index])
        return InferenceResult(labels, confidence if with_confidence else None)

    def close(self) -> None:
        """Releases the runtime; a second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._release()

    def _buffers(self, count: int) -> tuple[LabelBatch, ConfidenceBatch]:
        """Returns the result arrays, made anew only when the batch size changes."""
        if len(self._labels) != count:
            width, height = self.engine.network_size_wh
            self._labels = np.empty((count, height, width), np.uint8)
            self._confidence = np.empty_like(self._labels)
        return self._labels, self._confidence
