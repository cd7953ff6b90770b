# SPDX-License-Identifier: Apache-2.0
"""Puts a report together: of one drive, or of what changed between two."""

from __future__ import annotations

import datetime
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seg_ros.core.stop.decision import Cause, StopKind
from seg_ros.core.units import NS_PER_S
from seg_ros.pictures.drawing import Colour
from seg_ros.report.chart import MAIN, OTHER, Chart, Curve, charts_of
from seg_ros.report.compare import (
    FrameChange,
    compare,
    comparison_figures,
    moved_to,
    worst_changes,
)
from seg_ros.report.drive import RecordedDrive
from seg_ros.report.figures import fault_seconds, figures_of, timeline_of
from seg_ros.report.frame_pictures import pictures_of, thumbnails_of
from seg_ros.report.moments import nearest_frame, worst_moments
from seg_ros.report.page import Page, Tile, Verdict

__all__ = ['comparison_report', 'drive_report']

LITTLE_VALID, GOOD_VALID = 0.9, 0.98
MANY_DROPPED = 0.01
LONG_FAULT_S = 0.5
MUCH_STOPPED, MOSTLY_STOPPED = 0.05, 0.5  # of the drive: worth a word, and worth a look
MOST_ROWS = 200


def drive_report(drive: RecordedDrive) -> tuple[Page, dict[str, Any]]:
    """Returns the page of a drive and the same as JSON."""
    figures = figures_of(drive)
    moments = worst_moments(drive)
    stamps = [nearest_frame(drive, moment.at_s) for moment in moments]
    pictures = pictures_of(drive, [stamp for stamp in stamps if stamp is not None])
    shown = [
        (moment, [pictures[stamp]] if stamp in pictures else [])
        for moment, stamp in zip(moments, stamps, strict=True)
    ]
    page = Page(
        title=f'Drive report: {_name(drive)}',
        subtitle=_subtitle(drive),
        verdict=_verdict(figures, drive.broken),
        tiles=_tiles(figures),
        span_s=drive.span_s,
        rows=charts_of([drive]),
        moments=shown,
        play=f'seg_ros play {shlex.quote(str(drive.path))}',
        legend=_class_legend(drive),
        thumbnails=thumbnails_of(drive),
    )
    data = {
        **figures,
        'moments': [moment._asdict() for moment in moments],
        'timeline': timeline_of(drive),
    }
    return page, data


def comparison_report(a: RecordedDrive, b: RecordedDrive) -> tuple[Page, dict[str, Any]]:
    """Returns the page of what changed from A to B and the same as JSON."""
    changes = compare(a, b)
    figures = comparison_figures(a, b, changes)
    moments = worst_changes(changes)
    stamps = [nearest_frame(b, moment.at_s) for moment in moments]
    known = [stamp for stamp in stamps if stamp is not None]
    pictures = [pictures_of(drive, known) for drive in (a, b)]
    shown = [
        (moment, [found[stamp] for found in pictures if stamp in found])
        for moment, stamp in zip(moments, stamps, strict=True)
    ]
    figures_a, figures_b = figures_of(a), figures_of(b)
    shifted = moved_to(a, b)
    changed = figures['stop_changed'] + figures['lane_changed']
    page = Page(
        title=f'What changed: A {_name(a)}, B {_name(b)}',
        subtitle=f'A: {_subtitle(a)}; B: {_subtitle(b)}',
        verdict=Verdict(_comparison_sentence(figures), changed > 0),
        tiles=_comparison_tiles(figures),
        span_s=(
            min(shifted.span_s[0], b.span_s[0]),
            max(shifted.span_s[1], b.span_s[1]),
        ),
        rows=[*charts_of([shifted, b]), _agreement_row(changes)],
        moments=shown,
        play=f'seg_ros play {shlex.quote(str(b.path))}',
        legend=(('A', OTHER), ('B', MAIN)),
        thumbnails=thumbnails_of(b),
        moments_title='Greatest changes',
        table_title='Figures',
        table_head=('', 'A', 'B'),
        table_rows=_figure_rows(figures_a, figures_b),
    )
    frames = [
        {**row._asdict(), 'differences': row.differences()}
        | {'agreement': _number(row.agreement), 'offset_m': [_number(v) for v in row.offset_m]}
        for row in changes
    ]
    data = {'a': figures_a, 'b': figures_b, 'compared': figures, 'by_frame': frames}
    return page, {**data, 'moments': [moment._asdict() for moment in moments]}


