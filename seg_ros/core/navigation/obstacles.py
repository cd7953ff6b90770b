# SPDX-License-Identifier: Apache-2.0
"""Obstacles: where the things that stand on the ground touch it, column by column (stixels).

Only the lowest pixel of a thing is on the ground; what is above it would be projected far behind.
So each column gives one point: the lower end of the lowest run of obstacle pixels that is tall
enough to be a thing at its distance. A person's arms and shoulders stand where its feet stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import GroundTable
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.labels import LabelMap
from seg_ros.core.navigation.config import NavigationConfig
from seg_ros.core.types import LabelImage

__all__ = [
    'FREE',
    'GROUND',
    'Contacts',
    'GroundEdges',
    'Mask',
    'Obstacles',
    'Rows',
    'find_blocked',
    'find_obstacles',
    'kinds_lut',
    'lowest_runs',
]

GROUND, FREE, OBSTACLE, BODY = 1, 2, 4, 8
LEAST_ROWS = 2  # of a run, however far away: one row alone may be the border of two labels
HOLE = np.ones((3, 1), np.uint8)  # closes holes of two pixels in a column
REACH_M = 0.35  # from the feet of a person to its side: half of its 0.5 m, and 0.1 m for an arm
HORIZON_ROWS = 4  # above the tallest run needed at the far end, so that its holes are closed too

Mask = NDArray[np.uint8]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Obstacles:
    """What stands on the ground in one frame.

    Attributes:
        points: ``(N, 2)`` float32 x forward and y left in metres, base frame; empty when clear.
        class_ids: ``(N,)`` what it is.
        columns: ``(N,)`` of the label image; a narrow thing has some of its own several times.
        rows: ``(N,)`` the first row below it.
    """

    points: NDArray[np.float32]
    class_ids: NDArray[np.uint8]
    columns: Rows
    rows: Rows


class GroundEdges:
    """The ground table at the borders between rows, where things begin to hide the ground.

    Args:
        table: ``(H, W, 2)`` metres, base frame, NaN where no ground is seen.
        scale: Made of the same table.
        config: Says how far obstacles are looked for.

    Attributes:
        points: ``(H + 1, W, 2)``; entry ``r`` is the border above row ``r``.
        range_m: ``(H + 1, W)`` from the base origin, infinite where no ground is seen.
        px_per_m: ``(H, W)`` across, 0 where no ground is seen.
        least_rows: ``(H, W)`` how tall a run that ends in this pixel must be.
        top: First row that matters.
    """

    def __init__(self, table: GroundTable, scale: GroundScale, config: NavigationConfig) -> None:
        between = 0.5 * (table[1:] + table[:-1])
        first, last = 1.5 * table[:1] - 0.5 * table[1:2], 1.5 * table[-1:] - 0.5 * table[-2:-1]
        self.points: NDArray[np.float32] = np.concatenate([first, between, last])
        length = np.hypot(self.points[..., 0], self.points[..., 1])
        self.range_m: NDArray[np.float32] = np.where(np.isfinite(length), length, np.inf)
        self.px_per_m = scale.px_per_m
        rows = np.ceil(config.min_height_m * scale.px_per_m)
        self.least_rows: NDArray[np.float32] = np.maximum(rows, LEAST_ROWS)
        farthest_m = max(config.max_range_m, config.scan_range_max_m, config.grid_far_m)
        near = np.flatnonzero((self.range_m[:-1] <= farthest_m).any(axis=1))
        first_near = int(near[0]) if near.size else len(table)
        if near.size:
            # What stands at the far end must be seen as tall as it has to be
            first_near -= int(self.least_rows[first_near].max()) + HORIZON_ROWS
        self.top = max(first_near, 0)

    @property
    def shape_hw(self) -> tuple[int, int]:
        return self.least_rows.shape[0], self.least_rows.shape[1]


@dataclass(frozen=True)
class Contacts:
    """The lowest run of each column that has one; all ``(N,)``, columns rise.

    Attributes:
        columns: Where.
        starts: First row of the run.
        ends: First row below the run.
    """

    columns: Rows
    starts: Rows
    ends: Rows


def kinds_lut(label_map: LabelMap, *, walkable_is_free: bool) -> Mask:
    """Returns ``(256,)`` for ``cv2.LUT``: what each class is to navigation, as bits."""
    lut = np.zeros(256, np.uint8)
    for row in label_map.classes:
        roles = set(row.roles)
        if roles & {'drivable', 'lane'} or (walkable_is_free and 'walkable' in roles):
            lut[row.id] |= FREE
        if roles & {'drivable', 'lane', 'walkable'}:
            lut[row.id] |= GROUND
        if roles & {'obstacle', 'pedestrian', 'cyclist', 'vehicle', 'static'}:
            lut[row.id] |= OBSTACLE
        if roles & {'pedestrian', 'cyclist'}:
            lut[row.id] |= BODY
    return lut


def lowest_runs(mask: Mask, edges: GroundEdges) -> Contacts:
    """The lowest run of each column that is tall enough where it ends.

    Args:
        mask: ``(H, W)``, anything but 0 counts.
        edges: For label images of this size.
    """
    top = edges.top
    height = mask.shape[0] - top
    if height < LEAST_ROWS:
        nothing = np.zeros(0, np.intp)
        return Contacts(nothing, nothing, nothing)
    closed = cv2.morphologyEx(mask[top:], cv2.MORPH_CLOSE, HOLE)
    # One long row, column after column, with a 0 between two columns
    line = np.zeros((mask.shape[1], height + 1), np.bool_)
    line[:, :-1] = closed.T
    flat = line.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        changes = np.concatenate([[0], changes])
    starts, ends = changes[0::2], changes[1::2]
    columns = starts // (height + 1)
    before = columns * (height + 1) - top
    starts, ends = starts - before, ends - before
    # Leave out what is no thing at that distance, then take the last of each column
    tall = ends - starts >= edges.least_rows[ends - 1, columns]
    columns, starts, ends = columns[tall], starts[tall], ends[tall]
    lowest = np.flatnonzero(np.diff(columns, append=-1))
    return Contacts(columns[lowest], starts[lowest], ends[lowest])


def find_obstacles(
    labels: LabelImage, kinds: Mask, edges: GroundEdges, config: NavigationConfig
) -> Obstacles:
    """What stands on the ground, at least ``config.min_points`` points a thing.

    Args:
        labels: ``(H, W)`` class ids.
        kinds: ``(H, W)`` the same through ``kinds_lut``.
        edges: For label images of this size.
        config: Says what counts and how far.
    """
    runs = lowest_runs(cv2.bitwise_and(kinds, OBSTACLE), edges)
    things = _things(runs, labels)
    class_ids = labels[runs.ends - 1, runs.columns]
    columns, ends = runs.columns, _lowered(runs, things, kinds, edges)
    near = edges.range_m[ends, columns] <= config.max_range_m
    pieces = [
        _repeated(first + np.flatnonzero(near[first:last]), config.min_points)
        for first, last in things
    ]
    chosen = np.concatenate(pieces) if pieces else np.zeros(0, np.intp)
    columns, ends = columns[chosen], ends[chosen]
    return Obstacles(edges.points[ends, columns], class_ids[chosen], columns, ends)


def find_blocked(labels: LabelImage, kinds: Mask, edges: GroundEdges) -> Contacts:
    """Where each column ceases to be free, seen from the camera; bodies end at their feet.

    Args:
        labels: ``(H, W)`` class ids.
        kinds: ``(H, W)`` the same through ``kinds_lut``.
        edges: For label images of this size.
    """
    runs = lowest_runs(cv2.compare(cv2.bitwise_and(kinds, FREE), 0, cv2.CMP_EQ), edges)
    ends = _lowered(runs, _things(runs, labels), kinds, edges)
    return Contacts(runs.columns, runs.starts, ends)


def _things(runs: Contacts, labels: LabelImage) -> list[tuple[int, int]]:
    """First and last (excluded) run of each thing."""
    starts = np.flatnonzero(_is_new_thing(runs, labels[runs.ends - 1, runs.columns]))
    ends = np.append(starts, runs.columns.size)[1:]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _lowered(
    runs: Contacts, things: list[tuple[int, int]], kinds: Mask, edges: GroundEdges
) -> Rows:
    """The ends of runs; arms and shoulders stand where the feet stand."""
    ends = runs.ends.copy()
    bodies = (kinds[runs.ends - 1, runs.columns] & BODY) != 0
    for first, last in things:
        if last - first > 1 and bodies[first]:
            ends[first:last] = _on_their_feet(ends[first:last], int(runs.columns[first]), edges)
    return ends


def _is_new_thing(runs: Contacts, class_ids: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which columns begin a thing: not beside, not level with, or another class than the last."""
    if not runs.columns.size:
        return np.zeros(0, np.bool_)
    same = (
        (np.diff(runs.columns) == 1)
        & (class_ids[1:] == class_ids[:-1])
        & (runs.starts[1:] < runs.ends[:-1])
        & (runs.ends[1:] > runs.starts[:-1])
    )
    return np.concatenate([[True], ~same])


def _on_their_feet(ends: Rows, column: int, edges: GroundEdges) -> Rows:
    """The lowest end within reach of a body's own feet."""
    per_m = float(edges.px_per_m[int(ends.max()) - 1, column])
    reach = max(1, round(REACH_M * per_m))
    kernel = np.ones((1, 2 * reach + 1), np.uint8)
    lowered = cv2.dilate(ends.astype(np.float32)[np.newaxis], kernel)[0]
    return np.asarray(lowered, dtype=np.intp)


def _repeated(members: Rows, least: int) -> Rows:
    """A thing's columns, some of them several times where it has too few."""
    if not members.size or members.size >= least:
        return members
    again: Rows = members[np.arange(least) * members.size // least]
    return again
