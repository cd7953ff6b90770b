# SPDX-License-Identifier: Apache-2.0
"""The mutants themselves: code that does something is changed, and what is only said is not."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from test.mutants import MOST_S, TARGETS, Known, Mutant, all_mutants, justified, mutants_of
from test.paths import REPOSITORY


def changed(source: str) -> list[str]:
    data = source.encode()
    return [
        (data[: row.begin] + row.becomes.encode() + data[row.end :]).decode()
        for row in mutants_of('file.py', source)
    ]


@pytest.mark.parametrize(
    ('source', 'mutants'),
    [
        ('a < b', ['a <= b']),
        ('a is None', ['a is not None']),
        ('x = a and b', ['x = ((a) or (b))']),
        ('x = not a', ['x = (a)']),
        ('x = a - b', ['x = (a + (b))']),
        ('x = (a - b) / c', ['x = ((a - b) * (c))', 'x = ((a + (b))) / c']),
        ('x = (a == b) == c', ['x = (a == b) != c', 'x = (a != b) == c']),
        ('x = 2', ['x = (2 + 1)']),
        ('x = -1', ['x = (-1 + 1)']),
        ('x = True', ['x = False']),
        ("x = 'ä' if a == b else ''", ["x = 'ä' if a != b else ''"]),
        ("raise ValueError(f'{a + 1}')", []),
        ("log(f'{a + 1} of 2')", []),
        ('x: int = 3', []),
        ('x = zip(a, b, strict=True)', []),
        ('@dataclass(frozen=True)\nclass A: ...', []),
        ('def f(a: int = 3) -> None: ...', []),
        ("__all__ = ['a']", []),
    ],
)
def test_what_does_something_is_changed_and_what_is_only_said_is_not(
    source: str, mutants: list[str]
) -> None:
    assert changed(source) == mutants


@pytest.mark.parametrize('file', TARGETS)
def test_every_mutant_of_the_stop_is_python(file: str) -> None:
    source = (REPOSITORY / file).read_text()
    found = changed(source)
    assert found
    for text in found[::9]:
        ast.parse(text)
        assert text != source


def test_a_mutant_is_judged_by_the_tests_that_run_its_lines_the_quickest_first() -> None:
    seconds = {'slow': 7.0, 'quick': 0.1, 'other': 0.5}
    known = Known(seconds, {'a.py': {1: [''], 3: ['slow', 'quick'], 7: ['other']}}, [])
    mutant = Mutant('a.py', (3, 2), 0, 1, 'a', 'b')
    assert known.tests_of(mutant) == ['quick', 'slow']
    assert known.tests_of(mutant._replace(lines=(1,))) == ['quick', 'other', 'slow']  # at import
    assert known.tests_of(mutant._replace(lines=(5,))) == []
    patient = known._replace(seconds={**seconds, 'slow': MOST_S})
    assert patient.tests_of(mutant) == ['quick']
    alone = patient._replace(tests={'a.py': {3: ['slow']}})
    assert alone.tests_of(mutant) == ['slow']  # rather than none


def test_a_mutant_is_imported_in_the_place_of_the_file_and_its_tests_notice_it() -> None:
    file, test = 'seg_ros/ros/mailbox.py', 'test/ros/test_mailbox.py'
    names = [f'{test}::test_a_newer_item_replaces_the_older_one']
    source = (REPOSITORY / file).read_text()
    mutants = {row.was: row for row in mutants_of(file, source)}
    noticed, control = mutants['camera in self._waiting'], Mutant(file, (1,), 0, 0, '', '')
    known = Known(dict.fromkeys(names, 0.1), {file: {1: names, noticed.lines[0]: names}}, [])
    script = f"""
import sys
from test.mutants import Known, Mutant, survivors
left = survivors([{noticed!r}, {control!r}], {known!r}, 2, say=str)
print(left == [{control!r}])
"""
    words = [sys.executable, '-c', script]
    told = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ['True'], told


def test_what_may_survive_is_in_the_code_and_says_why() -> None:
    reasons = justified()
    assert reasons.keys() <= {row.key for row in all_mutants()}
    assert all(len(why) > 20 for why in reasons.values())
