# SPDX-License-Identifier: Apache-2.0
"""The node of ``seg_ros faults``: the node as it is, around inference that breaks on command.

Lines of JSON on its input say what the next calls of ``infer`` do.
"""

from __future__ import annotations

import ctypes
import json
import sys
import threading
import time
from typing import Any

import numpy as np

from seg_ros.core.errors import BackendError
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import InferenceBackend, InferenceResult
from seg_ros.inference.registry import ChosenBackend
from seg_ros.ros import segmentation_node

__all__ = ['BrokenBackend', 'main']

NO_CLASS = 77
NO_MEMORY_BYTES = 1 << 62


class BrokenBackend:
    """Stands before a backend; see ``InferenceBackend``.

    Args:
        backend: Works while nothing is broken.
        fault: What ``infer`` does, its ``name`` and numbers; changed from outside.
    """

    def __init__(self, backend: InferenceBackend, fault: dict[str, Any]) -> None:
        self._backend = backend
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        """Returns what the backend says, or fails as it is told to."""
        name = self._fault.get('name', '')
        if name == 'raise':
            raise BackendError('Inference fails on command.')
        if name == 'bug':
            raise ZeroDivisionError('a bug on command')
        if name == 'exit':
            self._fault.clear()
            raise SystemExit
        if name == 'no memory':
            np.empty(NO_MEMORY_BYTES, np.uint8)
        while self._fault.get('name') == 'hang':
            time.sleep(0.01)
        if name == 'slow':
            time.sleep(self._fault['seconds'])
        if name == 'hold the GIL':
            # PyDLL keeps the GIL during the call, as a C extension with a bug does
            seconds = self._fault.pop('seconds', 0.0)
            ctypes.PyDLL(None).usleep(int(seconds * 1e6))
        result = self._backend.infer(images, with_confidence=with_confidence)
        labels, confidence = result.labels, result.confidence
        if name == 'all unlabelled':
            labels = np.full_like(labels, 255)
        elif name == 'no such class':
            labels = np.full_like(labels, NO_CLASS)
        elif name == 'another shape':
            labels = np.ascontiguousarray(labels[:, ::2, ::2])
        elif name == 'on their side':
            labels = np.ascontiguousarray(labels.transpose(0, 2, 1))
        elif name == 'no labels':
            labels = labels[:, :0]
        elif name == 'unsure' and confidence is not None:
            confidence = np.full_like(confidence, 40)
        return InferenceResult(labels, confidence)


def main() -> int:
    """Runs the node."""
    fault: dict[str, Any] = {}
    create = segmentation_node.create_backend

    def create_broken(*arguments: Any, **options: Any) -> ChosenBackend:
        chosen = create(*arguments, **options)
        return chosen._replace(backend=BrokenBackend(chosen.backend, fault))

    def listen() -> None:
        for line in sys.stdin:
            asked = json.loads(line)
            fault.clear()
            fault.update(asked)

    segmentation_node.create_backend = create_broken
    threading.Thread(target=listen, daemon=True).start()
    return segmentation_node.main(sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
