# SPDX-License-Identifier: Apache-2.0
"""Connected components of people: joined where a pole cuts one, split where two touch.

Sizes in metres are multiples of a person of 1.7 m by 0.5 m (``PersonSize``); where nothing else is
said they were tuned on the synthetic people of ``test_people.py``, whose tests hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import LabelImage

__all__ = [
    'SPLIT_WIDTH_M',
    'Blob',
    'Mask',
    'PersonSize',
    'blobs_of',
    'joined',
    'split',
    'valley_between_heads',
]

Mask = NDArray[np.uint8]
"""``(H, W)``, 1 inside."""

MAX_BLOBS = 64  # the largest ones; more is noise, and would cost too much
MAX_LABELS_16U = 65_000  # of 65 535: connected components are numbered in 16 bits up to here

JOIN_GAP_M = 0.35  # a lamp post, seen at a person's distance
JOIN_WIDTH_M = 0.95  # of the whole: one person in stride with a post in between, and no two
JOIN_RAIL_M = 0.6  # a rail, or thighs that the network lost, whatever it says is there
JOIN_HEIGHT_M = 2.1  # of the whole: a tall person, 1.9 m, and a tenth for a range that errs
JOIN_OVERLAP = 0.5  # of the smaller piece that must be beside, or above, the other
JOIN_FILLED = 0.6  # of what is between the pieces that must be a pole; the rest are wrong labels

# One person with the arms out; 0.80 m wide is the widest in twenty (measured as in people.py), and
# who is wider is cut only at a valley between two heads.
SPLIT_WIDTH_M = 0.85
LEAST_SPLIT_PX = 6  # narrower blobs show no valley: two people of three columns
SPLIT_VALLEY = 0.35  # how much lower than the lower one of its two neighbours
SPLIT_EDGE_M = 0.2  # less than half a person is no person: no cut so near to a side
# The profile of the heads is averaged over so much to either side: less than a head, 0.15 m
PROFILE_BLUR_M = 0.06
# Peaks count at least as so much of the highest one, so that a noisy side makes no deep valley
LEAST_PEAK = 0.25
CROWD_WIDTH_M = 1.5  # a blob without a valley is a crowd from three people on
CROWD_PERSON_M = 0.6  # of each: shoulders and a gap
UPPER_PART = 0.45  # of the height: heads and shoulders; below, legs in stride look like gaps


class PersonSize(NamedTuple):
    """A grown person, for what is expected of a blob.

    1.7 m is the mean height of grown people, and what the synthetic ones are drawn with (1.71 m);
    their boxes are 0.48 m wide (median, measured as in people.py).
    """

    height_m: float = 1.7
    width_m: float = 0.5


LARGE = PersonSize(1.9, 0.65)  # taller and wider than 99 of 100; 1.86 m measured


class Blob(NamedTuple):
    """Connected pixels.

    Attributes:
        x0: First column.
        y0: First row.
        x1: After the last column.
        y1: After the last row.
        pixels: How many.
        mask: ``(y1 - y0, x1 - x0)``, 1 where the blob is.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    pixels: int
    mask: Mask


Scale = Callable[[Blob], float]
"""Pixels per metre where a blob stands."""


