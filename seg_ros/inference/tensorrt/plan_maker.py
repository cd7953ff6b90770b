# SPDX-License-Identifier: Apache-2.0
"""Makes the plan that a key asks for: once, however many ask, and checked before it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seg_ros.core.errors import BackendUnavailable
from seg_ros.inference.cuda.gpu import GpuInfo
from seg_ros.inference.engine import Engine, network_path
from seg_ros.inference.tensorrt.api import TensorrtApi, load_tensorrt
from seg_ros.inference.tensorrt.backend import GpuStack, gpu_stack
from seg_ros.inference.tensorrt.plan_build import (
    BuildCancelled,
    BuildOptions,
    BuildStep,
    BuiltPlan,
    build_plan,
)
from seg_ros.inference.tensorrt.plan_cache import CachedPlan, PlanCache
from seg_ros.inference.tensorrt.plan_check import check_plan
from seg_ros.inference.tensorrt.plan_key import plan_key
from seg_ros.inference.tensorrt.plan_lock import LockBusy

__all__ = ['BuildStack', 'build_stack', 'make_plan']

Progress = Callable[[BuildStep], bool]

SHARED_WORKSPACE_BYTES = 1 << 30  # of a Jetson: enough for any layer here, and Ubuntu lives on
EXPECTED_PLAN_SHARE = 4  # a plan is at most about so many times its network (platform-facts, 1)
SHARE_OF_BUILD = 0.95  # the rest is the check


class BuildStack(NamedTuple):
    """What plans are made with.

    Attributes:
        api: The builder.
        gpu_stack: The GPU; None where there is none, and then only plans for named targets are
            made.
        why_no_gpu: Why there is none.
    """

    api: TensorrtApi
    gpu_stack: GpuStack | None
    why_no_gpu: str = ''


def build_stack() -> BuildStack:
    """Returns what this machine can make plans with.

    Raises:
        BackendUnavailable: There is no TensorRT.
    """
    try:
        stack = gpu_stack()
    except BackendUnavailable as error:
        return BuildStack(load_tensorrt(), None, str(error))
    return BuildStack(stack.api, stack)


def make_plan(
    stack: BuildStack,
    engine: Engine,
    options: BuildOptions,
    cache: PlanCache,
    *,
    progress: Progress = lambda _: True,
    force: bool = False,
) -> CachedPlan:
    """Returns the plan from the cache, or builds, checks and stores it.

    Args:
        stack: What to make it with.
        engine: Whose network.
        options: What to build it for.
        cache: Where to.
        progress: Is told how far it is; False cancels.
        force: Builds it even if it is there.

    Raises:
        BackendUnavailable: A plan for this machine's GPU was asked of a machine without.
        BuildCancelled: ``progress`` said so.
        ConfigurationError: Options that cannot be, or a cache that cannot be written.
        EngineError: A network that cannot be built, or a plan that disagrees with ONNX Runtime.
        BackendError: The GPU fails.
    """
    stack.api.check_targets(options.targets)
    if not options.targets and stack.gpu_stack is None:
        raise BackendUnavailable(
            'A plan for the GPU of this machine was asked for, but TensorRT cannot use one: '
            f'{stack.why_no_gpu.rstrip(".")}. Build it on the machine with the GPU, or name its '
            'architecture for TensorRT for RTX: --for sm_89'
        )
    gpu = stack.gpu_stack.gpu if stack.gpu_stack else None
    key = plan_key(engine, options, stack.api, gpu)

    def waiting(holder: str) -> bool:
        return progress(BuildStep(f'waiting for process {holder}, which builds the same', 0.0))

    cache.check_writable(engine.onnx_path.stat().st_size * EXPECTED_PLAN_SHARE)
    try:
        with cache.lock(key, waiting):
            found, _ = cache.find(key)
            if found is not None and not force and not found.read()[1]:
                return found
            _check_memory(stack.gpu_stack)
            built = build_plan(
                stack.api,
                engine,
                options,
                timing_cache=cache.hint('timing', key),
                workspace_bytes=_workspace_bytes(gpu),
                progress=lambda row: progress(BuildStep(row.phase, row.share * SHARE_OF_BUILD)),
            )
            progress(BuildStep('comparing with ONNX Runtime', SHARE_OF_BUILD))
            notes = {
                **_notes(built, engine, options),
                'check': _checked(stack, engine, options, built),
            }
            cache.store_hint('timing', key, built.timing_cache)
            return cache.store(key, built.data, built.build_s, notes)
    except LockBusy as error:
        raise BuildCancelled(str(error)) from error


def _check_memory(stack: GpuStack | None) -> None:
    """Opens and closes the GPU's memory: what cannot be used should not be built for minutes."""
    if stack is not None:
        stack.open_memory().close()


def _workspace_bytes(gpu: GpuInfo | None) -> int:
    """Returns how much a layer may take; 0, for all, where the GPU has a memory of its own."""
    if gpu is None or not gpu.is_integrated:
        return 0
    return min(SHARED_WORKSPACE_BYTES, gpu.total_bytes // 4)


def _notes(built: BuiltPlan, engine: Engine, options: BuildOptions) -> dict[str, Any]:
    return {
        'onnx': str(network_path(engine, options.precision)),
        'layers': built.report.layers,
        'layers_by_kind': dict(built.report.by_kind),
        'layers_by_type': dict(built.report.by_type),
        'layers_of_engine': list(built.report.engine),
    }


def _checked(stack: BuildStack, engine: Engine, options: BuildOptions, built: BuiltPlan) -> str:
    """Returns how the check went; raises where the plan must not be used."""
    if stack.gpu_stack is None:
        return f'not compared with ONNX Runtime: {stack.why_no_gpu}'
    here = stack.gpu_stack.gpu.architecture
    if options.targets and here not in options.targets:
        return f'not compared with ONNX Runtime: this machine has {here}'
    try:
        return str(check_plan(stack.gpu_stack, engine, options, built.data))
    except ImportError as error:
        return f'not compared: ONNX Runtime cannot be imported ({error})'
