# SPDX-License-Identifier: Apache-2.0
"""Every backend, one row each, and which of them this machine takes by itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from seg_ros.core.errors import (
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    EngineError,
)
from seg_ros.inference.base import PRECISIONS, InferenceBackend
from seg_ros.inference.cpu_backend import available_cores
from seg_ros.inference.engine import Engine
from seg_ros.inference.switchable_backend import SwitchableBackend
from seg_ros.inference.tensorrt.backend import PlanMissing, plan_precision
from seg_ros.inference.tensorrt.background_build import BackgroundBuild, build_command
from seg_ros.inference.tensorrt.one_thread_backend import OneThreadBackend
from seg_ros.inference.tensorrt.plan_build import BuildOptions
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tuning.choice import choose
from seg_ros.inference.tuning.memory import IMAGE_HZ, recall, tune_key

__all__ = [
    'AUTO_ORDER',
    'BACKENDS',
    'BackendProbe',
    'ChosenBackend',
    'PlanOptions',
    'TuneOptions',
    'create_backend',
    'is_unmeasured',
    'probe_backends',
    'tune_command',
]

BACKENDS: dict[str, str] = {
    'tensorrt': 'seg_ros.inference.tensorrt.backend:TensorrtBackend',
    'openvino': 'seg_ros.inference.openvino_backend:OpenvinoBackend',
    'onnxruntime': 'seg_ros.inference.onnxruntime_backend:OnnxruntimeBackend',
    'canned': 'seg_ros.inference.canned_backend:CannedBackend',
}
"""Name → where its class is. Its module also has ``version()``, ``auto_verdict()`` and ``FIX``."""

AUTO_ORDER = ('tensorrt', 'openvino', 'onnxruntime')
"""What 'auto' tries, the first that is installed and suits this machine wins."""

WITH_PLANS = 'tensorrt'
"""The one whose plans may have to be built first."""


class ChosenBackend(NamedTuple):
    """A backend that is ready, and the sentence that says why it is this one."""

    backend: InferenceBackend
    reason: str

    @property
    def in_short(self) -> str:
        """The reason without what was passed over."""
        return self.reason.split('; not ', maxsplit=1)[0]


class PlanOptions(NamedTuple):
    """What concerns backends whose plans must be built for the machine.

    Attributes:
        cache_path: Folder of the plans; None takes ``cache_folder()``.
        max_batch: Images that run together at most.
        build_in_background: Whether a missing plan is built in a process of its own, while a
            backend for the CPU serves; else it is an error, and 'auto' takes another backend.
    """

    cache_path: Path | None = None
    max_batch: int = 1
    build_in_background: bool = False


class TuneOptions(NamedTuple):
    """What concerns the measurement that 'auto' goes by on a CPU.

    Attributes:
        cameras: That the engine serves.
        in_background: Whether what is not remembered is measured now, in a process of its own;
            else 'auto' goes by its rules.
    """

    cameras: int = 1
    in_background: bool = False


class BackendProbe(NamedTuple):
    """Whether a backend can run here.

    Attributes:
        name: Its row in the registry.
        available: Whether it can be created on this machine.
        detail: Its version, or why not.
        fix: What to do about it; empty when it is available.
    """

    name: str
    available: bool
    detail: str
    fix: str


def create_backend(
    name: str,
    engine: Engine,
    *,
    threads: int = 0,
    precision: str = 'auto',
    plans: PlanOptions | None = None,
    tuning: TuneOptions | None = None,
) -> ChosenBackend:
    """Returns a loaded and warm backend for an engine, with the reason for the choice.

    Args:
        name: A row of ``BACKENDS``, or 'auto': TensorRT where it suits, else what was measured to
            be the fastest here, and where nothing was, the first of ``AUTO_ORDER`` that suits.
        engine: What to run.
        threads: Threads of CPU inference; 0 takes one per free core.
        precision: One of ``PRECISIONS``.
        plans: Where TensorRT's plans are and what happens when one is missing.
        tuning: For how many cameras it is, and what happens when nothing was measured yet.

    Raises:
        ConfigurationError: An unknown name or precision, or one that the backend does not have.
        BackendUnavailable: The backend, or with 'auto' every backend, cannot run here.
        EngineError: The backend cannot load the network.
    """
    plans = plans or PlanOptions()
    if precision not in PRECISIONS:
        raise ConfigurationError(
            f"There is no precision '{precision}'. Choose one of {', '.join(PRECISIONS)}."
        )
    if threads < 0:
        raise ConfigurationError(f'threads is {threads}; give 0 for one per free core, or more.')
    if name == 'auto':
        return _auto_choice(AUTO_ORDER, engine, threads, precision, plans, tuning or TuneOptions())
    if name not in BACKENDS:
        raise ConfigurationError(
            f"There is no backend '{name}'. Choose one of auto, {', '.join(BACKENDS)}."
        )
    reason = f'{name}: asked for by name'
    try:
        return ChosenBackend(_made(name, engine, threads, precision, plans), reason)
    except PlanMissing as missing:
        if not plans.build_in_background:
            raise
        return _built_meanwhile(missing, reason, engine, threads, precision, plans)


def probe_backends() -> list[BackendProbe]:
    """Returns one row per backend: can it run here, and if not, why and what to do."""
    probes = []
    for name, target in BACKENDS.items():
        module = import_module(target.split(':')[0])
        try:
            probes.append(BackendProbe(name, True, module.version(), ''))
        except BackendUnavailable as error:
            probes.append(BackendProbe(name, False, str(error), module.FIX))
    return probes


def _auto_choice(
    names: Sequence[str],
    engine: Engine,
    threads: int,
    precision: str,
    plans: PlanOptions,
    tuning: TuneOptions,
) -> ChosenBackend:
    """Returns what 'auto' stands for here, and the reason for it."""
    passed_over: list[str] = []
    unmeasured = ''
    for name in names:
        if name != WITH_PLANS and not unmeasured:
            measured, unmeasured = _measured_choice(engine, threads, precision, plans, tuning)
            if measured is not None:
                return measured._replace(reason='; '.join([measured.reason, *passed_over]))
        module = import_module(BACKENDS[name].split(':')[0])
        try:
            module.version()
            suits, why = module.auto_verdict(precision)
            if suits:
                reason = '; '.join([f'{name}: {why}', *passed_over])
                backend = _made(name, engine, threads, precision, plans)
                chosen = ChosenBackend(backend, reason)
                if name == WITH_PLANS or not tuning.in_background:
                    return chosen
                return _measured_meanwhile(chosen, engine, threads, precision, plans, tuning)
        except PlanMissing as missing:
            if plans.build_in_background:
                return _built_meanwhile(missing, reason, engine, threads, precision, plans)
            why = str(missing)
        except BackendError as error:
            why = str(error)
        passed_over.append(f'not {name}: {why}')
    raise BackendUnavailable(f'No backend can run here. {" ".join(passed_over)}')


def _built_meanwhile(
    missing: PlanMissing,
    reason: str,
    engine: Engine,
    threads: int,
    precision: str,
    plans: PlanOptions,
) -> ChosenBackend:
    """Returns a backend for the CPU that TensorRT takes over from when its plan is built."""
    others = [name for name in AUTO_ORDER if name != WITH_PLANS]
    serving = _auto_choice(others, engine, threads, 'auto', plans, TuneOptions())
    cache = PlanCache(plans.cache_path)
    options = BuildOptions(plan_precision(precision), plans.max_batch)
    try:
        build = BackgroundBuild(build_command(engine, options, cache.folder))
    except BackendError:
        serving.backend.close()
        raise
    backend = SwitchableBackend(
        serving.backend,
        build,
        lambda: _made(WITH_PLANS, engine, threads, precision, plans),
        WITH_PLANS,
    )
    return ChosenBackend(
        backend,
        f'{reason}; {serving.backend.name} serves until its plan is built ({missing.why})',
    )


def _measured_choice(
    engine: Engine, threads: int, precision: str, plans: PlanOptions, tuning: TuneOptions
) -> tuple[ChosenBackend | None, str]:
    """Returns what was measured to be the best here, or None and why there is no such thing."""
    remembered = recall(engine, tune_key(engine, tuning.cameras), plans.cache_path)
    if remembered.why:
        return None, remembered.why
    period_ms = 1e3 / (IMAGE_HZ * tuning.cameras)
    best = choose(remembered.rows, available_cores(), period_ms, precision, threads)
    if best is None:
        return None, 'nothing that was measured fits precision and threads'
    row, why = best
    candidate = row.candidate
    if candidate.backend not in BACKENDS or candidate.backend == WITH_PLANS:
        return None, f'{candidate.backend} is no backend for the CPU'
    try:
        backend = _made(candidate.backend, engine, candidate.threads, candidate.precision, plans)
    except (BackendError, ConfigurationError, EngineError) as error:
        return None, str(error)
    return ChosenBackend(backend, f'{candidate.backend}: {why}'), ''


def _measured_meanwhile(
    serving: ChosenBackend,
    engine: Engine,
    threads: int,
    precision: str,
    plans: PlanOptions,
    tuning: TuneOptions,
) -> ChosenBackend:
    """Returns a backend that the best one takes over from when it is known."""
    cache = PlanCache(plans.cache_path)
    try:
        cache.check_writable()  # else it would be measured at every start
        build = BackgroundBuild(tune_command(engine, cache.folder, tuning.cameras))
    except (BackendError, ConfigurationError) as error:
        return serving._replace(reason=f'{serving.reason}; not measured: {error}')

    def make() -> InferenceBackend:
        chosen, why = _measured_choice(engine, threads, precision, plans, tuning)
        if chosen is None:
            raise BackendError(why)
        return chosen.backend

    backend = SwitchableBackend(serving.backend, build, make, 'what is fastest', is_tune=True)
    return ChosenBackend(
        backend, f'what is fastest here is being measured, once; until then {serving.reason}'
    )


def is_unmeasured(engine: Engine, cameras: int = 1, cache_path: Path | None = None) -> bool:
    """Returns whether 'auto' would have to measure what is fastest here, or go by its rules."""
    module = import_module(BACKENDS[WITH_PLANS].split(':')[0])
    try:
        module.version()
        if module.auto_verdict('auto')[0]:
            return False
    except BackendError:
        pass
    return bool(recall(engine, tune_key(engine, cameras), cache_path).why)


def tune_command(engine: Engine, cache_path: Path, cameras: int) -> list[str]:
    """Returns the command line of the ``tune_process`` that measures an engine's candidates."""
    width, height = engine.network_size_wh
    return [
        sys.executable,
        '-m',
        'seg_ros.inference.tune_process',
        str(engine.folder.resolve()),
        '--network-size',
        f'{width}x{height}',
        '--cameras',
        str(cameras),
        '--cache',
        str(cache_path),
    ]


def _made(
    name: str, engine: Engine, threads: int, precision: str, plans: PlanOptions
) -> InferenceBackend:
    module, class_name = BACKENDS[name].split(':')
    make = getattr(import_module(module), class_name)
    options: dict[str, Any] = {'threads': threads, 'precision': precision}
    if name == WITH_PLANS:
        options |= {'cache_path': plans.cache_path, 'max_batch': plans.max_batch}
        return OneThreadBackend(lambda: make(engine, **options))
    backend: InferenceBackend = make(engine, **options)
    return backend
