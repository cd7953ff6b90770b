"""Every backend, one row each, and which of them this machine takes by itself."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from seg_ros.core.errors import BackendUnavailable, ConfigurationError
from seg_ros.inference.base import PRECISIONS, InferenceBackend
from seg_ros.inference.engine import Engine

__all__ = [
    'AUTO_ORDER',
    'BACKENDS',
    'BackendProbe',
    'ChosenBackend',
    'create_backend',
    'probe_backends',
]

BACKENDS: dict[str, str] = {
    'openvino': 'seg_ros.inference.openvino_backend:OpenvinoBackend',
    'onnxruntime': 'seg_ros.inference.onnxruntime_backend:OnnxruntimeBackend',
    'canned': 'seg_ros.inference.canned_backend:CannedBackend',
}
"""Name → where its class is. Its module also has ``version()``, ``auto_verdict()`` and ``FIX``."""

AUTO_ORDER = ('openvino', 'onnxruntime')
"""What 'auto' tries, the first that is installed and suits this machine wins."""


class ChosenBackend(NamedTuple):
    """A backend that is ready, and the sentence that says why it is this one."""

    backend: InferenceBackend
    reason: str


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
    name: str, engine: Engine, *, threads: int = 0, precision: str = 'auto'
) -> ChosenBackend:
    """Returns a loaded and warm backend for an engine, with the reason for the choice.

    Args:
        name: A row of ``BACKENDS``, or 'auto' for the first of ``AUTO_ORDER`` that suits.
        engine: What to run.
        threads: Threads of CPU inference; 0 takes one per free core.
        precision: One of ``PRECISIONS``.

    Raises:
        ConfigurationError: An unknown name or precision, or one that the backend does not have.
        BackendUnavailable: The backend, or with 'auto' every backend, cannot run here.
        EngineError: The backend cannot load the network.
    """
    if precision not in PRECISIONS:
        raise ConfigurationError(
            f"There is no precision '{precision}'. Choose one of {', '.join(PRECISIONS)}."
        )
    if threads < 0:
        raise ConfigurationError(f'threads is {threads}; give 0 for one per free core, or more.')
    if name == 'auto':
        name, reason = _auto_choice(precision)
    elif name in BACKENDS:
        reason = f'{name}: asked for by name'
    else:
        raise ConfigurationError(
            f"There is no backend '{name}'. Choose one of auto, {', '.join(BACKENDS)}."
        )
    module, class_name = BACKENDS[name].split(':')
    make = getattr(import_module(module), class_name)
    return ChosenBackend(make(engine, threads=threads, precision=precision), reason)


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


def _auto_choice(precision: str) -> tuple[str, str]:
    """Returns the name that 'auto' stands for here, and the reason for it."""
    passed_over = []
    for name in AUTO_ORDER:
        module = import_module(BACKENDS[name].split(':')[0])
        try:
            module.version()
        except BackendUnavailable as error:
            passed_over.append(f'not {name}: {error}')
            continue
        suits, why = module.auto_verdict(precision)
        if suits:
            return name, '; '.join([f'{name}: {why}', *passed_over])
        passed_over.append(f'not {name}: {why}')
    raise BackendUnavailable(f'No backend can run here. {" ".join(passed_over)}')
