# SPDX-License-Identifier: Apache-2.0
"""Lane data sets in TuSimple's layout, and the accuracy that its benchmark defines.

A label file has one JSON object per line: ``raw_file`` (path of the image), ``h_samples`` (rows)
and ``lanes`` (for each line its column in each of those rows, -2 where it is not).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.lane.track import Coefficients, LaneTrack
from seg_ros.files import read_text

__all__ = ['TuSimpleFrame', 'TuSimpleScore', 'lanes_of', 'read_frames', 'score_frame']

NOT_THERE = -2
THRESHOLD_PX = 20.0  # across the line; the benchmark's
MATCHED = 0.85  # share of points within the threshold, for a line to count as found
COUNTED_LANES = 4
LARGEST = 256 << 20  # bytes of a label file; those of the benchmark have 20 MB
PATH_POINTS = 400

Columns = NDArray[np.float64]


@dataclass(frozen=True)
class TuSimpleFrame:
    """One labelled image.

    Attributes:
        image: Its path.
        rows: ``(R,)``.
        lanes: ``(R,)`` columns of each line, -2 where it is not.
    """

    image: Path
    rows: Columns
    lanes: tuple[Columns, ...]


@dataclass(frozen=True)
class TuSimpleScore:
    """What the benchmark says of one image, shares from 0 to 1."""

    accuracy: float
    false_positive: float
    false_negative: float


def read_frames(folder: Path) -> Iterator[TuSimpleFrame]:
    """Yields every labelled image of a data set, file after file.

    Raises:
        ConfigurationError: No label file, or a line that is none.
    """
    files = sorted(folder.glob('*.json'))
    if not files:
        raise ConfigurationError(
            f'{folder} has no label file (*.json). Give the folder of the data set that has '
            'label_data_*.json or test_label.json in it.'
        )
    for file in files:
        for number, line in enumerate(_lines_of(file), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                yield TuSimpleFrame(
                    folder / row['raw_file'],
                    np.array(row['h_samples'], dtype=np.float64),
                    tuple(np.array(lane, dtype=np.float64) for lane in row['lanes']),
                )
            except (ValueError, KeyError, TypeError, RecursionError) as err:
                raise ConfigurationError(
                    f'{file}:{number} is not a TuSimple label ({err}). Each line is an object '
                    'with raw_file, h_samples and lanes.'
                ) from err


def _lines_of(file: Path) -> list[str]:
    try:
        return read_text(file, LARGEST).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, 'strerror', None) or 'it is no text'
        msg = f'{file} cannot be read: {why}. Give the label files as TuSimple has them.'
        raise ConfigurationError(msg) from error


def lanes_of(
    track: LaneTrack, camera: Camera, rows: Columns, reach_m: float
) -> tuple[Columns, ...]:
    """Returns the columns of every line of a valid track in the given rows, -2 where it is not."""
    if not track.valid:
        return ()
    lines = [track.left, track.right]
    lines += [row.line for row in track.boundaries if row.name.endswith('neighbour')]
    return tuple(_columns(line, camera, rows, reach_m) for line in lines)


def score_frame(found: Sequence[Columns], frame: TuSimpleFrame) -> TuSimpleScore:
    """Returns accuracy, false positives and false negatives as the benchmark counts them."""
    true = [lane for lane in frame.lanes if (lane >= 0).sum() > 1]
    if not true:
        return TuSimpleScore(1.0, float(bool(found)), 0.0)
    shares = []
    missed = matched = 0
    for lane in true:
        threshold_px = THRESHOLD_PX / np.cos(_angle(lane, frame.rows))
        share = max((_share(columns, lane, threshold_px) for columns in found), default=0.0)
        shares.append(share)
        if share < MATCHED:
            missed += 1
        else:
            matched += 1
    if len(true) > COUNTED_LANES:
        missed -= missed > 0
        shares.remove(min(shares))
    counted = float(min(COUNTED_LANES, len(true)))
    false = max(len(found) - matched, 0) / len(found) if found else 0.0
    return TuSimpleScore(sum(shares) / counted, false, missed / counted)


def _columns(line: Coefficients, camera: Camera, rows: Columns, reach_m: float) -> Columns:
    x = np.geomspace(1.0, reach_m, PATH_POINTS)
    pixels, in_front = camera.project(np.stack([x, line.y(x), np.zeros_like(x)], axis=-1))
    pixels = pixels[in_front]
    columns = np.full(len(rows), float(NOT_THERE))
    if len(pixels) < 2:
        return columns
    order = np.argsort(pixels[:, 1])
    column_of, row_of = pixels[order, 0], pixels[order, 1]
    inside = (rows >= row_of[0]) & (rows <= row_of[-1])
    columns[inside] = np.interp(rows[inside], row_of, column_of)
    columns[(columns < 0) | (columns >= camera.intrinsics.width)] = NOT_THERE
    return columns


def _angle(lane: Columns, rows: Columns) -> float:
    there = lane >= 0
    slope = np.polyfit(rows[there], lane[there], 1)[0]
    return float(np.arctan(slope))


def _share(found: Columns, true: Columns, threshold_px: float) -> float:
    far_away = -100.0
    found = np.where(found >= 0, found, far_away)
    true = np.where(true >= 0, true, far_away)
    return float((np.abs(found - true) < threshold_px).mean())
