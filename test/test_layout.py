"""How the tests are laid out: what one of them builds for others stands in a file of its own."""

from __future__ import annotations

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
