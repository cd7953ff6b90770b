# SPDX-License-Identifier: Apache-2.0
"""The course, the follower and the record of the closed loop."""

from __future__ import annotations

import numpy as np
import pytest

from seg_ros.core.stop.config import StopConfig
from seg_ros.sim.courses import LEG_M, RATE_HZ, course
from seg_ros.sim.follower import BRAKING_MPS2, Follower
from seg_ros.sim.frame import EgoState, Person, SimFrame
from seg_ros.sim.leg_record import LegRecord, figures_of

PERIOD_S = 1.0 / RATE_HZ
AHEAD = np.stack([np.arange(3.6, 30.0, 0.5), np.zeros(53)], axis=-1)
NOTHING = np.zeros((0, 2))


def frame(
    s_m: float, offset_m: float = 0.0, speed_mps: float = 8.0, person_x_m: float | None = None
) -> SimFrame:
    """A straight road, with or without somebody in the middle of the lane."""
    x = np.arange(81) * 0.5
    middle = np.stack([x, np.full(81, -offset_m)], axis=-1)
    person = Person(1, person_x_m or 0.0, 0.0, 0.0, 0.0, 1.7, 'road', 1.0, (1, 1, 9, 20))
    return SimFrame(
        image=np.zeros((1, 1, 3), np.uint8),
        labels=np.zeros((1, 1), np.uint8),
        codes=np.zeros((1, 1), np.uint8),
        stamp_ns=0,
        ego=EgoState(s_m, 0.0, 0.0, speed_mps, 0.0, s_m),
        lane_centre=middle,
        lane_left=middle + np.array([0.0, 1.75]),
        lane_right=middle - np.array([0.0, 1.75]),
        lane_width_m=3.5,
        lane_offset_m=offset_m,
        heading_error_rad=0.0,
        people=() if person_x_m is None else (person,),
        cyclists=(),
    )


def record_of(*frames: tuple[SimFrame, bool]) -> LegRecord:
    record = LegRecord(StopConfig(hold_s=0.0), PERIOD_S)
    for shown, stop in frames:
        record.add(shown, stop=stop, pathless=False, answered=True)
    return record


def test_a_course_is_the_same_each_time_and_another_with_another_seed() -> None:
    legs = course(1.2, seed=3)
    assert [leg.length_m for leg in legs] == pytest.approx([LEG_M, LEG_M, 200.0])
    assert legs == course(1.2, seed=3)
    assert legs[0].scene != course(1.2, seed=4)[0].scene
    assert len({leg.scene.seed for leg in legs}) == 3


def test_people_cross_on_every_leg_early_enough_to_stop_for_them() -> None:
    for leg in course(5.0, seed=1):
        assert leg.scene.crossing_events
        for event in leg.scene.crossing_events:
            assert event.at_m < leg.length_m
            assert 20.0 < event.trigger_distance_m <= 100.0


def test_the_follower_brakes_for_a_stop_and_for_the_silence_of_the_path() -> None:
    follower = Follower()
    assert follower.command(0, NOTHING, False, 8.0)[1] == -BRAKING_MPS2
    assert follower.command(50_000_000, AHEAD, False, 8.0) == (0.0, None)
    assert follower.command(100_000_000, AHEAD, True, 8.0)[1] == -BRAKING_MPS2
    assert follower.command(550_000_000, NOTHING, False, 8.0)[1] is None
    assert not follower.pathless
    assert follower.command(650_000_000, NOTHING, False, 8.0)[1] == -BRAKING_MPS2
    assert follower.pathless


def test_a_departure_counts_once_until_the_vehicle_is_back() -> None:
    offsets_m = (0.0, 0.9, 1.0, 0.2, -0.9)  # 0.8 m of room
    record = record_of(*((frame(i * 0.4, m), False) for i, m in enumerate(offsets_m)))
    figures = figures_of([record.as_dict()])
    assert figures['departures'] == 2
    assert figures['lateral_rms_m'] == pytest.approx(np.sqrt(np.mean(np.square(offsets_m))))
    assert figures['km'] == pytest.approx(0.0016)


def test_a_stop_is_followed_by_a_resume_once_the_vehicle_goes_again() -> None:
    record = record_of((frame(0.0), False), (frame(0.4), True), (frame(0.5, speed_mps=0.0), False))
    assert (record.stops, record.resumes, record.is_stopping) == (1, 0, True)
    record.add(frame(0.8, speed_mps=2.0), stop=False, pathless=False, answered=True)
    assert (record.stops, record.resumes, record.is_stopping) == (1, 1, False)


def test_a_stop_that_comes_back_before_the_vehicle_has_gone_on_is_the_same_stop() -> None:
    record = record_of(
        (frame(0.0), True), (frame(0.4, speed_mps=0.9), False), (frame(0.5, speed_mps=1.1), True)
    )
    assert (record.stops, record.resumes) == (1, 0)
    figures = figures_of([record.as_dict()])
    assert (figures['stops'], figures['legs_that_end_stopped']) == (1, 1)
    record.add(frame(0.8, speed_mps=2.0), stop=False, pathless=False, answered=True)
    assert figures_of([record.as_dict()])['legs_that_end_stopped'] == 0


def test_whoever_stands_in_the_zone_is_met_and_whoever_is_reached_is_hit() -> None:
    record = record_of((frame(0.0, person_x_m=15.0), True))
    assert (record.met, record.hit) == ({1}, set())
    record.add(frame(11.5, person_x_m=3.5), stop=True, pathless=False, answered=True)
    assert record.hit == {1}
    stands = record_of((frame(0.0, speed_mps=0.0, person_x_m=3.5), True))
    assert stands.hit == set()


def test_a_stop_without_anybody_is_false_and_one_with_somebody_is_not() -> None:
    empty = record_of(*((frame(0.1 * i), True) for i in range(40)))
    assert empty.falsely_stopped_s == pytest.approx(2.0)
    met = record_of(*((frame(0.1 * i, person_x_m=15.0), True) for i in range(40)))
    assert met.falsely_stopped_s == 0.0


def test_figures_of_several_legs_are_weighted_by_their_frames() -> None:
    one = record_of(*((frame(0.4 * i, 0.3), False) for i in range(30)))
    two = record_of(*((frame(0.4 * i, 0.1), False) for i in range(10)))
    rows = [one.as_dict(), two.as_dict()]
    assert figures_of(rows)['lateral_rms_m'] == pytest.approx(np.sqrt((30 * 0.09 + 0.1) / 40))
    assert figures_of([])['lateral_rms_m'] is None
