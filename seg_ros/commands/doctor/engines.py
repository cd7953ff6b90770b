"""What ``seg_ros doctor`` looks at in inference: backends, and each engine with a real image."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import numpy as np

from seg_ros.commands.doctor.check import CheckResult
from seg_ros.core.errors import SegRosError
from seg_ros.inference.engine import engine_search_path, find_engines, load_engine
from seg_ros.inference.registry import AUTO_ORDER, create_backend, probe_backends

__all__ = ['backend_rows', 'engine_rows']

RUNS = 5  # the median leaves out the first, which is slower


def backend_rows() -> Iterable[CheckResult]:
    """Yields every backend; one that can be chosen by itself must be there."""
    probes = [probe for probe in probe_backends() if probe.name in AUTO_ORDER]
    any_runs = any(probe.available for probe in probes)
    for probe in probes:
        yield CheckResult(f'backend {probe.name}', any_runs, probe.detail, probe.fix)


def engine_rows() -> Iterable[CheckResult]:
    """Yields every engine: its files fit each other, and it runs here."""
    engines = find_engines()
    if not engines:
        places = ', '.join(str(place) for place in engine_search_path())
        yield CheckResult(
            'engines',
            False,
            f'none found in {places}',
            'Set SEG_ROS_ENGINES to the folder that holds the engine folders, or make one: make '
            'engine',
        )
    for name, folder in engines.items():
        yield _engine_row(name, folder)


def _engine_row(name: str, folder: Path) -> CheckResult:
    try:
        engine = load_engine(folder)
        backend, reason = create_backend('auto', engine)
        width, height = engine.network_size_wh
        images = np.zeros((1, height, width, 3), np.uint8)
        times_s = []
        for _ in range(RUNS):
            start_s = time.perf_counter()
            backend.infer(images)
            times_s.append(time.perf_counter() - start_s)
        backend.close()
    except SegRosError as error:
        return CheckResult(f'engine {name}', False, 'cannot be used', str(error))
    return CheckResult(
        f'engine {name}',
        True,
        f'{width}x{height}, {len(engine.label_map.classes)} classes, '
        f'{median(times_s) * 1e3:.1f} ms with {backend.name} ({backend.detail}); {reason}; '
        f'{folder}',
    )
