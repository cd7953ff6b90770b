"""What the CPU backends share: the network gives small logits, cv2 does the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from seg_ros.core.errors import BackendError, EngineError
from seg_ros.core.image.upsample import Logits, Upsampler
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import ConfidenceBatch, InferenceResult, LabelBatch, check_batch
from seg_ros.inference.engine import Engine

__all__ = ['LogitsBackend', 'one_line']


def one_line(error: Exception) -> str:
    """Returns a runtime's message without its line breaks, to stand inside a sentence of ours."""
    return ' '.join(str(error).split())


class LogitsBackend(ABC):
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
