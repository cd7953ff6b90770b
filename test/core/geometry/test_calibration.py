# SPDX-License-Identifier: Apache-2.0
"""What a calibration of a whole sensor means for the image that comes."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.calibration import RegionOfInterest, SensorCalibration
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics

MOUNT = Mount(z=1.4)
WEBCAM = (-0.32, 0.12, 0.001, -0.0007, -0.02)
WIDE = (0.7, 0.1, 0.0002, -0.0001, 0.01, 1.05, 0.25, 0.03)


def sensor(width: int, height: int, focal_px: float, **changes: Any) -> SensorCalibration:
    """Returns a lens without distortion, its principal point in the middle of the sensor."""
    k = (focal_px, 0.0, 0.5 * (width - 1), 0.0, focal_px, 0.5 * (height - 1), 0.0, 0.0, 1.0)
    return replace(SensorCalibration(width, height, k), **changes)


def projection(focal_px: float, cx: float, cy: float) -> tuple[float, ...]:
    return (focal_px, 0.0, cx, 0.0, 0.0, focal_px, cy, 0.0, 0.0, 0.0, 1.0, 0.0)


def ground_point(intrinsics: CameraIntrinsics, pixel: tuple[float, float]) -> NDArray[np.float64]:
    """Returns the metres ahead and to the left that a pixel shows to a level camera."""
    (point,) = Camera(intrinsics, MOUNT).ground_points([pixel])
    return np.asarray(point)


ELEVEN_METRES = {
    'the whole sensor': (sensor(640, 360, 320.0), (640, 360), (319.5, 219.5)),
    'twice the size, same shape': (sensor(1280, 720, 640.0), (640, 360), (319.5, 219.5)),
    'half the size, same shape': (sensor(320, 180, 160.0), (640, 360), (319.5, 219.5)),
    'binned by 2': (sensor(1280, 720, 640.0, binning=(2, 2)), (640, 360), (319.5, 219.5)),
    'the middle': (
        sensor(1280, 720, 320.0, roi=RegionOfInterest(320, 180, 640, 360)),
        (640, 360), (319.5, 219.5),
    ),
    'the lower rows': (
        sensor(640, 480, 320.0, roi=RegionOfInterest(0, 160, 640, 320)),
        (640, 320), (319.5, 119.5),
    ),
    'the left columns': (
        sensor(640, 360, 320.0, roi=RegionOfInterest(0, 0, 480, 360)), (480, 360), (319.5, 219.5),
    ),
    'an offset without a size': (
        sensor(640, 480, 320.0, roi=RegionOfInterest(0, 160)), (640, 320), (319.5, 119.5),
    ),
    'a size that is that of the region': (
        replace(
            sensor(640, 480, 320.0), height=320, roi=RegionOfInterest(0, 160, 640, 320)
        ),
        (640, 320), (319.5, 119.5),
    ),
    'a size that is that of the region, which has none': (
        replace(sensor(640, 480, 320.0), height=320, roi=RegionOfInterest(0, 160)),
        (640, 320), (319.5, 119.5),
    ),
    'a size that is that of the binned region': (
        replace(
            sensor(1280, 960, 640.0),
            width=640, height=320, binning=(2, 2), roi=RegionOfInterest(0, 320, 1280, 640),
        ),
        (640, 320), (319.5, 119.5),
    ),
    'a region that was not applied': (
        sensor(640, 360, 320.0, roi=RegionOfInterest(0, 0, 480, 360)), (640, 360), (319.5, 219.5),
    ),
    'a region and a binning, scaled down': (
        sensor(2560, 1920, 1280.0, binning=(2, 2), roi=RegionOfInterest(0, 640, 2560, 1280)),
        (640, 320), (319.5, 119.5),
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', ELEVEN_METRES)
def test_feet_dead_ahead_are_where_they_are(name: str) -> None:
    calibration, size_wh, feet_px = ELEVEN_METRES[name]
    intrinsics = calibration.intrinsics(size_wh)
    assert (intrinsics.width, intrinsics.height) == size_wh
    assert ground_point(intrinsics, feet_px) == pytest.approx((11.2, 0.0), abs=1e-6)


MISFITS = {
    'of another shape': (sensor(640, 480, 320.0), (640, 360), '640x480'),
    'turned': (sensor(360, 640, 320.0), (640, 360), '360x640'),
    'without a size': (sensor(0, 0, 320.0), (640, 360), '0x0'),
    'of another region': (
        sensor(640, 480, 320.0, roi=RegionOfInterest(0, 160, 640, 320)), (640, 360),
        '640x320 at (0, 160) of 640x480',
    ),
    'whole, though a region with an offset is said': (
        sensor(640, 480, 320.0, roi=RegionOfInterest(0, 160, 640, 320)), (640, 480),
        '640x320 at (0, 160) of 640x480',
    ),
    'as large as the sensor, though a region of the same shape is said': (
        sensor(640, 480, 320.0, roi=RegionOfInterest(160, 120, 320, 240)), (640, 480),
        '320x240 at (160, 120) of 640x480',
    ),
    'as large as the sensor, though it is binned': (
        sensor(640, 480, 320.0, binning=(2, 2)), (640, 480), '320x240',
    ),
    'outside of the sensor': (
        sensor(640, 480, 320.0, roi=RegionOfInterest(320, 0, 480, 480)), (480, 480),
        '480x480 at (320, 0) of 640x480',
    ),
    'binned across only': (sensor(1280, 720, 640.0, binning=(2, 1)), (640, 360), '640x720'),
}  # fmt: skip


@pytest.mark.parametrize('name', MISFITS)
def test_an_image_that_cannot_be_is_refused_with_both_sizes(name: str) -> None:
    calibration, (width, height), words = MISFITS[name]
    both = f'{width}x{height}.*{re.escape(words)}'
    with pytest.raises(ConfigurationError, match=both):
        calibration.intrinsics((width, height))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_region_and_binning_sees_the_ground_that_the_whole_sensor_sees(
    data: st.DataObject,
) -> None:
    """A pixel of the part is, in the whole, at the offset and so many times further along."""
    width, height = data.draw(st.integers(200, 2000)), data.draw(st.integers(200, 1500))
    across, down = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    x, y = data.draw(st.integers(0, width - 100)), data.draw(st.integers(0, height - 100))
    part_wh = data.draw(st.integers(40, width - x)), data.draw(st.integers(40, height - y))
    d = data.draw(st.sampled_from([(), WEBCAM, WIDE]))
    plain = sensor(width, height, 0.6 * width, distortion_model='plumb_bob', d=d)
    part = replace(plain, binning=(across, down), roi=RegionOfInterest(x, y, *part_wh))
    image_wh = part_wh[0] // across, part_wh[1] // down
    whole = plain.intrinsics((width, height))

    shown = part.intrinsics(image_wh)

    u = np.array([0.0, 0.3, 1.0]) * (image_wh[0] - 1)
    v = np.array([0.2, 0.6, 1.0]) * (image_wh[1] - 1)
    pixels = np.array(list(itertools.product(u, v)))
    binning = np.array([across, down])
    same = (pixels + 0.5) * binning - 0.5 + [x, y]  # pixel centres
    mount = replace(MOUNT, pitch=0.2)
    expected = Camera(whole, mount).ground_points(same)
    got = Camera(shown, mount).ground_points(pixels)
    near = np.isfinite(expected).all(axis=1) & (np.abs(expected) < 30.0).all(axis=1)
    # A distortion is inverted to a twentieth of a pixel
    tolerance = 5e-3 if d else 1e-6
    np.testing.assert_allclose(got[near], expected[near], rtol=tolerance, atol=tolerance)
    assert (np.isfinite(got[near])).all()


@settings(max_examples=200, deadline=None)
@given(
    sensor_wh=st.tuples(st.integers(64, 4000), st.integers(64, 3000)),
    image_wh=st.tuples(st.integers(16, 4000), st.integers(16, 3000)),
)
def test_an_image_of_another_shape_is_never_taken(
    sensor_wh: tuple[int, int], image_wh: tuple[int, int]
) -> None:
    stretch = image_wh[0] * sensor_wh[1] / (image_wh[1] * sensor_wh[0])
    assume(abs(math.log(stretch)) > math.log(1.0 + 1.0 / 16.0))  # a pixel of the least side
    with pytest.raises(ConfigurationError, match=f'{image_wh[0]}x{image_wh[1]}'):
        sensor(*sensor_wh, 500.0).intrinsics(image_wh)


@settings(max_examples=200, deadline=None)
@given(width=st.integers(64, 4000), height=st.integers(64, 3000), scale=st.floats(0.2, 3.0))
def test_an_image_that_was_scaled_evenly_is_taken(width: int, height: int, scale: float) -> None:
    image_wh = round(width * scale), round(height * scale)
    intrinsics = sensor(width, height, 500.0).intrinsics(image_wh)
    assert intrinsics.k[0, 0] == pytest.approx(500.0 * scale, rel=0.05)


RAW = sensor(640, 360, 320.0, distortion_model='plumb_bob', d=(-0.3, 0.1, 0.0, 0.0, 0.0))
RECTIFIED = replace(RAW, p=projection(250.0, 319.5, 179.5))


@pytest.mark.parametrize(
    ('feet_px', 'place_m'),
    [((319.5, 219.5), (8.75, 0.0)), ((527.5, 219.5), (8.75, -7.28))],
    ids=['ahead', 'at the side'],
)
def test_a_rectified_image_is_not_undistorted_again(
    feet_px: tuple[float, float], place_m: tuple[float, float]
) -> None:
    intrinsics = RECTIFIED.intrinsics((640, 360), is_rectified=True)
    assert ground_point(intrinsics, feet_px) == pytest.approx(place_m, abs=1e-6)


def test_a_raw_image_has_its_own_matrix_and_distortion() -> None:
    intrinsics = RECTIFIED.intrinsics((640, 360))
    assert intrinsics.k[0, 0] == 320.0
    assert intrinsics.d.tolist() == list(RAW.d)


def test_a_part_of_a_rectified_image_is_shifted_and_binned_too() -> None:
    part = replace(RECTIFIED, binning=(2, 2), roi=RegionOfInterest(160, 80, 320, 280))
    intrinsics = part.intrinsics((160, 140), is_rectified=True)
    assert intrinsics.k[:2].tolist() == [[125.0, 0.0, 79.5], [0.0, 125.0, 49.5]]


@pytest.mark.parametrize('is_rectified', [False, True])
def test_a_projection_without_a_camera_matrix_is_enough(is_rectified: bool) -> None:
    given_p = replace(RECTIFIED, k=(0.0,) * 9, distortion_model='', d=())
    intrinsics = given_p.intrinsics((640, 360), is_rectified=is_rectified)
    assert ground_point(intrinsics, (319.5, 219.5)) == pytest.approx((8.75, 0.0), abs=1e-6)


def test_a_rectified_image_without_distortion_needs_no_projection() -> None:
    straight = sensor(640, 360, 320.0, distortion_model='plumb_bob', d=(0.0,) * 5, p=(0.0,) * 12)
    assert straight.intrinsics((640, 360), is_rectified=True).k[0, 0] == 320.0


@pytest.mark.parametrize(
    ('calibration', 'is_rectified', 'words'),
    [
        (replace(RECTIFIED, k=(0.0,) * 9), False, 'A distorted image needs k'),
        (RAW, True, 'A rectified image needs p'),
        (replace(RAW, k=(0.0,) * 9), False, 'not calibrated'),
    ],
)
def test_what_does_not_say_enough_is_refused(
    calibration: SensorCalibration, is_rectified: bool, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        calibration.intrinsics((640, 360), is_rectified=is_rectified)


@pytest.mark.parametrize(
    ('model', 'd', 'same_model', 'same_d'),
    [
        ('fisheye', (0.1, 0.2, 0.3, 0.4), 'equidistant', (0.1, 0.2, 0.3, 0.4)),
        ('equidistant', (0.1, 0.2, 0.3, 0.4, 0.0), 'equidistant', (0.1, 0.2, 0.3, 0.4)),
        ('Kannala-Brandt', (0.1, 0.2, 0.3, 0.4), 'equidistant', (0.1, 0.2, 0.3, 0.4)),
        ('EQUIDISTANT', (0.1, 0.2, 0.3, 0.4), 'equidistant', (0.1, 0.2, 0.3, 0.4)),
        ('Brown Conrady', WEBCAM, 'plumb_bob', WEBCAM),
        ('radtan', WEBCAM[:4], 'plumb_bob', WEBCAM[:4]),
        ('rational_polynomial', WEBCAM, 'plumb_bob', WEBCAM),
        ('none', (0.0,) * 5, '', ()),
        ('Pinhole', (), '', ()),
        ('plumb_bob', WIDE, 'rational_polynomial', WIDE),
        ('plumb_bob', (*WIDE, 0.0, 0.0, 0.0, 0.0), 'rational_polynomial', (*WIDE, *(0.0,) * 4)),
        ('plumb_bob', WEBCAM, 'plumb_bob', WEBCAM),
    ],
)
def test_a_lens_has_one_meaning_whatever_its_driver_calls_it(
    model: str, d: tuple[float, ...], same_model: str, same_d: tuple[float, ...]
) -> None:
    intrinsics = sensor(640, 360, 320.0, distortion_model=model, d=d).intrinsics((640, 360))
    assert intrinsics.distortion_model == same_model
    assert tuple(intrinsics.d) == same_d


@pytest.mark.parametrize(('model', 'd'), [
    ('plumb_bob', (0.1,) * 6), ('thin_prism', (0.1,)), ('Inverse Brown Conrady', (0.1,) * 5),
    ('none', (0.1,) * 5), ('omni', (0.0,) * 4),
])  # fmt: skip
def test_a_lens_that_nobody_knows_is_refused(model: str, d: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError):
        sensor(640, 360, 320.0, distortion_model=model, d=d).intrinsics((640, 360))


@pytest.mark.parametrize(
    ('mount', 'watches'),
    [
        (Mount(z=1.4), True),
        (Mount(z=1.4, pitch=0.6), True),
        (Mount(z=1.4, roll=math.pi), True),
        (Mount(z=1.4, pitch=-0.35), True),
        (Mount(z=1.4, pitch=-0.6), False),  # steeper than half of the field of view
        (Mount(z=1.4, pitch=-math.pi / 2), False),  # a body frame taken as an optical one
    ],
)
def test_a_camera_that_looks_at_the_sky_is_known(mount: Mount, *, watches: bool) -> None:
    intrinsics = sensor(640, 360, 320.0).intrinsics((640, 360))
    assert Camera(intrinsics, mount).watches_ground == watches
