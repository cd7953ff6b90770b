# SPDX-License-Identifier: Apache-2.0
"""Somebody so near that the lower border of the picture cuts the feet."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopDecision
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from seg_ros.core.stop.people import NARROWEST_M, PeopleFinder
from seg_ros.core.stop.zones import ImageZone, Motion
from seg_ros.core.vehicle import CAR
from test.people_scene import LABEL_MAP, MS, PERSON, ROAD, SIZE_WH, SKY

# Field of view in degrees, and mounting
CAMERAS = {
    'windscreen': (62.0, Mount(x=1.6, z=1.45, pitch=0.06)),
    'level': (62.0, Mount(x=1.6, z=1.45)),
    'roof': (62.0, Mount(x=1.2, z=1.9, pitch=0.05)),
    'robot': (90.0, Mount(x=3.0, z=0.9, pitch=0.02)),
    'bumper': (90.0, Mount(x=3.5, z=0.7)),
}
AHEAD_M = (0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0)
OFFSET_M = (-1.4, -1.1, -0.8, -0.4, 0.0, 0.4, 0.8, 1.1, 1.4)
LANE = np.array([(0.0, 0.0), (40.0, 0.0)])
LEAST_SEEN_PX = 400


class View:
    """A camera, its ground, and a road without anybody."""

    def __init__(self, name: str, size_wh: tuple[int, int] = SIZE_WH) -> None:
        fov_deg, mount = CAMERAS[name]
        lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
        # More rows below: what the same lens would see if the picture went on
        lens = CameraIntrinsics(*size_wh, lens.k)
        self.camera = Camera(lens, mount)
        table = self.camera.ground_table()
        self.ground = GroundScale(table)
        self.road = np.where(np.isfinite(table[..., 0]), ROAD, SKY).astype(np.uint8)

    def pixel(self, x: float, y: float, z: float) -> tuple[float, float]:
        across, down, depth, _ = self.camera.optical_from_base @ (x, y, z, 1.0)
        k = self.camera.intrinsics.k
        return k[0, 0] * across / depth + k[0, 2], k[1, 1] * down / depth + k[1, 2]

    def with_person(self, x: float, y: float, height_m: float = 1.7) -> NDArray[np.uint8]:
        labels = self.road.copy()
        size = height_m / 1.7
        for width_m, from_m, to_m in ((0.3, 0.0, 1.4), (0.48, 0.85, 1.4), (0.22, 1.4, 1.7)):
            left, bottom = self.pixel(x, y + 0.5 * size * width_m, size * from_m)
            right, top = self.pixel(x, y - 0.5 * size * width_m, size * to_m)
            corners = (round(left), round(top)), (round(right), round(bottom))
            cv2.rectangle(labels, *corners, PERSON, -1)
        return labels


@lru_cache
def ground_of(name: str, size_wh: tuple[int, int] = SIZE_WH) -> GroundScale:
    return View(name, size_wh).ground


def is_cut(labels: NDArray[np.uint8]) -> bool:
    mask = labels == PERSON
    return bool(mask[-1].any() and np.count_nonzero(mask) >= LEAST_SEEN_PX)


def after_six_frames(
    view: View, config: StopConfig, labels: NDArray[np.uint8], lane: NDArray[np.float64] | None
) -> StopDecision:
    stop = PedestrianStop(config, LABEL_MAP)
    for index in range(1, 7):
        stamp_ns = index * 50 * MS
        stop.odometry(Motion(stamp_ns, 2.0))
        decision = stop.update(labels, stamp_ns, ground=view.ground, lane=lane)
    return decision


@pytest.mark.parametrize('zone', ['lane', 'corridor', 'polygon', 'image'])
@pytest.mark.parametrize('name', CAMERAS)
def test_nobody_at_the_bumper_is_missed_for_being_cut_by_the_border(name: str, zone: str) -> None:
    view = View(name)
    config = replace(StopConfig(), zone='corridor' if zone == 'lane' else zone)
    lane = LANE if zone == 'lane' else None
    places = [(ahead, offset) for ahead in AHEAD_M for offset in OFFSET_M]
    pictures = {place: view.with_person(CAR.front_m + place[0], place[1]) for place in places}
    cut = [place for place in places if is_cut(pictures[place])]
    assert len(cut) >= 15
    missed = [
        place
        for place in cut
        if after_six_frames(view, config, pictures[place], lane).kind
        not in {'person', 'approaching'}
    ]
    assert missed == []


@pytest.mark.parametrize('height_m', [0.82, 1.02, 1.3])
@pytest.mark.parametrize('name', CAMERAS)
def test_no_child_at_the_bumper_is_missed_for_being_narrower_than_a_grown_person(
    name: str, height_m: float
) -> None:
    view = View(name)
    pictures = [
        view.with_person(CAR.front_m + ahead_m, offset_m, height_m)
        for ahead_m in AHEAD_M[::2]
        for offset_m in (-1.4, 0.0, 1.4)
    ]
    cut = [labels for labels in pictures if is_cut(labels)]
    missed = [
        index
        for index, labels in enumerate(cut)
        if after_six_frames(view, StopConfig(), labels, LANE).kind != 'person'
    ]
    assert missed == []


@pytest.mark.parametrize(('rows', 'is_nearer'), [(60, True), (61, False)])
def test_cut_feet_are_at_most_six_widths_of_the_shoulders_below_the_head(
    rows: int, is_nearer: bool
) -> None:
    """By its width alone, a child of 10 columns is further away than the last row."""
    view = View('level')
    labels = view.road.copy()
    labels[-rows:, 300:310] = PERSON
    (person,) = PeopleFinder(LABEL_MAP).find(labels, None, view.ground)
    assert person.feet == 'truncated'
    assert (person.cut_way is not None) is is_nearer


def test_who_has_no_head_in_the_picture_is_not_judged_by_its_height() -> None:
    view = View('level')
    labels = view.road.copy()
    labels[:, 300:370] = PERSON
    (person,) = PeopleFinder(LABEL_MAP).find(labels, None, view.ground)
    nearest = view.ground.below(person.foot_px[0], 70.0 / 0.25)
    assert nearest is not None
    assert person.cut_way is not None
    assert person.cut_way[0] == pytest.approx(nearest.x_m)


@pytest.mark.parametrize('offset_m', [-1.3, 1.3])
@pytest.mark.parametrize('name', ['level', 'roof'])
def test_who_stands_cut_in_the_way_is_not_forgotten_with_time(name: str, offset_m: float) -> None:
    view = View(name)
    labels = view.with_person(CAR.front_m + 0.2, offset_m)
    stop = PedestrianStop(StopConfig(), LABEL_MAP)
    for index in range(1, 60):
        stop.odometry(Motion(index * 50 * MS, 0.0))
        kind = stop.update(labels, index * 50 * MS, ground=view.ground).kind
        assert kind == 'person' or index < 4


def test_who_walks_up_to_the_bumper_and_stays_there_is_not_forgotten_with_time() -> None:
    view = View('level')
    stop = PedestrianStop(StopConfig(), LABEL_MAP)
    kinds = []
    for index in range(1, 240):
        stop.odometry(Motion(index * 50 * MS, 0.0))
        labels = view.with_person(max(8.0 - 0.06 * index, CAR.front_m + 0.2), -1.3)
        kinds.append(stop.update(labels, index * 50 * MS, ground=view.ground).kind)
    assert set(kinds[80:]) <= {'person', 'hold'}


@pytest.mark.parametrize('speed_mps', [1.0, 3.0])
@pytest.mark.parametrize('offset_m', [-2.4, 2.4])
@pytest.mark.parametrize('name', CAMERAS)
def test_who_is_passed_beside_the_way_does_not_stop_when_the_border_cuts_the_feet(
    name: str, offset_m: float, speed_mps: float
) -> None:
    view = View(name)
    stop = PedestrianStop(StopConfig(), LABEL_MAP)
    kinds = []
    for index, x in enumerate(np.arange(12.0, 3.8, -speed_mps * 0.05), 1):
        stop.odometry(Motion(index * 50 * MS, speed_mps))
        labels = view.with_person(float(x), offset_m)
        kinds.append(stop.update(labels, index * 50 * MS, ground=view.ground, lane=LANE).kind)
    assert set(kinds) == {'unproven', 'clear'}


@given(
    name=st.sampled_from(sorted(CAMERAS)),
    u=st.floats(0.0, SIZE_WH[0] - 2.0),
    row=st.integers(SIZE_WH[1] + 1, 2 * SIZE_WH[1] - 2),
)
@settings(max_examples=60, deadline=None)
def test_below_the_picture_the_ground_is_where_a_taller_picture_sees_it(
    name: str, u: float, row: int
) -> None:
    width, height = SIZE_WH
    truth = ground_of(name, (width, 2 * height)).at(u, row)
    assert truth is not None
    found = ground_of(name).below(u, 1.0 / truth.across_m)
    assert found is not None
    assert (found.x_m, found.y_m) == pytest.approx((truth.x_m, truth.y_m), abs=0.02)
    assert found.along_m == pytest.approx(truth.along_m, rel=0.1)
    by_row = ground_of(name).below_row(u, float(row))
    assert by_row is not None
    assert (by_row.x_m, by_row.y_m) == pytest.approx((truth.x_m, truth.y_m), abs=0.02)


def test_a_row_of_the_picture_and_one_below_the_sky_are_not_looked_for_below_it() -> None:
    ground = View('level').ground
    assert ground.below_row(320.0, SIZE_WH[1] - 1.0) is None
    assert ground.below_row(320.0, SIZE_WH[1] + 0.0) is not None
    sky = GroundScale(np.full((36, 64, 2), np.nan, np.float32))
    assert sky.below_row(32.0, 40.0) is None


def test_what_the_picture_shows_itself_is_not_looked_for_below_it() -> None:
    ground = View('level').ground
    assert ground.below(320.0, 0.5 * float(ground.px_per_m[-1, 320])) is None


@pytest.mark.parametrize('x', [3.8, 4.2, 4.8])
def test_the_width_tells_how_near_cut_feet_are(x: float) -> None:
    view = View('level')
    (person,) = PeopleFinder(LABEL_MAP).find(view.with_person(x, 0.4), None, view.ground)
    assert person.feet == 'truncated'
    assert person.cut_way is not None
    x0, _, x1, _ = person.cut_way
    assert x0 < x < x1
    assert x0 < person.x_m <= x1
    assert person.lowest_px > view.pixel(x, 0.4, 0.0)[1]


def test_an_image_zone_goes_on_below_the_picture_along_its_sides() -> None:
    zone = ImageZone((0.3, 1.0, 0.45, 0.6, 0.55, 0.6, 0.7, 1.0))
    size_wh = (100, 100)
    inside = zone.contains(np.array([(25, 98), (25, 110), (75, 110), (2, 105)]), size_wh)
    assert inside.tolist() == [False, True, True, False]
    assert zone.outline().max() == 1.0


def test_an_image_zone_that_ends_above_the_border_ends_there() -> None:
    zone = ImageZone((0.3, 0.9, 0.45, 0.6, 0.55, 0.6, 0.7, 0.9))
    assert not zone.contains(np.array([(50, 110)]), (100, 100)).any()


def test_the_height_tells_how_near_somebody_is_whose_head_is_seen_and_else_the_width_alone() -> (
    None
):
    view = View('bumper')
    labels = view.road.copy()
    labels[:, 280:360] = PERSON
    by_width = view.ground.below(319.5, 80 / NARROWEST_M)
    assert by_width is not None
    (person,) = PeopleFinder(LABEL_MAP).find(labels, None, view.ground)
    assert person.cut_way is not None
    assert person.cut_way[0] == pytest.approx(by_width.x_m, abs=0.01)
    labels[0] = SKY
    (person,) = PeopleFinder(LABEL_MAP).find(labels, None, view.ground)
    assert person.cut_way is not None
    assert person.cut_way[0] < by_width.x_m - 0.1
