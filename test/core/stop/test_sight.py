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
from seg_ros.core.stop.decision import NearestPerson, StopDecision, StopKind
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from seg_ros.core.stop.sight import ZoneSight, ZoneWatch, _row_distances
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


def test_a_mask_of_the_left_half_hides_half_of_the_columns() -> None:
    half = replace(CONFIG, ego_mask=(0.0, 0.0, 0.5, 0.0, 0.5, 1.0, 0.0, 1.0))
    road = np.full((10, 10), ROAD, np.uint8)
    seen = ZoneWatch(half, LABEL_MAP).without_vehicle(road, 255)
    assert (seen == 255).all(axis=0).tolist() == [True] * 5 + [False] * 5


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


def watch(labels_map: LabelMap = LABEL_MAP, **changes: object) -> ZoneWatch:
    return ZoneWatch(replace(CONFIG, **changes), labels_map)  # type: ignore[arg-type]


AHEAD = CorridorZone(np.array([(0.0, 0.0), (60.0, 0.0)]), 1.5, 19.6)  # 32 rows from 3.6 m on


@pytest.mark.parametrize(('rows', 'blind_m', 'in_view'), [(0, 0.0, 1.0), (60, 0.8, 1.0)])
def test_how_much_of_the_near_edge_is_below_the_picture_is_told_in_metres(
    rows: int, blind_m: float, in_view: float
) -> None:
    """Half a metre a row of points: the first ground that a lower border leaves in the picture."""
    seen = watch(max_blind_m=8.0).look(
        empty_road()[: 360 - rows], AHEAD, lower_border_at(360 - rows)
    )
    first = first_ground_m(360 - rows) - 3.6
    assert first - 0.5 <= seen.blind_m <= max(first, 0.0) + 0.5
    assert seen.in_view == in_view
    assert blind_m <= seen.blind_m + 0.8


def lower_border_at(rows: int) -> Camera:
    """The camera of the scene, with fewer rows below."""
    intrinsics = camera().intrinsics
    return Camera(CameraIntrinsics(SIZE_WH[0], rows, intrinsics.k), MOUNT)


def first_ground_m(rows: int) -> float:
    return float(lower_border_at(rows).ground_table()[-1, 320, 0])


@pytest.mark.parametrize(
    ('max_blind_m', 'rows', 'of'), [(3.0, 14, 26), (1.5, 17, 29), (9.9, 0, 12)]
)
def test_the_share_in_view_is_of_what_is_beyond_the_blind_metres(
    max_blind_m: float, rows: int, of: int
) -> None:
    """All that is further away than 13.6 m is hidden: of 32 rows of points the last 12."""
    ((_, v),) = camera().project([[13.6, 0.0, 0.0]])[0]
    hidden = (0.0, 0.0, 1.0, 0.0, 1.0, v / 360.0, 0.0, v / 360.0)
    subject = watch(max_blind_m=max_blind_m, ego_mask=hidden)
    assert subject.look(empty_road(), AHEAD, camera()).in_view == pytest.approx(rows / of)


def test_nothing_beyond_the_blind_metres_is_all_of_it() -> None:
    assert watch(max_blind_m=50.0).look(empty_road(), AHEAD, camera()).in_view == 1.0


