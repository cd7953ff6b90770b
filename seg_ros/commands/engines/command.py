# SPDX-License-Identifier: Apache-2.0
"""``seg_ros engines``: lists engines, and the TensorRT plans in the cache, which it verifies."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from seg_ros.commands.engines.plan_rows import PlanRow, plan_row, this_machine
from seg_ros.core.errors import EngineError
from seg_ros.inference.engine import find_engines
from seg_ros.inference.spec import SPEC_FILE, origin_of, read_spec
from seg_ros.inference.tensorrt.plan_cache import CachedPlan, PlanCache

__all__ = ['add_arguments', 'main']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument('--cache', type=Path, metavar='DIR', help='folder of the plans')
    parser.add_argument(
        '--verify', action='store_true', help='read every plan and compare its checksum'
    )
    parser.add_argument(
        '--prune', action='store_true', help='remove what is damaged or asked for by nobody'
    )
    parser.add_argument('--json', action='store_true', help='print a list of rows as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Lists the plans; returns 1 if one of those left cannot be used."""
    cache = PlanCache(arguments.cache)
    machine = this_machine()

    def row_of(plan: CachedPlan) -> PlanRow:
        return plan_row(plan, machine, verify=arguments.verify)

    if arguments.prune:
        removed = cache.prune(lambda plan: row_of(plan).valid)
        if not arguments.json:
            for path in removed:
                print(f'removed {path}')
    plans = list(cache.plans())
    rows = [row_of(plan) for plan in plans]
    if arguments.json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
    elif not rows:
        print(
            f'There is no plan in {cache.folder}. The node builds them, or: seg_ros build-engine'
        )
    else:
        print(*map(_line, plans, rows), f'In {cache.folder}.', sep='\n')
    if not arguments.json:
        print(*_engine_lines(), sep='\n')
    return 0 if all(row.valid for row in rows) else 1


def _engine_lines() -> Iterator[str]:
    """Yields what each engine may be used for, and what it has seen."""
    for name, folder in find_engines().items():
        try:
            yield f'{name}: {origin_of(read_spec(folder / SPEC_FILE, required=()))}; {folder}'
        except EngineError as error:
            yield f'{name}: {error}'


def _line(plan: CachedPlan, row: PlanRow) -> str:
    size = f' {plan.key.network_size}' if plan.key else ''
    return (
        f'{"ok" if row.valid else "no":<4}{row.engine}{size} {row.precision}, {row.target}, '
        f'{row.flavour} {row.version}, {row.size_mb:.1f} MB, {row.build_s:.0f} s: '
        f'{row.why or "whole"}'
    )
