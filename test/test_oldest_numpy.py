# SPDX-License-Identifier: Apache-2.0
"""What Ubuntu 22.04's numpy (1.21) cannot do when a module is imported is done by none."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from test.paths import REPOSITORY

ABSTRACT = ('floating', 'integer', 'number', 'signedinteger', 'unsignedinteger', 'generic')


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """Yields what is evaluated; annotations are not, where they come from the future."""
    for name, value in ast.iter_fields(node):
        if name in ('annotation', 'returns'):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from evaluated(child)


def subscripts(file: Path) -> Iterator[int]:
    """Yields the lines that subscript an abstract scalar type, which numpy 1.22 allows first."""
    for node in evaluated(ast.parse(file.read_text(encoding='utf-8'))):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr in ABSTRACT
        ):
            yield node.lineno


def test_no_module_subscripts_an_abstract_scalar_type() -> None:
    found = [
        f'{file.relative_to(REPOSITORY)}:{line}'
        for file in sorted((REPOSITORY / 'seg_ros').rglob('*.py'))
        for line in subscripts(file)
    ]
    assert not found, "Write the type as a string: NDArray['np.floating[Any]']"


def test_one_that_does_would_be_found(tmp_path: Path) -> None:
    """The negative control."""
    file = tmp_path / 'module.py'
    file.write_text('A = NDArray[np.floating[Any]]\ndef f(x: np.floating[Any]) -> None: ...\n')
    assert list(subscripts(file)) == [1]


def looked_for(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the old sets with python3.10 of that folder's bin, and what its pyenv has."""
    return subprocess.run(
        ['bash', '.ci/test-oldest', 'nothing'],
        cwd=REPOSITORY,
        env={'PATH': f'{folder}/bin:{os.environ["PATH"]}', 'PYENV_ROOT': str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\n{line}\n')
    path.chmod(0o755)


def test_a_python_that_is_there_and_does_not_run_is_passed_over(tmp_path: Path) -> None:
    """A shim of pyenv is such a one, for every version that is not chosen."""
    program(tmp_path / 'bin' / 'python3.10', 'exit 127')
    done = looked_for(tmp_path)
    assert done.returncode == 69
    assert 'There is no Python 3.10 here' in done.stderr
    program(tmp_path / 'versions' / '3.10.1' / 'bin' / 'python', '[ "$1" = -c ] || exit 3')
    assert looked_for(tmp_path).returncode == 3  # it is asked for a virtual environment
