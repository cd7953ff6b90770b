# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.tracking import EgoStep, PeopleTracker, TrackedPerson

FRAME_NS = 50_000_000
FRAME_S = 0.05


def seen(x: float, y: float, sigma_along: float = 0.3, sigma_across: float = 0.1) -> SeenPerson:
    return SeenPerson(
        x_m=x,
        y_m=y,
        sigma_along_m=sigma_along,
        sigma_across_m=sigma_across,
        foot_px=(320.0, 200.0),
        bbox=(310, 100, 330, 200),
        pixels=1000,
        confidence=1.0,
        feet='seen',
        on_pavement=False,
    )


def follow(
    tracker: PeopleTracker, *frames: list[SeenPerson], start: int = 0, ego: EgoStep | None = None
) -> tuple[TrackedPerson, ...]:
    tracks: tuple[TrackedPerson, ...] = ()
    for index, people in enumerate(frames, start):
        tracks = tracker.update(people, index * FRAME_NS, ego)
    return tracks


def test_a_person_is_believed_after_confirm_frames() -> None:
    tracker = PeopleTracker(confirm_frames=3)
    believed = [tracker.update([seen(10.0, 0.0)], i * FRAME_NS)[0].is_confirmed for i in range(4)]
    assert believed == [False, False, True, True]


def test_a_flash_is_never_believed() -> None:
    tracker = PeopleTracker(confirm_frames=2)
    tracks = follow(tracker, [seen(10.0, 0.0)], [], [], [seen(10.0, 0.0)])
    assert [track.is_confirmed for track in tracks] == [False]
    assert tracks[0].id == 2


def test_a_person_keeps_its_id_and_two_people_keep_theirs() -> None:
    tracker = PeopleTracker()
    frames = [[seen(12.0, -3.0 + 0.07 * i), seen(12.0, 3.0 - 0.07 * i)] for i in range(30)]
    first = {track.y_m > 0.0: track.id for track in follow(tracker, *frames)}
    again = follow(tracker, *[frame[::-1] for frame in frames[30:]], start=30)
    assert len(first) == 2
    assert {track.y_m > 0.0: track.id for track in again or follow(tracker, frames[-1], start=30)}


def test_the_velocity_of_a_walk_is_found_within_half_a_second() -> None:
    tracker = PeopleTracker()
    frames = [[seen(12.0, -3.0 + 1.4 * FRAME_S * i)] for i in range(11)]
    (track,) = follow(tracker, *frames, ego=EgoStep())
    assert track.vy_mps == pytest.approx(1.4, abs=0.25)
    assert abs(track.vx_mps) < 0.3


def test_a_person_out_of_sight_walks_on_for_coast_s() -> None:
    tracker = PeopleTracker(coast_s=0.5)
    frames = [[seen(12.0, -3.0 + 1.4 * FRAME_S * i)] for i in range(30)]
    follow(tracker, *frames, ego=EgoStep())
    tracks = follow(tracker, *[[]] * 10, start=30, ego=EgoStep())
    assert tracks[0].is_coasting
    assert tracks[0].y_m == pytest.approx(-3.0 + 1.4 * FRAME_S * 39, abs=0.15)
    assert follow(tracker, [], [], start=40) == ()


def test_who_is_plainly_gone_is_forgotten_after_confirm_frames() -> None:
    tracker = PeopleTracker(confirm_frames=3, coast_s=10.0)
    follow(tracker, *[[seen(12.0, 0.0)]] * 5)
    empty_place = [tracker.update([], i * FRAME_NS, None, lambda _: True) for i in range(5, 9)]
    assert [len(tracks) for tracks in empty_place] == [1, 1, 0, 0]


def test_who_was_seen_once_and_is_believed_is_forgotten_where_it_is_plainly_gone() -> None:
    tracker = PeopleTracker(confirm_frames=1, coast_s=10.0)
    (track,) = tracker.update([seen(12.0, 0.0)], 0)
    assert track.is_confirmed
    assert tracker.update([], FRAME_NS, None, lambda _: True) == ()


