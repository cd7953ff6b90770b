# SPDX-License-Identifier: Apache-2.0
"""All of a picture a second time is an echo; windows, lamps and stripes are none."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.picture_echo import NEAREST, echo
from test.core.stop.street_pictures import Picture, street, with_noise

LIMIT = StopConfig().max_echo


def echo_of(picture: Picture) -> float:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return echo(np.asarray(cv2.resize(grey, (80, 45), interpolation=cv2.INTER_AREA), np.uint8))


def ghost(picture: Picture, share: float, off_px: tuple[int, int] = (12, 131)) -> Picture:
    """Of a pane before the lens."""
    return with_noise(picture * (1.0 - share) + np.roll(picture, off_px, (0, 1)) * share, 1.5)


def combed(picture: Picture) -> Picture:
    """Two fields of an interlaced picture that are not of the same moment."""
    changed, other = picture.copy(), np.roll(picture, 90, axis=1)
    changed[2::4], changed[3::4] = other[2::4], other[3::4]
    return changed


def tiled(picture: Picture) -> Picture:
    """A recorder's view of its cameras."""
    return np.tile(cv2.resize(picture, (320, 180)), (2, 2, 1))


@pytest.mark.parametrize('seed', range(6))
def test_a_street_is_there_once(seed: int) -> None:
    assert echo_of(street(seed)) < 0.8 * LIMIT


@pytest.mark.parametrize('change', [lambda picture: ghost(picture, 0.4), combed, tiled])
@pytest.mark.parametrize('seed', range(4))
def test_a_picture_that_is_there_twice_has_an_echo(
    seed: int, change: Callable[[Picture], Picture]
) -> None:
    assert echo_of(change(street(seed))) > 1.1 * LIMIT


@pytest.mark.parametrize('off_px', [(0, 200), (80, 0), (-80, 160), (88, -168)])
def test_an_echo_is_found_in_every_direction(off_px: tuple[int, int]) -> None:
    assert echo_of(ghost(street(3), 0.45, off_px)) > LIMIT


def test_the_stronger_a_copy_is_the_stronger_is_the_echo() -> None:
    echoes = [echo_of(ghost(street(1), share)) for share in (0.0, 0.1, 0.2, 0.3, 0.4)]
    assert echoes == sorted(echoes)


def test_what_is_nearer_than_the_nearest_echo_is_an_outline() -> None:
    near_px = 8 * (NEAREST - 2)
    assert echo_of(ghost(street(2), 0.45, (0, near_px))) < LIMIT


def test_two_headlights_a_row_of_windows_and_a_crossing_are_no_echo() -> None:
    night = street(4) * 0.2
    for x in (250, 330):
        cv2.circle(night, (x, 180), 6, (255.0,) * 3, -1)
    assert echo_of(with_noise(night, 1.0)) < LIMIT
    windows = street(5)
    for x in range(100, 560, 50):
        cv2.rectangle(windows, (x, 40), (x + 22, 80), (40, 45, 50), -1)
    assert echo_of(windows) < LIMIT
    crossing = street(6)
    for x in range(0, 640, 80):
        corners = np.array([[x, 240], [x + 40, 240], [x + 60, 300], [x + 20, 300]])
        cv2.fillPoly(crossing, [corners], (190, 190, 185))
    assert echo_of(crossing) < LIMIT


@pytest.mark.parametrize('grey', [0, 128, 255])
def test_a_flat_picture_has_no_echo(grey: int) -> None:
    assert echo(np.full((45, 80), grey, np.uint8)) == pytest.approx(0.0, abs=1e-3)
