# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.image.health import GRID, ImageHealth, health_of
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.stop.picture_monitor import PictureMonitor

CONFIG = StopConfig()
S = 1_000_000_000


def believes(monitor: PictureMonitor, picture: int, contrast: float, stamp_ns: int) -> bool:
    return monitor.update(ImageHealth(picture, contrast), stamp_ns, CONFIG) is None


def test_a_living_camera_is_believed() -> None:
    monitor = PictureMonitor()
    for number in range(5):
        assert believes(monitor, number, 40.0, number * S)


def test_a_covered_lens_is_not_believed() -> None:
    assert not believes(PictureMonitor(), 1, 1.0, 0)


def test_the_same_picture_is_believed_for_the_frozen_timeout() -> None:
    monitor = PictureMonitor()
    assert believes(monitor, 1, 40.0, 0)
    assert believes(monitor, 1, 40.0, int(0.9 * S))
    assert not believes(monitor, 1, 40.0, int(1.1 * S))
    assert believes(monitor, 2, 40.0, int(1.2 * S))


def test_a_frozen_timeout_of_zero_believes_for_ever() -> None:
    monitor = PictureMonitor()
    for seconds in (0, 10, 1000):
        config = StopConfig(frozen_timeout_s=0.0)
        assert monitor.update(ImageHealth(1, 40.0), seconds * S, config) is None


def test_time_that_steps_back_begins_anew() -> None:
    monitor = PictureMonitor()
    assert believes(monitor, 1, 40.0, 100 * S)
    assert believes(monitor, 1, 40.0, 1 * S)
    assert not believes(monitor, 1, 40.0, 3 * S)


def test_a_jump_back_of_the_clock_begins_anew_even_within_a_frozen_stretch() -> None:
    monitor = PictureMonitor()
    assert believes(monitor, 1, 40.0, 100 * S)
    assert not believes(monitor, 1, 40.0, 105 * S)
    assert believes(monitor, 1, 40.0, 103 * S)


def test_the_fault_says_what_is_wrong_with_the_picture() -> None:
    monitor = PictureMonitor()
    covered = monitor.update(ImageHealth(1, 1.0), 0, CONFIG)
    assert covered is not None
    assert covered.kind is StopKind.LOW_CONTRAST
    assert 'is 1.0, less than 3.0' in covered.reason
    frozen = monitor.update(ImageHealth(1, 40.0), 2 * S, CONFIG)
    assert frozen == (StopKind.FROZEN, 'the same picture has come for 2.0 s')


ZONE = (9, 10, 13, 14)  # the middle of the lower half
RANDOM = np.random.default_rng(5)
STREET = RANDOM.integers(40, 200, (360, 640, 3), dtype=np.uint8)
Picture = NDArray[np.uint8]


def living() -> Picture:
    noise = RANDOM.integers(-1, 2, STREET.shape, dtype=np.int16)
    return (STREET + noise).astype(np.uint8)


def ring_of(count: int) -> Iterator[Picture]:
    buffers = [living() for _ in range(count)]
    while True:
        yield from buffers


def under_a_clock() -> Iterator[Picture]:
    still, second = living(), 0
    while True:
        shown, second = still.copy(), second + 1
        shown[4:24, 4 : 60 + second % 40] = 255
        yield shown


def half_stuck(rows: slice, columns: slice) -> Iterator[Picture]:
    still = living()
    while True:
        shown = living()
        shown[rows, columns] = still[rows, columns]
        yield shown


def with_borders() -> Iterator[Picture]:
    while True:
        shown = living()
        shown[:60], shown[:, :100], shown[:, -100:] = 255, 0, 0  # bleached sky, pillars
        yield shown


