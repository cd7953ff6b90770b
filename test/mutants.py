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
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import NamedTuple, NoReturn

import pytest
import yaml

from test.paths import REPOSITORY

# What is changed: the decisions of the stop, and how what is stale is dropped and said
NOT_CHANGED = ('__init__', 'config')  # nothing but declarations, which tests of their own hold
TARGETS = [
    *sorted(
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / 'seg_ros/core/stop').glob('*.py')
        if path.stem not in NOT_CHANGED
    ),
    'seg_ros/ros/heartbeat_link.py',
    'seg_ros/ros/heartbeat_process.py',
    'seg_ros/ros/mailbox.py',
]
TESTS = (
    'test/core/stop',
    'test/test_decisions.py',
    'test/ros/test_heartbeat_link.py',
    'test/ros/test_mailbox.py',
)
OURS = ('seg_ros', 'test', '__main__', 'conftest')
# Plain asserts: pytest does not rewrite what the parent process has imported already
QUIETLY = ('-q', '--no-header', '--assert=plain', '-p', 'no:cov')
KEY = ('file', 'line', 'was', 'becomes')
JUSTIFIED = Path(__file__).with_name('mutants.yaml')
NOT_IN = ('main', '__all__')  # functions that only a whole graph runs
LEAST_S, PATIENCE = 60.0, 20.0  # a mutant that hangs is noticed, too
MEMORY = 4 << 30  # bytes; so is one that takes all
COMPARED = {
    ast.Lt: '<=', ast.LtE: '<', ast.Gt: '>=', ast.GtE: '>', ast.Eq: '!=', ast.NotEq: '==',
    ast.Is: 'is not', ast.IsNot: 'is', ast.In: 'not in', ast.NotIn: 'in',
}  # fmt: skip
CALCULATED = {ast.Add: '-', ast.Sub: '+', ast.Mult: '/', ast.Div: '*'}


class Mutant(NamedTuple):
    """A change of a file.

    Attributes:
        file: Below the repository.
        lines: Where, from 1 on: those of the text, then the first of its statement.
        begin: Of the changed text, in bytes from the beginning of the file.
        end: The same.
        was: The text.
        becomes: What stands there instead.
        line: The whole line, without the space around it.
    """

    file: str
    lines: tuple[int, ...]
    begin: int
    end: int
    was: str
    becomes: str
    line: str = ''

    @property
    def key(self) -> tuple[str, ...]:
        """What it is known by while lines move."""
        return self.file, self.line, self.was, self.becomes

    def __str__(self) -> str:
        return f'{self.file}:{self.lines[0]}: {self.was} -> {self.becomes}'


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """Yields every change that is made to a file."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    data = source.encode()
    rows = source.splitlines()

    def place_of(node: ast.AST) -> tuple[int, int]:
        begin = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return begin, end

    def text_of(node: ast.AST) -> str:
        begin, end = place_of(node)
        return data[begin:end].decode()

    for node, statement in _live(ast.parse(source), 1):
        becomes = _changed(node, text_of)
        if becomes:
            lines = range(node.lineno, node.end_lineno + 1)  # type: ignore[attr-defined]
            line = rows[node.lineno - 1].strip()  # type: ignore[attr-defined]
            yield Mutant(file, (*lines, statement), *place_of(node), text_of(node), becomes, line)


def _changed(node: ast.AST, text_of: Callable[[ast.AST], str]) -> str:
    """Returns what stands for a node in its mutant; empty where there is none."""
    match node:
        case ast.Compare(left, [operator], [right]):
            return f'{text_of(left)} {COMPARED[type(operator)]} {text_of(right)}'
        case ast.BoolOp(operator, values):
            word = ' or ' if isinstance(operator, ast.And) else ' and '
            return f'({word.join(f"({text_of(value)})" for value in values)})'
        case ast.UnaryOp(ast.Not(), operand):
            return f'({text_of(operand)})'
        case ast.BinOp(left, operator, right) if type(operator) in CALCULATED:
            return f'({text_of(left)} {CALCULATED[type(operator)]} ({text_of(right)}))'
        case ast.Constant(bool() as value):
            return str(not value)
        case ast.Constant(int() | float() as value):
            return f'({value!r} + 1)'
    return ''


def _live(tree: ast.AST, statement: int) -> Iterator[tuple[ast.AST, int]]:
    """Yields what does something, with the first line of its statement.

    No texts, no raise, no annotations, no declarations.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.JoinedStr, ast.Raise, ast.AnnAssign, ast.arguments)):
            continue
        if getattr(node, 'name', '') in NOT_IN or _is_declaration(node):
            continue
        line = node.lineno if isinstance(node, ast.stmt) else statement
        yield node, line
        yield from _live(node, line)


