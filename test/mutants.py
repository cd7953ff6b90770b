# SPDX-License-Identifier: Apache-2.0
"""Changes the code of the stop in small ways, one at a time: do the tests notice?

    make mutants                                # 300 of them, on demand: some minutes
    python -m test.mutants --count 20 --seed 7 --only frame_age
    python -m test.mutants --again              # those that survived the last run

A mutant that no test notices is a line that could be wrong for a year. What is only said
(messages, log texts, docstrings) and what is only declared (options, types) is left alone.
"""

from __future__ import annotations

import argparse
import ast
import gc
import json
import os
import random
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType
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
KEY = ('file', 'function', 'line', 'was', 'becomes')
JUSTIFIED = Path(__file__).with_name('mutants.yaml')
NOT_IN = ('main', '__all__')  # functions that only a whole graph runs
MOST_S = 8.0  # of tests a mutant: whoever only longer ones would notice counts as unnoticed
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
        function: In which it is, as ``Class.name``; empty where it is run at import.
        first: Line with which that begins.
    """

    file: str
    lines: tuple[int, ...]
    begin: int
    end: int
    was: str
    becomes: str
    line: str = ''
    function: str = ''
    first: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        """What it is known by while lines move."""
        return tuple(getattr(self, name) for name in KEY)

    def compiled(self) -> CodeType:
        """Returns its file, with it."""
        path = REPOSITORY / self.file
        data = path.read_bytes()
        changed = data[: self.begin] + self.becomes.encode() + data[self.end :]
        return compile(changed, str(path), 'exec', dont_inherit=True)

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

    for node, statement, function, first in _live(ast.parse(source)):
        becomes = _changed(node, text_of)
        if becomes:
            lines = range(node.lineno, node.end_lineno + 1)  # type: ignore[attr-defined]
            line = rows[node.lineno - 1].strip()  # type: ignore[attr-defined]
            place, was = place_of(node), text_of(node)
            yield Mutant(file, (*lines, statement), *place, was, becomes, line, function, first)


def _changed(node: ast.AST, text_of: Callable[[ast.AST], str]) -> str:
    """Returns what stands for a node in its mutant; empty where there is none."""
    match node:
        case ast.Compare(left, [operator], [right]):
            left_text = _closed(left, text_of(left))
            return f'{left_text} {COMPARED[type(operator)]} {_closed(right, text_of(right))}'
        case ast.BoolOp(operator, values):
            word = ' or ' if isinstance(operator, ast.And) else ' and '
            return f'({word.join(f"({text_of(value)})" for value in values)})'
        case ast.UnaryOp(ast.Not(), operand):
            return f'({text_of(operand)})'
        case ast.BinOp(left, operator, right) if type(operator) in CALCULATED:
            left_text = _closed(left, text_of(left))
            return f'({left_text} {CALCULATED[type(operator)]} ({text_of(right)}))'
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
            return f'(-{value!r} + 1)'
        case ast.Constant(bool() as value):
            return str(not value)
        case ast.Constant(int() | float() as value):
            return f'({value!r} + 1)'
    return ''


def _closed(node: ast.AST, text: str) -> str:
    """Returns an operand as it is, whatever stands beside it."""
    is_open = isinstance(node, (ast.BinOp, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.IfExp))
    return f'({text})' if is_open else text


def _live(
    tree: ast.AST, statement: int = 1, name: str = '', function: str = '', first: int = 0
) -> Iterator[tuple[ast.AST, int, str, int]]:
    """Yields what does something, with the first line of its statement, and its function.

    No texts, no raise, no annotations, no declarations.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.JoinedStr, ast.Raise, ast.AnnAssign, ast.arguments)):
            continue
        if getattr(node, 'name', '') in NOT_IN or _is_declaration(node):
            continue
        if node in getattr(tree, 'decorator_list', ()):
            continue
        if isinstance(node, ast.keyword) and node.arg == 'strict':  # an assertion
            continue
        line = node.lineno if isinstance(node, ast.stmt) else statement
        within = name, function, first
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not function:
            within = f'{name}.{node.name}'.strip('.'), '', 0
            if isinstance(node, ast.FunctionDef):
                begin = min([node.lineno, *(row.lineno for row in node.decorator_list)])
                within = within[0], within[0], begin
        yield node, line, *within[1:]
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
            continue  # -2 and -1 are the same to many a function
        yield from _live(node, line, *within)


