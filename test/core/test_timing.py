# SPDX-License-Identifier: Apache-2.0
"""Stages of a frame and percentiles over frames."""

from __future__ import annotations

import tracemalloc
from itertools import accumulate

import pytest

from seg_ros.core.timing import LatencyWindow, StageTimer


def test_the_stages_of_a_frame_add_up_to_its_time() -> None:
    ticks = accumulate([0, 2_000_000, 5_000_000, 1_000_000])
    timer = StageTimer(lambda: next(ticks))
    for name in ('decode', 'infer', 'decode'):
        timer.stage(name)
    assert timer.stages_ms == {'decode': 3.0, 'infer': 5.0}


def test_percentiles_are_those_of_the_samples() -> None:
    window = LatencyWindow()
    for sample_ms in range(101):
        window.add('infer', float(sample_ms))
    assert window.percentiles() == {'infer': pytest.approx((50.0, 95.0, 99.0))}


def test_old_samples_leave_the_window() -> None:
    window = LatencyWindow(length=3)
    for sample_ms in (1000.0, 1.0, 2.0, 3.0):
        window.add('infer', sample_ms)
    assert window.percentiles()['infer'].p99 < 3.01


def test_a_window_takes_no_more_memory_than_its_first_sample_did() -> None:
    window = LatencyWindow()
    window.add('infer', 0.5)
    tracemalloc.start()
    try:
        for sample_ms in range(2000):
            window.add('infer', sample_ms + 0.5)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 1000  # a list of as many numbers takes 48 000
    assert window.newest_ms('infer') == 1999.5
    assert window.percentiles()['infer'].p50 == 1500.0
