# SPDX-License-Identifier: Apache-2.0
"""A CameraInfo on its way to a camera at its place."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from seg_ros.core.geometry.camera import Mount
from seg_ros.messages.camera_info import Calibration, calibration_of, is_rectified

SIZE_WH = (640, 360)
K = [320.0, 0.0, 319.5, 0.0, 320.0, 179.5, 0.0, 0.0, 1.0]


def info(frame_id: str = 'camera_optical', **changes: Any) -> Any:
    """Returns a CameraInfo as every reader of messages gives it."""
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    values = {
        'width': 640, 'height': 360, 'k': K, 'd': [], 'p': [0.0] * 12,
        'distortion_model': 'plumb_bob', 'binning_x': 0, 'binning_y': 0, 'roi': roi,
        'header': SimpleNamespace(frame_id=frame_id),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


def level(_frame_id: str, _now_ns: int) -> tuple[Mount | None, str]:
    return Mount(z=1.4), ''


@pytest.mark.parametrize(
    ('topic', 'said', 'expected'),
    [
        ('/camera/image_rect', 'auto', True),
        ('/camera/image_rect_color', 'auto', True),
        ('/camera/image_rect/compressed', 'auto', True),
        ('image_rect', 'auto', True),
        ('/camera/image_mono_rect', 'auto', True),
        ('/camera/color_rectified/compressed', 'auto', True),
        ('/camera/image_rectangle', 'auto', False),
        ('/camera/direct', 'auto', False),
        ('/camera/image_raw', 'auto', False),
        ('/image_rect/image', 'auto', False),
        ('/zed/zed_node/rgb/color/rect/image', 'auto', True),
        ('/zed/zed_node/rgb/color/rect/image/compressed', 'auto', True),
        ('/zed/zed_node/rgb/color/raw/image', 'auto', False),
        ('/left/rectified/image_color', 'auto', True),
        ('/rect/image_raw', 'auto', False),
        ('/rect/camera/image', 'auto', False),
        ('/camera/image_raw', 'true', True),
        ('/camera/image_rect', 'false', False),
    ],
)
def test_a_rectified_topic_is_known_by_its_name(topic: str, said: str, *, expected: bool) -> None:
    assert is_rectified(topic, said) == expected


def test_nothing_is_known_before_the_first_message() -> None:
    calibration = Calibration(level)
    assert calibration.camera(0, SIZE_WH) is None
    assert calibration.reason == 'no CameraInfo has come yet'
    assert not calibration.is_refused


def test_what_cannot_be_is_refused_until_it_is_mended() -> None:
    calibration = Calibration(level)
    calibration.take(info(height=480))
    assert calibration.camera(0, SIZE_WH) is None
    assert calibration.is_refused
    assert '640x360' in calibration.reason
    assert '640x480' in calibration.reason
    calibration.take(info())
    assert calibration.camera(0, SIZE_WH) is not None
    assert (calibration.reason, calibration.is_refused) == ('', False)


def test_a_camera_that_nobody_calibrated_is_unknown_and_not_refused() -> None:
    calibration = Calibration(level)
    calibration.take(info(k=[0.0] * 9))
    assert calibration.camera(0, SIZE_WH) is None
    assert 'not calibrated' in calibration.reason
    assert not calibration.is_refused


@pytest.mark.parametrize(('frame_id', 'asked'), [('', 'of_image'), ('of_info', 'of_info')])
def test_a_message_without_a_frame_takes_that_of_the_image(frame_id: str, asked: str) -> None:
    frames = []

    def mount_of(frame: str, _now_ns: int) -> tuple[Mount | None, str]:
        frames.append(frame)
        return Mount(z=1.4), ''

    calibration = Calibration(mount_of)
    calibration.take(info(frame_id))
    assert calibration.camera(0, SIZE_WH, 'of_image') is not None
    assert frames == [asked]


def test_a_body_frame_is_asked_whether_it_is_an_optical_one() -> None:
    calibration = Calibration(lambda _frame_id, _now_ns: (Mount(z=1.4, pitch=-math.pi / 2), ''))
    calibration.take(info('camera_link'))
    assert calibration.camera(0, SIZE_WH) is None
    assert calibration.is_refused
    assert 'is camera_link an optical frame, z forward?' in calibration.reason


def test_the_image_may_change_its_size() -> None:
    calibration = Calibration(level)
    calibration.take(info())
    for width, height in (SIZE_WH, (1280, 720), SIZE_WH):
        camera = calibration.camera(0, (width, height))
        assert camera is not None
        assert camera.intrinsics.k[0, 0] == pytest.approx(width / 2)


def test_a_message_of_ros_1_says_the_same() -> None:
    new = info(binning_x=2, binning_y=2)
    old = SimpleNamespace(**{name.upper() if len(name) == 1 else name: value
                             for name, value in vars(new).items()})  # fmt: skip
    assert calibration_of(old) == calibration_of(new)


@pytest.mark.parametrize(
    ('mount', 'lens_m'), [(Mount(z=0.45), 0.45), (Mount(z=0.0), None), (None, None)]
)
def test_the_height_of_the_lens_is_known_without_a_camera_info(
    mount: Mount | None, lens_m: float | None
) -> None:
    calibration = Calibration(lambda _frame_id, _now_ns: (mount, 'nobody has said it'))
    assert calibration.lens_m is None
    assert calibration.camera(0, SIZE_WH, 'image_optical') is None
    assert calibration.lens_m == lens_m
    assert calibration.reason == 'no CameraInfo has come yet'
    calibration.take(info(k=[0.0] * 9))
    assert calibration.camera(0, SIZE_WH) is None
    assert calibration.lens_m == lens_m
    assert 'not calibrated' in calibration.reason


def test_a_place_that_is_lost_is_no_height_any_more() -> None:
    places = [(Mount(z=0.45), ''), (None, 'the transform is 2.0 s old')]
    calibration = Calibration(lambda _frame_id, _now_ns: places.pop(0))
    calibration.camera(0, SIZE_WH, 'image_optical')
    assert calibration.lens_m == 0.45
    calibration.camera(0, SIZE_WH, 'image_optical')
    assert calibration.lens_m is None
