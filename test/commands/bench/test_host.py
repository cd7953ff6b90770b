# SPDX-License-Identifier: Apache-2.0
"""What a frame costs beside its network is told stage by stage."""

from __future__ import annotations

import pytest

from seg_ros.commands.bench.host import BUDGET_MS, host_ms, host_table, measure_host


def test_every_stage_with_a_budget_is_measured_and_the_network_is_not() -> None:
    values = host_ms(measure_host(frames=1, warm_up=0))
    stages = {name.removeprefix('host_ms.') for name in values}
    assert set(BUDGET_MS) <= stages
    assert 'infer' not in stages
    rows = {name: value for name, value in values.items() if name != 'host_ms.sum'}
    assert all(value > 0.0 for value in rows.values())
    assert values['host_ms.sum'] == pytest.approx(sum(rows.values()))


def test_the_budget_stands_beside_the_figure_and_fails_nothing() -> None:
    lines = host_table(host_ms({'host': {'stages_ms': {'lane': [1.0, 9.0, 2.0]}}})).splitlines()
    assert lines[0].split() == ['host_ms.lane', '2.000', 'budget', '1', 'ms']
    assert lines[1].split() == ['host_ms.sum', '2.000', 'budget', '5', 'ms']
    assert host_ms({}) == {}
