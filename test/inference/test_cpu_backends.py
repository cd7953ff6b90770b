# SPDX-License-Identifier: Apache-2.0
"""What only the backends with a CPU runtime behind them can show."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from seg_ros.core.errors import (
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    EngineError,
)
from seg_ros.inference import onnxruntime_backend, openvino_backend
from seg_ros.inference.cpu_backend import available_cores, bf16_instructions, inference_threads
from seg_ros.inference.engine import load_engine
from seg_ros.inference.onnxruntime_backend import OnnxruntimeBackend
from seg_ros.inference.openvino_backend import OpenvinoBackend
from seg_ros.inference.tuning.choice import LEAST_AGREEMENT
from seg_ros.inference.tuning.measure import SURE, seeded_pictures
from test.paths import REPOSITORY
from test.tiny_onnx import network, seeded_images, write_engine

CpuBackend = type[OnnxruntimeBackend] | type[OpenvinoBackend]

CPU_BACKENDS = [OnnxruntimeBackend, OpenvinoBackend]
BROKEN = {
    'weights that are NaN': np.nan,
    'weights that overflow': np.inf,
}


def with_weights(value: float) -> onnx.ModelProto:
    made = network()
    for index, tensor in enumerate(made.graph.initializer):
        if tensor.name == 'w2':
            broken = np.full_like(numpy_helper.to_array(tensor), value)
            made.graph.initializer[index].CopyFrom(numpy_helper.from_array(broken, 'w2'))
    return made


@pytest.mark.parametrize('kind', CPU_BACKENDS)
@pytest.mark.parametrize('value', BROKEN.values(), ids=BROKEN)
def test_scores_that_are_no_numbers_are_a_failure_and_never_a_label(
    kind: CpuBackend, value: float, tmp_path: Path
) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny', with_weights(value)))
    with pytest.raises(BackendError, match=r"no numbers.*try precision 'fp32'"):
        kind(engine, threads=1)


@pytest.mark.parametrize('kind', CPU_BACKENDS)
def test_the_next_call_writes_into_the_same_arrays(kind: CpuBackend, tmp_path: Path) -> None:
    backend = kind(load_engine(write_engine(tmp_path / 'tiny')), threads=1)
    first = backend.infer(seeded_images(seed=1), with_confidence=True)
    second = backend.infer(seeded_images(seed=2), with_confidence=True)
    assert first.labels is second.labels
    assert first.confidence is second.confidence


@pytest.mark.parametrize('kind', CPU_BACKENDS)
def test_a_network_that_the_runtime_cannot_load_is_an_engine_error(
    kind: CpuBackend, tmp_path: Path
) -> None:
    made = network()
    made.graph.node[3].op_type = 'Convolution'
    engine = load_engine(write_engine(tmp_path / 'tiny', made))
    with pytest.raises(EngineError, match=r'cannot load .*model\.onnx.*opset'):
        kind(engine, threads=1)


@pytest.mark.parametrize('kind', CPU_BACKENDS)
def test_the_detail_tells_device_precision_threads_and_version(
    kind: CpuBackend, tmp_path: Path
) -> None:
    backend = kind(load_engine(write_engine(tmp_path / 'tiny')), threads=2, precision='fp32')
    assert backend.detail.startswith('CPU fp32, 2 threads, O')


def test_onnx_runtime_refuses_a_precision_that_it_does_not_have(tmp_path: Path) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    with pytest.raises(ConfigurationError, match=r"asked was precision 'bf16'.*'openvino'"):
        OnnxruntimeBackend(engine, precision='bf16')


def test_onnx_runtime_runs_the_int8_network_where_it_is_asked_for(tmp_path: Path) -> None:
    engine = load_engine(REPOSITORY / 'engines/roadseg')
    width, height = engine.network_size_wh
    image = np.random.default_rng(1).integers(0, 255, (1, height, width, 3), np.uint8)
    backends = [OnnxruntimeBackend(engine, threads=1, precision=name) for name in ('fp32', 'int8')]
    whole, quantised = [backend.infer(image).labels.copy() for backend in backends]
    assert backends[1].detail.startswith('CPU int8')
    assert 0.5 < np.mean(whole == quantised) < 1.0
    with pytest.raises(EngineError, match=r'no model\.int8\.onnx'):
        OnnxruntimeBackend(load_engine(write_engine(tmp_path / 'tiny')), precision='int8')


def test_openvino_runs_the_int8_network_for_cpus_and_its_labels_are_those_of_fp32(
    tmp_path: Path,
) -> None:
    engine = load_engine(REPOSITORY / 'engines/roadseg')
    pictures = seeded_pictures(engine.network_size_wh)
    whole = OnnxruntimeBackend(engine, precision='fp32').infer(pictures, with_confidence=True)
    assert whole.confidence is not None
    labels, is_sure = whole.labels.copy(), whole.confidence >= SURE
    backend = OpenvinoBackend(engine, precision='int8')
    assert backend.detail.startswith('CPU int8')
    same = backend.infer(pictures).labels == labels
    assert not same.all()
    assert same[is_sure].mean() >= LEAST_AGREEMENT
    with pytest.raises(EngineError, match=r'no model\.int8-cpu\.onnx.*training\.quantize'):
        OpenvinoBackend(load_engine(write_engine(tmp_path / 'tiny')), precision='int8')


def test_openvino_refuses_a_precision_that_it_does_not_have(tmp_path: Path) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    with pytest.raises(ConfigurationError, match=r"asked was 'fp16'.*'tensorrt' for fp16"):
        OpenvinoBackend(engine, precision='fp16')


def test_openvino_refuses_bf16_on_a_cpu_without_it_and_takes_fp32_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_backend, 'bf16_instructions', tuple)
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    with pytest.raises(BackendUnavailable, match="'bf16' was asked of a CPU without"):
        OpenvinoBackend(engine, precision='bf16')
    assert 'fp32' in OpenvinoBackend(engine, threads=1).detail


@pytest.mark.parametrize('module', [onnxruntime_backend, openvino_backend])
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(f'No module named {name!r}')

    monkeypatch.setattr(module, 'import_module', missing)
    with pytest.raises(BackendUnavailable, match=r'No module named .* Install it: pip install '):
        module.version()  # type: ignore[attr-defined]


def test_a_graph_with_other_channels_than_it_announces_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    monkeypatch.setattr(
        OnnxruntimeBackend, '_logits_of', lambda *_: np.zeros((4, 8, 16), np.float32)
    )
    with pytest.raises(EngineError, match='5 classes, but its network gives 4 channels'):
        OnnxruntimeBackend(engine)


def test_a_container_with_fewer_cores_than_the_machine_counts_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores = len(os.sched_getaffinity(0))
    for limit, expected in ((None, cores), (1.0, 1), (0.5, 1), (1.9, 1), (999.0, cores)):
        monkeypatch.setattr('seg_ros.inference.cpu_backend.quota_cores', lambda limit=limit: limit)
        assert available_cores() == expected


def test_zero_threads_leave_one_core_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('os.sched_getaffinity', lambda _: {0, 1, 2, 3}, raising=False)
    assert inference_threads(0) == 3
    assert inference_threads(2) == 2
    monkeypatch.setattr('os.sched_getaffinity', lambda _: {5}, raising=False)
    assert inference_threads(0) == 1


def test_bf16_is_read_off_the_processor_flags(tmp_path: Path) -> None:
    cpuinfo = tmp_path / 'cpuinfo'
    cpuinfo.write_text('flags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n')
    assert bf16_instructions(cpuinfo) == ('avx512_bf16',)
    cpuinfo.write_text('flags\t\t: fpu avx2\n')
    assert bf16_instructions(cpuinfo) == ()
    assert bf16_instructions(tmp_path / 'none') == ()
