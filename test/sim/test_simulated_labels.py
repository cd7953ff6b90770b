# SPDX-License-Identifier: Apache-2.0
"""What is projected lands on its class; what is labelled lies where it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.sim import SCENARIOS, SceneConfig, SimFrame, World
from seg_ros.sim import classes as c

EMPTY = replace(SCENARIOS['empty'], crossings_per_km=0.0)
MOUNTS = {
    'usual': EMPTY.mount,
    'rolled': Mount(x=1.0, y=0.3, z=1.2, roll=0.06, pitch=0.1, yaw=-0.1),
    'low': Mount(x=2.0, z=0.6, pitch=0.02, yaw=0.08),
}


def driven(config: SceneConfig, seconds: float = 6.0) -> tuple[World, SimFrame]:
    world = World(config)
    for _ in range(round(seconds / 0.1)):
        world.step(0.1)
    return world, world.render()


def pixels_of(
    world: World, points: NDArray[np.float64], reach_m: float = 25.0
) -> NDArray[np.int64]:
    """Columns and rows of ground points in front of the vehicle and inside of the image."""
    camera = Camera(world.camera, world.mount)
    near = np.hypot(points[:, 0], points[:, 1]) < reach_m
    pixels, in_front = camera.project(np.column_stack([points, np.zeros(len(points))]))
    found = np.rint(pixels[in_front & near]).astype(np.int64)
    width, height = world.config.size_wh
    inside = (found >= 1).all(axis=1) & (found < (width - 1, height - 1)).all(axis=1)
    return np.asarray(found[inside])


def distance_to(path: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """From every point to a path, metres."""
    start, along = path[:-1], np.diff(path, axis=0)
    offset = points[:, None] - start
    part = np.clip((offset * along).sum(axis=-1) / (along**2).sum(axis=-1), 0.0, 1.0)
    gap = offset - part[..., None] * along
    return np.asarray(np.hypot(gap[..., 0], gap[..., 1]).min(axis=1))


@pytest.mark.parametrize('mount', MOUNTS)
def test_the_true_middle_of_the_lane_lies_on_the_road(mount: str) -> None:
    world, frame = driven(replace(EMPTY, mount=MOUNTS[mount]))

    columns, rows = pixels_of(world, frame.lane_centre).T

    assert len(rows) > 20
    assert set(frame.labels[rows, columns]) == {c.ROAD}


@pytest.mark.parametrize('mount', MOUNTS)
def test_the_true_right_line_is_painted(mount: str) -> None:
    world, frame = driven(replace(EMPTY, mount=MOUNTS[mount]))

    columns, rows = pixels_of(world, frame.lane_right, reach_m=16.0).T

    assert len(rows) > 5
    assert set(frame.labels[rows, columns]) == {c.LANE_MARKING}


@pytest.mark.parametrize('mount', MOUNTS)
@pytest.mark.parametrize('seed', [1, 2])
def test_every_marking_pixel_lies_on_a_true_line(mount: str, seed: int) -> None:
    world, frame = driven(replace(EMPTY, mount=MOUNTS[mount], seed=seed))
    table = Camera(world.camera, world.mount).ground_table()
    across = frame.lane_left - frame.lane_right

    marked = table[frame.labels == c.LANE_MARKING].astype(np.float64)
    marked = marked[np.hypot(marked[:, 0], marked[:, 1]) < 35.0]
    marked = marked[marked[:, 0] > 3.0]

    lines = (frame.lane_right, frame.lane_left, frame.lane_left + across)
    gap_m = np.min([distance_to(line, marked) for line in lines], axis=0)
    assert len(marked) > 300
    assert gap_m.max() < 0.15


def test_a_marking_is_brighter_than_the_road_beside_it() -> None:
    _, frame = driven(EMPTY)
    below = slice(220, None)
    grey = frame.image[below].mean(axis=-1)

    marked = grey[frame.labels[below] == c.LANE_MARKING].mean()
    road = grey[frame.labels[below] == c.ROAD].mean()

    assert marked > road + 40.0


def test_zebra_stripes_are_road() -> None:
    config = replace(EMPTY, crossings_at_m=(60.0,), straight=True)
    world, frame = driven(config, seconds=5.6)
    ahead_m = 60.0 - frame.ego.road_s_m
    centre_line_y = frame.lane_left[0, 1]
    stripes = np.array([[ahead_m, centre_line_y + 0.25 - d] for d in range(4)])

    columns, rows = pixels_of(world, stripes).T
    gap_columns, gap_rows = pixels_of(world, stripes - [0.0, 0.5]).T

    assert 6.0 < ahead_m < 25.0
    assert set(frame.labels[rows, columns]) == {c.ROAD}
    stripe_grey = frame.image[rows, columns].mean()
    assert stripe_grey > frame.image[gap_rows, gap_columns].mean() + 40.0


def test_the_pavement_starts_where_the_asphalt_ends() -> None:
    world, frame = driven(replace(EMPTY, straight=True))
    right = frame.lane_right[20:40]
    kerb_m = 0.3 + 2.2

    road = pixels_of(world, right - [0.0, kerb_m - 0.15])
    pavement = pixels_of(world, right - [0.0, kerb_m + 0.15])

    assert set(frame.labels[road[:, 1], road[:, 0]]) <= {c.ROAD, c.POLE, c.SIGN, c.TREE}
    assert set(frame.labels[pavement[:, 1], pavement[:, 0]]) <= {
        c.PAVEMENT,
        c.POLE,
        c.SIGN,
        c.TREE,
    }
    assert (frame.labels[pavement[:, 1], pavement[:, 0]] == c.PAVEMENT).mean() > 0.5


def test_above_the_horizon_there_is_no_ground() -> None:
    world, frame = driven(EMPTY)
    sky_rows = np.isnan(Camera(world.camera, world.mount).ground_table()[:, 320, 0])

    assert not np.isin(frame.labels[sky_rows], [c.ROAD, c.PAVEMENT, c.LANE_MARKING]).any()


@pytest.mark.parametrize('name', ['city', 'country', 'night_rain', 'busy', 'avenue', 'suburb'])
def test_every_scenario_shows_every_class_that_belongs_to_it(name: str) -> None:
    expected = {c.SKY, c.BUILDING, c.POLE, c.ROAD, c.PAVEMENT, c.TREE, c.SIGN, c.FENCE}
    expected |= {c.VEHICLE, c.PEDESTRIAN, c.CYCLIST, c.LANE_MARKING}
    config = replace(SCENARIOS[name], size_wh=(256, 144), cyclist_density=5.0, people_density=2.0)
    world = World(config)
    seen: set[int] = set()
    for _ in range(40):
        for _ in range(20):
            world.step(0.1)
        seen |= set(np.unique(world.render().labels).tolist())
        if seen == expected:
            break

    assert seen == expected


def test_an_empty_road_has_nobody_on_it() -> None:
    _, frame = driven(SCENARIOS['empty'])

    assert not np.isin(frame.labels, [c.VEHICLE, c.PEDESTRIAN, c.CYCLIST]).any()
    assert frame.people == frame.cyclists == ()


def test_barriers_stand_along_the_asphalt_as_fences_with_a_gap_at_every_crossing() -> None:
    plain = replace(EMPTY, crossings_at_m=(60.0,), seed=5)
    world, frame = driven(replace(plain, barrier_share=1.0))
    _, without = driven(plain)
    barriers = [
        fence
        for block in world._scenery.blocks(0.0, 200.0)
        for fence in block.fences
        if fence.kind in ('guard_rail', 'concrete')
    ]
    assert {fence.kind for fence in barriers} == {'guard_rail', 'concrete'}
    assert {fence.d_m > 0.0 for fence in barriers} == {True, False}
    assert all(not fence.s0_m - 9.0 < 60.0 < fence.s1_m + 9.0 for fence in barriers)
    # They hide what was there, and nothing of the road between them has moved
    moved = frame.labels != without.labels
    assert (frame.labels[moved] == c.FENCE).mean() > 0.95
    assert moved.mean() > 0.01
