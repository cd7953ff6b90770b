# SPDX-License-Identifier: Apache-2.0
"""Latency of a frame: the time it spends in each stage, and percentiles over the latest ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from seg_ros.core.units import NS_PER_MS

__all__ = ['LatencyWindow', 'Percentiles', 'StageTimer']

WINDOW_FRAMES = 1000  # 50 s at 20 Hz: ten of them are above the 99th percentile


class StageTimer:
    """Splits one frame's time into named stages, one after the other.

    Args:
        clock_ns: A monotonic clock in nanoseconds; the caller's, so that this file asks none.
    """

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self.started_ns = clock_ns()
        self._last_ns = self.started_ns
        self.stages_ms: dict[str, float] = {}

    def stage(self, name: str) -> None:
        """Books the time since the last call, or since the start, under a name."""
        now_ns = self._clock_ns()
        spent_ms = (now_ns - self._last_ns) / NS_PER_MS
        self.stages_ms[name] = self.stages_ms.get(name, 0.0) + spent_ms
        self._last_ns = now_ns


class Percentiles(NamedTuple):
    """Median and tails of a latency, in milliseconds."""

    p50: float
    p95: float
    p99: float


class LatencyWindow:
    """Percentiles of named latencies over the latest frames.

    Args:
        length: Frames that are remembered, per name.
    """

    def __init__(self, length: int = WINDOW_FRAMES) -> None:
        self._length = length
        self._samples_ms: dict[str, deque[float]] = {}

    def add(self, name: str, sample_ms: float) -> None:
        if name not in self._samples_ms:
            self._samples_ms[name] = deque(maxlen=self._length)
        self._samples_ms[name].append(sample_ms)

    def newest_ms(self, name: str) -> float:
        """Returns the newest sample of a name, 0 without one."""
        samples = self._samples_ms.get(name)
        return samples[-1] if samples else 0.0

    def percentiles(self) -> dict[str, Percentiles]:
        """Returns the percentiles of every name that has a sample, in order of first arrival."""
        return {
            name: Percentiles(*(float(v) for v in np.percentile(samples, (50, 95, 99))))
            for name, samples in ((n, tuple(s)) for n, s in tuple(self._samples_ms.items()))
        }
