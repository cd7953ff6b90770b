# SPDX-License-Identifier: Apache-2.0
"""A witness that judges wrongly would make every figure of ``seg_ros faults`` worthless."""

from __future__ import annotations

import pytest

from seg_ros.commands.faults.judgement import (
    Window,
    Word,
    false_clears,
    longest_silence_s,
    stop_after_s,
    went_again_s,
)

BEGIN, S = 100 * 10**9, 10**9


def words(*rows: tuple[float, bool]) -> list[Word]:
    return [Word(BEGIN + int(at_s * S), stop) for at_s, stop in rows]


@pytest.mark.parametrize(
    ('at_s', 'stop', 'is_false'),
    [
        (0.9, False, False),  # the node may take a second to know
        (1.1, False, True),
        (1.1, True, False),
        (3.0, False, True),
        (3.1, False, False),  # it is over
    ],
)
def test_a_go_is_false_from_a_second_after_the_fault_until_it_is_over(
    at_s: float, stop: bool, is_false: bool
) -> None:
    window = Window(BEGIN, BEGIN + 3 * S, grace_s=1.0)
    assert false_clears(words((at_s, stop)), [window]) == int(is_false)


def test_a_go_that_two_faults_make_false_counts_once() -> None:
    window = Window(BEGIN, BEGIN + 3 * S, grace_s=0.0)
    assert false_clears(words((1.0, False)), [window, window]) == 1


def test_a_stop_that_was_said_before_the_fault_is_no_answer_to_it() -> None:
    assert stop_after_s(words((-0.1, True), (0.0, False), (0.3, True)), BEGIN) == pytest.approx(
        0.3
    )
    assert stop_after_s(words((-0.1, True), (0.2, False)), BEGIN) is None


def test_the_node_goes_again_when_no_stop_comes_after_its_go() -> None:
    heard = words(
        (-0.2, False), (0.1, True), (0.2, False), (0.3, True), (0.6, False), (0.7, False)
    )
    assert went_again_s(heard, BEGIN) == pytest.approx(0.6)
    assert went_again_s(words((0.1, False), (0.2, True)), BEGIN) is None
    assert went_again_s([], BEGIN) is None


def test_a_node_that_never_stopped_has_gone_again_at_once() -> None:
    assert went_again_s(words((-0.2, False), (0.1, False)), BEGIN) == 0.0


def test_silence_is_counted_to_the_ends_of_the_time() -> None:
    heard = words((-5.0, True), (0.5, True), (0.7, True))
    assert longest_silence_s(heard, BEGIN, BEGIN + S) == pytest.approx(0.5)
    assert longest_silence_s([], BEGIN, BEGIN + 2 * S) == pytest.approx(2.0)
