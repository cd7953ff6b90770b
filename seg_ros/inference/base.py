# SPDX-License-Identifier: Apache-2.0
"""The one seam between the pipeline and whatever runs a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import BackendError
from seg_ros.core.types import RgbBatch
from seg_ros.inference.engine import Engine

__all__ = [
    'PRECISIONS',
    'ConfidenceBatch',
    'InferenceBackend',
    'InferenceResult',
    'LabelBatch',
    'OverlappingBackend',
    'Pending',
    'check_batch',
    'check_result',
]

LabelBatch = NDArray[np.uint8]
"""``(N, H, W)``, one class id per pixel."""

ConfidenceBatch = NDArray[np.uint8]
"""``(N, H, W)``, probability of the label, 0 (none) to 255 (certain)."""

PRECISIONS = ('auto', 'fp32', 'bf16', 'fp16', 'int8')
"""What a backend can be asked for; ``auto`` is what is fast and safe on this machine."""


@dataclass(frozen=True)
class InferenceResult:
    """What the network says about a batch, at network size.

    The arrays belong to the backend, and the next call overwrites them: copy what must stay.

    Attributes:
        labels: ``uint8 (N, H, W)``.
        confidence: ``uint8 (N, H, W)``, or None where it was not asked for.
    """

    labels: LabelBatch
    confidence: ConfidenceBatch | None = None


class InferenceBackend(Protocol):
    """Runs one engine. One caller at a time; ``close`` may come from anywhere, also twice.

    Construction loads and warms up, so that the first ``infer`` is as fast as the next. It raises
    ``BackendUnavailable`` where this machine cannot run it and ``EngineError`` where the engine
    cannot be run by it.

    Attributes:
        name: Its row in the registry.
        detail: Device, precision, threads and version, for people.
        engine: What it runs.
        max_batch: Images that are faster together than one after the other; 1 where none are.
    """

    name: str
    detail: str
    engine: Engine

    @property
    def max_batch(self) -> int: ...

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        """Returns labels, and confidence if asked for; valid until the next call.

        Args:
            images: ``uint8 (N, H, W, 3)``, RGB, network size, N at least 1, any strides.
            with_confidence: Whether confidence is computed as well.

        Raises:
            BackendError: Images of another shape or type, a closed backend, or a failure inside.
        """
        ...

    def close(self) -> None:
        """Releases everything; a second call does nothing."""
        ...


Pending = Callable[[], InferenceResult]
"""Waits for what was begun and returns it, or raises what ``infer`` would; called once."""


@runtime_checkable
class OverlappingBackend(InferenceBackend, Protocol):
    """One that may work beside its caller, who prepares the next batch and finishes the last.

    One batch at a time is under way, the results come in the order of ``begin``, and a result is
    valid until the second ``begin`` after its own.

    Attributes:
        overlaps: Whether it does so now; a caller who waits at once gains nothing.
    """

    @property
    def overlaps(self) -> bool: ...

    def room(self, count: int) -> RgbBatch:
        """Returns ``(N, H, W, 3)`` for the next ``begin``: what is there need not be copied.

        It is valid until the second ``begin`` from now, also where one of them fails.
        """
        ...

    def begin(self, images: RgbBatch, *, with_confidence: bool = False) -> Pending:
        """Lets the work begin and returns what waits for it; see ``infer``."""
        ...


def check_batch(images: RgbBatch, engine: Engine) -> None:
    """Checks that a batch is what the engine's network takes.

    Raises:
        BackendError: With what came and what was expected.
    """
    width, height = engine.network_size_wh
    if not isinstance(images, np.ndarray):
        came = type(images).__name__
    elif (
        images.dtype == np.uint8
        and images.ndim == 4
        and images.shape[0] >= 1
        and images.shape[1:] == (height, width, 3)
    ):
        return
    else:
        came = f'{images.dtype} {images.shape}'
    raise BackendError(
        f"Engine '{engine.name}' takes images as uint8 (N, {height}, {width}, 3), RGB, N at least "
        f'1; this is {came}. Convert and resize the image to {width}x{height} first.'
    )


def check_result(result: InferenceResult, images: RgbBatch) -> None:
    """Checks that what came out of a network belongs to what went in.

    Args:
        result: Of the batch.
        images: The batch, ``(N, H, W, 3)``.

    Raises:
        BackendError: With what came and what was expected.
    """
    for name, came in (('labels', result.labels), ('confidence', result.confidence)):
        if came is not None and (came.shape != images.shape[:3] or came.dtype != np.uint8):
            raise BackendError(
                f'{name.capitalize()} came as {came.dtype} {came.shape}, not as uint8 '
                f'{images.shape[:3]}. Rebuild the engine (seg_ros build-engine), or report it.'
            )
