# SPDX-License-Identifier: Apache-2.0
"""What goes from the node to the process that speaks for it, and what that makes of it."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator

import pytest

from seg_ros.ros.heartbeat_link import HeartbeatLink, HeartbeatVerdict, linked_pair
from seg_ros.ros.heartbeat_process import HEARTBEAT_QOS, PATIENCE_S, Mouthpiece

MS = 1_000_000
PERIOD_MS = 50
SILENT = (('/status', b'silent'),)
CLEAR = (('/status', b'clear'),)
Ends = tuple[HeartbeatLink, HeartbeatLink]


@pytest.fixture
def ends() -> Iterator[Ends]:
    node, speaker = (HeartbeatLink(end) for end in linked_pair())
    yield node, speaker
    node.close()
    speaker.close()


def go(at_ms: float = 0.0) -> HeartbeatVerdict:
    return HeartbeatVerdict(int(at_ms * MS), False, CLEAR)


def stop(at_ms: float = 0.0) -> HeartbeatVerdict:
    return HeartbeatVerdict(int(at_ms * MS), True, CLEAR)


def test_a_beat_comes_out_as_it_went_in(ends: Ends) -> None:
    beat = HeartbeatVerdict(12, False, (('/a', b'\x00\n\xff'), ('/b', b''), ('/c', b'x' * 3000)))
    assert ends[0].send(beat)
    assert ends[1].receive(1.0) == beat


def test_of_several_beats_that_wait_the_newest_counts(ends: Ends) -> None:
    for at_ms in range(5):
        ends[0].send(go(at_ms))
    assert ends[1].receive(1.0) == go(4)
    assert ends[1].receive(0.0) is None


def test_a_speaker_that_has_stopped_never_makes_the_node_wait(ends: Ends) -> None:
    began_s = time.monotonic()
    for at_ms in range(5000):
        assert ends[0].send(go(at_ms))
    assert time.monotonic() - began_s < 5.0
    newest = ends[1].receive(0.0)
    assert newest is not None  # it is an old one, and says how old
    assert newest.at_ns < 4999 * MS


@pytest.mark.parametrize('is_told', [True, False])
def test_the_end_is_told_from_a_death(ends: Ends, is_told: bool) -> None:
    if is_told:
        ends[0].end()
    ends[0].close()
    assert ends[1].receive(1.0) is None
    assert (ends[1].is_over, ends[1].was_told) == (True, is_told)


def test_who_listens_on_after_the_end_waits_as_long_as_it_asked(ends: Ends) -> None:
    ends[0].close()
    assert ends[1].receive(1.0) is None
    began_s = time.monotonic()
    assert ends[1].receive(0.05) is None
    assert 0.05 <= time.monotonic() - began_s < 0.9
    assert ends[1].receive(-1.0) is None


def test_a_speaker_that_is_gone_is_noticed(ends: Ends) -> None:
    ends[1].close()
    assert not ends[0].send(go())


@pytest.mark.parametrize(
    'data', [b'', b'{}', b'[1, 0, []]\n', b'[1, true, [["/a", 9]]]\nabc', b'["x", true, []]\n']
)
def test_what_is_no_beat_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match='This is no beat'):
        HeartbeatVerdict.from_bytes(data)


class Heard:
    """A mouthpiece, and what it said: the time in ms, the word, and why."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.words: list[tuple[float, bool, bytes]] = []
        self.mouthpiece = Mouthpiece(
            PERIOD_MS * 1e-3,
            lambda stop, rows: self.words.append((self.now_ms, stop, rows[0][1])),
            SILENT,
        )

    def at(
        self, ms: float, beat: HeartbeatVerdict | None = None, *, is_over: bool = False
    ) -> None:
        self.now_ms = ms
        self.mouthpiece.take(beat, int(ms * MS), is_over=is_over)


def test_before_the_first_word_of_the_node_it_says_stop() -> None:
    heard = Heard()
    heard.at(0.0)
    assert heard.words == [(0.0, True, b'silent')]


def test_a_go_waits_for_the_beat_and_a_stop_does_not() -> None:
    heard = Heard()
    heard.at(0.0, go(0.0))
    heard.at(20.0, go(20.0))
    heard.at(30.0, stop(30.0))
    heard.at(40.0, go(40.0))
    assert heard.words == [(0.0, False, b'clear'), (30.0, True, b'clear')]
    heard.at(50.0, go(49.0))
    assert heard.words[2:] == [(50.0, False, b'clear')]


def test_a_go_is_said_again_until_it_is_old_and_then_it_is_a_stop() -> None:
    heard = Heard()
    for ms in range(0, 500, PERIOD_MS):
        heard.at(ms, go(0.0) if ms == 0 else None)
    patience_ms = PATIENCE_S * 1e3
    assert all(stop == (ms > patience_ms) for ms, stop, _ in heard.words)
    assert heard.words[-1] == (450.0, True, b'silent')


def test_when_the_node_dies_it_says_stop_at_once_and_again_and_again() -> None:
    heard = Heard()
    heard.at(0.0, go(0.0))
    heard.at(7.0, is_over=True)
    heard.at(50.0, is_over=True)
    heard.at(100.0, is_over=True)
    assert heard.words[1:] == [(ms, True, b'silent') for ms in (7.0, 50.0, 100.0)]


