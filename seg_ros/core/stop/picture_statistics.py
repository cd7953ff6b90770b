# SPDX-License-Identifier: Apache-2.0
"""Picture statistics: numbers that tell a picture of a road from one in which nothing is seen.

Each is cheap, and is taken in two regions: the upper half, and the part of the lower half in
which the zone lies for nearly every camera. Sharpness is taken at three scales, because noise
hides in the finest one and defocus in the coarser ones; direction shows motion blur and torn rows;
the labels show whether the network still finds things with outlines, and how sure it is of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.labels import LabelMap
from seg_ros.core.types import LabelImage, NetworkView

__all__ = ['STATISTICS', 'PictureStatistics', 'StatisticsOfPictures']

GreyImage = NDArray[np.uint8]

# Top, bottom, left and right as shares of the picture
REGIONS = {'upper': (0.0, 0.5, 0.0, 1.0), 'zone': (0.56, 1.0, 0.22, 0.78)}
SCALES = (1, 2, 4)  # pixels that are averaged to one
FLOOR = 0.3  # grey levels, below the rounding to whole ones: keeps logarithms finite
# Of all rows, the one that begins with a larger step than these; torn rows come every dozen
JUMP_QUANTILE = 0.96
LEAST_CLASS_SHARE = 0.005  # of the picture: a class with less is a speck
WHITE = 248  # grey level from which on a pixel counts as saturated

STATISTICS = (
    *(
        f'{region}.{name}_{scale}'
        for scale in SCALES
        for region in REGIONS
        for name in ('gradient', 'direction', 'tail')
    ),
    *(
        f'{region}.{name}'
        for region in REGIONS
        for name in ('brightness', 'contrast', 'confidence', 'confidence_spread',
                     'outlines_across', 'outlines_down')
    ),
    'row_jump',
    'column_jump',
    'zone.ground',
    'upper.sky',
    'classes',
)  # fmt: skip
"""Names of the numbers, in their order."""


class PictureStatistics(NamedTuple):
    """What a picture and its labels look like.

    Attributes:
        values: ``(len(STATISTICS),)``.
        noise: Mean difference of neighbouring pixels of the zone in grey levels if they differ as
            noise does and not as things with outlines, else 0.
        saturated: Share of the zone that is white.
    """

    values: NDArray[np.float64]
    noise: float
    saturated: float


class StatisticsOfPictures:
    """Takes the statistics of one camera's pictures.

    Args:
        label_map: Of the label images.
    """

    def __init__(self, label_map: LabelMap) -> None:
        self._ground = label_map.role_mask_lut('drivable') | label_map.role_mask_lut('lane')
        self._sky = label_map.role_mask_lut('sky')

    def of(self, view: NetworkView) -> PictureStatistics:
        """Returns the statistics of a picture with its labels and confidence."""
        grey = cv2.cvtColor(view.picture, cv2.COLOR_RGB2GRAY)
        half = _shrunk(grey)
        half_labels, half_confidence = _thinned(view.labels), _thinned(view.confidence)
        values: list[float] = []
        noise = 0.0
        for scale, scaled in zip(SCALES, (grey, half, _shrunk(half)), strict=True):
            for name, box in REGIONS.items():
                gradient, direction, tail = _gradients(_part(scaled, box))
                values += [math.log(gradient + FLOOR), direction, tail]
                if scale == 1 and name == 'zone' and tail < NOISE_TAIL:
                    noise = gradient
        for box in REGIONS.values():
            brightness, contrast = _mean_and_deviation(_part(half, box))
            sure, spread = _mean_and_deviation(_part(half_confidence, box))
            labels = _part(half_labels, box)
            values += [brightness, math.log(contrast + 1.0), sure / 255.0, spread / 255.0]
            values += [_changes(labels[:, 1:], labels[:, :-1]), _changes(labels[1:], labels[:-1])]
        values += [_jump(half[1:], half[:-1], 1), _jump(half[:, 1:], half[:, :-1], 0)]
        zone, upper = (_part(half_labels, REGIONS[name]) for name in ('zone', 'upper'))
        counts = np.bincount(half_labels[::2, ::2].reshape(-1), minlength=256)[:255]
        values += [
            cv2.mean(cv2.LUT(zone, self._ground))[0] / 255.0,
            cv2.mean(cv2.LUT(upper, self._sky))[0] / 255.0,
            float((counts > LEAST_CLASS_SHARE * counts.sum()).sum()),
        ]
        white = _part(half, REGIONS['zone']) >= WHITE
        saturated = float(white.mean()) if white.size else 0.0
        return PictureStatistics(np.array(values), noise, saturated)


# Differences of neighbours spread by 0.756 of their mean where all is Gaussian noise (the half
# normal distribution), by 0.71 for uniform noise; by 1.2 and more where things have outlines.
NOISE_TAIL = math.log(0.9)


def _shrunk(grey: GreyImage) -> GreyImage:
    """Half the size, the mean of four pixels each."""
    size_wh = max(1, grey.shape[1] // 2), max(1, grey.shape[0] // 2)
    return np.asarray(cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _thinned(image: GreyImage | None) -> GreyImage:
    """Every other pixel of every other row; one of 255 where there is nothing."""
    if image is None:
        return np.full((1, 1), 255, np.uint8)
    return np.ascontiguousarray(image[::2, ::2])


def _part(image: GreyImage, box: tuple[float, float, float, float]) -> GreyImage:
    height, width = image.shape
    top, bottom, left, right = box
    return image[
        int(top * height) : int(bottom * height), int(left * width) : int(right * width)
    ]  # fmt: skip


def _gradients(image: GreyImage) -> tuple[float, float, float]:
    """Mean difference of neighbours; logarithms of across by down, and of spread by mean.

    Every other row is enough.
    """
    if min(image.shape) < 2:
        return 0.0, 0.0, 0.0
    rows, below = image[:-1:2], image[1::2]
    across, across_spread = _mean_and_deviation(cv2.absdiff(rows[:, 1:], rows[:, :-1]))
    down, down_spread = _mean_and_deviation(cv2.absdiff(rows, below[: len(rows)]))
    return (
        across + down,
        math.log((across + FLOOR) / (down + FLOOR)),
        math.log((across_spread + down_spread + FLOOR) / (across + down + FLOOR)),
    )


def _mean_and_deviation(image: GreyImage) -> tuple[float, float]:
    if image.size == 0:  # of a picture of a few pixels
        return 0.0, 0.0
    mean, deviation = cv2.meanStdDev(image)
    return float(mean[0, 0]), float(deviation[0, 0])


def _changes(one: LabelImage, other: LabelImage) -> float:
    """How many labels differ from their neighbour, as a logarithm of the share."""
    if one.size == 0:
        return 0.0
    share = cv2.countNonZero(cv2.compare(one, other, cv2.CMP_NE)) / one.size
    return math.log(share + 1e-3)


def _jump(one: GreyImage, other: GreyImage, axis: int) -> float:
    """How much larger the largest steps from row to row are than the usual one, logarithm."""
    if one.size == 0:
        return 0.0
    steps = np.sort(
        cv2.reduce(cv2.absdiff(one, other), axis, cv2.REDUCE_AVG, dtype=cv2.CV_32F).reshape(-1)
    )
    large, usual = steps[int(JUMP_QUANTILE * len(steps))], steps[len(steps) // 2]
    return math.log((float(large) + FLOOR) / (float(usual) + FLOOR))
