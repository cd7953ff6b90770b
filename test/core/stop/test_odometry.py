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
from seg_ros.core.stop.odometry import GOOD_MESSAGES, OdometryMonitor
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from seg_ros.core.stop.zones import CorridorZone, Motion
from seg_ros.core.vehicle import CAR
from test.people_scene import LABEL_MAP, MS, empty_road, ground

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
    good = [(5.0, 0.0)] * GOOD_MESSAGES
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
