# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_ros.core.stop import approach
from seg_ros.core.stop.approach import (
    HORIZON_S,
    _may_get_into,
    keeps_to_the_pavement,
    times_to_zone_s,
)
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.tracking import TrackedPerson
from seg_ros.core.stop.zones import CorridorZone, GroundBox, PolygonZone

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


@pytest.mark.parametrize('away', [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)])
def test_who_is_in_a_box_and_leaves_it_is_asked_for_and_who_stands_half_a_metre_off_is_not(
    away: tuple[float, float],
) -> None:
    box, still = GroundBox(6.0, -2.0, 10.0, 2.0), (0.0, 0.0)
    inside, outside = ((8.0 + depth_m * away[0], depth_m * away[1]) for depth_m in (1.5, 2.5))
    assert _may_get_into(box, (*inside, *away, *still, *still))
    assert _may_get_into(box, (*inside, *still, *away, *away))
    assert _may_get_into(box, (*inside, *still, -away[0], -away[1], -away[0], -away[1]))
    assert not _may_get_into(box, (*outside, *still, *still, *still))


def test_who_seems_just_beyond_the_end_counts_as_inside() -> None:
    assert times_to_zone_s([person(15.8, 0.0, sigma_along_m=1.0)], ZONE) == [0.0]
    assert times_to_zone_s([person(15.8, 0.0, sigma_along_m=0.2)], ZONE) == [math.inf]


def test_who_may_have_lost_its_legs_is_looked_for_nearer_along_the_line_of_sight() -> None:
    doubtful = person(17.0, 1.7)
    doubtful = doubtful._replace(seen=doubtful.seen._replace(nearer_m=3.0))
    assert times_to_zone_s([doubtful], ZONE) == [0.0]
    assert times_to_zone_s([doubtful._replace(y_m=2.2)], ZONE) == [math.inf]


@pytest.mark.parametrize(('feet', 'time_s'), [('occluded', 0.0), ('seen', math.inf)])
@pytest.mark.parametrize('side', [-1.0, 1.0])
def test_whose_feet_are_hidden_is_looked_for_nearer_along_the_line_of_sight(
    side: float, feet: str, time_s: float
) -> None:
    """1.7 m beside the middle 10 m ahead is 1.5 m beside it 8.8 m ahead, on the same bearing."""
    hidden = person(10.0, 1.7 * side, sigma_along_m=1.3)
    hidden = hidden._replace(seen=hidden.seen._replace(feet=feet))
    assert times_to_zone_s([hidden], ZONE) == [time_s]
    surer = hidden._replace(sigma_along_m=1.1, seen=hidden.seen._replace(sigma_along_m=1.1))
    assert times_to_zone_s([surer], ZONE) == [math.inf]


@pytest.mark.parametrize(('side_m', 'time_s'), [(1.75, 0.0), (1.85, math.inf)])
def test_whose_feet_are_hidden_is_no_more_beside_its_bearing_than_it_can_be(
    side_m: float, time_s: float
) -> None:
    """The way is 1.5 m wide to each side; the bearing is good to 0.3 m, however far the feet."""
    hidden = person(4.0, side_m, sigma_along_m=2.0)
    hidden = hidden._replace(seen=hidden.seen._replace(feet='occluded'))
    assert times_to_zone_s([hidden], ZONE) == [time_s]


def test_whose_feet_are_hidden_beside_the_base_origin_stays_where_it_is() -> None:
    hidden = person(0.0, 2.0, sigma_along_m=3.0)
    hidden = hidden._replace(seen=hidden.seen._replace(feet='occluded'))
    assert times_to_zone_s([hidden], ZONE) == [math.inf]


def test_a_speck_far_beyond_the_zone_is_no_person_in_it() -> None:
    speck = person(25.0, 0.0)
    speck = speck._replace(seen=speck.seen._replace(nearer_m=12.0))
    assert times_to_zone_s([speck], ZONE) == [math.inf]


def test_feet_that_are_seen_once_count_more_than_where_somebody_was_followed() -> None:
    followed = person(17.0, 0.0)
    followed = followed._replace(seen=followed.seen._replace(x_m=14.0))
    assert times_to_zone_s([followed], ZONE) == [0.0]
    assert times_to_zone_s([followed._replace(is_coasting=True)], ZONE) == [math.inf]


def test_a_doubtful_range_does_not_pull_in_who_is_beside_the_vehicle() -> None:
    assert times_to_zone_s([person(2.6, -2.9, sigma_along_m=5.0)], ZONE) == [math.inf]


def test_nobody_walks_into_the_corridor_through_the_vehicle() -> None:
    beside, before = person(0.3, -2.5, vy=1.5), person(3.3, -2.5, vy=1.5)
    times_s = times_to_zone_s([beside, before], ZONE, 3.6)
    assert times_s == [math.inf, pytest.approx(0.67, abs=0.16)]
    assert times_to_zone_s([person(0.3, -1.0, vy=1.5)], ZONE, 3.6) == [0.0]
    forward = person(1.5, -2.5, vy=1.0)._replace(vx_mps=1.0)
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


