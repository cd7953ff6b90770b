# SPDX-License-Identifier: Apache-2.0
"""Which moment of a recording it is."""

from __future__ import annotations

import math

from seg_ros.commands.play.player import Playhead

S = 1_000_000_000


def test_the_moment_moves_at_the_rate_of_the_playing() -> None:
    head = Playhead(100 * S, 5 * S, rate=2.0)
    assert head.at_ns(6 * S) == 102 * S
    assert head.due_ns(104 * S) == 7 * S


def test_a_pause_holds_the_moment_and_nothing_is_due() -> None:
    head = Playhead(100 * S, 0)
    head.pause(True, 3 * S)
    assert head.paused
    assert head.at_ns(9 * S) == 103 * S
    assert math.isinf(head.due_ns(104 * S))
    head.pause(False, 10 * S)
    assert head.at_ns(11 * S) == 104 * S
    assert head.due_ns(105 * S) == 12 * S


def test_a_jump_in_a_pause_remains_a_pause() -> None:
    head = Playhead(100 * S, 0, paused=True)
    head.jump(50 * S, 2 * S)
    assert head.at_ns(3 * S) == 50 * S
    head.pause(False, 4 * S)
    assert head.at_ns(5 * S) == 51 * S
