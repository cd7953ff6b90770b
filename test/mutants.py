# SPDX-License-Identifier: Apache-2.0
"""Changes the code of the stop in small ways, one at a time: do the tests notice?

    make mutants                                # 300 of them, on demand: half an hour on two cores
    python -m test.mutants --count 20 --seed 7 --only frame_age

A mutant that no test notices is a line that could be wrong for a year. What is only said
(messages, log texts, docstrings) and what is only declared (options, types) is left alone.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from test.paths import REPOSITORY

# What is changed, and the tests that must notice, the quickest first
STOP_TESTS = ('test/core/stop', 'test/test_decisions.py')
TARGETS = {
    **{
        f'seg_ros/core/stop/{name}.py': (f'test/core/stop/test_{tests}.py', *STOP_TESTS)
        for name, tests in {
            'approach': 'approach',
            'decision': 'decision',
            'domain': 'picture_sight',
            'evidence': 'evidence',
            'frame_age': 'frame_age',
            'odometry': 'odometry',
            'pedestrian_stop': 'pedestrian_stop',
            'people': 'people',
            'picture_monitor': 'picture_monitor',
            'picture_sight': 'picture_sight',
            'picture_statistics': 'picture_sight',
            'sight': 'sight',
            'tracking': 'tracking',
            'vehicle_stop': 'decision',
            'zones': 'zones',
        }.items()
    },
    'seg_ros/ros/heartbeat_link.py': ('test/ros/test_heartbeat_link.py',),
    'seg_ros/ros/heartbeat_process.py': ('test/ros/test_heartbeat_link.py',),
    'seg_ros/ros/mailbox.py': ('test/ros/test_mailbox.py',),
}
NOT_IN = ('main', '__all__')  # functions that only a whole graph runs
TIMEOUT_S = 600.0  # a mutant that hangs is noticed, too
COMPARED = {
    ast.Lt: '<=', ast.LtE: '<', ast.Gt: '>=', ast.GtE: '>', ast.Eq: '!=', ast.NotEq: '==',
    ast.Is: 'is not', ast.IsNot: 'is', ast.In: 'not in', ast.NotIn: 'in',
}  # fmt: skip
CALCULATED = {ast.Add: '-', ast.Sub: '+', ast.Mult: '/', ast.Div: '*'}


class Mutant(NamedTuple):
    """A change of a file.

    Attributes:
        file: Below the repository.
        line: Where, from 1 on.
        begin: Of the changed text, in characters from the beginning of the file.
        end: The same.
        was: The text.
        becomes: What stands there instead.
    """

    file: str
    line: int
    begin: int
    end: int
    was: str
    becomes: str

    def __str__(self) -> str:
        return f'{self.file}:{self.line}: {self.was} -> {self.becomes}'


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """Yields every change that is made to a file."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    data = source.encode()

    def change(begin: ast.AST, end: ast.AST, text: str) -> Mutant:
        a = starts[begin.lineno - 1] + begin.col_offset  # type: ignore[attr-defined]
        b = starts[end.end_lineno - 1] + end.end_col_offset  # type: ignore[attr-defined]
        return Mutant(file, begin.lineno, a, b, data[a:b].decode(), text)  # type: ignore[attr-defined]

    def text_of(node: ast.AST) -> str:
        return change(node, node, '').was

    for node in _live(ast.parse(source)):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            operator = COMPARED[type(node.ops[0])]
            right = node.comparators[0]
            yield change(node, node, f'{text_of(node.left)} {operator} {text_of(right)}')
        elif isinstance(node, ast.BoolOp):
            word = ' or ' if isinstance(node.op, ast.And) else ' and '
            yield change(node, node, f'({word.join(f"({text_of(v)})" for v in node.values)})')
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield change(node, node, f'({text_of(node.operand)})')
        elif isinstance(node, ast.BinOp) and type(node.op) in CALCULATED:
            operator = CALCULATED[type(node.op)]
            yield change(node, node, f'({text_of(node.left)} {operator} ({text_of(node.right)}))')
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield change(node, node, str(not node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            yield change(node, node, f'({node.value!r} + 1)')


def _live(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields what does something: no texts, no raise, no annotations, no declarations."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.JoinedStr, ast.Raise, ast.AnnAssign, ast.arguments)):
            continue
        if getattr(node, 'name', '') in NOT_IN or _is_declaration(node):
            continue
        yield node
        yield from _live(node)


def _is_declaration(node: ast.AST) -> bool:
    """Whether a statement gives a name to a type, a table of kinds or what is exported."""
    if not isinstance(node, ast.Assign):
        return False
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return '__all__' in names or isinstance(node.value, (ast.Subscript, ast.Tuple))


def is_noticed(mutant: Mutant, folder: Path) -> bool:
    """Returns whether a test fails with it.

    Args:
        mutant: The change.
        folder: A copy of the repository that nobody else uses now; it is as it was afterwards.
    """
    file = folder / mutant.file
    data = file.read_bytes()
    file.write_bytes(data[: mutant.begin] + mutant.becomes.encode() + data[mutant.end :])
    words = [sys.executable, '-B', '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider']
    try:
        for tests in TARGETS[mutant.file]:
            try:
                result = subprocess.run(
                    [*words, tests],
                    cwd=folder,
                    env={**os.environ, 'PYTHONPATH': str(folder)},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=TIMEOUT_S,
                )
            except subprocess.TimeoutExpired:
                return True
            if result.returncode != 0:
                return True
        return False
    finally:
        file.write_bytes(data)


def survivors(chosen: Sequence[Mutant], workers: int) -> list[Mutant]:
    """Returns the mutants that no test noticed."""
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(workers) as pool:
        folders: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            for name in ('seg_ros', 'test', 'engines', 'config', 'docs', 'pyproject.toml'):
                source = REPOSITORY / name
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, folder / name)
            folders.put(folder)

        def judge(mutant: Mutant) -> bool:
            folder = folders.get()
            try:
                noticed = is_noticed(mutant, folder)
            finally:
                folders.put(folder)
            print(f'{"noticed" if noticed else "SURVIVES"}  {mutant}', flush=True)
            return noticed

        verdicts = list(pool.map(judge, chosen))
    return [row for row, noticed in zip(chosen, verdicts, strict=True) if not noticed]


def main() -> int:
    """Returns 1 when more than 5 % survive, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--count', type=int, default=300, help='how many (300)')
    parser.add_argument('--seed', type=int, default=1, help='of the choice (1)')
    parser.add_argument('--only', default='', help='files with this in their names')
    parser.add_argument('--workers', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('-o', '--output', type=Path, default=Path('out/mutants.json'))
    arguments = parser.parse_args()
    every = [
        mutant
        for file in TARGETS
        if arguments.only in file
        for mutant in mutants_of(file, (REPOSITORY / file).read_text(encoding='utf-8'))
    ]
    count = min(arguments.count, len(every))
    chosen = random.Random(arguments.seed).sample(every, count)
    begun_s = time.monotonic()
    left = survivors(chosen, arguments.workers)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        'possible': len(every),
        'tried': count,
        'survivors': [str(row) for row in left],
        'minutes': round((time.monotonic() - begun_s) / 60.0, 1),
    }
    arguments.output.write_text(json.dumps(figures, indent=1) + '\n')
    print(f'{count} of {len(every)} mutants, {len(left)} survive: {arguments.output}')
    return 1 if len(left) > 0.05 * count else 0


if __name__ == '__main__':
    sys.exit(main())
