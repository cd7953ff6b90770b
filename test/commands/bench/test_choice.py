# SPDX-License-Identifier: Apache-2.0
"""``auto`` takes turns with the candidates that could be set by hand instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seg_ros.commands.bench import parts
from seg_ros.commands.bench.parts import FINALISTS, Settings, measure_choice
from seg_ros.commands.bench.stage import NodeOptions
from seg_ros.core.errors import SegRosError
from seg_ros.inference.engine import load_engine
from seg_ros.inference.tuning.choice import Candidate, Timing
from seg_ros.inference.tuning.memory import Remembered

ENGINE = load_engine('roadsynth')
OPTIONS = NodeOptions(Path('/engines/roadsynth'))
WAYS = [Candidate('onnxruntime', 'fp32', threads) for threads in range(1, 7)]
REFUSED, BROKEN = WAYS[4], WAYS[5]


@pytest.fixture(autouse=True)
def ways(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (Timing(REFUSED, agreement=0.9), Timing(WAYS[0], agreement=0.999), Timing(BROKEN))
    monkeypatch.setattr(parts, 'candidates', lambda *_words: WAYS)
    monkeypatch.setattr(parts, 'recall', lambda *_words: Remembered(rows))


def play(options: NodeOptions, _rate_hz: float, _settings: Settings) -> dict[str, Any]:
    if options.threads == BROKEN.threads:
        raise SegRosError('it has no wheel for this machine')
    return {'sent': [0], 'received': [[0, 0]] * (10 - options.threads)}


def test_all_run_once_and_then_the_fastest_with_auto(capsys: pytest.CaptureFixture[str]) -> None:
    first, *others = measure_choice(ENGINE, OPTIONS, Settings(), play)['choice']['rounds']
    assert list(first) == ['auto', *map(str, WAYS[:4])]
    assert 'no wheel' in capsys.readouterr().err
    fastest = [str(way) for way in WAYS[:FINALISTS]]
    back, forth = [*reversed(fastest), 'auto'], ['auto', *fastest]
    assert [list(row) for row in others] == [back, forth][: Settings().choice_rounds - 1]


@pytest.mark.parametrize(
    ('times_ms', 'rate_hz'),
    [({0: 50.0, 1: 40.0, 4: 10.0}, 37.5), ({0: 2.0}, 200.0), ({}, 200.0)],
    ids=['a half faster than the fastest that may be taken', 'never above 200 Hz', 'not measured'],
)
def test_the_camera_saturates_the_node_and_does_not_flood_the_machine(
    times_ms: dict[int, float], rate_hz: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(
        Timing(WAYS[way], 0.9 if WAYS[way] == REFUSED else 1.0, median_ms=time_ms)
        for way, time_ms in times_ms.items()
    )
    monkeypatch.setattr(parts, 'recall', lambda *_words: Remembered(rows))
    rates_hz: set[float] = set()

    def playing(options: NodeOptions, hz: float, settings: Settings) -> dict[str, Any]:
        rates_hz.add(hz)
        return play(options, hz, settings)

    measure_choice(ENGINE, OPTIONS, Settings(), playing)
    assert rates_hz == {rate_hz}


def test_without_auto_there_is_no_choice_to_be_judged() -> None:
    by_hand = NodeOptions(OPTIONS.engine, 'openvino')
    assert measure_choice(ENGINE, by_hand, Settings(), play) == {
        'no_choice': 'openvino was set by hand'
    }
