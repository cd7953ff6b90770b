"""How package and tests are laid out: one name a class, and no test that others import from."""

from __future__ import annotations

import ast
import re

from test.paths import REPOSITORY

FROM_A_TEST = re.compile(r'^\s*(?:from|import) test\.(?:\w+\.)*test_\w+.*', re.MULTILINE)


def test_no_test_file_is_imported_by_another() -> None:
    found = [
        f'{file.relative_to(REPOSITORY)}: {line.strip()}'
        for file in sorted((REPOSITORY / 'test').rglob('*.py'))
        for line in FROM_A_TEST.findall(file.read_text(encoding='utf-8'))
    ]
    assert not found, 'Move what they share into a file without test_ in its name.'


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for file in sorted((REPOSITORY / 'seg_ros').rglob('*.py')):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(file.relative_to(REPOSITORY)))
    twice = {name: files for name, files in places.items() if len(files) > 1}
    assert not twice, 'Give one of them a name that says what it alone is.'
