# SPDX-License-Identifier: Apache-2.0
"""Where the borders of the ground meet is the horizon."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.stop.ground_borders import GroundAhead, GroundBorders
from test.people_scene import CAR, PAVEMENT, ROAD, SIZE_WH, SKY

WIDTH, HEIGHT = SIZE_WH
NO_BORDERS = 'the ground has no two straight borders'
NO_PARTING = 'the borders of the ground do not part towards the camera'
NO_HORIZON = 'the borders of the ground meet at no horizon'


def road_of(camera: Camera, left_m: float = 3.5, right_m: float = -3.5) -> NDArray[np.uint8]:
    """A straight road between pavements."""
    table = camera.ground_table(SIZE_WH)
    labels = np.where(np.isfinite(table[..., 0]), PAVEMENT, SKY).astype(np.uint8)
    with np.errstate(invalid='ignore'):
        labels[(table[..., 1] < left_m) & (table[..., 1] > right_m)] = ROAD
    return labels


def wedge(
    u: float, v: float, left: float, right: float, top: int | None = None
) -> NDArray[np.uint8]:
    """Ground between two borders that meet at a pixel, so many columns a row, from a row on."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    inside = (columns >= u + left * (rows - v)) & (columns <= u + right * (rows - v))
    is_ground = inside & (rows > v) & (rows >= (v if top is None else top))
    return np.where(is_ground, ROAD, SKY).astype(np.uint8)


def look(labels: NDArray[np.uint8]) -> GroundAhead:
    return GroundBorders((ROAD,)).look(labels)


@pytest.mark.parametrize('height_m', [0.3, 0.8, 1.5, 2.5])
@pytest.mark.parametrize('fov_deg', [45.0, 75.0, 110.0])
@pytest.mark.parametrize(('pitch_deg', 'yaw_deg'), [(0.0, 0.0), (6.0, 4.0), (3.0, -6.0)])
def test_the_borders_of_a_straight_road_meet_at_the_horizon_in_its_direction(
    fov_deg: float, height_m: float, pitch_deg: float, yaw_deg: float
) -> None:
    lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
    pitch, yaw = math.radians(pitch_deg), math.radians(yaw_deg)
    camera = Camera(lens, Mount(z=height_m, pitch=pitch, yaw=yaw))
    far = camera.project([[1e6, 0.0, 0.0]])[0][0] / SIZE_WH
    found = look(road_of(camera, 2.5 * height_m, -2.0 * height_m))
    assert found.meeting == pytest.approx(tuple(far), abs=0.015)
    assert found.reason == ''


def test_cars_and_a_side_road_hide_parts_of_the_borders() -> None:
    labels = wedge(320.0, 150.0, -1.6, 1.6)
    labels[215:245, 60:250] = CAR
    labels[255:265, 480:] = ROAD
    labels[155:175, 300:345] = CAR
    assert look(labels).meeting == pytest.approx((0.5, 150 / 360), abs=0.01)


@pytest.mark.parametrize(
    ('labels', 'reason'),
    [
        (np.full((HEIGHT, WIDTH), SKY, np.uint8), 'no ground is seen'),
        (np.full((HEIGHT, WIDTH), ROAD, np.uint8), NO_BORDERS),
        (wedge(320.0, 150.0, -1.6, 100.0), NO_BORDERS),  # one side only
        (wedge(320.0, 150.0, -0.15, 0.15), NO_PARTING),
        (wedge(320.0, 60.0, -1.0, 1.0), NO_HORIZON),  # row 60 of 360: as of a camera that looks
        (wedge(320.0, 265.0, -4.0, 4.0), NO_HORIZON),  # down, or up
        (wedge(205.0, 150.0, -1.0, 1.5), NO_HORIZON),  # beside, as in a bend
        (wedge(320.0, 110.0, -1.0, 1.0, top=160), NO_HORIZON),  # the road ends much further down
    ],
)  # fmt: skip
def test_what_cannot_be_the_horizon_is_none_with_a_reason(
    labels: NDArray[np.uint8], reason: str
) -> None:
    found = look(labels)
    assert found.meeting is None
    assert found.reason == reason


def test_ground_above_where_its_borders_meet_disproves_them() -> None:
    labels = wedge(320.0, 180.0, -1.6, 1.6)
    labels[150:185, 310:330] = ROAD
    found = look(labels)
    assert found.top == pytest.approx(150 / 360, abs=0.003)
    assert found.reason == NO_HORIZON
    labels[150:174, 310:330] = SKY
    assert look(labels).meeting == pytest.approx((0.5, 0.5), abs=0.01)


def test_a_road_that_bends_away_has_no_straight_borders() -> None:
    labels = np.full((HEIGHT, WIDTH), SKY, np.uint8)
    for row in range(170, HEIGHT):
        middle = 320.0 + 30_000.0 / (row - 150.0) - 143.0
        half = 1.2 * (row - 150.0)
        labels[row, max(0, round(middle - half)) : max(0, round(middle + half))] = ROAD
    assert look(labels).meeting is None


def test_a_line_or_specks_that_go_on_into_the_sky_are_no_ground() -> None:
    """By night the paint of a line and specks of a black sky are called road, and are joined."""
    labels = wedge(320.0, 150.0, -1.6, 1.6)
    empty = look(labels)
    labels[:200, 314:326] = ROAD  # 12 of 640 columns
    labels[20:24, 200:400] = ROAD  # two rows of every second pixel
    assert look(labels).top == empty.top
    labels[20:26, 200:400] = ROAD
    assert look(labels).top == empty.top  # three, and far from the road
    labels[:200, 312:327] = ROAD
    assert look(labels).top == 0.0
