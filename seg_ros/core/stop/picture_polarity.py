# SPDX-License-Identifier: Apache-2.0
"""Polarity of a picture: whether bright is bright in it.

A negative has the outlines and the detail of the picture itself, and a network finds a road in it
all the same. But what is said here of a picture changes its sign with it: lamps, paint and gaps
between leaves are small, few and bright, and a negative has dark ones; the sky is bright and
smooth, also where a network sees it by its place; what is lit has more colour than what is not;
there is green, and hardly any magenta.

Each of these is wrong here and there (a dark street before bright houses), all of them together
are not. How much each counts, and the limit, were taken from clean pictures alone: a negative is
as far below 0 as its picture is above, so that nobody had to ask one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['TERMS', 'polarity', 'terms_of']

GreyImage = NDArray[np.uint8]
FloatImage = NDArray[np.float32]

MIDDLE = 127.5  # grey levels: what a negative leaves as it is
# Grey levels that keep ratios finite in a picture in which nothing is, at about its noise
LIGHT, COLOUR, STEP = 5.0, 3.0, 0.5
# Logarithms of contrast, and roots of peaks, that do the same
CONTRAST, ROOT = 0.1, 0.2
LOGARITHMS = np.log1p(np.arange(256, dtype=np.float32))
LEAST_SKY, MOST_SKY = 0.02, 0.9  # of the picture, so that it and the rest say something
MOST = 1.25  # times as large as usual: no term counts for more, however odd the picture


class Term(NamedTuple):
    """How much a term counts.

    Attributes:
        weight: So that the sum deviates by about 1 between clean pictures.
        usual: Its root mean square in clean pictures.
    """

    weight: float
    usual: float


# Of 822 clean pictures of eleven data sets, the simulator and hard light: Fisher's discriminant
# between them and the same with the other sign, rounded
TERMS: Mapping[str, Term] = MappingProxyType({
    'peaks': Term(0.8, 0.85),
    'specks': Term(0.7, 0.03),
    'light': Term(0.4, 0.3),
    'shades': Term(0.75, 0.9),
    'smooth': Term(1.15, 0.2),
    'colour': Term(0.65, 0.32),
    'green': Term(0.45, 0.22),
    'sky': Term(0.36, 1.2),
})  # fmt: skip
"""By name."""


def polarity(
    grey: GreyImage, opponents: tuple[FloatImage, FloatImage], sky: NDArray[np.uint8]
) -> float:
    """Returns how much more a picture is like one than like a negative, in deviations from 0.

    Args:
        grey: ``(45, 80)``.
        opponents: ``(45, 80)`` each: red less green, and blue less green.
        sky: ``(45, 80)``, 255 where the network sees it.
    """
    terms = terms_of(grey, opponents, sky)
    return sum(
        weight * min(max(terms[name] / usual, -MOST), MOST)
        for name, (weight, usual) in TERMS.items()
    )


def terms_of(
    grey: GreyImage, opponents: tuple[FloatImage, FloatImage], sky: NDArray[np.uint8]
) -> dict[str, float]:
    """Returns what changes its sign in a negative; see ``polarity``."""
    peaks = np.asarray(cv2.Laplacian(grey, cv2.CV_32F, scale=-1.0), np.float32)
    roots = np.sqrt(np.abs(peaks))
    light = np.asarray(grey, np.float32)
    mean = float(light.mean())
    light -= mean
    light_spread = math.sqrt(_product(light, light)) + LIGHT

    across = cv2.absdiff(grey[:-1, 1:], grey[:-1, :-1])
    down = cv2.absdiff(grey[1:, :-1], grey[:-1, :-1])
    contrast = np.asarray(cv2.LUT(cv2.add(across, down), LOGARITHMS), np.float32)
    contrast -= contrast.mean()
    contrast_spread = math.sqrt(_product(contrast, contrast)) + CONTRAST

    red, blue = opponents
    most, least = cv2.max(red, blue), cv2.min(red, blue)
    green, magenta = cv2.min(most, 0.0), cv2.max(least, 0.0)
    colour = np.asarray(cv2.subtract(cv2.max(most, 0.0), cv2.min(least, 0.0)), np.float32)
    saturation = float(colour.mean())
    colour -= saturation
    colour_spread = math.sqrt(_product(colour, colour)) + COLOUR
    return {
        'peaks': _skewness(peaks),
        # The bulk of them is the other way round: a bright speck has wide surroundings
        'specks': -float(np.copysign(roots, peaks).mean()) / (float(roots.mean()) + ROOT),
        'light': 1.0 - mean / MIDDLE,
        'shades': _skewness(light),
        'smooth': -_product(light[:-1, :-1], contrast) / (light_spread * contrast_spread),
        'colour': _product(light, colour) / (light_spread * colour_spread),
        'green': -float((green + magenta).mean()) / (saturation + COLOUR),
        'sky': _rise(grey, sky) / light_spread,
    }


def _rise(grey: GreyImage, sky: NDArray[np.uint8]) -> float:
    """How much brighter the sky is than all else, in grey levels; 0 where there is none."""
    if not LEAST_SKY < cv2.countNonZero(sky) / sky.size < MOST_SKY:
        return 0.0
    return float(cv2.mean(grey, sky)[0] - cv2.mean(grey, cv2.bitwise_not(sky))[0])


def _skewness(values: FloatImage) -> float:
    """The cube root of the third moment, in deviations: 0 where both tails are alike."""
    square = values * values
    deviation = math.sqrt(float(square.mean())) + STEP
    return float(np.cbrt(_product(square, values))) / deviation


def _product(one: FloatImage, other: FloatImage) -> float:
    """The mean of the products."""
    return float(np.vdot(one, other)) / one.size
