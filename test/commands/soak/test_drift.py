# SPDX-License-Identifier: Apache-2.0
"""A long run that grows is missed by the bar that says so, and by no other."""

from __future__ import annotations

from typing import Any

import pytest

from seg_ros.commands.soak.drift import SoakSample, drift_of, misses, period_figures

STEADY = {'p50_ms': 50.0, 'p99_over_p50': 1.1, 'worst_gap_periods': 1.4}
PERIOD_NS = 50_000_000


def run_of(minutes: int, mb_per_h: float = 0.0, **last: Any) -> list[SoakSample]:
    """Returns a sample a minute; what grows at first, in the warm-up, is not counted."""
    rows = [
        SoakSample(
            60.0 * minute,
            150.0 + min(minute, 10) * 5.0 + mb_per_h * minute / 60.0,
            80.0 + mb_per_h * minute / 60.0,
            34.0,
            65.0,
            0.013,
            40,
            16,
            0.5,
            (10.0, 20.0, 30.0),
        )
        for minute in range(minutes + 1)
    ]
    rows[-1] = rows[-1]._replace(**last)
    return rows


def test_a_run_that_is_steady_after_its_warm_up_misses_nothing() -> None:
    drift = drift_of(run_of(60))
    assert drift['from_s'] == 600.0
    assert drift['rss_mb_per_h'] == pytest.approx(0.0, abs=1e-6)
    assert misses(drift, STEADY, STEADY) == []


@pytest.mark.parametrize(('mb_per_h', 'is_missed'), [(1.9, False), (2.1, True)])
def test_memory_may_grow_by_two_megabytes_an_hour(mb_per_h: float, is_missed: bool) -> None:
    drift = drift_of(run_of(60, mb_per_h))
    assert drift['rss_mb_per_h'] == pytest.approx(mb_per_h, abs=1e-3)
    assert drift['own_mb_per_h'] == pytest.approx(mb_per_h, abs=1e-3)
    assert drift['shared_mb_per_h'] == pytest.approx(0.0, abs=1e-6)
    assert bool(misses(drift, STEADY, STEADY)) == is_missed


def test_a_leak_does_not_hide_behind_pages_of_files_that_the_kernel_took_back() -> None:
    rows = run_of(60, 6.0)
    taken = [
        row._replace(rss_mb=row.rss_mb - (15.0 if row.at_s > 3000.0 else 0.0)) for row in rows
    ]
    drift = drift_of(taken)
    assert drift['rss_mb_per_h'] < 0.0
    assert misses(drift, STEADY, STEADY) == ['own_mb_per_h is 6.00, 2.0 is the bar']


@pytest.mark.parametrize(
    ('last', 'words'), [({'files': 41}, '1 more files'), ({'threads': 17}, '1 more threads')]
)
def test_a_file_or_a_thread_more_is_missed(last: dict[str, int], words: str) -> None:
    assert misses(drift_of(run_of(30, **last)), STEADY, STEADY) == [words]


def test_a_run_shorter_than_the_warm_up_takes_its_second_half() -> None:
    assert drift_of(run_of(4))['from_s'] == 120.0


def test_the_figures_of_a_beat_are_its_longest_gap_and_its_spread() -> None:
    times = [index * PERIOD_NS for index in range(100)]
    even = period_figures(times, 0.05)
    assert even == {'p50_ms': 50.0, 'p99_over_p50': 1.0, 'worst_gap_periods': 1.0}
    late = period_figures([*times, times[-1] + 4 * PERIOD_NS], 0.05)
    assert late['worst_gap_periods'] == 4.0


@pytest.mark.parametrize(('machine_gap', 'is_missed'), [(1.0, True), (4.0, False)])
def test_what_the_machine_does_to_a_bare_timer_is_not_the_heartbeats(
    machine_gap: float, is_missed: bool
) -> None:
    heartbeat = {**STEADY, 'worst_gap_periods': 5.0}
    timer = {**STEADY, 'worst_gap_periods': machine_gap}
    assert bool(misses(drift_of(run_of(30)), heartbeat, timer)) == is_missed
