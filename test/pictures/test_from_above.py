# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from seg_ros.pictures.from_above import (
    BLOCKED,
    FREE,
    LANE,
    OBSTACLE,
    PERSON,
    SCAN,
    ZONE,
    GroundView,
    draw_from_above,
)

SIZE_WH = (200, 200)  # 10 pixels a metre
CELLS = np.full((20, 20), -1, np.int8)  # 20 x 20 m
CELLS[10:, 10:] = 0  # left and far away
CELLS[:10, 10:] = 100  # right and far away


def at(picture: np.ndarray, x_m: float, y_m: float) -> tuple[int, ...]:
    """The colour of a place: forward is up, left is left."""
    u, v = round(10.0 * (10.0 - y_m)), round(200.0 - 10.0 * x_m)
    return tuple(picture[v, u].tolist())


def test_everything_is_where_it_is_seen_from_above() -> None:
    view = GroundView(
        CELLS,
        1.0,
        (0.0, -10.0),
        scan=np.array([[15.0, 5.0]]),
        obstacles=np.array([[12.0, -4.0]]),
        lines=(np.array([[11.0, 2.0], [19.0, 2.0]]),),
        zone=np.array([[3.0, 8.0], [8.0, 8.0], [8.0, 6.0], [3.0, 6.0]]),
        people=np.array([[18.0, -8.0]]),
    )
    picture = draw_from_above(view, SIZE_WH)
    assert picture.shape == (200, 200, 3)
    assert at(picture, 13.0, 8.0) == FREE
    assert at(picture, 13.0, -8.0) == BLOCKED
    assert at(picture, 15.0, 5.0) == SCAN
    assert at(picture, 12.0, -4.0) == OBSTACLE
    assert at(picture, 15.0, 2.0) == LANE
    assert at(picture, 18.0, -8.0) == PERSON
    assert at(picture, 8.0, 7.0) == pytest.approx(ZONE, abs=40)  # one pixel, smoothed


def test_a_grid_with_nothing_on_it_is_drawn() -> None:
    picture = draw_from_above(GroundView(CELLS, 1.0, (0.0, -10.0)), SIZE_WH)
    assert at(picture, 13.0, 8.0) == FREE
