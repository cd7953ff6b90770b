# SPDX-License-Identifier: Apache-2.0
"""Free space as scan, grid and costmap images, from label images painted through a camera."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.navigation.config import NavigationConfig
from seg_ros.core.navigation.navigator import NAVIGATION, Navigation, Navigator
from test import people_scene as scene

CONFIG = NavigationConfig()


def navigator_of(camera: Camera, **changes: Any) -> Navigator:
    table = camera.ground_table()
    config = NavigationConfig(**changes)
    return Navigator(config, scene.LABEL_MAP, camera, table, GroundScale(table))


@lru_cache(maxsize=1)
def navigator() -> Navigator:
    return navigator_of(scene.camera())


def made(labels: Any, confidence: Any = None) -> Any:
    return navigator().update(labels, confidence, NAVIGATION)


def range_at(navigation: Navigation, bearing_rad: float) -> float:
    scan = navigation.scan
    assert scan is not None
    return float(scan.ranges_m[round((bearing_rad - scan.angle_min_rad) / scan.increment_rad)])


def cell_at(navigation: Navigation, x_m: float, y_m: float) -> int:
    grid = navigation.drivable
    assert grid is not None
    column, row = (
        int((value - origin) // grid.resolution_m)
        for value, origin in zip((x_m, y_m), grid.origin_m, strict=True)
    )
    return int(grid.cells[row, column])


def test_nothing_is_made_that_nobody_wants() -> None:
    got = navigator().update(scene.empty_road(), None, {'stop', 'lane'})
    assert got == Navigation(obstacle_height_m=CONFIG.obstacle_height_m)


def test_the_scan_of_an_empty_road_is_infinite_where_the_camera_sees_and_nan_elsewhere() -> None:
    got = made(scene.empty_road())
    assert range_at(got, 0.0) == range_at(got, 0.4) == range_at(got, -0.4) == math.inf
    assert math.isnan(range_at(got, 0.8))
    assert math.isnan(range_at(got, -0.8))
    assert not np.isfinite(got.scan.ranges_m).any()
    seen = np.flatnonzero(got.scan.ranges_m == np.inf)
    assert np.diff(seen).max() == 1  # no gaps in between


@pytest.mark.parametrize(('x', 'y'), [(6.0, 0.0), (8.0, 1.0), (15.0, -3.0)])
def test_a_person_shortens_the_rays_that_meet_it(x: float, y: float) -> None:
    got = made(scene.frame_with((x, y)))
    bearing = math.atan2(y, x)
    assert range_at(got, bearing) == pytest.approx(math.hypot(x, y), rel=0.05)
    half_width = math.atan(0.35 / x)
    for side in (-1.0, 1.0):
        assert range_at(got, bearing + side * (half_width + 0.05)) == math.inf
    # The camera is before the base origin: what it does not see beside a person stays unknown
    finite = got.scan.ranges_m[np.isfinite(got.scan.ranges_m)]
    assert finite == pytest.approx(math.hypot(x, y), rel=0.06)


def test_a_pole_thinner_than_the_scans_step_is_not_missed() -> None:
    labels = scene.empty_road()
    u, v = scene.pixels(12.0, 2.0, 0.0)
    labels[60 : int(v) + 1, int(u)] = scene.POLE
    ranges = made(labels).scan.ranges_m
    assert np.nanmin(ranges) == pytest.approx(math.hypot(12.0, 2.0), rel=0.05)
    assert 1 <= np.isfinite(ranges).sum() <= 4


def test_the_pavement_ends_the_scan_unless_it_is_free() -> None:
    labels = scene.empty_road()
    ground = np.isfinite(scene.camera().ground_table()[..., 1])
    labels[ground & (scene.camera().ground_table()[..., 1] > 3.0)] = scene.PAVEMENT
    bearing = 0.4
    assert range_at(made(labels), bearing) == pytest.approx(3.0 / math.sin(bearing), rel=0.02)
    free = navigator_of(scene.camera(), walkable_is_free=True).update(labels, None, {'scan'})
    assert range_at(free, bearing) == math.inf


def test_a_covered_way_is_blocked_at_the_lower_border_of_the_image() -> None:
    labels = np.full(scene.SIZE_WH[::-1], scene.CAR, np.uint8)
    ranges = made(labels).scan.ranges_m
    nearest = scene.ground().at(320.0, 359.5)
    assert nearest is not None
    assert range_at(made(labels), 0.0) == pytest.approx(nearest.x_m, rel=0.02)
    assert not np.isposinf(ranges).any()


def test_what_is_nearer_than_the_least_range_is_minus_infinity() -> None:
    labels = np.full(scene.SIZE_WH[::-1], scene.CAR, np.uint8)
    got = navigator_of(scene.camera(), scan_range_min_m=10.0).update(labels, None, {'scan'})
    assert range_at(got, 0.0) == -math.inf


def test_a_camera_that_looks_down_does_not_know_what_is_beyond_its_image() -> None:
    camera = Camera(
        CameraIntrinsics.from_field_of_view((160, 90), math.radians(60.0)),
        Mount(z=0.5, pitch=0.8),
    )
    look_down = navigator_of(camera)
    road = np.full((90, 160), scene.ROAD, np.uint8)
    assert not np.isposinf(look_down.update(road, None, {'scan'}).scan.ranges_m).any()  # type: ignore[union-attr]
    road[:45] = scene.CAR
    got = look_down.update(road, None, {'scan'})
    assert range_at(got, 0.0) == pytest.approx(0.5 / math.tan(0.8), rel=0.05)


def test_the_grid_is_free_where_road_is_seen_blocked_where_something_stands() -> None:
    got = made(scene.frame_with((8.0, 1.0)))
    assert got.drivable.cells.shape == (200, 200)
    assert cell_at(got, 7.0, 0.0) == 0
    assert cell_at(got, 15.0, -3.0) == 0
    blocked = np.argwhere(got.drivable.cells == 100)
    x = got.drivable.origin_m[0] + 0.1 * (blocked[:, 1] + 0.5)
    y = got.drivable.origin_m[1] + 0.1 * (blocked[:, 0] + 0.5)
    assert abs(x - 8.0).max() < 0.4
    assert abs(y - 1.0).max() < 0.4
    assert cell_at(got, 12.0, 1.6) == -1  # behind the person, whose body hides it
    assert cell_at(got, 1.0, 0.0) == -1  # below the image
    assert cell_at(got, 5.0, 9.0) == -1  # beside it


def test_the_costmap_images_agree_pixel_by_pixel() -> None:
    labels = scene.frame_with((8.0, 1.0))
    confidence = np.full(labels.shape, 200, np.uint8)
    costmap = made(labels, confidence).costmap
    assert costmap.mask.shape == costmap.confidence.shape == (90, 160)
    assert costmap.points.shape == (90, 160, 3)
    assert costmap.confidence.min() == costmap.confidence.max() == 200
    finite = np.isfinite(costmap.points).all(axis=2)
    assert set(np.unique(costmap.mask[finite])) == {scene.ROAD, scene.PERSON}
    person = costmap.points[finite & (costmap.mask == scene.PERSON)]
    assert len(person) >= CONFIG.min_points
    assert abs(person[:, 0] - 8.0).max() < 0.4
    assert abs(person[:, 1] - 1.0).max() < 0.35
    assert person[:, 2] == pytest.approx(CONFIG.obstacle_height_m)
    # The body above the feet touches nothing
    assert (~finite & (costmap.mask == scene.PERSON)).sum() > len(person)
    road = finite & (costmap.mask == scene.ROAD)
    assert costmap.points[road][:, 2] == pytest.approx(0.0)
    assert np.hypot(*costmap.points[road][:, :2].T).max() <= CONFIG.max_range_m


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'scan_range_min_m': 30.0}, 'greatest range above'),
        ({'scan_angle_min_rad': 0.0, 'scan_angle_max_rad': 0.0}, 'Widen the scan'),
        ({'grid_near_m': 30.0}, 'end beyond where it begins'),
        ({'grid_resolution_m': 0.01, 'grid_far_m': 100.0}, '10000x2000 cells'),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        NavigationConfig(**changes)
