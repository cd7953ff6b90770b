# SPDX-License-Identifier: Apache-2.0
"""What the documents point at is there: pages, anchors, files, commands, targets, parameters.

Without mkdocs, so that it runs wherever the tests do; `make docs` is stricter about the site.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from seg_ros.cli import COMMANDS
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import options_of
from test.paths import REPOSITORY

DOCS = REPOSITORY / 'docs'
PAGES = sorted(
    [*DOCS.glob('*.md'), *REPOSITORY.glob('*.md'), *REPOSITORY.glob('*/README.md')],
)
LINK = re.compile(r'(?<!`)\[[^\]]+\]\(([^)\s]+)\)')
COMMAND = re.compile(r'(?:`|^ {4})(?:\S*/)?seg_ros ([a-z][a-z-]+)(?=[ `]|$)', re.MULTILINE)
TARGET = re.compile(r'(?:^ {4}|`)(?:[A-Z]+=\S+ )*make ([a-z][a-z-]+)', re.MULTILINE)
PARAMETERS = re.compile(r'^ {4}/\*\*:\n(?: {4}.*\n|\n)+', re.MULTILINE)


def without_code(text: str) -> str:
    """The prose: a '#' in a shell line is no heading, brackets in code are no link."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r'^ {4}.*$', '', text, flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page as GitHub and mkdocs both make them."""
    heads = re.findall(r'^#{1,6} (.+)$', without_code(page.read_text()), re.MULTILINE)
    words = [
        re.sub(r'[^\w\s-]', '', re.sub(r'\[([^\]]+)\]\([^)]*\)', r'\1', row)) for row in heads
    ]
    return {re.sub(r'\s', '-', row.strip().lower()) for row in words}


def broken(page: Path) -> list[str]:
    found = []
    for link in LINK.findall(without_code(page.read_text())):
        if re.match(r'https?:', link):
            continue
        name, _, anchor = link.partition('#')
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            found.append(f'{link}: there is no such file')
        elif anchor and anchor not in anchors(target):
            found.append(f'{link}: {target.name} has no such heading')
    return found


@pytest.mark.parametrize('page', PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / 'other.md').write_text('# Other page: here\n\n    # no heading\n')
    page = tmp_path / 'page.md'
    page.write_text('[a](other.md#other-page-here) [b](other.md#no-heading) [c](gone.md) [d](#x)')
    assert [row.partition(':')[0] for row in broken(page)] == [
        'other.md#no-heading', 'gone.md', '#x',
    ]  # fmt: skip


def test_every_page_of_the_manual_is_in_the_navigation_and_in_the_readme() -> None:
    site = yaml.safe_load((REPOSITORY / 'mkdocs.yml').read_text())
    shown = set(re.findall(r'[\w-]+\.md', str(site['nav'])))
    pages = {page.name for page in DOCS.glob('*.md')}
    assert shown == pages
    readme = (REPOSITORY / 'README.md').read_text()
    assert {name for name in pages - {'index.md'} if f'(docs/{name}' not in readme} == set()


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len((REPOSITORY / 'README.md').read_text().splitlines()) <= 130


@pytest.mark.parametrize('page', PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_command_and_target_that_a_page_names_exists(page: Path) -> None:
    if page.name == 'CHANGELOG.md':
        pytest.skip('It tells of names of the past.')
    text = page.read_text()
    makefile = (REPOSITORY / 'Makefile').read_text()
    assert {name for name in COMMAND.findall(text) if name not in COMMANDS} == set()
    targets = set(re.findall(r'^([a-z-]+):', makefile, re.MULTILINE))
    assert {name for name in TARGET.findall(text) if name not in targets} == set()


def test_every_parameter_of_the_examples_exists() -> None:
    names = {name for name, _, _ in options_of(NodeConfig)}
    files = [
        yaml.safe_load(textwrap.dedent(block))
        for page in PAGES
        for block in PARAMETERS.findall(page.read_text())
    ]
    assert len(files) >= 2
    found = {
        name if not isinstance(value, dict) else f'{name}.{inner}'
        for file in files
        for name, value in file['/**']['ros__parameters'].items()
        for inner in (value if isinstance(value, dict) else ('',))
    }
    assert found - names == set()


def pins(name: str) -> dict[str, str]:
    """The versions of a file of requirements."""
    rows = (REPOSITORY / '.ci' / name).read_text().splitlines()
    return dict(row.lower().replace('_', '-').split('==') for row in rows if '==' in row)


def test_the_demo_installs_versions_that_the_tests_run_with_and_no_tools() -> None:
    everything, demo = pins('requirements-jazzy.txt'), pins('requirements-demo.txt')
    assert demo.items() <= everything.items()
    assert not {'mypy', 'ray', 'playwright', 'pytest', 'openvino', 'colcon-core'} & demo.keys()
