# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import SCENARIOS, WHO, CrossingEvent, Person, SceneConfig, SimFrame, World
from seg_ros.sim import classes as c
from seg_ros.sim.labels.renderer import LabelWorld

CALM = replace(
    SCENARIOS['straight'],
    size_wh=(192, 108),
    crossings_per_km=0.0,
    car_density=0.0,
    people_density=0.0,
    cyclist_density=0.0,
)


PEOPLE = replace(SCENARIOS['busy'], car_density=0.0, people_density=4.0, weather='overcast')


def frames(config: SceneConfig, count: int, dt_s: float = 0.25) -> list[tuple[World, SimFrame]]:
    world = World(config)
    made = []
    for _ in range(count):
        for _ in range(5):
            world.step(dt_s / 5)
        made.append((world, world.render()))
    return made


def well_seen(frame: SimFrame) -> list[Person]:
    return [p for p in frame.people if p.visible_share > 0.95 and 5.0 < p.x_m < 30.0]


def test_the_feet_of_a_person_are_at_the_lower_edge_of_their_pixels() -> None:
    checked = 0
    for world, frame in frames(PEOPLE, 6, dt_s=1.0):
        camera = Camera(world.camera, world.mount)
        for person in well_seen(frame):
            assert person.bbox is not None
            x0, y0, x1, y1 = person.bbox
            foot, _ = camera.project([[person.x_m, person.y_m, 0.0]])
            head, _ = camera.project([[person.x_m, person.y_m, person.height_m]])
            height_px = foot[0, 1] - head[0, 1]
            assert abs(y1 - foot[0, 1]) < 0.08 * height_px + 2.0
            assert abs(y0 - head[0, 1]) < 0.06 * height_px + 2.0
            assert x0 - 2 <= foot[0, 0] <= x1 + 2
            assert (frame.labels[y0:y1, x0:x1] == c.PEDESTRIAN).mean() > 0.2
            checked += 1
    assert checked > 15


def test_pedestrian_pixels_and_the_people_who_are_seen_tell_the_same() -> None:
    for _, frame in frames(SCENARIOS['busy'], 4):
        inside = np.zeros(frame.labels.shape, dtype=bool)
        for person in frame.people:
            if person.bbox is not None and person.visible_share > 0.0:
                x0, y0, x1, y1 = person.bbox
                inside[y0:y1, x0:x1] = True
        assert not ((frame.labels == c.PEDESTRIAN) & ~inside).any()


def test_somebody_behind_the_vehicle_is_known_but_not_seen() -> None:
    event = CrossingEvent(at_m=30.0, trigger_distance_m=29.0, stops_in_lane_s=0.0, from_left=True)
    config = replace(CALM, crossing_events=(event,), stop_for_people=False)
    world = World(config)
    while world.ego.road_s_m < 36.0:
        world.step(0.05)

    (person,) = world.render().people

    assert person.x_m < 0.0
    assert person.visible_share == 0.0
    assert person.bbox is None


def test_an_event_lets_a_person_walk_across_in_front_of_the_vehicle() -> None:
    event = CrossingEvent(at_m=40.0, trigger_distance_m=35.0, speed_mps=1.5)
    made = frames(replace(CALM, crossing_events=(event,), speed_mps=3.0), 14, dt_s=0.8)
    persons = [frame.people[0] for _, frame in made if frame.people]

    assert {person.surface for person in persons} == {'road', 'pavement'}
    assert len({person.id for person in persons}) == 1
    walking = [person for person in persons if person.surface == 'road']
    assert all(person.vy_mps == pytest.approx(1.5, abs=0.02) for person in walking)
    assert persons[0].y_m < persons[-1].y_m


def test_velocity_is_that_over_ground_and_not_against_the_vehicle() -> None:
    event = CrossingEvent(at_m=60.0, trigger_distance_m=58.0)
    world = World(replace(CALM, crossing_events=(event,)))
    for _ in range(10):
        world.step(0.05)
    before, first = world.ego, world.render().people[0]
    world.step(0.1)
    after, second = world.ego, world.render().people[0]

    assert (second.x_m + after.x_m - first.x_m - before.x_m) / 0.1 == pytest.approx(
        first.vx_mps, abs=0.02
    )
    assert (second.y_m - first.y_m) / 0.1 == pytest.approx(first.vy_mps, abs=0.02)