def faults(pictures: Iterator[Picture], seconds: float = 4.0) -> list[str]:
    """The reasons at 20 Hz."""
    monitor, found = PictureMonitor(), []
    for index in range(int(20 * seconds)):
        fault = monitor.update(health_of(next(pictures)), index * S // 20, CONFIG, ZONE)
        found.append('' if fault is None else fault.reason)
    return found


@pytest.mark.parametrize('count', [1, 2, 4, 8, 31])
def test_a_ring_of_old_buffers_is_found_one_frozen_timeout_after_its_first_turn(
    count: int,
) -> None:
    found = faults(ring_of(count))
    first = next(index for index, reason in enumerate(found) if reason)
    assert 20 <= first <= 20 + count
    assert all(found[first:])


STUCK = {
    'a clock runs over a still picture': under_a_clock(),
    'the left half is stuck': half_stuck(slice(None), slice(0, 320)),
    'the right half is stuck': half_stuck(slice(None), slice(320, 640)),
    'the lower half is stuck': half_stuck(slice(180, 360), slice(None)),
}


@pytest.mark.parametrize('name', STUCK)
def test_what_is_stuck_in_a_part_of_the_zone_is_found(name: str) -> None:
    found = faults(STUCK[name], 2.0)
    assert not any(found[:20])
    assert all('a part of the zone' in reason for reason in found[21:])


def test_black_borders_and_a_bleached_sky_outside_of_the_zone_are_no_fault() -> None:
    assert not any(faults(with_borders()))


def test_a_living_camera_of_a_vehicle_that_stands_is_believed() -> None:
    assert not any(faults(half_stuck(slice(0, 0), slice(None))))


def test_the_zone_is_where_its_points_are_in_the_picture() -> None:
    assert GRID == 4
    assert len(health_of(STREET).regions) == GRID * GRID
    assert len(health_of(STREET[:8, :8]).regions) == 0


@pytest.mark.parametrize(('contrast', 'is_seen'), [(3.0, True), (2.99, False)])
def test_a_picture_is_covered_below_the_least_contrast(contrast: float, is_seen: bool) -> None:
    assert believes(PictureMonitor(), 1, contrast, 0) is is_seen


def of_regions(number: int, *regions: int) -> ImageHealth:
    return ImageHealth(number, 40.0, regions)


@pytest.mark.parametrize(('ms', 'is_frozen'), [(999, False), (1000, True)])
def test_frozen_begins_at_the_timeout_itself_in_the_whole_and_in_a_part(
    ms: int, is_frozen: bool
) -> None:
    whole, part = PictureMonitor(), PictureMonitor()
    for stamp_ns in (0, ms * S // 1000):
        same = whole.update(of_regions(1, 5, 6), stamp_ns, CONFIG, (0, 1))
        stuck = part.update(of_regions(stamp_ns, stamp_ns, 6), stamp_ns, CONFIG, (0, 1))
    assert (same is not None) is is_frozen
    assert (stuck is not None) is is_frozen
    assert stuck is None or '1.0 s' in stuck.reason


def test_a_part_that_is_stuck_outside_of_the_zone_is_no_fault_and_an_unknown_one_neither() -> None:
    monitor = PictureMonitor()
    for second in range(5):
        health = of_regions(second, 100 + second, 7)
        assert monitor.update(health, second * S, CONFIG, (0, 2, 99)) is None
    assert monitor.update(of_regions(9, 109, 7), 5 * S, CONFIG, (1,)) is not None


def test_a_ring_of_32_is_remembered_and_one_of_33_is_a_living_camera() -> None:
    for count, is_frozen in ((32, True), (33, False)):
        monitor, fault = PictureMonitor(), None
        for index in range(200):
            fault = monitor.update(ImageHealth(index % count, 40.0), index * S // 20, CONFIG)
        assert (fault is not None) is is_frozen


def test_a_little_step_back_of_the_stamps_forgets_nothing() -> None:
    for back_ms, is_frozen in ((900, True), (1100, False)):
        monitor = PictureMonitor()
        for ms in (0, 5000, 5000 - back_ms):
            fault = monitor.update(ImageHealth(1, 40.0), ms * S // 1000, CONFIG)
        assert (fault is not None) is is_frozen


def test_a_picture_of_another_size_begins_anew() -> None:
    monitor = PictureMonitor()
    assert monitor.update(of_regions(1, 5, 6), 0, CONFIG) is None
    assert monitor.update(of_regions(1), 3 * S, CONFIG) is None
    assert monitor.update(of_regions(1), 4 * S, CONFIG) is not None


def test_a_new_picture_with_a_stamp_a_little_older_counts_from_there() -> None:
    monitor = PictureMonitor()
    monitor.update(ImageHealth(1, 40.0), 2 * S, CONFIG)
    assert believes(monitor, 1, 40.0, 2 * S - S // 2)
    assert believes(monitor, 1, 40.0, 2 * S + S // 2 - 1)
    assert not believes(monitor, 1, 40.0, 2 * S + S // 2)


@pytest.mark.parametrize('size_wh', [(512, 256), (320, 240), (640, 360)])
def test_a_half_that_is_stuck_is_known_in_a_picture_that_was_enlarged(
    size_wh: tuple[int, int],
) -> None:
    random = np.random.default_rng(2)
    width, height = size_wh

    def seen(picture: NDArray[np.uint8]) -> tuple[int, ...]:
        enlarged = cv2.resize(picture, (640, 360), interpolation=cv2.INTER_LINEAR)
        return health_of(np.asarray(enlarged, np.uint8)).regions

    first = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
    second = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
    second[:, width // 2 :] = first[:, width // 2 :]
    same = [one == other for one, other in zip(seen(first), seen(second), strict=True)]
    assert same == GRID * [False, False, True, True]
