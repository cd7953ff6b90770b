# SPDX-License-Identifier: Apache-2.0
"""``seg_ros gpu-check`` as it is, on the stand-in; none of its figures means anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seg_ros.cli import main
from seg_ros.commands.gpu import command, memory_check
from test.gpu_stand_in.stand_in import StandIn
from test.tiny_onnx import write_engine

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')


@pytest.mark.parametrize('is_integrated', [False, True], ids=['own memory', 'shared'])
def test_all_checks_are_well_and_it_is_called_no_gpu(
    is_integrated: bool,
    gpu: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpu.be(is_integrated=is_integrated)
    for name, value in (('RUNS', 3), ('WARM_UP_RUNS', 1)):
        monkeypatch.setattr(command, name, value)
    monkeypatch.setattr(memory_check, 'COPY_BYTES', 1 << 20)
    folder = write_engine(tmp_path / 'tiny')
    output = tmp_path / 'gpu-check.json'
    words = ['gpu-check', str(folder), '-o', str(output), '--cycles', '10', '--json']
    status = main(words)
    figures = json.loads(capsys.readouterr().out)
    assert [row for row in figures['checks'] if not row['ok']] == []
    assert status == 0
    assert figures == json.loads(output.read_text())
    assert figures['gpu']['name'] == 'no GPU (stand-in)'
    assert [row['precision'] for row in figures['plans']] == ['fp16', 'fp32']
    for row in figures['plans']:
        assert float(row['agreement'].split('%')[0]) >= 99.5  # fp16 runs in halves here, too
        assert row['drift']['left_open'] == 0
        assert set(row['stages']) == {'batch 1', 'batch 4'}
        assert all(stage['execute_ms']['p50'] > 0.0 for stage in row['stages'].values())
        if is_integrated:
            assert row['roofline_ms']['memory_ms'] is None
