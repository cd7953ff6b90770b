# SPDX-License-Identifier: Apache-2.0
"""Clear needs a zone that is in the picture and seen as ground."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopDecision, StopKind
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from seg_ros.core.stop.sight import ZoneSight, ZoneWatch
from seg_ros.core.stop.vehicle_stop import VehicleStop
from seg_ros.core.stop.zones import CorridorZone, ImageZone, PolygonZone
from seg_ros.core.types import NetworkView
from seg_ros.decisions import CameraDecisions
from test.people_scene import (
    CAR,
    LABEL_MAP,
    MOUNT,
    MS,
    PAVEMENT,
    PERSON,
    ROAD,
    SIZE_WH,
    add_box,
    camera,
    empty_road,
    frame_with,
)
from test.through_perception import decided

CONFIG = StopConfig(min_contrast=0.0, frozen_timeout_s=0.0)
ROWS = np.arange(SIZE_WH[1])[:, None] / SIZE_WH[1]
UNLABELLED = 255


def focal(fx: float) -> CameraIntrinsics:
    k = np.array([[fx, 0.0, 319.5], [0.0, fx, 179.5], [0.0, 0.0, 1.0]])
    return CameraIntrinsics(*SIZE_WH, k)


def kinds(
    labels: NDArray[np.uint8],
    seen_by: Camera | None = None,
    config: StopConfig = CONFIG,
    label_map: LabelMap = LABEL_MAP,
) -> Iterator[StopDecision]:
    """What is decided about the same picture again and again, 20 times a second."""
    decisions = CameraDecisions(NodeConfig(stop=config), label_map)
    decisions.calibrate(seen_by)
    view = NetworkView(np.zeros((*labels.shape, 3), np.uint8), labels)
    for index in range(1000):
        found = decided(decisions, view, 100_000 * MS + index * 50 * MS, {'lane', 'stop'}).stop
        assert found is not None
        yield found


def kind_of(
    labels: NDArray[np.uint8], seen_by: Camera | None = None, config: StopConfig = CONFIG
) -> StopKind:
    """What it is once it has settled."""
    stream = kinds(labels, seen_by, config)
    return [next(stream) for _ in range(12)][-1].kind


@pytest.mark.parametrize('seen_by', [None, camera()])
def test_a_road_in_view_is_clear(seen_by: Camera | None) -> None:
    assert kind_of(empty_road(), seen_by) == 'clear'


@pytest.mark.parametrize(
    ('subject', 'kind'),
    [
        (Camera(focal(1e5), MOUNT), 'no_geometry'),
        (Camera(focal(5000.0), MOUNT), 'zone_not_in_view'),
        (Camera(focal(530.0), replace(MOUNT, z=100.0)), 'no_geometry'),
        (Camera(focal(530.0), replace(MOUNT, z=9.0)), 'zone_not_in_view'),
        (Camera(focal(530.0), replace(MOUNT, yaw=1.6)), 'zone_not_in_view'),
        (Camera(focal(530.0), replace(MOUNT, yaw=0.6)), 'zone_not_in_view'),
        (Camera(focal(530.0), replace(MOUNT, pitch=-0.2)), 'zone_not_in_view'),
        (Camera(focal(530.0), replace(MOUNT, pitch=-0.6)), 'no_geometry'),
        (Camera(focal(530.0), replace(MOUNT, pitch=0.9)), 'zone_not_in_view'),
    ],
)
@pytest.mark.parametrize('required', [False, True])
def test_a_camera_that_does_not_see_the_zone_proves_nothing(
    subject: Camera, kind: str, required: bool
) -> None:
    road = np.full(SIZE_WH[::-1], ROAD, np.uint8)
    assert kind_of(road, subject, replace(CONFIG, require_geometry=required)) == kind


@pytest.mark.parametrize('zone', ['corridor', 'polygon'])
@pytest.mark.parametrize(
    'mount',
    [MOUNT, Mount(x=0.4, y=0.3, z=1.05, roll=0.02, pitch=0.02, yaw=-0.03), Mount(1.2, z=2.6,
     pitch=0.15)],
)  # fmt: skip
def test_usual_mountings_see_the_zone(mount: Mount, zone: str) -> None:
    subject = Camera(CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(62.0)), mount)
    road = np.full(SIZE_WH[::-1], ROAD, np.uint8)
    assert kind_of(road, subject, replace(CONFIG, zone=zone)) == 'clear'


def test_the_numbers_of_what_is_not_in_view_stand_in_the_reason() -> None:
    level = Camera(focal(530.0), replace(MOUNT, pitch=-0.2))
    *_, last = (row for row, _ in zip(kinds(empty_road(), level), range(12), strict=False))
    assert 'm are not in the picture, more than stop.max_blind_m 3.0 m' in last.reason


ROAD_HIDDEN = {
    'all of it is unlabelled': np.full(SIZE_WH[::-1], UNLABELLED, np.uint8),
    'all of it is pavement': np.full(SIZE_WH[::-1], PAVEMENT, np.uint8),
    'all of it is a car': np.full(SIZE_WH[::-1], CAR, np.uint8),
    'the lower 60 % are covered': np.where(ROWS > 0.4, UNLABELLED, empty_road()),
    'the lower fifth is covered': np.where(ROWS > 0.8, CAR, empty_road()),
    'all but the near edge is covered': np.where(ROWS < 0.8, UNLABELLED, empty_road()),
}


@pytest.mark.parametrize('seen_by', [None, camera()], ids=['picture', 'ground'])
@pytest.mark.parametrize('name', ROAD_HIDDEN)
def test_a_zone_that_is_not_seen_as_ground_proves_nothing(
    name: str, seen_by: Camera | None
) -> None:
    assert kind_of(ROAD_HIDDEN[name].astype(np.uint8), seen_by) == 'ground_not_seen'


@pytest.mark.parametrize('seen_by', [None, camera()], ids=['picture', 'ground'])
def test_what_is_behind_a_visible_obstacle_need_not_be_seen(seen_by: Camera | None) -> None:
    labels = add_box(empty_road(), 11.0, 0.0, CAR, width_m=4.0, to_m=2.5)
    assert kind_of(labels, seen_by) == 'clear'


def test_pavement_is_ground_for_a_robot_that_drives_on_it() -> None:
    pavement = np.where(empty_road() == ROAD, PAVEMENT, empty_road()).astype(np.uint8)
    assert kind_of(pavement, camera()) == 'ground_not_seen'
    assert kind_of(pavement, camera(), replace(CONFIG, walkable_is_ground=True)) == 'clear'


def test_a_flicker_is_no_fault_and_blindness_is_one_after_the_stale_timeout() -> None:
    decisions = CameraDecisions(NodeConfig(stop=CONFIG), LABEL_MAP)
    decisions.calibrate(camera())
    stamp_ns = 100_000 * MS
    blind = np.full(SIZE_WH[::-1], UNLABELLED, np.uint8)

    def after(labels: NDArray[np.uint8], count: int) -> list[str]:
        nonlocal stamp_ns
        rows = []
        for _ in range(count):
            stamp_ns += 50 * MS
            view = NetworkView(np.zeros((*labels.shape, 3), np.uint8), labels)
            stop = decided(decisions, view, stamp_ns, {'lane', 'stop'}).stop
            assert stop is not None
            rows.append(str(stop.kind))
        return rows

    assert after(empty_road(), 5)[-1] == 'clear'
    assert set(after(blind, 9)) == {'clear'}
    assert set(after(empty_road(), 3)) == {'clear'}
    assert after(blind, 12)[-2:] == ['ground_not_seen'] * 2
    assert after(empty_road(), 4) == ['unproven', 'unproven', 'clear', 'clear']


def test_somebody_in_the_zone_is_the_reason_even_where_the_ground_is_hidden() -> None:
    labels = frame_with((6.2, 0.0))
    labels[labels == ROAD] = UNLABELLED
    assert kind_of(labels, camera()) == 'person'


def test_the_own_vehicle_is_neither_a_person_nor_ground() -> None:
    labels = empty_road()
    labels[290:, 150:490] = PERSON  # a bonnet, taken for somebody
    mask = (0.2, 0.8, 0.8, 0.8, 0.8, 1.0, 0.2, 1.0)
    assert kind_of(labels) == 'person'
    assert kind_of(labels, None, replace(CONFIG, ego_mask=mask)) == 'clear'
    assert kind_of(labels, camera(), replace(CONFIG, ego_mask=mask, max_blind_m=6.0)) == 'clear'
    road = np.full(SIZE_WH[::-1], ROAD, np.uint8)
    all_of_it = (0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0)
    assert kind_of(road, None, replace(CONFIG, ego_mask=all_of_it)) == 'ground_not_seen'


def test_a_mask_of_the_own_vehicle_has_three_corners_in_the_picture() -> None:
    with pytest.raises(ConfigurationError, match=r'stop\.ego_mask has 4 numbers'):
        StopConfig(ego_mask=(0.0, 0.0, 1.0, 1.0))
    with pytest.raises(ConfigurationError, match=r'stop\.ego_mask .* from 0 to 1'):
        StopConfig(ego_mask=(0.0, 0.0, 2.0, 1.0, 0.0, 1.0))


def test_an_engine_without_ground_says_what_to_do() -> None:
    people_only = LabelMap((LabelClass(PERSON, 'person', (1, 1, 1), ('pedestrian',)),))
    stop = PedestrianStop(CONFIG, people_only)
    for index in range(12):
        decision = stop.update(empty_road(), (index + 1) * 50 * MS)
    assert decision.kind is StopKind.GROUND_NOT_SEEN
    assert 'set stop.min_ground_share to 0' in decision.reason


def test_a_limit_of_zero_asks_for_no_ground_and_no_view() -> None:
    blind = np.full(SIZE_WH[::-1], UNLABELLED, np.uint8)
    lax = replace(CONFIG, min_ground_share=0.0, min_zone_in_view=0.0)
    assert kind_of(blind, None, lax) == 'clear'
    assert kind_of(blind, camera(), lax) == 'clear'


def test_the_points_of_a_corridor_lie_in_it_from_the_near_edge_on() -> None:
    bend = np.array([(0.0, 0.0), (10.0, 0.0), (18.0, 4.0), (22.0, 10.0)])
    zone = CorridorZone(bend, 1.5, 20.0)
    cells = zone.cells(3.6, 7)
    assert cells.shape[1:] == (7, 2)
    assert zone.contains(cells.reshape(-1, 2)).mean() > 0.98  # the rest: outside of a bend
    assert cells[0, :, 0].max() < 4.2
    assert cells[0, 0, 1] > cells[0, -1, 1]  # from the left


@pytest.mark.parametrize('side', [(6.0, 0.0), (-6.0, 0.0), (0.0, 6.0), (0.0, -6.0)])
def test_the_points_of_a_polygon_begin_at_the_vehicle(side: tuple[float, float]) -> None:
    corners = np.array([(-2, -1), (2, -1), (2, 1), (-2, 1)]) + np.array(side)
    zone = PolygonZone(corners)
    cells = zone.cells(0.0, 5)
    assert zone.contains(cells.reshape(-1, 2)).all()
    first, last = np.hypot(*cells[0, 2]), np.hypot(*cells[-1, 2])
    assert first < last


def test_the_points_of_an_image_zone_begin_at_its_lower_edge() -> None:
    zone = ImageZone(CONFIG.image_polygon)
    cells = zone.cells(16, 7)
    assert zone.contains(cells.reshape(-1, 2) * 1000.0 - 0.5, (1000, 1000)).all()
    assert cells[0, 0, 1] > 0.95
    assert np.ptp(cells[0, :, 0]) > np.ptp(cells[-1, :, 0])


class Says:
    def __init__(self, kind: StopKind) -> None:
        self.kind = kind

    def check(self, now_ns: int, steady_ns: int | None = None) -> StopDecision:
        stop = self.kind is not StopKind.CLEAR
        return StopDecision(stop, self.kind, self.kind.meaning, None, 'corridor', now_ns)


@pytest.mark.parametrize(
    ('front', 'left', 'stops'),
    [
        ('clear', 'zone_not_in_view', False),
        ('zone_not_in_view', 'zone_not_in_view', True),
        ('clear', 'person', True),
        ('clear', 'ground_not_seen', True),
        ('stale', 'zone_not_in_view', True),
    ],
)
def test_a_camera_that_looks_elsewhere_leaves_the_zone_to_those_that_see_it(
    front: str, left: str, stops: bool
) -> None:
    cameras = {'front': Says(StopKind(front)), 'left': Says(StopKind(left))}
    assert VehicleStop(cameras).check(0).stop is stops


def test_the_watch_costs_nothing_to_speak_of_and_knows_what_it_saw() -> None:
    watch = ZoneWatch(CONFIG, LABEL_MAP)
    zone = CorridorZone(np.array([(0.0, 0.0), (30.0, 0.0)]), 1.5, 22.0)
    sight = watch.look(empty_road(), zone, camera())
    assert 1.0 < sight.blind_m < 2.5
    assert sight.in_view == pytest.approx(1.0)
    assert sight.ground == sight.near_ground == 1.0
    assert GroundScale(camera().ground_table()).is_known


@pytest.mark.parametrize(
    ('sight', 'is_enough'),
    [
        (ZoneSight(CONFIG.max_blind_m, 1.0, 1.0, 1.0), True),
        (ZoneSight(CONFIG.max_blind_m + 0.01, 1.0, 1.0, 1.0), False),
        (ZoneSight(0.0, CONFIG.min_zone_in_view, 1.0, 1.0), True),
        (ZoneSight(0.0, CONFIG.min_zone_in_view - 0.01, 1.0, 1.0), False),
        (ZoneSight(0.0, 1.0, CONFIG.min_ground_share, 1.0), True),
        (ZoneSight(0.0, 1.0, CONFIG.min_ground_share - 0.01, 1.0), False),
        (ZoneSight(0.0, 1.0, 1.0, CONFIG.min_ground_share), True),
        (ZoneSight(0.0, 1.0, 1.0, CONFIG.min_ground_share - 0.01), False),
    ],
)
def test_what_is_seen_of_a_zone_is_enough_up_to_each_limit_itself(
    sight: ZoneSight, is_enough: bool
) -> None:
    assert (ZoneWatch(CONFIG, LABEL_MAP).fault(sight) is None) == is_enough
