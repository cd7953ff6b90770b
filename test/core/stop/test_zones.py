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


def test_the_border_of_a_corridor_is_of_it() -> None:
    zone = CorridorZone(STRAIGHT, half_width_m=1.5, length_m=12.0)
    corners = np.array([[0.0, 0.0], [12.0, 0.0], [5.0, 1.5], [5.0, -1.5], [12.0, 1.5]])
    assert zone.contains(corners).all()
    assert not zone.contains(corners + np.sign(corners - [5.0, 0.0]) * 1e-9).any()
    assert (zone.half_width_m, zone.length_m, zone.reach_m) == (1.5, 12.0, 13.5)


def test_an_offset_is_above_0_to_the_left_also_beyond_the_outer_side_of_a_corner() -> None:
    zone = CorridorZone([(0.0, 0.0), (5.0, 0.0), (5.0, 5.0)], 1.0, 9.0)
    points = np.array([[2.0, 0.5], [2.0, -0.5], [6.0, -1.0], [4.5, 2.0], [5.5, 2.0], [5.0, 8.0]])
    along, offset = zone.locate(points)
    np.testing.assert_allclose(along, [2.0, 2.0, 5.0, 7.0, 7.0, 13.0])
    np.testing.assert_allclose(offset, [0.5, -0.5, -math.sqrt(2.0), 0.5, -0.5, 0.0], atol=1e-12)


def test_a_lane_that_begins_beside_and_behind_the_vehicle_counts_from_it() -> None:
    zone = CorridorZone([(-4.0, 2.0), (-2.0, 2.0), (30.0, 2.0)], 1.0, 10.0)
    along, offset = zone.locate(np.array([[0.0, 2.0], [10.0, 3.0], [-6.0, 2.0]]))
    np.testing.assert_allclose(along, [0.0, 10.0, -6.0], atol=1e-12)
    np.testing.assert_allclose(offset, [0.0, 1.0, 0.0], atol=1e-12)
    assert zone.contains(np.array([[0.0, 2.0], [10.1, 2.0], [-0.1, 2.0]])).tolist() == [
        True,
        False,
        False,
    ]
    np.testing.assert_allclose(zone.outline()[:, 0].min(), 0.0, atol=1e-12)


@pytest.mark.parametrize('step_m', [0.2, 0.9, 1.0])
def test_a_lane_means_the_same_with_more_points_or_fewer(step_m: float) -> None:
    """A right angle after 5 m; points are dropped where they are closer than a metre."""
    way = np.arange(0.0, 12.0 + 1e-9, step_m)
    centre = np.column_stack([np.minimum(way, 5.0), np.maximum(way - 5.0, 0.0)])
    zone = CorridorZone(centre, 1.0, 9.0)
    along, offset = zone.locate(np.array([[2.0, 0.0], [5.0, 3.5], [5.5, 3.0]]))
    np.testing.assert_allclose(along, [2.0, 8.5, 8.0], atol=0.5)
    np.testing.assert_allclose(offset, [0.0, 0.0, -0.5], atol=0.35)
    assert len(zone.outline()) <= 2 * 12


def test_the_last_point_of_a_lane_is_kept_however_close_it_is() -> None:
    zone = CorridorZone([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.3, 0.4)], 1.0, 12.0)
    # From there it goes on as the last piece does, which is 53 degrees to the left
    (along,), (offset,) = zone.locate(np.array([[2.0 + 5.0 * 0.6, 5.0 * 0.8]]))
    assert along == pytest.approx(7.0)
    assert offset == pytest.approx(0.0, abs=1e-9)


def test_the_outline_of_a_bent_corridor_has_its_width_at_both_sides_of_every_piece() -> None:
    zone = CorridorZone([(-1.0, 0.0), (5.0, 0.0), (5.0, 5.0), (0.0, 5.0)], 1.0, 8.0)
    left, right = [[0.0, 1.0], [4.0, 0.0], [4.0, 3.0]], [[6.0, 3.0], [6.0, 0.0], [0.0, -1.0]]
    np.testing.assert_allclose(zone.outline(), left + right, atol=1e-12)


