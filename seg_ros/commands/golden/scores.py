# SPDX-License-Identifier: Apache-2.0
"""How well a golden drive was judged, and whether that is as good as expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seg_ros.commands.golden.drives import TRUTH_LABEL, Truth, truth_names
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Cause, StopKind
from seg_ros.core.units import NS_PER_S
from seg_ros.report.compare import LabelledBag, decided, label_agreements, labelled_bag
from seg_ros.report.drive import RecordedDrive
from seg_ros.report.figures import figures_of

__all__ = ['METRICS', 'Comparison', 'Metric', 'comparisons', 'scores_of']

KNOWN_AFTER_S = 0.5  # who has been in the corridor for so long must have been seen
DEG = 180.0 / math.pi


class Metric(NamedTuple):
    """A figure of a drive.

    Attributes:
        tolerance: By so much it may be worse than expected.
        more_is_better: Which way is worse.
    """

    tolerance: float
    more_is_better: bool


METRICS: Mapping[str, Metric] = {
    'frames': Metric(0.0, more_is_better=True),
    'label_agreement': Metric(0.01, more_is_better=True),
    'stop_recall': Metric(0.03, more_is_better=True),
    'stop_false_s': Metric(0.5, more_is_better=False),
    'stop_fault_s': Metric(0.3, more_is_better=False),
    'lane_valid_share': Metric(0.03, more_is_better=True),
    'lane_offset_rms_m': Metric(0.02, more_is_better=False),
    'lane_heading_rms_deg': Metric(0.15, more_is_better=False),
}
"""What is compared: frames with labels; share of pixels labelled as in truth; share of the frames
with somebody in the corridor that said stop; seconds of stops for people that were not there;
seconds of stops for faults; share of the frames with a valid lane, and its errors."""


class Comparison(NamedTuple):
    """A figure beside what was expected of it; ``verdict`` is ok, better, worse or new."""

    metric: str
    expected: float | None
    found: float | None
    tolerance: float
    verdict: str


def scores_of(
    drive: RecordedDrive, truths: Sequence[Truth], recording: Path, config: StopConfig
) -> dict[str, float | None]:
    """Returns a figure for each row of ``METRICS``; None where there was nothing to measure.

    Args:
        drive: The replayed one.
        truths: Of its frames.
        recording: The bag with the true labels.
        config: Of the stop.
    """
    truth_labels = LabelledBag(recording, TRUTH_LABEL, truth_names())
    agreements = [share for _, share in label_agreements(truth_labels, labelled_bag(drive))]
    states = decided(drive)
    seen = [(row, *states[row.stamp_ns]) for row in truths if row.stamp_ns in states]
    stops = [stop is not None and stop.stop for _, stop, _ in seen]
    people = [
        stop is not None and stop.stop and StopKind.named(stop.kind).cause is Cause.PERSON
        for _, stop, _ in seen
    ]
    period_s = _period_s(truths)
    must = _held([row.is_inside for row, _, _ in seen], round(KNOWN_AFTER_S / period_s))
    may = _after([row.is_near for row, _, _ in seen], round((config.hold_s + 0.5) / period_s))
    lanes = [(row, lane) for row, _, lane in seen if lane is not None and lane.valid]
    offsets = [lane.offset_m - row.offset_m for row, lane in lanes]
    headings = [DEG * (lane.heading_rad - row.heading_rad) for row, lane in lanes]
    stop_figures = figures_of(drive)['stop'] or {}
    met = [stop for stop, needed in zip(stops, must, strict=True) if needed]
    falsely = [stop for stop, allowed in zip(people, may, strict=True) if not allowed]
    return {
        'frames': len(drive.frames),
        'label_agreement': _mean(agreements, 4),
        'stop_recall': _mean(met, 4),
        'stop_false_s': round(sum(falsely) * period_s, 2),
        'stop_fault_s': stop_figures.get('fault_s'),
        'lane_valid_share': round(len(lanes) / len(seen), 4) if seen else None,
        'lane_offset_rms_m': _rms(offsets, 4),
        'lane_heading_rms_deg': _rms(headings, 3),
    }


def comparisons(
    found: Mapping[str, float | None], expected: Mapping[str, float | None]
) -> list[Comparison]:
    """Returns every metric beside what is expected of it."""
    return [
        Comparison(
            name,
            expected.get(name),
            found[name],
            metric.tolerance,
            _verdict(metric, found[name], expected.get(name)) if name in expected else 'new',
        )
        for name, metric in METRICS.items()
    ]


def _verdict(metric: Metric, found: float | None, expected: float | None) -> str:
    if found is None or expected is None:
        return 'ok' if found == expected else 'worse' if found is None else 'better'
    gain = found - expected if metric.more_is_better else expected - found
    if gain < -metric.tolerance - 1e-9:
        return 'worse'
    return 'better' if gain > metric.tolerance + 1e-9 else 'ok'


def _period_s(truths: Sequence[Truth]) -> float:
    return float(np.median(np.diff([row.stamp_ns for row in truths]))) / NS_PER_S


def _held(flags: Sequence[bool], frames: int) -> list[bool]:
    """True where a flag has been true for so many frames before, too."""
    return [
        flag and all(flags[max(0, index - frames) : index]) and index >= frames
        for index, flag in enumerate(flags)
    ]


def _after(flags: Sequence[bool], frames: int) -> list[bool]:
    """True where a flag is true or was so within the frames before."""
    return [any(flags[max(0, index - frames) : index + 1]) for index in range(len(flags))]


def _mean(values: Sequence[float], digits: int) -> float | None:
    return round(float(np.mean(values)), digits) if values else None


def _rms(values: Sequence[float], digits: int) -> float | None:
    return round(float(np.sqrt(np.mean(np.square(values)))), digits) if values else None
