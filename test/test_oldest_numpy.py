# SPDX-License-Identifier: Apache-2.0
"""What Ubuntu 22.04's numpy (1.21) cannot do when a module is imported is done by none."""

from __future__ import annotations

import ast
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
