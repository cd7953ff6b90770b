# SPDX-License-Identifier: Apache-2.0
"""What of odometry is believed, and what it makes of the stop when it is not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.stop.odometry import OdometryMonitor
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from seg_ros.core.stop.zones import CorridorZone, Motion
from seg_ros.core.vehicle import CAR
from test.people_scene import LABEL_MAP, MS, empty_road, frame_with, ground

CONFIG = StopConfig()
BEAT_NS = 50 * MS
EMPTY = empty_road()
NAN, INF = math.nan, math.inf


def heard(*numbers: tuple[float, float]) -> tuple[OdometryMonitor, int]:
    """Takes speeds and yaw rates, one each beat; returns the monitor and the time."""
    monitor = OdometryMonitor(CAR)
    for beat, (speed, turn) in enumerate(numbers):
        monitor.take(Motion(beat * BEAT_NS, speed, turn), CONFIG.clock_jump_s)
    return monitor, (len(numbers) - 1) * BEAT_NS


@pytest.mark.parametrize(
    ('speed', 'turn', 'words'),
    [
        (50.0, 0.0, '50 m/s, and vehicle.max_speed_mps is 40'),
        (-50.0, 0.0, '-50 m/s'),
        (5.0, 10.0, '10 rad/s, and vehicle.max_yaw_rate_rps is 1.5'),
        (8.6, 1.45, '12.5 m/s^2 across the way'),
        (6.3, 0.0, 'jumps from 5 to 6.3 m/s within 0.050 s'),
        (NAN, 0.0, 'no motion'),
        (5.0, INF, 'no motion'),
    ],
)
def test_what_a_vehicle_cannot_do_is_a_fault_and_not_believed(
    speed: float, turn: float, words: str
) -> None:
    monitor, now_ns = heard((5.0, 0.0), (speed, turn))
    fault = monitor.fault(now_ns, CONFIG)
    assert fault is not None
    assert fault.kind is StopKind.ODOMETRY_IMPLAUSIBLE
    assert words in fault.reason
    assert monitor.fresh(now_ns, 0.5) == Motion(0, 5.0)


@pytest.mark.parametrize(('speed', 'turn'), [(5.6, 0.2), (4.4, 0.0), (5.0, 1.4)])
def test_a_car_at_its_limits_is_believed(speed: float, turn: float) -> None:
    monitor, now_ns = heard((5.0, 0.0), (speed, turn))
    assert monitor.fault(now_ns, CONFIG) is None
    assert monitor.fresh(now_ns, 0.5) == Motion(now_ns, speed, turn)


def test_a_fault_ends_with_the_third_possible_message_in_a_row() -> None:
    good = [(5.0, 0.0)] * 3
    monitor, now_ns = heard((5.0, 0.0), (NAN, 0.0), *good[1:])
    assert monitor.fault(now_ns, CONFIG) is not None
    monitor, now_ns = heard((5.0, 0.0), (NAN, 0.0), *good)
    assert monitor.fault(now_ns, CONFIG) is None


def test_two_publishers_that_disagree_are_a_fault_for_ever() -> None:
    monitor, now_ns = heard(*[(0.0, 0.0), (8.0, 0.0)] * 100)
    assert monitor.fault(now_ns, CONFIG) is not None


def test_a_true_change_that_was_not_heard_is_believed_once_there_was_time_for_it() -> None:
    monitor, now_ns = heard((0.0, 0.0), *[(12.0, 0.0)] * 30)
    assert monitor.fault(now_ns, CONFIG) is None
    assert monitor.fresh(now_ns, 0.5) == Motion(now_ns, 12.0)


def test_odometry_that_never_made_sense_is_a_stop_unless_it_is_optional() -> None:
    monitor, now_ns = heard(*[(NAN, NAN)] * 5)
    assert monitor.fault(now_ns + 10_000 * MS, CONFIG) is not None
    optional = replace(CONFIG, odometry='optional')
    assert monitor.fault(now_ns, optional) is not None
    assert monitor.fault(now_ns + 10_000 * MS, optional) is None  # the worst case speed is taken


def test_small_steps_within_the_jitter_of_stamps_do_not_add_up_to_a_jump() -> None:
    monitor = OdometryMonitor(CAR)
    # 0.5 m/s in 10 ms are possible once, where the stamp may be 50 ms off; ten times they are
    # 50 m/s^2
    for index in range(20):
        speed = min(max(index - 5, 0) * 0.5, 5.0)
        monitor.take(Motion(index * 10 * MS, speed), CONFIG.clock_jump_s)
    fault = monitor.fault(190 * MS, CONFIG)
    assert fault is not None
    assert 'are possible with vehicle.max_acceleration_mps2 12' in fault.reason
    believed = monitor.fresh(190 * MS, 0.5)
    assert believed is not None
    assert believed.speed_mps < 2.0


@given(
    lateness_ms=st.lists(st.integers(0, 50), min_size=2, max_size=30),
    brakes=st.floats(-12.0, 12.0),
    period_ms=st.integers(10, 60),
)
def test_a_true_drive_with_stamps_of_arrival_is_never_a_fault(
    lateness_ms: list[int], brakes: float, period_ms: int
) -> None:
    monitor = OdometryMonitor(CAR)
    stamp_ns = -1
    for index, late_ms in enumerate(lateness_ms):
        true_s = 1e-3 * period_ms * index
        stamp_ns = max(stamp_ns + 1, (period_ms * index + late_ms) * MS)
        monitor.take(Motion(stamp_ns, 1.0 + brakes * true_s), CONFIG.clock_jump_s)
        assert monitor.fault(stamp_ns, CONFIG) is None


def test_odometry_from_the_future_is_named_so_and_not_as_fresh() -> None:
    monitor = OdometryMonitor(CAR)
    now_ns = 100_000 * MS
    monitor.take(Motion(now_ns + 900 * MS, 5.0), CONFIG.clock_jump_s)
    fault = monitor.fault(now_ns, CONFIG)
    assert fault is not None
    assert fault.kind is StopKind.NO_ODOMETRY
    assert fault.reason == 'the newest odometry is stamped 0.90 s ahead of the clock'


def test_odometry_that_is_ahead_by_the_timeout_itself_is_told_by_how_long_ago_it_came() -> None:
    monitor = OdometryMonitor(CAR)
    now_ns = 100_000 * MS
    monitor.take(Motion(now_ns + 500 * MS, 5.0), CONFIG.clock_jump_s)
    assert CONFIG.odometry_timeout_s == 0.5
    assert monitor.fault(now_ns, CONFIG) is None
    monitor.look(now_ns, 0)
    monitor.look(now_ns, 1000 * MS)
    fault = monitor.fault(now_ns, CONFIG)
    assert fault is not None
    assert fault.reason.endswith(' s old')


def test_a_vehicle_that_has_not_moved_was_never_fast() -> None:
    assert OdometryMonitor(CAR).fastest_mps == 0.0
    monitor, _ = heard((0.0, 0.0), (0.25, 0.0))
    assert monitor.fastest_mps == 0.25


def test_no_step_of_the_clock_keeps_odometry_fresh() -> None:
    monitor = OdometryMonitor(CAR)
    start_ns = 100_000 * MS
    monitor.take(Motion(start_ns, 5.0), CONFIG.clock_jump_s)
    # The clock goes 300 ms and back again, for a second by the watch on the wall
    for beat in range(21):
        now_ns = start_ns + beat % 7 * BEAT_NS
        monitor.look(now_ns, beat * BEAT_NS)
    fault = monitor.fault(start_ns, CONFIG)
    assert fault is not None
    assert fault.kind is StopKind.NO_ODOMETRY
    assert fault.reason == 'the newest odometry is 1.50 s old'
    assert monitor.fresh(start_ns, 0.5) is None
    monitor.take(Motion(start_ns, 5.0), CONFIG.clock_jump_s)
    monitor.look(start_ns, 21 * BEAT_NS)
    assert monitor.fault(start_ns, CONFIG) is None


def test_the_clock_that_stands_still_does_not_keep_odometry_fresh() -> None:
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    stop.odometry(Motion(0, 5.0))
    stop.check(0, 0)
    decision = stop.check(0, 700 * MS)
    stop.update(EMPTY, 0, ground=ground())
    decision = stop.check(0, 750 * MS)
    assert decision.kind is StopKind.NO_ODOMETRY


@pytest.mark.parametrize('rate_hz', [20.0, 10.0, 7.0, 4.0])
@pytest.mark.parametrize('speed_mps', [8.0, 20.0, -20.0, 39.0])
@pytest.mark.parametrize('x', [5.0, 6.4])
def test_odometry_that_is_possible_and_wrong_blinds_nobody(
    x: float, speed_mps: float, rate_hz: float
) -> None:
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    stops = []
    for index in range(40):
        stamp_ns = round(index * 1000 * MS / rate_hz)
        stop.odometry(Motion(stamp_ns, speed_mps))
        # The vehicle stands, and so does somebody in front of it
        labels = EMPTY if index < 8 else frame_with((x, 0.0))
        stops.append(stop.update(labels, stamp_ns, ground=ground()).stop)
    assert not stops[7]
    assert all(stops[11:])


FLOATS = st.one_of(
    st.floats(),
    st.floats(-45.0, 45.0),
    st.sampled_from([NAN, INF, -INF, 1e308, -1e308, 5e-324, 3e4, 50.0, 0.0, -0.0]),
)
STAMPS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-2_000, 2_000).map(lambda ms: ms * MS)
)


@settings(max_examples=150, deadline=None)
@given(
    messages=st.lists(st.tuples(FLOATS, FLOATS, STAMPS), min_size=1, max_size=8),
    rule=st.sampled_from(['optional', 'once_seen', 'required']),
)
def test_no_odometry_makes_a_long_job_or_a_clear_way_of_nonsense(
    messages: list[tuple[float, float, int]], rule: str
) -> None:
    config = replace(CONFIG, odometry=rule)
    stop = PedestrianStop(config, LABEL_MAP)
    now_ns = 10_000_000 * MS
    for speed, turn, offset_ns in messages:
        now_ns += BEAT_NS
        stop.odometry(Motion(now_ns, 5.0))
        stamp_ns = now_ns + offset_ns
        stop.odometry(Motion(stamp_ns, speed, turn))
        decision = stop.update(EMPTY, now_ns, ground=ground())
        is_possible = abs(speed) <= CAR.max_speed_mps and abs(turn) <= CAR.max_yaw_rate_rps
        is_fresh = abs(offset_ns) <= config.odometry_timeout_s * 1e9
        if is_fresh and not is_possible:
            assert decision.stop
            assert stop.check(now_ns).stop
        zone = stop.zone
        assert isinstance(zone, CorridorZone)
        assert np.isfinite(zone.length_m)
        assert np.isfinite(zone.outline()).all()
        assert len(zone.outline()) <= 2 * 502


@pytest.mark.parametrize(
    ('before', 'at', 'beyond'),
    [
        # The largest speed, yaw rate and acceleration across; a jump after what was believed
        ([], (40.0, 0.0), (40.001, 0.0)),
        ([], (-40.0, 0.0), (-40.001, 0.0)),
        ([], (0.0, 1.5), (0.0, 1.501)),
        ([], (0.0, -1.5), (0.0, -1.501)),
        ([], (8.0, 1.5), (8.01, 1.5)),
        ([], (-8.0, 1.5), (-8.01, 1.5)),
        # 12 m/s^2 for 50 ms, and 50 ms of jitter
        ([(5.0, 0.0)], (6.199, 0.0), (6.201, 0.0)),
        ([(5.0, 0.0)], (3.801, 0.0), (3.799, 0.0)),
    ],
)
def test_up_to_each_limit_itself_odometry_is_believed(
    before: list[tuple[float, float]], at: tuple[float, float], beyond: tuple[float, float]
) -> None:
    for numbers, is_possible in ((at, True), (beyond, False)):
        monitor, now_ns = heard(*before, numbers)
        assert (monitor.fault(now_ns, CONFIG) is None) is is_possible, numbers


def test_the_fastest_speed_that_was_believed_is_remembered_whatever_its_direction() -> None:
    monitor, _ = heard((5.0, 0.0), (-5.2, 0.0), (50.0, 0.0), (4.0, 0.0))
    assert monitor.fastest_mps == 5.0
    monitor, _ = heard((-5.0, 0.0), (-5.5, 0.0), (-5.1, 0.0))
    assert monitor.fastest_mps == 5.5


@pytest.mark.parametrize(
    ('age_ms', 'is_fresh'), [(500, True), (501, False), (-500, True), (-501, False)]
)
def test_odometry_is_fresh_for_its_timeout_and_no_further_in_the_future(
    age_ms: int, is_fresh: bool
) -> None:
    monitor, _ = heard((5.0, 0.0))
    assert (monitor.fresh(age_ms * MS, 0.5) is not None) is is_fresh


@pytest.mark.parametrize(('age_ms', 'kind'), [(500, StopKind.ODOMETRY_IMPLAUSIBLE), (501, None)])
def test_a_fault_lasts_for_the_timeout_where_odometry_is_optional(
    age_ms: int, kind: StopKind | None
) -> None:
    monitor, now_ns = heard((5.0, 0.0), (NAN, 0.0))
    for sign in (1, -1):
        fault = monitor.fault(now_ns + sign * age_ms * MS, replace(CONFIG, odometry='optional'))
        assert (None if fault is None else fault.kind) is kind


def test_the_reason_says_how_old_odometry_is_by_stamp_or_by_the_steady_clock() -> None:
    monitor, _ = heard((5.0, 0.0))
    fault = monitor.fault(700 * MS, CONFIG)
    assert fault is not None
    assert fault.reason == 'the newest odometry is 0.70 s old'
    monitor.look(100 * MS, 0)
    monitor.look(100 * MS, 900 * MS)
    fault = monitor.fault(200 * MS, CONFIG)
    assert fault is not None
    assert fault.reason == 'the newest odometry is 1.00 s old'


def test_a_message_that_was_overtaken_changes_nothing_and_a_step_back_of_the_clock_all() -> None:
    for back_ms, believed in ((900, 5.0), (1100, 30.0)):
        monitor = OdometryMonitor(CAR)
        monitor.take(Motion(10_000 * MS, 5.0), 1.0)
        monitor.take(Motion((10_000 - back_ms) * MS, 30.0), 1.0)
        optional = replace(CONFIG, odometry='optional')
        assert monitor.fault((10_000 - back_ms) * MS, optional) is None
        motion = monitor.fresh((10_000 - back_ms) * MS, 1.0)
        assert motion is not None
        assert motion.speed_mps == believed


def test_two_messages_of_one_stamp_may_differ_by_the_jitter_of_stamps() -> None:
    for second, is_possible in ((5.6, True), (5.61, False)):
        monitor = OdometryMonitor(CAR)
        monitor.take(Motion(0, 5.0), 1.0)
        monitor.take(Motion(0, second), 1.0)
        assert (monitor.fault(0, CONFIG) is None) is is_possible


def test_odometry_that_never_came_is_a_fault_where_it_is_required_only() -> None:
    for rule, is_fault in (('required', True), ('once_seen', False), ('optional', False)):
        fault = OdometryMonitor(CAR).fault(0, replace(CONFIG, odometry=rule))
        assert (fault is not None) is is_fault


def test_newer_odometry_is_as_old_as_its_own_stamp_says() -> None:
    monitor, _ = heard((5.0, 0.0))
    monitor.look(0, 0)
    monitor.look(0, 2000 * MS)
    monitor.take(Motion(10 * MS, 5.0), 1.0)
    assert monitor.fresh(10 * MS, 0.5) == Motion(10 * MS, 5.0)
    monitor.look(20 * MS, 2010 * MS)
    assert monitor.fresh(20 * MS, 0.5) == Motion(10 * MS, 5.0)
