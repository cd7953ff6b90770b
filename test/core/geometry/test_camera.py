# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.sim import SimFrame, World
from seg_ros.sim.config import random_scene
from seg_ros.sim.labels.renderer import LabelWorld
from seg_ros.sim.paint.view import View

SIZE_WH = (640, 360)
SCENES = (1, 2, 3, 4, 5, 6)
MOUNT = Mount(x=1.5, y=0.1, z=1.4, roll=0.01, pitch=0.06, yaw=-0.02)

LENSES = {
    'rectified': ('', []),
    'pinhole': ('plumb_bob', [0.0, 0.0, 0.0, 0.0, 0.0]),
    'webcam': ('plumb_bob', [-0.32, 0.12, 0.001, -0.0007, -0.02]),
    'pincushion': ('plumb_bob', [0.12, -0.02, -0.001, 0.0005]),
    'wide': ('rational_polynomial', [0.7, 0.1, 0.0002, -0.0001, 0.01, 1.05, 0.25, 0.03]),
    'fisheye': ('equidistant', [-0.02, 0.006, -0.003, 0.0005]),
    'ideal fisheye': ('equidistant', []),
}


def camera(lens: str = 'rectified', mount: Mount = MOUNT, fov_deg: float = 80.0) -> Camera:
    model, coefficients = LENSES[lens]
    pinhole = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
    intrinsics = CameraIntrinsics(
        width=SIZE_WH[0],
        height=SIZE_WH[1],
        k=pinhole.k,
        distortion_model=model,
        d=np.array(coefficients),
    )
    return Camera(intrinsics, mount)


