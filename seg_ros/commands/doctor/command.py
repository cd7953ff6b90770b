# SPDX-License-Identifier: Apache-2.0
"""``seg_ros doctor``: looks at all that the main job needs, and says what to fix."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence

from seg_ros.commands.doctor.check import CheckResult
from seg_ros.commands.doctor.machine import (
    backend_rows,
    cuda_rows,
    engine_rows,
    gpu_rows,
    library_rows,
    machine_rows,
    tensorrt_rows,
)
from seg_ros.commands.doctor.ros import discovery_rows, find_ros, ros_rows, shared_memory_rows
from seg_ros.commands.shared.patience import Patience

__all__ = ['add_arguments', 'main']

NARROWEST, WIDEST = 60, 120  # characters of the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument(
        '--json', action='store_true', help='print a list of {check, ok, value, fix} instead'
    )


def main(arguments: argparse.Namespace) -> int:
    """Prints what was found; returns 0 only if the main job can run."""
    with Patience(sys.stderr) as patience:
        rows = list(_look(patience.show))
    if arguments.json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
    else:
        print(_table(rows))
    return 0 if all(row.ok for row in rows) else 1


def _look(show: Callable[[str], object]) -> Iterator[CheckResult]:
    show('Looking at this machine')
    yield from machine_rows()
    yield from library_rows()
    show('Sending an image through ROS')
    finding = find_ros()
    yield from ros_rows(finding)
    yield from discovery_rows()
    yield from shared_memory_rows(finding)
    show('Looking at GPU and backends')
    yield from gpu_rows()
    yield from cuda_rows()
    yield from tensorrt_rows()
    yield from backend_rows()
    show('Running every engine')
    yield from engine_rows()


def _table(rows: Sequence[CheckResult]) -> str:
    """Returns one line per check, the fix below the line that needs it."""
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    check_width = max(len(row.check) for row in rows)
    indent = ' ' * (6 + check_width + 2)
    lines = []
    for row in rows:
        head = f'{row.mark:<6}{row.check:<{check_width}}  '
        lines += textwrap.wrap(
            row.value, width, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False
        )
        if row.fix:
            lines += textwrap.wrap(
                row.fix,
                width,
                initial_indent=f'{indent}-> ',
                subsequent_indent=f'{indent}   ',
                break_long_words=False,
                break_on_hyphens=False,
            )
    wrong = sum(not row.ok for row in rows)
    lines.append('')
    if wrong:
        lines.append(f'{wrong} of {len(rows)} checks must be fixed before the main job can run.')
    else:
        lines.append('The main job can run: seg_ros run, or seg_ros demo.')
    return '\n'.join(lines)
