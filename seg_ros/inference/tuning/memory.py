# SPDX-License-Identifier: Apache-2.0
"""What was measured here, kept in the cache folder beside the plans.

A file counts only for the machine, engine and versions that it names, and only where nobody else
could have written it; whatever is wrong with it, the answer is that nothing is remembered.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import seg_ros
from seg_ros.core.errors import ConfigurationError
from seg_ros.files import SMALL, open_regular, why_not_trusted
from seg_ros.inference.cpu_backend import available_cores
from seg_ros.inference.cpu_quota import quota_cores
from seg_ros.inference.engine import Engine
from seg_ros.inference.onnx.contract import read_model
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tuning.choice import Candidate, Timing

__all__ = ['IMAGE_HZ', 'Remembered', 'TuneKey', 'recall', 'remember', 'tune_key', 'tuned_path']

FORMAT = 1
ENDING = '.tuned'
PARTIAL = '.partial'  # as of plans: ``seg_ros engines --prune`` removes what was left
RUNTIMES = ('onnxruntime', 'openvino')
IMAGE_HZ = 30.0  # of a camera, where nobody knows better
CPUINFO = Path('/proc/cpuinfo')
QUIET_SHARE = 0.25  # of the processors: half a core of two; a camera's driver takes less
NUMBERS = ('agreement', 'agreement_all', 'median_ms', 'p95_ms', 'busy_ms')  # of a Timing

TuneKey = Mapping[str, Any]
"""What a measurement is of: machine, engine, versions, cameras."""


@dataclass(frozen=True)
class Remembered:
    """Measurements that count here and now.

    Attributes:
        rows: One per candidate; empty where nothing is remembered.
        why: Why nothing is; empty where something is.
        others_share: Of the processors, that others took just before or after it was measured.
    """

    rows: tuple[Timing, ...]
    why: str = ''
    others_share: float = 0.0

    @property
    def doubt(self) -> str:
        """Why another candidate may be the fastest on a quiet machine; empty where none may."""
        if self.others_share <= QUIET_SHARE:
            return ''
        return f'others took {self.others_share:.0%} of the processors when it was measured'


def tune_key(engine: Engine, cameras: int = 1, image_hz: float = IMAGE_HZ) -> dict[str, Any]:
    """Returns what a measurement of an engine here and now is of.

    Raises:
        EngineError: A file of the engine is gone.
    """
    digest = hashlib.sha256()
    for path in filter(None, (engine.onnx_path, engine.int8_path, engine.cpu_int8_path)):
        digest.update(hashlib.sha256(read_model(path)).digest())
    width, height = engine.network_size_wh
    model, flags = _processor(CPUINFO)
    return {
        'format': FORMAT,
        'cpu': model,
        'flags': hashlib.sha256(flags.encode()).hexdigest()[:16],
        'cores': available_cores(),
        'quota': quota_cores(),
        'engine': digest.hexdigest(),
        'network_size': f'{width}x{height}',
        'cameras': cameras,
        'image_hz': image_hz,
        'seg_ros': seg_ros.__version__,
        **{name: _version_of(name) for name in RUNTIMES},
    }


def tuned_path(engine: Engine, key: TuneKey, cache_path: Path | None = None) -> Path:
    """Returns the file of a measurement."""
    word = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    name = ''.join(c if c.isalnum() or c in '-_' else '-' for c in engine.name)
    return PlanCache(cache_path).folder / f'{name}-{word}{ENDING}'


def recall(engine: Engine, key: TuneKey, cache_path: Path | None = None) -> Remembered:
    """Returns what is remembered of this machine and engine; never raises."""
    path = tuned_path(engine, key, cache_path)
    if why := PlanCache(cache_path).distrust():
        return Remembered((), why)
    try:
        with open_regular(path) as file:
            if why := why_not_trusted(os.fstat(file.fileno())):
                return Remembered((), f'{path} {why}')
            table = json.loads(file.read(SMALL).decode())
        if table['key'] != dict(key):
            return Remembered((), f'{path} is of another machine, engine or version')
        rows = tuple(_timing(row) for row in table['rows'])
        others_share = _share(table.get('others_share', 0.0))
    except FileNotFoundError:
        return Remembered((), 'nothing was measured here yet')
    except (OSError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        return Remembered((), f'{path} cannot be read ({type(error).__name__})')
    return Remembered(rows, '' if rows else f'{path} holds no measurement', others_share)


def remember(
    engine: Engine,
    key: TuneKey,
    rows: Sequence[Timing],
    cache_path: Path | None = None,
    others_share: float = 0.0,
) -> Path:
    """Keeps measurements, whole or not at all, and returns their file.

    Raises:
        ConfigurationError: The folder cannot be written, is somebody else's, or the disk is full.
    """
    PlanCache(cache_path).check_writable()
    path = tuned_path(engine, key, cache_path)
    partial = path.with_name(f'{path.name}.{os.getpid()}{PARTIAL}')
    table = {
        'key': dict(key),
        'others_share': round(others_share, 3),
        'rows': [asdict(row) for row in rows],
    }
    try:
        partial.write_text(json.dumps(table, indent=1))
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ConfigurationError(
            f'Cannot write {path}: {error.strerror}. Name a folder that can be written, with '
            '--cache, $SEG_ROS_CACHE or the parameter cache_path.'
        ) from error
    return path


def _share(value: object) -> float:
    share = float(value) if isinstance(value, (int, float)) else math.nan
    if not 0.0 <= share <= 1.0:
        raise ValueError('a share')
    return share


def _timing(row: Mapping[str, Any]) -> Timing:
    candidate = row['candidate']
    threads = candidate['threads']
    if not isinstance(threads, int) or threads < 1:
        raise ValueError('threads')
    numbers = {name: float(row[name]) for name in NUMBERS}
    if not all(math.isfinite(value) and value >= 0.0 for value in numbers.values()):
        raise ValueError('a time')
    return Timing(
        Candidate(str(candidate['backend']), str(candidate['precision']), threads),
        why_not=str(row['why_not']),
        **numbers,
    )


def _processor(cpuinfo: Path) -> tuple[str, str]:
    """Returns model and flags of the first processor; ARM has no model, but its parts' numbers."""
    try:
        first = cpuinfo.read_text().split('\n\n')[0]
    except OSError:
        return '', ''
    pairs = [line.partition(':') for line in first.splitlines()]
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    parts = [facts.get(name, '') for name in ('CPU implementer', 'CPU part', 'CPU variant')]
    model = facts.get('model name') or ' '.join(parts).strip()
    return model, facts.get('flags', facts.get('Features', ''))


def _version_of(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ''
