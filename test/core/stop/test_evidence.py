# SPDX-License-Identifier: Apache-2.0
"""How long it takes until somebody is believed, at any rate of frames and with any gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.stop.evidence import Evidence, frames_to_believe
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.zones import Motion
from test.people_scene import CYCLIST, LABEL_MAP, PERSON, empty_road, frame_with, ground

MS = 1_000_000
EMPTY, IN_THE_WAY = empty_road(), frame_with((6.0, 0.0))
RIDES = np.where(IN_THE_WAY == PERSON, np.uint8(CYCLIST), IN_THE_WAY)
MIDDLE_ROW = int(np.median(np.nonzero(IN_THE_WAY == PERSON)[0]))
# What a network may make of somebody in a frame: nobody, and who is on foot or rides in part
SHOWN = {
    '0': EMPTY,
    '1': IN_THE_WAY,
    'c': RIDES,
    'u': np.concatenate([RIDES[:MIDDLE_ROW], IN_THE_WAY[MIDDLE_ROW:]]),
    'l': np.concatenate([IN_THE_WAY[:MIDDLE_ROW], RIDES[MIDDLE_ROW:]]),
}
# Hz, and seconds from entry to stop: the bars
BARS = {20.0: 0.2, 10.0: 0.35, 7.0: 0.35, 4.0: 0.6}


def frames_until_believed(sightings: list[bool], step_s: float, confirm_frames: int = 3) -> int:
    """Frames from the first sighting on; 0 if it never is."""
    evidence = Evidence()
    for count, is_seen in enumerate(sightings, 1):
        if is_seen:
            evidence.seen(step_s, confirm_frames)
        else:
            evidence.missed(step_s)
        if evidence.is_enough:
            return count
    return 0


@pytest.mark.parametrize(
    ('rate_hz', 'frames'), [(60.0, 3), (30.0, 3), (20.0, 3), (10.0, 2), (7.0, 2), (4.0, 2)]
)
def test_fewer_frames_are_enough_where_they_are_further_apart(rate_hz: float, frames: int) -> None:
    assert frames_until_believed([True] * 9, 1.0 / rate_hz) == frames
    assert frames_to_believe(1.0 / rate_hz, 3) == frames


@pytest.mark.parametrize('rate_hz', [20.0, 10.0, 7.0, 4.0])
@pytest.mark.parametrize('pattern', ['10', '110', '101'])
def test_a_missed_frame_costs_one_frame(pattern: str, rate_hz: float) -> None:
    sightings = [letter == '1' for letter in pattern] * 4
    steady = frames_to_believe(1.0 / rate_hz, 3)
    found = frames_until_believed(sightings, 1.0 / rate_hz)
    assert sum(sightings[:found]) == steady


@given(
    st.lists(st.booleans(), max_size=40), st.floats(0.001, 1.0), st.integers(1, 100), st.booleans()
)
def test_a_further_sighting_never_delays_belief(
    sightings: list[bool], step_s: float, confirm_frames: int, last: bool
) -> None:
    more = [True, *(seen or last for seen in sightings)]
    first = frames_until_believed([True, *sightings], step_s, confirm_frames)
    second = frames_until_believed(more, step_s, confirm_frames)
    assert first == 0 or 0 < second <= first


@given(st.floats(0.001, 2.0), st.integers(1, 100))
def test_somebody_in_every_frame_is_believed_after_confirm_frames_at_most(
    step_s: float, confirm_frames: int
) -> None:
    found = frames_until_believed([True] * 100, step_s, confirm_frames)
    assert found == frames_to_believe(step_s, confirm_frames)
    assert min(confirm_frames, 2) <= found <= confirm_frames


def person(confidence: float, height_px: int = 60) -> SeenPerson:
    box = (300, 100, 320, 100 + height_px)
    return SeenPerson(9.0, 0.0, 1.0, 0.3, (310.0, 159.5), box, 500, confidence, 'seen', False)


def test_evidence_grows_with_confidence_and_size() -> None:
    weights = [person(confidence, 30).weight for confidence in (0.2, 0.35, 0.40, 0.45, 0.5, 0.9)]
    assert weights == pytest.approx([-1.0, -0.5, 0.0, 0.5, 1.0, 1.0])
    assert person(0.45, 10).extent_px == 20  # somebody who lies is as long as others are high
    small = person(0.45)._replace(bbox=(300, 100, 304, 108))
    assert small.weight == pytest.approx(0.25)


def test_who_is_large_is_always_worth_something() -> None:
    assert person(0.1, 40).weight == person(0.1, 200).weight == 0.25
    assert person(0.1, 39).weight == -1.0


@pytest.mark.parametrize(('weight', 'frames'), [(1.0, 3), (0.7, 4), (0.5, 5), (0.25, 10)])
def test_who_is_seen_badly_takes_more_frames(weight: float, frames: int) -> None:
    evidence = Evidence()
    count = 0
    while not evidence.is_enough:
        evidence.seen(0.05, 3, weight)
        count += 1
    assert count == frames


def test_a_speck_that_the_network_is_unsure_of_is_never_believed() -> None:
    evidence = Evidence()
    for index in range(200):
        evidence.seen(0.1, 3, 0.5 if index % 3 == 0 else -0.5)
    assert not evidence.is_enough


@pytest.mark.parametrize('zone', ['corridor', 'image'])
@pytest.mark.parametrize('confidence', [0.2, 0.37, 0.43, 0.7])
def test_who_is_large_and_in_the_way_stops_however_unsure_the_network_is(
    zone: str, confidence: float
) -> None:
    config = replace(StopConfig(), zone=zone)
    stop = PedestrianStop(config, LABEL_MAP)
    sure = np.full(EMPTY.shape, 255, np.uint8)
    unsure = np.where(IN_THE_WAY == EMPTY, sure, np.uint8(round(255 * confidence)))
    for index in range(20):
        stamp_ns = index * 100 * MS
        stop.odometry(Motion(stamp_ns, 0.0))
        shown = (EMPTY, sure) if index < 5 else (IN_THE_WAY, unsure)
        decision = stop.update(shown[0], stamp_ns, ground=ground(), confidence=shown[1])
    assert decision.kind is StopKind.PERSON


def stops_of(config: StopConfig, rate_hz: float, frames: str) -> list[bool]:
    """Stops of a vehicle that stands, of frames in which ``SHOWN`` is in the way."""
    stop = PedestrianStop(config, LABEL_MAP)
    stops = []
    for index, letter in enumerate('000000' + frames, 1):
        stamp_ns = round(index * 1000 * MS / rate_hz)
        stop.odometry(Motion(stamp_ns, 0.0))
        stops.append(stop.update(SHOWN[letter], stamp_ns, ground=ground()).stop)
    return stops[6:]


@pytest.mark.parametrize('zone', ['corridor', 'image'])
@pytest.mark.parametrize('rate_hz', BARS)
def test_from_the_entry_to_the_stop_it_takes_as_long_as_the_rate_allows(
    zone: str, rate_hz: float
) -> None:
    stops = stops_of(replace(StopConfig(), zone=zone), rate_hz, '1' * 6)
    # At worst somebody steps in right after a frame
    assert (stops.index(True) + 1) / rate_hz <= BARS[rate_hz]


@pytest.mark.parametrize('zone', ['corridor', 'image'])
@pytest.mark.parametrize('rate_hz', BARS)
@pytest.mark.parametrize('pattern', ['10', '110'])
def test_who_flickers_stops_and_the_stop_holds(pattern: str, rate_hz: float, zone: str) -> None:
    frames = pattern * 8
    stops = stops_of(replace(StopConfig(), zone=zone), rate_hz, frames)
    first = stops.index(True)
    assert len(frames[: first + 1].replace('0', '')) <= 3
    assert all(stops[first:])


@pytest.mark.parametrize('zone', ['corridor', 'image'])
@pytest.mark.parametrize('rate_hz', BARS)
@pytest.mark.parametrize('pattern', ['c', '1c', 'c1', 'ul', '10c0', 'c010', '1c0', 'uc0l', 'cl0'])
def test_whoever_changes_between_on_foot_and_riding_stops_as_soon_as_who_does_not(
    pattern: str, rate_hz: float, zone: str
) -> None:
    """A frame in which nobody is seen costs one frame, one in which somebody rides none."""
    config = replace(StopConfig(), zone=zone)
    steady = ''.join('0' if letter == '0' else '1' for letter in pattern)
    stops = stops_of(config, rate_hz, pattern * 8)
    assert stops == stops_of(config, rate_hz, steady * 8)
    first = stops.index(True)
    missed = (pattern * 8)[: first + 1].count('0')
    assert (first + 1 - missed) / rate_hz <= BARS[rate_hz]
    assert all(stops[first:])


def test_a_flash_does_not_stop_at_any_rate() -> None:
    for rate_hz in BARS:
        assert not any(stops_of(StopConfig(), rate_hz, '1000000'))


@pytest.mark.parametrize(('speed_mps', 'rate_hz'), [(5.0, 7.0), (7.0, 10.0), (5.0, 4.0)])
@pytest.mark.parametrize('side', [-1.0, 1.0])
def test_a_runner_is_believed_and_stops_in_time(
    speed_mps: float, rate_hz: float, side: float
) -> None:
    stop = PedestrianStop(StopConfig(), LABEL_MAP)
    entered_s = stopped_s = None
    for index in range(40):
        time_s = index / rate_hz
        y = side * (speed_mps * (time_s - 2.0) - 1.5)  # at the corridor's edge after 2 s
        stamp_ns = round((1.0 + time_s) * 1000) * MS
        stop.odometry(Motion(stamp_ns, 3.0))
        labels = frame_with((9.0, y)) if abs(y) < 4.0 else EMPTY
        decision = stop.update(labels, stamp_ns, ground=ground())
        if entered_s is None and abs(y) < 1.5:
            entered_s = time_s
        if stopped_s is None and decision.kind in {'person', 'approaching'}:
            stopped_s = time_s
    assert entered_s is not None
    assert stopped_s is not None
    assert stopped_s <= entered_s + 1.0 / rate_hz


def test_the_delay_that_is_to_be_expected_is_told() -> None:
    stop = PedestrianStop(StopConfig(), LABEL_MAP)
    assert stop.update(EMPTY, 0, ground=ground()).delay_s is None
    for rate_hz, bar_s in ((20.0, 0.15), (7.0, 0.29), (4.0, 0.5)):
        stop.reset()
        for index in range(1, 12):
            decision = stop.update(EMPTY, round(index * 1e9 / rate_hz), ground=ground())
        assert decision.delay_s == pytest.approx(bar_s, abs=0.01)


def test_out_of_sight_evidence_fades_to_a_third_in_a_second() -> None:
    evidence = Evidence()
    evidence.seen(0.05, 100)
    evidence.missed(1.0)
    assert evidence.frames == pytest.approx(1.0 / np.e)
    assert (evidence.sightings, evidence.misses, evidence.is_over) == (1, 1, False)
    evidence.missed(0.0)
    assert (evidence.misses, evidence.is_over) == (2, True)
    evidence.seen(0.05, 100)
    assert (evidence.sightings, evidence.misses, evidence.is_over) == (2, 0, False)
    assert evidence.frames == pytest.approx(1.0 + 1.0 / np.e)


@pytest.mark.parametrize(
    ('step_s', 'frames'), [(0.01, 1.0), (0.05, 1.0), (0.075, 1.5), (0.1, 2.0), (5.0, 2.0)]
)
def test_a_sighting_counts_for_its_frames_of_50_ms_one_to_two(
    step_s: float, frames: float
) -> None:
    evidence = Evidence()
    evidence.seen(9.0, 100)  # the first is one frame, whenever it was that one came before
    assert evidence.frames == 1.0
    evidence.seen(step_s, 100)
    assert evidence.frames == pytest.approx(1.0 + frames)


def test_half_a_frame_may_be_lacking_and_evidence_against_somebody_ends_at_nothing() -> None:
    evidence = Evidence()
    evidence.seen(0.05, 3)
    evidence.seen(0.05, 3, 0.99)
    evidence.seen(0.05, 3, 0.5)
    assert not evidence.is_enough
    evidence.seen(0.05, 3, 0.01)
    assert evidence.is_enough
    evidence.seen(0.05, 3, -9.0)
    assert evidence.frames == 0.0
    assert evidence.is_enough  # it is believed, and stays so


@pytest.mark.parametrize(
    ('step_s', 'confirm_frames', 'frames'),
    [(0.05, 1, 1), (0.05, 2, 2), (0.05, 3, 3), (0.1, 3, 2), (0.1, 4, 3), (1.0, 9, 5)],
)
def test_how_many_frames_it_takes_is_told_before(
    step_s: float, confirm_frames: int, frames: int
) -> None:
    assert frames_to_believe(step_s, confirm_frames) == frames
    assert frames_until_believed([True] * 20, step_s, confirm_frames) == frames