def test_a_corridor_without_a_length_has_no_outline() -> None:
    assert zone_of(0.0).outline().shape == (0, 2)
    assert len(zone_of(1e-6).outline()) == 4


def zone_of(length_m: float) -> CorridorZone:
    return CorridorZone(STRAIGHT, 1.5, length_m)


def test_the_points_of_a_zone_that_ends_before_they_begin_are_one_row() -> None:
    cells = CorridorZone(STRAIGHT, 1.5, 2.0).cells(3.0, 2)
    np.testing.assert_allclose(cells, [[[3.0, 0.75], [3.0, -0.75]]])


def test_the_points_of_a_corridor_begin_where_its_given_middle_does_or_before() -> None:
    cells = CorridorZone([(5.0, 0.0), (30.0, 0.0)], 1.5, 3.0).cells(0.0, 1)
    np.testing.assert_allclose(cells[:, 0], [(0.25 + 0.5 * row, 0.0) for row in range(6)])


@pytest.mark.parametrize('side', [1.0, -1.0])
def test_the_points_of_a_polygon_beside_go_away_from_the_vehicle(side: float) -> None:
    zone = PolygonZone([(-1.0, side), (1.0, side), (1.0, 3.0 * side), (-1.0, 3.0 * side)])
    cells = zone.cells(2.0, 2)  # how long the vehicle is does not matter at its side
    np.testing.assert_allclose(cells[:, 0, 1], side * (1.25 + 0.5 * np.arange(4)))
    np.testing.assert_allclose(cells[:, :, 0], [[0.5, -0.5]] * 4)


def test_points_are_nowhere_where_the_polygon_is_not() -> None:
    cells = PolygonZone((1.0, 0.0, 3.0, -2.0, 3.0, 2.0)).cells(0.0, 4)  # a triangle ahead
    known = np.isfinite(cells).all(axis=2)
    assert known.tolist() == [
        [False] * 4, [False, True, True, False], [False, True, True, False], [True] * 4,
    ]  # fmt: skip
    np.testing.assert_allclose(cells[3, :, 1], [1.5, 0.5, -0.5, -1.5])


def test_a_polygon_reaches_to_its_furthest_corner() -> None:
    assert PolygonZone((1.0, 0.0, 3.0, -4.0, 3.0, 2.0)).reach_m == 5.0


@pytest.mark.parametrize('side', [1.0, -1.0])
@pytest.mark.parametrize('speed_mps', [-3.0, 3.0])
def test_a_turn_is_a_circle_to_the_side_to_which_the_vehicle_turns(
    speed_mps: float, side: float
) -> None:
    """Of 20 m radius: yaw rate by speed. Backwards it bends to the other side of the way."""
    way = arc_ahead(10.0, Motion(0, speed_mps, side * 3.0 / 20.0))
    bend = side * math.copysign(1.0, speed_mps)
    np.testing.assert_allclose(np.hypot(way[:, 0], way[:, 1] - 20.0 * bend), 20.0)
    np.testing.assert_allclose(way[-1], [20 * math.sin(0.5), bend * 20 * (1 - math.cos(0.5))])
    assert len(way) == 11


def test_no_way_turns_tighter_than_8_m_and_none_is_known_further_than_500_m() -> None:
    way = arc_ahead(8.0, Motion(0, 2.0, 1.5))
    np.testing.assert_allclose(np.hypot(way[:, 0], way[:, 1] - 8.0), 8.0)
    assert arc_ahead(1e6, None)[-1].tolist() == [500.0, 0.0]
    assert len(arc_ahead(1e6, Motion(0, 40.0, 0.01))) == 501


@pytest.mark.parametrize(('speed_mps', 'is_bent'), [(0.99, False), (1.0, True), (-1.0, True)])
def test_below_a_metre_a_second_a_yaw_rate_says_nothing_about_the_way(
    speed_mps: float, is_bent: bool
) -> None:
    assert bool(arc_ahead(20.0, Motion(0, speed_mps, 0.05))[:, 1].any()) is is_bent


