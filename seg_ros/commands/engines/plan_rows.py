# SPDX-License-Identifier: Apache-2.0
"""One line about a TensorRT plan, the same in every command."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from seg_ros.core.errors import BackendUnavailable, EngineError
from seg_ros.inference.cuda.gpu import GpuInfo, find_gpu
from seg_ros.inference.onnx.contract import read_model
from seg_ros.inference.tensorrt.api import TensorrtApi, load_tensorrt
from seg_ros.inference.tensorrt.plan_build import BUILD_REVISION
from seg_ros.inference.tensorrt.plan_cache import CachedPlan

__all__ = ['Machine', 'PlanRow', 'plan_row', 'this_machine']

MEGA = 1e6


class PlanRow(NamedTuple):
    """A plan, for people and programs.

    Attributes:
        engine: Name of its engine; its file's name where that is not known.
        precision: Its arithmetic.
        flavour: 'tensorrt' or 'tensorrt_rtx'.
        version: Full version of that.
        target: GPU and architecture, or a list of architectures.
        size_mb: What it takes on the disk.
        build_s: How long it took.
        valid: Whether it is whole and can be what this machine asks for.
        why: Why not, or how it was checked.
    """

    engine: str
    precision: str
    flavour: str
    version: str
    target: str
    size_mb: float
    build_s: float
    valid: bool
    why: str


class Machine(NamedTuple):
    """What plans are held against; None for what is not here, and then nothing is."""

    api: TensorrtApi | None
    gpu: GpuInfo | None


def this_machine() -> Machine:
    """Returns what is here."""
    api: TensorrtApi | None = None
    gpu: GpuInfo | None = None
    try:
        api = load_tensorrt()
        gpu = find_gpu()
    except BackendUnavailable:
        pass
    return Machine(api, gpu)


def plan_row(plan: CachedPlan, machine: Machine, *, verify: bool = False) -> PlanRow:
    """Returns the row of a plan.

    Args:
        plan: As the cache gave it.
        machine: What it is held against.
        verify: Reads it all and compares its checksum.
    """
    why = plan.damage or _foreign(plan, machine) or (plan.read()[1] if verify else '')
    key = plan.key
    if key is None:
        return PlanRow(plan.path.stem, '', '', '', '', _size_mb(plan), 0.0, False, why)
    return PlanRow(
        key.engine,
        key.precision,
        key.flavour,
        key.version,
        key.target,
        _size_mb(plan),
        plan.build_s,
        not why,
        why or str(plan.notes.get('check', '')),
    )


def _foreign(plan: CachedPlan, machine: Machine) -> str:
    """Returns why nobody asks for a whole plan any more; empty where somebody may."""
    key, api, gpu = plan.key, machine.api, machine.gpu
    if key is None:
        return ''
    if key.builder != BUILD_REVISION:
        return 'it was built by another seg_ros'
    network = Path(str(plan.notes.get('onnx', '')))
    try:
        digest = hashlib.sha256(read_model(network)).hexdigest()
    except EngineError:
        return f'its network {network} is gone'
    if digest != key.onnx_sha256:
        return f'its network {network} has changed since'
    if api is not None and (api.flavour, api.version) != (key.flavour, key.version):
        return f'it was built by {key.flavour} {key.version}, this is {api.flavour} {api.version}'
    if gpu is not None:
        here = gpu.target
        if key.target != here and gpu.architecture not in key.target.split(','):
            return f'it is for {key.target}, this is {here}'
    return ''


def _size_mb(plan: CachedPlan) -> float:
    try:
        return round(plan.path.stat().st_size / MEGA, 3)
    except OSError:
        return 0.0
