# SPDX-License-Identifier: Apache-2.0
"""``seg_ros evaluate --task …``: one row a task, each with options of its own."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ['TASKS', 'main']


class Task(NamedTuple):
    """Where a task lives and what it measures."""

    module: str
    summary: str


TASKS = {
    'segmentation': Task(
        'seg_ros.commands.evaluate.segmentation', 'labels of an engine against a labelled data set'
    ),
    'stop': Task('seg_ros.commands.evaluate.stop.task', 'the pedestrian stop on synthetic drives'),
    'lane': Task('seg_ros.commands.evaluate.lane.task', 'the lane track on synthetic drives'),
    'sight': Task(
        'seg_ros.commands.evaluate.sight.task',
        'whether blind pictures are refused and clean ones are not',
    ),
    'navigation': Task(
        'seg_ros.commands.evaluate.navigation', 'where obstacles are placed on synthetic drives'
    ),
}


def main(argv: Sequence[str]) -> int:
    """Measures a task; returns the exit code."""
    rows = '\n'.join(f'  {name:14}{task.summary}' for name, task in TASKS.items())
    parser = argparse.ArgumentParser(
        prog='seg_ros evaluate',
        description=f'Measures a part of seg_ros:\n\n{rows}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument('--task', choices=TASKS, default='segmentation')
    chosen, _ = parser.parse_known_args(argv)
    module = importlib.import_module(TASKS[chosen.task].module)
    parser.add_argument('-h', '--help', action='help', help='show this help and end')
    module.add_arguments(parser)
    return int(module.main(parser.parse_args(argv)))
