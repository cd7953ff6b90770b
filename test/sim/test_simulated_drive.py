# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Mount
from seg_ros.sim import (
    SCENARIOS,
    WEATHERS,
    CrossingEvent,
    SceneConfig,
    SimDrive,
    SimFrame,
    World,
    random_scene,
)

SMALL = replace(SCENARIOS['city'], size_wh=(192, 108))
FREE = replace(SMALL, car_density=0.0, people_density=0.0, cyclist_density=0.0)


def frames(config: SceneConfig, count: int) -> list[SimFrame]:
    return list(itertools.islice(SimDrive(config), count))


@pytest.mark.parametrize('weather', ['sunny', 'night'])
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(weather: str) -> None:
    config = replace(
        SCENARIOS['busy'], weather=weather, wet=weather == 'night', size_wh=(320, 180)
    )
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = frames(config, 2)
        cv2.setNumThreads(4)
        together = frames(config, 2)
    finally:
        cv2.setNumThreads(before)

    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.labels, b.labels)
        assert a.people == b.people


def test_another_seed_gives_another_drive() -> None:
    first, other = frames(SMALL, 1)[0], frames(replace(SMALL, seed=99), 1)[0]

    assert not np.array_equal(first.labels, other.labels)


def test_rendering_changes_nothing() -> None:
    often, once = World(SMALL), World(SMALL)
    for _ in range(10):
        often.render()
        often.step(0.05)
        once.step(0.05)

    assert np.array_equal(often.render().image, once.render().image)


def test_frames_come_at_the_rate_asked_for() -> None:
    stamps = [frame.stamp_ns for frame in frames(replace(FREE, rate_hz=10.0), 4)]

    assert stamps == [0, 100_000_000, 200_000_000, 300_000_000]


def test_a_frame_has_the_size_and_types_asked_for() -> None:
    frame = frames(replace(FREE, size_wh=(200, 120)), 1)[0]

    assert frame.image.shape == (120, 200, 3)
    assert frame.labels.shape == (120, 200)
    assert frame.image.dtype == frame.labels.dtype == np.uint8
    assert frame.lane_centre.shape == frame.lane_left.shape == frame.lane_right.shape == (81, 2)
    steps = np.hypot(*np.diff(frame.lane_centre, axis=0).T)
    assert steps == pytest.approx(np.full(80, 0.5), rel=0.03)


def test_a_drive_goes_on_for_ten_kilometres() -> None:
    world = World(replace(SMALL, speed_mps=35.0, max_curvature_per_m=0.002, people_density=0.3))
    offsets = []
    for step in itertools.count():
        world.step(0.2)
        if step % 200 == 0:
            offsets.append(world.render().lane_offset_m)
        if world.ego.road_s_m > 10_000.0:
            break

    assert step < 4500
    assert np.abs(offsets).max() < 0.6
    assert len(world._road._x) < 5000
    assert len(world._traffic.walkers) < 200


def test_the_driver_keeps_to_the_lane() -> None:
    world = World(replace(FREE, max_curvature_per_m=0.015))
    made = []
    for _ in range(30):
        for _ in range(10):
            world.step(0.05)
        made.append(world.render())

    assert max(abs(frame.lane_offset_m) for frame in made) < 0.5
    assert max(abs(frame.heading_error_rad) for frame in made) < 0.12


def test_lane_offset_and_heading_error_are_positive_to_the_left() -> None:
    world = World(replace(FREE, straight=True))
    for _ in range(10):
        world.step(0.05, steering_rad=0.1)
    frame = world.render()

    assert frame.lane_offset_m > 0.02
    assert frame.heading_error_rad > 0.02
    assert np.hypot(*frame.lane_centre[0]) == pytest.approx(frame.lane_offset_m)
    assert np.hypot(*(frame.lane_left[0] - frame.lane_right[0])) == pytest.approx(3.5)


def test_a_constant_steering_angle_drives_a_circle() -> None:
    world = World(replace(FREE, straight=True, speed_mps=5.0))
    for _ in range(40):
        world.step(0.05, steering_rad=0.3, acceleration_mps2=0.0)
    start = world.ego
    for _ in range(10):
        world.step(0.05, steering_rad=0.3, acceleration_mps2=0.0)

    turned = world.ego.yaw_rad - start.yaw_rad
    assert turned == pytest.approx(0.5 * 5.0 * math.tan(0.3) / 2.7, rel=1e-3)


def test_the_wheels_follow_the_steering_with_a_lag() -> None:
    world = World(replace(FREE, straight=True))
    world.step(0.15, steering_rad=0.2)

    assert world.ego.steering_rad == pytest.approx(0.2 * (1 - math.exp(-1)), rel=0.02)


def test_braking_ends_at_standstill() -> None:
    world = World(FREE)
    for _ in range(60):
        world.step(0.05, acceleration_mps2=-6.0)

    assert world.ego.speed_mps == 0.0


def test_the_driver_does_not_run_into_the_car_in_front() -> None:
    world = World(replace(SMALL, car_density=4.0, speed_mps=12.0, seed=5))
    for _ in range(1200):
        world.step(0.05)
        for car in world._traffic.cars:
            if abs(car.d_m - world._state.d_m) < 1.5:
                assert not -1.0 < car.s_m - world.ego.road_s_m - 3.6 < 1.9


def test_the_camera_is_the_one_that_was_configured() -> None:
    world = World(replace(FREE, horizontal_fov_deg=90.0))

    assert world.camera.k[0, 0] == pytest.approx(96.0)
    assert world.mount == FREE.mount


@pytest.mark.parametrize('weather', WEATHERS)
def test_every_weather_has_its_own_light(weather: str) -> None:
    frame = frames(replace(SMALL, weather=weather), 1)[0]
    brightness = frame.image.mean()

    assert 15.0 < brightness < 215.0
    assert (brightness < 80.0) == (weather == 'night')


@pytest.mark.parametrize('seed', range(4))
def test_scenes_drawn_at_random_can_be_rendered(seed: int) -> None:
    world = World(random_scene(seed, size_wh=(160, 96)))
    for _ in range(20):
        world.step(0.1)
    frame = world.render()

    assert frame.image.std() > 10.0
    assert len(np.unique(frame.labels)) >= 5


@pytest.mark.parametrize('name', SCENARIOS)
def test_every_named_scenario_is_valid(name: str) -> None:
    config = SCENARIOS[name]

    assert config.size_wh == (640, 360)
    assert all(isinstance(event, CrossingEvent) for event in config.crossing_events)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'weather': 'snow'}, r"'snow' is not known. Use one of sunny"),
        ({'surroundings': 'moon'}, r'Use one of city'),
        ({'size_wh': (8, 8)}, r'at least 32x32'),
        ({'lane_width_m': 0.5}, r'lane_width_m must be between 2.2 and 6.0, 0.5 was asked for'),
        ({'speed_mps': math.nan}, r'speed_mps must be between'),
        ({'people_density': -1.0}, r'people_density must be between'),
    ],
)
def test_a_scene_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SceneConfig(**changes)  # type: ignore[arg-type]


def test_a_camera_that_sees_no_road_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'Let it look further down'):
        World(replace(FREE, mount=Mount(z=1.0, pitch=-0.3), horizontal_fov_deg=30.0))


def test_a_step_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'Take several'):
        World(FREE).step(5.0)
