# SPDX-License-Identifier: Apache-2.0
"""What is drawn of a drive, for the page and for the picture alike: rows over one time axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.stop.decision import StopKind
from seg_ros.pictures.drawing import Colour
from seg_ros.report.drive import RecordedDrive
from seg_ros.report.figures import StateSpan, lane_spans, stop_spans

__all__ = [
    'MAIN', 'OTHER', 'STOP_COLOURS', 'Area', 'Band', 'Chart', 'Curve', 'Kind', 'charts_of',
]  # fmt: skip

MOST_POINTS = 3000  # of a line; two for each column of a wide screen
GAP_PERIODS = 3.0  # a line is broken where so many samples are missing
STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0)
DEG = 180.0 / math.pi
NO_LANE = 'there never was a valid lane'
NO_LATENCY = 'not in this bag: its times are the stamps of the images, or of another clock'

Float64 = NDArray[np.float64]


class Kind(NamedTuple):
    """What a colour of a band stands for."""

    text: str
    colour: Colour


STOP_COLOURS = (
    Kind('go', StopKind.CLEAR.colour_rgb),
    Kind('person', StopKind.PERSON.colour_rgb),
    Kind('held after a person', StopKind.HOLD.colour_rgb),
    Kind('fault', StopKind.FAILED.colour_rgb),
    Kind('no proof yet', StopKind.NO_FRAME.colour_rgb),
)
OTHER_COLOURS = {
    'stop': StopKind.PERSON.colour_rgb,  # nobody recorded why
    'valid': StopKind.CLEAR.colour_rgb,
    'invalid': StopKind.PERSON.colour_rgb,
}

MAIN: Colour = (79, 195, 247)
OTHER: Colour = (255, 213, 79)
DROPPED: Colour = (229, 57, 53)


def colour_of(kind: str) -> Colour:
    """Returns what a kind of a stop, or of a lane, is drawn in."""
    return OTHER_COLOURS.get(kind) or StopKind.named(kind).colour_rgb


class Band(NamedTuple):
    """A stretch of time in a colour."""

    from_s: float
    to_s: float
    colour: Colour
    text: str


class Curve(NamedTuple):
    """Values over time, NaN where the line is broken."""

    name: str
    colour: Colour
    at_s: Float64
    values: Float64


class Area(NamedTuple):
    """One layer of a stack: between two values over time."""

    name: str
    colour: Colour
    at_s: Float64
    low: Float64
    high: Float64


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        title: Its name.
        unit: Of its values.
        limits: Least and greatest value that is drawn.
        bands: Coloured stretches over the whole height, in ``tracks`` tracks from the top.
        lines: Curves.
        areas: Layers.
        ticks: Times that are marked, in seconds.
        zero: Whether a line is drawn at 0.
        missing: Why there is nothing, empty where there is something.
    """

    title: str
    unit: str = ''
    limits: tuple[float, float] = (0.0, 1.0)
    bands: tuple[tuple[Band, ...], ...] = ()
    lines: tuple[Curve, ...] = ()
    areas: tuple[Area, ...] = ()
    ticks: tuple[float, ...] = ()
    zero: bool = False
    missing: str = ''


def charts_of(drives: Sequence[RecordedDrive]) -> list[Chart]:
    """Returns the charts of a drive, or of two on top of each other."""

    def lane(name: str, scale: float) -> tuple[Curve, ...]:
        return _lines(
            drives,
            lambda drive: [(row.at_s, scale * getattr(row, name)) for row in drive.lanes],
        )

    people = _lines(drives, lambda drive: [(row.at_s, row.person_m) for row in drive.beats])
    latency = _lines(drives, _latencies)
    return [
        Chart(
            'Stop',
            bands=tuple(_bands(stop_spans(drive.beats)) for drive in drives),
            missing='' if any(drive.beats for drive in drives) else 'no stop was recorded',
        ),
        Chart(
            'Lane',
            bands=tuple(_bands(lane_spans(drive.lanes)) for drive in drives),
            missing='' if any(drive.lanes for drive in drives) else 'no lane was recorded',
        ),
        _curves('Nearest person', 'm', people, 'nobody was seen on the ground'),
        _curves('Lane offset', 'm to the left', lane('offset_m', 1.0), NO_LANE, 0.5),
        _curves('Heading', '° to the left', lane('heading_rad', DEG), NO_LANE, 2.0),
        _curves('Curvature', '1/km, left', lane('curvature_per_m', 1e3), NO_LANE, 5.0),
        *([_classes_row(drives[0])] if len(drives) == 1 else []),
        replace(
            _curves('Latency', 'ms', latency, NO_LATENCY), ticks=tuple(drives[-1].dropped_at_s)
        ),
    ]