@pytest.mark.parametrize('from_left', [False, True])
def test_the_driver_stops_for_a_person_on_the_road(from_left: bool) -> None:
    event = CrossingEvent(
        at_m=60.0, trigger_distance_m=40.0, from_left=from_left, stops_in_lane_s=2.0
    )
    world = World(replace(CALM, crossing_events=(event,)))
    slowest = math.inf
    nearest = math.inf
    for _ in range(400):
        world.step(0.05)
        slowest = min(slowest, world.ego.speed_mps)
        for walker in world._traffic.walkers:
            if abs(walker.d_m - world._state.d_m) < 1.2:
                nearest = min(nearest, abs(walker.s_m - world.ego.road_s_m - 3.6))

    assert slowest < 0.1
    assert nearest > 1.5
    assert world.ego.road_s_m > 70.0, 'goes on when the road is free again'


def test_a_driver_who_does_not_stop_for_people_drives_on() -> None:
    event = CrossingEvent(at_m=60.0, trigger_distance_m=40.0, stops_in_lane_s=4.0)
    world = World(replace(CALM, crossing_events=(event,), stop_for_people=False))
    for _ in range(200):
        world.step(0.05)
        assert world.ego.speed_mps > 6.0


def test_a_person_behind_a_car_is_seen_in_part() -> None:
    shares = [
        person.visible_share
        for _, frame in frames(SCENARIOS['busy'], 4)
        for person in frame.people
        if person.bbox is not None
    ]

    assert any(0.1 < share < 0.9 for share in shares)
    assert all(0.0 <= share <= 1.0 for share in shares)


# Width and height in metres, of somebody who is seen from the side
SIZES_M = {
    'adult': (0.3, 0.8, 1.5, 1.95),
    'child': (0.2, 0.6, 1.0, 1.2),
    'wheelchair': (0.7, 1.1, 1.2, 1.4),
    'pushchair': (1.1, 1.7, 1.5, 1.95),
    'lying': (1.5, 1.9, 0.15, 0.5),
}


def crossing(who: str, stops_s: float) -> SceneConfig:
    """Somebody who stays in the middle of the lane for a while, 11 m ahead."""
    event = CrossingEvent(11.0, 30.0, 1.5, stops_in_lane_s=stops_s, who=who)
    return replace(
        CALM, size_wh=(640, 360), speed_mps=0.0, lane_wander_m=0.0, crossing_events=(event,)
    )


@pytest.mark.parametrize('make_world', [World, LabelWorld])
@pytest.mark.parametrize('who', WHO)
def test_who_crosses_is_as_wide_and_high_as_such_people_are(
    who: str, make_world: type[World]
) -> None:
    world = make_world(crossing(who, 30.0))
    for _ in range(90):
        world.step(0.05, 0.0, 0.0)
    frame = world.render()
    (person,) = frame.people
    assert person.y_m == pytest.approx(0.0, abs=0.2)
    assert person.bbox is not None
    x0, y0, x1, y1 = person.bbox
    assert person.visible_share > 0.95
    px_per_m = Camera(world.camera, world.mount).intrinsics.k[0, 0] / (person.x_m - world.mount.x)
    narrowest, widest, lowest, highest = SIZES_M[who]
    if make_world is LabelWorld:  # its people face the camera, and are as wide from each side
        narrowest = min(narrowest, 0.45)
    assert narrowest <= (x1 - x0) / px_per_m <= widest
    assert lowest <= (y1 - y0) / px_per_m <= highest
    assert (frame.labels[y0:y1, x0:x1] == c.PEDESTRIAN).mean() > 0.3


def test_who_lies_in_the_lane_gets_up_and_walks_on() -> None:
    world = LabelWorld(crossing('lying', 2.0))
    heights, offsets = [], []
    for _ in range(100):
        world.step(0.05, 0.0, 0.0)
        (person,) = world.render().people
        heights.append(person.height_m)
        offsets.append(abs(person.y_m))
    assert heights[:39] == [0.3] * 39
    assert max(offsets[:39]) < 0.05
    assert heights[-1] == 1.7
    assert offsets[-1] > 3.0


def test_somebody_of_a_kind_that_nobody_can_paint_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"who 'giraffe' .* Use one of adult, child"):
        crossing('giraffe', 0.0)
