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
        result = backend.infer(IMAGES[rows], with_confidence=True)
        np.testing.assert_array_equal(result.labels, self.expected.labels[rows])
        np.testing.assert_array_equal(result.confidence, self.expected.confidence[rows])

    def drive(self, backend: Any) -> None:
        """Runs as a drive does: eager, captured, launched, another batch, and back."""
        for count in (1, self.max_batch, 1):
            for first in range(11):  # the ninth run of one size captures
                self.check(backend, first, count)
