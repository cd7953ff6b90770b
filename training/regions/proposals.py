# SPDX-License-Identifier: Apache-2.0
"""Regions that may be things: selective search (Uijlings et al. 2013) of OpenCV's contrib modules.

OpenCV's own `SelectiveSearchSegmentation` gives boxes. A region here needs its pixels, so its
parts are used one by one: its graph segmentation, then its similarities (colour, texture, size,
fill) to merge the two neighbours that are most alike, again and again.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.labelled_set import Image

__all__ = ['Regions', 'proposed']

SIGMA, SCALE, MIN_PX = 0.8, 100.0, 40  # of the graph segmentation, at 320x240
SAME_SHARE = 0.95  # a region that fills more of the one that swallows it is the same once more
MAX_SHARE = 0.8  # of the picture


@dataclass(frozen=True)
class Regions:
    """Regions of one picture as sets of segments.

    Attributes:
        segments: int32 [h,w], the number of each pixel's segment.
        members: bool [regions, segments], which segments a region has. Every segment is a region.
        boxes: int32 [regions, 4]: left, top, right, bottom; right and bottom excluded.
    """

    segments: NDArray[np.int32]
    members: NDArray[np.bool_]
    boxes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.members)

    def mask(self, region: int) -> NDArray[np.bool_]:
        """The region's pixels, in an array of its box's size."""
        left, top, right, bottom = self.boxes[region]
        return self.members[region][self.segments[top:bottom, left:right]]

    def class_shares(self, labels: Image, classes: int) -> NDArray[np.float64]:
        """[regions, classes]: the share of each class in what is known of a region; 0 without."""
        known = labels < classes
        index = self.segments[known].astype(np.int64) * classes + labels[known]
        segments = self.members.shape[1]
        counts = np.bincount(index, minlength=segments * classes).reshape(segments, classes)
        of_regions = self.members.astype(np.float64) @ counts
        return np.asarray(of_regions / np.maximum(of_regions.sum(1, keepdims=True), 1))


def proposed(image: Image) -> Regions:
    """The segments of an RGB picture, and what they become when the most alike are merged."""
    colours = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    contrib = cv2.ximgproc.segmentation
    graph = contrib.createGraphSegmentation(SIGMA, SCALE, MIN_PX)
    segments = graph.processImage(colours)
    count = int(segments.max()) + 1
    merges = merged_pairs(colours, segments, count)
    members = np.zeros((count + len(merges), count), bool)
    members[:count] = np.eye(count, dtype=bool)
    boxes = np.zeros((len(members), 4), np.int32)
    boxes[:count] = boxes_of_segments(segments, count)
    sizes = np.bincount(segments.ravel(), minlength=count)
    keeps = np.ones(len(members), bool)
    for index, (one, other) in enumerate(merges, count):
        members[index] = members[one] | members[other]
        boxes[index, :2] = np.minimum(boxes[one, :2], boxes[other, :2])
        boxes[index, 2:] = np.maximum(boxes[one, 2:], boxes[other, 2:])
        size = int(sizes[members[index]].sum())
        for part in (one, other):
            same = part >= count and sizes[members[part]].sum() > SAME_SHARE * size
            keeps[part] &= not same
        keeps[index] = size <= MAX_SHARE * segments.size
    return Regions(segments, members[keeps], boxes[keeps])


def merged_pairs(colours: Image, segments: NDArray[np.int32], count: int) -> list[tuple[int, int]]:
    """Which two become region `count`, which `count + 1`, … until one is left."""
    contrib = cv2.ximgproc.segmentation
    strategy = contrib.createSelectiveSearchSegmentationStrategyMultiple(
        contrib.createSelectiveSearchSegmentationStrategyColor(),
        contrib.createSelectiveSearchSegmentationStrategyTexture(),
        contrib.createSelectiveSearchSegmentationStrategySize(),
        contrib.createSelectiveSearchSegmentationStrategyFill(),
    )
    # OpenCV keeps a view of the sizes and leaves it to its caller to bring them up to date
    sizes = np.bincount(segments.ravel(), minlength=count).astype(np.int32)[:, None]
    strategy.setImage(colours, segments, sizes)
    row_of = list(range(count))  # of a region in the strategy's tables
    neighbours: dict[int, set[int]] = {index: set() for index in range(count)}
    for one, other in touching(segments):
        neighbours[one].add(other)
        neighbours[other].add(one)
    queue = [
        (-strategy.get(one, other), one, other)
        for one, others in neighbours.items()
        for other in others
        if one < other
    ]
    heapq.heapify(queue)
    merges: list[tuple[int, int]] = []
    while queue:
        _, one, other = heapq.heappop(queue)
        if one not in neighbours or other not in neighbours:
            continue  # swallowed meanwhile
        new = count + len(merges)
        merges.append((one, other))
        strategy.merge(row_of[one], row_of[other])
        sizes[[row_of[one], row_of[other]]] = sizes[row_of[one]] + sizes[row_of[other]]
        row_of.append(min(row_of[one], row_of[other]))
        around = (neighbours.pop(one) | neighbours.pop(other)) - {one, other}
        neighbours[new] = around
        for region in around:
            neighbours[region] = neighbours[region] - {one, other} | {new}
            heapq.heappush(queue, (-strategy.get(row_of[new], row_of[region]), region, new))
    return merges


def touching(segments: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Pairs of segments with a common side."""
    pairs = np.concatenate(
        [
            np.stack([segments[:, 1:].ravel(), segments[:, :-1].ravel()], 1),
            np.stack([segments[1:].ravel(), segments[:-1].ravel()], 1),
        ]
    )
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    return [(int(one), int(other)) for one, other in pairs]


def boxes_of_segments(segments: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    boxes = np.zeros((count, 4), np.int32)
    boxes[:, :2] = np.iinfo(np.int32).max
    ys, xs = np.indices(segments.shape, np.int32)
    flat = segments.ravel()
    for column, places in enumerate((xs.ravel(), ys.ravel())):
        np.minimum.at(boxes[:, column], flat, places)
        np.maximum.at(boxes[:, column + 2], flat, places + 1)
    return boxes
