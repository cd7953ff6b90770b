# SPDX-License-Identifier: Apache-2.0
"""What changed from one run over a recording to another, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.types import LabelImage
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.contents import label_pixels, message_stamp_ns
from seg_ros.report.drive import LaneMoment, RecordedBeat, RecordedDrive
from seg_ros.report.moments import MOST, WorstMoment

__all__ = [
    'FrameChange',
    'LabelledBag',
    'compare',
    'comparison_figures',
    'decided',
    'label_agreements',
    'labelled_bag',
    'moved_to',
    'worst_changes',
]

OFFSET_M = 0.05  # lanes that differ by less are the same
AGREEMENT = 0.98  # labels that agree in more pixels are the same
NOTHING = 255


class FrameChange(NamedTuple):
    """A frame that both runs have labelled.

    Attributes:
        stamp_ns: Of the camera's image.
        at_s: In the bag of B.
        agreement: Share of the pixels with the same class; NaN where the sizes differ.
        stop: Kind of the stop in A and in B, empty where none was recorded.
        lane: ``valid``, ``invalid`` or empty, in A and in B.
        offset_m: In A and in B, NaN where there is no valid lane.
    """

    stamp_ns: int
    at_s: float
    agreement: float
    stop: tuple[str, str]
    lane: tuple[str, str]
    offset_m: tuple[float, float]

    @property
    def offset_change_m(self) -> float:
        """How far B sees the vehicle left of where A does; NaN unless both see a lane."""
        return self.offset_m[1] - self.offset_m[0]

    def differences(self) -> tuple[str, ...]:
        """Returns what differs: ``stop``, ``lane``, ``offset``, ``labels``."""
        found = {
            'stop': (self.stop[0] == StopKind.CLEAR) != (self.stop[1] == StopKind.CLEAR)
            and all(self.stop),
            'lane': self.lane[0] != self.lane[1] and all(self.lane),
            'offset': abs(self.offset_change_m) > OFFSET_M,
            'labels': self.agreement < AGREEMENT,
        }
        return tuple(name for name, differs in found.items() if differs)


class LabelledBag(NamedTuple):
    """Where label images are, and the names of their classes; none where nobody knows."""

    path: Path
    topic: str
    names: Mapping[int, str]


def compare(a: RecordedDrive, b: RecordedDrive) -> list[FrameChange]:
    """Returns every frame of which both bags have labels, in its order.

    Raises:
        ConfigurationError: There is none.
    """
    agreements = dict(label_agreements(labelled_bag(a), labelled_bag(b)))
    states_a, states_b = decided(a), decided(b)
    common = [frame for frame in b.frames if frame.stamp_ns in agreements]
    if not common:
        msg = (
            f'{a.path} and {b.path} have no labels of the same image. Compare two runs over one '
            'recording.'
        )
        raise ConfigurationError(msg)
    changes = []
    for frame in common:
        (stop_a, lane_a), (stop_b, lane_b) = states_a[frame.stamp_ns], states_b[frame.stamp_ns]
        changes.append(
            FrameChange(
                frame.stamp_ns,
                frame.at_s,
                agreements[frame.stamp_ns],
                (_kind(stop_a), _kind(stop_b)),
                (_validity(lane_a), _validity(lane_b)),
                (_offset_m(lane_a), _offset_m(lane_b)),
            )
        )
    return changes


def comparison_figures(
    a: RecordedDrive, b: RecordedDrive, changes: Sequence[FrameChange]
) -> dict[str, Any]:
    """Returns how much changed, for JSON."""
    agreements = np.array([row.agreement for row in changes])
    offsets = np.abs([row.offset_change_m for row in changes])
    finite = offsets[np.isfinite(offsets)]
    count = {
        name: sum(name in row.differences() for row in changes)
        for name in ('stop', 'lane', 'offset', 'labels')
    }
    known = agreements[np.isfinite(agreements)]
    return {
        'frames': len(changes),
        'only_a': len(a.frames) - len(changes),
        'only_b': len(b.frames) - len(changes),
        'changed': sum(bool(row.differences()) for row in changes),
        'stop_changed': count['stop'],
        'lane_changed': count['lane'],
        'offset_changed': count['offset'],
        'labels_changed': count['labels'],
        'label_agreement': round(float(known.mean()), 5) if known.size else None,
        'label_agreement_worst': round(float(known.min()), 5) if known.size else None,
        'offset_change_max_m': round(float(finite.max()), 3) if finite.size else None,
    }


def worst_changes(changes: Sequence[FrameChange]) -> list[WorstMoment]:
    """Returns when the runs differed most: changes of the stop first, then lane, then labels."""
    found: list[WorstMoment] = []
    for sort, weight in (('stop', 3.0), ('lane', 2.0), ('offset', 1.0), ('labels', 0.5)):
        for differs, group in groupby(changes, key=lambda row: sort in row.differences()):
            if differs:
                rows = list(group)
                worst = _worst(rows, sort)
                title = f'{_words(worst, sort)}, {len(rows)} frame{"s" * (len(rows) > 1)}'
                reason = f'{rows[0].at_s:.2f} to {rows[-1].at_s:.2f} s'
                badness = weight + min(0.9, len(rows) / 100.0)
                found.append(WorstMoment(worst.at_s, sort, title, reason, badness))
    found.sort(key=lambda row: -row.badness)
    return found[:MOST]


def moved_to(a: RecordedDrive, b: RecordedDrive) -> RecordedDrive:
    """Returns A with its times moved so that the frames of both lie on top of each other."""
    times = {frame.stamp_ns: frame.at_s for frame in b.frames}
    shifts = [times[row.stamp_ns] - row.at_s for row in a.frames if row.stamp_ns in times]
    by_s = float(np.median(shifts)) if shifts else 0.0
    return replace(
        a,
        frames=[row._replace(at_s=row.at_s + by_s) for row in a.frames],
        beats=[row._replace(at_s=row.at_s + by_s) for row in a.beats],
        lanes=[row._replace(at_s=row.at_s + by_s) for row in a.lanes],
        images_at_s={stamp_ns: at_s + by_s for stamp_ns, at_s in a.images_at_s.items()},
    )


def label_agreements(a: LabelledBag, b: LabelledBag) -> Iterator[tuple[int, float]]:
    """Yields stamp and share of equal pixels of the label images of both, in one pass over each.

    The share is NaN where the sizes differ. Classes are the same that have the same name.
    """
    b_from_a = _class_table(a.names, b.names)
    ours, theirs = _labels(a), _labels(b)
    left, right = next(ours, None), next(theirs, None)
    while left is not None and right is not None:
        if left[0] < right[0]:
            left = next(ours, None)
        elif left[0] > right[0]:
            right = next(theirs, None)
        else:
            yield left[0], _agreement(cv2.LUT(left[1], b_from_a), right[1])
            left, right = next(ours, None), next(theirs, None)


def labelled_bag(drive: RecordedDrive) -> LabelledBag:
    """Returns where the labels of a drive are."""
    rows = drive.label_map.classes if drive.label_map is not None else ()
    return LabelledBag(drive.path, drive.topics.label, {row.id: row.name for row in rows})


def decided(drive: RecordedDrive) -> dict[int, tuple[RecordedBeat | None, LaneMoment | None]]:
    """Returns what was decided about each frame, by stamp: what was said once its labels were out.

    None stands for what was not recorded.
    """
    beats = np.array([row.at_s for row in drive.beats])
    lanes = np.array([row.at_s for row in drive.lanes])
    return {
        frame.stamp_ns: (
            _at(drive.beats, beats, frame.at_s),
            _at(drive.lanes, lanes, frame.at_s),
        )
        for frame in drive.frames
    }


def _kind(beat: RecordedBeat | None) -> str:
    return '' if beat is None else beat.kind


def _validity(lane: LaneMoment | None) -> str:
    return '' if lane is None else 'valid' if lane.valid else 'invalid'


def _offset_m(lane: LaneMoment | None) -> float:
    return float('nan') if lane is None else lane.offset_m


def _class_table(a: Mapping[int, str], b: Mapping[int, str]) -> NDArray[np.uint8]:
    """``uint8 (256,)``: the class of B for each class of A, by name; 255 for none."""
    if not a or not b:
        return np.arange(256, dtype=np.uint8)
    ids = {name: class_id for class_id, name in b.items()}
    table = np.full(256, NOTHING, np.uint8)
    for class_id, name in a.items():
        table[class_id] = ids.get(name, NOTHING)
    return table


def _labels(bag: LabelledBag) -> Iterator[tuple[int, LabelImage]]:
    """Stamps and label images; a stamp that is no later than the one before is left out."""
    last_ns = -1
    recording = BagRecording(bag.path)
    for row in recording.messages([bag.topic]):
        message = recording.read(row)
        stamp_ns = message_stamp_ns(message)
        if stamp_ns > last_ns:
            last_ns = stamp_ns
            yield stamp_ns, np.ascontiguousarray(label_pixels(message))


def _agreement(a: Any, b: LabelImage) -> float:
    if a.shape != b.shape or not b.size:
        return float('nan')
    return 1.0 - cv2.countNonZero(cv2.absdiff(a, b)) / b.size


def _at(rows: Sequence[Any], times: NDArray[np.float64], at_s: float) -> Any:
    if not rows:
        return None
    return rows[min(len(rows) - 1, int(np.searchsorted(times, at_s, side='left')))]


def _worst(rows: Sequence[FrameChange], sort: str) -> FrameChange:
    if sort == 'offset':
        return max(rows, key=lambda row: abs(row.offset_change_m))
    if sort == 'labels':
        return min(rows, key=lambda row: row.agreement)
    return rows[0]


def _words(row: FrameChange, sort: str) -> str:
    if sort == 'stop':
        return f'Stop: {row.stop[0]} in A, {row.stop[1]} in B'
    if sort == 'lane':
        return f'Lane: {row.lane[0]} in A, {row.lane[1]} in B'
    if sort == 'offset':
        return f'Lane offset {row.offset_m[0]:.2f} m in A, {row.offset_m[1]:.2f} m in B'
    return f'Labels agree in {row.agreement:.1%} of the pixels'
