# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import SCENARIOS, CrossingEvent, SceneConfig, World
from seg_ros.sim import classes as sim
from seg_ros.sim.labels.renderer import LabelWorld
from seg_ros.sim.paint.canvas import FIRST_CYCLIST_CODE, FIRST_PERSON_CODE

SMALL = replace(SCENARIOS['empty'], size_wh=(320, 180))
CROSSING = replace(
    SMALL,
    straight=True,
    speed_mps=4.0,
    stop_for_people=False,
    crossing_events=(CrossingEvent(at_m=22.0, trigger_distance_m=21.0, speed_mps=1.4),),
)


def after(world: World, seconds: float) -> World:
    for _ in range(round(20 * seconds)):
        world.step(0.05)
    return world


def test_somebody_who_crosses_is_painted_where_it_stands() -> None:
    world = after(LabelWorld(CROSSING), 2.5)
    frame = world.render()
    (person,) = frame.people
    assert person.visible_share > 0.95
    rows, columns = np.nonzero(frame.labels == sim.PEDESTRIAN)
    (foot, head), _ = Camera(world.camera, world.mount).project(
        [[person.x_m, person.y_m, 0.0], [person.x_m, person.y_m, person.height_m]]
    )
    assert abs(rows.max() + 0.5 - foot[1]) < 1.5
    assert abs(rows.min() - head[1]) < 2.0
    assert abs(columns.mean() - foot[0]) < 2.5
    assert person.bbox == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_everybody_has_a_code_where_the_labels_say_people() -> None:
    event = CROSSING.crossing_events[0]
    pair = replace(CROSSING, crossing_events=(event, replace(event, at_m=event.at_m + 3.0)))
    for make in (LabelWorld, World):
        frame = after(make(pair), 2.5).render()
        seen = [person for person in frame.people if person.visible_share > 0.0]
        assert len(seen) == 2
        walks = (frame.codes >= FIRST_PERSON_CODE) & (frame.codes < FIRST_CYCLIST_CODE)
        assert (walks == (frame.labels == sim.PEDESTRIAN)).all()
        assert len(np.unique(frame.codes[walks])) == 2
        others = ~walks & (frame.codes < FIRST_CYCLIST_CODE)
        assert (frame.codes[others] == frame.labels[others]).all()


def test_truth_and_ground_are_those_of_the_full_picture() -> None:
    scene: SceneConfig = replace(CROSSING, people_density=1.0)
    plain, full = (after(make(scene), 1.0).render() for make in (LabelWorld, World))
    assert plain.ego == full.ego
    assert [(p.id, p.x_m, p.y_m) for p in plain.people] == [
        (p.id, p.x_m, p.y_m) for p in full.people
    ]
    ground_ids = sim.ROAD, sim.LANE_MARKING, sim.PAVEMENT
    ground = np.isin(full.labels, ground_ids) & np.isin(plain.labels, ground_ids)
    assert ground.mean() > 0.4
    assert (plain.labels[ground] == full.labels[ground]).mean() > 0.99


def test_parked_cars_hide_who_is_behind_them() -> None:
    scene = replace(CROSSING, surroundings='city', people_density=3.0)
    free, parked = (
        [p.visible_share for p in LabelWorld(replace(scene, car_density=cars)).render().people]
        for cars in (0.0, 2.0)
    )
    assert len(free) == len(parked)
    assert sum(free) > sum(parked) + 0.5
    assert all(0.0 <= share <= 1.0 for share in (*free, *parked))
