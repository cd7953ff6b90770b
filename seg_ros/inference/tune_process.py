# SPDX-License-Identifier: Apache-2.0
"""Measures an engine's candidates and remembers the result; the node's own process for it, too.

    python -m seg_ros.inference.tune_process ENGINE --cameras 1

``registry`` starts it, as it starts the build of a plan. ``seg_ros tune``, for people, takes the
same arguments and more.
"""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import PRECISIONS, InferenceBackend
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tuning.choice import Candidate, Timing
from seg_ros.inference.tuning.load import beside_load, others_share
from seg_ros.inference.tuning.measure import (
    Effort,
    Tell,
    candidates,
    measure,
    seeded_pictures,
)
from seg_ros.inference.tuning.memory import IMAGE_HZ, remember, tune_key

__all__ = ['add_arguments', 'main', 'tuned_rows']

MOST_CAMERAS = 16
LIMIT_S = 20.0  # that the node waits: something hangs, or the machine is far too slow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what is measured."""
    parser.add_argument(
        'engine', metavar='ENGINE', nargs='?', default='roadseg', help='name of an engine, or path'
    )
    parser.add_argument(
        '--network-size',
        default='',
        metavar='WxH',
        help="another size than the engine's own, as the node's parameter network_size",
    )
    parser.add_argument(
        '--cameras', type=int, default=1, metavar='N', help='cameras whose load runs beside it'
    )
    parser.add_argument(
        '--precision', choices=PRECISIONS, default='auto', help='the only one that is measured'
    )
    parser.add_argument(
        '--threads',
        type=int,
        default=0,
        metavar='N',
        help='the only number of threads; 0: several',
    )
    parser.add_argument('--cache', type=Path, metavar='DIR', help='folder of what is remembered')


def tuned_rows(
    engine: Engine,
    arguments: argparse.Namespace,
    pictures: RgbBatch,
    tell: Tell,
    effort: Effort | None = None,
) -> list[Timing]:
    """Returns the measured rows, remembered where every candidate was asked for.

    Raises:
        ConfigurationError: An argument out of range, or the cache cannot be written.
        SegRosError: No backend runs here.
    """
    if not 1 <= arguments.cameras <= MOST_CAMERAS:
        raise ConfigurationError(f'--cameras is {arguments.cameras}; give 1 to {MOST_CAMERAS}.')
    if arguments.threads < 0:
        raise ConfigurationError(f'--threads is {arguments.threads}; give 0 for several, or more.')
    is_whole = arguments.precision == 'auto' and not arguments.threads
    if is_whole:
        PlanCache(arguments.cache).check_writable()  # before the long work
    cv2.setNumThreads(1)  # as in the node

    def make(candidate: Candidate) -> InferenceBackend:
        return create_backend(
            candidate.backend,
            engine,
            threads=candidate.threads,
            precision=candidate.precision,
        ).backend

    share = others_share()
    rows = measure(
        candidates(engine, arguments.precision, arguments.threads),
        make,
        pictures,
        lambda neighbours: beside_load(arguments.cameras, IMAGE_HZ, neighbours),
        tell,
        effort,
    )
    if is_whole:
        key = tune_key(engine, arguments.cameras)
        remember(engine, key, rows, arguments.cache, max(share, others_share()))
    return rows


def main(words: Sequence[str] | None = None) -> int:
    """Measures for the node: tells JSON lines and ends with it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_arguments(parser)
    arguments = parser.parse_args(words)
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=_end_with_caller, daemon=True).start()
        limit = threading.Timer(LIMIT_S, _give_up)
        limit.daemon = True
        limit.start()
    try:
        engine = load_engine(arguments.engine, network_size=arguments.network_size)
        pictures = np.ascontiguousarray(seeded_pictures(engine.network_size_wh))
        tuned_rows(engine, arguments, pictures, _tell_step)
    except SegRosError as error:
        _tell({'failed': str(error)})
        return 1
    _tell({'plan': 'remembered'})
    return 0


def _tell_step(text: str, share: float) -> None:
    _tell({'phase': text, 'share': round(share, 2)})


def _tell(row: dict[str, object]) -> None:
    print(json.dumps(row), flush=True)


def _give_up() -> None:
    _tell(
        {'failed': f'it was not measured within {LIMIT_S:.0f} s. Run seg_ros tune, without haste'}
    )
    os._exit(1)


def _end_with_caller() -> None:
    """Ends this process when the pipe of the caller does; nothing half-measured is kept."""
    with suppress(OSError):
        while os.read(sys.stdin.fileno(), 1):
            pass
    os._exit(1)


if __name__ == '__main__':
    sys.exit(main())
