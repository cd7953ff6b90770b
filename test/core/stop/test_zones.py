# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.zones import (
    ARC_STEP_M,
    CorridorZone,
    ImageZone,
    Motion,
    PolygonZone,
    arc_ahead,
    polygon_zone,
    stopping_distance_m,
)
from seg_ros.core.vehicle import VehicleConfig

STRAIGHT = [(0.0, 0.0), (40.0, 0.0)]


@pytest.mark.parametrize(
    ('x', 'y', 'inside'),
    [
        (5.0, 0.0, True),
        (5.0, 1.4, True),
        (5.0, -1.4, True),
        (5.0, 1.6, False),
        (5.0, -1.6, False),
        (11.9, 0.0, True),
        (12.1, 0.0, False),
        (-0.1, 0.0, False),
    ],
)
def test_a_corridor_is_as_wide_and_long_as_it_says(x: float, y: float, inside: bool) -> None:
    zone = CorridorZone(STRAIGHT, half_width_m=1.5, length_m=12.0)
    assert zone.contains(np.array([[x, y]])).tolist() == [inside]


def test_a_corridor_follows_the_lane() -> None:
    angle = np.linspace(0.0, 1.0, 60)
    bend = np.column_stack([30.0 * np.sin(angle), 30.0 * (1.0 - np.cos(angle))])
    zone = CorridorZone(bend, 1.5, 25.0)
    on_the_lane, straight_on = bend[40], [20.0, 0.0]
    assert zone.contains(np.array([on_the_lane, straight_on])).tolist() == [True, False]
    along, offset = zone.locate(np.array([on_the_lane]))
    assert along[0] == pytest.approx(30.0 * angle[40], rel=1e-3)
    assert offset[0] == pytest.approx(0.0, abs=1e-6)


def test_a_lane_that_is_seen_from_5_m_on_still_counts_from_the_vehicle() -> None:
    zone = CorridorZone([(5.0, 0.5), (15.0, 0.5)], 1.0, 12.0)
    points = np.array([[2.0, 0.5], [11.0, 0.5], [13.0, 0.5]])
    assert zone.contains(points).tolist() == [True, True, False]
    along, _ = zone.locate(points)
    np.testing.assert_allclose(along, points[:, 0])


def test_a_lane_that_ends_early_goes_straight_on() -> None:
    zone = CorridorZone([(0.0, 0.0), (5.0, 0.0)], 1.0, 20.0)
    assert zone.contains(np.array([[18.0, 0.5], [18.0, 1.5]])).tolist() == [True, False]


@pytest.mark.parametrize('centre', [[], [(1.0, 1.0)], [(2.0, 0.0)] * 3, [(math.nan, 0.0)] * 2])
def test_a_corridor_without_a_middle_is_straight_ahead(centre: list[tuple[float, float]]) -> None:
    zone = CorridorZone(np.reshape(centre, (-1, 2)), 1.0, 10.0)
    assert zone.contains(np.array([[9.0, 0.0], [9.0, 2.0]])).tolist() == [True, False]


def test_the_outline_of_a_corridor_encloses_what_it_contains() -> None:
    zone = CorridorZone([(5.0, 0.0), (15.0, 0.0), (30.0, 2.0)], 1.5, 20.0)
    outline = PolygonZone(zone.outline())
    assert outline.contains(np.array([[10.0, 1.4], [10.0, -1.4], [19.0, 0.0]])).all()
    assert not outline.contains(np.array([[10.0, 1.6], [21.0, 0.0]])).any()


def test_a_polygon_may_be_concave() -> None:
    zone = PolygonZone((0, 0, 10, 0, 10, 10, 5, 2, 0, 10))
    assert zone.contains(np.array([[1.0, 5.0], [5.0, 5.0], [5.0, 1.0]])).tolist() == [
        True,
        False,
        True,
    ]


