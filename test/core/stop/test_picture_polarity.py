# SPDX-License-Identifier: Apache-2.0
"""A negative says of every term the opposite of what its picture says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.stop.picture_polarity import MOST, TERMS, polarity, terms_of
from test.core.stop.street_pictures import street

Picture = NDArray[np.uint8]
GREY = np.full((45, 80, 3), 100, np.uint8)


SKY = np.zeros((45, 80), np.uint8)
SKY[:15] = 255


def asked(
    picture: Picture, sky: Picture = SKY
) -> tuple[Picture, tuple[NDArray[np.float32], NDArray[np.float32]], Picture]:
    red, green, blue = np.moveaxis(picture.astype(np.float32), 2, 0)
    # Without rounding: a grey picture of 255 - x is 255 less the grey picture of x
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    return grey, (red - green, blue - green), sky


def of(picture: Picture) -> dict[str, float]:
    return terms_of(*asked(picture))


def with_specks(brightness: int) -> Picture:
    picture = GREY.copy()
    picture[4::8, 4::8] = brightness
    return picture


def streets() -> list[Picture]:
    return [np.asarray(cv2.resize(street(seed), (80, 45)), np.uint8) for seed in range(6)]


@pytest.mark.parametrize('seed', range(6))
def test_a_negative_is_as_far_below_0_as_its_picture_is_above(seed: int) -> None:
    picture = streets()[seed]
    one, other = of(picture), of(255 - picture)
    assert list(one) == list(TERMS)
    assert other == pytest.approx({name: -value for name, value in one.items()}, abs=0.02)
    assert polarity(*asked(255 - picture)) == pytest.approx(-polarity(*asked(picture)), abs=0.2)


def test_few_bright_specks_are_a_picture_and_few_dark_ones_a_negative() -> None:
    bright, dark = of(with_specks(200)), of(with_specks(0))
    for name in ('peaks', 'specks', 'shades'):
        assert bright[name] > 0.2 > -0.2 > dark[name], name


@pytest.mark.parametrize(('grey', 'term'), [(0, 1.0), (255, -1.0), (102, 0.2)])
def test_most_pictures_are_darker_than_the_middle(grey: int, term: float) -> None:
    assert of(np.full_like(GREY, grey))['light'] == pytest.approx(term, abs=1e-6)


def test_a_bright_smooth_sky_above_a_dark_rough_place_is_a_picture() -> None:
    random = np.random.default_rng(1)
    picture = np.full_like(GREY, 200)
    picture[20:] = random.integers(30, 90, (25, 80, 1))
    assert of(picture)['smooth'] > 0.5
    picture[20:] += 165
    picture[:20] = 60
    assert of(picture)['smooth'] < -0.5


def test_what_is_lit_has_more_colour_than_what_is_not() -> None:
    picture = np.full_like(GREY, 40)
    picture[:, :40] = 160, 150, 110
    assert of(picture)['colour'] > 0.5
    picture[:, :40], picture[:, 40:] = 160, (60, 50, 10)
    assert of(picture)['colour'] < -0.5


@pytest.mark.parametrize(
    ('colour', 'term'),
    [((60, 120, 60), 60 / 63), ((120, 60, 120), -60 / 63), ((120, 60, 60), 0.0)],
)
def test_there_is_green_and_hardly_any_magenta(colour: tuple[int, int, int], term: float) -> None:
    assert of(GREY // 100 * np.array(colour, np.uint8))['green'] == pytest.approx(term, abs=1e-3)


@pytest.mark.parametrize(('brightness', 'is_picture'), [(200, True), (20, False)])
def test_the_sky_is_brighter_than_what_is_below(brightness: int, is_picture: bool) -> None:
    picture = GREY.copy()
    picture[:15] = brightness
    assert (of(picture)['sky'] > 0.5) is is_picture
    assert (of(picture)['sky'] < -0.5) is not is_picture
    for sky in (np.zeros_like(SKY), np.full_like(SKY, 255)):
        # Nothing to compare: in a tunnel, or where the network sees nothing else
        assert terms_of(*asked(picture, sky))['sky'] == 0.0


def test_no_term_counts_for_more_than_a_quarter_above_what_is_usual() -> None:
    magenta = GREY // 100 * np.array((255, 0, 255), np.uint8)
    terms = of(magenta)
    counted = {
        name: weight * float(np.clip(terms[name] / usual, -MOST, MOST))
        for name, (weight, usual) in TERMS.items()
    }
    assert counted['green'] == pytest.approx(-MOST * TERMS['green'].weight)
    assert polarity(*asked(magenta)) == pytest.approx(sum(counted.values()))


def test_where_nothing_is_a_picture_is_as_much_like_both() -> None:
    terms = of(np.full_like(GREY, 128))
    assert max(map(abs, terms.values())) < 0.01
