# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_ros.sim.road import MAX_HEADING_RAD, Road


def road(seed: int = 3, max_curvature_per_m: float = 0.015) -> Road:
    made = Road(seed, max_curvature_per_m)
    made.extend(700.0)
    return made


@given(seed=st.integers(0, 50), s=st.floats(0.0, 600.0), d=st.floats(-15.0, 15.0))
@settings(max_examples=60, deadline=None)
def test_road_coordinates_of_a_point_lead_back_to_it(seed: int, s: float, d: float) -> None:
    subject = road(seed)
    point = subject.points(s, d)

    found_s, found_d = subject.coordinates(point[None, 0], point[None, 1])
    near_s, near_d = subject.locate(float(point[0]), float(point[1]), s + 3.0)

    assert found_s[0] == pytest.approx(s, abs=0.02)
    assert found_d[0] == pytest.approx(d, abs=0.01)
    assert near_s == pytest.approx(s, abs=0.01)
    assert near_d == pytest.approx(d, abs=0.01)


def test_no_bend_is_tighter_than_allowed() -> None:
    curvature = road(max_curvature_per_m=0.01).curvature(np.arange(0.0, 650.0, 0.5))

    assert np.abs(curvature).max() <= 0.01 + 1e-9
    assert np.abs(curvature).max() > 0.004


def test_the_heading_stays_within_a_cone_so_that_the_road_never_meets_itself() -> None:
    heading = road().heading(np.arange(0.0, 650.0, 0.5))

    assert np.abs(heading).max() <= MAX_HEADING_RAD + 1e-9


def test_a_straight_road_has_no_bends() -> None:
    subject = Road(3, 0.015, straight=True)

    assert subject.points(500.0, -2.0) == pytest.approx([500.0, -2.0])


def test_the_road_is_the_same_however_it_is_asked_for() -> None:
    at_once, bit_by_bit = Road(5, 0.015), Road(5, 0.015)
    at_once.extend(3000.0)
    for to_s_m in range(0, 3001, 50):
        bit_by_bit.extend(float(to_s_m))

    s = np.arange(2600.0, 3000.0, 0.7)
    assert at_once.points(s, 1.0) == pytest.approx(bit_by_bit.points(s, 1.0), abs=1e-9)


def test_what_lies_far_behind_is_forgotten() -> None:
    subject = Road(5, 0.015)
    for to_s_m in range(0, 20001, 100):
        subject.extend(float(to_s_m))

    assert len(subject._x) < 5000