def _is_declaration(node: ast.AST) -> bool:
    """Whether a statement gives a name to a type, a table of kinds or what is exported."""
    if not isinstance(node, ast.Assign):
        return False
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return '__all__' in names or isinstance(node.value, (ast.Subscript, ast.Tuple))


def survivors(
    chosen: Sequence[Mutant],
    known: Known,
    workers: int,
    say: Callable[[str], None] = print,
    log: str = os.devnull,
) -> list[Mutant]:
    """Returns the mutants that no test noticed.

    Args:
        chosen: The mutants.
        known: Which tests run what.
        workers: Processes at a time.
        say: Takes a line for each.
        log: Takes what the tests print.
    """
    waiting = list(reversed(chosen))
    running: dict[int, tuple[Mutant, float]] = {}
    left: list[Mutant] = []
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            tests = known.tests_of(mutant)
            if not tests:
                left.append(mutant)
                say(f'SURVIVES  {mutant} (no test runs it)')
                continue
            limit_s = LEAST_S + PATIENCE * sum(known.seconds[name] for name in tests)
            number = os.fork()
            if number == 0:
                _judge(mutant, tests, limit_s, log)
            running[number] = mutant, time.monotonic() + limit_s
        time.sleep(0.02)
        for number, (mutant, end_s) in list(running.items()):
            if time.monotonic() > end_s:  # it hangs, which a test would notice by never ending
                os.kill(number, signal.SIGKILL)
            done, status = os.waitpid(number, os.WNOHANG)
            if done:
                del running[number]
                if status == 0:
                    left.append(mutant)
                say(f'{"SURVIVES" if status == 0 else "noticed "}  {mutant}')
    return left


def _judge(mutant: Mutant, tests: Sequence[str], limit_s: float, log: str) -> NoReturn:
    """Runs the tests with a mutant in this process, and ends it: with 0 if all pass."""
    printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(printed, number)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s) + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, MutantFinder(mutant))
    files = sorted({name.partition('::')[0] for name in tests})
    os._exit(int(pytest.main(['-x', *QUIETLY, *files], plugins=[OnlyThese(tests)])))


class MutantFinder(MetaPathFinder):
    """Lets Python import a mutant instead of what is in the file."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = mutant.file.removesuffix('.py').replace('/', '.')
        self._loader = MutantLoader(self._name, str(REPOSITORY / mutant.file))
        self._loader.mutant = mutant

    def find_spec(self, name: str, *_where: object) -> ModuleSpec | None:
        if name != self._name:
            return None
        return spec_from_file_location(name, self._loader.path, loader=self._loader)


class MutantLoader(SourceFileLoader):
    """Compiles a mutant."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        mutant, data = self.mutant, Path(self.path).read_bytes()
        changed = data[: mutant.begin] + mutant.becomes.encode() + data[mutant.end :]
        return compile(changed, self.path, 'exec', dont_inherit=True)


class OnlyThese:
    """Runs some tests out of those of a file, in the order in which they are given."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {name: index for index, name in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order),
            key=lambda item: self._order[item.nodeid],
        )


class Known(NamedTuple):
    """What a run of all tests without a mutant shows.

    Attributes:
        seconds: Of each test.
        tests: Which of them run a line, by file and line; ``''`` is when it is imported.
        modules: Everything else that they import.
    """

    seconds: Mapping[str, float]
    tests: Mapping[str, Mapping[int, Sequence[str]]]
    modules: Sequence[str]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Returns the tests that run it, the quickest first."""
        lines = self.tests.get(mutant.file, {})
        found = {name for line in mutant.lines for name in lines.get(line, ())}
        if not found or '' in found:  # at import: whoever uses the file
            found = {name for row in lines.values() for name in row} if found else set()
        return sorted(found - {''}, key=lambda name: self.seconds[name])


