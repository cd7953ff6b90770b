# SPDX-License-Identifier: Apache-2.0
"""Which engine the demo runs: the better one where this machine keeps up with it."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest

from seg_ros.commands.demo import engine as demo_engine
from seg_ros.commands.demo.engine import DemoEngine, engine_for, period_ms_of
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.inference.engine import load_engine
from seg_ros.inference.tuning.choice import Candidate, Timing
from seg_ros.inference.tuning.memory import remember, tune_key
from seg_ros.recordings.sources import SourceOptions, open_source

AT_20_HZ_MS = 50.0


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Of a machine that has measured both engines."""
    return tmp_path / 'cache'


def measured(cache: Path, **median_ms: float) -> None:
    for name, value in median_ms.items():
        engine = load_engine(name.replace('_', '-'))
        row = Timing(Candidate('onnxruntime', 'fp32', 1), 1.0, 1.0, value, value, value)
        remember(engine, tune_key(engine), [row], cache)


def chosen(cache: Path, config: NodeConfig | None = None, **words: str) -> DemoEngine:
    arguments = argparse.Namespace(**{'engine': None, 'backend': None, **words})
    config = config or NodeConfig(cache_path=str(cache))
    return engine_for(config, arguments, AT_20_HZ_MS, Progress(io.StringIO()))


def test_a_machine_that_keeps_up_runs_the_better_engine(cache: Path) -> None:
    measured(cache, roadseg=30.0, roadseg_s=10.0)
    assert chosen(cache) == DemoEngine('')


def test_a_small_machine_runs_the_light_engine_and_is_told_so_in_one_sentence(
    cache: Path,
) -> None:
    measured(cache, roadseg=70.0, roadseg_s=25.0)
    engine = chosen(cache)
    assert engine.name == 'roadseg-s'
    (said,) = engine.said
    assert said.startswith('roadseg takes 70 ms an image here, roadseg-s 25 ms, and one comes')
    assert '--engine roadseg takes the better one' in said


def test_a_light_engine_that_is_no_faster_here_is_not_taken(cache: Path) -> None:
    measured(cache, roadseg=70.0, roadseg_s=71.0)
    assert chosen(cache).name == ''


@pytest.mark.parametrize('words', [{'engine': 'roadseg'}, {'backend': 'onnxruntime'}])
def test_what_somebody_named_is_run_however_slow_it_is(cache: Path, words: dict[str, str]) -> None:
    measured(cache, roadseg=700.0, roadseg_s=25.0)
    assert chosen(cache, **words) == DemoEngine(words.get('engine', ''))


def test_an_engine_of_the_parameters_is_run_however_slow_it_is(cache: Path) -> None:
    measured(cache, roadsynth=700.0, roadseg_s=25.0)
    config = NodeConfig(cache_path=str(cache), engine='roadsynth')
    assert chosen(cache, config) == DemoEngine('')


def test_a_machine_too_slow_to_be_measured_in_time_runs_the_light_engine_unmeasured(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_engine, 'tuned_first', lambda *_: 'It was not measured within 20 s.')
    engine = chosen(cache)
    assert (engine.name, engine.may_be_measured) == ('roadseg-s', False)
    assert engine.said[0] == 'It was not measured within 20 s.'
    assert 'roadseg-s labels them' in engine.said[1]


def test_where_nothing_is_to_be_measured_the_node_chooses(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_engine, 'tuned_first', lambda *_: '')  # as with a GPU
    assert chosen(cache) == DemoEngine('')


def test_the_light_engine_has_the_classes_of_the_default_one() -> None:
    usual, light = load_engine(NodeConfig().engine), load_engine(demo_engine.LIGHT)
    assert light.label_map.classes == usual.label_map.classes


def test_the_time_between_two_images_is_the_source_s_own_unless_a_rate_is_asked_for() -> None:
    source = open_source(SourceOptions('scenario', 'empty'))
    assert period_ms_of(source, None) == pytest.approx(50.0)
    assert period_ms_of(source, 4.0) == pytest.approx(250.0)