@pytest.mark.parametrize(('y', 'time_s'), [(6.0, 3.0), (6.2, math.inf)])
def test_who_arrives_within_three_seconds_is_told_and_nobody_later(
    y: float, time_s: float
) -> None:
    """At 1.5 m/s, after what may be noise is taken off."""
    assert times_to_zone_s([person(10.0, y, vy=-1.575)], ZONE) == [time_s]


def test_a_range_is_doubted_by_2_m_at_most_which_is_less_than_the_margin() -> None:
    times_s = times_to_zone_s(
        [person(16.95, 0.0, sigma_along_m=9.0), person(17.05, 0.0, sigma_along_m=9.0)], ZONE
    )
    assert times_s == [0.0, math.inf]


def test_the_doubt_of_the_newest_frame_counts_in_part_however_often_somebody_was_seen() -> None:
    def at(x: float) -> TrackedPerson:
        often = person(x, 0.0, sigma_along_m=0.1)
        return often._replace(seen=often.seen._replace(sigma_along_m=1.0))

    assert times_to_zone_s([at(15.55), at(15.65)], ZONE) == [0.0, math.inf]


@pytest.mark.parametrize(('x', 'time_s'), [(17.6, 0.0), (17.7, math.inf)])
def test_lost_legs_bring_nobody_nearer_than_by_a_seventh_of_the_distance(
    x: float, time_s: float
) -> None:
    doubtful = person(x, 0.0)
    doubtful = doubtful._replace(seen=doubtful.seen._replace(nearer_m=12.0))
    assert times_to_zone_s([doubtful], ZONE) == [time_s]


def test_somebody_behind_is_doubted_towards_the_vehicle_and_beside_it_not_at_all() -> None:
    behind = CorridorZone([(-40.0, 0.0), (0.0, 0.0)], half_width_m=1.5, length_m=0.0)
    assert not behind.contains(np.array([[-1.0, 0.0]]))[0]
    around = PolygonZone((-3.0, -2.0, 3.0, -2.0, 3.0, 2.0, -3.0, 2.0))
    places = [person(-4.5, 0.0, sigma_along_m=2.0), person(-5.5, 0.0, sigma_along_m=2.0)]
    assert times_to_zone_s(places, around) == [0.0, math.inf]
    beside = [person(0.0, 2.1, sigma_along_m=2.0), person(0.0, -2.1, sigma_along_m=2.0)]
    assert times_to_zone_s(beside, around) == [math.inf, math.inf]


def test_a_doubtful_range_brings_somebody_half_as_near_at_most() -> None:
    near = PolygonZone((0.0, -1.0, 1.0, -1.0, 1.0, 1.0, 0.0, 1.0))
    people = [person(x, 0.0, sigma_along_m=9.0) for x in (1.9, 2.1)]
    assert times_to_zone_s(people, near) == [0.0, math.inf]


@pytest.mark.parametrize(('x', 'counts'), [(2.5, False), (2.7, True)])
def test_who_walks_in_a_metre_behind_the_bumper_may_as_well_walk_in_front_of_it(
    x: float, counts: bool
) -> None:
    (time_s,) = times_to_zone_s([person(x, -2.5, vy=1.5)], ZONE, 3.6)
    assert math.isfinite(time_s) is counts


def test_who_has_left_the_picture_walks_on_as_surely_as_when_it_was_seen() -> None:
    doubtful = person(10.0, 3.0, vy=-1.5, sigma_v=1.0)
    assert times_to_zone_s([doubtful], ZONE) == [math.inf]
    gone = doubtful._replace(has_left=True, is_coasting=True)
    assert times_to_zone_s([gone], ZONE) == [pytest.approx(1.0, abs=0.16)]


def cut(sigma_m: float, feet_age_s: float, *, frame_m: float = 1.0) -> TrackedPerson:
    """Followed to (5, 2), its feet cut somewhere on the way from (4, 0) to (6, 4)."""
    someone = person(5.0, 2.0, sigma_along_m=sigma_m)
    seen = someone.seen._replace(
        feet='truncated', cut_way=(4.0, 0.0, 6.0, 4.0), sigma_along_m=frame_m
    )
    return someone._replace(seen=seen, feet_age_s=feet_age_s)


# Of that way the zone has what is nearer than y = 1.5, 0.56 m from where it was followed to; the
# places that are looked at are 0.28 m apart
@pytest.mark.parametrize(('sigma_m', 'time_s'), [(0.19, 0.0), (0.18, math.inf)])
def test_cut_feet_are_looked_for_on_their_way_within_three_sigma_of_where_they_should_be(
    sigma_m: float, time_s: float
) -> None:
    assert times_to_zone_s([cut(sigma_m, 0.0)], ZONE) == [time_s]


@pytest.mark.parametrize(('feet_age_s', 'time_s'), [(2.9, math.inf), (3.1, 0.0), (math.inf, 0.0)])
def test_for_three_seconds_the_place_at_which_the_feet_were_seen_counts(
    feet_age_s: float, time_s: float
) -> None:
    assert times_to_zone_s([cut(0.1, feet_age_s)], ZONE) == [time_s]
    surely = [cut(0.1, feet_age_s, frame_m=0.2), cut(0.5, feet_age_s, frame_m=0.2)]
    assert times_to_zone_s(surely, ZONE) == [math.inf, 0.0]


