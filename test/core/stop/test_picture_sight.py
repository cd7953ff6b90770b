# SPDX-License-Identifier: Apache-2.0
"""A picture in which nothing can be seen is no proof, and one odd picture is no fault."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.picture_sight import PictureSight
from seg_ros.core.stop.picture_statistics import STATISTICS, StatisticsOfPictures
from seg_ros.core.types import NetworkView
from test.core.stop.street_pictures import Picture, street, with_noise
from test.people_scene import LABEL_MAP, SIZE_WH, empty_road

CONFIG = StopConfig()
S = 1_000_000_000


def view(picture: Picture, confidence: int = 220) -> NetworkView:
    sure = with_noise(np.full(SIZE_WH[::-1], confidence), 12.0)
    return NetworkView(picture, empty_road(), sure)


def measured() -> Domain:
    take = StatisticsOfPictures(LABEL_MAP)
    values = np.array([take.of(view(street(seed), 210 + seed % 20)).values for seed in range(120)])
    domain = Domain.fitted(SIZE_WH, values, [f'{seed % 6}' for seed in range(120)])
    limit = max(domain.distance(row) for row in values)
    return replace(domain, limit=1.1 * limit)


DOMAIN = measured()
FOG = with_noise(street() * 0.05 + 180.0, 1.5)
NOISE = with_noise(np.full(street().shape, 120.0), 45.0)
DARK_NOISE = with_noise(street() * 0.05 + 20.0, 16.0)
BLURRED = with_noise(cv2.GaussianBlur(street(), (0, 0), 20.0), 1.5)
COVERED = with_noise(np.full(street().shape, 60.0), 1.5)
WHITE = with_noise(np.clip(street() * 3.0, 0, 255), 1.0)


def kind(picture: Picture, domain: Domain | None, config: StopConfig = CONFIG) -> str:
    fault = PictureSight(LABEL_MAP, domain).update(view(picture), S, config)
    return '' if fault is None else str(fault.kind)


@pytest.mark.parametrize('domain', [None, DOMAIN], ids=['picture alone', 'engine'])
def test_a_street_is_seen(domain: Domain | None) -> None:
    assert {kind(street(seed), domain) for seed in range(200, 210)} == {''}


@pytest.mark.parametrize('picture', [NOISE, DARK_NOISE, WHITE], ids=['noise', 'dark', 'white'])
def test_noise_and_white_are_found_in_the_picture_alone(picture: Picture) -> None:
    assert kind(picture, None) == 'picture_blind'
    lax = replace(CONFIG, max_noise=0.0, max_white_share=1.0)
    assert kind(picture, None, lax) == ''


@pytest.mark.parametrize('picture', [FOG, BLURRED, COVERED], ids=['fog', 'blurred', 'covered'])
def test_an_engine_that_was_measured_refuses_pictures_unlike_its_own(picture: Picture) -> None:
    assert kind(picture, None) == ''
    assert kind(picture, DOMAIN) == 'out_of_domain'
    assert kind(picture, DOMAIN, replace(CONFIG, domain_limit=0.0)) == ''


def test_the_reason_has_the_numbers() -> None:
    fault = PictureSight(LABEL_MAP, DOMAIN).update(view(FOG), S, CONFIG)
    assert fault is not None
    assert 'times as unlike those that the engine knows as one may be' in fault.reason
    fault = PictureSight(LABEL_MAP).update(view(NOISE), S, CONFIG)
    assert fault is not None
    assert 'grey levels, more than 20, as noise does' in fault.reason


def test_one_odd_picture_is_no_fault_and_half_a_second_of_them_is_one() -> None:
    sight = PictureSight(LABEL_MAP, DOMAIN)
    assert sight.update(view(street()), S, CONFIG) is None
    assert sight.update(view(FOG), S + S // 2, CONFIG) is None
    assert sight.update(view(FOG), S + 6 * S // 10, CONFIG) is not None
    assert sight.update(view(street()), S + 7 * S // 10, CONFIG) is None
    sight.reset()
    assert sight.update(view(FOG), S + 8 * S // 10, CONFIG) is not None


def test_statistics_of_another_size_are_not_compared() -> None:
    small = cv2.resize(FOG, (320, 180))
    labels = empty_road()[::2, ::2]
    other = NetworkView(small, labels, np.full(labels.shape, 220, np.uint8))
    assert PictureSight(LABEL_MAP, DOMAIN).update(other, S, CONFIG) is None
    assert PictureSight(LABEL_MAP, DOMAIN).update(
        NetworkView(FOG, empty_road()), S, CONFIG
    ) is None  # fmt: skip


def test_a_small_or_flat_picture_has_statistics_too() -> None:
    labels = np.zeros((9, 16), np.uint8)
    for grey in (0, 255):
        values = StatisticsOfPictures(LABEL_MAP).of(
            NetworkView(np.full((9, 16, 3), grey, np.uint8), labels)
        ).values  # fmt: skip
        assert values.shape == (len(STATISTICS),)
        assert np.isfinite(values).all()


def test_a_domain_comes_back_from_its_spec() -> None:
    again = Domain.of_spec(yaml.safe_load(yaml.safe_dump(DOMAIN.to_spec())))
    take = StatisticsOfPictures(LABEL_MAP)
    for picture in (street(5), FOG):
        values = take.of(view(picture)).values
        assert again.distance(values) == pytest.approx(DOMAIN.distance(values), rel=0.02)
    assert again.limit == pytest.approx(DOMAIN.limit, abs=1e-3)
    assert again.size_wh == SIZE_WH


@pytest.mark.parametrize(
    'wrong', [{'limit': None}, {'statistics': ['sharpness']}, {'mean': [1.0]}]
)
def test_a_domain_that_cannot_be_read_says_how_to_measure_it(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match='seg_ros calibrate-engine'):
        Domain.of_spec({**DOMAIN.to_spec(), **wrong})
