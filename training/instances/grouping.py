# SPDX-License-Identifier: Apache-2.0
"""Persons from centres and offsets: each pixel of a blob goes to the centre that it points at.

The blobs are the node's own, joined behind poles; one in which there are not two centres is one
person, so that only who touches is told apart by the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.blobs import Blob

__all__ = ['Grouping', 'Told', 'centres_of', 'grouped']

NEAR_PX = 2  # of a centre to its blob's box: a cell's worth of rounding

Told = NDArray[np.float32]
"""``(3, h, w)``: how much a cell is a centre, and how many cells right and down its own is."""


@dataclass(frozen=True)
class Grouping:
    """How centres are found.

    Attributes:
        least: What a centre must have, 0 to 1.
        apart_cells: Odd side of the square in which it must be the highest.
        own_cells: How far away at most a centre may think its own centre to be.
        least_share: Of a blob's pixels that point at it; who has fewer is nobody.
        most: Centres of one picture; the highest ones.
    """

    least: float = 0.2
    apart_cells: int = 5
    own_cells: float = 3.0
    least_share: float = 0.1
    most: int = 64


def grouped(
    blobs: Sequence[Blob], told: Told, shape_hw: tuple[int, int], config: Grouping
) -> NDArray[np.int32]:
    """``(H, W)`` numbers of people from 1 on, 0 for nobody.

    Args:
        blobs: Of people, in an image of this shape.
        told: What the head says, at the same or a coarser resolution.
        shape_hw: Of the image.
        config: How.
    """
    numbers = np.zeros(shape_hw, np.int32)
    step = shape_hw[1] / told.shape[2]
    centres = centres_of(told, config)
    middles = (centres + 0.5) * step
    offsets: list[NDArray[np.float32]] = []
    count = 0
    for blob in blobs:
        part = numbers[blob.y0 : blob.y1, blob.x0 : blob.x1]
        inside = blob.mask != 0
        corners = np.array([(blob.x0, blob.y0), (blob.x1, blob.y1)])
        near = (middles >= corners[0] - NEAR_PX) & (middles < corners[1] + NEAR_PX)
        own = centres[near.all(1)]
        if len(own) < 2:
            count += 1
            part[inside] = count
            continue
        if not offsets:
            offsets = [cv2.resize(plane, shape_hw[::-1]) for plane in told[1:]]
        rows, columns = np.nonzero(inside)
        right, down = (p[blob.y0 : blob.y1, blob.x0 : blob.x1][inside] for p in offsets)
        at_x = (columns + blob.x0 + 0.5) / step - 0.5 + right
        at_y = (rows + blob.y0 + 0.5) / step - 0.5 + down
        picks = nearest(np.stack([at_x, at_y], 1), own, config.least_share)
        part[inside] = count + 1 + picks
        count += int(picks.max()) + 1
    return numbers


def nearest(
    points: NDArray[np.floating], centres: NDArray[np.float32], least_share: float
) -> NDArray[np.intp]:
    """The centre of each point; the centre of fewest is given up while it has too few."""
    while True:
        away = ((points[:, None] - centres) ** 2).sum(2)
        picks = away.argmin(1)
        counts = np.bincount(picks, minlength=len(centres))
        if len(centres) == 1 or counts.min() >= least_share * len(points):
            return np.asarray(picks)
        centres = np.delete(centres, counts.argmin(), 0)


def centres_of(told: Told, config: Grouping) -> NDArray[np.float32]:
    """``(N, 2)`` columns and rows of the cells that are somebody's centre, the surest first."""
    heat, right, down = told
    side = config.apart_cells
    highest = cv2.dilate(heat, np.ones((side, side), np.uint8))
    rows, columns = np.nonzero((heat >= highest) & (heat >= config.least))
    own = np.hypot(right[rows, columns], down[rows, columns]) <= config.own_cells
    rows, columns = rows[own], columns[own]
    order = np.argsort(-heat[rows, columns], kind='stable')[: config.most]
    return np.stack([columns[order], rows[order]], 1).astype(np.float32)
