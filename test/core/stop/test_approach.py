# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_ros.core.stop.approach import HORIZON_S, keeps_to_the_pavement, times_to_zone_s
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.tracking import TrackedPerson
from seg_ros.core.stop.zones import CorridorZone

ZONE = CorridorZone([(0.0, 0.0), (40.0, 0.0)], half_width_m=1.5, length_m=15.0)


def person(
    x: float,
    y: float,
    vy: float = 0.0,
    *,
    sigma_along_m: float = 0.1,
    sigma_v: float = 0.05,
    on_pavement: bool = False,
) -> TrackedPerson:
    seen = SeenPerson(
        x, y, sigma_along_m, 0.1, (320.0, 200.0), (310, 100, 330, 200), 900, 1.0, 'seen',
        on_pavement,
    )  # fmt: skip
    return TrackedPerson(
        1, x, y, 0.0, vy, sigma_along_m, sigma_v, sigma_v, True, False, seen
    )  # fmt: skip


@pytest.mark.parametrize(
    ('somebody', 'time_s'),
    [
        (person(10.0, 0.0), 0.0),
        (person(10.0, 3.0), math.inf),
        (person(10.0, 3.0, vy=1.5), math.inf),
        (person(10.0, 3.0, vy=-1.575), 1.0),
        (person(10.0, -3.0, vy=1.575), 1.0),
        (person(20.0, 3.0, vy=-1.5), math.inf),
        (person(10.0, 3.0, vy=-0.3), math.inf),
        (person(10.0, 3.0, vy=-1.5, sigma_v=1.0), math.inf),
    ],
    ids=[
        'inside', 'beside', 'leaving', 'coming from the left', 'coming from the right',
        'beyond the end', 'swaying', 'too uncertain',
    ],
)  # fmt: skip
def test_the_time_to_the_zone_is_that_of_a_walk_as_far_as_it_is_certain(
    somebody: TrackedPerson, time_s: float
) -> None:
    assert times_to_zone_s([somebody], ZONE) == [pytest.approx(time_s, abs=0.16)]


def test_who_seems_just_beyond_the_end_counts_as_inside() -> None:
    assert times_to_zone_s([person(15.8, 0.0, sigma_along_m=1.0)], ZONE) == [0.0]
    assert times_to_zone_s([person(15.8, 0.0, sigma_along_m=0.2)], ZONE) == [math.inf]


def test_who_may_have_lost_its_legs_is_looked_for_nearer_along_the_line_of_sight() -> None:
    doubtful = person(17.0, 1.7)
    doubtful = replace(doubtful, seen=replace(doubtful.seen, nearer_m=3.0))
    assert times_to_zone_s([doubtful], ZONE) == [0.0]
    assert times_to_zone_s([replace(doubtful, y_m=2.2)], ZONE) == [math.inf]


def test_a_speck_far_beyond_the_zone_is_no_person_in_it() -> None:
    speck = person(25.0, 0.0)
    speck = replace(speck, seen=replace(speck.seen, nearer_m=12.0))
    assert times_to_zone_s([speck], ZONE) == [math.inf]


def test_feet_that_are_seen_once_count_more_than_where_somebody_was_followed() -> None:
    followed = person(17.0, 0.0)
    followed = replace(followed, seen=replace(followed.seen, x_m=14.0))
    assert times_to_zone_s([followed], ZONE) == [0.0]
    assert times_to_zone_s([replace(followed, is_coasting=True)], ZONE) == [math.inf]


def test_a_doubtful_range_does_not_pull_in_who_is_beside_the_vehicle() -> None:
    assert times_to_zone_s([person(2.6, -2.9, sigma_along_m=5.0)], ZONE) == [math.inf]


def test_nobody_walks_into_the_corridor_through_the_vehicle() -> None:
    beside, before = person(0.3, -2.5, vy=1.5), person(3.3, -2.5, vy=1.5)
    times_s = times_to_zone_s([beside, before], ZONE, 3.6)
    assert times_s == [math.inf, pytest.approx(0.67, abs=0.16)]
    assert times_to_zone_s([person(0.3, -1.0, vy=1.5)], ZONE, 3.6) == [0.0]
    forward = replace(person(1.5, -2.5, vy=1.0), vx_mps=1.0)
    assert times_to_zone_s([forward], ZONE, 3.6) == [pytest.approx(1.1, abs=0.16)]


def test_who_is_on_the_pavement_and_does_not_come_nearer_keeps_to_it() -> None:
    assert keeps_to_the_pavement(person(10.0, 1.2, on_pavement=True), ZONE)
    assert keeps_to_the_pavement(person(10.0, 1.2, vy=1.0, on_pavement=True), ZONE)
    assert not keeps_to_the_pavement(person(10.0, 1.2, vy=-1.0, on_pavement=True), ZONE)
    assert not keeps_to_the_pavement(person(10.0, 1.2), ZONE)


@pytest.mark.parametrize('vy', [-1.0, 0.0, 1.0])
def test_who_is_in_the_middle_of_the_way_keeps_to_no_pavement(vy: float) -> None:
    for y in (-0.8, 0.0, 0.5):
        assert not keeps_to_the_pavement(person(10.0, y, vy=vy, on_pavement=True), ZONE)


def test_nobody_takes_no_time() -> None:
    assert times_to_zone_s([], ZONE) == []


@given(st.floats(-40, 40), st.floats(-40, 40), st.floats(-3, 3), st.floats(0, 20))
def test_a_time_is_within_the_horizon_or_infinite(
    x: float, y: float, vy: float, sigma: float
) -> None:
    (time_s,) = times_to_zone_s([person(x, y, vy, sigma_along_m=sigma)], ZONE)
    assert 0.0 <= time_s <= HORIZON_S or time_s == math.inf
    if ZONE.contains(np.array([[x, y]]))[0]:
        assert time_s == 0.0
