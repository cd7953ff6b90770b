# SPDX-License-Identifier: Apache-2.0
"""Latest frame wins, and no camera starves."""

from __future__ import annotations

import threading

from seg_ros.ros.mailbox import Mailbox


def test_a_newer_item_replaces_the_older_one() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert not mailbox.put('front', 1)
    assert mailbox.put('front', 2)
    assert mailbox.take() == [('front', 2)]


def test_the_camera_that_waits_longest_is_served_first() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put('left', 1)
    mailbox.put('right', 1)
    mailbox.put('left', 2)  # newer, but left keeps its place
    assert [*mailbox.take(), *mailbox.take()] == [('left', 2), ('right', 1)]


def test_a_fast_camera_does_not_starve_a_slow_one() -> None:
    mailbox: Mailbox[int] = Mailbox()
    served = []
    mailbox.put('slow', 0)
    for count in range(4):
        mailbox.put('fast', count)
        ((camera, _),) = mailbox.take()
        served.append(camera)
    assert served == ['slow', 'fast', 'fast', 'fast']


def test_those_that_wait_are_taken_together_and_nobody_waits_for_a_partner() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put('left', 1)
    assert mailbox.take(3) == [('left', 1)]
    for camera in ('left', 'right', 'rear', 'left', 'front'):
        mailbox.put(camera, 2)
    assert mailbox.take(3) == [('left', 2), ('right', 2), ('rear', 2)]
    assert mailbox.take(3) == [('front', 2)]


def test_close_wakes_who_waits_and_drops_what_waits() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    mailbox.close()
    thread.join(10.0)
    assert taken == [[]]
    mailbox.put('front', 1)
    assert mailbox.take() == []
    assert mailbox.closed


def test_who_finds_nothing_waits_until_something_comes() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    mailbox.put('front', 1)
    thread.join(10.0)
    assert taken == [[('front', 1)]]


def test_who_does_not_wait_takes_what_is_there_and_a_closed_one_has_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert mailbox.take(wait=False) == []
    assert not mailbox.closed
    mailbox.put('front', 1)
    mailbox.put('rear', 2)
    assert mailbox.take(wait=False) == [('front', 1)]
    assert mailbox.take(2, wait=False) == [('rear', 2)]
    mailbox.put('front', 3)
    mailbox.close()
    assert mailbox.take(wait=False) == []