def picture_zone() -> ImageZone:
    """All of the picture: its points are in 16 rows and 7 columns, the lowest row first."""
    return ImageZone((0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ('above', 'ground', 'near'),
    [(0.0, 1.0, 1.0), (0.25, 0.75, 1.0), (0.75, 0.25, 1.0), (0.875, 0.125, 0.5), (1.0, 0.0, 0.0)],
)
def test_ground_is_counted_in_all_of_the_zone_and_in_its_nearest_quarter(
    above: float, ground: float, near: float
) -> None:
    labels = np.full((160, 70), ROAD, np.uint8)
    labels[: round(above * 160)] = UNLABELLED
    sight = watch().look_at_picture(labels, picture_zone())
    assert (sight.in_view, sight.ground, sight.near_ground) == pytest.approx((1.0, ground, near))
    assert math.isnan(sight.blind_m)


def test_what_is_behind_an_obstacle_is_not_asked_and_in_front_of_it_it_is() -> None:
    labels = np.full((160, 70), ROAD, np.uint8)
    labels[80:90] = CAR  # the eighth row of points from below
    labels[:80] = UNLABELLED
    assert watch().look_at_picture(labels, picture_zone()).ground == 1.0
    labels[120:130] = UNLABELLED
    assert watch().look_at_picture(labels, picture_zone()).ground == pytest.approx(6 / 7)
    labels[80:90, 10:] = UNLABELLED  # it hides one column only
    assert watch().look_at_picture(labels, picture_zone()).ground == pytest.approx(
        (6 * 7) / (7 * 7 + 9 * 6)
    )


@pytest.mark.parametrize('meaning', [CAR, PERSON, 2, 10])
def test_whoever_and_whatever_stands_there_is_an_obstacle(meaning: int) -> None:
    labels = np.full((160, 70), UNLABELLED, np.uint8)
    labels[150:] = ROAD
    labels[140:150] = meaning
    assert watch().look_at_picture(labels, picture_zone()).ground == 1.0


@pytest.mark.parametrize(
    ('corner', 'region'),
    [((0.0, 0.0), 0), ((0.76, 0.0), 3), ((0.26, 0.51), 9), ((0.0, 0.76), 12), ((0.76, 0.76), 15)],
)
def test_a_zone_is_in_the_regions_of_the_picture_in_which_its_points_are(
    corner: tuple[float, float], region: int
) -> None:
    """Four by four regions, numbered row by row from the upper left."""
    u, v = corner
    zone = ImageZone((u, v, u + 0.23, v, u + 0.23, v + 0.23, u, v + 0.23))
    subject = watch()
    assert subject.regions == ()
    subject.look_at_picture(np.full((160, 70), ROAD, np.uint8), zone)
    assert subject.regions == (region,)


def test_a_region_with_a_twentieth_of_the_points_counts_for_nothing() -> None:
    """The upper border of the zone is in 16 points of 112 above the middle, or in 5."""
    for top, regions in ((0.4, (5, 6, 9, 10)), (0.49, (9, 10))):
        zone = ImageZone((0.3, top, 0.7, top, 0.7, 0.74, 0.3, 0.74))
        subject = watch()
        subject.look_at_picture(np.full((400, 400), ROAD, np.uint8), zone)
        assert subject.regions == regions


def test_a_point_on_the_border_of_the_picture_is_in_it_and_one_beyond_is_not() -> None:
    labels = np.full((10, 10), ROAD, np.uint8)
    pixels = np.array([[[-0.5, 4.0], [-0.6, 4.0], [9.4, 4.0], [9.5, 4.0]]])
    for swapped in (False, True):
        at = pixels[..., ::-1] if swapped else pixels
        in_view, _ = watch()._at(labels, np.ascontiguousarray(at))
        assert in_view.tolist() == [[True, False, True, False]]


def test_a_point_is_what_the_label_at_its_pixel_says() -> None:
    labels = np.full((10, 20), UNLABELLED, np.uint8)
    labels[3, 12], labels[9, 19], labels[0, 0] = ROAD, CAR, PAVEMENT
    pixels = np.array([[[12.0, 3.0], [19.0, 9.0], [0.0, 0.0], [11.4, 3.0], [12.4, 3.4]]])
    meanings = watch()._at(labels, pixels)[1]
    assert meanings.tolist() == [[1, 2, 0, 0, 1]]
    assert watch(walkable_is_ground=True)._at(labels, pixels)[1].tolist() == [[1, 2, 1, 0, 1]]


def test_the_own_vehicle_is_cut_out_of_labels_where_its_mask_is_and_nowhere_else() -> None:
    mask = (0.25, 0.5, 0.75, 0.5, 0.75, 1.0, 0.25, 1.0)
    labels = np.full((100, 200), ROAD, np.uint8)
    subject = watch(ego_mask=mask)
    for shape in ((100, 200), (50, 80), (100, 200)):
        cut = subject.without_vehicle(labels[: shape[0], : shape[1]], UNLABELLED)
        hidden = np.argwhere(cut == UNLABELLED)
        rows, columns = shape
        assert hidden.min(axis=0) == pytest.approx([0.5 * rows, 0.25 * columns], abs=1)
        assert hidden.max(axis=0) == pytest.approx([rows - 1, 0.75 * columns], abs=1)
        assert set(np.unique(cut)) == {ROAD, UNLABELLED}
    assert (labels == ROAD).all()  # those that came are not changed
    assert watch().without_vehicle(labels, UNLABELLED) is labels


def test_a_vehicle_that_was_found_is_taken_unless_the_mask_was_given() -> None:
    found = (0.0, 0.5, 1.0, 0.5, 1.0, 1.0, 0.0, 1.0)
    labels = np.full((100, 200), ROAD, np.uint8)
    subject = watch()
    subject.take_vehicle(found)
    assert (subject.without_vehicle(labels, UNLABELLED)[60:] == UNLABELLED).all()
    subject.take_vehicle(())
    assert subject.without_vehicle(labels, UNLABELLED) is labels
    given = watch(ego_mask=(0.0, 0.9, 1.0, 0.9, 1.0, 1.0))
    given.take_vehicle(found)
    assert (given.without_vehicle(labels, UNLABELLED)[:85] == ROAD).all()


def test_behind_a_mask_the_zone_is_not_in_view() -> None:
    labels = np.full((160, 70), ROAD, np.uint8)
    labels[80:] = UNLABELLED
    subject = watch(ego_mask=(0.0, 0.5, 1.0, 0.5, 1.0, 1.0, 0.0, 1.0))
    sight = subject.look_at_picture(labels, picture_zone())
    assert (sight.ground, sight.near_ground) == (1.0, 1.0)


def test_a_row_counts_as_seen_when_half_of_what_the_zone_has_in_it_is() -> None:
    """The left half of the picture is the own vehicle: of seven points three or four are left."""
    for hidden, sees in ((0.44, True), (0.56, False)):
        subject = watch(ego_mask=(0.0, 0.0, hidden, 0.0, hidden, 1.0, 0.0, 1.0))
        narrow = CorridorZone(np.array([(0.0, 0.0), (60.0, 0.0)]), 0.2, 19.6)
        wide = CorridorZone(np.array([(0.0, 0.0), (60.0, 0.0)]), 3.0, 10.0)
        assert math.isfinite(subject.look(empty_road(), narrow, camera()).blind_m) is sees
        assert subject.look(empty_road(), wide, camera()).in_view < 1.0


def distances(cells: NDArray[np.float64]) -> list[float]:
    return _row_distances(cells, np.isfinite(cells[..., 0]).sum(axis=1).tolist())


def test_the_rows_of_a_zone_are_so_far_from_its_near_edge() -> None:
    np.testing.assert_allclose(distances(AHEAD.cells(3.6, 7)), 0.5 * np.arange(32))
    np.testing.assert_allclose(distances(AHEAD.cells(19.6, 7)), [0.0])


def test_points_that_are_not_of_the_zone_move_no_row_of_it() -> None:
    cells = np.full((4, 2, 2), np.nan)  # the first row is not of it at all, the next one in part
    cells[1, 1], cells[2], cells[3] = (4.0, 1.0), [(5.5, 2.0), (5.5, 0.0)], (7.0, 1.0)
    np.testing.assert_allclose(distances(cells), 1.5 * np.arange(4))


def test_without_a_limit_nobody_asks_for_ground_and_at_the_limit_it_is_enough() -> None:
    people_only = LabelMap((LabelClass(PERSON, 'person', (1, 1, 1), ('pedestrian',)),))
    sight = ZoneSight(math.nan, 1.0, 0.0, 0.0)
    assert watch(people_only, min_ground_share=0.0).fault(sight) is None
    fault = watch(people_only).fault(sight)
    assert fault is not None
    assert 'no class with the role drivable or lane' in fault.reason
    fault = watch().fault(ZoneSight(0.0, 1.0, 0.25, 0.75))
    assert fault is not None
    assert fault.reason == (
        '25% of the zone is seen as ground, 75% at its near edge, less than 50%'
    )


def test_the_reason_says_whether_no_ground_is_seen_or_how_much_of_it_is_not() -> None:
    for blind_m, words in ((math.inf, 'no ground of it is'), (4.25, 'its first 4.2 m are not')):
        fault = watch().fault(ZoneSight(blind_m, 1.0, 1.0, 1.0))
        assert fault is not None
        assert fault.reason.startswith(words)


class At:
    """A camera that says this of a vehicle, as far away as that."""

    def __init__(self, kind: StopKind, distance_m: float | None = None) -> None:
        self.kind, self.distance_m, self.steady_ns = kind, distance_m, None

    def check(self, now_ns: int, steady_ns: int | None = None) -> StopDecision:
        someone = None
        if self.distance_m is not None:
            someone = NearestPerson(1, self.distance_m, 0.0, 0.0)
        stop = self.kind is not StopKind.CLEAR
        return StopDecision(stop, self.kind, self.kind.meaning, someone, 'corridor', 7)


@pytest.mark.parametrize(
    ('says', 'speaks'),
    [
        ({'a': At(StopKind.CLEAR), 'b': At(StopKind.STALE)}, 'b'),
        ({'a': At(StopKind.STALE), 'b': At(StopKind.HOLD)}, 'b'),
        ({'a': At(StopKind.HOLD, 1.0), 'b': At(StopKind.APPROACHING, 9.0)}, 'b'),
        ({'a': At(StopKind.PERSON, 9.0), 'b': At(StopKind.PERSON, 4.0)}, 'b'),
        ({'a': At(StopKind.PERSON), 'b': At(StopKind.PERSON, 40.0)}, 'b'),
        ({'a': At(StopKind.CLEAR, 9.0), 'b': At(StopKind.CLEAR, 4.0)}, 'b'),
    ],
)
def test_of_several_cameras_the_one_with_the_nearest_danger_speaks(
    says: dict[str, At], speaks: str
) -> None:
    for order in (says, dict(reversed(says.items()))):
        assert VehicleStop(order).check(0).camera == speaks


def test_a_vehicle_stops_since_the_first_camera_did_and_time_that_steps_back_begins_anew() -> None:
    cameras = {'a': At(StopKind.CLEAR), 'b': At(StopKind.CLEAR)}
    vehicle = VehicleStop(cameras)
    since = []
    for now_ns, kinds_ in (
        (10, 'clear clear'), (20, 'clear stale'), (30, 'person stale'), (40, 'person clear'),
        (50, 'clear clear'), (60, 'clear clear'), (5, 'clear clear'), (6, 'clear clear'),
    ):  # fmt: skip
        for subject, kind in zip(cameras.values(), kinds_.split(), strict=True):
            subject.kind = StopKind(kind)
        since.append(vehicle.check(now_ns).decision.since_ns)
    assert since == [10, 20, 20, 20, 50, 50, 5, 5]
    assert VehicleStop({}).check(3).decision.since_ns == 3


def test_a_mask_may_be_a_triangle() -> None:
    labels = np.full((100, 200), ROAD, np.uint8)
    cut = watch(ego_mask=(0.0, 1.0, 0.5, 0.5, 1.0, 1.0)).without_vehicle(labels, UNLABELLED)
    assert 0.2 < (cut == UNLABELLED).mean() < 0.3


def test_a_point_of_an_image_zone_is_the_pixel_in_which_it_lies() -> None:
    labels = np.full((160, 70), UNLABELLED, np.uint8)
    labels[5::10, 5::10] = ROAD  # the middles of 16 rows and 7 columns
    assert watch().look_at_picture(labels, picture_zone()).ground == 1.0
