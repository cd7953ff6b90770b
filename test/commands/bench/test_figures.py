# SPDX-License-Identifier: Apache-2.0
"""The figures of the benchmark from samples that are known."""

from __future__ import annotations

from typing import Any

import pytest

from seg_ros.commands.bench.figures import (
    FIGURES,
    Figure,
    Play,
    auto_over_best,
    figures_of,
    labels_per_s,
    overlap_figures,
    table_of,
)

SECOND = 1_000_000_000
MS = 1_000_000


def play(rate_hz: int, latency_ms: float, seconds: int = 10, every: int = 1) -> dict[str, Any]:
    """A camera at an even rate, of which every n-th image is answered."""
    sent = [index * SECOND // rate_hz for index in range(rate_hz * seconds + 1)]
    return {
        'sent': sent,
        'received': [[stamp, stamp + round(latency_ms * MS)] for stamp in sent[::every]],
    }


def raw(**parts: Any) -> dict[str, Any]:
    return {'settings': {'warm_up_s': 1.0}, **parts}


def test_rate_and_latency_leave_out_the_warm_up_and_what_comes_after_the_last_image() -> None:
    samples = play(rate_hz=10, latency_ms=20)
    for row in samples['received'][:5]:
        row[1] += 300 * MS
    samples['received'].append([10 * SECOND, 12 * SECOND])
    made = Play.of(samples['sent'], samples['received'], 1.0)
    assert made.rate_hz == pytest.approx(10, rel=0.02)
    assert made.percentile(95) == pytest.approx(20)


def test_every_ratio_is_taken_within_its_round() -> None:
    """The machine is twice as slow in the second round; the ratios are the same."""
    rounds = [
        {
            'bare': {'infer_ms': [20.0 * slow] * 50},
            'bare_calm': {'infer_ms': [20.0 * slow] * 50},
            'calm': play(10, 24.0 * slow),
            'busy': play(60 // slow, 40.0 * slow, every=2),
            'textbook': play(60 // slow, 200.0 * slow, every=4),
        }
        for slow in (1, 2)
    ]
    values = figures_of(raw(rounds=rounds))
    assert values['node_over_bare_latency'] == pytest.approx(1.2)
    assert values['node_over_bare_rate'] == pytest.approx(0.6, rel=0.02)
    assert values['over_textbook_throughput'] == pytest.approx(2.0, rel=0.05)
    assert values['over_textbook_p95'] == pytest.approx(0.2)
    assert labels_per_s(raw(rounds=rounds)) == pytest.approx(0.6 * 37.5, rel=0.02)


def test_a_camera_that_starves_is_seen_and_one_that_gets_all_it_sent_is_not() -> None:
    sent = [[0] * 100] * 4
    fast = {'bare_hz': 50.0, 'seconds': 20.0, 'sent': sent}
    starving = {**fast, 'received': [[0] * 100, [0] * 100, [0] * 100, [0] * 40]}
    assert figures_of(raw(cameras=starving))['multi_camera_min_share'] == pytest.approx(0.4)
    slow = {'bare_hz': 10.0, 'seconds': 20.0, 'sent': sent, 'received': [[0] * 48] * 4}
    assert figures_of(raw(cameras=slow))['multi_camera_min_share'] == pytest.approx(0.96)


def test_memory_and_loss_follow_from_their_samples() -> None:
    values = figures_of(
        raw(
            memory={'early_bytes': 200, 'late_bytes': 202},
            transport={
                'best_effort': {'sent': [1, 2, 3], 'received': [[1, 2]]},
                'reliable': {'sent': [1, 2, 3], 'received': [[1, 2], [2, 3], [3, 4]]},
            },
        )
    )
    assert values['memory_growth'] == pytest.approx(1.01)
    assert values['transport_loss'] == 2


def test_what_two_batches_on_their_way_are_worth_is_held_against_what_they_could_be() -> None:
    stages = {'wait': 9.0, 'preprocess': 0.5, 'infer': 3.3, 'stop': 1.0, 'publish': 0.5}
    row = {'1': {'rate_hz': 200.0, 'stages_ms': stages}, '2': {'rate_hz': 300.0, 'stages_ms': {}}}
    samples = raw(
        overlap={
            'execute_ms': 3.0,
            'rounds': [row, {**row, '2': {'rate_hz': 30.0}}, row],
            'wait_cpu_ms': {'asleep': 0.4, 'spinning': 3.1},
        }
    )
    assert overlap_figures(samples) == {
        'overlapped_rate_ratio': 1.5,
        'stand_in_wait_cpu_ms.asleep': 0.4,
        'stand_in_wait_cpu_ms.spinning': 3.1,
    }
    assert figures_of(samples)['overlapped_of_ideal'] == pytest.approx(1.5 / (5.0 / 3.0))
    assert overlap_figures(raw()) == {}


def test_a_page_that_shows_fewer_pictures_than_it_should_does_not_look_cheaper_for_it() -> None:
    view = {'seconds': 30.0, 'processor_s': 1.5, 'pictures': 150, 'idle_processor_s': 0.06}
    values = figures_of(raw(view=view))
    assert values['view_of_a_core'] == pytest.approx(0.05)
    assert values['view_unwatched_of_a_core'] == pytest.approx(0.002)
    fewer = figures_of(raw(view={**view, 'pictures': 75}))
    assert fewer['view_of_a_core'] == pytest.approx(0.1)


def test_two_batches_on_a_cpu_are_told_with_what_they_cost_in_age() -> None:
    def turn(rate_hz: float, age_ms: float) -> dict[str, Any]:
        return {'rate_hz': rate_hz, 'stages_ms': {'received_to_published': age_ms}}

    row = {'1': turn(20.0, 50.0), '2': turn(21.0, 100.0)}
    assert overlap_figures(raw(cpu_overlap={'rounds': [row]})) == {
        'cpu_overlapped_rate_ratio': pytest.approx(1.05),
        'cpu_overlapped_age_ratio': pytest.approx(2.0),
    }


def test_auto_is_held_against_the_best_candidate_in_the_same_round() -> None:
    """The machine is twice as slow in the second round, where the slowest did not run again."""
    rounds = [
        {
            'auto': play(60 // slow, 20.0, every=2),
            'slow': play(60 // slow, 20.0, every=4),
            'fast': play(60 // slow, 20.0, every=1),
        }
        for slow in (1, 2)
    ]
    rounds[0]['lucky'] = play(90, 20.0)
    samples = raw(choice={'rounds': rounds})
    assert auto_over_best(samples) == ('fast', pytest.approx(0.5, rel=0.02))
    assert figures_of(samples)['auto_over_best'] == pytest.approx(0.5, rel=0.02)


def test_what_was_not_measured_is_none_and_the_table_says_why() -> None:
    values = figures_of(raw())
    assert values == dict.fromkeys(FIGURES)
    table = table_of(values, 'cv_bridge is missing', 'no gcc', 'set by hand')
    assert table.count('set by hand') == 1
    assert table.count('no gcc') == 1
    assert table.count('not measured') == len(FIGURES)
    assert table.count('cv_bridge is missing') == 2


def test_the_table_puts_the_bar_and_the_verdict_beside_each_figure() -> None:
    table = table_of({**dict.fromkeys(FIGURES, 1.0)}, '').splitlines()
    assert len(table) == len(FIGURES)
    assert 'at most 1.35' in table[0]
    assert ' ok ' in table[0]
    throughput = next(line for line in table if 'throughput' in line)
    assert 'at least 1.4' in throughput
    assert any('p95' in line and 'at most 0.5' in line for line in table)
    assert 'MISSED' in throughput


@pytest.mark.parametrize(('value', 'at_least', 'holds'), [(2, True, True), (2, False, False)])
def test_a_bar_is_a_floor_or_a_ceiling(value: float, at_least: bool, holds: bool) -> None:
    assert Figure('', 1.0, at_least).holds(value) is holds
    assert Figure('', value, at_least).holds(value)
