from __future__ import annotations

from seg_ros.core.image.health import ImageHealth
from seg_ros.core.image.picture_watch import PictureWatch
from seg_ros.core.stop.config import StopConfig

CONFIG = StopConfig()
S = 1_000_000_000


def test_a_living_camera_is_believed() -> None:
    watch = PictureWatch()
    for number in range(5):
        assert watch.believes(ImageHealth(number, 40.0), number * S, CONFIG)


def test_a_covered_lens_is_not_believed() -> None:
    assert not PictureWatch().believes(ImageHealth(1, 1.0), 0, CONFIG)


def test_the_same_picture_is_believed_for_the_frozen_timeout() -> None:
    watch = PictureWatch()
    assert watch.believes(ImageHealth(1, 40.0), 0, CONFIG)
    assert watch.believes(ImageHealth(1, 40.0), int(0.9 * S), CONFIG)
    assert not watch.believes(ImageHealth(1, 40.0), int(1.1 * S), CONFIG)
    assert watch.believes(ImageHealth(2, 40.0), int(1.2 * S), CONFIG)


def test_a_frozen_timeout_of_zero_believes_for_ever() -> None:
    watch = PictureWatch()
    for seconds in (0, 10, 1000):
        assert watch.believes(ImageHealth(1, 40.0), seconds * S, StopConfig(frozen_timeout_s=0.0))


def test_time_that_steps_back_begins_anew() -> None:
    watch = PictureWatch()
    assert watch.believes(ImageHealth(1, 40.0), 100 * S, CONFIG)
    assert watch.believes(ImageHealth(1, 40.0), 1 * S, CONFIG)
    assert not watch.believes(ImageHealth(1, 40.0), 3 * S, CONFIG)
