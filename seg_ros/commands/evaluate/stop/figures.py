# SPDX-License-Identifier: Apache-2.0
"""The figures of ``seg_ros evaluate --task stop``, and their bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from seg_ros.commands.evaluate.stop.drives import Moment
from seg_ros.commands.evaluate.stop.guessed_way import HEIGHTS_M
from seg_ros.commands.evaluate.stop.near import OTHERS
from seg_ros.core.stop.decision import Cause, StopKind
from seg_ros.core.units import NS_PER_S
from seg_ros.sim import WHO

__all__ = [
    'Bar',
    'Figures',
    'Tally',
    'bars_for',
    'missed_bars',
    'table_of',
    'times_to_stop_s',
]

LEAST_EVENT_S = 0.2  # shorter, somebody brushes a corner of the zone
GAP_S = 1.0  # out of sight for less is still the same event
FLAP_S = 1.0
CROWD = 10  # people
NEAR_S = 0.5  # who was near so long before is why it stops
EXCUSED_S = 3.0  # so long after the last one was near a stop may end

# Shares of those in the zone who stop, by what is hard about them (drills.py)
DRILL_SHARES = (
    *(f'who.{who}' for who in WHO),
    'runner.5 m/s at 7 fps',
    'runner.7 m/s at 10 fps',
    'flicker.every second',
    'flicker.two of three',
    'flicker.who changes',
    'flicker.every second, who changes',
    'flicker.two of three, who changes',
)

Figures = dict[str, float | dict[str, float]]


class Bar(NamedTuple):
    """What a figure must reach.

    Attributes:
        value: The bar.
        at_least: Whether it must be the bar or more; else the bar or less.
    """

    value: float
    at_least: bool

    def holds(self, figure: float) -> bool:
        return figure >= self.value if self.at_least else figure <= self.value


def bars_for(labels: str, hold_s: float) -> dict[str, Bar]:
    """The bars of a run, by the names of the figures."""
    recall = Bar(0.99 if labels == 'exact' else 0.95, True)
    return {
        'event_recall': recall,
        'time_to_stop_s.p50': Bar(0.2, False),
        'false_stops_per_10min': Bar(1.0, False),
        'hold_share': Bar(0.99, True),
        'resume_s.p50': Bar(hold_s + 0.2, False),
        'cost_ms.p50': Bar(1.0, False),
        'cost_crowded_ms.p50': Bar(2.0, False),
        'frame_recall': Bar(0.9, True),
        'frame_precision': Bar(0.85, True),
        'by_fps.20': Bar(0.2, False),
        'by_fps.10': Bar(0.35, False),
        'by_fps.7': Bar(0.35, False),
        'by_fps.4': Bar(0.6, False),
        'near.corridor': recall,
        'near.image': recall,
        **{f'near_who.{who}': recall for who in OTHERS},
        **{f'way.{height_m:g} m': recall for height_m in HEIGHTS_M},
        **{f'way.{height_m:g} m, told': recall for height_m in HEIGHTS_M},
        **dict.fromkeys(DRILL_SHARES, recall),
        'stopped_share': Bar(0.02, False),
    }


@dataclass
class Tally:
    """What the drives add up to."""

    times_to_stop_s: list[float] = field(default_factory=list)
    missed: int = 0
    frames_inside: int = 0
    frames_held: int = 0
    resumes_s: list[float] = field(default_factory=list)
    flaps: int = 0
    seconds: float = 0.0
    false_stops: int = 0
    quiet_seconds: float = 0.0
    costs_ms: list[float] = field(default_factory=list)
    costs_crowded_ms: list[float] = field(default_factory=list)

    def add_crossings(self, moments: Sequence[Moment]) -> None:
        """Books a drive in which people cross."""
        self._add_any(moments)
        for time_s in times_to_stop_s(moments):
            if time_s is None:
                self.missed += 1
            else:
                self.times_to_stop_s.append(time_s)
        inside = [moment for moment in moments if moment.inside]
        self.frames_inside += len(inside)
        self.frames_held += sum(moment.stop for moment in inside)
        self.resumes_s.extend(_resumes_s(moments))

    def add_quiet(self, moments: Sequence[Moment]) -> None:
        """Books a drive without planned crossings."""
        self._add_any(moments)
        self.quiet_seconds += _duration_s(moments)
        for first, last in _runs([moment.stop for moment in moments]):
            if any(_cause(moment) is not Cause.START for moment in moments[first : last + 1]):
                self.false_stops += _is_false(moments, first, last)

    def add_crowded(self, moments: Sequence[Moment]) -> None:
        """Books what it costs where ten people and more are in view."""
        self.costs_crowded_ms.extend(row.cost_ms for row in moments if row.in_view >= CROWD)

    def figures(self) -> Figures:
        """The figures under the names of the JSON; what was not measured is not there."""
        found: Figures = {}
        events = len(self.times_to_stop_s) + self.missed
        found['events'] = events
        if events:
            found['event_recall'] = len(self.times_to_stop_s) / events
            found['time_to_stop_s'] = _percentiles(self.times_to_stop_s)
        if self.quiet_seconds:
            found['quiet_minutes'] = self.quiet_seconds / 60.0
            found['false_stops_per_10min'] = 600.0 * self.false_stops / self.quiet_seconds
        if self.frames_inside:
            found['hold_share'] = self.frames_held / self.frames_inside
        if self.resumes_s:
            found['resume_s'] = _percentiles(self.resumes_s)
        if self.seconds:
            found['flaps_per_min'] = 60.0 * self.flaps / self.seconds
            found['cost_ms'] = _percentiles(self.costs_ms)
        if self.costs_crowded_ms:
            found['cost_crowded_ms'] = _percentiles(self.costs_crowded_ms)
        return found

    def _add_any(self, moments: Sequence[Moment]) -> None:
        self.seconds += _duration_s(moments)
        self.costs_ms.extend(moment.cost_ms for moment in moments)
        runs = list(_runs([moment.stop for moment in moments]))
        self.flaps += sum(
            moments[after[0]].stamp_ns - moments[before[1]].stamp_ns < FLAP_S * NS_PER_S
            for before, after in pairwise(runs)
        )


def table_of(figures: Figures, bars: Mapping[str, Bar]) -> str:
    """The figures for people, a line each, with their bars."""
    lines = []
    for name, value in figures.items():
        parts = value if isinstance(value, dict) else {'': value}
        for part, number in parts.items():
            key = f'{name}.{part}' if part else name
            line = f'{key:<24} {number:8.3f}'
            if bar := bars.get(key):
                sign = '>=' if bar.at_least else '<='
                held = 'held' if bar.holds(number) else 'MISSED'
                line += f'   bar {sign} {bar.value:g}: {held}'
            lines.append(line)
    return '\n'.join(lines)


def missed_bars(figures: Figures, bars: Mapping[str, Bar]) -> list[str]:
    """Names of the figures that miss their bar."""
    missed = []
    for key, bar in bars.items():
        name, _, part = key.partition('.')
        value = figures.get(name)
        number = value.get(part) if isinstance(value, dict) else value
        if number is not None and not bar.holds(number):
            missed.append(key)
    return missed


def times_to_stop_s(moments: Sequence[Moment]) -> list[float | None]:
    """Returns from the entry to the stop of everybody in the zone, negative where it came before.

    None where it never came.
    """
    return [_time_to_stop_s(moments, first, last) for first, last in _events(moments)]


def _events(moments: Sequence[Moment]) -> Iterator[tuple[int, int]]:
    """First and last moment of each stay of somebody in the zone."""
    stays: dict[int, list[tuple[int, int]]] = {}
    for index, moment in enumerate(moments):
        for person in moment.inside:
            rows = stays.setdefault(person, [])
            if rows and moment.stamp_ns - moments[rows[-1][1]].stamp_ns < GAP_S * NS_PER_S:
                rows[-1] = rows[-1][0], index
            else:
                rows.append((index, index))
    for rows in stays.values():
        for first, last in rows:
            if moments[last].stamp_ns - moments[first].stamp_ns >= LEAST_EVENT_S * NS_PER_S:
                yield first, last


def _time_to_stop_s(moments: Sequence[Moment], first: int, last: int) -> float | None:
    """From the entry to the stop, negative where it came before; None if it never came."""
    begin = first
    if moments[first].stop:
        while begin > 0 and moments[begin - 1].stop:
            begin -= 1
    else:
        begin = next((i for i in range(first, last + 1) if moments[i].stop), -1)
    if begin < 0:
        return None
    return (moments[begin].stamp_ns - moments[first].stamp_ns) / NS_PER_S


def _resumes_s(moments: Sequence[Moment]) -> Iterator[float]:
    """From the last moment with somebody inside to the release, where nobody else is about."""
    for _, last in _runs([bool(moment.inside) for moment in moments]):
        for moment in moments[last + 1 :]:
            if not moment.stop:
                yield (moment.stamp_ns - moments[last].stamp_ns) / NS_PER_S
                break
            if moment.inside or (moment.kind == StopKind.APPROACHING and moment.is_near):
                break


def _cause(moment: Moment) -> Cause:
    return StopKind.named(moment.kind).cause


def _is_false(moments: Sequence[Moment], first: int, last: int) -> bool:
    """Whether nobody is near who explains a stop, or its end is long overdue."""
    begin_ns, end_ns = moments[first].stamp_ns, moments[last].stamp_ns
    near_ns = [
        moment.stamp_ns
        for moment in moments[: last + 1]
        if moment.is_near and moment.stamp_ns >= begin_ns - NEAR_S * NS_PER_S
    ]
    if not near_ns:
        return True
    stamps_ns = [begin_ns, *(stamp for stamp in near_ns if stamp > begin_ns), end_ns]
    return any(after - before > EXCUSED_S * NS_PER_S for before, after in pairwise(stamps_ns))


def _runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First and last index of each stretch of true ones."""
    start: int | None = None
    for index, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = index
        elif not flag and start is not None:
            yield start, index - 1
            start = None


def _duration_s(moments: Sequence[Moment]) -> float:
    return (moments[-1].stamp_ns - moments[0].stamp_ns) / NS_PER_S if moments else 0.0


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(values, (50, 95)) if values else (np.nan, np.nan)
    return {'p50': float(p50), 'p95': float(p95)}