def test_an_image_zone_counts_in_shares_of_the_image() -> None:
    zone = ImageZone((0.25, 0.5, 0.75, 0.5, 0.75, 1.0, 0.25, 1.0))
    feet = np.array([[320.0, 300.0], [100.0, 300.0], [320.0, 100.0], [320.0, 359.0]])
    assert zone.contains(feet, (640, 360)).tolist() == [True, False, False, True]


def test_the_stopping_distance_is_front_margin_reaction_and_braking() -> None:
    config = StopConfig(margin_m=2.0, reaction_s=0.5, deceleration_mps2=2.5)
    vehicle = VehicleConfig(front_m=3.0)
    assert stopping_distance_m(0.0, config, vehicle) == 5.0
    assert stopping_distance_m(10.0, config, vehicle) == pytest.approx(5.0 + 5.0 + 20.0)
    assert stopping_distance_m(-10.0, config) == stopping_distance_m(10.0, config)


@given(st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_faster_never_needs_less_room(a: float, b: float) -> None:
    slow, fast = sorted((a, b))
    assert stopping_distance_m(slow, StopConfig()) <= stopping_distance_m(fast, StopConfig())


@pytest.mark.parametrize('yaw_rate', [0.3, -0.3])
def test_the_way_ahead_bends_with_the_yaw_rate(yaw_rate: float) -> None:
    way = arc_ahead(20.0, Motion(0, 6.0, yaw_rate))
    assert np.sign(way[-1, 1]) == np.sign(yaw_rate)
    steps = np.diff(way, axis=0)
    assert np.hypot(steps[:, 0], steps[:, 1]).sum() == pytest.approx(20.0, rel=0.01)


@pytest.mark.parametrize('motion', [None, Motion(0, 0.0, 1.0), Motion(0, 8.0, 0.0)])
def test_the_way_ahead_is_straight_without_a_turn(motion: Motion | None) -> None:
    assert not arc_ahead(20.0, motion)[:, 1].any()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'polygon_m': ()}, 'polygon_m has 0 numbers'),
        ({'polygon_m': (8.0, 0.0)}, 'a length and half a width above 0'),
        ({'polygon_m': (0.0, 1.0, 2.0, 3.0, 4.0)}, 'three or more corners'),
        ({'polygon_m': (0.0, 1.0, 2.0, math.nan, 4.0, 5.0)}, 'must be finite'),
        ({'image_polygon': ()}, 'image_polygon has 0 numbers'),
        ({'image_polygon': (0.0, 0.0, 640.0, 0.0, 640.0, 360.0)}, 'shares of the width'),
    ],
)
def test_a_polygon_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        StopConfig(**changes)  # type: ignore[arg-type]


def test_the_default_polygon_begins_at_the_front_bumper() -> None:
    near, far = polygon_zone(StopConfig()), polygon_zone(StopConfig(), VehicleConfig(front_m=1.0))
    assert near.outline().tolist() == [[3.6, 1.5], [12.0, 1.5], [12.0, -1.5], [3.6, -1.5]]
    assert far.outline()[:, 0].tolist() == [1.0, 9.4, 9.4, 1.0]


@pytest.mark.parametrize('offset_m', [-1.2, 0.0, 1.2])
def test_the_default_image_zone_of_a_level_camera_ends_behind_the_stopping_distance(
    offset_m: float,
) -> None:
    config = StopConfig()
    needed_m = stopping_distance_m(config.worst_case_speed_mps, config)
    focal_px, height_m, size_wh = 532.0, 1.4, (640, 360)  # 62 degrees

    def holds(distance_m: float) -> bool:
        foot = [320.0 - focal_px * offset_m / distance_m, 180.0 + focal_px * height_m / distance_m]
        return bool(ImageZone(config.image_polygon).contains(np.array([foot]), size_wh)[0])

    assert [holds(x) for x in (5.0, 0.5 * needed_m, needed_m)] == [True, True, True]
    assert not holds(2.0 * needed_m)


