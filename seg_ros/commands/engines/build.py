"""``seg_ros build-engine``: makes the TensorRT plan of an engine and puts it into the cache.

    seg_ros build-engine roadsynth                          fp16, for the GPU of this machine
    seg_ros build-engine roadsynth --for sm_86,sm_89        TensorRT for RTX, without any GPU

The node does the same by itself, in the background, when it finds no plan; this command does it
before the first start. On a machine with the GPU the plan is compared with ONNX Runtime, and is
not kept if it disagrees.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import stat
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from seg_ros.commands.engines.plan_rows import Machine, PlanRow, plan_row
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.inference.engine import load_engine
from seg_ros.inference.tensorrt.backend import plan_precision
from seg_ros.inference.tensorrt.plan_build import PLAN_PRECISIONS, BuildOptions, BuildStep
from seg_ros.inference.tensorrt.plan_cache import CachedPlan, EngineCache
from seg_ros.inference.tensorrt.plan_maker import make_plan, workshop

__all__ = ['add_arguments', 'main', 'targets_of']

THIS = 'THIS'
ARCHITECTURE = re.compile(r'sm_\d{2,3}')
NICENESS = 10  # inference on the CPU goes first while a plan is built behind it
BAR_WIDTH = 30
MOST_KINDS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
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
    parser.add_argument('--json', action='store_true', help='print one row as JSON')
    parser.add_argument(
        '--json-progress', action='store_true', help='print JSON lines, for programs that wait'
    )


def main(arguments: argparse.Namespace) -> int:
    """Builds the plan; returns 0 if it can be used."""
    if arguments.json_progress:
        return _for_programs(arguments)
    with Progress(sys.stderr) as progress:
        plan = _made(arguments, lambda step: _show(progress, step))
    row = plan_row(plan, Machine(None, None))
    print(json.dumps(row._asdict()) if arguments.json else _report(plan, row))
    return 0


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


def _made(arguments: argparse.Namespace, progress: Callable[[BuildStep], bool]) -> CachedPlan:
    options = BuildOptions(
        plan_precision(arguments.precision), arguments.max_batch, targets_of(arguments.targets)
    )
    engine = load_engine(arguments.engine, network_size=arguments.network_size)
    cache = EngineCache(arguments.cache)
    return make_plan(workshop(), engine, options, cache, progress=progress, force=arguments.force)


def _show(progress: Progress, step: BuildStep) -> bool:
    filled = round(step.share * BAR_WIDTH)
    bar = '#' * filled + '.' * (BAR_WIDTH - filled)
    progress.show(f'[{bar}] {step.share:4.0%}  {step.phase[:40]}')
    return True


def _report(plan: CachedPlan, row: PlanRow) -> str:
    notes = plan.notes
    kinds = list(notes.get('layers_by_kind', {}).items())
    types = notes.get('layers_by_type', {})
    rest = len(kinds) - MOST_KINDS
    engine_layers: Sequence[str] = notes.get('layers_of_engine', ())
    return '\n'.join(
        [
            f'{plan.path}: {row.size_mb:.1f} MB, built in {row.build_s:.1f} s',
            f'  for      {row.target}, {row.precision}, {row.flavour} {row.version}',
            f'  network  {notes.get("layers", 0)} layers: '
            + ', '.join(f'{count} {kind}' for kind, count in kinds[:MOST_KINDS])
            + (f', {rest} other kinds' if rest > 0 else ''),
            '  types    ' + ', '.join(f'{count} {element}' for element, count in types.items()),
            f'  engine   {len(engine_layers) or "an unknown number of"} layers after fusion',
            f'  check    {row.why}',
        ]
    )


def _for_programs(arguments: argparse.Namespace) -> int:
    """Builds with low priority, tells JSON lines, and ends when the caller does."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=_end_with_caller, daemon=True).start()
    try:
        plan = _made(arguments, _tell_step)
    except SegRosError as error:
        _tell({'failed': str(error)})
        return 1
    _tell({'plan': str(plan.path), 'row': plan_row(plan, Machine(None, None))._asdict()})
    return 0


def _tell_step(step: BuildStep) -> bool:
    _tell({'phase': step.phase, 'share': round(step.share, 4)})
    return True


def _tell(row: dict[str, object]) -> None:
    print(json.dumps(row), flush=True)


def _end_with_caller() -> None:
    """Ends this process when the pipe of the caller does; the lock goes with it."""
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: a buffer's lock outlives its thread
        pass
    os._exit(1)