def blobs_of(mask: Mask, min_pixels: int) -> list[Blob]:
    """The connected parts of a mask, the largest first."""
    rows = cv2.reduce(mask, 1, cv2.REDUCE_MAX).nonzero()[0]
    if not len(rows):
        return []
    y, bottom = int(rows[0]), int(rows[-1]) + 1
    x, _, w, h = cv2.boundingRect(mask[y:bottom])  # of all rows it costs four times as much
    part = mask[y:bottom, x : x + w]
    few = (w // 2 + 1) * (h // 2 + 1) < MAX_LABELS_16U
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(
        part, connectivity=8, ltype=cv2.CV_16U if few else cv2.CV_32S
    )
    found = []
    for number, (left, top, width, height, pixels) in _largest(stats, min_pixels):
        crop = (numbers[top : top + height, left : left + width] == number).view(np.uint8)
        x0, y0 = x + left, y + top
        found.append(Blob(x0, y0, x0 + width, y0 + height, pixels, crop))
    return found


def joined(
    blobs: list[Blob], scale: Scale, labels: LabelImage, static_lut: NDArray[np.uint8]
) -> list[Blob]:
    """Blobs with the pieces of one person that a pole or a rail cut put together again.

    Args:
        blobs: The pieces.
        scale: Pixels per metre where a blob stands.
        labels: ``(H, W)`` class ids.
        static_lut: ``(256,)`` 255 for a pole, a sign, a fence: what may hide a person.
    """
    if len(blobs) < 2:
        return blobs
    merged: dict[int, Blob] = dict(enumerate(blobs))
    home = list(range(len(blobs)))
    for first, second in _pairs(blobs, scale):
        i, j = home[first], home[second]
        if i == j:
            continue
        gap = _gap_in_one_person(merged[i], merged[j], scale)
        if gap is None:
            continue
        between = labels[gap]
        filled = cv2.countNonZero(cv2.LUT(between, static_lut)) if between.size else 0
        if filled >= JOIN_FILLED * between.size:
            merged[i] = _union(merged[i], merged.pop(j))
            home = [i if place == j else place for place in home]
    return list(merged.values())


def split(blob: Blob, px_per_m: float) -> list[Blob]:
    """The people in a blob that is wider than one person.

    Cut where the heads and shoulders leave a valley; a crowd without valleys in equal parts.
    """
    width = blob.x1 - blob.x0
    if px_per_m <= 0.0 or width < SPLIT_WIDTH_M * px_per_m or width < LEAST_SPLIT_PX:
        return [blob]
    cut = valley_between_heads(blob, px_per_m)
    if cut is not None:
        left, right = _cut(blob, [cut])
        return [*split(left, px_per_m), *split(right, px_per_m)]
    if width < CROWD_WIDTH_M * px_per_m:
        return [blob]
    count = min(max(2, round(width / (CROWD_PERSON_M * px_per_m))), width // 3, MAX_BLOBS)
    return _cut(blob, [round(width * part / count) for part in range(1, count)])


def valley_between_heads(blob: Blob, px_per_m: float) -> int | None:
    """The column to cut at, None where one person may be all there is."""
    upper = blob.mask[: max(2, round(UPPER_PART * (blob.y1 - blob.y0)))]
    profile = cv2.reduce(upper, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
    side = 2 * int(PROFILE_BLUR_M * px_per_m) + 1
    profile = cv2.blur(profile, (side, 1), borderType=cv2.BORDER_REPLICATE).ravel()
    lower_peak = np.minimum(
        np.maximum.accumulate(profile), np.maximum.accumulate(profile[::-1])[::-1]
    )
    edge = max(1, round(SPLIT_EDGE_M * px_per_m))
    inside = slice(edge, len(profile) - edge)
    peaks = lower_peak[inside]
    if peaks.size == 0 or peaks.max() <= 0.0:
        return None
    depth = (peaks - profile[inside]) / np.maximum(peaks, LEAST_PEAK * peaks.max())
    deepest = np.flatnonzero(depth >= depth.max() - 1e-6)
    if depth[deepest[0]] < SPLIT_VALLEY:
        return None
    return edge + int(deepest[0] + deepest[-1] + 1) // 2


def _largest(stats: NDArray[np.int32], min_pixels: int) -> list[tuple[int, list[int]]]:
    """The numbers of the largest components and what is known of each, the largest first."""
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # the background
    if len(stats) <= MAX_BLOBS:
        rows = [row for row in enumerate(stats.tolist()) if row[1][cv2.CC_STAT_AREA] >= min_pixels]
    else:
        order = (areas >= min_pixels).nonzero()[0]
        if len(order) > MAX_BLOBS:
            order = order[np.argpartition(-areas[order], MAX_BLOBS)[:MAX_BLOBS]]
        rows = list(zip(order.tolist(), stats[order].tolist(), strict=True))
    return sorted(rows, key=lambda row: -row[1][cv2.CC_STAT_AREA])


def _pairs(blobs: list[Blob], scale: Scale) -> Iterator[tuple[int, int]]:
    """Which may be two pieces of one person, one beside or above the other."""
    # Up to some thirty blobs a loop costs less than arrays of all pairs do
    scales = [max(scale(blob), _least_scale(blob)) for blob in blobs]
    for i, a in enumerate(blobs):
        for j in range(i + 1, len(blobs)):
            b = blobs[j]
            px_per_m = max(scales[i], scales[j])
            most_px = JOIN_WIDTH_M * px_per_m
            if b.x1 - a.x0 > most_px or a.x1 - b.x0 > most_px:
                continue  # as nearly all are
            width, height = max(a.x1, b.x1) - min(a.x0, b.x0), max(a.y1, b.y1) - min(a.y0, b.y0)
            if width > most_px or height > JOIN_HEIGHT_M * px_per_m:
                continue
            gap_x = max(a.x0, b.x0) - min(a.x1, b.x1)
            gap_y = max(a.y0, b.y0) - min(a.y1, b.y1)
            is_beside = gap_x >= 0 and -gap_y >= JOIN_OVERLAP * min(a.y1 - a.y0, b.y1 - b.y0)
            is_above = gap_y >= 0 and -gap_x >= JOIN_OVERLAP * min(a.x1 - a.x0, b.x1 - b.x0)
            if is_beside or is_above:
                yield i, j


def _gap_in_one_person(a: Blob, b: Blob, scale: Scale) -> tuple[slice, slice] | None:
    """What must be hidden between two pieces of one person, None where they cannot be one."""
    px_per_m = max(scale(a), scale(b), _least_scale(a), _least_scale(b))
    x0, x1 = min(a.x0, b.x0), max(a.x1, b.x1)
    y0, y1 = min(a.y0, b.y0), max(a.y1, b.y1)
    if y1 - y0 > JOIN_HEIGHT_M * px_per_m or x1 - x0 > JOIN_WIDTH_M * px_per_m:
        return None
    left, right = sorted((max(a.x0, b.x0), min(a.x1, b.x1)))
    top, bottom = sorted((max(a.y0, b.y0), min(a.y1, b.y1)))
    is_beside = max(a.x0, b.x0) >= min(a.x1, b.x1)
    gap_px, gap_m = (right - left, JOIN_GAP_M) if is_beside else (bottom - top, JOIN_RAIL_M)
    if gap_px > gap_m * px_per_m:
        return None
    if not is_beside:
        return slice(0), slice(0)
    return slice(top, bottom), slice(left, right)


def _least_scale(blob: Blob) -> float:
    """Pixels per metre, if this is one person at most: where the feet are hidden."""
    return max((blob.x1 - blob.x0) / LARGE.width_m, (blob.y1 - blob.y0) / LARGE.height_m)


def _union(a: Blob, b: Blob) -> Blob:
    x0, y0 = min(a.x0, b.x0), min(a.y0, b.y0)
    x1, y1 = max(a.x1, b.x1), max(a.y1, b.y1)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for piece in (a, b):
        part = mask[piece.y0 - y0 : piece.y1 - y0, piece.x0 - x0 : piece.x1 - x0]
        cv2.bitwise_or(part, piece.mask, dst=part)
    return Blob(x0, y0, x1, y1, a.pixels + b.pixels, mask)


def _cut(blob: Blob, columns: list[int]) -> list[Blob]:
    pieces = []
    for start, end in zip([0, *columns], [*columns, blob.x1 - blob.x0], strict=True):
        part = blob.mask[:, start:end]
        x, y, w, h = cv2.boundingRect(part)
        if w and h:
            crop = part[y : y + h, x : x + w]
            left, top = blob.x0 + start + x, blob.y0 + y
            pieces.append(Blob(left, top, left + w, top + h, cv2.countNonZero(crop), crop))
    return pieces
