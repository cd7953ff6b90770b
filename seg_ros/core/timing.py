# SPDX-License-Identifier: Apache-2.0
"""Latency of a frame: the time it spends in each stage, and percentiles over the latest ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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

    The first sample of a name takes all the memory that it will ever take.

    Args:
        length: Frames that are remembered, per name.
    """

    def __init__(self, length: int = WINDOW_FRAMES) -> None:
        self._length = length
        self._rings: dict[str, _Ring] = {}

    def add(self, name: str, sample_ms: float) -> None:
        ring = self._rings.get(name) or _Ring(np.full(self._length, np.nan))
        ring.add(sample_ms)
        self._rings[name] = ring  # now that it has a sample: another thread reads

    def newest_ms(self, name: str) -> float:
        """Returns the newest sample of a name, 0 without one."""
        ring = self._rings.get(name)
        return ring.newest if ring else 0.0

    def percentiles(self) -> dict[str, Percentiles]:
        """Returns the percentiles of every name that has a sample, in order of first arrival."""
        return {
            name: Percentiles(*(float(v) for v in np.percentile(ring.samples(), (50, 95, 99))))
            for name, ring in tuple(self._rings.items())
        }


class _Ring:
    """The latest samples, in an array of their number.

    Args:
        array: Where they are kept; of any content.
    """

    def __init__(self, array: NDArray[np.float64]) -> None:
        self._array = array
        self._count = 0
        self.newest = 0.0

    def add(self, sample: float) -> None:
        self._array[self._count % len(self._array)] = self.newest = sample
        self._count += 1

    def samples(self) -> NDArray[np.float64]:
        """Returns them, not in the order in which they came."""
        return self._array[: self._count]