@pytest.mark.parametrize('length_m', [0.7, 3.3, 20.0])
def test_the_way_ahead_in_a_turn_has_a_point_every_step_to_its_end(length_m: float) -> None:
    way = arc_ahead(length_m, Motion(0, 2.0, 0.1))
    steps_m = np.hypot(*np.diff(way, axis=0).T)
    assert steps_m.max() <= ARC_STEP_M
    assert steps_m.sum() == pytest.approx(length_m, rel=0.01)
    assert np.hypot(*way[0]) == 0.0


def test_the_points_of_a_corridor_are_in_rows_along_it_from_left_to_right() -> None:
    angle = np.linspace(0.0, 1.0, 25)
    bend = np.column_stack([40.0 * np.sin(angle), 40.0 * (1.0 - np.cos(angle))])
    zone = CorridorZone(bend, 1.5, 10.0)
    cells = zone.cells(2.0, 3)
    along, offset = zone.locate(cells.reshape(-1, 2))
    rows = 2.25 + 0.5 * np.arange(16)  # the middles of half metres, from 2 m to 10 m
    np.testing.assert_allclose(along.reshape(16, 3), np.repeat(rows[:, None], 3, 1), atol=0.05)
    np.testing.assert_allclose(offset.reshape(16, 3), [[1.0, 0.0, -1.0]] * 16, atol=0.01)


@pytest.mark.parametrize('from_x', [-3.0, 0.0, 4.0])
def test_the_outline_of_a_straight_corridor_is_its_four_corners(from_x: float) -> None:
    outline = CorridorZone([(from_x, 0.0), (40.0, 0.0)], 1.5, 12.0).outline()
    near_x = max(from_x, 0.0)
    corners = [[near_x, 1.5], [12.0, 1.5], [12.0, -1.5], [near_x, -1.5]]
    np.testing.assert_allclose(outline, corners)


def test_a_corridor_that_ends_where_a_piece_begins_has_nothing_of_that_piece() -> None:
    zone = CorridorZone([(0.0, 0.0), (5.0, 0.0), (10.0, 5.0)], 1.0, 5.0)
    np.testing.assert_allclose(zone.outline(), [[0.0, 1.0], [5.0, 1.0], [5.0, -1.0], [0.0, -1.0]])


def test_the_points_of_a_polygon_behind_begin_at_its_near_side() -> None:
    behind = PolygonZone((-4.0, -1.0, -1.0, -1.0, -1.0, 1.0, -4.0, 1.0))
    rows = behind.cells(2.0, 1)[:, 0, 0]
    np.testing.assert_allclose(rows, -1.25 - 0.5 * np.arange(6))
    ahead = PolygonZone((1.0, -1.0, 4.0, -1.0, 4.0, 1.0, 1.0, 1.0))
    np.testing.assert_allclose(ahead.cells(2.0, 1)[:, 0, 0], 2.25 + 0.5 * np.arange(4))


def test_a_long_zone_has_no_more_rows_than_a_short_one_may_have() -> None:
    assert len(CorridorZone(STRAIGHT, 1.5, 200.0).cells(0.0, 3)) == 32


@pytest.mark.parametrize('side', [1.0, -1.0])
def test_the_way_ahead_turns_by_a_quarter_at_most(side: float) -> None:
    way = arc_ahead(60.0, Motion(0, 2.0, side * 2.0))
    np.testing.assert_allclose(way[-1], [8.0, side * 8.0])  # the tightest arc, of 8 m
    np.testing.assert_allclose(np.abs(way).max(axis=0), [8.0, 8.0])


def test_below_the_picture_the_sides_of_an_image_zone_part_thrice_as_fast() -> None:
    zone = ImageZone((0.4, 0.5, 0.6, 0.5, 0.7, 1.0, 0.3, 1.0))
    # 0.1 of the width in half a height; thrice that slope below: 0.76 at 1.1 heights
    columns = np.array([0.755, 0.765, 0.245, 0.235]) * 1000.0 - 0.5
    points = np.column_stack([columns, np.full(4, 1.1 * 1000.0 - 0.5)])
    assert zone.contains(points, (1000, 1000)).tolist() == [True, False, True, False]
