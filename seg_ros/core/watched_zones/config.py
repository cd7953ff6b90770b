# SPDX-License-Identifier: Apache-2.0
"""Parameters of the watched zones: the group ``zones`` of the node."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import NamedTuple

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.option import option

__all__ = ['WatchedZone', 'ZoneConfig']

ZONE_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*')  # it becomes part of a topic name
FRAMES = ('image', 'ground')


class WatchedZone(NamedTuple):
    """One zone.

    Attributes:
        name: Part of its topics.
        classes: Names or roles of what is counted.
        frame: ``image``: the corners are shares of width and height; ``ground``: metres in the
            base frame.
        corners: x and y (u and v) of each corner.
        min_share: Alarm when less of the zone is covered.
        max_share: Alarm when more of the zone is covered.
        confirm_s: How long it must be so before the alarm.
        hold_s: How long it must be otherwise before the alarm ends.
        speed_percent: Of the full speed, while there is an alarm.
    """

    name: str
    classes: tuple[str, ...]
    frame: str
    corners: tuple[tuple[float, float], ...]
    min_share: float
    max_share: float
    confirm_s: float
    hold_s: float
    speed_percent: float


@dataclass(frozen=True)
class ZoneConfig:
    """Any number of zones; entry i of every list belongs to zone i. One entry is for all.

    Raises:
        ConfigurationError: A zone that cannot be, with what was given and what would be right.
    """

    names: tuple[str, ...] = option(
        ('',), 'Names of the watched zones, each with its topics ~/zone/<name>; empty: none.'
    )
    classes: tuple[str, ...] = option(
        ('pedestrian',), 'What is counted: names or roles of classes with blanks between them.'
    )
    polygons: tuple[str, ...] = option(
        ('image 0 0 1 0 1 1 0 1',),
        'Where: image and corners u v as shares of width and height, or ground and corners x y in '
        'metres, base frame.',
    )
    min_share: tuple[float, ...] = option(
        (0.0,), 'Alarm when the counted classes cover less than this share of the zone.'
    )
    max_share: tuple[float, ...] = option((1.0,), 'Alarm when they cover more than this share.')
    confirm_s: tuple[float, ...] = option(
        (0.3,), 'How long it must be so before the alarm.', unit='s'
    )
    hold_s: tuple[float, ...] = option(
        (1.0,), 'How long it must be otherwise before the alarm ends.', unit='s'
    )
    speed_percent: tuple[float, ...] = option(
        (100.0,),
        'A zone of less than 100 makes ~/speed_limit, for which nav2_msgs must be installed: at '
        'most this share of the full speed while there is an alarm.',
        unit='%',
    )

    def __post_init__(self) -> None:
        names = [name for name in self.names if name]
        if wrong := [name for name in names if not ZONE_NAME.fullmatch(name)]:
            raise ConfigurationError(
                f'zones.names has {wrong[0]!r}, which cannot be part of a topic name. Use '
                'letters, digits and underscores, a letter first.'
            )
        if len(set(names)) != len(names):
            raise ConfigurationError(f'zones.names has a name twice: {names}.')
        if names:
            for row in fields(self):
                count = len(getattr(self, row.name))
                if row.name != 'names' and count not in (1, len(names)):
                    raise ConfigurationError(
                        f'zones.{row.name} has {count} entries for {len(names)} zones. Give one '
                        'for all, or one per zone in the order of zones.names.'
                    )
        self.zones()

    def zones(self) -> tuple[WatchedZone, ...]:
        """Returns the zones, in the order of their names."""
        return tuple(
            self._zone(index, name)
            for index, name in enumerate(name for name in self.names if name)
        )

    def _zone(self, index: int, name: str) -> WatchedZone:
        def of(values: tuple[str, ...] | tuple[float, ...]) -> str | float:
            return values[min(index, len(values) - 1)]

        frame, corners = _polygon_of(name, str(of(self.polygons)))
        zone = WatchedZone(
            name,
            tuple(str(of(self.classes)).split()),
            frame,
            corners,
            float(of(self.min_share)),
            float(of(self.max_share)),
            float(of(self.confirm_s)),
            float(of(self.hold_s)),
            float(of(self.speed_percent)),
        )
        if not zone.classes:
            raise ConfigurationError(f'Zone {name} counts no class. Name some in zones.classes.')
        if not 0.0 <= zone.min_share <= zone.max_share <= 1.0:
            raise ConfigurationError(
                f'Zone {name} wants from {zone.min_share} to {zone.max_share}; shares are from 0 '
                'to 1, zones.min_share not above zones.max_share.'
            )
        if zone.confirm_s < 0.0 or zone.hold_s < 0.0:
            raise ConfigurationError(f'Zone {name} has a negative time. Use 0 or more seconds.')
        if not 1.0 <= zone.speed_percent <= 100.0:
            raise ConfigurationError(
                f'Zone {name} has a speed of {zone.speed_percent} %; 1 to 100 are possible. 0 '
                'would mean "no limit" to Nav2: to stop, use the alarm or ~/pedestrian_stop.'
            )
        return zone


def _polygon_of(name: str, text: str) -> tuple[str, tuple[tuple[float, float], ...]]:
    frame, *words = text.replace(',', ' ').split() or ['']
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    good = frame in FRAMES and len(values) >= 6 and len(values) % 2 == 0
    if not good or not all(math.isfinite(value) for value in values):
        raise ConfigurationError(
            f'The polygon of zone {name} is {text!r}. Write image or ground and then x and y of '
            "three or more corners: 'ground 4 1 8 1 8 -1 4 -1'."
        )
    return frame, tuple(zip(values[::2], values[1::2], strict=True))
