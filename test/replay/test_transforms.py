# SPDX-License-Identifier: Apache-2.0
"""The transforms of a recording, as tf2 would chain them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from seg_ros.core.geometry.camera import Mount
from seg_ros.messages.conversions import stamp_ns_of
from seg_ros.messages.mounting import mount_of_transform
from seg_ros.messages.plain import plain_type
from seg_ros.replay.vehicle import TransformTree
from test.replay.recordings import header

OPTICAL = (-0.5, 0.5, -0.5, 0.5)  # z forward, x right, y down in x forward, y left, z up


def link(
    parent: str,
    child: str,
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0),
    xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0),
    stamp_ns: int = 0,
) -> Any:
    made = plain_type('geometry_msgs/msg/TransformStamped')(
        header=header(stamp_ns, parent), child_frame_id=child
    )
    t, q = made.transform.translation, made.transform.rotation
    t.x, t.y, t.z = xyz
    q.x, q.y, q.z, q.w = xyzw
    return plain_type('tf2_msgs/msg/TFMessage')(transforms=[made])


def turned_left(angle_rad: float) -> tuple[float, float, float, float]:
    return 0.0, 0.0, math.sin(angle_rad / 2), math.cos(angle_rad / 2)


def test_a_chain_of_transforms_places_the_camera() -> None:
    tree = TransformTree()
    tree.take(link('base_link', 'mast', (1.0, 0.5, 0.0), turned_left(0.3)), static=True)
    tree.take(link('mast', 'camera', (0.0, 0.0, 1.4)), static=True)
    tree.take(link('camera', 'camera_optical', xyzw=OPTICAL), static=True)
    found = tree.look_up('base_link', 'camera_optical')
    mount = mount_of_transform(found.transform)
    expected = Mount(x=1.0, y=0.5, z=1.4, yaw=0.3)
    for name in ('x', 'y', 'z', 'roll', 'pitch', 'yaw'):
        assert getattr(mount, name) == pytest.approx(getattr(expected, name), abs=1e-9)
    assert stamp_ns_of(found.header) == 0  # it has always been so


def test_frames_on_two_branches_are_connected_through_their_parent() -> None:
    tree = TransformTree()
    tree.take(link('body', 'base_link', (0.0, 0.0, -0.5), turned_left(math.pi / 2)), static=True)
    tree.take(link('body', 'camera', (2.0, 0.0, 1.0), turned_left(math.pi / 2)), static=True)
    found = tree.look_up('base_link', 'camera').transform
    t = found.translation
    assert (t.x, t.y, t.z) == pytest.approx((0.0, -2.0, 1.5))
    assert found.rotation.w == pytest.approx(1.0)


def test_the_oldest_moving_transform_dates_the_chain_and_the_newest_message_counts() -> None:
    tree = TransformTree()
    tree.take(link('odom', 'base_link', (1.0, 0.0, 0.0), stamp_ns=5), static=False)
    tree.take(link('odom', 'base_link', (2.0, 0.0, 0.0), stamp_ns=9), static=False)
    tree.take(link('base_link', 'head', (0.0, 0.0, 1.0), stamp_ns=7), static=False)
    found = tree.look_up('odom', 'head')
    assert found.transform.translation.x == pytest.approx(2.0)
    assert stamp_ns_of(found.header) == 7


def test_frames_that_are_not_connected_are_told() -> None:
    tree = TransformTree()
    tree.take(link('map', 'base_link'), static=True)
    with pytest.raises(LookupError, match='does not connect camera with base_link'):
        tree.look_up('base_link', 'camera')


def test_a_circle_of_transforms_has_an_end() -> None:
    tree = TransformTree()
    tree.take(link('a', 'b'), static=True)
    tree.take(link('b', 'a'), static=True)
    with pytest.raises(LookupError):
        tree.look_up('c', 'a')
