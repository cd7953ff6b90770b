# SPDX-License-Identifier: Apache-2.0
"""How busy others are while something is to be measured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seg_ros.inference.tuning import load
from seg_ros.inference.tuning.load import others_share

# user nice system idle iowait irq softirq steal guest guest_nice
BEFORE = """cpu  900 0 0 900 0 0 0 0 0 0
cpu0 100 10 50 1000 40 5 5 0 70 10
cpu1 100 10 50 1000 40 5 5 0 70 10
intr 1 2 3
"""


@pytest.mark.parametrize(
    ('cpu0', 'cpu1', 'share'),
    [
        ('100 10 50 1040 40 5 5 0 70 10', '100 10 50 1030 50 5 5 0 70 10', 0.0),
        ('140 10 50 1000 40 5 5 0 90 10', '100 10 50 1040 40 5 5 0 70 10', 0.5),
        ('110 10 55 1000 40 10 5 20 70 10', '100 30 50 1000 40 5 25 0 70 10', 1.0),
    ],
    ids=['idle, and waiting for a disk', 'one of two', 'both, in every way'],
)
def test_what_others_take_is_all_but_idle_and_waiting_for_a_disk(
    cpu0: str, cpu1: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(cpu0, cpu1, {0, 1}, tmp_path, monkeypatch) == pytest.approx(share)


def test_only_processors_count_that_this_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, idle = '140 10 50 1000 40 5 5 0 90 10', '100 10 50 1040 40 5 5 0 70 10'
    assert seen(busy, idle, {1}, tmp_path, monkeypatch) == 0.0
    assert seen(busy, idle, {0}, tmp_path, monkeypatch) == 1.0


def test_where_the_system_does_not_tell_nobody_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, 'CPU_TIMES', tmp_path / 'nothing')
    assert others_share(0.0) == 0.0


def seen(
    cpu0: str, cpu1: str, allowed: set[int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> float:
    times = folder / 'stat'
    times.write_text(BEFORE)
    after = BEFORE.splitlines()[0] + f'\ncpu0 {cpu0}\ncpu1 {cpu1}\n'
    monkeypatch.setattr(load, 'CPU_TIMES', times)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: allowed)
    monkeypatch.setattr(load.time, 'sleep', lambda _: times.write_text(after))
    return others_share()
