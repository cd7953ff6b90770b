# SPDX-License-Identifier: Apache-2.0
"""A command measures once, before it starts its node, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_ros.commands.shared.tuned_first import tuned_first
from seg_ros.core.errors import BackendUnavailable
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import create_backend, is_unmeasured
from seg_ros.inference.tensorrt import backend as tensorrt_backend
from test.tiny_onnx import write_engine


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    def unavailable() -> str:
        raise BackendUnavailable('there is no GPU in this test')

    monkeypatch.setattr(tensorrt_backend, 'version', unavailable)
    monkeypatch.setenv('SEG_ROS_CACHE', str(tmp_path / 'cache'))
    return load_engine(write_engine(tmp_path / 'tiny'))


def test_it_is_measured_once_and_auto_goes_by_it(engine: Engine) -> None:
    assert is_unmeasured(engine)
    assert tuned_first(engine) == 'It was measured what is fastest here (seg_ros tune --show).'
    assert not is_unmeasured(engine)
    assert tuned_first(engine) == ''
    chosen = create_backend('auto', engine)
    assert ': measured ' in chosen.in_short
    chosen.backend.close()


def test_nothing_is_measured_where_it_cannot_be_kept(engine: Engine) -> None:
    said = tuned_first(engine, cache_path=Path('/proc/nothing'))
    assert said.startswith('What is fastest here was not measured: Cannot write to the engine')


def test_nothing_is_measured_where_a_gpu_will_serve(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_backend, 'version', lambda: 'TensorRT 99')
    monkeypatch.setattr(tensorrt_backend, 'auto_verdict', lambda _: (True, 'it is there'))
    assert not is_unmeasured(engine)