def known_of_all_tests() -> Known:
    """Runs all tests in a process of its own, so that this one has imported nothing of ours.

    Raises:
        SystemExit: One of them fails.
    """
    reading, writing = os.pipe()
    number = os.fork()
    if number == 0:
        os.close(reading)
        with os.fdopen(writing, 'w') as answer:
            watch = Watch()
            code = int(pytest.main([*QUIETLY, *TESTS], plugins=[watch]))
            json.dump({} if code else watch.known()._asdict(), answer)
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as answer:
        found = json.load(answer)
    os.waitpid(number, 0)
    if not found:
        sys.exit('The tests fail without a mutant. Mend them first: make test')
    lines = {
        file: {int(line): names for line, names in rows.items()}
        for file, rows in found['tests'].items()
    }
    return Known(found['seconds'], lines, found['modules'])


class Watch:
    """Notes which test runs which line of the targets, and how long it takes."""

    def __init__(self) -> None:
        from coverage import Coverage

        files = [str(REPOSITORY / file) for file in TARGETS]
        self._coverage = Coverage(data_file=None, include=files, config_file=False)
        self._seconds: dict[str, float] = {}
        self._coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        begun_s = time.perf_counter()
        yield
        self._seconds[item.nodeid] = round(time.perf_counter() - begun_s, 4)
        self._coverage.switch_context('')

    def known(self) -> Known:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {file: data.contexts_by_lineno(str(REPOSITORY / file)) for file in TARGETS}
        others = [name for name in sys.modules if name.split('.')[0] not in OURS]
        return Known(self._seconds, lines, others)


def justified() -> dict[tuple[str, ...], str]:
    """Returns why a mutant may survive, by its file, its line, what it was and what it becomes."""
    rows = yaml.safe_load(JUSTIFIED.read_text(encoding='utf-8'))
    return {tuple(row[name] for name in KEY): row['why'] for row in rows}


def main() -> int:
    """Returns 1 when a mutant survives that is not justified, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--count', type=int, default=300, help='how many (300)')
    parser.add_argument('--seed', type=int, default=1, help='of the choice (1)')
    parser.add_argument('--only', default='', help='files with this in their names')
    parser.add_argument('--workers', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('-o', '--output', type=Path, default=Path('out/mutants.json'))
    arguments = parser.parse_args()
    os.chdir(REPOSITORY)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    every = all_mutants()
    reasons = justified()
    if strange := reasons.keys() - {row.key for row in every}:
        sys.exit(f'{JUSTIFIED} has what the code has no more: {sorted(strange)}. Remove it.')
    possible = [row for row in every if arguments.only in row.file]
    chosen = random.Random(arguments.seed).sample(possible, min(arguments.count, len(possible)))
    begun_s = time.monotonic()
    known = known_of_all_tests()
    for name in known.modules:  # once, instead of once a mutant
        with suppress(Exception):
            import_module(name)
    rows = {line: names for line, names in known.tests[TARGETS[0]].items() if '' not in names}
    seldom = min(rows, key=lambda line: len(rows[line]))  # so that it takes no minute
    control = Mutant(TARGETS[0], (seldom,), 0, 0, '', '')
    log = arguments.output.with_suffix('.log')
    if not survivors([control], known, 1, say=str, log=str(log)):
        sys.exit(f'The tests fail beside a mutant that changes nothing: {log}')
    left = survivors(chosen, known, arguments.workers)
    unjustified = [row for row in left if row.key not in reasons]
    figures = {
        'possible': len(possible),
        'tried': len(chosen),
        'survivors': len(left),
        'justified': [str(row) for row in left if row.key in reasons],
        'unjustified': [str(row) for row in unjustified],
        'minutes': round((time.monotonic() - begun_s) / 60.0, 1),
    }
    arguments.output.write_text(json.dumps(figures, indent=1) + '\n')
    print(
        f'{len(chosen)} of {len(possible)} mutants in {figures["minutes"]} minutes, {len(left)} '
        f'survive, {len(unjustified)} of them are not justified: {arguments.output}'
    )
    return 1 if unjustified else 0


def all_mutants() -> list[Mutant]:
    """Returns every mutant of every target."""
    return [
        mutant
        for file in TARGETS
        for mutant in mutants_of(file, (REPOSITORY / file).read_text(encoding='utf-8'))
    ]


if __name__ == '__main__':
    sys.exit(main())
