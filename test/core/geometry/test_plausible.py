# SPDX-License-Identifier: Apache-2.0
"""A calibration that no camera on a vehicle has is found; every real one passes."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.geometry.mount_config import MountConfig
from seg_ros.core.geometry.plausible import implausible

MOUNT = Mount(x=1.6, z=1.45, pitch=0.06)


def lens(
    fx: float = 530.0,
    fy: float = 530.0,
    cx: float = 319.5,
    cy: float = 179.5,
    *,
    model: str = '',
    coefficients: tuple[float, ...] = (),
) -> CameraIntrinsics:
    k = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    return CameraIntrinsics(640, 360, k, model, np.array(coefficients))


@pytest.mark.parametrize(
    'intrinsics',
    [
        lens(),
        lens(2400.0, 2400.0),  # 15 degrees, a tele lens
        lens(90.0, 90.0),  # 148 degrees
        lens(530.0, 795.0),  # squeezed from 2:1 to 4:3
        lens(cx=0.0, cy=360.0),  # a corner of a picture
        lens(150.0, 150.0, model='equidistant', coefficients=(0.0, 0.0, 0.0, 0.0)),
        CameraIntrinsics.from_field_of_view((640, 360), math.radians(62.0)),
        lens(model='plumb_bob', coefficients=(-0.35, 0.12, 0.001, -0.001, 0.0)),
        # A circle of two thirds of the height
        lens(76.0, 76.0, model='equidistant', coefficients=(0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_real_lenses_pass(intrinsics: CameraIntrinsics) -> None:
    assert implausible(Camera(intrinsics, MOUNT)) == ''


@pytest.mark.parametrize(
    ('intrinsics', 'words'),
    [
        (lens(1e5, 1e5), r'0\.4 degrees across'),
        (lens(8000.0, 8000.0), r'4\.6 degrees across'),
        (lens(5.0, 5.0), r'17\d\.\d degrees across'),
        (lens(530.0, 5300.0), 'twice as long as wide'),
        (lens(cx=1200.0), 'cx 1200 px in a picture of 640'),
        (lens(cy=-900.0), 'cy -900 px in a picture of 360'),
        (lens(model='plumb_bob', coefficients=(-3.0, 0.0, 0.0, 0.0)), 'folds back inside of'),
        (lens(model='plumb_bob', coefficients=(-9.0, 0.0, 0.0, 0.0)), r'\d+% of its middle lines'),
    ],
)
def test_a_lens_that_cannot_be_is_told_with_its_numbers(
    intrinsics: CameraIntrinsics, words: str
) -> None:
    assert re.search(words, implausible(Camera(intrinsics, MOUNT)))


@pytest.mark.parametrize(('height_m', 'passes'), [
    (0.05, True), (0.2, True), (7.0, True), (0.01, False), (100.0, False),
])  # fmt: skip
def test_a_lens_hangs_at_most_as_high_as_vehicles_are(height_m: float, passes: bool) -> None:
    words = implausible(Camera(lens(), replace(MOUNT, z=height_m)))
    assert (words == '') is passes
    assert passes or f'{height_m:.2f} m above the ground' in words


@pytest.mark.parametrize(
    ('mount', 'words'),
    [
        (Mount(x=25.0, z=1.4), ''),
        (Mount(x=1600.0, y=100.0, z=1.4), '1603 m beside the base origin'),
        (Mount(y=-450.0, z=1.4), '450 m beside the base origin'),
        (Mount(z=1.4, roll=0.6), ''),
        (Mount(z=1.4, roll=-1.5708), 'rolled by 90 degrees'),
        (Mount(z=1.4, roll=3.1416, pitch=0.1), 'rolled by 180 degrees'),
        (Mount(z=1.4, pitch=1.5, roll=1.0), ''),  # looks straight down
        (Mount(z=1.4, pitch=0.5, yaw=3.1), ''),
        (Mount(z=1.4, pitch=3.0), 'rolled by 180 degrees'),
    ],
)
def test_a_mounting_that_no_vehicle_has_is_told(mount: Mount, words: str) -> None:
    said = implausible(Camera(lens(), mount))
    assert words in said
    assert bool(said) == bool(words)


@pytest.mark.parametrize(
    ('numbers', 'words'),
    [
        ({'z': (-1.4,)}, r'mount\.z is \[-1\.4\]\. It is the height of the lens'),
        ({'z': (1.4, 1.5), 'pitch': (0.1, 4.6)}, r'mount\.pitch is \[0\.1, 4\.6\]\. It is in rad'),
        ({'z': (1.4,), 'roll': (180.0,)}, r'mount\.roll is \[180\.0\]\. It is in radians'),
        ({'z': (1.4,), 'yaw': (-90.0,)}, r'mount\.yaw is \[-90\.0\]\. It is in radians'),
    ],
)
def test_degrees_and_a_lens_below_the_ground_are_refused(
    numbers: dict[str, tuple[float, ...]], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        MountConfig(**numbers).check_cameras(2 if len(numbers['z']) > 1 else 1)
    MountConfig(z=(1.4,), roll=(-3.14,), pitch=(1.57,), yaw=(math.pi,)).check_cameras(1)
