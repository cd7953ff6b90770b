# SPDX-License-Identifier: Apache-2.0
"""The process that builds a plan behind the node: tells JSON lines, and ends with its caller.

    python -m seg_ros.inference.tensorrt.build_process ENGINE --cache DIR

``background_build`` starts it. ``seg_ros build-engine``, for people, takes the same arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import stat
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.inference.engine import load_engine
from seg_ros.inference.tensorrt.backend import plan_precision
from seg_ros.inference.tensorrt.plan_build import PLAN_PRECISIONS, BuildOptions, BuildStep
from seg_ros.inference.tensorrt.plan_cache import CachedPlan, PlanCache
from seg_ros.inference.tensorrt.plan_maker import build_stack, make_plan

__all__ = ['add_arguments', 'build_for_caller', 'main', 'plan_of', 'targets_of']

THIS = 'THIS'
ARCHITECTURE = re.compile(r'sm_\d{2,3}')
NICENESS = 10  # of 19: inference on the CPU goes first while a plan is built behind it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares which plan is built, and where to."""
    parser.add_argument('engine', metavar='ENGINE', help='name of an engine, or its folder')
    parser.add_argument(
        '--precision', choices=('auto', *PLAN_PRECISIONS), default='auto', help='auto is fp16'
    )
    parser.add_argument(
        '--network-size',
        default='',
        metavar='WxH',
        help="another size than the engine's own, as the node's parameter network_size",
    )
    parser.add_argument(
        '--max-batch', type=int, default=1, metavar='N', help='images that run together at most'
    )
    parser.add_argument(
        '--for',
        dest='targets',
        default=THIS,
        metavar='GPU',
        help='THIS, or for TensorRT for RTX architectures such as sm_86,sm_89',
    )
    parser.add_argument('--cache', type=Path, metavar='DIR', help='folder of the plans')
    parser.add_argument('--force', action='store_true', help='build even if it is there')


def targets_of(text: str) -> tuple[str, ...]:
    """Returns the architectures that ``--for`` names; none for this machine's GPU.

    Raises:
        ConfigurationError: A word that is no architecture.
    """
    if text.upper() == THIS:
        return ()
    words = [word.strip() for word in text.split(',')]
    if wrong := [word for word in words if not ARCHITECTURE.fullmatch(word)]:
        raise ConfigurationError(
            f'--for has {wrong[0]!r}; it takes THIS, or architectures such as sm_86,sm_89.'
        )
    return tuple(dict.fromkeys(words))


def plan_of(arguments: argparse.Namespace, progress: Callable[[BuildStep], bool]) -> CachedPlan:
    """Returns the plan that the arguments ask for, built where it is not in the cache.

    Raises:
        SegRosError: See ``make_plan`` and ``load_engine``.
    """
    options = BuildOptions(
        plan_precision(arguments.precision), arguments.max_batch, targets_of(arguments.targets)
    )
    engine = load_engine(arguments.engine, network_size=arguments.network_size)
    cache = PlanCache(arguments.cache)
    return make_plan(
        build_stack(), engine, options, cache, progress=progress, force=arguments.force
    )


def build_for_caller(
    arguments: argparse.Namespace,
    about: Callable[[CachedPlan], Mapping[str, Any]] = lambda _: {},
) -> int:
    """Builds with low priority, tells JSON lines, and ends when the caller does.

    Args:
        arguments: Of ``add_arguments``.
        about: What the last line says of the plan beside its path.

    Returns:
        0 where the plan can be used, 1 where the last line says why not.
    """
    with suppress(OSError):
        os.nice(NICENESS)
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=_end_with_caller, daemon=True).start()
    try:
        plan = plan_of(arguments, _tell_step)
    except SegRosError as error:
        _tell({'failed': str(error)})
        return 1
    _tell({'plan': str(plan.path), **about(plan)})
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Builds the plan that the words ask for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_arguments(parser)
    return build_for_caller(parser.parse_args(words))


def _tell_step(step: BuildStep) -> bool:
    _tell({'phase': step.phase, 'share': round(step.share, 4)})
    return True


def _tell(row: Mapping[str, Any]) -> None:
    print(json.dumps(row), flush=True)


def _end_with_caller() -> None:
    """Ends this process when the pipe of the caller does; the lock goes with it."""
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: a buffer's lock outlives its thread
        pass
    os._exit(1)


if __name__ == '__main__':
    sys.exit(main())