def _name(drive: RecordedDrive) -> str:
    """The bag and the folder that it is in, for bags are often called alike."""
    return '/'.join(drive.path.resolve().parts[-2:])


def _subtitle(drive: RecordedDrive) -> str:
    """What ran, and when: of the stamps, which a replay keeps."""
    words = [drive.node[name] for name in ('engine', 'backend') if drive.node.get(name)]
    if drive.frames:
        stamp_s = drive.frames[0].stamp_ns / NS_PER_S
        when = datetime.datetime.fromtimestamp(stamp_s, tz=datetime.timezone.utc)
        words.append(f'{when:%Y-%m-%d %H:%M:%S} UTC')
    return ', '.join(words)


def _verdict(figures: Mapping[str, Any], broken: str) -> Verdict:
    stop, lane, frames = figures['stop'], figures['lane'], figures['frames']
    length_s = figures['to_s'] - figures['from_s']
    parts, bad = ([broken], True) if broken else ([], False)
    if stop is None:
        parts.append('no stop was recorded')
    else:
        if stop['share'] >= MUCH_STOPPED:  # what a drive is remembered for comes first
            bad = bad or stop['share'] >= MOSTLY_STOPPED
            parts.append(_stopped(stop, length_s))
        if stop['fault_s'] > LONG_FAULT_S:
            bad = True
            kinds = fault_seconds(stop['seconds'])
            worst = max(kinds, key=lambda kind: kinds[kind])
            parts.append(
                f'faults stopped the vehicle for {stop["fault_s"]:.1f} of {length_s:.1f} s, '
                f'mostly "{worst}"'
            )
        else:
            parts.append('no fault stopped the vehicle')
    if stop is not None and stop['nearest_person_m'] is not None:
        parts.append(f'the nearest person was {stop["nearest_person_m"]:.1f} m away')
    if lane is not None:
        bad = bad or lane['valid_share'] < LITTLE_VALID
        parts.append(f'the lane was valid {lane["valid_share"]:.0%} of the time')
    if frames['dropped']:
        bad = bad or _many_dropped(frames)
        parts.append(f'{frames["dropped"]} of {frames["images"]} images got no labels')
    sentence = '; '.join(parts) + '.'
    return Verdict(sentence[0].upper() + sentence[1:], bad)


def _stopped(stop: Mapping[str, Any], length_s: float) -> str:
    """How much of the drive the vehicle was stopped, and for what."""
    words = {Cause.PERSON: 'for people', Cause.FAULT: 'by faults', Cause.START: 'at the start'}
    by_cause = dict.fromkeys(words.values(), 0.0)
    for kind, seconds in stop['seconds'].items():
        if (cause := StopKind.named(kind).cause) in words:
            by_cause[words[cause]] += seconds
    why = [f'{seconds:.1f} s {word}' for word, seconds in by_cause.items() if seconds >= 0.05]
    text = f'the vehicle was stopped {stop["share"]:.0%} of {length_s:.1f} s'
    return f'{text} ({", ".join(why)})' if why else text


def _many_dropped(frames: Mapping[str, Any]) -> bool:
    return bool(frames['dropped']) and frames['dropped'] > MANY_DROPPED * frames['images']


