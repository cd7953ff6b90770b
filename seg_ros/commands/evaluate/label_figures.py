# SPDX-License-Identifier: Apache-2.0
"""What pixels alone do not tell of label images: who was found, who is not there, which lines.

Heights and distances are pixels of a picture 360 rows high, whatever the size of the label
images, so that figures of several cameras compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['LabelFigures']

LabelImage = NDArray[np.uint8]

UNKNOWN = 255
REFERENCE_ROWS = 360
FOUND_IOU = 0.3
HEIGHTS_PX = {'20_to_40_px': (20.0, 40.0), '40_px_and_more': (40.0, float('inf'))}
MIN_PHANTOM_PX = 8.0
PHANTOM_ON_PEOPLE = 0.1  # of a phantom at most this share lies on true people,
PHANTOM_ON_UNKNOWN = 0.5  # and less than this where nobody knows
LANE_TOLERANCE_PX = 2.0


class Blobs(NamedTuple):
    """Connected pixels.

    Attributes:
        numbers: int32 [h,w], 0 outside, else the number of the blob.
        heights_px: Of the blobs 1, 2, … in rows of the reference height.
    """

    numbers: NDArray[np.int32]
    heights_px: list[float]


class LabelFigures:
    """Books label images against the truth.

    Args:
        pedestrian: Class ids that are looked for.
        people: Class ids on which a pedestrian is no phantom: pedestrians and cyclists.
        lane: Class ids of lane markings.
    """

    def __init__(
        self, pedestrian: Iterable[int], people: Iterable[int], lane: Iterable[int]
    ) -> None:
        self.pedestrian, self.people, self.lane = list(pedestrian), list(people), list(lane)
        self.pictures = 0
        self.phantoms = 0
        self.there = dict.fromkeys(HEIGHTS_PX, 0)
        self.found = dict.fromkeys(HEIGHTS_PX, 0)
        self.lane_pixels = 0
        self.lane_near = 0
        self.painted_pixels = 0

    def add(self, truth: LabelImage, predicted: LabelImage) -> None:
        """Count one picture; 255 in the truth is unknown.

        Raises:
            ValueError: The two label images differ in shape.
        """
        if truth.shape != predicted.shape:
            raise ValueError(
                f'Truth is {truth.shape} and prediction {predicted.shape}: they must be the same.'
            )
        self.pictures += 1
        known = truth != UNKNOWN
        seen = np.isin(predicted, self.pedestrian)
        self._count_found(blobs(np.isin(truth, self.pedestrian)), blobs(seen & known))
        self._count_phantoms(np.isin(truth, self.people), blobs(seen), known)
        self._count_lane(np.isin(truth, self.lane), np.isin(predicted, self.lane), known)

    def _count_found(self, true: Blobs, seen: Blobs) -> None:
        # how many pixels each true blob shares with each seen one, in one pass
        columns = len(seen.heights_px) + 1
        pairs = true.numbers.ravel() * columns + seen.numbers.ravel()
        shared = np.bincount(pairs, minlength=(len(true.heights_px) + 1) * columns)
        shared = shared.reshape(-1, columns)
        union = shared.sum(1, keepdims=True) + shared.sum(0) - shared
        hit = (shared[:, 1:] >= FOUND_IOU * union[:, 1:]).any(1)
        for height_px, is_found in zip(true.heights_px, hit[1:], strict=True):
            for name, (least, below) in HEIGHTS_PX.items():
                if least <= height_px < below:
                    self.there[name] += 1
                    self.found[name] += bool(is_found)

    def _count_phantoms(
        self, people: NDArray[np.bool_], seen: Blobs, known: NDArray[np.bool_]
    ) -> None:
        count = len(seen.heights_px) + 1
        area = np.bincount(seen.numbers.ravel(), minlength=count)
        on_people = np.bincount(seen.numbers[people], minlength=count)
        on_unknown = np.bincount(seen.numbers[~known], minlength=count)
        high = np.array([0.0, *seen.heights_px]) >= MIN_PHANTOM_PX
        alone = on_people < PHANTOM_ON_PEOPLE * area
        self.phantoms += int((high & alone & (on_unknown < PHANTOM_ON_UNKNOWN * area)).sum())

    def _count_lane(
        self, truth: NDArray[np.bool_], predicted: NDArray[np.bool_], known: NDArray[np.bool_]
    ) -> None:
        if not truth.any():
            return
        reach = LANE_TOLERANCE_PX * len(truth) / REFERENCE_ROWS
        distance = cv2.distanceTransform(
            (~predicted).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        self.lane_pixels += int(truth.sum())
        self.lane_near += int((predicted.any() & (distance <= reach) & truth).sum())
        self.painted_pixels += int((predicted & known).sum())

    def rounded(self) -> dict[str, Any]:
        """The figures; what the truth has nothing of is left out.

        `people_found`: share of the true people, by their height; `phantoms_per_picture`;
        `lane_recall`: share of the true lane pixels that have a predicted one within 2 px;
        `lane_painted`: predicted lane pixels for a true one, which tells a recall that was bought.
        """
        figures: dict[str, Any] = {}
        found = {n: round(self.found[n] / of, 4) for n, of in self.there.items() if of}
        if found:
            figures['people_found'] = found
        if self.pictures:
            figures['phantoms_per_picture'] = round(self.phantoms / self.pictures, 3)
        if self.lane_pixels:
            figures['lane_recall'] = round(self.lane_near / self.lane_pixels, 4)
            figures['lane_painted'] = round(self.painted_pixels / self.lane_pixels, 3)
        return figures


def blobs(mask: NDArray[np.bool_]) -> Blobs:
    """Connected by sides or corners."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    scale = REFERENCE_ROWS / len(mask)
    rows = stats[1:, cv2.CC_STAT_HEIGHT].tolist()
    return Blobs(numbers.astype(np.int32), [height * scale for height in rows])
