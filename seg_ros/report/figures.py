# SPDX-License-Identifier: Apache-2.0
"""The figures of a drive: what a person reads first, and what CI compares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from seg_ros.core.stop.decision import Cause, StopKind
from seg_ros.core.timing import Percentiles
from seg_ros.report.drive import LaneMoment, RecordedBeat, RecordedDrive

__all__ = [
    'StateSpan',
    'fault_seconds',
    'figures_of',
    'lane_spans',
    'stop_spans',
    'timeline_of',
]


class StateSpan(NamedTuple):
    """A while in which one thing held.

    Attributes:
        from_s: Its begin, since the begin of the bag.
        to_s: Its end.
        kind: What held.
        reason: In words, as it began.
    """

    from_s: float
    to_s: float
    kind: str
    reason: str

    @property
    def length_s(self) -> float:
        return self.to_s - self.from_s


def stop_spans(beats: Sequence[RecordedBeat]) -> list[StateSpan]:
    """Returns the kinds of the stop one after the other, ``clear`` among them."""
    return _spans((beat.at_s, beat.kind, beat.reason) for beat in beats)


def lane_spans(lanes: Sequence[LaneMoment]) -> list[StateSpan]:
    """Returns when the lane was ``valid`` and ``invalid``."""
    return _spans((row.at_s, 'valid' if row.valid else 'invalid', row.reason) for row in lanes)


def figures_of(drive: RecordedDrive) -> dict[str, Any]:
    """Returns figures for JSON; None stands for what the bag does not say."""
    begin_s, end_s = drive.span_s
    return {
        'bag': str(drive.path),
        'begin_ns': drive.begin_ns,
        'from_s': round(begin_s, 3),
        'to_s': round(end_s, 3),
        'broken': drive.broken or None,
        'engine': drive.node.get('engine'),
        'backend': drive.node.get('backend'),
        'frames': _frame_figures(drive),
        'stop': _stop_figures(drive),
        'lane': _lane_figures(drive),
        'latency_ms': _latency_figures(drive),
        'classes': _class_figures(drive),
    }


def fault_seconds(seconds: Mapping[str, float]) -> dict[str, float]:
    """Returns the faults out of the seconds of each kind of stop."""
    return {
        kind: value for kind, value in seconds.items() if StopKind.named(kind).cause is Cause.FAULT
    }


def timeline_of(drive: RecordedDrive) -> dict[str, Any]:
    """Returns every frame, heartbeat and lane status for JSON, as columns."""
    return {
        'frames': _columns(drive.frames),
        'latency_ms': drive.latency_ms,
        'stop': _columns(drive.beats),
        'lane': _columns(drive.lanes),
        'dropped_at_s': [round(at_s, 4) for at_s in drive.dropped_at_s],
    }


def _spans(rows: Iterable[tuple[float, str, str]]) -> list[StateSpan]:
    """A span lasts until the next one begins."""
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row[1])]
    ends = [group[0][0] for group in groups[1:]] + [group[-1][0] for group in groups[-1:]]
    return [
        StateSpan(group[0][0], end_s, group[0][1], group[0][2])
        for group, end_s in zip(groups, ends, strict=True)
    ]


def _columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    names = rows[0]._fields if rows else ()
    return {name: [_plain(getattr(row, name)) for row in rows] for name in names}


def _plain(value: Any) -> Any:
    """A value that JSON has; NaN becomes null."""
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return round(value, 5) if np.isfinite(value) else None
    return value


def _frame_figures(drive: RecordedDrive) -> dict[str, Any]:
    at_s = [frame.at_s for frame in drive.frames]
    span_s = at_s[-1] - at_s[0] if len(at_s) > 1 else 0.0
    return {
        'images': len(drive.images_at_s) or None,
        'labelled': len(at_s),
        'dropped': len(drive.dropped_at_s) if drive.images_at_s else None,
        'per_s': round((len(at_s) - 1) / span_s, 2) if span_s else None,
        'longest_gap_s': round(max(b - a for a, b in pairwise(at_s)), 3) if span_s else None,
    }


def _stop_figures(drive: RecordedDrive) -> dict[str, Any] | None:
    if not drive.beats:
        return None
    spans = stop_spans(drive.beats)
    seconds: dict[str, float] = {}
    for span in spans:
        seconds[span.kind] = seconds.get(span.kind, 0.0) + span.length_s
    distances = [beat.person_m for beat in drive.beats if np.isfinite(beat.person_m)]
    causes = [
        {StopKind.named(beat.kind).cause for beat in group}
        for stop, group in groupby(drive.beats, lambda b: b.stop)
        if stop
    ]
    return {
        'share': round(float(np.mean([beat.stop for beat in drive.beats])), 4),
        'stops': sum(bool(found - {Cause.START}) for found in causes),
        'seconds': {kind: round(value, 2) for kind, value in sorted(seconds.items())},
        'fault_s': round(sum(fault_seconds(seconds).values()), 2),
        'nearest_person_m': round(min(distances), 2) if distances else None,
    }


def _lane_figures(drive: RecordedDrive) -> dict[str, Any] | None:
    if not drive.lanes:
        return None
    offsets = np.array([row.offset_m for row in drive.lanes if row.valid])
    lost = [span.length_s for span in lane_spans(drive.lanes) if span.kind == 'invalid']
    return {
        'valid_share': round(float(np.mean([row.valid for row in drive.lanes])), 4),
        'offset_rms_m': round(float(np.sqrt(np.mean(offsets**2))), 3) if offsets.size else None,
        'offset_max_m': round(float(np.abs(offsets).max()), 3) if offsets.size else None,
        'longest_loss_s': round(max(lost, default=0.0), 2),
    }


def _latency_figures(drive: RecordedDrive) -> dict[str, float] | None:
    if drive.latency_ms is None:
        return None
    quantiles = np.percentile(drive.latency_ms, (50, 95, 99)).tolist()
    return {name: round(v, 2) for name, v in zip(Percentiles._fields, quantiles, strict=True)}


def _class_figures(drive: RecordedDrive) -> dict[str, float] | None:
    if drive.label_map is None or not drive.frames:
        return None
    means = np.mean([frame.shares for frame in drive.frames], axis=0).tolist()
    names = [row.name for row in drive.label_map.classes]
    return {name: round(mean, 5) for name, mean in zip(names, means, strict=True)}
