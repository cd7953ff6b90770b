# SPDX-License-Identifier: Apache-2.0
"""What a launch file starts, through the stand-in for ``launch``."""

from __future__ import annotations

import importlib.util
from typing import Any

from test.paths import REPOSITORY

__all__ = ['started']


def started(file: str, **arguments: str) -> list[dict[str, Any]]:
    """Returns the keywords of each node; what launch would raise is raised."""
    spec = importlib.util.spec_from_file_location('launch_file', REPOSITORY / 'launch' / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from launch import LaunchContext

    context = LaunchContext()
    *declared, action = module.generate_launch_description().entities
    names = {row.name for row in declared}
    assert set(arguments) <= names, f'no such argument: {set(arguments) - names}'
    for row in declared:
        row.declare(context, arguments)
        assert row.description
    return [context.perform(node.keywords) for node in action.function(context)]
