# SPDX-License-Identifier: Apache-2.0
"""The focal length, found by exact cameras of a known one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.focal_length import (
    Moved,
    Vanishing,
    focal_from_dashes,
    focal_from_uprights,
    upright_lines,
)
from seg_ros.sim.classes import LANE_MARKING
from test.core.lane.scene import Scene, camera

SIZE_WH = (640, 360)
MIDDLE = np.array([319.5, 179.5])


def meeting(mount: Mount, fov_deg: float) -> Vanishing:
    """Where lines along the vehicle meet, exactly; known to a pixel."""
    far, _ = camera(mount, fov_deg).project(np.array([[1e7, 0.0, 0.0]]))
    u, v = (far[0] - MIDDLE).tolist()
    return Vanishing(u, v, 1.0, 1.0, mount.roll)


def moves(mount: Mount, fov_deg: float, count: int = 16) -> list[Moved]:
    """Pairs of pictures 0.8 to 2 m apart; the vehicle moves about in its lane."""
    scene, random = Scene(mount=mount, fov_deg=fov_deg), np.random.default_rng(2)
    rows = []
    for number in range(count):
        s_m, way_m = 60.0 + 3.7 * number, float(random.uniform(0.8, 2.0))
        before, after = (
            scene.view.labels(scene.state(at_m, 0.3 * math.sin(0.5 * number)))
            for at_m in (s_m, s_m + way_m)
        )
        masks = [(row == LANE_MARKING).astype(np.uint8) for row in (before, after)]
        rows.append(Moved(*masks, way_m))
    return rows


@pytest.mark.parametrize(
    ('mount', 'fov_deg'),
    [
        (Mount(x=1.6, z=1.45, pitch=0.06), 62.0),
        (Mount(x=1.6, z=1.45, pitch=0.06), 90.0),
        (Mount(x=1.6, z=1.2, pitch=0.03, yaw=0.03), 45.0),
        (Mount(x=1.6, z=1.2, pitch=-0.02, yaw=-0.04), 62.0),
        (Mount(x=1.6, z=1.45, pitch=0.06, roll=0.04), 62.0),
        (Mount(x=1.6, z=0.9, pitch=0.2), 75.0),
    ],
)
def test_dashes_that_move_as_odometry_says_tell_the_focal_length(
    mount: Mount, fov_deg: float
) -> None:
    found = focal_from_dashes(moves(mount, fov_deg), meeting(mount, fov_deg), mount.z)
    truth = camera(mount, fov_deg).intrinsics.k[0, 0]
    assert found is not None
    assert found.focal_px == pytest.approx(truth, rel=0.03)
    assert abs(found.focal_px - truth) < 2.5 * found.std_px
    assert found.std_px < 0.05 * truth


def test_a_wrong_height_makes_the_focal_length_as_wrong_for_it_is_all_that_scales() -> None:
    mount = Mount(x=1.6, z=1.45, pitch=0.06)
    found = focal_from_dashes(moves(mount, 62.0), meeting(mount, 62.0), 1.1 * mount.z)
    assert found is not None
    truth = camera(mount, 62.0).intrinsics.k[0, 0]
    assert found.focal_px == pytest.approx(truth / 1.1, rel=0.03)


def test_solid_lines_alone_or_a_vehicle_that_stands_tell_nothing() -> None:
    mount = Mount(x=1.6, z=1.45, pitch=0.06)
    lane = meeting(mount, 62.0)
    same = [Moved(row.before, row.before, row.metres) for row in moves(mount, 62.0)]
    solid = np.zeros((360, 640), np.uint8)
    rows = np.arange(200, 360)
    for side in (-1.2, 1.2):
        at = np.round(319.5 + lane.u + side * (rows - 179.5 - lane.v)).astype(int)
        keep = (at > 2) & (at < 637)
        for wide in range(-2, 3):
            solid[rows[keep], at[keep] + wide] = 1
    assert focal_from_dashes([Moved(solid, solid, 1.5)] * 20, lane, 1.45) is None
    assert focal_from_dashes(same, lane, 1.45) is None  # odometry says 1.5 m, nothing moved
    standing = [row._replace(metres=0.0) for row in moves(mount, 62.0)]
    assert focal_from_dashes(standing, lane, 1.45) is None
    assert focal_from_dashes(moves(mount, 62.0, 6), lane, 1.45) is None


def uprights(
    mount: Mount, fov_deg: float, clutter: float = 0.2, frames: int = 30
) -> list[NDArray[np.float64]]:
    """Posts and edges of walls in each picture, seen to 0.7 px, and lines that lean anyhow."""
    eye, random = camera(mount, fov_deg), np.random.default_rng(4)
    rows = []
    for _ in range(frames):
        side = random.uniform(0.8, 8.0, 40) * random.choice([-1, 1], 40)
        foot = np.column_stack([random.uniform(2.5, 25.0, 40), side, random.uniform(0.0, 1.0, 40)])
        head = foot + np.column_stack([np.zeros((40, 2)), random.uniform(0.4, 3.0, 40)])
        (low, is_low), (high, is_high) = eye.project(foot), eye.project(head)
        both = np.concatenate([low, high], axis=1)
        inside = (both > 0.0).all(axis=1) & (both < [*SIZE_WH, *SIZE_WH]).all(axis=1)
        both = both[inside & is_low & is_high] + random.normal(0.0, 0.7, 4)
        count = round(clutter * len(both))
        start = random.uniform([0.0, 100.0], [640.0, 300.0], (count, 2))
        lean = np.column_stack([random.uniform(-14.0, 14.0, count), np.full(count, 40.0)])
        rows.append(np.concatenate([both, np.column_stack([start, start + lean])]) - [*MIDDLE] * 2)
    return rows


@pytest.mark.parametrize(
    ('mount', 'fov_deg'),
    [
        (Mount(x=0.3, z=0.9, pitch=0.2), 75.0),
        (Mount(x=0.3, z=0.9, pitch=0.3, yaw=0.1), 62.0),
        (Mount(x=0.3, z=1.2, pitch=0.25, roll=0.05), 90.0),
    ],
)
def test_what_stands_upright_tells_the_focal_length_of_a_camera_that_looks_down(
    mount: Mount, fov_deg: float
) -> None:
    found = focal_from_uprights(uprights(mount, fov_deg), meeting(mount, fov_deg), SIZE_WH)
    truth = camera(mount, fov_deg).intrinsics.k[0, 0]
    assert found is not None
    assert found.focal_px == pytest.approx(truth, rel=0.06)
    assert abs(found.focal_px - truth) < 2.5 * found.std_px


@pytest.mark.parametrize('pitch', [0.0, 0.02, -0.03])
def test_uprights_of_a_camera_that_looks_level_leave_the_focal_length_unknown(
    pitch: float,
) -> None:
    mount = Mount(x=1.6, z=1.45, pitch=pitch)
    assert focal_from_uprights(uprights(mount, 62.0), meeting(mount, 62.0), SIZE_WH) is None


def test_few_lines_or_lines_that_lean_anyhow_leave_it_unknown() -> None:
    mount = Mount(x=0.3, z=0.9, pitch=0.2)
    lane = meeting(mount, 75.0)
    assert focal_from_uprights(uprights(mount, 75.0, frames=3), lane, SIZE_WH) is None
    assert focal_from_uprights([], lane, SIZE_WH) is None
    anyhow = [row[-len(row) * 4 // 5 :] for row in uprights(mount, 75.0, clutter=4.0)]
    assert focal_from_uprights(anyhow, lane, SIZE_WH) is None


def test_upright_edges_of_a_picture_are_found_from_its_middle_and_flat_ones_are_not() -> None:
    grey = np.full((360, 640), 60, np.uint8)
    grey[80:240, 100:140] = 200
    lines = upright_lines(grey)
    at = sorted(lines[:, [0, 2]].mean(axis=1) + MIDDLE[0])
    assert at == pytest.approx([99.5, 139.5], abs=1.0)  # between two columns
    assert (np.abs(lines[:, 3] - lines[:, 1]) > 140.0).all()
    assert len(upright_lines(np.full((360, 640), 60, np.uint8))) == 0
