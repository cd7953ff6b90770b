from __future__ import annotations

from seg_ros.core.image.health import ImageHealth
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
