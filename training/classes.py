"""The twelve road-scene classes: the first eleven are CamVid's, lane markings are cut out of its road."""

from __future__ import annotations

__all__ = ['CLASSES', 'LANE', 'ROAD', 'UNLABELLED', 'class_id']

UNLABELLED = 255
# name, colour, roles: what spec.yaml of an engine says
CLASSES: tuple[tuple[str, tuple[int, int, int], tuple[str, ...]], ...] = (
    ('sky', (128, 180, 230), ('sky',)),
    ('building', (128, 64, 64), ('obstacle', 'static')),
    ('pole', (192, 192, 128), ('obstacle', 'static')),
    ('road', (128, 64, 128), ('drivable',)),
    ('pavement', (244, 35, 232), ('walkable',)),
    ('tree', (107, 142, 35), ('obstacle', 'static')),
    ('sign', (220, 220, 0), ('obstacle', 'static')),
    ('fence', (100, 80, 150), ('obstacle', 'static')),
    ('vehicle', (0, 0, 142), ('obstacle', 'vehicle')),
    ('pedestrian', (220, 20, 60), ('pedestrian', 'obstacle')),
    ('cyclist', (0, 150, 180), ('cyclist', 'obstacle')),
    ('lane_marking', (255, 255, 255), ('drivable', 'lane')),
)


def class_id(name: str) -> int:
    return [row[0] for row in CLASSES].index(name)


ROAD, LANE = class_id('road'), class_id('lane_marking')
