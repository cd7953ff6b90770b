# SPDX-License-Identifier: Apache-2.0
"""A backend without a network: labels are chosen, and it fails, hangs or dawdles on command.

It ships with the package, so that tests, replay and other people's integration tests use the same
fake. Painted in the colours of the engine's classes, an image comes out as exactly those labels:
a mask's content can be tested through a whole ROS graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle
from threading import Event

import numpy as np

from seg_ros.core.errors import BackendError
from seg_ros.core.labels import LabelMap
from seg_ros.core.types import LabelImage, RgbBatch
from seg_ros.inference.base import InferenceResult, LabelBatch, check_batch
from seg_ros.inference.engine import Engine

__all__ = ['FIX', 'CannedBackend', 'Labeller', 'auto_verdict', 'nearest_colour', 'version']

FIX = ''

Labeller = Callable[[RgbBatch], LabelBatch]
"""Takes a batch of images, returns one label image for each."""


def version() -> str:
    """Returns what it is; it can run anywhere."""
    return 'a fake for tests'


def auto_verdict(precision: str) -> tuple[bool, str]:  # noqa: ARG001  the registry's signature
    """Returns whether 'auto' takes this backend, and why: never."""
    return False, 'it runs no network'


def nearest_colour(label_map: LabelMap) -> Labeller:
    """Returns a function that gives each pixel the class whose colour is nearest to it."""
    colours = np.array([row.colour_rgb for row in label_map.classes], np.float32)
    ids = np.array([row.id for row in label_map.classes], np.uint8)
    # |x - c|^2 is least where c.x - |c|^2 / 2 is greatest; exact in float32 for bytes.
    offsets = -0.5 * (colours**2).sum(axis=1, keepdims=True)

    def label(images: RgbBatch) -> LabelBatch:
        pixels = images.reshape(-1, 3).astype(np.float32)
        nearest = (colours @ pixels.T + offsets).argmax(axis=0)
        labels: LabelBatch = ids[nearest].reshape(images.shape[:3])
        return labels

    return label


class CannedBackend:
    """Gives out chosen labels; see ``InferenceBackend``.

    Attributes:
        delay_s: How long ``infer`` takes; change it at any time.
        confidence: The confidence of every pixel, 0 to 255; change it at any time.
        max_batch: How many images it wants together; change it at any time.
        calls: How often ``infer`` was called.
    """

    name = 'canned'

    def __init__(
        self,
        engine: Engine,
        *,
        threads: int = 0,  # noqa: ARG002  every backend takes it
        precision: str = 'auto',  # noqa: ARG002  every backend takes it
        labels: Labeller | Sequence[LabelImage] | None = None,
    ) -> None:
        """Chooses what comes out.

        Args:
            engine: Its classes and network size are used, its network is not.
            threads: Means nothing here.
            precision: Means nothing here.
            labels: A function, or label images that are given out in turn, again and again; by
                default each pixel gets the class with the nearest colour.
        """
        self.engine = engine
        self.detail = 'canned labels, no network'
        self.delay_s = 0.0
        self.confidence = 255
        self.max_batch = 1
        self.calls = 0
        self._failure: str | None = None
        self._may_go_on = Event()
        self._may_go_on.set()
        self._is_closed = False
        if labels is None:
            self._labels = nearest_colour(engine.label_map)
        elif callable(labels):
            self._labels = labels
        else:
            turn = cycle(labels)
            self._labels = lambda images: np.stack([next(turn) for _ in images])

    def fail(self, message: str = 'told to fail') -> None:
        """Makes every ``infer`` raise a ``BackendError`` until ``recover``."""
        self._failure = message

    def hang(self) -> None:
        """Makes every ``infer`` wait until ``recover`` or ``close``."""
        self._may_go_on.clear()

    def recover(self) -> None:
        """Ends ``fail`` and ``hang``."""
        self._failure = None
        self._may_go_on.set()

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        """Returns the chosen labels; see ``InferenceBackend.infer``."""
        self.calls += 1
        self._check_open()
        check_batch(images, self.engine)
        self._may_go_on.wait()
        self._check_open()
        time.sleep(self.delay_s)
        if self._failure is not None:
            raise BackendError(f"Backend 'canned' fails on command: {self._failure}.")
        labels = self._labels(images)
        confidence = np.full(labels.shape, self.confidence, np.uint8) if with_confidence else None
        return InferenceResult(labels, confidence)

    def close(self) -> None:
        """Ends a hanging ``infer``, which then raises; a second call does nothing."""
        self._is_closed = True
        self._may_go_on.set()

    def _check_open(self) -> None:
        if self._is_closed:
            raise BackendError(
                f"Backend 'canned' of engine '{self.engine.name}' is closed. Create a new one."
            )
