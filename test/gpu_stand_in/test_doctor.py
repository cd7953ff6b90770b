# SPDX-License-Identifier: Apache-2.0
"""What ``seg_ros doctor`` says of the GPU's memory, on the stand-in."""

from __future__ import annotations

import pytest

from seg_ros.commands.doctor import machine
from test.gpu_stand_in.stand_in import StandIn

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')


def test_driver_and_library_are_said_with_their_versions(gpu: StandIn) -> None:
    (row,) = machine.cuda_rows()
    assert row.mark == 'ok'
    assert row.value.startswith('cuda-bindings ')
    assert row.value.endswith('on a driver of CUDA 12.6')


def test_a_driver_that_refuses_is_said(careless_gpu: StandIn) -> None:
    careless_gpu.fail('cuDevicePrimaryCtxRetain', error=803)
    (row,) = machine.cuda_rows()
    assert row.mark == 'hint'
    assert 'cuDevicePrimaryCtxRetain failed' in row.fix


def test_cuda_bindings_that_hold_pythons_lock_are_said(
    gpu: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        machine, 'memory_version', lambda: ('cuda-bindings', 'cuda-bindings 12.8.0')
    )
    (row,) = machine.cuda_rows()
    assert row.mark == 'hint'
    assert "holds Python's lock" in row.fix
    assert "'cuda-bindings==12.9.10'" in row.fix
