# SPDX-License-Identifier: Apache-2.0
"""Who is truly in the way of the vehicle: what the stop is judged against."""

from __future__ import annotations

import numpy as np

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.zones import CorridorZone, stopping_distance_m
from seg_ros.sim.frame import Person, SimFrame
from seg_ros.sim.vehicle import FRONT_M, HALF_WIDTH_M

__all__ = [
    'SEEN_SHARE',
    'ids_inside',
    'is_inside',
    'is_touched',
    'people_near',
    'somebody_near',
    'true_zone',
]

SEEN_SHARE = 0.3  # of a person, so that anybody could know of it
NEAR_SIDE_M, NEAR_AHEAD_M = 0.25, 1.0  # as good as inside, when a stop is asked for its reason
NEAR_HORIZON, NEAR_STEPS = 1.5, 7  # times the anticipation
REAR_M = 0.9  # from the rear axle to the rear bumper


def true_zone(
    frame: SimFrame, config: StopConfig, wider_m: float = 0.0, longer_m: float = 0.0
) -> CorridorZone:
    """Returns the corridor along the true lane as far as the vehicle needs to stop."""
    return CorridorZone(
        frame.lane_centre,
        config.corridor_half_width_m + wider_m,
        stopping_distance_m(frame.ego.speed_mps, config) + longer_m,
    )


def is_inside(person: Person, zone: CorridorZone) -> bool:
    """Returns whether a person is in the zone, ahead of the bumper, and to be seen."""
    if person.visible_share < SEEN_SHARE or person.bbox is None or person.x_m < FRONT_M:
        return False
    return bool(zone.contains(np.array([[person.x_m, person.y_m]]))[0])


def ids_inside(frame: SimFrame, config: StopConfig) -> tuple[int, ...]:
    """Returns the ids of who is in the true zone and can be seen, of everybody who counts."""
    zone = true_zone(frame, config)
    riders = frame.cyclists if config.include_cyclists else ()
    return tuple(person.id for person in (*frame.people, *riders) if is_inside(person, zone))


def people_near(frame: SimFrame, config: StopConfig) -> tuple[Person, ...]:
    """Returns who is in or about the zone, or on the way into it, on foot or on a bicycle."""
    people = (*frame.people, *frame.cyclists)
    if not people:
        return ()
    zone = true_zone(frame, config, NEAR_SIDE_M, NEAR_AHEAD_M)
    ahead_s = np.linspace(0.0, NEAR_HORIZON * config.anticipate_s, NEAR_STEPS)
    points = [
        (person.x_m + person.vx_mps * step, person.y_m + person.vy_mps * step)
        for person in people
        for step in ahead_s
    ]
    near = zone.contains(np.array(points)).reshape(-1, NEAR_STEPS).any(axis=1)
    return tuple(person for person, is_near in zip(people, near, strict=True) if is_near)


def somebody_near(frame: SimFrame, config: StopConfig) -> bool:
    """Returns whether there is anybody of ``people_near``."""
    return bool(people_near(frame, config))


def is_touched(person: Person) -> bool:
    """Returns whether a person is where the vehicle is."""
    return -REAR_M < person.x_m < FRONT_M and abs(person.y_m) < HALF_WIDTH_M
