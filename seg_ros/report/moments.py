# SPDX-License-Identifier: Apache-2.0
"""The moments of a drive that somebody should look at, the worst ones first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from seg_ros.core.stop.decision import Cause, StopKind
from seg_ros.report.drive import RecordedBeat, RecordedDrive
from seg_ros.report.figures import lane_spans

__all__ = ['WorstMoment', 'nearest_frame', 'worst_moments']

MOST = 12
MOST_OF_A_SORT = 4
LEAST_LOSS_S = 0.3  # a lane that is lost for less is back before the vehicle notices
LEAST_OFFSET_M = 0.5
GAP_PERIODS = 3.0
LEAST_GAP_S = 0.2
SLOW_TIMES = 2.0
LEAST_SLOW_MS = 50.0
START_S = 0.5  # the stop before the first frames proves the way clear is no event


class WorstMoment(NamedTuple):
    """One moment.

    Attributes:
        at_s: Since the begin of the bag.
        sort: ``fault``, ``person``, ``lane``, ``offset``, ``gap`` or ``slow``.
        title: What happened, with its number.
        reason: In the words of the node.
        badness: Moments are ordered by it; 1 is noticeable, 3 is grave.
    """

    at_s: float
    sort: str
    title: str
    reason: str
    badness: float


def worst_moments(drive: RecordedDrive) -> list[WorstMoment]:
    """Returns at most a dozen, of several sorts."""
    found = [*_stops(drive), *_lane_losses(drive), *_offsets(drive), *_gaps(drive), *_slow(drive)]
    found.sort(key=lambda moment: -moment.badness)
    taken: list[WorstMoment] = []
    for moment in found:
        same = [row for row in taken if row.sort == moment.sort]
        if len(taken) < MOST and len(same) < MOST_OF_A_SORT:
            taken.append(moment)
    return taken


def nearest_frame(drive: RecordedDrive, at_s: float) -> int | None:
    """Returns the stamp of the labels that were the newest at a time, None without labels."""
    if not drive.frames:
        return None
    times = np.array([frame.at_s for frame in drive.frames])
    return drive.frames[max(0, int(np.searchsorted(times, at_s, side='right')) - 1)].stamp_ns


def _stops(drive: RecordedDrive) -> Iterator[WorstMoment]:
    begin_s = drive.span_s[0]
    for stop, group in groupby(drive.beats, key=lambda beat: beat.stop):
        beats = list(group)
        if not stop or beats[-1].at_s < begin_s + START_S:
            continue
        length_s = beats[-1].at_s - beats[0].at_s
        faults = [row for row in beats if _cause(row) not in (Cause.PERSON, Cause.START)]
        if people := [row for row in beats if _cause(row) is Cause.PERSON]:
            yield _met(people, length_s)
        if faults:
            worst = max(faults, key=lambda beat: sum(row.kind == beat.kind for row in faults))
            first = next(beat for beat in faults if beat.kind == worst.kind)
            title = f'Stop for a fault: {first.kind}, {length_s:.1f} s'
            badness = 2.0 + min(1.0, length_s / 10.0)
            yield WorstMoment(first.at_s, 'fault', title, first.reason, badness)


def _cause(beat: RecordedBeat) -> Cause:
    return StopKind.named(beat.kind).cause


def _met(beats: Sequence[RecordedBeat], length_s: float) -> WorstMoment:
    """A stop for people, at the moment when one of them was nearest."""
    known = [beat for beat in beats if np.isfinite(beat.person_m) and beat.kind != StopKind.HOLD]
    if not known:
        title = f'Stop for a person, {length_s:.1f} s'
        return WorstMoment(beats[0].at_s, 'person', title, beats[0].reason, 1.5)
    nearest = min(known, key=lambda beat: beat.person_m)
    title = f'Person {nearest.person_m:.1f} m away, stop of {length_s:.1f} s'
    badness = 1.0 + 2.0 / (1.0 + nearest.person_m / 5.0)
    return WorstMoment(nearest.at_s, 'person', title, nearest.reason, badness)


def _lane_losses(drive: RecordedDrive) -> Iterator[WorstMoment]:
    for span in lane_spans(drive.lanes):
        if span.kind == 'invalid' and span.length_s >= LEAST_LOSS_S:
            title = f'Lane lost for {span.length_s:.1f} s'
            badness = 0.8 + min(1.7, span.length_s / 3.0)
            yield WorstMoment(span.from_s, 'lane', title, span.reason, badness)


def _offsets(drive: RecordedDrive) -> Iterator[WorstMoment]:
    """Each time the vehicle was far from the middle, its farthest point."""
    far = groupby(drive.lanes, key=lambda row: abs(row.offset_m) >= LEAST_OFFSET_M)
    for is_far, group in far:
        if is_far:
            worst = max(group, key=lambda row: abs(row.offset_m))
            side = 'left' if worst.offset_m > 0.0 else 'right'
            title = f'{abs(worst.offset_m):.2f} m {side} of the middle of the lane'
            badness = 0.5 + min(1.5, abs(worst.offset_m))
            yield WorstMoment(worst.at_s, 'offset', title, worst.reason, badness)


def _gaps(drive: RecordedDrive) -> Iterator[WorstMoment]:
    gaps = [(b.at_s - a.at_s, a.at_s) for a, b in pairwise(drive.frames)]
    usual_s = float(np.median([gap for gap, _ in gaps])) if gaps else 0.0
    for gap_s, at_s in gaps:
        if gap_s > max(LEAST_GAP_S, GAP_PERIODS * usual_s):
            title = f'No labels for {gap_s:.2f} s'
            reason = f'usual are {usual_s:.2f} s from one label image to the next'
            yield WorstMoment(at_s, 'gap', title, reason, 1.0 + min(1.5, gap_s))


def _slow(drive: RecordedDrive) -> Iterator[WorstMoment]:
    """The slowest frame of each second in which some were slow."""
    latency_ms = drive.latency_ms or []
    usual_ms = float(np.median(latency_ms)) if latency_ms else 0.0
    slow: dict[int, tuple[float, float]] = {}
    for frame, spent_ms in zip(drive.frames, latency_ms, strict=False):
        if spent_ms > max(LEAST_SLOW_MS, SLOW_TIMES * usual_ms):
            second = int(frame.at_s)
            slow[second] = max(slow.get(second, (0.0, 0.0)), (spent_ms, frame.at_s))
    for spent_ms, at_s in slow.values():
        title = f'Labels after {spent_ms:.0f} ms'
        reason = f'the median is {usual_ms:.0f} ms from the stamp of the image'
        yield WorstMoment(at_s, 'slow', title, reason, 0.5 + min(1.0, spent_ms / 1000.0))
