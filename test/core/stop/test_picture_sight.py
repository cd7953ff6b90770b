# SPDX-License-Identifier: Apache-2.0
"""A picture in which nothing can be seen is no proof, and one odd picture is no fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.picture_sight import PictureSight, _blindness, nothing_shown
from seg_ros.core.stop.picture_statistics import (
    BANDS,
    HALF_WH,
    SHEAR,
    STATISTICS,
    PictureStatistics,
    StatisticsOfPictures,
    _noise,
)
from seg_ros.core.types import NetworkView
from test.core.stop.street_pictures import Picture, street, with_noise
from test.people_scene import LABEL_MAP, POLE, ROAD, SIZE_WH, SKY, empty_road

CONFIG = StopConfig()
S = 1_000_000_000


def view(picture: Picture, confidence: int = 220) -> NetworkView:
    sure = with_noise(np.full(SIZE_WH[::-1], confidence), 12.0)
    return NetworkView(picture, empty_road(), sure)


def foggy(picture: Picture) -> Picture:
    return with_noise(picture * 0.05 + 180.0, 1.5)


def blurred(picture: Picture) -> Picture:
    return with_noise(cv2.GaussianBlur(picture, (0, 0), 20.0), 1.5)


def torn(picture: Picture, seed: int) -> Picture:
    shifts = np.random.default_rng(seed).integers(-150, 150, 30).repeat(12)
    return np.stack(
        [np.roll(row, shift, axis=0) for row, shift in zip(picture, shifts, strict=True)]
    )


def statistics(pictures: Iterable[Picture]) -> NDArray[np.float64]:
    take = StatisticsOfPictures(LABEL_MAP)
    return np.array([
        take.of(view(picture, 210 + seed % 20)).values for seed, picture in enumerate(pictures)
    ])  # fmt: skip


def measured() -> Domain:
    streets = [street(seed) for seed in range(60)]
    clean = statistics(streets)
    blind = {
        'fog': statistics(map(foggy, streets[::2])),
        'defocus': statistics(map(blurred, streets[::2])),
        'torn rows': statistics(torn(picture, 3) for picture in streets[::2]),
        'upside down': statistics(picture[::-1] for picture in streets[::2]),
    }
    domain = Domain.fitted(clean, [f'{seed % 6}' for seed in range(60)], blind)
    limits = 2.0 * domain.scores(clean).max(axis=0)
    return domain.limited(dict(zip(domain.weights, limits.tolist(), strict=True)))


DOMAIN = measured()
FOG = foggy(street(99))
NOISE = with_noise(np.full(street().shape, 120.0), 45.0)
DARK_NOISE = with_noise(street() * 0.05 + 20.0, 16.0)
BLURRED = blurred(street(99))
TORN = torn(street(99), 5)
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


@pytest.mark.parametrize(
    'picture', [FOG, BLURRED, COVERED, TORN], ids=['fog', 'blurred', 'covered', 'torn']
)
def test_an_engine_that_was_measured_refuses_pictures_unlike_its_own(picture: Picture) -> None:
    assert kind(picture, None) == ''
    assert kind(picture, DOMAIN) == 'out_of_domain'
    assert kind(picture, DOMAIN, replace(CONFIG, domain_limit=0.0)) == ''


def test_the_reason_has_the_numbers() -> None:
    fault = PictureSight(LABEL_MAP, DOMAIN).update(view(FOG), S, CONFIG)
    assert fault is not None
    assert 'times as much of "fog" as one that the engine knows may have' in fault.reason
    fault = PictureSight(LABEL_MAP).update(view(NOISE), S, CONFIG)
    assert fault is not None
    assert 'grey levels, more than 20, as noise does' in fault.reason


def covered_below(picture: Picture) -> Picture:
    shade = np.linspace(60.0, 75.0, 640)[None, :, None]
    return with_noise(np.concatenate([picture[:180], shade + np.zeros((180, 640, 3))]), 1.5)


def one_colour_negative(picture: Picture) -> Picture:
    return np.dstack([255 - picture[..., 0], picture[..., 1:]])


def of_another_length(picture: Picture) -> Picture:
    return np.stack([np.roll(row, -3 * index, axis=0) for index, row in enumerate(picture)])


def out_of_focus_but_for_the_road(picture: Picture) -> Picture:
    """Fine cracks are in the road all the same."""
    soft = cv2.GaussianBlur(picture, (0, 0), 5.0).astype(float)
    soft[252:] += (
        np.random.default_rng(4).integers(-12, 13, (27, 160, 1)).repeat(4, 0).repeat(4, 1)
    )
    return with_noise(soft, 1.0)


def splashed(picture: Picture) -> Picture:
    """Mud on the lens, out of focus itself."""
    mask = np.zeros(picture.shape[:2], np.float32)
    for x, y, radius in ((120, 80, 110), (420, 60, 130), (250, 260, 140), (560, 250, 110)):
        cv2.circle(mask, (x, y), radius, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 5.0)[..., None]
    return with_noise(picture * (1.0 - mask) + np.array([74.0, 60.0, 46.0]) * mask, 1.5)


def dirt_on_the_way_alone(picture: Picture) -> Picture:
    """It lies on the lens, as light as the road and out of focus; kerbs are beside it."""
    mask = np.zeros((360, 640, 1))
    cv2.fillPoly(mask, [np.array([[280, 180], [360, 180], [560, 359], [80, 359]])], 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), 6.0)[..., None]
    return with_noise(picture * (1.0 - mask) + np.array([104.0, 86.0, 64.0]) * mask, 1.0)


def of_three_levels(picture: Picture) -> Picture:
    return np.asarray((picture // 86) * 127, np.uint8)


def negative_of_a_lit(picture: Picture) -> Picture:
    """Lamps are in the picture, leaves, and a bright sky."""
    lit = picture.copy()
    lit[:60] = 210
    lit[60:180, ::40] = 60, 110, 50
    for x in range(20, 640, 40):
        cv2.circle(lit, (x, 70 + x // 5), 4, (255,) * 3, -1)
    return 255 - lit


def seen_twice(picture: Picture) -> Picture:
    """A pane mirrors what is before the camera, beside it."""
    return with_noise(0.55 * picture + 0.45 * np.roll(picture, (20, 170), (0, 1)), 1.0)


def in_broken_blocks(picture: Picture) -> Picture:
    """Blocks of 16 pixels, half of which belong elsewhere."""
    random = np.random.default_rng(9)
    blocks = picture[:352].reshape(22, 16, 40, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3)
    is_lost = random.random(len(blocks)) < 0.5
    mixed = blocks.copy()
    mixed[is_lost] = blocks[random.integers(len(blocks), size=int(is_lost.sum()))]
    whole = picture.copy()
    whole[:352] = mixed.reshape(22, 40, 16, 16, 3).swapaxes(1, 2).reshape(352, 640, 3)
    return whole


def begun_in_the_middle(picture: Picture) -> Picture:
    return np.roll(with_a_light_from_beside(picture), (130, 200), (0, 1))


def in_wrong_order(picture: Picture) -> Picture:
    """The parts of a sensor that is read by four channels."""
    lit = with_a_light_from_beside(picture)
    # A horizon that is straight from side to side would be a seam
    aslant = [np.roll(lit[:, x], -x // 24, axis=0) for x in range(lit.shape[1])]
    first, second, third, last = np.split(np.stack(aslant, axis=1), 4, axis=1)
    return np.hstack((third, first, last, second))


def with_a_light_from_beside(picture: Picture) -> Picture:
    light = np.linspace(0.5, 1.2, 640)[None, :, None] * np.linspace(1.2, 0.6, 360)[:, None, None]
    return np.clip(picture * light, 0, 255).astype(np.uint8)


def crossed(picture: Picture) -> Picture:
    """A crossing lies ahead, aslant: its stripes go on elsewhere from row to row."""
    changed = picture.copy()
    for x in range(0, 640, 80):
        corners = np.array([[x, 240], [x + 40, 240], [x + 240, 300], [x + 200, 300]])
        cv2.fillPoly(changed, [corners], (190, 190, 185))
    return changed


@pytest.mark.parametrize(
    ('change', 'kind', 'words'),
    [
        (covered_below, 'no_detail', 'less than 2.7: covered'),
        (dirt_on_the_way_alone, 'no_detail', 'less than 2.7: covered'),
        (one_colour_negative, 'colours_disagree', 'more than 0.55: noise'),
        (lambda _: NOISE, 'colours_disagree', 'more than 0.55: noise'),
        (of_another_length, 'rows_shifted', 'more than 0.00'),
        (lambda picture: torn(picture, 3), 'rows_shifted', 'more than 0.25): torn apart'),
        (out_of_focus_but_for_the_road, 'out_of_focus', 'more than 55%: out of focus'),
        (splashed, 'partly_covered', 'more than 42%: dirt'),
        (of_three_levels, 'few_shades', 'more than 0.27): shades'),
        (negative_of_a_lit, 'picture_negative', 'less than -1.0): bright and dark'),
        (seen_twice, 'picture_doubled', 'more than 0.33): mirrored'),
        (in_broken_blocks, 'rows_shifted', 'more than 55%: broken'),
        (begun_in_the_middle, 'rows_shifted', 'more than 55%: broken'),
        (in_wrong_order, 'rows_shifted', 'more than 65%: parts of the picture are in wrong'),
    ],
)
def test_what_no_camera_shows_that_sees_a_road_is_found_without_any_domain(
    change: Callable[[Picture], Picture], kind: str, words: str
) -> None:
    take = StatisticsOfPictures(LABEL_MAP)
    assert nothing_shown(take.of(view(street(7))), CONFIG) is None
    fault = nothing_shown(take.of(view(change(street(7)))), CONFIG)
    assert fault is not None
    assert (str(fault.kind), words in fault.reason) == (kind, True), fault.reason


@pytest.mark.parametrize('seed', range(4))
def test_the_stripes_of_a_crossing_are_no_torn_rows(seed: int) -> None:
    take = StatisticsOfPictures(LABEL_MAP)
    torn_picture = take.of(view(torn(street(seed), seed)))
    assert take.of(view(crossed(street(seed)))).tear < CONFIG.max_tear < torn_picture.tear


def test_a_night_a_white_sky_and_few_outlines_are_neither_a_cover_nor_out_of_focus() -> None:
    take = StatisticsOfPictures(LABEL_MAP)
    night, white = (take.of(view(np.full_like(street(), grey))) for grey in (8, 250))
    assert night.shade == white.shade == 0.0
    assert np.isnan(night.softness)
    # Two headlights with their halos, and nothing else
    lights = np.full(street().shape, 20.0)
    for x in (250, 290):
        cv2.circle(lights, (x, 180), 5, (255.0,) * 3, -1)
    halos = take.of(view(with_noise(cv2.GaussianBlur(lights, (0, 0), 8.0) * 4.0, 1.0)))
    assert np.isnan(halos.softness)


def lit(picture: NDArray[np.uint8], light: float) -> NDArray[np.uint8]:
    """With so much of its light left, and lamps that glow over a tenth of the picture each."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    image = light * picture.astype(np.float32)
    for column in range(60, 600, 90):
        away = np.hypot(columns - column, rows - 170.0)
        image += (400.0 * np.exp(-away / 16.0))[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize('seed', range(3))
def test_the_glow_of_lamps_by_night_is_not_taken_for_a_lens_out_of_focus(seed: int) -> None:
    take = StatisticsOfPictures(LABEL_MAP)
    assert take.of(view(lit(street(seed), 0.25))).softness < 0.8 * CONFIG.max_softness
    blurred = np.asarray(cv2.GaussianBlur(street(seed), (0, 0), 7.0), np.uint8)
    assert take.of(view(lit(blurred, 0.7))).softness > CONFIG.max_softness


def test_white_specks_all_over_the_picture_do_not_hide_that_it_is_out_of_focus() -> None:
    blurred = np.asarray(cv2.GaussianBlur(street(1), (0, 0), 7.0), np.uint8)
    blurred[8::32, 8::32] = blurred[9::32, 9::32] = blurred[8::32, 9::32] = 255
    blurred[9::32, 8::32] = 255
    assert StatisticsOfPictures(LABEL_MAP).of(view(blurred)).softness > CONFIG.max_softness


@pytest.mark.parametrize('turned', [lambda a: a[::-1], lambda a: np.roll(a, 160, 0)])
def test_sky_that_is_not_above_the_ground_is_a_turned_picture(
    turned: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> None:
    seen = NetworkView(street(7), np.ascontiguousarray(turned(empty_road())))
    statistics = StatisticsOfPictures(LABEL_MAP).of(seen)
    fault = nothing_shown(statistics, CONFIG)
    assert fault is not None
    assert fault.kind == 'picture_turned'
    assert 'sky and buildings are' in fault.reason
    lax = replace(CONFIG, min_rise=-1.0, max_sky_below=1.0)
    assert nothing_shown(statistics, lax) is None


def test_a_hole_in_the_ground_through_which_the_sky_is_seen_is_a_turned_picture() -> None:
    labels = empty_road()
    labels[:180], labels[30:160, 240:400] = POLE, SKY
    for has_ground_above in (False, True):
        if has_ground_above:
            labels[20:30, 230:410] = ROAD
        seen = NetworkView(street(7), labels)
        fault = nothing_shown(StatisticsOfPictures(LABEL_MAP).of(seen), CONFIG)
        assert (fault is not None) is has_ground_above
    assert fault is not None
    assert fault.kind == 'picture_turned'
    assert '100% of the sky has ground above it, more than 30%' in fault.reason


def test_where_all_is_ground_nobody_asks_what_is_above() -> None:
    seen = NetworkView(street(7), np.full_like(empty_road(), ROAD))
    statistics = StatisticsOfPictures(LABEL_MAP).of(seen)
    assert np.isnan(statistics.rise)
    assert nothing_shown(statistics, CONFIG) is None


def test_one_odd_picture_is_no_fault_and_half_a_second_of_them_is_one() -> None:
    sight = PictureSight(LABEL_MAP, DOMAIN)
    assert sight.update(view(street()), S, CONFIG) is None
    assert sight.update(view(FOG), S + S // 2, CONFIG) is None
    assert sight.update(view(FOG), S + 6 * S // 10, CONFIG) is not None
    assert sight.update(view(street()), S + 7 * S // 10, CONFIG) is None
    sight.reset()
    assert sight.update(view(FOG), S + 8 * S // 10, CONFIG) is not None


@pytest.mark.parametrize('size_wh', [(480, 270), (960, 540), (640, 480)])
def test_a_domain_holds_at_every_size_of_the_network(size_wh: tuple[int, int]) -> None:
    def judged(picture: Picture) -> str:
        labels = cv2.resize(empty_road(), size_wh, interpolation=cv2.INTER_NEAREST)
        resized = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)
        confidence = cv2.resize(np.asarray(view(picture).confidence), size_wh)
        seen = NetworkView(resized, np.asarray(labels), np.asarray(confidence))
        fault = PictureSight(LABEL_MAP, DOMAIN).update(seen, S, CONFIG)
        return '' if fault is None else str(fault.kind)

    assert {judged(street(seed)) for seed in range(200, 206)} == {''}
    assert judged(FOG) == 'out_of_domain'
    assert judged(TORN) == 'out_of_domain'


def test_without_confidence_nobody_asks_whether_the_engine_knows_such_pictures() -> None:
    seen = NetworkView(FOG, empty_road())
    assert PictureSight(LABEL_MAP, DOMAIN).update(seen, S, CONFIG) is None


def test_a_small_or_flat_picture_has_statistics_too() -> None:
    labels = np.zeros((9, 16), np.uint8)
    for grey in (0, 255):
        values = StatisticsOfPictures(LABEL_MAP).of(
            NetworkView(np.full((9, 16, 3), grey, np.uint8), labels)
        ).values  # fmt: skip
        assert values.shape == (len(STATISTICS),)
        assert np.isfinite(values).all()


def test_a_domain_comes_back_from_its_spec() -> None:
    again = Domain.of_spec(yaml.safe_load(yaml.safe_dump(DOMAIN.to_spec(), sort_keys=False)))
    take = StatisticsOfPictures(LABEL_MAP)
    for picture in (street(5), FOG):
        values = take.of(view(picture)).values
        assert again.likeness(values).kind == DOMAIN.likeness(values).kind
        assert again.scores(values) == pytest.approx(DOMAIN.scores(values), abs=2e-3)


@pytest.mark.parametrize(
    'wrong', [{'weights': {}}, {'weights': None}, {'statistics': ['sharpness']}, {'mean': [1.0]}]
)
def test_a_domain_that_cannot_be_read_says_how_to_measure_it(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match='seg_ros calibrate-engine'):
        Domain.of_spec({**DOMAIN.to_spec(), **wrong})


def test_the_bands_of_a_picture_are_all_of_its_rows_once() -> None:
    rows = [row for band in BANDS.values() for row in range(band.start, band.stop)]
    assert rows == list(range(HALF_WH[1]))


def test_a_picture_that_is_too_small_for_a_gradient_has_no_noise() -> None:
    assert _noise(np.zeros((2, 2, 3), np.uint8)) == 0.0


def clean(*, shear: float = -1.0, **changes: float) -> PictureStatistics:
    values = np.zeros(len(STATISTICS))
    values[SHEAR] = shear
    return PictureStatistics(
        values,
        0.0,
        0.0,
        9.0,
        0.1,
        0.5,
        0.0,
        0.1,
        0.1,
        0.1,
        0.0,
        2.0,
        0.1,
        0.2,
        0.1,
        0.1,
        0.1,
    )._replace(**changes)


@pytest.mark.parametrize(
    ('at', 'beyond', 'kind'),
    [
        ({'least_detail': 2.7}, {'least_detail': 2.69}, 'no_detail'),
        ({'discord': 0.55}, {'discord': 0.56}, 'colours_disagree'),
        ({'rise': 0.28}, {'rise': 0.27}, 'picture_turned'),
        ({'shear': 0.0}, {'shear': 0.01}, 'rows_shifted'),
        ({'tear': 0.25}, {'tear': 0.26}, 'rows_shifted'),
        ({'softness': 0.55}, {'softness': 0.56}, 'out_of_focus'),
        ({'shade': 0.42}, {'shade': 0.43}, 'partly_covered'),
        ({'jumps': 0.27}, {'jumps': 0.28}, 'few_shades'),
        ({'sky_below': 0.3}, {'sky_below': 0.31}, 'picture_turned'),
        ({'polarity': -1.0}, {'polarity': -1.01}, 'picture_negative'),
        ({'echo': 0.33}, {'echo': 0.34}, 'picture_doubled'),
        ({'seams': 0.55}, {'seams': 0.56}, 'rows_shifted'),
        ({'joins': 0.65}, {'joins': 0.66}, 'rows_shifted'),
        ({'astray': 0.33}, {'astray': 0.34}, 'rows_shifted'),
        ({'wrap': 0.22}, {'wrap': 0.23}, 'rows_shifted'),
    ],
)
def test_up_to_each_limit_itself_a_picture_shows_something(
    at: dict[str, float], beyond: dict[str, float], kind: str
) -> None:
    assert nothing_shown(clean(**at), CONFIG) is None
    fault = nothing_shown(clean(**beyond), CONFIG)
    assert fault is not None
    assert fault.kind == kind


def test_noise_and_white_are_faults_above_their_limits_and_a_limit_may_take_any() -> None:
    assert _blindness(20.0, 0.5, CONFIG) is None
    for noise, white, words in ((20.1, 0.0, '20 grey levels'), (0.0, 0.51, '51% of the zone')):
        fault = _blindness(noise, white, CONFIG)
        assert fault is not None
        assert words in fault.reason
    lax = replace(CONFIG, max_noise=0.0, max_white_share=1.0)
    assert _blindness(255.0, 1.0, lax) is None
    quiet = replace(CONFIG, max_noise=0.5)
    assert _blindness(0.6, 0.0, quiet) is not None


@pytest.mark.parametrize(
    ('limits', 'kinds'),
    [
        ({'max_noise': 0.0}, ('', 'picture_blind')),
        ({'max_white_share': 1.0}, ('picture_blind', '')),
        ({'max_noise': 0.0, 'max_white_share': 1.0}, ('', '')),
    ],
)
def test_each_limit_of_the_picture_alone_can_be_given_up_alone(
    limits: dict[str, float], kinds: tuple[str, str]
) -> None:
    config = replace(CONFIG, **limits)  # type: ignore[arg-type]
    assert (kind(NOISE, None, config), kind(WHITE, None, config)) == kinds


def test_the_limit_of_a_domain_is_a_multiple_of_its_own_and_may_be_met() -> None:
    scores = DOMAIN.likeness(StatisticsOfPictures(LABEL_MAP).of(view(FOG)).values)
    lax = replace(
        CONFIG, min_detail=0.0, max_colour_discord=2.0, min_rise=-1.0, max_shear=10.0,
        max_tear=2.0, max_softness=1.0, max_shade=1.0, max_jumps=1.0,
        max_sky_below=1.0, min_polarity=-100.0, max_echo=10.0, max_seams=1.0,
        max_joins=1.0, max_astray=1.0, max_wrap=2.0,
    )  # fmt: skip
    assert scores.share > 1.0
    assert kind(FOG, DOMAIN, replace(lax, domain_limit=scores.share)) == ''
    assert kind(FOG, DOMAIN, replace(lax, domain_limit=0.999 * scores.share)) == 'out_of_domain'


@pytest.mark.parametrize(
    ('after_ms', 'is_fault'), [(0, False), (500, False), (501, True), (-1, True)]
)
def test_a_picture_that_was_seen_counts_for_the_stale_timeout_and_not_backwards(
    after_ms: int, is_fault: bool
) -> None:
    sight = PictureSight(LABEL_MAP)
    assert sight.update(view(street()), S, CONFIG) is None
    assert (sight.update(view(NOISE), S + after_ms * S // 1000, CONFIG) is not None) is is_fault


def test_a_little_noise_may_be_the_most_where_white_may_be_any() -> None:
    config = replace(CONFIG, max_noise=0.5, max_white_share=1.0)
    assert kind(NOISE, None, config) == 'picture_blind'
