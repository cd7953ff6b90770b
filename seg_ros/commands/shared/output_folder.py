# SPDX-License-Identifier: Apache-2.0
"""The folder that a command writes to: a user's files in it are never replaced or removed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from seg_ros.core.errors import ConfigurationError
from seg_ros.files import read_text, write_whole

__all__ = ['MARK', 'claim', 'clear']

MARK = '.seg_ros.json'
"""Lies in a folder that a command wrote to: which names in it are ours, by command."""


def claim(folder: Path, command: str, names: Sequence[str], inputs: Sequence[Path] = ()) -> None:
    """Makes a folder, or takes one in which nothing stands in the way but what we made.

    Args:
        folder: What ``-o`` names.
        command: Whose output it is.
        names: What will be written there; patterns as of a shell.
        inputs: What is read; it must not lie among these names.

    Raises:
        ConfigurationError: It has files of these names that are not marked as ours, one of the
            inputs would be replaced, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = _made(folder)
        for path in inputs:
            name = _name_within(path, folder)
            if name is not None and (not name or _is_one_of(name, names)):
                raise ConfigurationError(
                    f'-o {folder}: {path} is there and is to be read, not written to. Name '
                    'another folder.'
                )
        ours = [name for rows in made.values() for name in rows]
        there = sorted(path.name for path in folder.iterdir())
        foreign = [x for x in there if _is_one_of(x, names) and not _is_one_of(x, ours)]
        if foreign:
            raise ConfigurationError(
                f'-o {folder}: {", ".join(foreign)} there was not made by seg_ros {command} and '
                'is not replaced. Name a new folder.'
            )
        text = json.dumps({**made, command: list(names)}, indent=2) + '\n'
        write_whole(folder / MARK, text)
    except OSError as error:
        msg = f'-o {folder}: the folder cannot be written ({error}). Name another one.'
        raise ConfigurationError(msg) from error


def clear(folder: Path, names: Sequence[str]) -> None:
    """Removes what an earlier run left, and nothing else; the folder must be claimed.

    Raises:
        ConfigurationError: Something cannot be removed.
    """
    try:
        for path in list(folder.iterdir()):
            if not _is_one_of(path.name, names):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        msg = f'-o {folder}: what is there cannot be removed ({error}). Name another one.'
        raise ConfigurationError(msg) from error


def _made(folder: Path) -> dict[str, list[str]]:
    """Returns what is marked as ours; nothing where the mark cannot be read."""
    try:
        rows = json.loads(read_text(folder / MARK))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(rows, dict):
        return {}
    return {
        command: [name for name in names if isinstance(name, str)]
        for command, names in rows.items()
        if isinstance(names, list)
    }


def _is_one_of(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _name_within(path: Path, folder: Path) -> str | None:
    """Returns the name of what lies in the folder and is, or holds, a path.

    Empty if it is the folder itself, None if it lies elsewhere.
    """
    try:
        parts = path.resolve().relative_to(folder.resolve()).parts
    except (ValueError, RuntimeError, OSError):
        return None
    return parts[0] if parts else ''