def test_an_arc_that_is_off_by_a_centimetre_at_20_m_is_straight() -> None:
    assert len(arc_ahead(20.0, Motion(0, 10.0, 0.00049))) == 2
    assert len(arc_ahead(20.0, Motion(0, 10.0, 0.00051))) == 21
    assert arc_ahead(0.0, None).tolist() == [[0.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize(('v', 'inside'), [(1.0, True), (3.99, True), (4.01, False)])
def test_an_image_zone_goes_on_below_to_four_heights_of_the_picture(
    v: float, inside: bool
) -> None:
    zone = ImageZone((0.4, 0.5, 0.6, 0.5, 0.7, 1.0, 0.3, 1.0))
    assert zone.contains(np.array([[499.5, 1000.0 * v - 0.5]]), (1000, 1000)).tolist() == [inside]


def test_a_pixel_is_where_its_middle_is() -> None:
    zone = ImageZone((0.5, 0.5, 0.9, 0.5, 0.9, 0.9, 0.5, 0.9))
    pixels = np.array(
        [[49.0, 60.0], [50.0, 60.0], [60.0, 49.0], [60.0, 50.0], [89.0, 60.0], [90, 60]]
    )
    assert zone.contains(pixels, (100, 100)).tolist() == [False, True, False, True, True, False]


def test_the_points_of_an_image_zone_fill_its_rows_from_below() -> None:
    cells = ImageZone((0.4, 0.5, 0.6, 0.5, 0.7, 1.0, 0.3, 1.0)).cells(2, 2)
    np.testing.assert_allclose(cells[..., 1], [[0.875] * 2, [0.625] * 2])
    np.testing.assert_allclose(cells[..., 0], [[0.4125, 0.5875], [0.4375, 0.5625]])


def test_points_are_nowhere_between_two_parts_of_an_image_zone() -> None:
    """A gate: two pillars, and a beam above."""
    gate = (0.1, 1.0, 0.1, 0.2, 0.9, 0.2, 0.9, 1.0, 0.7, 1.0, 0.7, 0.4, 0.3, 0.4, 0.3, 1.0)
    known = np.isfinite(ImageZone(gate).cells(4, 4)).all(axis=2)
    assert known.tolist() == [[True, False, False, True]] * 3 + [[True] * 4]


@pytest.mark.parametrize(
    'corners', [(0.4, 1.0, 0.5, 0.5, 0.6, 1.0), (0.6, 1.0, 0.4, 1.0, 0.5, 0.5)]
)
def test_below_it_goes_on_whichever_corner_is_named_first(corners: tuple[float, ...]) -> None:
    zone = ImageZone(corners)
    # 0.2 of the width a height, thrice that below: 0.3 more after half a height
    points = np.array([[0.105, 1.5], [0.095, 1.5], [0.895, 1.5], [0.905, 1.5]]) * 1000.0 - 0.5
    assert zone.contains(points, (1000, 1000)).tolist() == [True, False, True, False]


def test_the_rectangle_ahead_is_as_wide_to_both_sides_and_begins_at_the_bumper() -> None:
    zone = polygon_zone(StopConfig(polygon_m=(4.0, 2.0)), VehicleConfig(front_m=1.0))
    inside = zone.contains(np.array([[1.1, 1.9], [4.9, -1.9], [0.9, 0.0], [5.1, 0.0], [3.0, 2.1]]))
    assert inside.tolist() == [True, True, False, False, False]
    given = polygon_zone(StopConfig(polygon_m=(0.0, 0.0, 2.0, 0.0, 2.0, 2.0)))
    assert given.outline().tolist() == [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]]


@pytest.mark.parametrize('x', [1.0, 3.0, 5.0, 9.0])
def test_a_corner_beside_a_point_is_counted_once(x: float) -> None:
    diamond = PolygonZone((0.0, 0.0, 5.0, 5.0, 10.0, 0.0, 5.0, -5.0))
    inside = diamond.contains(np.array([[x, 0.0], [-x, 0.0], [10.0 + x, 0.0]]))
    assert inside.tolist() == [True, False, False]


def test_a_piece_that_ends_less_than_a_metre_ahead_is_in_the_outline() -> None:
    outline = CorridorZone([(-1.0, 0.0), (0.5, 0.0), (9.0, 0.0)], 1.5, 8.0).outline()
    assert outline.tolist() == [
        [0.0, 1.5], [0.5, 1.5], [8.0, 1.5], [8.0, -1.5], [0.5, -1.5], [0.0, -1.5],
    ]  # fmt: skip


def test_a_lane_that_is_seen_from_5_m_on_is_followed_round_its_corner() -> None:
    zone = CorridorZone([(5.0, 0.0), (15.0, 0.0), (15.0, 20.0)], 1.0, 25.0)
    (along,), (offset,) = zone.locate(np.array([[15.0, 8.0]]))
    assert (along, offset) == pytest.approx((23.0, 0.0))
    assert zone.contains(np.array([[15.0, 8.0], [23.0, 0.0]])).tolist() == [True, False]


def test_what_is_round_a_corner_at_the_end_of_a_zone_is_beyond_it() -> None:
    zone = CorridorZone([(0.0, 0.0), (10.0, 0.0), (10.0, 20.0)], 1.5, 10.0)
    points = np.array([[10.0, 1.2], [9.5, -1.2], [9.5, 0.0]])
    assert zone.contains(points).tolist() == [False, True, True]


def test_a_last_point_that_comes_twice_changes_nothing() -> None:
    zone = CorridorZone([(0.0, 0.0), (5.0, 0.0), (5.0, 0.0)], 1.0, 20.0)
    assert zone.contains(np.array([[18.0, 0.5], [18.0, 1.5]])).tolist() == [True, False]


def test_a_row_of_points_through_two_corners_goes_from_one_to_the_other() -> None:
    cells = ImageZone((0.5, 0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 0.5)).cells(1, 2)
    np.testing.assert_allclose(cells, [[[0.25, 0.5], [0.75, 0.5]]])


def test_a_lane_that_begins_behind_is_followed_round_its_corner() -> None:
    zone = CorridorZone([(-4.0, 0.0), (6.0, 0.0), (6.0, 20.0)], 1.0, 9.0)
    (along,), (offset,) = zone.locate(np.array([[6.0, 2.0]]))
    assert (along, offset) == pytest.approx((8.0, 0.0))


@pytest.mark.parametrize('side', [1.0, -1.0])
def test_the_points_of_a_polygon_that_is_near_begin_at_the_vehicle_as_well(side: float) -> None:
    near = PolygonZone(np.array([(0.1, -0.2), (1.1, -0.2), (1.1, 0.2), (0.1, 0.2)]) * side)
    np.testing.assert_allclose(near.cells(0.0, 1)[:, 0, 0], [side * 0.35, side * 0.85])


@given(
    turns=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=8),
    start=st.tuples(st.floats(-8.0, 8.0), st.floats(-4.0, 4.0)),
    length_m=st.floats(0.5, 30.0),
    seed=st.integers(0, 2**16),
)
def test_no_place_in_a_corridor_is_outside_of_its_box(
    turns: list[float], start: tuple[float, float], length_m: float, seed: int
) -> None:
    heading = np.cumsum(turns)
    steps = 3.0 * np.column_stack([np.cos(heading), np.sin(heading)])
    zone = CorridorZone(
        np.array(start) + np.vstack([[0.0, 0.0], steps.cumsum(axis=0)]), 1.5, length_m
    )
    places = np.random.default_rng(seed).uniform(-40.0, 40.0, (4000, 2))
    inside = places[zone.contains(places)]
    x0, y0, x1, y1 = zone.box
    assert (inside >= (x0, y0)).all()
    assert (inside <= (x1, y1)).all()


def test_the_box_of_a_corridor_is_no_larger_than_it() -> None:
    zone = CorridorZone(STRAIGHT, half_width_m=1.5, length_m=60.0)
    assert zone.box == pytest.approx((-1.5, -1.5, 61.5, 1.5), abs=1e-5)


def test_the_box_of_a_polygon_has_its_outermost_corners() -> None:
    zone = PolygonZone([(2.0, -1.0), (9.0, 0.0), (4.0, 3.0)])
    assert zone.box == pytest.approx((2.0, -1.0, 9.0, 3.0), abs=1e-5)