def _tiles(figures: Mapping[str, Any]) -> list[Tile]:
    frames, stop, lane = figures['frames'], figures['stop'], figures['lane']
    length_s = figures['to_s'] - figures['from_s']
    dropped = 'unknown' if frames['dropped'] is None else frames['dropped']
    tiles = [
        Tile('Drive', f'{length_s:.1f} s', f'from {figures["from_s"]:.1f} s of the bag'),
        Tile(
            'Labelled', f'{frames["labelled"]}', f'{frames["per_s"] or 0:.1f} a second'
        ),
        Tile(
            'Dropped', f'{dropped}', f'longest gap {frames["longest_gap_s"] or 0:.2f} s',
            'bad' if _many_dropped(frames) else 'good' if frames['dropped'] == 0 else '',
        ),
    ]  # fmt: skip
    if stop is not None:
        fault_s = stop['fault_s']
        mood = 'bad' if fault_s > LONG_FAULT_S else 'good'
        tiles += [
            Tile('Stop', f'{stop["share"]:.0%}', _times(stop['stops'])),
            Tile('Faults', f'{fault_s:.1f} s', _longest_faults(stop['seconds']), mood),
        ]
        nearest = stop['nearest_person_m']
        tiles.append(Tile('Nearest person', 'none' if nearest is None else f'{nearest:.1f} m'))
    if lane is not None:
        share = lane['valid_share']
        mood = 'bad' if share < LITTLE_VALID else 'good' if share >= GOOD_VALID else ''
        offset = lane['offset_max_m']
        note = '' if offset is None else f'at most {offset:.2f} m off'
        tiles.append(Tile('Lane valid', f'{share:.1%}', note, mood))
    latency = figures['latency_ms']
    if latency is not None:
        note = f'p95 {latency["p95"]:.0f}, p99 {latency["p99"]:.0f} ms'
        tiles.append(Tile('Latency', f'{latency["p50"]:.0f} ms', note))
    return tiles


def _times(count: int) -> str:
    return {0: 'never', 1: 'once'}.get(count, f'{count} times')


def _longest_faults(seconds: Mapping[str, float]) -> str:
    kinds = fault_seconds(seconds)
    longest = sorted(kinds, key=lambda kind: -kinds[kind])[:2]
    return ', '.join(f'{kind} {kinds[kind]:.1f} s' for kind in longest)


def _class_legend(drive: RecordedDrive) -> tuple[tuple[str, Colour], ...]:
    if drive.label_map is None:
        return ()
    return tuple((row.name.replace('_', ' '), row.colour_rgb) for row in drive.label_map.classes)


def _comparison_sentence(figures: Mapping[str, Any]) -> str:
    frames = figures['frames']
    parts = [
        f'the stop changed in {figures["stop_changed"]} of {frames} frames',
        f'the validity of the lane in {figures["lane_changed"]}',
        f'the lane offset in {figures["offset_changed"]}',
    ]
    if figures['label_agreement'] is not None:
        parts.append(f'labels agree in {figures["label_agreement"]:.2%} of the pixels')
    sentence = ', '.join(parts) + '.'
    return sentence[0].upper() + sentence[1:]


def _comparison_tiles(figures: Mapping[str, Any]) -> list[Tile]:
    def changed(name: str, key: str, note: str = '') -> Tile:
        return Tile(name, str(figures[key]), note, 'bad' if figures[key] else 'good')

    worst, moved = figures['label_agreement_worst'], figures['offset_change_max_m']
    agreement = figures['label_agreement']
    return [
        Tile(
            'Frames of both', str(figures['frames']),
            f'{figures["only_a"]} only in A, {figures["only_b"]} only in B',
        ),
        changed('Stop changed', 'stop_changed', 'frames'),
        changed('Lane validity changed', 'lane_changed', 'frames'),
        changed(
            'Lane offset changed', 'offset_changed',
            'frames' if moved is None else f'frames, at most {moved:.2f} m',
        ),
        Tile(
            'Labels agree', '' if agreement is None else f'{agreement:.2%}',
            '' if worst is None else f'worst frame {worst:.1%}',
        ),
    ]  # fmt: skip


def _agreement_row(changes: Sequence[FrameChange]) -> Chart:
    at_s = np.array([row.at_s for row in changes])
    shares = np.array([100.0 * row.agreement for row in changes])
    if not np.isfinite(shares).any():
        return Chart('Labels agree', missing='the label images have other sizes')
    low = min(99.0, math.floor(float(np.nanmin(shares))))
    line = Curve('', (129, 199, 132), at_s, shares)
    return Chart('Labels agree', '% of the pixels', (low, 100.0), lines=(line,))


def _figure_rows(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every figure of both, under its name in the JSON."""
    flat_a, flat_b = dict(_flat(a)), dict(_flat(b))
    names = list(flat_a) + [name for name in flat_b if name not in flat_a]
    return [
        (name, str(flat_a.get(name, '')), str(flat_b.get(name, ''))) for name in names[:MOST_ROWS]
    ]


def _flat(figures: Mapping[str, Any], prefix: str = '') -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found += _flat(value, f'{prefix}{name}.')
        else:
            found.append((f'{prefix}{name}', '' if value is None else value))
    return found


def _number(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
