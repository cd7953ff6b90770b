# SPDX-License-Identifier: Apache-2.0
"""How package and tests are laid out, so that everything is where one looks for it."""

from __future__ import annotations

import ast
import re

from seg_ros.cli import COMMANDS
from test.paths import REPOSITORY

LICENCE = 'SPDX-License-Identifier: Apache-2.0'
CODE_FOLDERS = ('.ci', 'bench', 'config', 'launch', 'seg_ros', 'test', 'training')
CODE = ('.py', '.sh', '.yaml', '.xml', '.cpp', '.js', '.css', '.rviz')
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


def test_a_command_is_a_file_of_commands_or_the_file_command_of_a_folder_there() -> None:
    nodes = {'seg_ros.ros.segmentation_node', 'seg_ros.ros.gate_node'}
    modules = {row.module for row in COMMANDS.values()} - nodes
    elsewhere = [
        name for name in modules if not re.fullmatch(r'seg_ros\.commands\.\w+(\.command)?', name)
    ]
    assert not elsewhere


def test_every_file_of_code_says_its_licence() -> None:
    files = [
        file
        for folder in CODE_FOLDERS
        for file in sorted((REPOSITORY / folder).rglob('*'))
        if file.suffix in CODE
    ]
    lacking = [
        str(file.relative_to(REPOSITORY))
        for file in files
        if LICENCE not in file.read_text(encoding='utf-8')[:400]
    ]
    assert len(files) > 500
    assert not lacking, f'Begin each with a comment: {LICENCE}'
