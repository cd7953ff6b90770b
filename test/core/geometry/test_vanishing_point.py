# SPDX-License-Identifier: Apache-2.0
"""How a camera is turned, found in the exact labels of roads with paint."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.vanishing_point import (
    Lines,
    MountingEstimate,
    estimate_mounting,
    lines_of,
    own_lane,
    turned,
)
from seg_ros.sim.classes import LANE_MARKING
from test.core.lane.scene import LANE_M, Scene, camera

CAR = Mount(x=1.6, z=1.45, pitch=0.06)


def drive(
    mount: Mount, seed: int | None = None, frames: int = 40, sway_m: float = 0.4
) -> list[Lines]:
    """Lines of pictures 3 m apart; the vehicle moves about in its lane."""
    scene = Scene(mount=mount, seed=seed)
    found = []
    for number in range(frames):
        state = scene.state(
            60.0 + 3.0 * number,
            offset_m=sway_m * math.sin(0.3 * number),
            heading_rad=0.02 * sway_m * math.cos(0.3 * number),
        )
        mask = (scene.view.labels(state) == LANE_MARKING).astype(np.uint8)
        found.append(lines_of(mask, camera(mount).intrinsics))
    return found


def found(mount: Mount, seed: int | None = None) -> MountingEstimate:
    estimate = estimate_mounting(drive(mount, seed))
    assert estimate is not None
    return estimate


@pytest.mark.parametrize(
    'mount',
    [
        CAR,
        Mount(x=1.6, z=1.2, pitch=-0.03, yaw=0.04),
        Mount(x=1.6, z=1.45, pitch=0.06, roll=0.03),
        Mount(x=1.6, z=1.45, pitch=0.08, roll=-0.05, yaw=-0.03),
        Mount(x=2.5, z=2.6, pitch=0.12, yaw=0.02),
    ],
)
def test_a_straight_road_tells_pitch_yaw_and_roll(mount: Mount) -> None:
    estimate = found(mount)
    degrees = math.radians(1.0)
    assert estimate.pitch_rad == pytest.approx(mount.pitch, abs=0.1 * degrees)
    assert estimate.yaw_rad == pytest.approx(mount.yaw, abs=0.15 * degrees)
    assert estimate.roll_rad == pytest.approx(mount.roll, abs=0.25 * degrees)
    assert estimate.lane_in_heights * mount.z == pytest.approx(LANE_M, rel=0.02)


def test_bends_to_both_sides_cost_yaw_but_no_pitch_and_it_says_so() -> None:
    estimate = found(CAR, seed=3)
    assert estimate.pitch_rad == pytest.approx(CAR.pitch, abs=math.radians(0.2))
    assert abs(estimate.yaw_rad - CAR.yaw) < 2.0 * estimate.yaw_std_rad
    assert estimate.yaw_std_rad > 3.0 * estimate.pitch_std_rad
    assert estimate.lane_in_heights * CAR.z == pytest.approx(LANE_M, rel=0.03)


def test_a_vehicle_that_keeps_to_its_place_cannot_tell_the_roll() -> None:
    estimate = estimate_mounting(drive(Mount(x=1.6, z=1.45, pitch=0.06, roll=0.04), sway_m=0.0))
    assert estimate is not None
    assert (estimate.roll_rad, estimate.roll_std_rad) == (0.0, math.inf)


def test_too_few_pictures_or_no_paint_is_no_answer() -> None:
    assert estimate_mounting(drive(CAR, frames=6)) is None
    nothing = lines_of(np.zeros((360, 640), np.uint8), camera(CAR).intrinsics)
    assert estimate_mounting([nothing] * 40) is None


def test_lines_across_the_road_and_specks_do_not_move_the_vanishing_point() -> None:
    scene, random = Scene(mount=CAR), np.random.default_rng(1)
    frames = []
    for number in range(30):
        mask = (scene.view.labels(scene.state(60.0 + 3.0 * number)) == LANE_MARKING).astype(
            np.uint8
        )
        mask[240 + number : 250 + number, 100:500] = 1  # a stop line
        mask[random.integers(150, 360, 300), random.integers(0, 640, 300)] = 1
        frames.append(lines_of(mask, camera(CAR).intrinsics))
    estimate = estimate_mounting(frames)
    assert estimate is not None
    assert estimate.pitch_rad == pytest.approx(CAR.pitch, abs=math.radians(0.3))


def test_the_direction_of_the_lane_is_turned_back_into_pitch_and_yaw() -> None:
    mount = Mount(pitch=0.07, yaw=-0.04, roll=0.05)
    forward = mount.base_from_body()[0, :3]  # of the vehicle, in the body of the camera
    u, v = -forward[1] / forward[0], -forward[2] / forward[0]
    assert turned(u, v, 0.05) == pytest.approx((0.07, -0.04))


def test_the_own_lane_is_found_on_both_sides() -> None:
    lines = drive(CAR, frames=1)[0]
    pair = own_lane(lines, (0.0, -math.tan(CAR.pitch)), 0.0)
    assert pair is not None
    assert pair[0] * CAR.z == pytest.approx(0.5 * LANE_M, abs=0.1)
    assert pair[1] * CAR.z == pytest.approx(-0.5 * LANE_M, abs=0.1)
