# SPDX-License-Identifier: Apache-2.0
"""Renamed parameters: the old name of each still works, and says what it is called now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from seg_ros.core.errors import ConfigurationError

__all__ = ['RENAMED', 'with_new_names']

RENAMED = {
    'stale_timeout_s': 'diagnostics_stale_s',
    'stop.vehicle_front_m': 'vehicle.front_m',
    'lane.path_start_m': 'vehicle.front_m',
    'lane.vehicle_half_width_m': 'vehicle.half_width_m',
}
"""The name of now by the old name. Several old ones may have become one."""

T = TypeVar('T')


def with_new_names(values: Mapping[str, T], warn: Callable[[str], object]) -> dict[str, T]:
    """Returns parameters under their names of now.

    Args:
        values: By name, old or new.
        warn: Is told of every old name.

    Raises:
        ConfigurationError: A value is given twice: under the old and the new name, or differently
            under two old ones.
    """
    found = {name: value for name, value in values.items() if name not in RENAMED}
    sources: dict[str, str] = {}
    for old, new in RENAMED.items():
        if old not in values:
            continue
        if new in values:
            raise ConfigurationError(
                f'{old} and {new} are both given, but they are the same parameter. Give {new} '
                'only.'
            )
        if new in found and found[new] != values[old]:
            raise ConfigurationError(
                f'{sources[new]} is {found[new]} and {old} is {values[old]}, but both are {new} '
                f'now. Give {new} instead of them.'
            )
        warn(f'Parameter {old} is called {new} now. The old name works in 0.x; use the new one.')
        found[new], sources[new] = values[old], old
    return found