def bilinear(table: NDArray[np.float32], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    left, top = np.floor(pixels).astype(int).T
    fraction = pixels - np.floor(pixels)
    wx, wy = fraction[:, :1], fraction[:, 1:]
    upper = table[top, left] * (1 - wx) + table[top, left + 1] * wx
    lower = table[top + 1, left] * (1 - wx) + table[top + 1, left + 1] * wx
    return np.asarray(upper * (1 - wy) + lower * wy, dtype=np.float64)


@pytest.mark.parametrize('lens', LENSES)
def test_known_ground_points_come_back_within_one_percent_up_to_30_m(lens: str) -> None:
    subject = camera(lens)
    generator = np.random.default_rng(3)
    ground = np.column_stack([generator.uniform(4, 30, 3000), generator.uniform(-12, 12, 3000)])
    pixels, in_front = subject.project(np.column_stack([ground, np.zeros(len(ground))]))
    inside = in_front & ((pixels >= 0) & (pixels < np.array(SIZE_WH) - 1)).all(axis=1)
    assert inside.sum() > 1000

    found = bilinear(subject.ground_table(), pixels[inside])

    distance_m = np.hypot(ground[inside, 0], ground[inside, 1])
    error_m = np.hypot(*(found - ground[inside]).T)
    assert np.nanmedian(error_m / distance_m) <= 0.01
    assert np.isnan(found).mean() < 0.01


@lru_cache(maxsize=len(SCENES))
def driven(seed: int) -> tuple[World, tuple[SimFrame, ...]]:
    """Eight seconds of a drive with a road, a lens and a mounting of its own."""
    scene = replace(random_scene(seed, SIZE_WH), people_density=4.0, car_density=0.0)
    world = LabelWorld(scene)
    frames = []
    for _ in range(8):
        world.step(1.0)
        frames.append(world.render())
    return world, tuple(frames)


def true_ground_points(frame: SimFrame) -> NDArray[np.float64]:
    """Where the lane, its lines and everybody on the road truly are, 4 to 30 m ahead."""
    riders = [(row.x_m, row.y_m) for row in (*frame.people, *frame.cyclists)]
    lane = (frame.lane_centre, frame.lane_left, frame.lane_right)
    points = np.concatenate([*lane, np.reshape(riders, (-1, 2))])
    distance_m = np.hypot(points[:, 0], points[:, 1])
    return np.asarray(points[(points[:, 0] > 0.0) & (distance_m > 4.0) & (distance_m < 30.0)])


def relative_errors(
    table: NDArray[np.float32], pixels: NDArray[np.float64], ground: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of what the table says at the pixels that are in the image; NaN is an endless error."""
    inside = ((pixels >= 0) & (pixels < np.array(table.shape[1::-1]) - 1)).all(axis=1)
    error_m = np.hypot(*(bilinear(table, pixels[inside]) - ground[inside]).T)
    errors = error_m / np.hypot(*ground[inside].T)
    return np.asarray(np.nan_to_num(errors, nan=np.inf))


@pytest.mark.parametrize('seed', SCENES)
@pytest.mark.parametrize('lens', LENSES)
def test_points_of_a_synthetic_road_come_back_within_one_percent_through_every_lens(
    lens: str, seed: int
) -> None:
    world, (*_, frame) = driven(seed)
    subject = camera(lens, world.mount, world.config.horizontal_fov_deg)
    ground = true_ground_points(frame)
    pixels, _ = subject.project(np.column_stack([ground, np.zeros(len(ground))]))

    errors = relative_errors(subject.ground_table(), pixels, ground)

    assert len(errors) > 50
    assert np.median(errors) <= 0.01


@pytest.mark.parametrize('seed', SCENES)
def test_points_of_a_synthetic_road_are_where_the_simulations_own_camera_paints_them(
    seed: int,
) -> None:
    world, (*_, frame) = driven(seed)
    subject = Camera(world.camera, world.mount)
    ground = true_ground_points(frame)
    cos, sin = math.cos(frame.ego.yaw_rad), math.sin(frame.ego.yaw_rad)
    in_world = ground @ [[cos, sin], [-sin, cos]] + (frame.ego.x_m, frame.ego.y_m)
    view = View.of(subject, world._state)
    pixels = view.pixels(view.optical(np.column_stack([in_world, np.zeros(len(ground))])))

    errors = relative_errors(subject.ground_table(), pixels, ground)

    assert len(errors) > 50
    assert np.median(errors) <= 0.01


def test_the_feet_of_painted_people_are_where_the_table_says() -> None:
    errors: list[float] = []
    for seed in SCENES:
        world, frames = driven(seed)
        table = Camera(world.camera, world.mount).ground_table()
        for person in (row for frame in frames for row in frame.people):
            place = np.array([[person.x_m, person.y_m]])
            if person.visible_share < 0.95 or not 4.0 < np.hypot(*place[0]) < 30.0:
                continue
            assert person.bbox is not None
            x0, _, x1, y1 = person.bbox
            foot_px = np.array([[0.5 * (x0 + x1 - 1), y1 - 0.5]])  # the lower edge of a pixel
            errors.extend(relative_errors(table, foot_px, place))
    assert len(errors) > 100
    assert np.median(errors) <= 0.01


@pytest.mark.parametrize('lens', LENSES)
def test_a_ground_point_projects_back_into_the_pixel_that_sees_it(lens: str) -> None:
    subject = camera(lens)
    table = subject.ground_table()
    rows, columns = np.nonzero(np.isfinite(table[..., 0]))
    ground = table[rows, columns].astype(np.float64)
    near = np.hypot(ground[:, 0], ground[:, 1]) < 200.0
    assert near.sum() > 0.3 * table.shape[0] * table.shape[1]

    points = np.column_stack([ground[near], np.zeros(near.sum())])
    pixels, in_front = subject.project(points)

    assert in_front.all()
    expected = np.column_stack([columns[near], rows[near]])
    assert np.abs(pixels - expected).max() < 0.1


@pytest.mark.parametrize('lens', LENSES)
def test_a_smaller_label_image_sees_the_same_ground(lens: str) -> None:
    subject = camera(lens)
    full = subject.ground_table()
    half = subject.ground_table((320, 180))

    # The centre of a pixel of the half image is the corner shared by four pixels of the full one.
    corner = subject.ground_points(np.array([[2 * 160 + 0.5, 2 * 150 + 0.5]]))[0]
    assert half.shape == (180, 320, 2)
    assert half[150, 160] == pytest.approx(corner, abs=1e-3)
    assert full[300:302, 320:322].mean(axis=(0, 1)) == pytest.approx(corner, rel=1e-3)


def test_above_the_horizon_there_is_no_ground() -> None:
    table = camera(mount=Mount(z=1.4)).ground_table()

    assert np.isnan(table[:180]).all()
    assert np.isfinite(table[180:]).all()
    assert table.dtype == np.float32


def test_a_positive_pitch_looks_down() -> None:
    level = camera(mount=Mount(z=1.0)).rays(np.array([[319.5, 179.5]]))[0]
    nose_down = camera(mount=Mount(z=1.0, pitch=0.1)).rays(np.array([[319.5, 179.5]]))[0]

    assert level == pytest.approx([1.0, 0.0, 0.0])
    assert nose_down == pytest.approx([math.cos(0.1), 0.0, -math.sin(0.1)])


def test_a_positive_yaw_looks_left_and_left_is_left_in_the_image() -> None:
    ray = camera(mount=Mount(z=1.0, yaw=0.2)).rays(np.array([[319.5, 179.5]]))[0]
    pixels, _ = camera(mount=Mount(z=1.0)).project([[10.0, 2.0, 1.0], [10.0, -2.0, 1.0]])

    assert ray[1] == pytest.approx(math.sin(0.2))
    assert pixels[0, 0] < 319.5 < pixels[1, 0]


def test_what_is_behind_the_camera_has_no_pixel() -> None:
    pixels, in_front = camera().project([[-5.0, 0.0, 1.0], [8.0, 0.0, 0.0]])

    assert in_front.tolist() == [False, True]
    assert np.isnan(pixels[0]).all()


def test_a_point_far_outside_of_the_view_does_not_fold_back_into_the_image() -> None:
    # With k1 = -0.32 the polynomial turns round at about 45 degrees off the axis.
    pixels, in_front = camera('webcam').project([[3.5, 9.0, 0.0]])

    assert not in_front[0]
    assert np.isnan(pixels[0]).all()


@given(
    pitch=st.floats(-0.3, 0.6),
    roll=st.floats(-0.2, 0.2),
    yaw=st.floats(-3.0, 3.0),
    z=st.floats(0.3, 4.0),
    lens=st.sampled_from(sorted(LENSES)),
)
@settings(max_examples=40, deadline=None)
def test_the_ray_of_a_projected_point_goes_through_the_point(
    pitch: float, roll: float, yaw: float, z: float, lens: str
) -> None:
    subject = camera(lens, Mount(x=0.4, y=-0.3, z=z, roll=roll, pitch=pitch, yaw=yaw))
    forward = np.array([[6.0, -1.0, -0.5], [15.0, 4.0, 2.0], [40.0, 0.0, 1.0]])
    transform = subject.mount.base_from_body()
    points = forward @ transform[:3, :3].T + transform[:3, 3]

    pixels, in_front = subject.project(points)
    rays = subject.rays(pixels)

    directions = (points - transform[:3, 3]) / np.linalg.norm(forward, axis=1, keepdims=True)
    assert in_front.all()
    assert rays == pytest.approx(directions, abs=2e-4)


def test_optical_from_base_puts_the_optical_axis_forward() -> None:
    transform = camera(mount=Mount(x=1.0, z=2.0)).optical_from_base

    assert transform @ [11.0, -3.0, 1.5, 1.0] == pytest.approx([3.0, 0.5, 10.0, 1.0])


def test_equal_calibrations_are_equal() -> None:
    assert camera('webcam') == camera('webcam')
    assert hash(camera('webcam').intrinsics) == hash(camera('webcam').intrinsics)
    assert camera('webcam') != camera('fisheye')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'width': 0}, r'positive size, 0x360 came'),
        ({'k': np.zeros((3, 3))}, r'not calibrated: calibrate it'),
        ({'k': np.eye(4)}, r'must be 3x3'),
        ({'k': np.full((3, 3), np.nan)}, r'finite'),
        ({'k': np.array([[500.0, 2, 320], [0, 500, 180], [0, 0, 1]])}, r'\[fx 0 cx'),
        ({'distortion_model': 'brown'}, r"'brown' is not known.*rectify"),
        ({'distortion_model': 'plumb_bob', 'd': np.zeros(3)}, r'4 or 5 coefficients, 3 came'),
        ({'distortion_model': '', 'd': np.ones(4)}, r'came without a model'),
        ({'distortion_model': 'equidistant', 'd': np.full(4, np.inf)}, r'finite'),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    good: dict[str, object] = {
        'width': 640,
        'height': 360,
        'k': np.array([[500.0, 0, 320], [0, 500, 180], [0, 0, 1]]),
    }
    with pytest.raises(ConfigurationError, match=message):
        CameraIntrinsics(**(good | changes))  # type: ignore[arg-type]


def test_a_camera_on_the_ground_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'mount.z = 0.0 m came. Measure'):
        camera(mount=Mount(z=0.0)).ground_table()


def test_a_label_image_without_pixels_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'0x180 was asked for'):
        camera().ground_table((0, 180))


def test_a_mount_with_a_missing_number_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'must be finite'):
        Mount(pitch=math.nan)


def test_an_impossible_field_of_view_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'Give it in radians'):
        CameraIntrinsics.from_field_of_view(SIZE_WH, 60.0)
