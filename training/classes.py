# SPDX-License-Identifier: Apache-2.0
"""What class ids mean in training: the road scene's twelve, or a config's own.

Of the road scene the first eleven are CamVid's; lane markings are cut out of its road.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    'LANE',
    'PEOPLE',
    'ROAD',
    'ROAD_SCENE',
    'UNLABELLED',
    'ClassRow',
    'ClassTable',
    'class_id',
    'classes_of',
]

UNLABELLED = 255


@dataclass(frozen=True)
class ClassRow:
    """A class as spec.yaml tells it."""

    name: str
    colour: tuple[int, int, int]
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassTable:
    """Rows in the order of their ids.

    Attributes:
        rows: The classes.
        folded_for_score: What a class counts as in mIoU.
        unions: What a label of training can say when it does not know the class: "one of these"
            (Bevandic et al., arXiv 2108.11224). Their label values follow those of the classes.
    """

    rows: tuple[ClassRow, ...]
    folded_for_score: tuple[tuple[str, str], ...] = ()
    unions: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def id(self, name: str) -> int:
        """The id of a class.

        Raises:
            ValueError: There is no class of that name.
        """
        if name not in self.names:
            raise ValueError(f"There is no class '{name}'; there are {', '.join(self.names)}.")
        return self.names.index(name)

    def label(self, name: str) -> int:
        """The label value of a class or of a union.

        Raises:
            ValueError: There is neither of that name.
        """
        unions = [union for union, _ in self.unions]
        return len(self) + unions.index(name) if name in unions else self.id(name)

    @property
    def members(self) -> list[tuple[int, ...]]:
        """The classes of each union, by ids."""
        return [tuple(self.id(name) for name in names) for _, names in self.unions]

    @property
    def folds(self) -> dict[int, int]:
        return {self.id(source): self.id(target) for source, target in self.folded_for_score}


def _row(name: str, colour: tuple[int, int, int], *roles: str) -> ClassRow:
    return ClassRow(name, colour, roles)


_ROAD_SCENE_ROWS = (
    _row('sky', (128, 180, 230), 'sky'),
    _row('building', (128, 64, 64), 'obstacle', 'static'),
    _row('pole', (192, 192, 128), 'obstacle', 'static'),
    _row('road', (128, 64, 128), 'drivable'),
    _row('pavement', (244, 35, 232), 'walkable'),
    _row('tree', (107, 142, 35), 'obstacle', 'static'),
    _row('sign', (220, 220, 0), 'obstacle', 'static'),
    _row('fence', (100, 80, 150), 'obstacle', 'static'),
    _row('vehicle', (0, 0, 142), 'obstacle', 'vehicle'),
    _row('pedestrian', (220, 20, 60), 'pedestrian', 'obstacle'),
    _row('cyclist', (0, 150, 180), 'cyclist', 'obstacle'),
    _row('lane_marking', (255, 255, 255), 'drivable', 'lane'),
)
PEOPLE = ('pedestrian', 'cyclist')

ROAD_SCENE = ClassTable(
    _ROAD_SCENE_ROWS,
    folded_for_score=(('lane_marking', 'road'),),
    unions=(
        # the road of data sets that do not label what is painted on it
        ('road_or_lane', ('road', 'lane_marking')),
        # the own bonnet, or the surroundings of somebody who was cut out: anything but people
        ('nobody', tuple(row.name for row in _ROAD_SCENE_ROWS if row.name not in PEOPLE)),
    ),
)


def class_id(name: str) -> int:
    return ROAD_SCENE.id(name)


ROAD, LANE = class_id('road'), class_id('lane_marking')


def classes_of(config: Mapping[str, Any]) -> ClassTable:
    """The config's own `classes` (in the order of their ids) and `unions`, or the road scene's."""
    if 'classes' not in config:
        return ROAD_SCENE
    return ClassTable(
        tuple(
            ClassRow(row['name'], tuple(row['colour']), tuple(row.get('roles', ())))
            for row in config['classes']
        ),
        unions=tuple((name, tuple(names)) for name, names in config.get('unions', {}).items()),
    )
