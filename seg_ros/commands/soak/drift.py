# SPDX-License-Identifier: Apache-2.0
"""What may grow on a long run, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ['SoakSample', 'drift_of', 'misses', 'period_figures']

S_PER_H = 3600.0
WARM_UP_S = 600.0  # memory of everything that is used once; a shorter run takes its second half
MOST_MB_PER_H = 2.0
MOST_PERIOD_RATIO = 1.5  # p99 over p50
MOST_GAP_PERIODS = 3.0


class SoakSample(NamedTuple):
    """A look at the node.

    Attributes:
        at_s: Since the start.
        rss_mb: Memory of its process.
        own_mb: Of that, what is its alone.
        shared_mb: Of that, what it shares with other processes.
        heartbeat_rss_mb: Memory of the process that speaks for it.
        heartbeat_cores: How much of a core that had busy since the last sample.
        files: Open file descriptors of its process.
        threads: Of its process.
        cores: How many cores it had busy since the last sample.
        latency_ms: 50th, 95th and 99th percentile from stamp to label, since the last sample.
    """

    at_s: float
    rss_mb: float
    own_mb: float
    shared_mb: float
    heartbeat_rss_mb: float
    heartbeat_cores: float
    files: int
    threads: int
    cores: float
    latency_ms: tuple[float, float, float]


def drift_of(samples: Sequence[SoakSample]) -> dict[str, float]:
    """Returns what grew after the warm-up: MB an hour, files, threads, and by what factor p95.

    Beside it what the heartbeat takes of a core.
    """
    end_s = samples[-1].at_s
    begin_s = min(WARM_UP_S, 0.5 * end_s)
    late = [row for row in samples if row.at_s >= begin_s]
    times = np.array([row.at_s for row in late]) / S_PER_H
    latency = np.array([row.latency_ms[1] for row in late])
    third = max(1, len(late) // 3)
    return {
        'from_s': round(begin_s, 1),
        **{
            f'{name}_per_h': _slope(times, np.array([getattr(row, name) for row in late]))
            for name in ('rss_mb', 'own_mb', 'shared_mb', 'heartbeat_rss_mb')
        },
        'heartbeat_cores': round(float(np.mean([row.heartbeat_cores for row in late])), 4),
        'files': late[-1].files - late[0].files,
        'threads': late[-1].threads - late[0].threads,
        'latency_p95_ratio': round(
            float(np.median(latency[-third:]) / max(1e-9, np.median(latency[:third]))), 3
        ),
    }


def period_figures(times_ns: Sequence[int], period_s: float) -> dict[str, float]:
    """Returns what the times of a beat say of it: p99 over p50, and the longest gap in periods."""
    periods_s = np.diff(np.asarray(times_ns, np.int64)) * 1e-9
    p50, p99 = np.percentile(periods_s, (50.0, 99.0))
    return {
        'p50_ms': round(float(p50) * 1e3, 3),
        'p99_over_p50': round(float(p99 / p50), 3),
        'worst_gap_periods': round(float(periods_s.max()) / period_s, 3),
    }


def misses(
    drift: Mapping[str, float], heartbeat: Mapping[str, float], timer: Mapping[str, float]
) -> list[str]:
    """Returns a sentence for each bar that is missed.

    Args:
        drift: Of ``drift_of``.
        heartbeat: Of ``period_figures``.
        timer: The same of a process that does nothing but wake up: what is more than 1 in it is
            the machine's, and added to the bars.
    """
    rows: dict[str, Any] = {}
    # Its own, too: no leak hides behind pages of files that the kernel took back
    for name in ('rss_mb_per_h', 'own_mb_per_h', 'heartbeat_rss_mb_per_h'):
        rows[f'{name} is {drift[name]:.2f}, {MOST_MB_PER_H} is the bar'] = (
            drift[name] > MOST_MB_PER_H
        )
    for name in ('files', 'threads'):
        rows[f'{drift[name]:.0f} more {name}'] = drift[name] > 0
    for name, most in (
        ('p99_over_p50', MOST_PERIOD_RATIO),
        ('worst_gap_periods', MOST_GAP_PERIODS),
    ):
        bar = most + max(0.0, timer[name] - 1.0)
        rows[f'heartbeat: {name} is {heartbeat[name]}, {bar:.2f} is the bar'] = (
            heartbeat[name] > bar
        )
    return [sentence for sentence, is_missed in rows.items() if is_missed]


def _slope(times: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Returns the slope of the line through the values."""
    if len(times) < 2 or np.ptp(times) == 0.0:
        return 0.0
    return round(float(np.polyfit(times, values, 1)[0]), 3)