def test_a_go_from_a_clock_that_is_ahead_is_none() -> None:
    heard = Heard()
    heard.at(0.0, go(1.0))
    assert heard.words == [(0.0, True, b'silent')]


def test_who_slept_over_beats_does_not_make_up_for_them() -> None:
    heard = Heard()
    heard.at(0.0, go(0.0))
    heard.at(1000.0, go(1000.0))
    heard.at(1001.0, go(1001.0))
    assert [ms for ms, _, _ in heard.words] == [0.0, 1000.0]
    assert heard.mouthpiece.wait_s(int(1001.0 * MS)) == pytest.approx(0.049)


def test_a_process_with_many_open_files_is_heard() -> None:
    """select() takes no descriptor above 1023: a node with many participants has more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(2048, hard)), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    ours, theirs = (HeartbeatLink(end) for end in linked_pair())
    try:
        assert ours.send(HeartbeatVerdict(1, stop=True, statuses=CLEAR))
        assert theirs.receive(1.0) == HeartbeatVerdict(1, stop=True, statuses=CLEAR)
    finally:
        ours.close()
        theirs.close()
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_between_two_beats_it_waits_for_the_rest_of_the_period() -> None:
    heard = Heard()
    assert heard.mouthpiece.wait_s(1005 * MS) == 0.0
    heard.at(1010.0, go(1010.0))
    assert heard.mouthpiece.wait_s(1010 * MS) == 0.05
    assert heard.mouthpiece.wait_s(1040 * MS) == 0.02
    assert heard.mouthpiece.wait_s(1070 * MS) == 0.0
    heard.at(1060.0, go(1060.0))
    assert [ms for ms, _, _ in heard.words] == [1010.0, 1060.0]


def test_a_beat_that_is_late_leaves_the_next_one_where_it_was() -> None:
    heard = Heard()
    for ms in (0.0, 60.0, 100.0, 160.0):
        heard.at(ms, go(ms))
    assert [ms for ms, _, _ in heard.words] == [0.0, 60.0, 100.0, 160.0]
    assert heard.mouthpiece.wait_s(160 * MS) == pytest.approx(0.04)


@pytest.mark.parametrize(('late_ms', 'stop'), [(0.0, False), (250.0, False), (250.001, True)])
def test_a_go_counts_for_its_patience_from_when_it_was_made(late_ms: float, stop: bool) -> None:
    heard = Heard()
    heard.at(1000.0 + late_ms, go(1000.0))
    assert [word for _, word, _ in heard.words] == [stop]


@pytest.mark.parametrize(('late_ms', 'stop'), [(600.0, False), (601.0, True)])
def test_a_slow_heartbeat_has_patience_for_three_periods(late_ms: float, stop: bool) -> None:
    words = []
    mouthpiece = Mouthpiece(0.2, lambda stop, _rows: words.append(stop), SILENT)
    mouthpiece.take(go(0.0), int(late_ms * MS))
    assert words == [stop]


def test_a_stop_is_said_at_once_and_then_at_the_beat() -> None:
    heard = Heard()
    heard.at(0.0, go(0.0))
    for ms in (10.0, 20.0, 49.0, 50.0):
        heard.at(ms, stop(ms))
    assert [ms for ms, _, _ in heard.words] == [0.0, 10.0, 50.0]


def test_who_is_told_the_end_hears_nothing_more_and_waits_as_long_as_it_is_asked(
    ends: Ends,
) -> None:
    ends[0].send(go(1))
    ends[0].end()
    assert not ends[1].is_over
    assert not ends[1].was_told
    assert ends[1].receive(1.0) == go(1)
    assert ends[1].is_over
    assert ends[1].was_told
    began_s = time.monotonic()
    assert ends[1].receive(0.1) is None
    assert ends[1].receive(-1.0) is None
    assert time.monotonic() - began_s >= 0.1


def test_a_link_waits_for_seconds_and_not_for_less_or_more(ends: Ends) -> None:
    began_s = time.monotonic()
    assert ends[1].receive(0.2) is None
    assert 0.19 <= time.monotonic() - began_s < 5.0
    assert ends[1].receive(-1.0) is None
    assert not ends[1].is_over


def test_a_verdict_of_60_kilobytes_goes_through(ends: Ends) -> None:
    beat = HeartbeatVerdict(1, True, (('/status', b'x' * 60_000),))
    assert ends[0].send(beat)
    assert ends[1].receive(1.0) == beat


def test_who_does_not_want_to_wait_does_not(ends: Ends) -> None:
    began_s = time.monotonic()
    for _ in range(5):
        assert ends[1].receive(0.0) is None
    assert time.monotonic() - began_s < 4.0


def test_no_verdict_waits_behind_an_older_one() -> None:
    heard = Heard()
    heard.at(0.0, go(0.0))
    heard.at(10.0, stop(10.0))
    assert [word for _, word, _ in heard.words] == [False, True]  # a stop is said at once …
    assert HEARTBEAT_QOS.depth == 1  # … and a consumer that is slow gets it and nothing older
