# SPDX-License-Identifier: Apache-2.0
"""Compiles an engine's network with the real builder of TensorRT for RTX, which needs no GPU."""

from __future__ import annotations

import pytest

from seg_ros.inference.engine import Engine
from seg_ros.inference.tensorrt.api import TensorrtApi
from seg_ros.inference.tensorrt.plan_build import BuildOptions, BuiltPlan, build_plan

TARGETS = ('sm_86', 'sm_89')


def rtx_api() -> TensorrtApi:
    """Returns TensorRT for RTX; skips the test where it is not installed."""
    module = pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')
    return TensorrtApi(module, 'tensorrt_rtx')


def compile_rtx(engine: Engine, precision: str, max_batch: int = 1) -> BuiltPlan:
    """Returns the plan of an engine for both architectures; fails where there is none."""
    plan = build_plan(rtx_api(), engine, BuildOptions(precision, max_batch, TARGETS))
    assert plan.data[:4] == b'vtrt'
    names = ' '.join(plan.report.engine)
    assert all(name in names for name in ('image', 'label', 'confidence', 'health'))
    return plan
