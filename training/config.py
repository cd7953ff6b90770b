"""Training configs: YAML files, and changes to them from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ['read_config']


def read_config(path: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The YAML config; `changes` are KEY=VALUE with dots for nested keys."""
    config = yaml.safe_load(Path(path).read_text())
    for change in changes:
        key, _, value = change.partition('=')
        *parents, last = key.split('.')
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = yaml.safe_load(value)
    return config
