# SPDX-License-Identifier: Apache-2.0
"""The batch of all tracks against a Kalman filter of one person, as textbooks write it."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.tracking import (
    GATE,
    LEAST_WALK_MPS,
    VELOCITY_DOUBT,
    EgoStep,
    PeopleTracker,
    TrackedPerson,
    sure_velocity,
)

MS = 1_000_000
Array = NDArray[np.float64]
# People walk at 1.3 m/s and reach that in about a second; without odometry the vehicle's own
# braking is in it. In steps of 0.1 s, whatever the rate of the frames
WALK_MPS, RUN_MPS, STARTS_MPS2, BRAKES_MPS2, STEP_S, LEAST_STEP_S = 1.3, 3.0, 1.2, 3.0, 0.1, 0.01
ALONG_M, ACROSS_M = 0.6, 0.1


def seen(x: float, y: float, along: float = ALONG_M, across: float = ACROSS_M) -> SeenPerson:
    return SeenPerson(
        x, y, along, across, (320.0, 200.0), (310, 100, 330, 200), 1000, 1.0, 'seen', False
    )


def noise_of(person: SeenPerson) -> Array:
    """``(2, 2)`` covariance of a sighting: long along its line of sight."""
    angle = math.atan2(person.y_m, person.x_m)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return turn @ np.diag([person.sigma_along_m**2, person.sigma_across_m**2]) @ turn.T


class Textbook:
    """Predicts and corrects ``x = (x, y, vx, vy)`` and its covariance."""

    def __init__(self, first: SeenPerson, velocity_mps: float = WALK_MPS) -> None:
        self.state = np.array([first.x_m, first.y_m, 0.0, 0.0])
        self.covariance = np.zeros((4, 4))
        self.covariance[:2, :2] = noise_of(first)
        self.covariance[2:, 2:] = velocity_mps**2 * np.eye(2)

    def predict(self, dt_s: float, ego: EgoStep | None = None) -> None:
        transition = np.eye(4) + dt_s * np.eye(4, k=2)
        by_acceleration = np.vstack([0.5 * dt_s**2 * np.eye(2), dt_s * np.eye(2)])
        sigma = BRAKES_MPS2 if ego is None else STARTS_MPS2
        variance = sigma**2 * STEP_S / max(dt_s, LEAST_STEP_S)
        noise = variance * by_acceleration @ by_acceleration.T
        self.state = transition @ self.state
        self.covariance = transition @ self.covariance @ transition.T + noise
        if ego is not None:
            cos, sin = math.cos(ego.yaw_rad), math.sin(ego.yaw_rad)
            into_new_frame = np.kron(np.eye(2), np.array([[cos, sin], [-sin, cos]]))
            self.state[:2] -= ego.x_m, ego.y_m
            self.state = into_new_frame @ self.state
            self.covariance = into_new_frame @ self.covariance @ into_new_frame.T

    def correct(self, person: SeenPerson) -> None:
        innovation = np.array([person.x_m, person.y_m]) - self.state[:2]
        spread = self.covariance[:2, :2] + noise_of(person)
        gain = self.covariance[:, :2] @ np.linalg.inv(spread)
        self.state = self.state + gain @ innovation
        self.covariance = self.covariance - gain @ self.covariance[:2]

    def takes(self, person: SeenPerson) -> bool:
        """Whether a sighting can be of this person."""
        place = np.array([person.x_m, person.y_m])
        spread = self.covariance[:2, :2] + noise_of(person)
        off = place - self.state[:2]
        along_sight = place / np.hypot(*place)
        across_sight = np.array([-along_sight[1], along_sight[0]])
        both = self.state[:2] + self.covariance[:2, :2] @ np.linalg.solve(spread, off)
        nearer_m = min(np.hypot(*place), np.hypot(*self.state[:2]))
        return bool(
            off @ np.linalg.solve(spread, off) < 13.8
            and (across_sight @ off) ** 2 / (across_sight @ spread @ across_sight) < 9.0
            and np.hypot(*both) > 0.7 * nearer_m
        )


def assert_same(track: TrackedPerson, truth: Textbook) -> None:
    found = (track.x_m, track.y_m, track.vx_mps, track.vy_mps)
    np.testing.assert_allclose(found, truth.state, atol=1e-9)
    sigmas = np.sqrt(truth.covariance.diagonal())
    ahead = abs(track.x_m) >= abs(track.y_m)
    np.testing.assert_allclose(
        (track.sigma_along_m, track.sigma_vx_mps, track.sigma_vy_mps),
        (sigmas[0] if ahead else sigmas[1], sigmas[2], sigmas[3]),
        atol=1e-9,
    )


@pytest.mark.parametrize('ego', [None, EgoStep(0.3, 0.02, 0.05), EgoStep()])
@pytest.mark.parametrize(('x', 'y'), [(12.0, 4.0), (4.0, -9.0)])
def test_a_track_is_that_of_a_textbook_at_any_rate_and_in_any_turn(
    x: float, y: float, ego: EgoStep | None
) -> None:
    tracker, stamp_ns, truth = PeopleTracker(), 0, Textbook(seen(x, y))
    (track,) = tracker.update([seen(x, y)], 0, ego)
    assert_same(track, truth)
    for index, step_ms in enumerate((50, 50, 200, 4, 100, 50), 1):
        stamp_ns += step_ms * MS
        truth.predict(step_ms / 1000.0, ego)
        # It is not seen in the third frame, and errs by some centimetres
        people = [seen(truth.state[0] + 0.1 * (-1) ** index, truth.state[1] + 0.05)]
        if index == 3:
            people = []
        for person in people:
            truth.correct(person)
        (track,) = tracker.update(people, stamp_ns, ego)
        assert_same(track, truth)


def test_two_tracks_are_each_that_of_a_textbook() -> None:
    tracker = PeopleTracker()
    first, second = Textbook(seen(9.0, -3.0)), Textbook(seen(14.0, 4.0, 1.2, 0.2))
    tracker.update([seen(9.0, -3.0), seen(14.0, 4.0, 1.2, 0.2)], 0)
    for index in range(1, 5):
        near, far = seen(9.0, -3.0 + 0.07 * index), seen(14.0 - 0.1 * index, 4.0, 1.2, 0.2)
        for truth, person in ((first, near), (second, far)):
            truth.predict(0.05)
            truth.correct(person)
        tracks = tracker.update([far, near], index * 50 * MS)
        assert [track.id for track in tracks] == [1, 2]
        assert_same(tracks[0], first)
        assert_same(tracks[1], second)


@pytest.mark.parametrize('speed_mps', [5.0, 7.0])
def test_a_second_sighting_that_only_a_run_explains_is_taken_as_if_one_had_been_expected(
    speed_mps: float,
) -> None:
    where = [seen(9.0, -3.0, 0.1), seen(9.0, -3.0 + 0.2 * speed_mps, 0.1)]
    assert not walked_to(where[0], where[1]).takes(where[1])
    truth = Textbook(where[0], RUN_MPS)
    truth.predict(0.2)
    truth.correct(where[1])
    stands = seen(20.0, 4.0)
    tracker = PeopleTracker()
    tracker.update([where[0], stands], 0)
    first, other = tracker.update([where[1], stands], 200 * MS)
    assert_same(first, truth)
    walks = walked_to(stands, stands)
    walks.correct(stands)
    assert_same(other, walks)  # nobody else is in doubt by it


def walked_to(first: SeenPerson, second: SeenPerson) -> Textbook:
    truth = Textbook(first)
    truth.predict(0.2)
    return truth


def test_who_was_seen_twice_runs_no_more() -> None:
    tracker = PeopleTracker()
    for index in range(2):
        tracker.update([seen(9.0, -3.0, 0.1)], index * 200 * MS)
    assert len(tracker.update([seen(9.0, -1.0, 0.1)], 400 * MS)) == 2


def test_a_runner_who_is_not_seen_again_is_in_doubt_as_a_walker_is() -> None:
    tracker, truth = PeopleTracker(), Textbook(seen(9.0, -3.0))
    tracker.update([seen(9.0, -3.0)], 0)
    truth.predict(0.1)
    first, _ = tracker.update([seen(30.0, 9.0)], 100 * MS)
    assert_same(first, truth)


@pytest.mark.parametrize(('along', 'across'), [(0.6, 0.1), (6.0, 0.3), (9.0, 1.5)])
@pytest.mark.parametrize(('x', 'y'), [(12.0, 5.0), (6.0, -9.0)])
def test_a_sighting_is_of_who_is_followed_where_the_gates_of_a_textbook_say_so(
    x: float, y: float, along: float, across: float
) -> None:
    """One in 1000 right pairs refused; three sigma across; both together not far nearer."""
    someone = seen(x, y, along, across)
    sight = np.array([x, y]) / math.hypot(x, y)
    aside = np.array([-sight[1], sight[0]])
    answers = []
    for far in (-5.0, -3.5, 0.0, 3.5, 5.0):
        for wide in np.linspace(-6.0, 6.0, 13):
            tracker, truth = PeopleTracker(), Textbook(someone)
            tracker.update([someone], 0)
            for index in (1, 2):
                truth.predict(0.05)
                truth.correct(someone)
                tracker.update([someone], index * 50 * MS)
            truth.predict(0.05)
            place = truth.state[:2] + far * along * sight + wide * across * aside
            found = seen(*place.tolist(), along, across)
            tracks = tracker.update([found], 150 * MS)
            answers.append(truth.takes(found))
            assert (len(tracks) == 1) == answers[-1], (far, wide)
    assert 0.1 < np.mean(answers) < 0.9


def test_the_gate_refuses_one_right_pair_in_a_thousand() -> None:
    assert math.exp(-0.5 * GATE) == pytest.approx(0.001, rel=0.02)


@pytest.mark.parametrize(('rows', 'is_same'), [(398, True), (400, False), (26, True), (25, False)])
def test_nobody_becomes_four_times_as_tall_from_frame_to_frame(rows: int, is_same: bool) -> None:
    tracker = PeopleTracker()
    for index in range(3):
        tracker.update([seen(9.0, 0.0)], index * 50 * MS)  # 100 rows
    other = seen(9.0, 0.0)._replace(bbox=(310, 50, 330, 50 + rows))
    assert (len(tracker.update([other], 150 * MS)) == 1) is is_same


def test_an_old_track_wins_against_a_new_one_that_is_as_near() -> None:
    tracker = PeopleTracker()
    for index in range(4):
        tracker.update([seen(9.0, 0.5)], index * 50 * MS)
    tracker.update([seen(9.0, 0.5), seen(9.0, -0.1)], 200 * MS)
    tracks = tracker.update([seen(9.0, 0.25)], 250 * MS)
    assert [track.id for track in tracks if not track.is_coasting] == [1]


def test_of_two_tracks_the_nearer_one_takes_a_sighting_and_the_surer_one_of_two_as_near() -> None:
    tracker = PeopleTracker()
    for index in range(4):
        tracker.update([seen(9.0, 0.6), seen(9.0, -0.6)], index * 50 * MS)
    tracks = tracker.update([seen(9.0, -0.2)], 200 * MS)
    assert [track.is_coasting for track in tracks] == [True, False]
    tracker = PeopleTracker()
    for index in range(4):
        tracker.update([seen(9.0, 0.6, 3.0, 1.0), seen(9.0, -0.6, 0.3, 0.3)], index * 50 * MS)
    tracks = tracker.update([seen(9.0, 0.0, 0.3, 0.3)], 200 * MS)
    assert [track.is_coasting for track in tracks] == [True, False]


def test_of_two_sightings_the_one_that_fits_is_taken_and_not_the_surer_one() -> None:
    tracker = PeopleTracker()
    for index in range(10):
        tracker.update([seen(9.0, 0.0, 0.3, 0.1)], index * 50 * MS)
    people = [seen(9.0, 0.0, 0.4, 0.12), seen(9.0, 0.3, 0.2, 0.08)]
    tracks = tracker.update(people, 500 * MS)
    assert [(track.id, track.seen) for track in tracks] == [(1, people[0]), (2, people[1])]


def test_noise_alone_is_no_walk_in_93_of_100_velocities() -> None:
    assert NormalDist().cdf(-VELOCITY_DOUBT) == pytest.approx(0.07, abs=0.005)


@pytest.mark.parametrize('sign', [1.0, -1.0])
def test_of_a_velocity_its_doubt_is_taken_off_and_less_than_a_quarter_of_a_walk_is_none(
    sign: float,
) -> None:
    for velocity, sure in (((1.0, 0.1), (0.55, 0.0)), ((0.74, 0.0), (0.0, 0.0)),
                           ((0.1, 0.76), (0.0, 0.31)), ((0.75, 0.0), (0.3, 0.0))):  # fmt: skip
        found = sure_velocity(sign * velocity[0], sign * velocity[1], 0.3, 0.3)
        assert found == pytest.approx((sign * sure[0], sign * sure[1]))
    assert pytest.approx(0.3) == LEAST_WALK_MPS


def test_the_feet_age_since_they_were_cut_last_and_were_never_seen_of_who_came_cut() -> None:
    tracker = PeopleTracker()
    cut = seen(4.0, 0.0)._replace(feet='truncated')
    (track,) = tracker.update([cut], 0)
    assert track.feet_age_s == math.inf
    (track,) = tracker.update([seen(4.0, 0.0)], 50 * MS)
    assert track.feet_age_s == 0.0
    for index in (2, 3):
        (track,) = tracker.update([cut], index * 50 * MS)
    assert track.feet_age_s == pytest.approx(0.1)
    (whole,) = PeopleTracker().update([seen(9.0, 0.0)], 0)
    assert whole.feet_age_s == 0.0


def test_who_is_lost_for_exactly_coast_s_is_still_expected() -> None:
    tracker = PeopleTracker(coast_s=0.5, coast_out_of_view_s=0.5)
    for index in range(4):
        tracker.update([seen(9.0, 0.0)], index * 100 * MS)
    assert len(tracker.update([], 800 * MS)) == 1
    assert tracker.update([], 801 * MS) == ()


def test_a_place_that_is_hidden_once_more_does_not_hide_that_it_was_empty_before() -> None:
    tracker = PeopleTracker(confirm_frames=3, coast_s=10.0)
    for index in range(4):
        tracker.update([seen(9.0, 0.0)], index * 50 * MS)
    empty = [True, True, False, True]
    left = [
        len(tracker.update([], (4 + index) * 50 * MS, None, lambda _, gone=gone: gone))  # type: ignore[misc]
        for index, gone in enumerate(empty)
    ]
    assert left == [1, 1, 1, 0]


def test_who_is_seen_again_was_never_gone() -> None:
    tracker = PeopleTracker(confirm_frames=2, coast_s=10.0)
    for index in range(3):
        tracker.update([seen(9.0, 0.0)], index * 50 * MS)
    for index in (3, 5):
        assert len(tracker.update([], index * 50 * MS, None, lambda _: True)) == 1
        tracker.update([seen(9.0, 0.0)], (index + 1) * 50 * MS)


def test_ids_go_up_by_one_and_time_that_stands_still_moves_nobody() -> None:
    tracker = PeopleTracker()
    people = [seen(9.0, 4.0), seen(9.0, 0.0), seen(9.0, -4.0)]
    first = tracker.update(people, 5 * MS)
    again = tracker.update([], 5 * MS)
    assert [track.id for track in first] == [1, 2, 3]
    assert [(t.x_m, t.y_m) for t in again] == [(t.x_m, t.y_m) for t in first]
