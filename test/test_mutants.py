# SPDX-License-Identifier: Apache-2.0
"""The mutants themselves: code that does something is changed, and what is only said is not."""

from __future__ import annotations

import ast

import pytest

from test.mutants import TARGETS, mutants_of
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
        ('x = 2', ['x = (2 + 1)']),
        ('x = True', ['x = False']),
        ("x = 'ä' if a == b else ''", ["x = 'ä' if a != b else ''"]),
        ("raise ValueError(f'{a + 1}')", []),
        ("log(f'{a + 1} of 2')", []),
        ('x: int = 3', []),
        ('def f(a: int = 3) -> None: ...', []),
        ("__all__ = ['a']", []),
    ],
)
def test_what_does_something_is_changed_and_what_is_only_said_is_not(
    source: str, mutants: list[str]
) -> None:
    assert changed(source) == mutants


@pytest.mark.parametrize('file', TARGETS)
def test_every_mutant_of_the_stop_is_python_and_has_tests_to_notice_it(file: str) -> None:
    source = (REPOSITORY / file).read_text()
    found = changed(source)
    assert found
    for text in found[::9]:
        ast.parse(text)
        assert text != source
    assert all((REPOSITORY / tests).exists() for tests in TARGETS[file])
