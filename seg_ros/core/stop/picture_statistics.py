# SPDX-License-Identifier: Apache-2.0
"""Picture statistics: numbers that tell a picture of a road from one in which nothing is seen.

All but the noise are taken of a picture of one size, so that they mean the same at every network
size, and most are of the picture alone, so that they mean the same for every network. A kind of
blindness shows in few of them: defocus in the differences of neighbours, torn rows in rows that do
not go on in the next one, a wrong stride in rows that go on better when shifted, wrong channels in
colours, a picture that is upside down in where light, sky and ground are, and mud in how sure the
network still is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.labels import LabelMap
from seg_ros.core.stop.picture_echo import echo
from seg_ros.core.stop.picture_order import Seam, astray, wrap
from seg_ros.core.stop.picture_polarity import polarity
from seg_ros.core.types import ConfidenceImage, LabelImage, NetworkView, RgbImage

__all__ = ['STATISTICS', 'PictureStatistics', 'StatisticsOfPictures']

GreyImage = NDArray[np.uint8]
FloatImage = NDArray[np.float32]
Box = tuple[float, float, float, float]

SIZE_WH = 320, 180  # of the picture that is looked at
HALF_WH, QUARTER_WH = (160, 90), (80, 45)
# Top, bottom, left and right as shares of the picture. The zone of nearly every camera is there
REGIONS: dict[str, Box] = {'upper': (0.0, 0.5, 0.0, 1.0), 'zone': (0.56, 1.0, 0.22, 0.78)}
FAR: Box = (0.28, 0.66, 0.0, 1.0)  # around the horizon, where a network finds the most things
FLOOR = 0.3  # grey levels, below the rounding to whole ones: keeps logarithms finite
SHARE_FLOOR = 0.01  # the same for shares of pixels
DARK, WHITE = 12, 248  # grey levels up to and from which on a pixel counts as black and saturated
UNSURE = 153  # confidence below 0.6
# Of all rows, those that go on worst in the next one: torn rows come every dozen
WORST_ROWS = (0.5, 0.8, 0.9, 0.96)
SHIFTS = (-3, -2, -1, 1, 2, 3)  # pixels from row to row
BLACK_OFFSET = 20.0  # grey levels: the colour of what is black is noise
LEAST_CLASS_SHARE = 0.01  # of the picture, at which half of what its colour says counts
# Differences of neighbours spread by 0.756 of their mean where all is Gaussian noise (the half
# normal distribution), by 0.71 for uniform noise; by 1.2 and more where things have outlines.
NOISE_TAIL = math.log(0.9)
OPPONENTS = np.array([[1, -1, 0], [0, -1, 1], [0, 1, 0]], np.float32)  # R - G, B - G, G

NEAR = 0.7  # of the height: below, the ground is before the vehicle
PARTS_WH = 16, 3  # in which the detail of that is looked for
RICHEST = 5  # of these 48, a tenth: a kerb, a line or a patch of the road is in one of them
# The same of what lies ahead in the middle, where dirt or a leaf may lie on the lens between kerbs
MIDDLE = slice(56, 104)  # of the columns of HALF_WH: 0.35 to 0.65 of the width
MIDDLE_WH, MIDDLE_RICHEST = (6, 3), 2
LEAST_ENERGY = 0.5  # grey levels squared: rounding; where there is no detail nothing disagrees
LEAST_OF_BOTH = 0.03  # of the picture, so that what is above and the ground have a place

# Of QUARTER_WH: steps from pixel to pixel that are an outline, and how many of 7075 there must be:
# the halos of two headlights in a dark street are up to 70
OUTLINE, LEAST_OUTLINES = 20, 100
# Of such a step that the steepest of the finer ones in it has. A sharp outline has more than all
# of it in one (what is narrow is averaged away); one that is spread over 3 pixels has half
SOFT = 0.75
# The glow of a light fades slowly however sharp a lens is: outlines within 2 pixels of QUARTER_WH
# around white ones say nothing. Of 249 night pictures with headlights (six data sets, evaluate's
# hard clips) 49 were too soft without this, 5 are; of 747 defocused, smeared by motion and behind
# water 407 were, 411 are
GLOW = np.ones((5, 5), np.uint8)
MOST_GLOW = 0.5  # of the picture: white specks all over it are no lamps
STEP, JUMP = 3, 30  # grey levels from which on something is there, and from which on it is much
LEAST_STEPS = 0.02  # of the picture: below, no share of them says anything
SMOOTH = 4  # grey levels from neighbour to neighbour: noise, no outline
SHADE = 7  # grey levels that count as one shade
ENDS = 15, 245  # of the grey levels: black nights and white skies are of one shade, too
CELL = np.ones((4, 4), np.uint8)
# Steps from row to row that are looked at, and how far each goes: edges fall between two rows
TORN_ROWS, TORN_APART = 16, 2
TORN_HIGH = (SIZE_WH[1] - TORN_APART) // TORN_ROWS  # rows, in each of which one step is
TORN_TOPS = TORN_HIGH * np.arange(TORN_ROWS)

SEAM_WIDE = 2  # pixels over which a step is taken: a seam may lie within one
SEAM = 2  # grey levels that it must have beyond twice the steps on both sides of it
JOIN = 4  # grey levels that a step of a join must have beyond those on both sides of it
JOINS_APART = 16  # pixels within which two joins are the sides of one pole

SKY, GROUND, WALKABLE, STATIC, MOVING, OTHER = range(6)
GROUP_NAMES = ('sky', 'ground', 'walkable', 'static', 'moving')
# The last of its roles decides about a class
GROUP_OF_ROLE = {
    'static': STATIC, 'vehicle': MOVING, 'pedestrian': MOVING, 'cyclist': MOVING,
    'walkable': WALKABLE, 'lane': GROUND, 'drivable': GROUND, 'sky': SKY,
}  # fmt: skip
BANDS = {'top': slice(0, 30), 'middle': slice(30, 60), 'bottom': slice(60, 90)}  # of HALF_WH
HALF_ROWS = np.arange(HALF_WH[1], dtype=np.float32) / HALF_WH[1]  # from the top, of HALF_WH
COLOURED = {'sky': SKY, 'ground': GROUND, 'static': STATIC}  # groups whose colour is asked


class PictureStatistics(NamedTuple):
    """What a picture and its labels look like.

    Attributes:
        values: ``(len(STATISTICS),)``.
        noise: Mean difference of neighbouring pixels of the zone in grey levels if they differ as
            noise does and not as things with outlines, else 0.
        saturated: Share of the zone that is white.
        least_detail: How much finer detail the richest tenth of the ground before the vehicle has,
            or of the middle of it if that has less, in grey levels.
        discord: How unlike the detail of two colours is: 0 the same, 1 unrelated, 2 opposite.
        rise: How far the middle of sky and buildings is above that of the ground, as a share of
            the height; NaN where there is next to none of either.
        tear: How much better the rows that go on worst go on elsewhere: 0 not at all, near 1 and
            above they were torn apart.
        softness: Share of the outlines that are soft, but for those beside a light; NaN where
            there are next to none.
        shade: The largest share of the picture that is smooth, of one shade and neither black nor
            white.
        jumps: How much a picture either stays the same from pixel to pixel or jumps: 1 nowhere
            is anything in between.
        sky_below: Share of the sky that has ground above it; of a thirtieth of the picture where
            there is less.
        polarity: How much more the picture is like one than like a negative, in deviations of
            clean pictures from 0, where it would be as much like both.
        echo: How strongly the picture is there a second time, elsewhere in it: 0 not at all, 1 as
            strongly.
        seams: The share of the height and of the width through which a straight step goes, in the
            row or column where it does most; the smaller one. 0 of a picture that is smaller
            than it is looked at: its pixels have straight borders themselves.
        joins: The share of the height through which an upright step goes in a second place. Where
            a way lies between them, upright things end at the ground. 0 where ``seams`` are.
        astray: How much better the edge of a part goes on elsewhere in the picture than where it
            lies: 0 nowhere, 1 as if it had been there, and not at all here. 0 where ``seams`` are.
        wrap: How much better the picture goes on at its other end than at its fullest seam,
            across and down: 0 no better, 1 one of them as if it had been there, 2 both. 0 where
            ``seams`` are.
    """

    values: NDArray[np.float64]
    noise: float
    saturated: float
    least_detail: float
    discord: float
    rise: float
    tear: float
    softness: float
    shade: float
    jumps: float
    sky_below: float
    polarity: float
    echo: float
    seams: float
    joins: float
    astray: float
    wrap: float

    @property
    def shear(self) -> float:
        """By how much rows go on better in the next one when shifted, as a logarithm."""
        return float(self.values[SHEAR])


class _Seen(NamedTuple):
    """A picture at the sizes at which it is looked at.

    Attributes:
        greys: At ``SIZE_WH``, ``HALF_WH`` and ``QUARTER_WH``.
        opponents: ``(90, 160)`` each: red less green, blue less green, and green.
        colours: ``(90, 160, 3)`` the first two as shares of the brightness, and green.
        labels: ``(90, 160)`` class ids, and the groups of these.
        confidence: ``(90, 160)``, 255 where nobody knows it.
    """

    greys: tuple[GreyImage, GreyImage, GreyImage]
    opponents: tuple[FloatImage, FloatImage, FloatImage]
    colours: FloatImage
    labels: LabelImage
    groups: LabelImage
    confidence: ConfidenceImage


class StatisticsOfPictures:
    """Takes the statistics of pictures.

    Args:
        label_map: Of the label images.
    """

    def __init__(self, label_map: LabelMap) -> None:
        self._group = np.full(256, OTHER, np.uint8)
        for role, group in GROUP_OF_ROLE.items():
            self._group[list(label_map.ids_with_role(role))] = group

    def of(self, view: NetworkView) -> PictureStatistics:
        """Returns the statistics of a picture with its labels and confidence."""
        seen = self._seen(view)
        values = np.fromiter((value for _, value in _named(seen)), np.float64, len(STATISTICS))
        return PictureStatistics(
            values,
            _noise(view.picture),
            _white_share(seen),
            _least_detail(seen.greys[1]),
            _discord(seen.opponents),
            _rise(seen.groups),
            _tear(seen.greys[0]),
            *_outlines(seen.greys[0], seen.greys[2]),
            _sky_below(seen.groups),
            _polarity(seen),
            echo(seen.greys[2]),
            *(_seams(seen.greys[0]) if _is_whole(view.picture) else (0.0, 0.0, 0.0, 0.0)),
        )

    def glance(self, view: NetworkView) -> tuple[float, float]:
        """Returns the noise and the saturated share alone."""
        return _noise(view.picture), _white_share(self._seen(view))

    def _seen(self, view: NetworkView) -> _Seen:
        picture = cv2.resize(view.picture, SIZE_WH, interpolation=cv2.INTER_AREA)
        half = cv2.resize(picture, HALF_WH, interpolation=cv2.INTER_AREA)
        grey = _uint8(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        half_grey = _uint8(cv2.resize(grey, HALF_WH, interpolation=cv2.INTER_AREA))
        quarter_grey = _uint8(cv2.resize(half_grey, QUARTER_WH, interpolation=cv2.INTER_AREA))
        red, blue, green = map(
            _float32, cv2.split(cv2.transform(half.astype(np.float32), OPPONENTS))
        )
        light = green + BLACK_OFFSET
        labels = _thinned(view.labels)
        if view.confidence is None:
            confidence = np.full_like(labels, 255)
        else:
            confidence = _thinned(view.confidence)
        return _Seen(
            (grey, half_grey, quarter_grey),
            (red, blue, green),
            _float32(cv2.merge((red / light, blue / light, green))),
            labels,
            _uint8(cv2.LUT(labels, self._group)),
            confidence,
        )


# The statistics, each with its name

Named = Iterator[tuple[str, float]]


def _named(seen: _Seen) -> Named:
    """Yields all statistics; ``STATISTICS`` are their names."""
    yield from _sharpness(seen)
    for name, box in REGIONS.items():
        yield from _light(name, _part(seen.greys[0], box))
        yield from _colours(name, box, seen)
    yield from _rows_and_columns(seen)
    yield from _layout(seen.greys[2])
    yield from _places_of_groups(seen.groups)
    yield from _sureness(seen)
    yield from _colours_of_groups(seen)


def _sharpness(seen: _Seen) -> Named:
    for scale, grey in zip((2, 4, 8), seen.greys, strict=True):
        for name, box in REGIONS.items():
            gradient, direction, tail = _gradients(_part(grey, box))
            yield f'{name}.gradient_{scale}', math.log(gradient + FLOOR)
            yield f'{name}.direction_{scale}', direction
            yield f'{name}.tail_{scale}', tail


def _light(name: str, grey: NDArray[np.generic]) -> Named:
    brightness, contrast = _mean_and_deviation(grey)
    yield f'{name}.brightness', brightness / 255.0
    yield f'{name}.contrast', math.log(contrast + 1.0)
    yield f'{name}.white', _log_share(cv2.compare(grey, WHITE, cv2.CMP_GE))
    yield f'{name}.black', _log_share(cv2.compare(grey, DARK, cv2.CMP_LE))


def _colours(name: str, box: Box, seen: _Seen) -> Named:
    """Colour, and how much finer detail there is in it than in the brightness."""
    mean, spread = cv2.meanStdDev(_part(seen.colours, box))
    coloured = [_energy_across(_part(image, box)) for image in seen.opponents]
    for channel, colour in enumerate(('red', 'blue')):
        yield f'{name}.{colour}', float(mean[channel, 0])
        yield f'{name}.{colour}_spread', math.log(float(spread[channel, 0]) + 0.01)
        detail = (coloured[channel] + 0.5) / (coloured[2] + 0.5)
        yield f'{name}.{colour}_detail', math.log(detail)


def _rows_and_columns(seen: _Seen) -> Named:
    """How badly rows go on in the next row, and columns in the next column."""
    grey = seen.greys[0]
    every_other = cv2.extractChannel(grey.reshape(len(grey), -1, 2), 0)
    for name, image in (('row', every_other), ('column', cv2.transpose(seen.greys[1]))):
        breaks = _breaks(_uint8(image))
        for share in WORST_ROWS:
            yield f'{name}.break_{share:.0%}', math.log(breaks[int(share * len(breaks))] + 0.01)
    most, width = max(SHIFTS), grey.shape[1]
    rows = grey[:-1, most : width - most]
    straight, *shifted = (
        _difference(rows, grey[1:, most + shift : width - most + shift]) for shift in (0, *SHIFTS)
    )
    yield 'shear', math.log((straight + FLOOR) / (min(shifted) + FLOOR))


def _layout(grey: GreyImage) -> Named:
    """Where it is bright."""
    light = cv2.resize(grey, (2, 4), interpolation=cv2.INTER_AREA).astype(float)
    contrast = _mean_and_deviation(grey)[1] + 10.0
    first, second, third, last = (0.5 * light.sum(axis=1)).tolist()
    left, right = light.mean(axis=0).tolist()
    yield 'light.upwards', (first + second - third - last) / contrast
    yield 'light.aside', abs(left - right) / contrast
    yield 'light.middle', (second + third - first - last) / contrast
    yield 'light.bottom', (last - third) / contrast


def _places_of_groups(groups: LabelImage) -> Named:
    for band, rows in BANDS.items():
        part = groups[rows]
        counts = _counts(part, OTHER)
        for group, name in enumerate(GROUP_NAMES):
            yield f'{band}.{name}', counts[group] / part.size
    ground = _uint8(cv2.compare(groups, GROUND, cv2.CMP_EQ))
    sky = _uint8(cv2.compare(groups, SKY, cv2.CMP_EQ))
    middle, quarter = groups.shape[0] // 2, groups.shape[1] // 4
    yield 'ground.left', _share(ground[middle:, :quarter])
    yield 'ground.right', _share(ground[middle:, -quarter:])
    # In percent, which they seldom are more than one of
    yield 'sky.under', 100.0 * _share(cv2.bitwise_and(sky[1:], cv2.bitwise_not(sky[:-1])))
    yield (
        'ground.over',
        100.0 * _share(cv2.bitwise_and(ground[:-1], cv2.bitwise_not(ground[1:]))),
    )
    yield 'ground.sides', 100.0 * _share(cv2.bitwise_xor(ground[:, 1:], ground[:, :-1]))


def _sureness(seen: _Seen) -> Named:
    counts = _counts(seen.labels)[:255]
    shares = counts[counts > 0] / max(1, counts.sum())
    yield 'classes', -float((shares * np.log(shares)).sum())
    for name, box in (*REGIONS.items(), ('far', FAR)):
        confidence, labels = _part(seen.confidence, box), _part(seen.labels, box)
        sure, spread = _mean_and_deviation(confidence)
        yield f'{name}.confidence', sure / 255.0
        yield f'{name}.confidence_spread', spread / 255.0
        yield f'{name}.unsure', _log_share(cv2.compare(confidence, UNSURE, cv2.CMP_LT))
        yield f'{name}.outlines_across', _changes(labels[:, 1:], labels[:, :-1])
        yield f'{name}.outlines_down', _changes(labels[1:], labels[:-1])


def _colours_of_groups(seen: _Seen) -> Named:
    """Light and colour of what is called sky, ground and so on; neutral where there is none."""
    for name, group in COLOURED.items():
        mask = _uint8(cv2.compare(seen.groups, group, cv2.CMP_EQ))
        share = _share(mask)
        part = share / (share + LEAST_CLASS_SHARE)
        red, blue, green, _ = cv2.mean(seen.colours, mask)
        yield f'{name}.light', green / 255.0 * part + 0.5 * (1.0 - part)
        yield f'{name}.red', red * part
        yield f'{name}.blue', blue * part


# What the picture alone says, in grey levels and shares that mean the same for every engine


def _noise(picture: RgbImage) -> float:
    part = _part(picture, REGIONS['zone'])
    if min(part.shape[:2]) < 2:
        return 0.0
    gradient, _, tail = _gradients(_uint8(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)))
    return gradient if tail < NOISE_TAIL else 0.0


def _white_share(seen: _Seen) -> float:
    return _share(cv2.compare(_part(seen.greys[0], REGIONS['zone']), WHITE, cv2.CMP_GE))


def _least_detail(half: GreyImage) -> float:
    near = half[int(NEAR * half.shape[0]) :]
    bends = np.abs(cv2.Laplacian(near, cv2.CV_32F))
    return min(
        _richest(bends, PARTS_WH, RICHEST), _richest(bends[:, MIDDLE], MIDDLE_WH, MIDDLE_RICHEST)
    )


def _richest(bends: NDArray[np.generic], parts_wh: tuple[int, int], place: int) -> float:
    parts = cv2.resize(bends, parts_wh, interpolation=cv2.INTER_AREA).reshape(-1)
    return float(np.partition(parts, -place)[-place])


def _discord(opponents: tuple[FloatImage, FloatImage, FloatImage]) -> float:
    red_less, blue_less, green = opponents
    own = _energy_across(green)
    return max(
        _energy_across(less) / (_energy_across(cv2.add(less, green)) + own + LEAST_ENERGY)
        for less in (red_less, blue_less)
    )


def _rise(groups: LabelImage) -> float:
    ground = cv2.inRange(groups, GROUND, WALKABLE)
    above = cv2.bitwise_or(
        cv2.compare(groups, SKY, cv2.CMP_EQ), cv2.compare(groups, STATIC, cv2.CMP_EQ)
    )
    low, high = (
        cv2.reduce(mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[:, 0] for mask in (ground, above)
    )
    much, as_much = float(low.sum()), float(high.sum())
    if min(much, as_much) < LEAST_OF_BOTH * 255 * groups.size:
        return math.nan
    return float((HALF_ROWS @ low) / much - (HALF_ROWS @ high) / as_much)


def _tear(grey: GreyImage) -> float:
    steps = cv2.absdiff(grey[TORN_APART:], grey[:-TORN_APART])
    unlike = cv2.reduce(steps, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
    # One of each part of the height: a crossing has many, in one place
    parts = unlike[: TORN_ROWS * TORN_HIGH].reshape(TORN_ROWS, TORN_HIGH)
    worst = parts.argmax(axis=1) + TORN_TOPS
    rows = _float32(grey[np.concatenate((worst, worst + TORN_APART)), ::2])
    straight, shifted = _alike(rows)
    return float((shifted * (shifted - straight)).mean())


def _is_whole(picture: RgbImage) -> bool:
    height, width = picture.shape[:2]
    return width >= SIZE_WH[0] and height >= SIZE_WH[1]


def _seams(grey: GreyImage) -> tuple[float, float, float, float]:
    """Seams, joins, astray and wrap; see ``PictureStatistics``."""
    # One after the other, so that the second finds the memory of the first
    level, row_seam, _ = _fullest_seam(grey, 1)
    upright, column_seam, over = _fullest_seam(grey, 0)
    shares = _steps_in_columns(over)
    wrapped = wrap(grey, row_seam, column_seam)
    return min(level, upright), _joins(shares), astray(grey, shares), wrapped


def _fullest_seam(grey: GreyImage, axis: int) -> tuple[float, Seam, GreyImage]:
    """How much of a row (``axis`` 1) or column (0) is a seam, where it is the most; and steps.

    A seam has more than twice the steps before and behind it. It lies between two rows or columns,
    which come with it. The steps are in grey levels beyond those on both sides.
    """
    wide, far = SEAM_WIDE, 2 * SEAM_WIDE
    if axis == 1:
        steps = cv2.absdiff(grey[wide:], grey[:-wide])
        inner, most = steps[wide:-wide], cv2.max(steps[:-far], steps[far:])
    else:
        steps = cv2.absdiff(grey[:, wide:], grey[:, :-wide])
        inner, most = steps[:, wide:-wide], cv2.max(steps[:, :-far], steps[:, far:])
    over = _uint8(cv2.subtract(inner, most))
    seams = cv2.compare(over, cv2.add(most, SEAM, dst=most), cv2.CMP_GT, dst=most)
    counts = cv2.reduce(seams, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    fullest = int(counts.argmax())
    share = float(counts.reshape(-1)[fullest]) / (255 * grey.shape[axis])
    return share, (fullest + wide - 1, fullest + far), over


def _steps_in_columns(over: GreyImage) -> FloatImage:
    """``(W,)`` the share of each column that is a step: grey levels beyond both sides."""
    steps = cv2.compare(over, JOIN, cv2.CMP_GT)
    return _float32(cv2.reduce(steps, 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)).reshape(-1) / 255.0


def _joins(shares: FloatImage) -> float:
    """Of the shares of columns that are a step."""
    fullest = int(shares.argmax())
    beside = max(0, fullest - JOINS_APART), fullest + JOINS_APART + 1
    return float(max(shares[: beside[0]].max(initial=0.0), shares[beside[1] :].max(initial=0.0)))


def _sky_below(groups: LabelImage) -> float:
    ground = cv2.inRange(groups, GROUND, WALKABLE)
    sky = cv2.compare(groups, SKY, cv2.CMP_EQ)
    below = cv2.bitwise_and(sky, np.maximum.accumulate(ground, axis=0))
    return _share(below) / max(_share(sky), LEAST_OF_BOTH)


def _outlines(grey: GreyImage, quarter: GreyImage) -> tuple[float, float, float]:
    """What share of the outlines is soft, what share of the picture has none in one shade, jumps.

    See ``PictureStatistics``.
    """
    here = grey[:-1, :-1]
    steps = cv2.max(cv2.absdiff(grey[:-1, 1:], here), cv2.absdiff(grey[1:, :-1], here))
    there, far = (_share(cv2.compare(steps, least, cv2.CMP_GT)) for least in (STEP, JUMP))
    # Within the 4x4 pixels that are one of the quarter
    steepest = np.ascontiguousarray(cv2.dilate(steps, CELL)[2::4, 2::4])
    brightest = np.ascontiguousarray(cv2.dilate(grey, CELL)[2::4, 2::4])
    glow = cv2.dilate(cv2.compare(brightest, WHITE, cv2.CMP_GE), GLOW)
    softness = _softness(quarter, steepest, glow)
    if math.isnan(softness) and _share(glow) > MOST_GLOW:
        softness = _softness(quarter, steepest, np.zeros_like(glow))
    is_smooth = cv2.compare(steepest, SMOOTH, cv2.CMP_LE)
    shades = _counts(quarter, mask=is_smooth)[slice(*ENDS)]
    below = shades.cumsum()
    return (
        softness,
        float((below[SHADE:] - below[:-SHADE]).max()) / quarter.size,
        (1.0 - there) * far / max(there, LEAST_STEPS),
    )


def _softness(quarter: GreyImage, steepest: GreyImage, glow: NDArray[np.uint8]) -> float:
    """What share of the outlines is soft; nan of too few.

    Args:
        quarter: The picture, coarse.
        steepest: The most of the steps between pixels within each of its cells.
        glow: 255 where no outline is asked for.
    """
    outlines = soft = 0
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        coarse = cv2.absdiff(quarter[one], quarter[other])
        coarse = cv2.subtract(coarse, cv2.max(glow[one], glow[other]))
        fine = cv2.max(steepest[one], steepest[other])
        is_outline = coarse > OUTLINE
        outlines += np.count_nonzero(is_outline)
        soft += np.count_nonzero(is_outline & (fine < cv2.convertScaleAbs(coarse, alpha=SOFT)))
    return soft / outlines if outlines >= LEAST_OUTLINES else math.nan


def _polarity(seen: _Seen) -> float:
    red, blue = (
        _float32(cv2.resize(colour, QUARTER_WH, interpolation=cv2.INTER_AREA))
        for colour in seen.opponents[:2]
    )
    sky = cv2.resize(
        cv2.compare(seen.groups, SKY, cv2.CMP_EQ), QUARTER_WH, interpolation=cv2.INTER_NEAREST
    )
    return polarity(seen.greys[2], (red, blue), _uint8(sky))


# Arithmetic


def _part(image: NDArray[np.generic], box: Box) -> NDArray[np.generic]:
    height, width = image.shape[:2]
    top, bottom, left, right = box
    return image[
        int(top * height) : int(bottom * height), int(left * width) : int(right * width)
    ]  # fmt: skip


def _thinned(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _uint8(cv2.resize(image, HALF_WH, interpolation=cv2.INTER_NEAREST))


def _gradients(image: NDArray[np.generic]) -> tuple[float, float, float]:
    """Mean difference of neighbours; logarithms of across by down, and of spread by mean."""
    across, across_spread = _step(image[:, 1:], image[:, :-1])
    down, down_spread = _step(image[1:], image[:-1])
    return (
        across + down,
        math.log((across + FLOOR) / (down + FLOOR)),
        math.log((across_spread + down_spread + FLOOR) / (across + down + FLOOR)),
    )


def _step(one: NDArray[np.generic], other: NDArray[np.generic]) -> tuple[float, float]:
    """Mean of the absolute differences, and their standard deviation; makes no image."""
    mean = _difference(one, other)
    square = cv2.norm(one, other, cv2.NORM_L2SQR) / one.size
    return mean, math.sqrt(max(0.0, square - mean * mean))


def _difference(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size


def _energy_across(image: NDArray[np.generic]) -> float:
    return float(cv2.norm(image[:, 1:], image[:, :-1], cv2.NORM_L2SQR)) / image.size


def _breaks(image: GreyImage) -> NDArray[np.float32]:
    """``(H-1,)`` how unlike the next row each is, the least first: 0 the same, 1 of another kind.

    Two rows without anything in them are alike.
    """
    rows = _float32(image)
    rows -= cv2.reduce(rows, 1, cv2.REDUCE_AVG)
    steps = rows[1:] - rows[:-1]
    energy = np.einsum('ij,ij->i', rows, rows)
    broken = np.einsum('ij,ij->i', steps, steps)
    breaks = broken / (energy[1:] + energy[:-1] + 8.0 * image.shape[1])
    breaks.sort()
    return np.asarray(breaks, np.float32)


def _alike(rows: FloatImage) -> tuple[FloatImage, FloatImage]:
    """``(N/2,)`` how alike rows of the first half and the second are; the same when shifted best.

    From -1 to 1, the same. Rows without anything in them are like none.
    """
    half, width = len(rows) // 2, rows.shape[1]
    waves = cv2.dft(rows, flags=cv2.DFT_ROWS)
    energy = np.einsum('ij,ij->i', rows, rows) - waves[:, 0] ** 2 / width + 4.0 * width
    waves[:, 0] = 0.0  # their means
    product = cv2.mulSpectrums(waves[:half], waves[half:], cv2.DFT_ROWS, conjB=True)
    alike = cv2.dft(product, flags=cv2.DFT_ROWS | cv2.DFT_INVERSE | cv2.DFT_SCALE)
    scale = 1.0 / np.sqrt(energy[:half] * energy[half:])
    return _float32(alike[:, 0] * scale), _float32(alike.max(axis=1) * scale)


def _counts(
    image: NDArray[np.uint8], below: int = 256, mask: NDArray[np.uint8] | None = None
) -> FloatImage:
    """``(below,)`` how many pixels have each value."""
    return _float32(cv2.calcHist([image], [0], mask, [below], [0, below]).reshape(-1))


def _mean_and_deviation(image: NDArray[np.generic]) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(image)
    return float(mean[0, 0]), float(deviation[0, 0])


def _changes(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """How many labels differ from their neighbour, as a logarithm of the share."""
    return math.log(_share(cv2.compare(one, other, cv2.CMP_NE)) + 1e-3)


def _share(mask: NDArray[np.generic]) -> float:
    return cv2.countNonZero(mask) / mask.size


def _log_share(mask: NDArray[np.generic]) -> float:
    return math.log(_share(mask) + SHARE_FLOOR)


def _uint8(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.asarray(image, np.uint8)


def _float32(image: NDArray[np.generic]) -> FloatImage:
    return np.asarray(image, np.float32)


def _names() -> tuple[str, ...]:
    full, half, quarter = (np.zeros(wh[::-1], np.uint8) for wh in (SIZE_WH, HALF_WH, QUARTER_WH))
    flat = np.zeros(half.shape, np.float32)
    colours = np.zeros((*half.shape, 3), np.float32)
    seen = _Seen((full, half, quarter), (flat, flat, flat), colours, half, half, half)
    return tuple(name for name, _ in _named(seen))


STATISTICS = _names()
"""Names of the numbers, in their order."""
SHEAR = STATISTICS.index('shear')
