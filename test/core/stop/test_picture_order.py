# SPDX-License-Identifier: Apache-2.0
"""Parts in wrong order go on elsewhere; poles, houses and frames do not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.picture_order import EDGES, NEAREST, _fullest, _steps, astray
from seg_ros.core.stop.picture_statistics import PictureStatistics, StatisticsOfPictures
from seg_ros.core.types import NetworkView
from test.core.stop.street_pictures import Picture, street, with_noise
from test.people_scene import LABEL_MAP, empty_road

MOST_ASTRAY, MOST_WRAP = StopConfig().max_astray, StopConfig().max_wrap


def of(picture: Picture) -> PictureStatistics:
    return StatisticsOfPictures(LABEL_MAP).of(NetworkView(picture, empty_road()))


def in_order(picture: Picture, order: tuple[int, ...], cuts: tuple[int, ...] = ()) -> Picture:
    """Upright parts, of the same width or as they are cut."""
    parts = np.split(picture, cuts or len(order), axis=1)
    return with_noise(np.hstack([parts[place] for place in order]), 1.5)


@pytest.mark.parametrize('seed', range(6))
def test_a_street_is_in_order_and_ends_at_its_ends(seed: int) -> None:
    statistics = of(street(seed))
    assert statistics.astray < 0.8 * MOST_ASTRAY
    assert statistics.wrap < MOST_WRAP


@pytest.mark.parametrize('order', [(2, 0, 3, 1), (0, 2, 1, 3), (2, 1, 3, 0), (3, 0, 2, 1)])
@pytest.mark.parametrize('seed', range(1, 4))
def test_parts_in_wrong_order_go_on_elsewhere(order: tuple[int, ...], seed: int) -> None:
    assert of(in_order(street(seed), order)).astray > MOST_ASTRAY


def test_parts_may_have_any_width_but_that_of_a_pole() -> None:
    assert of(in_order(street(1), (0, 2, 1, 3), (130, 270, 500))).astray > MOST_ASTRAY
    # The hidden side of the pole goes on beside it, nearer than any part is wide
    grey = np.tile(np.arange(320, dtype=np.int64) // 40, (180, 1))
    unlike = np.random.default_rng(1).integers(40, 200, (180, 9))
    for apart, is_found in ((NEAREST, True), (NEAREST - 8, False)):
        bars = unlike[np.arange(180)[:, None], grey]
        bars[:, 100 : 100 + apart] = unlike[:, [8]]
        bars[:, 80:100] = bars[:, 100 + apart : 120 + apart] = unlike[:, [2]]
        shares = np.zeros(314, np.float32)
        shares[[100 - 3, 100 + apart - 3]] = 1.0
        assert (astray(bars.astype(np.uint8), shares) > MOST_ASTRAY) is is_found


def test_what_a_pole_hides_goes_on_beside_it_and_a_house_goes_on_nowhere() -> None:
    pole, house = street(2), street(3)
    pole[:, 300:330] = 40
    house[:, :200] = with_noise(np.full((360, 200, 3), 150), 2.0)
    for picture in (pole, house):
        assert of(picture).astray < 0.8 * MOST_ASTRAY


def test_the_black_around_a_round_picture_goes_on_nowhere() -> None:
    down, right = np.mgrid[:180, :320]
    is_seen = np.hypot(right - 159.5, down - 89.5) < 108
    # No two columns are alike, but where the picture begins is at the same rows left and right
    grey = np.random.default_rng(3).integers(100, 110, (180, 320)) * is_seen
    shares = np.zeros(314, np.float32)
    shares[[77 - 3, 242 - 3]] = 0.4
    assert astray(grey.astype(np.uint8), shares) < 0.5 * MOST_ASTRAY
    fisheye = np.hypot(*np.mgrid[-0.5:0.5:360j, -8 / 9 : 8 / 9 : 640j]) < 0.55
    assert of(street(4) * fisheye[..., None].astype(np.uint8)).wrap < MOST_WRAP


@pytest.mark.parametrize(('off_px', 'most'), [((0, 250), 1.3), ((150, 0), 1.3), ((150, 250), 2.0)])
def test_a_picture_that_begins_in_its_middle_goes_on_at_its_other_end(
    off_px: tuple[int, int], most: float
) -> None:
    rolled = of(with_noise(np.roll(street(4), off_px, axis=(0, 1)), 1.5))
    assert MOST_WRAP < rolled.wrap < most


def test_two_halves_that_have_changed_places_go_on_at_the_ends_alone() -> None:
    swapped = of(in_order(street(5), (1, 0)))
    assert swapped.astray < MOST_ASTRAY < swapped.wrap


@pytest.mark.parametrize('grey', [0, 128, 255])
def test_a_flat_picture_goes_on_nowhere(grey: int) -> None:
    statistics = of(np.full((360, 640, 3), grey, np.uint8))
    assert (statistics.astray, statistics.wrap) == (0.0, 0.0)


def test_a_world_of_a_few_flat_colours_goes_on_everywhere_alike_and_so_nowhere() -> None:
    field = np.full((360, 640, 3), (150, 190, 230), np.uint8)
    field[180:] = 90, 90, 90  # a simulation without anything: sky above the ground
    assert of(field).wrap == 0.0


def test_a_panorama_goes_on_at_its_other_end_and_everywhere_else() -> None:
    random = np.random.default_rng(6)
    down, right = np.mgrid[:360, :640]
    light = sum(
        random.uniform(5, 15)
        * np.sin(down / tall + right * turns * np.pi / 320 + random.uniform(0, 6))
        for tall, turns in ((7, 1), (11, 2), (17, 3), (29, 5))
    )
    panorama = with_noise(np.repeat(128 + light[..., None], 3, axis=2), 1.5)
    assert of(panorama).wrap < 0.5 * MOST_WRAP


def test_pixels_of_a_picture_that_is_enlarged_are_in_no_order() -> None:
    small = np.roll(cv2.resize(street(4), (319, 180)), (75, 125), axis=(0, 1))
    statistics = StatisticsOfPictures(LABEL_MAP).of(
        NetworkView(np.asarray(small, np.uint8), np.zeros((180, 319), np.uint8))
    )
    assert (statistics.astray, statistics.wrap) == (0.0, 0.0)


def test_the_fullest_columns_are_as_many_as_are_asked_for_and_apart() -> None:
    shares = np.zeros(314, np.float32)
    shares[[0, 100, 103, 110, 313]] = (0.5, 0.9, 0.8, 0.7, 0.6)
    found = _fullest(shares)
    assert len(found) == EDGES
    assert found[:4].tolist() == [100, 110, 313, 0]
    assert np.diff(np.sort(found)).min() > 6


def test_steps_are_alike_however_large_they_are_and_a_line_without_any_is_like_none() -> None:
    random = np.random.default_rng(1)
    line = random.integers(10, 100, 180)  # black is not seen
    lines = np.stack([line, 2 * line + 20, 220 - line, np.full(180, 90)]).astype(np.uint8)
    steps = _steps(lines, 1, 0.5)
    alike = steps @ steps.T
    assert alike[0, 1] > 0.9
    assert alike[0, 2] < -0.9
    assert alike[3] == pytest.approx(0.0)


def test_an_edge_that_goes_on_where_it_lies_gains_nothing() -> None:
    grey = np.tile(np.random.default_rng(2).integers(0, 255, (180, 1), np.uint8), (1, 320))
    # All columns are the same: each goes on as well in its neighbour as anywhere. But the ends
    ends = astray(grey, np.zeros(314, np.float32))
    assert ends == 0.0
