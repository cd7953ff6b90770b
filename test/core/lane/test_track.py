# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.shape import distances, moved, parallel, value_at
from seg_ros.core.lane.track import Coefficients, LaneTrack, Placement

SHAPES = st.builds(
    lambda c0, c1, c2, c3: np.array([c0, c1, c2, c3]),
    st.floats(-2.0, 2.0),
    st.floats(-0.3, 0.3),
    st.floats(-0.015, 0.015),
    st.floats(-0.0005, 0.0005),
)


def lane(shape: np.ndarray[tuple[int, ...], np.dtype[np.float64]], reach_m: float) -> LaneTrack:
    line = Coefficients(*shape.tolist())
    return LaneTrack(
        True, 'test', 'markings', 0, line, line, line, 3.5, start_m=3.6, reach_m=reach_m
    )


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, reach_m=st.floats(3.7, 30.0), spacing_m=st.floats(0.1, 2.0))
def test_a_valid_track_has_points_at_even_spacing_that_look_along_it(
    shape: np.ndarray[tuple[int, ...], np.dtype[np.float64]], reach_m: float, spacing_m: float
) -> None:
    points = lane(shape, reach_m).points(spacing_m)
    assert len(points) >= 2
    assert np.isfinite(points).all()
    steps = np.diff(points[:, :2], axis=0)
    assert np.hypot(*steps.T) == pytest.approx(np.full(len(steps), spacing_m), rel=0.01)
    halfway_yaw = 0.5 * (points[1:, 2] + points[:-1, 2])
    assert np.arctan2(steps[:, 1], steps[:, 0]) == pytest.approx(halfway_yaw, abs=0.01)
    assert points[0, 0] == pytest.approx(3.6)


def test_points_end_where_they_are_asked_to() -> None:
    track = lane(np.zeros(4), 30.0)
    assert track.points(0.5)[-1, 0] == pytest.approx(30.0, abs=0.5)
    assert track.points(0.5, look_ahead_m=10.0)[-1, 0] == pytest.approx(10.0, abs=0.5)
    assert len(track.points(0.5, look_ahead_m=1.0)) == 2


@settings(max_examples=60, deadline=None)
@given(
    shape=SHAPES,
    forward_m=st.floats(0.0, 2.0),
    left_m=st.floats(-0.2, 0.2),
    turn_rad=st.floats(-0.1, 0.1),
)
def test_a_lane_seen_after_a_motion_is_the_same_lane(
    shape: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    forward_m: float,
    left_m: float,
    turn_rad: float,
) -> None:
    x = np.linspace(2.0, 25.0, 20)
    y = value_at(shape, x)
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    dx, dy = x - forward_m, y - left_m
    after = moved(shape, forward_m, left_m, turn_rad)
    new_x, new_y = cos * dx + sin * dy, cos * dy - sin * dx
    near = new_x < 15.0
    assert value_at(after, new_x)[near] == pytest.approx(new_y[near], abs=0.08)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, left_m=st.floats(-4.0, 4.0))
def test_a_parallel_line_keeps_its_distance(
    shape: np.ndarray[tuple[int, ...], np.dtype[np.float64]], left_m: float
) -> None:
    x = np.linspace(3.0, 25.0, 20)
    beside = parallel(shape, left_m, 30.0)
    signed = distances(shape, x, value_at(beside, x)).signed_m
    assert signed == pytest.approx(np.full(20, left_m), abs=0.05)


def test_offset_and_heading_are_those_of_the_vehicle_not_of_the_lane() -> None:
    left, right = Coefficients(1.0, -0.1), Coefficients(-2.5, -0.1)
    track = LaneTrack(True, 'test', 'markings', 0, left=left, right=right)
    assert track.offset_m == pytest.approx(0.75, abs=0.01)  # left of the middle at -0.75
    assert track.heading_rad == pytest.approx(0.1, abs=0.001)


def test_a_track_of_the_future_is_not_valid() -> None:
    track = replace(lane(np.zeros(4), 20.0), stamp_ns=5_000_000_000)
    assert track.checked(4_950_000_000, 0.5, 0.1) is track
    early = track.checked(2_000_000_000, 0.5, 0.1)  # sim time has begun anew
    assert not early.valid
    assert early.reason == 'the image is 3.00 s ahead of the clock'
    assert early.age_s == 0.0


def test_a_track_grows_stale() -> None:
    track = lane(np.zeros(4), 20.0)
    assert track.checked(400_000_000, 0.5) is track
    old = track.checked(700_000_000, 0.5)
    assert not old.valid
    assert old.reason == 'stale: the image is 0.70 s old'
    assert len(old.points()) == 0


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'width_expected_m': 1.0}, 'between the narrowest and the widest'),
        ({'corridor_min_m': 9.0}, 'Exchange them'),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    changes: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LaneConfig(**changes)  # type: ignore[arg-type]


def test_points_are_placed_in_a_frame_that_does_not_move() -> None:
    placement = Placement('odom', x_m=10.0, y_m=-2.0, yaw_rad=math.pi / 2)
    points = placement.placed(np.array([[3.0, 0.5, 0.1]]))
    assert points == pytest.approx(np.array([[9.5, 1.0, math.pi / 2 + 0.1]]))
