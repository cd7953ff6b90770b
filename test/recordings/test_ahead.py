# SPDX-License-Identifier: Apache-2.0
"""What runs ahead keeps order, budget and errors, and ends when it is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from seg_ros.recordings.ahead import Ahead


def test_the_order_is_kept() -> None:
    with Ahead(iter(range(1000)), budget=10) as items:
        assert list(items) == list(range(1000))


def test_an_error_is_raised_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError('the disk is gone')

    with Ahead(items(), budget=10) as ahead:
        assert next(ahead) == 1
        with pytest.raises(OSError, match='the disk is gone'):
            next(ahead)


@pytest.mark.parametrize(('budget', 'weight'), [(10.0, 3.0), (10.0, 99.0)])
def test_no_more_than_the_budget_waits_to_be_taken(budget: float, weight: float) -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for index in range(50):
            made.append(index)
            yield index

    most = max(1, int(budget / weight)) + 1  # and one in the maker's hand
    with Ahead(items(), budget, lambda _: weight) as ahead:
        for taken, _ in enumerate(ahead, start=1):
            assert len(made) - taken <= most
    assert len(made) == 50


def test_leaving_early_ends_the_thread() -> None:
    def for_ever() -> Iterator[int]:
        while True:
            yield 0

    before = threading.active_count()
    with Ahead(for_ever(), budget=3) as ahead:
        next(ahead)
    assert threading.active_count() == before


def test_it_says_when_it_is_far_enough() -> None:
    with Ahead(iter(range(100)), budget=3) as ahead:
        until(lambda: ahead.far_enough)
        assert ahead.waiting == 3
        assert next(ahead) == 0
        assert len(list(ahead)) == 99
        assert ahead.far_enough


def test_a_generator_that_is_left_is_closed_in_its_thread() -> None:
    closed_in: list[str] = []

    def for_ever() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed_in.append(threading.current_thread().name)

    with Ahead(for_ever(), budget=3) as ahead:
        next(ahead)
    assert closed_in == ['ahead']


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
