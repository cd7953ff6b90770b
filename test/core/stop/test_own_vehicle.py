# SPDX-License-Identifier: Apache-2.0
"""The own vehicle is what stands still below while all else moves; nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.stop.own_vehicle import (
    LOOK_EVERY_S,
    LOOK_WH,
    LOOKS,
    OwnVehicle,
    _outline,
    _polygon,
)
from seg_ros.core.stop.zones import Motion
from seg_ros.core.types import NetworkView
from seg_ros.decisions import CameraDecisions
from test.people_scene import LABEL_MAP, PERSON, SIZE_WH, empty_road

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = LOOK_WH
MOST = 0.2
WINDOW_S = LOOKS * LOOK_EVERY_S
WORLD = (
    np.random.default_rng(5).integers(70, 200, (40, 60), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
)
BONNET = 0.86 + 0.08 * ((np.arange(WIDTH) - 80) / 80) ** 2  # share of the height, by column


def drive(
    subject: OwnVehicle,
    seconds: float = 2.0 * WINDOW_S + 1.0,
    edge: NDArray[np.floating] | None = None,
    speed: float = 3.0,
    begin_s: float = 0.0,
    swing: float = 0.0,
) -> None:
    """Shows pictures of a world that moves, and what hides it below an edge."""
    random = np.random.default_rng(1)
    rows = np.arange(HEIGHT)[:, None]
    for index in range(round(seconds / LOOK_EVERY_S)):
        down = int(speed * index)
        frame = np.roll(WORLD, (down, down // 2), (0, 1))[:HEIGHT, :WIDTH].astype(float)
        if edge is not None:
            hidden = rows >= (edge + swing * np.sin(0.7 * index)) * HEIGHT
            shine = 10.0 * np.sin(0.3 * index)  # what it mirrors
            frame = np.where(hidden, 45.0 + shine + 0.1 * frame[::-1], frame)
        frame += random.normal(0.0, 1.0, frame.shape)
        picture = np.clip(frame, 0, 255).astype(np.uint8)[..., None].repeat(3, 2)
        subject.update(picture, round((begin_s + index * LOOK_EVERY_S) * 1e9), MOST)


def test_a_bonnet_is_found_where_it_is() -> None:
    subject = OwnVehicle()
    drive(subject, edge=BONNET)
    corners = np.reshape(subject.polygon, (-1, 2))
    assert len(corners) > 4
    top = corners[1:-1]
    assert top[:, 1] == pytest.approx(
        np.interp(top[:, 0], np.arange(160) / 160, BONNET), abs=0.025
    )
    assert (corners[:, 0].min(), corners[:, 0].max()) == (0.0, 1.0)
    StopConfig(ego_mask=subject.polygon)  # it can be given as that
    assert {type(value) for value in subject.polygon} == {float}  # and is told so


def test_it_must_be_seen_twice() -> None:
    subject = OwnVehicle()
    drive(subject, WINDOW_S + 1.0, BONNET)
    assert subject.polygon == ()


@pytest.mark.parametrize(
    ('what', 'edge', 'speed', 'swing'),
    [
        ('nothing', None, 3.0, 0.0),
        ('a vehicle that stands, so that all stands still', BONNET, 0.0, 0.0),
        ('a cover over more than a bonnet takes', np.full(WIDTH, 0.7), 3.0, 0.0),
        ('a cover over the whole picture', np.zeros(WIDTH), 3.0, 0.0),
        ('somebody who walks ahead', BONNET, 3.0, 0.06),
        ('a pole', np.where(abs(np.arange(WIDTH) - 80) < 12, 0.85, 1.0), 3.0, 0.0),
    ],
)
def test_no_own_vehicle_is(
    what: str, edge: NDArray[np.floating] | None, speed: float, swing: float
) -> None:
    subject = OwnVehicle()
    drive(subject, edge=edge, speed=speed, swing=swing)
    assert subject.polygon == (), what


def test_it_is_forgotten_when_it_is_gone_but_not_while_the_vehicle_stands() -> None:
    subject = OwnVehicle()
    drive(subject, edge=BONNET)
    found = subject.polygon
    assert found
    drive(subject, edge=BONNET, speed=0.0, begin_s=100.0)
    assert subject.polygon == found
    drive(subject, begin_s=300.0)
    assert subject.polygon == ()


def test_it_is_found_at_any_rate_of_frames_by_stamps_alone() -> None:
    subject = OwnVehicle()
    grey = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for index in range(1000):  # a second
        subject.update(grey, index * 1_000_000, MOST)
    assert subject._looks == 4


def street_with_bonnet(index: int) -> NetworkView:
    """Labels with a bonnet that the network takes for people, and a picture that moves."""
    random = np.random.default_rng(index)
    labels = empty_road().copy()
    picture = np.roll(WORLD, 3 * index, 0)[:HEIGHT, :WIDTH].repeat(4, 0).repeat(4, 1)
    picture = np.clip(picture + random.normal(0.0, 2.0, picture.shape), 0, 255).astype(np.uint8)
    below = slice(int(0.85 * SIZE_WH[1]), None)
    labels[below] = PERSON
    picture[below] = (picture[below] * 0.1 + 40).astype(np.uint8)
    confidence = np.full(labels.shape, 230, np.uint8)
    return NetworkView(picture[..., None].repeat(3, 2), labels, confidence)


@pytest.mark.parametrize('speed_mps', [None, 0.0, 3.0])
def test_a_bonnet_is_neither_a_person_nor_ground_once_it_is_found(speed_mps: float | None) -> None:
    config = replace(NodeConfig(), stop=StopConfig(max_noise=0.0))
    camera = CameraDecisions(config, LABEL_MAP)
    kinds = []
    for index in range(2 * LOOKS + 6):
        stamp_ns = round((1 + index) * LOOK_EVERY_S * 1e9)
        if speed_mps is not None:
            camera.moved(Motion(stamp_ns, speed_mps, 0.0))
        view = street_with_bonnet(index)
        camera.look(view, stamp_ns)
        stop = camera.judge_people(view, stamp_ns, stamp_ns, None).stop
        assert stop is not None
        kinds.append(stop.kind)
    assert StopKind.CLEAR not in kinds[: 2 * LOOKS - 2]
    is_found = speed_mps != 0.0  # odometry that says that it stands proves no motion
    assert (kinds[-1] is StopKind.CLEAR) is is_found
    assert bool(camera.own_vehicle) is is_found


def test_a_part_that_is_stuck_is_no_own_vehicle() -> None:
    camera = CameraDecisions(replace(NodeConfig(), stop=StopConfig(max_noise=0.0)), LABEL_MAP)
    stuck = street_with_bonnet(0)
    below = slice(int(0.75 * SIZE_WH[1]), None)
    for index in range(2 * LOOKS + 6):
        stamp_ns = round((1 + index) * LOOK_EVERY_S * 1e9)
        view = street_with_bonnet(index)
        view.picture[below] = stuck.picture[below]
        camera.look(view, stamp_ns)
        camera.judge_people(view, stamp_ns, stamp_ns, None)
    assert camera.own_vehicle == ()


def test_it_is_found_with_the_last_look_of_the_second_time_and_told_with_three_digits() -> None:
    subject = OwnVehicle()
    drive(subject, 2.0 * WINDOW_S - LOOK_EVERY_S, BONNET)
    assert subject.polygon == ()
    drive(subject, LOOK_EVERY_S, BONNET, begin_s=2.0 * WINDOW_S)
    assert subject.polygon
    assert all(round(value, 3) == value for value in subject.polygon)


def test_who_is_not_to_look_forgets_what_was_found_and_time_that_steps_back_is_looked_at() -> None:
    subject = OwnVehicle()
    grey = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for stamp_ms, looks in ((1000, 1), (1249, 1), (1250, 2), (1100, 3), (1100, 3), (1400, 4)):
        subject.update(grey, stamp_ms * 1_000_000, MOST)
        assert subject._looks == looks
    subject.polygon = (0.0, 0.9, 1.0, 0.9, 1.0, 1.0)
    subject.update(grey, 2_000_000_000, 0.0)
    assert subject.polygon == ()
    assert subject._looks == 4
    subject.reset()
    assert subject._looks == 0


def standing(rows: list[int | None], height: int = 20) -> NDArray[np.bool_]:
    """What stands still: in each column a row, or none."""
    stands = np.zeros((height, len(rows)), np.bool_)
    for column, row in enumerate(rows):
        if row is not None:
            stands[row, column] = True
    return stands


def test_an_outline_is_the_first_row_that_stands_in_each_column() -> None:
    rows = _outline(standing([9] * 40 + [10] * 40) | standing([15] * 80))
    assert rows is not None
    assert rows.tolist() == [9.0] * 40 + [10.0] * 40


@pytest.mark.parametrize(('columns', 'is_one'), [(80, True), (79, False)])
def test_an_outline_takes_half_of_the_columns_at_least(columns: int, is_one: bool) -> None:
    rows = _outline(standing([9] * columns + [None] * (160 - columns)))
    assert (rows is not None) is is_one
    if rows is not None:
        assert np.isfinite(rows).tolist() == [True] * 80 + [False] * 80


@pytest.mark.parametrize(('row', 'is_one'), [(2, True), (1, False)])
def test_what_reaches_the_top_of_what_is_looked_at_may_go_on_above(row: int, is_one: bool) -> None:
    assert (_outline(standing([row] * 160)) is not None) is is_one
    in_part = [row if column < 40 else 9 for column in range(160)]  # a quarter of it
    assert (_outline(standing(in_part)) is not None) is is_one


def test_an_outline_is_level_over_13_columns_as_paint_and_poles_are_not() -> None:
    for length, is_one in ((13, True), (12, False)):
        row = ([9] * length + [None] * 3) * 10
        assert (_outline(standing(row)) is not None) is is_one
    steep = [4 * (column % 4) + 3 for column in range(160)]
    assert _outline(standing(steep)) is None


def test_the_polygon_is_below_the_highest_row_of_every_eight_columns() -> None:
    rows = np.full(WIDTH, np.nan, np.float32)
    rows[16:36] = 81.0
    rows[25] = 72.0
    corners = np.reshape(_polygon(rows), (-1, 2))
    np.testing.assert_allclose(corners * (WIDTH, HEIGHT), [
        (16, 90), (16, 81), (28, 72), (36, 81), (36, 90),
    ], atol=0.1)  # fmt: skip


def test_columns_without_an_outline_leave_a_straight_side() -> None:
    rows = np.full(WIDTH, np.nan, np.float32)
    rows[0:8] = rows[24:32] = 81.0
    corners = np.reshape(_polygon(rows), (-1, 2))
    np.testing.assert_allclose(corners * (WIDTH, HEIGHT), [
        (0, 90), (0, 81), (32, 81), (32, 90),
    ], atol=0.1)  # fmt: skip


def test_the_last_columns_of_an_outline_count_though_they_are_fewer_than_eight() -> None:
    rows = np.full(WIDTH, np.nan, np.float32)
    rows[16:33] = 81.0
    rows[32] = 72.0
    corners = np.reshape(_polygon(rows), (-1, 2))
    np.testing.assert_allclose(corners * (WIDTH, HEIGHT), [
        (16, 90), (16, 81), (28, 81), (33, 72), (33, 90),
    ], atol=0.1)  # fmt: skip


def test_an_outline_may_rise_by_two_rows_in_13_columns() -> None:
    slope = [5 + column // 5 for column in range(WIDTH)]
    assert _outline(standing(slope, 40)) is not None
    assert _outline(standing([5 + column // 4 for column in range(WIDTH)], 60)) is None


def test_two_outlines_that_differ_by_more_than_two_rows_are_no_own_vehicle() -> None:
    subject = OwnVehicle()
    drive(subject, WINDOW_S, BONNET)
    drive(subject, WINDOW_S, BONNET + 0.05, begin_s=WINDOW_S)
    assert subject.polygon == ()
    drive(subject, WINDOW_S, BONNET + 0.05, begin_s=2.0 * WINDOW_S)
    assert subject.polygon