def leaving(y: float) -> SeenPerson:
    return seen(9.0, y)._replace(at_side=True)


def test_who_walks_out_of_the_picture_at_its_side_is_followed_on() -> None:
    tracker = PeopleTracker(coast_s=0.7)
    (track,) = follow(tracker, *[[leaving(6.0 - 0.07 * i)] for i in range(20)])
    assert not track.has_left
    for index in range(20, 20 + 100):  # five seconds
        (track,) = tracker.update([], index * FRAME_NS, is_gone=lambda _person: True)
        assert track.is_coasting
        assert track.has_left
    assert track.y_m == pytest.approx(6.0 - 0.07 * 119, abs=0.5)
    assert follow(tracker, *[[]] * 60, start=120) == ()


@pytest.mark.parametrize(
    'frames',
    [
        [[leaving(6.0)] for _ in range(20)],
        [[seen(9.0, 6.0 - 0.07 * i)] for i in range(20)],
    ],
    ids=['who stands at the side', 'who walks in the middle'],
)
def test_nobody_else_is_followed_longer_than_coast_s(frames: list[list[SeenPerson]]) -> None:
    tracker = PeopleTracker(coast_s=0.7)
    assert len(follow(tracker, *frames)) == 1
    assert follow(tracker, *[[]] * 16, start=20) == ()


def test_how_long_somebody_out_of_view_is_followed_is_a_parameter_and_never_below_coast_s() -> (
    None
):
    for out_of_view_s, coast_s, left in ((2.0, 0.7, 40), (0.0, 0.7, 14)):
        tracker = PeopleTracker(coast_s=coast_s, coast_out_of_view_s=out_of_view_s)
        follow(tracker, *[[leaving(6.0 - 0.07 * i)] for i in range(20)])
        assert len(follow(tracker, *[[]] * left, start=20)) == 1
        assert follow(tracker, [], start=20 + left) == ()


def test_who_has_left_the_picture_comes_back_at_its_side_only() -> None:
    for place, ids in ((leaving(4.0), 1), (seen(9.0, 4.0), 2)):
        tracker = PeopleTracker()
        follow(tracker, *[[leaving(6.0 - 0.07 * i)] for i in range(20)])
        tracks = follow(tracker, *[[]] * 8, [place], start=20)
        assert len({track.id for track in tracks}) == ids


def test_a_person_comes_back_from_behind_a_pole_with_its_id() -> None:
    tracker = PeopleTracker()
    walk = [[seen(12.0, -3.0 + 1.4 * FRAME_S * i)] for i in range(50)]
    before = follow(tracker, *walk[:30], ego=EgoStep())
    after = follow(tracker, *[[]] * 8, *walk[38:], start=30, ego=EgoStep())
    assert [track.id for track in after] == [track.id for track in before]


def test_somebody_who_stands_has_no_speed_while_the_vehicle_drives_by() -> None:
    tracker = PeopleTracker()
    speed, yaw_rate = 6.0, 0.15
    x, y, heading = 0.0, 0.0, 0.0
    track = None
    for i in range(40):
        cos, sin = math.cos(heading), math.sin(heading)
        dx, dy = 25.0 - x, 2.0 - y
        person = seen(cos * dx + sin * dy, -sin * dx + cos * dy, 0.5, 0.08)
        turn = yaw_rate * FRAME_S
        way = speed * FRAME_S
        ego = EgoStep(way * math.cos(turn / 2), way * math.sin(turn / 2), turn)
        (track,) = tracker.update([person], i * FRAME_NS, ego)
        heading += turn
        x += way * math.cos(heading - turn / 2)
        y += way * math.sin(heading - turn / 2)
    assert track is not None
    assert math.hypot(track.vx_mps, track.vy_mps) < 0.15


def test_without_odometry_velocities_are_against_the_vehicle() -> None:
    frames = [[seen(25.0 - 5.0 * FRAME_S * i, 2.0)] for i in range(30)]
    (track,) = follow(PeopleTracker(), *frames)
    assert track.vx_mps == pytest.approx(-5.0, abs=0.4)


