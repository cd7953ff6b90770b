# SPDX-License-Identifier: Apache-2.0
"""``seg_ros build-engine``: makes the TensorRT plan of an engine and puts it into the cache.

    seg_ros build-engine roadsynth                          fp16, for the GPU of this machine
    seg_ros build-engine roadsynth --for sm_86,sm_89        TensorRT for RTX, without any GPU

The node does the same by itself, in the background, when it finds no plan (see
``inference.tensorrt.build_process``); this command does it before the first start. On a machine
with the GPU the plan is compared with ONNX Runtime, and is not kept if it disagrees.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from seg_ros.commands.engines.plan_rows import Machine, PlanRow, plan_row
from seg_ros.commands.shared.progress import Progress
from seg_ros.inference.tensorrt import build_process
from seg_ros.inference.tensorrt.plan_build import BuildStep
from seg_ros.inference.tensorrt.plan_cache import CachedPlan

__all__ = ['add_arguments', 'main']

BAR_WIDTH = 30  # characters: with phase and share on a line of 80
MOST_KINDS = 8  # of layers that a line has room for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    build_process.add_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print one row as JSON')
    parser.add_argument(
        '--json-progress', action='store_true', help='print JSON lines, for programs that wait'
    )


def main(arguments: argparse.Namespace) -> int:
    """Builds the plan; returns 0 if it can be used."""
    if arguments.json_progress:
        return build_process.build_for_caller(
            arguments, lambda plan: {'row': _row_of(plan)._asdict()}
        )
    with Progress(sys.stderr) as progress:
        plan = build_process.plan_of(arguments, lambda step: _show(progress, step))
    row = _row_of(plan)
    print(json.dumps(row._asdict()) if arguments.json else _report(plan, row))
    return 0


def _row_of(plan: CachedPlan) -> PlanRow:
    return plan_row(plan, Machine(None, None))


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
