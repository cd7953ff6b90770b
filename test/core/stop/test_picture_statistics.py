# SPDX-License-Identifier: Apache-2.0
"""What a number about a picture means may never change: engines were measured with it.

The ``domain`` in the ``spec.yaml`` of an engine, and the limits in ``StopConfig``, hold for these
numbers as they are. Who changes one gives it another name, and measures all of them again.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.stop.picture_statistics import (
    SHEAR,
    STATISTICS,
    PictureStatistics,
    StatisticsOfPictures,
    _names,
)
from seg_ros.core.types import NetworkView
from test.people_scene import CAR, LABEL_MAP, PAVEMENT, PERSON, POLE, ROAD, SKY, empty_road

MEASURED = Path(__file__).with_name('measured_statistics.json')


def drawn(*, is_sure: bool = True) -> NetworkView:
    """A picture and its labels without any chance in them."""
    rows, columns = np.mgrid[:360, :640]
    grey = 80 + 50 * ((rows // 23 + columns // 31) % 2) + rows * columns % 37 + rows // 9
    picture = np.dstack([grey + 20 + columns // 40, grey, grey - 15 + rows // 12])
    picture[:50, 200:] = 250
    picture[250:, :150] = 7
    picture[280:310, 300:360] = 255
    picture[200:240] = np.roll(picture[200:240], 90, axis=1)
    labels = empty_road()
    for box, label in (
        (np.s_[120:200, 100:160], CAR),
        (np.s_[90:190, 400:420], POLE),
        (np.s_[30:140, 460:640], POLE),
        (np.s_[150:215, 500:520], PERSON),
        (np.s_[220:, :130], PAVEMENT),
        (np.s_[300:330, 500:600], SKY),
        (np.s_[20:60, 20:60], ROAD),
        (np.s_[340:, 200:260], 255),
    ):
        labels[box] = label
    confidence = 255 - rows * 3 % 160 - columns // 8
    return NetworkView(
        np.clip(picture, 0, 255).astype(np.uint8), labels,
        confidence.clip(0, 255).astype(np.uint8) if is_sure else None,
    )  # fmt: skip


def numbers_of(statistics: PictureStatistics) -> dict[str, float]:
    alone = {name: getattr(statistics, name) for name in statistics._fields if name != 'values'}
    return {**dict(zip(STATISTICS, statistics.values.tolist(), strict=True)), **alone}


def with_another_size() -> NetworkView:
    view = drawn(is_sure=False)
    small = cv2.resize(view.picture, (200, 150), interpolation=cv2.INTER_NEAREST)
    labels = cv2.resize(view.labels, (200, 150), interpolation=cv2.INTER_NEAREST)
    return NetworkView(np.asarray(small, np.uint8), np.asarray(labels, np.uint8))


VIEWS = {'whole': drawn(), 'small, nobody knows how sure': with_another_size()}


@pytest.mark.parametrize('name', VIEWS)
def test_statistics_are_those_that_engines_and_limits_were_measured_with(name: str) -> None:
    expected = json.loads(MEASURED.read_text())[name]
    found = numbers_of(StatisticsOfPictures(LABEL_MAP).of(VIEWS[name]))
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_glance_sees_the_noise_and_the_white_that_a_look_does() -> None:
    take = StatisticsOfPictures(LABEL_MAP)
    whole = take.of(VIEWS['whole'])
    assert take.glance(VIEWS['whole']) == (whole.noise, whole.saturated)


def flat(grey: int = 100) -> NDArray[np.uint8]:
    return np.full((360, 640, 3), grey, np.uint8)


def of(picture: NDArray[np.uint8], labels: NDArray[np.uint8] | None = None) -> PictureStatistics:
    labels = empty_road() if labels is None else labels
    return StatisticsOfPictures(LABEL_MAP).of(NetworkView(picture, labels))


def test_noise_is_how_much_neighbours_of_the_zone_differ_if_they_do_as_noise_does() -> None:
    random = np.random.default_rng(3)
    grey = random.integers(90, 110, (360, 640, 1), dtype=np.uint8).repeat(3, axis=2)
    # The mean difference of two of 20 even numbers, across and down
    assert of(grey).noise == pytest.approx(2 * (20 - 1 / 20) / 3, rel=0.02)
    stripes = flat()
    stripes[::8] = 200
    assert of(stripes).noise == 0.0  # outlines
    assert of(flat()).noise == 0.0
    above = flat()
    above[:200] = grey[:200]
    assert of(above).noise == 0.0  # not of the zone


@pytest.mark.parametrize(('size', 'is_known'), [((2, 2), False), ((3, 3), True)])
def test_a_zone_of_two_pixels_each_way_is_the_least_that_has_neighbours(
    size: tuple[int, int], is_known: bool
) -> None:
    picture = np.random.default_rng(3).integers(0, 255, (*size, 3), dtype=np.uint8)
    noise = of(picture, np.zeros(size, np.uint8)).noise
    assert math.isfinite(noise)
    assert (noise > 0.0) is is_known


@pytest.mark.parametrize('share', [0.0, 0.25, 1.0])
def test_white_is_the_share_of_the_zone_that_is(share: float) -> None:
    picture = flat()
    left, right = round(0.22 * 640), round(0.78 * 640)
    picture[200:, left : left + round(share * (right - left))] = 248
    assert of(picture).saturated == pytest.approx(share, abs=0.02)
    assert of(flat(247)).saturated == 0.0


def test_colours_agree_by_their_detail_unrelated_ones_do_not_and_opposite_ones_least() -> None:
    random = np.random.default_rng(5)
    one, other = (
        np.asarray(
            cv2.resize(
                random.integers(0, 255, (90, 160), dtype=np.uint8), (640, 360),
                interpolation=cv2.INTER_NEAREST,
            )
        )
        for _ in range(2)
    )  # fmt: skip
    assert of(np.dstack([one] * 3)).discord == pytest.approx(0.0, abs=0.01)
    assert of(np.dstack([one, other, other])).discord == pytest.approx(1.0, abs=0.03)
    assert of(np.dstack([other, other, one])).discord == pytest.approx(1.0, abs=0.03)
    assert of(np.dstack([255 - one, one, one])).discord == pytest.approx(2.0, abs=0.03)


@pytest.mark.parametrize('sky_rows', [90, 180, 270])
def test_the_rise_is_how_far_the_middle_of_the_sky_is_above_that_of_the_ground(
    sky_rows: int,
) -> None:
    labels = np.full((360, 640), ROAD, np.uint8)
    labels[:sky_rows] = SKY
    assert of(flat(), labels).rise == pytest.approx(0.5, abs=0.01)
    labels[labels == SKY] = POLE
    labels[labels == ROAD] = PAVEMENT
    assert of(flat(), labels).rise == pytest.approx(0.5, abs=0.01)
    assert of(flat(), labels[::-1].copy()).rise == pytest.approx(-0.5, abs=0.01)


@pytest.mark.parametrize(('rows', 'is_known'), [(8, False), (16, True)])
def test_there_must_be_three_of_a_hundred_pixels_of_both_for_one_to_be_above_the_other(
    rows: int, is_known: bool
) -> None:
    for label, rest in ((SKY, ROAD), (ROAD, SKY)):
        labels = np.full((360, 640), rest, np.uint8)
        labels[:rows] = label
        assert math.isnan(of(flat(), labels).rise) is not is_known


@pytest.mark.parametrize(
    ('pool_rows', 'sky_rows', 'share'),
    # Of 90 rows that are looked at 23 and 5, 5, 2 and none; three of a hundred are 2.7
    [(20, 92, 5 / 28), (20, 0, 1.0), (8, 0, 2 / 2.7), (0, 92, 0.0)],
)
def test_sky_that_has_ground_above_it_is_a_share_of_all_sky_or_of_a_thirtieth_of_the_picture(
    pool_rows: int, sky_rows: int, share: float
) -> None:
    labels = np.full((360, 640), ROAD, np.uint8)
    labels[:sky_rows] = SKY
    labels[240 : 240 + pool_rows] = SKY
    assert of(flat(), labels).sky_below == pytest.approx(share, abs=1e-4)


def test_a_picture_that_is_the_same_or_jumps_has_no_shades_between() -> None:
    rows, columns = np.mgrid[:360, :640]
    for step, jumps in ((160, True), (24, False)):
        picture = flat(40)
        picture[(rows // 40 + columns // 40) % 2 == 0] += np.uint8(step)
        # 15 of 319 columns and 8 of 179 rows end a square; the rest is the same
        same = (1 - 15 / 319) * (1 - 8 / 179)
        assert of(picture).jumps == pytest.approx(same if jumps else 0.0, abs=1e-3)
    slope = np.repeat(columns[..., None] * 255 // 640, 3, axis=2).astype(np.uint8)
    assert of(slope).jumps == 0.0
    assert of(flat()).jumps == 0.0


def test_one_line_in_a_picture_is_too_little_to_say_that_shades_are_lost() -> None:
    picture = flat(40)
    picture[:, 320:] = 200
    there = 1 / 319
    assert of(picture).jumps == pytest.approx((1 - there) * there / 0.02, rel=1e-3)


def test_rows_that_go_on_better_when_shifted_have_a_shear_above_0_and_others_below() -> None:
    random = np.random.default_rng(7)
    row = cv2.GaussianBlur(random.integers(0, 255, (1, 640, 3), dtype=np.uint8), (9, 1), 3.0)
    upright = np.asarray(np.repeat(row, 360, axis=0), np.uint8)
    assert of(upright).shear < -0.5
    # Of the 320 pixels that are looked at one to three a row, either way
    for step in (-6, -2, 2, 6):
        slanted = np.stack([np.roll(upright[0], step * (index // 2), 0) for index in range(360)])
        assert of(slanted).shear > 0.3, step


def test_where_there_is_next_to_no_detail_nothing_disagrees() -> None:
    picture = flat()
    rows, columns = np.mgrid[:360, :640] // 4 % 4
    picture[(rows == 0) & (columns == 0), 0] += 1  # in one of 16 pixels of those that are asked
    # Its squared steps, an eighth, by themselves and half a grey level squared
    assert of(picture).discord == pytest.approx(0.125 / (0.125 + 0.5), abs=0.01)


def test_the_names_of_statistics_are_theirs_at_every_time() -> None:
    assert _names() == STATISTICS
    assert STATISTICS.index('shear') == SHEAR


def test_where_all_is_the_same_differences_are_spread_no_more_than_they_are_large() -> None:
    tails = [index for index, name in enumerate(STATISTICS) if '.tail_' in name]
    assert len(tails) == 6
    assert of(flat()).values[tails] == pytest.approx(0.0)


def test_seams_are_what_goes_straight_through_both_the_height_and_the_width() -> None:
    take = StatisticsOfPictures(LABEL_MAP)
    plain = drawn()
    picture = np.full_like(plain.picture, 90)
    across, down = picture.copy(), picture.copy()
    across[150:], down[:, 300:] = 120, 120
    # A shadow or a wall goes one way, and both together are where a picture begins in its middle
    both = np.where(across == down, across, 140).astype(np.uint8)
    seams = [
        take.of(replace(plain, picture=np.asarray(image))).seams
        for image in (picture, across, down, both)
    ]
    assert seams[:3] == [0.0, 0.0, 0.0]
    assert seams[3] > 0.95


def test_a_soft_edge_from_side_to_side_is_no_seam() -> None:
    ramp = np.clip((np.arange(640) - 300) * 2 + 128, 60, 200)[None, :, None]
    soft = np.clip((np.arange(360) - 150) * 2, -40, 40)[:, None, None] + ramp
    picture = np.repeat(soft, 3, 2).clip(0, 255).astype(np.uint8)
    assert StatisticsOfPictures(LABEL_MAP).of(replace(drawn(), picture=picture)).seams == 0.0


def test_joins_are_what_goes_through_the_height_in_two_places_and_a_pole_is_one() -> None:
    def joins(*boxes: tuple[slice, slice]) -> float:
        picture = np.full_like(drawn().picture, 90)
        for shade, box in enumerate(boxes):
            picture[box] = 120 + 40 * shade
        return StatisticsOfPictures(LABEL_MAP).of(replace(drawn(), picture=picture)).joins

    all_rows, above = slice(0, 360), slice(0, 180)
    assert joins((all_rows, slice(100, 300))) == pytest.approx(1.0)
    assert joins((all_rows, slice(300, 640))) == 0.0  # one place alone: the frame of a windscreen
    assert joins((all_rows, slice(300, 326))) == 0.0  # a pole at the bumper: its two sides
    # House corners, and posts, end at the ground
    assert joins((above, slice(100, 300)), (above, slice(400, 500))) == pytest.approx(0.5)


@pytest.mark.parametrize(('size_wh', 'is_asked'), [((320, 180), True), ((319, 180), False)])
def test_the_pixels_of_a_picture_that_is_enlarged_are_no_seams(
    size_wh: tuple[int, int], is_asked: bool
) -> None:
    picture = np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)
    picture[80:], picture[:, 200:] = 120, 150
    labels = np.zeros(picture.shape[:2], np.uint8)
    picture[:, 300:] = 90
    statistics = StatisticsOfPictures(LABEL_MAP).of(NetworkView(picture, labels))
    assert (statistics.seams > 0.0) is is_asked
    assert (statistics.joins > 0.0) is is_asked