def test_of_who_is_out_of_sight_nobody_looks_for_cut_feet() -> None:
    lost = cut(0.5, math.inf)._replace(is_coasting=True)
    assert times_to_zone_s([lost], ZONE) == [math.inf]


@pytest.mark.parametrize(
    ('y', 'keeps'), [(0.89, False), (0.91, True), (-0.89, False), (-0.91, True)]
)
def test_the_middle_of_the_way_is_as_wide_as_a_car_in_a_corridor_of_3_m(
    y: float, keeps: bool
) -> None:
    assert keeps_to_the_pavement(person(10.0, y, on_pavement=True), ZONE) is keeps


def test_the_middle_of_the_way_is_as_wide_as_the_vehicle_where_that_is_wider() -> None:
    for y, keeps in ((1.2, False), (-1.2, False), (1.3, True)):
        subject = person(10.0, y, on_pavement=True)
        assert keeps_to_the_pavement(subject, ZONE, 1.25) is keeps
        assert keeps_to_the_pavement(subject, ZONE, 0.5)


@pytest.mark.parametrize(
    ('vy', 'keeps'), [(-0.3, True), (-0.39, False), (-1.4, False), (0.5, True)]
)
def test_who_comes_nearer_than_swaying_explains_does_not_keep_to_the_pavement(
    vy: float, keeps: bool
) -> None:
    """The doubt that is taken off is 0.075 m/s; -1.4 m/s has crossed the way after 1.5 s."""
    assert keeps_to_the_pavement(person(10.0, 1.0, vy, on_pavement=True), ZONE) is keeps


def test_nobody_who_is_out_of_sight_keeps_to_the_pavement() -> None:
    lost = person(10.0, 1.2, on_pavement=True)._replace(is_coasting=True)
    assert not keeps_to_the_pavement(lost, ZONE)


def test_times_are_of_their_people_in_their_order() -> None:
    people = [
        person(10.0, 3.0), person(10.0, 3.0, vy=-1.575), person(10.0, 0.0), person(10.0, -9.0),
    ]  # fmt: skip
    times_s = times_to_zone_s(people, ZONE)
    assert times_s == [math.inf, pytest.approx(1.0, abs=0.16), 0.0, math.inf]
    assert times_to_zone_s(people[::-1], ZONE) == times_s[::-1]


def test_who_walks_is_doubted_as_who_stands_is() -> None:
    """Beyond the end of the zone: 2 m nearer it walks into it."""
    doubtful = person(16.5, 3.0, vy=-1.575, sigma_along_m=2.0)
    assert times_to_zone_s([doubtful], ZONE) == [pytest.approx(1.0, abs=0.16)]
    sure = person(16.5, 3.0, vy=-1.575)
    assert times_to_zone_s([sure], ZONE) == [math.inf]
    legless = sure._replace(seen=sure.seen._replace(nearer_m=2.5))
    assert times_to_zone_s([legless], ZONE) == [pytest.approx(0.9, abs=0.25)]


def walker(
    x: float, y: float, vx: float, vy: float, sigma_m: float, nearer_m: float
) -> TrackedPerson:
    walks = person(x, y, vy, sigma_along_m=sigma_m)._replace(vx_mps=vx)
    return walks._replace(seen=walks.seen._replace(nearer_m=nearer_m))


@given(
    people=st.lists(
        st.builds(
            walker,
            x=st.floats(-5.0, 40.0),
            y=st.floats(-12.0, 12.0),
            vx=st.floats(-3.0, 3.0),
            vy=st.floats(-3.0, 3.0),
            sigma_m=st.floats(0.05, 4.0),
            nearer_m=st.floats(0.0, 8.0),
        ),
        max_size=8,
    ),
    bend=st.floats(-0.06, 0.06),
)
def test_who_is_left_out_for_being_far_away_would_not_have_come_into_the_zone(
    people: list[TrackedPerson], bend: float
) -> None:
    along = np.linspace(0.0, 25.0, 26)
    zones = (CorridorZone(np.column_stack([along, 0.5 * bend * along**2]), 1.5, 18.0), ZONE)
    for zone in (*zones, PolygonZone([(2.0, -2.0), (9.0, -1.0), (12.0, 4.0)])):
        quick = times_to_zone_s(people, zone, 2.0)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(approach, '_may_get_into', lambda *_: True)
            assert quick == times_to_zone_s(people, zone, 2.0)


def test_somebody_far_beside_the_zone_asks_it_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    contains = CorridorZone.contains
    monkeypatch.setattr(
        CorridorZone, 'contains', lambda zone, points: asked.append(1) or contains(zone, points)
    )
    assert times_to_zone_s([person(10.0, 8.0)], ZONE) == [math.inf]
    assert not asked
    assert times_to_zone_s([person(10.0, 0.0)], ZONE) == [0.0]
    assert asked