def test_range_noise_far_away_makes_neither_speed_nor_new_people() -> None:
    generator = np.random.default_rng(4)
    tracker = PeopleTracker()
    speeds = []
    for i in range(200):
        noise = generator.normal(0.0, 1.5)
        person = seen((30.0 + noise), 3.0 * (30.0 + noise) / 30.0, 1.5, 0.1)
        (track,) = tracker.update([person], i * FRAME_NS, EgoStep())
        speeds.append((track.vx_mps, track.vy_mps))
    vx, vy = np.abs(speeds[40:]).max(axis=0)
    assert track.id == 1
    assert vx < 1.5
    assert vy < 0.3


def test_a_hand_far_away_is_not_taken_for_somebody_near() -> None:
    tracker = PeopleTracker(coast_s=0.2)
    follow(tracker, *[[seen(5.0, -1.5)]] * 5)
    hand = seen(19.0, -5.5, sigma_along=9.0)._replace(bbox=(467, 165, 471, 171))
    tracks = follow(tracker, *[[hand]] * 6, start=5)
    assert [track.id for track in tracks] == [2]


def test_somebody_at_another_bearing_is_not_taken_for_who_was_lost_half_a_second_ago() -> None:
    tracker = PeopleTracker()
    lost = [[seen(29.5 - 0.4 * i, -5.7, 3.5, 0.08)] for i in range(3)]
    hidden_far_away = [seen(43.4, -6.7, 15.8, 0.09)]
    tracks = follow(tracker, *lost, *[[]] * 11, hidden_far_away, ego=EgoStep(x_m=0.4))
    assert [track.id for track in tracks] == [1, 2]
    assert abs(tracks[0].vy_mps) < 0.5


def test_people_on_two_lines_of_sight_are_not_one_where_these_cross_at_the_vehicle() -> None:
    """Of both only the bearing is known; phantoms far away brought somebody to the bumper so."""
    tracker = PeopleTracker()
    far = [[seen(48.5, 10.8, 17.5, 0.09)], [], [seen(36.0, 4.4, 12.3, 0.09)]]
    for index, people in enumerate([*far, [seen(39.3, 9.0, 13.4, 0.09)]]):
        tracks = tracker.update(people, index * 2 * FRAME_NS)
        assert min(track.distance_m for track in tracks) > 35.0


def test_people_without_a_place_are_left_out() -> None:
    assert PeopleTracker().update([seen(math.nan, math.nan)], 0) == ()


def test_a_reset_forgets_people_but_not_ids() -> None:
    tracker = PeopleTracker()
    follow(tracker, [seen(10.0, 0.0)])
    tracker.reset()
    assert [track.id for track in follow(tracker, [seen(10.0, 0.0)])] == [2]


@given(
    frames=st.lists(
        st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60)), max_size=6), max_size=12
    ),
    steps=st.lists(st.integers(0, 3_000_000_000), min_size=12, max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_whatever_comes_the_numbers_stay_finite(
    frames: list[list[tuple[float, float]]], steps: list[int]
) -> None:
    tracker = PeopleTracker()
    stamp_ns = 0
    for places, step in zip(frames, steps, strict=False):
        stamp_ns += step
        for track in tracker.update([seen(x, y) for x, y in places], stamp_ns, EgoStep(1.0)):
            numbers = (track.x_m, track.y_m, track.vx_mps, track.sigma_vx_mps)
            assert all(math.isfinite(number) for number in numbers)


def test_who_stands_beside_somebody_who_walks_does_not_walk() -> None:
    tracker = PeopleTracker()
    frames = [[seen(10.0, 3.0), seen(10.0, -3.0 + 1.5 * FRAME_S * n)] for n in range(40)]
    # Both at the side of the picture, where who walks has left when it is seen no more
    at_side = [[person._replace(at_side=True) for person in people] for people in frames]
    tracks = follow(tracker, *at_side, [])
    assert [track.has_left for track in tracks] == [False, True]
