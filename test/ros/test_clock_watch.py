# SPDX-License-Identifier: Apache-2.0
"""A clock that stands still."""

from __future__ import annotations

from seg_ros.ros.stop_heartbeat import ClockWatch

S = 1_000_000_000


def test_a_clock_that_goes_does_not_stand() -> None:
    watch = ClockWatch()
    assert [watch.standing_s(now * S, now * S) for now in range(3)] == [0.0] * 3


def test_a_clock_stands_from_the_last_look_that_saw_it_move() -> None:
    watch = ClockWatch()
    watch.standing_s(7 * S, 100 * S)
    assert watch.standing_s(7 * S, 102 * S) == 2.0
    assert watch.standing_s(5 * S, 103 * S) == 0.0  # back is a movement, too
    assert watch.standing_s(5 * S, 104 * S) == 1.0