def _is_declaration(node: ast.AST) -> bool:
    """Whether a statement gives a name to a type, a table of kinds or what is exported."""
    if not isinstance(node, ast.Assign):
        return False
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return '__all__' in names or isinstance(node.value, (ast.Subscript, ast.Tuple))


Judge = Callable[[Mutant, Sequence[str]], int]
"""Runs tests with a mutant in this process, a child; returns 0 if all pass."""


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
    at_import = [row for row in chosen if known.is_only_imported(row)]
    left = _left_of(at_import, known, workers, say, log, judged_anew)
    in_functions = [row for row in chosen if row not in at_import]
    if in_functions:
        place = InPlace(lambda judge: _left_of(in_functions, known, workers, say, log, judge))
        tests = {name for row in in_functions for name in known.tests_of(row)}
        files = sorted({name.partition('::')[0] for name in tests})
        pytest.main([*QUIETLY, '-s', *files], plugins=[place])
        if place.left is None:
            sys.exit('The tests cannot be collected. Mend them first: make test')
        left += place.left
    return left


def _left_of(
    chosen: Sequence[Mutant],
    known: Known,
    workers: int,
    say: Callable[[str], None],
    log: str,
    judge: Judge,
) -> list[Mutant]:
    """Lets a child judge each mutant, and returns those that are not noticed.

    Raises:
        SystemExit: The tests notice what is no change.
    """
    tests = {row: known.tests_of(row) for row in chosen}
    tried = [row for row in chosen if tests[row]]
    left = [row for row in chosen if not tests[row]]
    for mutant in left:
        say(f'SURVIVES  {mutant} (no test runs it)')
    if not tried:
        return left
    seconds = {row: sum(known.seconds[name] for name in tests[row]) for row in tried}
    quickest = min(tried, key=lambda row: seconds[row])
    control = quickest._replace(becomes=quickest.was)
    # All of them, so that none is noticed by a test that fails anyway
    tests[control] = sorted({name for row in tried for name in tests[row]})
    seconds[control] = sum(known.seconds[name] for name in tests[control])
    waiting = [*reversed(tried), control]
    running: dict[int, tuple[Mutant, float]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            limit_s = LEAST_S + PATIENCE * seconds[mutant]
            number = os.fork()
            if number == 0:
                _end_with(judge, mutant, tests[mutant], limit_s, log)
            running[number] = mutant, time.monotonic() + limit_s
        time.sleep(0.02)
        for number, (mutant, end_s) in list(running.items()):
            if time.monotonic() > end_s:  # it hangs, which a test would notice by never ending
                os.kill(number, signal.SIGKILL)
            done, status = os.waitpid(number, os.WNOHANG)
            if done:
                del running[number]
                if mutant is control:
                    if status != 0:
                        sys.exit(f'The tests fail beside a mutant that changes nothing: {log}')
                    continue
                if status == 0:
                    left.append(mutant)
                say(f'{"SURVIVES" if status == 0 else "noticed "}  {mutant}')
    return left


def _end_with(
    judge: Judge, mutant: Mutant, tests: Sequence[str], limit_s: float, log: str
) -> NoReturn:
    """Ends this process with what its judge says."""
    printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(printed, number)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s) + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    code = 1
    try:
        code = judge(mutant, tests)
    finally:
        os._exit(code)


def judged_anew(mutant: Mutant, tests: Sequence[str]) -> int:
    """Imports everything anew, with the mutant of what runs at import."""
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, MutantFinder(mutant))
    files = sorted({name.partition('::')[0] for name in tests})
    return int(pytest.main(['-x', *QUIETLY, *files], plugins=[OnlyThese(tests)]))


