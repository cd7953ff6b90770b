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
    assert {'publish', 'publish_lane', 'postprocess'} <= stages
    sums = {'host_ms.sum', 'host_ms.label_and_publish'}
    rows = {name: value for name, value in values.items() if name not in sums}
    assert all(value > 0.0 for value in rows.values())
    assert values['host_ms.sum'] == pytest.approx(sum(rows.values()))
    assert values['host_ms.label_and_publish'] == pytest.approx(
        rows['host_ms.postprocess'] + rows['host_ms.publish']
    )
    assert sum(BUDGET_MS.values()) == pytest.approx(5.0)


def test_the_budget_stands_beside_the_figure_and_fails_nothing() -> None:
    stages = {'lane': [1.0, 9.0, 2.0], 'publish': [0.5]}
    lines = host_table(host_ms({'host': {'stages_ms': stages}})).splitlines()
    assert lines[0].split() == ['host_ms.lane', '2.000', 'budget', '1', 'ms']
    assert lines[1].split() == ['host_ms.publish', '0.500']
    assert lines[2].split() == ['host_ms.label_and_publish', '0.500', 'budget', '1.2', 'ms']
    assert lines[3].split() == ['host_ms.sum', '2.500', 'budget', '5', 'ms']
    assert host_ms({}) == {}
