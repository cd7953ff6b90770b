# SPDX-License-Identifier: Apache-2.0
"""No step of the clock makes an old frame a fresh one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.frame_age import FrameAge
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from test.people_scene import LABEL_MAP, MS, empty_road, ground

CONFIG = StopConfig()
BEAT_NS = 50 * MS
START_NS = 100_000 * MS
EMPTY = empty_road()


def clear_stop() -> PedestrianStop:
    """A stop that says go, by a frame of ``START_NS``."""
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    for beat in range(CONFIG.confirm_frames):
        stamp_ns = START_NS - (CONFIG.confirm_frames - 1 - beat) * BEAT_NS
        stop.update(EMPTY, stamp_ns, ground=ground())
    assert not stop.check(START_NS, 0).stop
    return stop


def test_a_frame_is_as_old_as_its_stamp_says_while_the_clock_goes() -> None:
    age = FrameAge()
    age.begin(START_NS, START_NS + 30 * MS)
    for beat in range(1, 4):
        age.look(START_NS + 30 * MS + beat * BEAT_NS, beat * BEAT_NS)
    assert age.ns == 180 * MS


def test_a_step_back_makes_no_frame_younger() -> None:
    age = FrameAge()
    age.begin(START_NS, START_NS)
    age.look(START_NS + 400 * MS, None)
    age.look(START_NS, None)
    assert age.ns == 800 * MS


@settings(deadline=None)
@given(steps_ms=st.lists(st.integers(-999, 999), min_size=12, max_size=12))
def test_no_frame_stays_fresh_whatever_the_clock_of_the_stamps_does(steps_ms: list[int]) -> None:
    stop = clear_stop()
    now_ns, decisions = START_NS, []
    for beat, step_ms in enumerate(steps_ms, start=1):
        now_ns += step_ms * MS
        decisions.append(stop.check(now_ns, beat * BEAT_NS))
    late = decisions[int(CONFIG.stale_timeout_s * 1e9) // BEAT_NS :]
    assert all(decision.stop for decision in late)


def test_the_way_is_clear_again_with_frames_of_the_clock_that_stepped_back() -> None:
    stop = clear_stop()
    now_ns, kinds = START_NS - 400 * MS, []
    for beat in range(1, 20):
        now_ns += BEAT_NS
        stop.update(EMPTY, now_ns, ground=ground())
        kinds.append(stop.check(now_ns, beat * BEAT_NS).kind)
    assert kinds[7] != 'clear'
    assert kinds[-1] == 'clear'


def test_slow_sim_time_makes_no_frame_old() -> None:
    stop = clear_stop()
    assert all(not stop.check(START_NS + beat * MS).stop for beat in range(400))


def test_before_its_first_frame_nothing_ages() -> None:
    age = FrameAge()
    age.look(0, None)
    assert age.ns == 0


def test_a_frame_that_comes_late_is_as_old_as_it_is_and_one_from_the_future_new() -> None:
    age = FrameAge()
    age.begin(START_NS, START_NS + 300 * MS)
    assert age.ns == 300 * MS
    age.begin(START_NS + 400 * MS, START_NS + 350 * MS)
    assert age.ns == 0
    age.look(START_NS + 360 * MS, None)
    assert age.ns == 10 * MS


def test_the_steady_clock_counts_from_the_first_look_after_a_frame_on() -> None:
    age = FrameAge()
    age.look(START_NS, 5)
    age.begin(START_NS, START_NS)
    age.look(START_NS, 5 + 900 * MS)  # nobody knows when, between both, the frame came
    assert age.ns == 0
    age.look(START_NS, 5 + 1000 * MS)
    assert age.ns == 100 * MS
    age.look(START_NS + 30 * MS, 5 + 1010 * MS)  # whichever clock went further
    assert age.ns == 130 * MS
    age.look(START_NS + 40 * MS, None)
    age.look(START_NS + 40 * MS, 5 + 9000 * MS)
    assert age.ns == 140 * MS


def test_frames_are_stale_after_the_timeout_and_not_at_it() -> None:
    stop = clear_stop()
    assert not stop.check(START_NS + 500 * MS).stop
    decision = stop.check(START_NS + 501 * MS)
    assert (decision.kind, decision.reason) == ('stale', 'the newest frame is 0.50 s old')