class InPlace:
    """Puts the mutant of a function in its place: what is imported is so once for all of them.

    Args:
        loop: Judges all mutants, given what judges one.
    """

    def __init__(self, loop: Callable[[Judge], list[Mutant]]) -> None:
        self.left: list[Mutant] | None = None
        self._loop = loop

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        self._functions = defaultdict(list)
        for thing in gc.get_objects():
            if type(thing) is FunctionType:
                code = thing.__code__
                at = code.co_filename, code.co_name, code.co_firstlineno
                self._functions[at].append(thing)
        gc.freeze()  # so that children copy less
        self.left = self._loop(self._judged)
        return True

    def _judged(self, mutant: Mutant, tests: Sequence[str]) -> int:
        path, name = str(REPOSITORY / mutant.file), mutant.function.rpartition('.')[2]
        code = _code_in(mutant.compiled(), name, mutant.first)
        functions = self._functions[path, name, mutant.first]
        if code is None or not functions:
            return 0  # said to survive rather than to be noticed
        for function in functions:
            function.__code__ = code
        items = [self._items[test] for test in tests]
        for item, after in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if item.session.testsfailed:
                return 1
        return 0


def _code_in(code: CodeType, name: str, first: int) -> CodeType | None:
    """Finds the code of a function in that of its file."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if (inner.co_name, inner.co_firstlineno) == (name, first):
                return inner
            if found := _code_in(inner, name, first):
                return found
    return None


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
        return self.mutant.compiled()


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
        seconds: Of the processor, of each test.
        tests: Which of them run a line, by file and line; ``''`` is when it is imported.
        modules: Everything else that they import.
    """

    seconds: Mapping[str, float]
    tests: Mapping[str, Mapping[int, Sequence[str]]]
    modules: Sequence[str]

    def is_only_imported(self, mutant: Mutant) -> bool:
        """Whether it is run when its file is imported, and never again."""
        names = self.tests.get(mutant.file, {}).get(mutant.lines[0], ())
        return not mutant.function or set(names) == {''}

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Returns the tests that run it, the quickest first."""
        lines = self.tests.get(mutant.file, {})
        found = {name for line in mutant.lines for name in lines.get(line, ())}
        if not found or '' in found:  # at import: whoever uses the file
            found = {name for row in lines.values() for name in row} if found else set()
        quickest = sorted(found - {''}, key=lambda name: self.seconds[name])
        ends_s = accumulate(self.seconds[name] for name in quickest)
        return [
            name
            for name, end_s in zip(quickest, ends_s, strict=True)
            if end_s <= MOST_S or name == quickest[0]
        ]


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
        begun_s = time.process_time()  # a busy machine makes no test slow
        yield
        self._seconds[item.nodeid] = round(time.process_time() - begun_s, 4)
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
    parser.add_argument('--again', action='store_true', help='those that survived the last run')
    parser.add_argument('--workers', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('-o', '--output', type=Path, default=Path('out/mutants.json'))
    arguments = parser.parse_args()
    os.chdir(REPOSITORY)
    os.environ['OPENBLAS_NUM_THREADS'] = '1'  # the workers have the cores
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    every = all_mutants()
    reasons = justified()
    if strange := reasons.keys() - {row.key for row in every}:
        sys.exit(f'{JUSTIFIED} has what the code has no more: {sorted(strange)}. Remove it.')
    possible = [row for row in every if arguments.only in row.file]
    if arguments.again:
        last = json.loads(arguments.output.read_text())['unjustified']
        keys = {tuple(row[name] for name in KEY) for row in last}
        chosen = [row for row in possible if row.key in keys]
    else:
        count = min(arguments.count, len(possible))
        chosen = random.Random(arguments.seed).sample(possible, count)
    begun_s = time.monotonic()
    known = known_of_all_tests()
    import_module('cv2').setNumThreads(0)  # a child has no threads of its parent
    for name in known.modules:  # once, instead of once a mutant
        with suppress(Exception):
            import_module(name)
    log = str(arguments.output.with_suffix('.log'))
    left = survivors(chosen, known, arguments.workers, log=log)
    unjustified = [row for row in left if row.key not in reasons]
    figures = {
        'possible': len(possible),
        'tried': len(chosen),
        'survivors': len(left),
        'minutes': round((time.monotonic() - begun_s) / 60.0, 1),
        'justified': [str(row) for row in left if row.key in reasons],
        'unjustified': [
            {'at': str(row), **dict(zip(KEY, row.key, strict=True))} for row in unjustified
        ],
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
