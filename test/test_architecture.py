# SPDX-License-Identifier: Apache-2.0
"""The map of the house names every room, and no door that is not there."""

from __future__ import annotations

import re

from test.paths import REPOSITORY

PAGE = (REPOSITORY / 'docs/architecture.md').read_text()
PACKAGE = REPOSITORY / 'seg_ros'


def rooms() -> set[str]:
    return {
        f'{folder.parent.relative_to(REPOSITORY).as_posix()}/'
        for folder in PACKAGE.rglob('__init__.py')
        if folder.parent != PACKAGE
    }


def test_every_room_is_on_the_map() -> None:
    within = {room: room.rsplit('/', 2)[0] + '/' for room in rooms()}
    missing = [
        room
        for room, parent in within.items()
        if f'`{room}`' not in PAGE and f'`{room.removeprefix(parent)}`' not in PAGE
    ]
    assert missing == []


def test_every_file_that_the_map_names_exists() -> None:
    named = set(re.findall(r'`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)`', PAGE))
    missing = [
        name for name in named if not any((top / name).exists() for top in (REPOSITORY, PACKAGE))
    ]
    assert missing == []
    assert len(named) > 20


def test_what_is_read_first_in_a_room_is_in_it() -> None:
    rows = re.findall(r'^\| `(seg_ros/[a-z_/]+/)` \|.*\| `([a-z_/]+\.py)` \|$', PAGE, re.MULTILINE)
    assert len(rows) > 20
    missing = [
        f'{room}{name}'
        for room, name in rows
        if not (REPOSITORY / room / name).exists() and not (PACKAGE / name).exists()
    ]
    assert missing == []
