# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from seg_ros.core.errors import BackendUnavailable, ConfigurationError
from seg_ros.inference import onnxruntime_backend, openvino_backend
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import (
    AUTO_ORDER,
    BACKENDS,
    ChosenBackend,
    PlanOptions,
    create_backend,
    probe_backends,
)
from seg_ros.inference.tensorrt import backend as tensorrt_backend
from seg_ros.inference.tuning.choice import Candidate, Timing
from seg_ros.inference.tuning.memory import remember, tune_key
from test.tiny_onnx import write_engine


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is the choice among the others, also on a machine with a GPU."""
    uninstall(monkeypatch, tensorrt_backend)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


def uninstall(monkeypatch: pytest.MonkeyPatch, *modules: object) -> None:
    def version() -> str:
        raise BackendUnavailable('it needs a library; install it.')

    for module in modules:
        monkeypatch.setattr(module, 'version', version)


def test_auto_takes_openvino_where_the_cpu_has_bf16_and_says_so(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_backend, 'bf16_instructions', lambda: ('amx_bf16',))
    backend, reason = create_backend('auto', engine, threads=1)
    assert backend.name == 'openvino'
    assert reason.startswith(
        'openvino: the CPU has bf16 (amx_bf16), which makes it the faster one; not tensorrt: '
    )


def test_auto_takes_onnx_runtime_where_it_has_not_and_says_what_was_passed_over(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_backend, 'bf16_instructions', tuple)
    backend, reason = create_backend('auto', engine, threads=1)
    assert backend.name == 'onnxruntime'
    assert 'not openvino: the CPU has no bf16' in reason


def test_auto_keeps_the_precision_that_was_asked_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_backend, 'bf16_instructions', lambda: ('amx_bf16',))
    assert create_backend('auto', engine, precision='fp32').backend.name == 'onnxruntime'
    monkeypatch.setattr(openvino_backend, 'bf16_instructions', tuple)
    with pytest.raises(BackendUnavailable, match=r'No backend .*bf16.*fp32 only'):
        create_backend('auto', engine, precision='bf16')


def test_auto_does_not_fall_back_in_silence_when_a_library_is_missing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch, openvino_backend)
    backend, reason = create_backend('auto', engine, threads=1)
    assert backend.name == 'onnxruntime'
    assert 'not openvino: it needs a library; install it.' in reason


def test_auto_without_any_backend_says_why_for_each(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch, openvino_backend, onnxruntime_backend)
    with pytest.raises(BackendUnavailable, match=r'not openvino: .*not onnxruntime: it needs'):
        create_backend('auto', engine)


def test_a_backend_that_is_asked_for_by_name_is_never_replaced(engine: Engine) -> None:
    backend, reason = create_backend('onnxruntime', engine, threads=1)
    assert backend.name == 'onnxruntime'
    assert reason == 'onnxruntime: asked for by name'


def test_words_that_mean_nothing_are_refused_with_those_that_do(engine: Engine) -> None:
    with pytest.raises(
        ConfigurationError, match=r"'onnx'.*Choose one of auto, tensorrt, openvino"
    ):
        create_backend('onnx', engine)
    with pytest.raises(ConfigurationError, match=r"'fp8'.*Choose one of auto, fp32, bf16"):
        create_backend('canned', engine, precision='fp8')
    with pytest.raises(ConfigurationError, match='threads is -1'):
        create_backend('canned', engine, threads=-1)


def test_every_row_of_the_registry_can_be_probed() -> None:
    rows = probe_backends()
    assert [row.name for row in rows] == list(BACKENDS)
    assert all(row.detail for row in rows)


def test_a_probe_that_fails_has_its_reason_and_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall(monkeypatch, openvino_backend)
    row = next(row for row in probe_backends() if row.name == 'openvino')
    assert not row.available
    assert row.detail == 'it needs a library; install it.'
    assert row.fix.startswith('pip install')


def test_auto_never_takes_the_fake() -> None:
    assert 'canned' not in AUTO_ORDER


def measured(engine: Engine, cache: Path, *rows: Timing) -> PlanOptions:
    remember(engine, tune_key(engine), rows, cache)
    return PlanOptions(cache)


def fastest(backend: str, threads: int, ms: float, precision: str = 'fp32') -> Timing:
    return Timing(Candidate(backend, precision, threads), 1.0, 1.0, ms, ms, ms)


def test_auto_takes_what_was_measured_to_be_the_fastest_whatever_the_rules_say(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_backend, 'bf16_instructions', tuple)
    rows = fastest('openvino', 1, 65.0), fastest('onnxruntime', 1, 124.0)
    chosen = create_backend('auto', engine, plans=measured(engine, tmp_path / 'cache', *rows))
    assert chosen.backend.detail.startswith('CPU fp32, 1 thread, OpenVINO')
    assert chosen.in_short == (
        'openvino: measured 65 ms an image; the network is the bottleneck and may have every core'
    )
    assert chosen.reason.startswith(f'{chosen.in_short}; not tensorrt: ')


def test_auto_goes_by_its_rules_where_what_was_measured_cannot_be_had(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_backend, 'bf16_instructions', tuple)
    for index, row in enumerate(
        (
            fastest('abacus', 1, 1.0),
            fastest('tensorrt', 1, 1.0),
            fastest('openvino', 1, 1.0, 'bf16'),
            fastest('onnxruntime', 1, 1.0, 'int8'),
            fastest('onnxruntime', 1, 1.0, 'fp1'),
        )
    ):
        plans = measured(engine, tmp_path / f'cache{index}', row)
        backend, reason = create_backend('auto', engine, threads=1, plans=plans)
        assert backend.name == 'onnxruntime'
        assert reason.startswith('onnxruntime: it runs on every CPU')


def test_the_reason_in_short_leaves_out_what_was_passed_over(engine: Engine) -> None:
    backend = create_backend('canned', engine).backend
    chosen = ChosenBackend(backend, 'openvino: it is; not tensorrt: no; not onnxruntime: no')
    assert chosen.in_short == 'openvino: it is'
