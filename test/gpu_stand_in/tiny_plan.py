# SPDX-License-Identifier: Apache-2.0
"""A tiny engine with its plan on the stand-in, and what ONNX Runtime says of its images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.reference import reference_outputs
from seg_ros.inference.tensorrt.backend import TensorrtBackend, gpu_stack
from seg_ros.inference.tensorrt.plan_build import BuildOptions, network_of_plan
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tensorrt.plan_key import plan_key
from test.tiny_onnx import seeded_images, write_engine

__all__ = ['TinyPlan']

IMAGES = seeded_images(12)


class TinyPlan:
    """An engine folder and a cache with its plan; made without the driver's memory.

    Args:
        folder: Where to.
        max_batch: Images that run together at most.
    """

    def __init__(self, folder: Path, max_batch: int = 1) -> None:
        self.engine: Engine = load_engine(write_engine(folder / 'tiny'))
        self.max_batch = max_batch
        self.cache = PlanCache(folder / 'cache')
        self.expected = reference_outputs(self.engine.onnx_path.read_bytes(), IMAGES)
        stack = gpu_stack()
        options = BuildOptions('fp16', max_batch)
        network = network_of_plan(self.engine, BuildOptions('fp32', max_batch))
        plan = b'STANDIN' + bytes([max_batch]) + network
        self.cache.store(plan_key(self.engine, options, stack.api, stack.gpu), plan, 1.0, {})

    def backend(self) -> TensorrtBackend:
        """Returns the real backend, on the real libraries."""
        return TensorrtBackend(self.engine, max_batch=self.max_batch, cache_path=self.cache.folder)

    def check(self, backend: Any, first: int, count: int = 1) -> None:
        """Runs images, each time others, and compares all that comes out."""
        rows = np.arange(first, first + count) % len(IMAGES)
        self._compare(rows, backend.infer(IMAGES[rows], with_confidence=True))

    def check_overlapped(self, backend: Any, batches: int, count: int = 1) -> None:
        """Runs batches as a drive does: the next is prepared before the last is looked at."""
        last = under_way = None
        for first in range(batches + 2):
            rows = np.arange(first, first + count) % len(IMAGES)
            room = backend.room(count)
            room[...] = IMAGES[rows]
            done = None if under_way is None else (under_way[0], under_way[1]())
            if last is not None:
                self._compare(*last)  # nothing of what came after has touched it
            under_way = rows, backend.begin(room, with_confidence=True)
            last = done
        under_way[1]()

    def _compare(self, rows: Any, result: Any) -> None:
        np.testing.assert_array_equal(result.labels, self.expected.labels[rows])
        np.testing.assert_array_equal(result.confidence, self.expected.confidence[rows])

    def drive(self, backend: Any) -> None:
        """Runs as a drive does: eager, captured, launched, another batch, and back."""
        for count in (1, self.max_batch, 1):
            for first in range(11):  # the ninth and tenth run of one size capture
                self.check(backend, first, count)
        self.check_overlapped(backend, 11)