def _lines(
    drives: Sequence[RecordedDrive],
    points: Callable[[RecordedDrive], Sequence[tuple[float, float]]],
) -> tuple[Curve, ...]:
    """The curve of each drive that has one."""
    colours, names = ((MAIN,), ('',)) if len(drives) == 1 else ((OTHER, MAIN), ('A', 'B'))
    found = []
    for drive, colour, name in zip(drives, colours, names, strict=True):
        table = np.array(points(drive), np.float64).reshape(-1, 2)
        if np.isfinite(table[:, 1]).any():
            found.append(_line(name, colour, table[:, 0], table[:, 1]))
    return tuple(found)


def _curves(
    title: str, unit: str, lines: tuple[Curve, ...], missing: str, least: float | None = None
) -> Chart:
    """A row of curves, around zero if the ``least`` that is drawn to either side is given."""
    high = max((float(np.nanmax(np.abs(line.values))) for line in lines), default=0.0)
    high = _round_up(max(1.05 * high, least or 1e-3))
    limits = (0.0 if least is None else -high, high)
    why = '' if lines else missing
    return Chart(title, unit, limits, lines=lines, zero=least is not None, missing=why)


def _latencies(drive: RecordedDrive) -> list[tuple[float, float]]:
    if drive.latency_ms is None:
        return []
    return [(f.at_s, ms) for f, ms in zip(drive.frames, drive.latency_ms, strict=True)]


def _classes_row(drive: RecordedDrive) -> Chart:
    title = 'Classes'
    if drive.label_map is None or not drive.frames:
        return Chart(title, missing='no labels with their classes were recorded')
    at_s = np.array([frame.at_s for frame in drive.frames])
    shares = np.array([frame.shares for frame in drive.frames])
    every = max(1, -(-len(at_s) // MOST_POINTS))
    at_s, shares = at_s[::every], shares[::every]
    tops = np.cumsum(shares, axis=1) * 100.0
    areas = tuple(
        Area(
            row.name,
            row.colour_rgb,
            at_s,
            tops[:, index] - 100.0 * shares[:, index],
            tops[:, index],
        )
        for index, row in enumerate(drive.label_map.classes)
    )
    return Chart(title, '%', (0.0, 100.0), areas=areas)


def _bands(spans: Sequence[StateSpan]) -> tuple[Band, ...]:
    return tuple(
        Band(
            span.from_s,
            span.to_s,
            colour_of(span.kind),
            f'{span.kind} since {span.from_s:.1f} s: {span.reason}',
        )
        for span in spans
    )


def _line(name: str, colour: Colour, times: Float64, found: Float64) -> Curve:
    """A line of few enough points; of each piece the extremes are kept, for they matter."""
    if len(times) > MOST_POINTS:
        kept: set[int] = set()
        for piece in np.array_split(np.arange(len(times)), MOST_POINTS // 2):
            finite = piece[np.isfinite(found[piece])]
            kept.update((piece[0], piece[-1]))
            if finite.size:
                kept.update((finite[found[finite].argmin()], finite[found[finite].argmax()]))
        chosen = np.array(sorted(kept))
        times, found = times[chosen], found[chosen]
    if len(times) > 2:
        steps = np.diff(times)
        holes = 1 + np.flatnonzero(steps > max(0.3, GAP_PERIODS * float(np.median(steps))))
        times = np.insert(times, holes, times[holes])
        found = np.insert(found, holes, np.nan)
    return Curve(name, colour, times, found)


def _round_up(value: float) -> float:
    """The next number of one or two digits that people like to read."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0) if step * power >= value
    )
