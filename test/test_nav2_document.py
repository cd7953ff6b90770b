# SPDX-License-Identifier: Apache-2.0
"""docs/nav2.md explains every parameter of config/nav2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from test.paths import REPOSITORY

SELF_EXPLAINING = {'plugin', 'plugins', 'topic'}


def names_of(values: dict[str, Any]) -> Iterator[str]:
    """Yields the parameters that have a value; the names of zones, layers and sources do not."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from names_of(value)
        else:
            yield name


@pytest.mark.parametrize(
    'file', sorted((REPOSITORY / 'config/nav2').glob('*.yaml')), ids=lambda path: path.stem
)
def test_every_parameter_of_the_configurations_is_explained(file: Path) -> None:
    text = (REPOSITORY / 'docs/nav2.md').read_text()
    names = set(names_of(yaml.safe_load(file.read_text())))
    assert {name for name in names - SELF_EXPLAINING if f'`{name}`' not in text} == set()
    assert f'`{file.name}`' in text or f'config/nav2/{file.name}' in text
