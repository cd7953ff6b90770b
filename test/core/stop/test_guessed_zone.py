# SPDX-License-Identifier: Apache-2.0
"""The zone of a camera that nobody has calibrated."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.ground_borders import GroundBorders
from seg_ros.core.stop.guessed_zone import (
    LEAST_LOOKS,
    UPRIGHT_M,
    GuessedZone,
    UprightWay,
    _lane_of,
    _lines_of,
)
from seg_ros.core.stop.pedestrian_stop import PedestrianStop, _is_in_way, _stands_in
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.zones import ImageZone, Motion
from test.people_scene import LABEL_MAP, MS, PAVEMENT, PERSON, ROAD, SIZE_WH, SKY

LANE = 11
WITH_LANE = LabelMap(
    (*LABEL_MAP.classes, LabelClass(LANE, 'lane', (1, 1, 1), ('lane', 'drivable')))
)
# Field of view in degrees, height of the lens, pitch
CAMERAS = {
    'car': (62.0, 1.45, 0.06),
    'level': (62.0, 1.45, 0.0),
    'wide': (90.0, 1.3, 0.05),
    'widest': (118.0, 1.3, 0.05),
    'tele': (45.0, 1.6, 0.03),
    'bus': (80.0, 2.4, 0.12),
}
STOPPING_M = 20.0


def camera_of(name: str) -> Camera:
    fov_deg, z, pitch = CAMERAS[name]
    lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
    return Camera(lens, Mount(z=z, pitch=pitch))


def lane_labels(camera: Camera, offset_m: float = 0.3, width_m: float = 3.5) -> NDArray[np.uint8]:
    """A straight lane; the vehicle is so far left of its middle."""
    table = camera.ground_table(SIZE_WH)
    labels = np.where(np.isfinite(table[..., 0]), ROAD, SKY).astype(np.uint8)
    for line_m in (0.5 * width_m - offset_m, -0.5 * width_m - offset_m):
        near = (np.abs(table[..., 1] - line_m) < 0.12) & (table[..., 0] < 40.0)
        labels[near] = LANE
    return labels


def looked(labels: NDArray[np.uint8], looks: int = LEAST_LOOKS) -> ImageZone | None:
    guessed = GuessedZone((LANE,), 1.5)
    for index in range(looks):
        guessed.look(labels, index * 200 * MS)
    return guessed.zone(STOPPING_M, SIZE_WH)


@pytest.mark.parametrize('name', CAMERAS)
def test_the_sides_of_the_zone_are_those_of_the_corridor_along_the_lane(name: str) -> None:
    camera, offset_m = camera_of(name), 0.3
    zone = looked(lane_labels(camera, offset_m))
    assert zone is not None
    for x_m in (8.0, 12.0, 18.0):
        for inside, sides_m in ((True, (-1.35, 1.35)), (False, (-1.65, 1.65))):
            points = np.array([[x_m, side - offset_m, 0.0] for side in sides_m])
            pixels = camera.project(points)[0]
            in_picture = (pixels[:, 1] < SIZE_WH[1]) & (np.abs(pixels[:, 0] - 320.0) < 320.0)
            assert (zone.contains(pixels, SIZE_WH)[in_picture] == inside).all(), (x_m, sides_m)


@pytest.mark.parametrize('name', CAMERAS)
def test_no_lens_sees_the_stopping_distance_beyond_the_zone(name: str) -> None:
    camera = camera_of(name)
    zone = looked(lane_labels(camera))
    assert zone is not None
    ((_, at_stopping_distance),) = camera.project([[STOPPING_M, -0.3, 0.0]])[0]
    assert zone.outline()[:, 1].max() == pytest.approx(1.0)  # it ends with the picture
    far_row = zone.outline()[:, 1].min() * SIZE_WH[1]
    assert far_row <= at_stopping_distance + 1.0
    horizon = camera.project([[1e5, 0.0, 0.0]])[0][0, 1]
    assert far_row > horizon + 2.0


def test_without_a_lane_or_with_too_few_looks_nobody_knows() -> None:
    labels = lane_labels(camera_of('car'))
    assert looked(labels, LEAST_LOOKS - 1) is None
    assert looked(np.where(labels == LANE, np.uint8(ROAD), labels)) is None
    one_line = labels.copy()
    one_line[:, 320:][one_line[:, 320:] == LANE] = ROAD
    assert looked(one_line) is None


def test_the_same_frame_again_is_no_other_look() -> None:
    guessed = GuessedZone((LANE,), 1.5)
    for _ in range(LEAST_LOOKS):
        guessed.look(lane_labels(camera_of('car')), 0)
    assert guessed.zone(STOPPING_M, SIZE_WH) is None


def test_pictures_that_disagree_about_the_horizon_tell_nothing() -> None:
    guessed = GuessedZone((LANE,), 1.5)
    for index in range(10):
        pitched = replace(camera_of('car').mount, pitch=0.02 + 0.02 * (index % 5))
        labels = lane_labels(Camera(camera_of('car').intrinsics, pitched))
        guessed.look(labels, index * 200 * MS)
    assert guessed.zone(STOPPING_M, SIZE_WH) is None


@pytest.mark.parametrize(('adapts', 'kind'), [(True, 'person'), (False, 'clear')])
def test_a_camera_that_looks_down_is_stopped_by_who_is_above_the_given_zone(
    adapts: bool, kind: str
) -> None:
    config = replace(StopConfig(), image_zone_adapts=adapts)
    stop = PedestrianStop(config, WITH_LANE)
    fov_deg, z, _ = CAMERAS['car']
    lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
    empty = lane_labels(Camera(lens, Mount(z=z, pitch=0.15)), offset_m=0.0)
    someone = empty.copy()
    someone[86:184, 305:335] = PERSON  # 9 m ahead; the given zone begins at row 202
    for index in range(40):
        stop.odometry(Motion(index * 50 * MS, 8.0))
        shown = someone if index > 30 else empty
        decision = stop.update(shown, index * 50 * MS, no_ground='the mounting is not known')
    assert decision.kind == kind
    assert decision.guess == 'the mounting is not known'
    named = 'image zone by the lane markings' if adapts else 'image zone'
    assert decision.zone == named


def test_the_lane_is_between_the_lines_that_are_nearest_in_the_lowest_row() -> None:
    """Lines that meet at (100, 40): at the bottom, row 99, they are at these columns."""
    columns = (30.0, 70.0, 130.0, 190.0)
    slopes = [(column - 100.0) / 59.0 for column in columns]
    lines = np.array([[100.0 - 40.0 * slope, slope, 100.0] for slope in slopes])
    found = _lane_of(lines, (200, 100))
    assert found == pytest.approx((100.0, 40.0, slopes[1], slopes[2]))


def lines_to(
    columns: tuple[float, ...], meet: tuple[float, float] = (100.0, 40.0)
) -> NDArray[np.float64]:
    """Lines that meet there, at these columns in the lowest row of 100."""
    u, v = meet
    slopes = [(column - u) / (99.0 - v) for column in columns]
    return np.array([[u - v * slope, slope, 100.0] for slope in slopes])


def test_the_lane_of_a_vehicle_beside_the_horizon_is_where_the_middle_of_the_picture_is() -> None:
    """They meet at a quarter of the width; the vehicle drives at column 100 of the lowest row."""
    found = _lane_of(lines_to((40.0, 90.0, 160.0, 199.0), (60.0, 40.0)), (200, 100))
    assert found == pytest.approx((60.0, 40.0, 30.0 / 59.0, 100.0 / 59.0))


@pytest.mark.parametrize(
    ('meet', 'is_horizon'),
    [
        ((100.0, 20.1), True), ((100.0, 19.0), False), ((100.0, 69.9), True),
        ((100.0, 71.0), False), ((50.0, 40.0), True), ((49.0, 40.0), False),
        ((150.0, 40.0), True), ((151.0, 40.0), False),
    ],
)  # fmt: skip
def test_a_camera_that_looks_ahead_has_its_horizon_around_the_middle(
    meet: tuple[float, float], is_horizon: bool
) -> None:
    found = _lane_of(lines_to((40.0, 160.0), meet), (200, 100))
    assert (found is not None) is is_horizon


@pytest.mark.parametrize(
    ('columns', 'is_lane'),
    [
        # Lines of 0.4 columns a row apart; a lane of 0.8 to 8 heights of the lens
        ((88.0, 111.5), False), ((76.0, 124.0), True), ((76.5, 123.4), False),
        ((-135.0, 336.0), True), ((-137.0, 337.0), False),
        ((40.0, 60.0), False), ((140.0, 190.0), False), ((99.0, 180.0), True),
    ],
)  # fmt: skip
def test_a_lane_has_a_line_on_each_side_and_the_width_of_one(
    columns: tuple[float, float], is_lane: bool
) -> None:
    assert (_lane_of(lines_to(columns), (200, 100)) is not None) is is_lane


def test_no_line_and_one_line_are_no_lane() -> None:
    assert _lane_of(np.zeros((0, 3)), (200, 100)) is None
    assert _lane_of(lines_to((40.0,)), (200, 100)) is None


def test_painted_lines_are_found_where_they_are() -> None:
    labels = np.full((200, 300), ROAD, np.uint8)
    for row in range(60, 180):
        labels[row, 100 - row // 2 : 104 - row // 2] = LANE
        labels[row, 200:203] = LANE  # straight down
    lines = _lines_of(labels, (LANE,))
    assert lines[:, 2].tolist() == [180.0, 180.0]
    assert sorted(lines[:, 1]) == pytest.approx([-0.5, 0.0], abs=0.01)
    assert sorted(lines[:, 0]) == pytest.approx([101.75, 201.0], abs=0.3)


@pytest.mark.parametrize(('rows', 'count'), [(16, 1), (15, 0)])
def test_a_line_is_as_long_as_a_twelfth_of_the_picture(rows: int, count: int) -> None:
    labels = np.full((200, 300), ROAD, np.uint8)
    labels[100 : 100 + rows, 50:53] = LANE
    assert len(_lines_of(labels, (LANE,))) == count
    assert len(_lines_of(labels, (LANE, 99))) == count
    assert len(_lines_of(labels, ())) == 0


def test_a_speckled_picture_of_more_parts_than_16_bits_number_keeps_its_line() -> None:
    labels = np.full((514, 1026), ROAD, np.uint8)
    labels[::2, ::2] = LANE  # 257 by 513 parts
    labels[100:200, 501:504] = LANE
    assert len(_lines_of(labels, (LANE,))) == 1


def test_what_is_one_row_high_is_no_line_in_a_tiny_picture_either() -> None:
    labels = np.full((12, 12), ROAD, np.uint8)
    labels[4, 3:6] = LANE
    assert len(_lines_of(labels, (LANE,))) == 0


@pytest.mark.parametrize(('bend_px', 'count'), [(6.0, 1), (20.0, 0)])
def test_what_is_off_a_line_by_more_than_two_pixels_is_none(bend_px: float, count: int) -> None:
    labels = np.full((200, 300), ROAD, np.uint8)
    for row in range(100, 200):
        column = round(100 + bend_px * math.sin(math.pi * (row - 100) / 100))
        labels[row, column : column + 3] = LANE
    assert len(_lines_of(labels, (LANE,))) == count


def test_a_lane_is_looked_for_five_times_a_second_and_when_time_steps_back() -> None:
    labels = lane_labels(camera_of('car'))
    for step_ms, looks in ((50, 3), (200, 9), (199, 5), (-1000, 9)):
        guessed = GuessedZone((LANE,), 1.5)
        for index in range(9):
            guessed.look(labels, (10_000 + index * step_ms) * MS)
        assert len(guessed._looks) == looks


def test_three_seconds_of_looks_count_and_a_reset_forgets_them() -> None:
    labels = lane_labels(camera_of('car'))
    guessed = GuessedZone((LANE,), 1.5)
    for index in range(20):
        guessed.look(labels, index * 200 * MS)
    assert len(guessed._looks) == 15
    assert guessed.zone(STOPPING_M, SIZE_WH) is not None
    guessed.reset()
    assert guessed.zone(STOPPING_M, SIZE_WH) is None


def test_the_zone_is_built_for_the_speed_and_the_picture_that_are_asked() -> None:
    labels = lane_labels(camera_of('car'))
    guessed = GuessedZone((LANE,), 1.5)
    for index in range(5):
        guessed.look(labels, index * 200 * MS)
    near, far = guessed.zone(12.0, SIZE_WH), guessed.zone(24.0, SIZE_WH)
    assert near is not None
    assert far is not None
    assert guessed.zone(24.0, SIZE_WH) is far  # nothing changed
    horizon = camera_of('car').project([[1e6, 0.0, 0.0]])[0][0, 1] / SIZE_WH[1]
    tops = [float(zone.outline()[:, 1].min()) - horizon for zone in (near, far)]
    assert tops[0] == pytest.approx(2.0 * tops[1], rel=0.1)
    assert guessed.zone(0.5, SIZE_WH) is None  # it would begin below the picture


def test_the_far_edge_is_where_a_lens_of_120_degrees_sees_the_stopping_distance() -> None:
    zone = looked(lane_labels(camera_of('car')))
    assert zone is not None
    horizon = camera_of('car').project([[1e6, 0.0, 0.0]])[0][0, 1]
    below_px = 320.0 / math.tan(math.radians(60.0)) * 1.45 / STOPPING_M
    far = float(zone.outline()[:, 1].min()) * SIZE_WH[1]
    assert far == pytest.approx(horizon + below_px, abs=2.0)


GIVEN = StopConfig().image_polygon


def road_from(row: int, size_wh: tuple[int, int] = SIZE_WH) -> NDArray[np.uint8]:
    labels = np.full(size_wh[::-1], SKY, np.uint8)
    labels[row:] = ROAD
    return labels


def by_ground(
    tops: list[int],
    given: tuple[float, ...] = GIVEN,
    *,
    is_drawn: bool = True,
    image_size_wh: tuple[int, int] | None = None,
) -> ImageZone | None:
    """The zone of a camera that sees no lane, and road from these rows of 360 on."""
    guessed = GuessedZone((LANE,), 1.5, (ROAD,), given, is_drawn=is_drawn)
    for index, row in enumerate(tops):
        guessed.look(road_from(row), index * 200 * MS)
    return guessed.zone(STOPPING_M, SIZE_WH, image_size_wh)


def half_width_at(zone: ImageZone, row: float) -> float:
    """In columns, on the right of the middle."""
    columns = np.arange(320.0, 640.0, 0.1)
    inside = zone.contains(np.stack([columns, np.full_like(columns, row)], 1), SIZE_WH)
    return float(columns[inside].max()) - 320.0


@pytest.mark.parametrize('pitch', [0.10, 0.15, 0.25])
@pytest.mark.parametrize(('fov_deg', 'z'), [(62.0, 1.45), (90.0, 1.3), (118.0, 1.5)])
def test_without_a_lane_the_way_of_a_camera_that_looks_down_is_in_the_zone(
    fov_deg: float, z: float, pitch: float
) -> None:
    """All of the corridor that is in the picture, half a metre within its sides."""
    lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
    camera = Camera(lens, Mount(z=z, pitch=pitch))
    labels = np.where(
        np.isfinite(camera.ground_table(SIZE_WH)[..., 0]), np.uint8(ROAD), np.uint8(SKY)
    )
    guessed = GuessedZone((LANE,), 1.5, (ROAD,), GIVEN)
    for index in range(LEAST_LOOKS):
        guessed.look(labels, index * 200 * MS)
    zone = guessed.zone(STOPPING_M, SIZE_WH)
    assert zone is not None
    assert zone.name == 'image zone by the ground'
    places = [(x, y, 0.0) for x in np.arange(4.0, STOPPING_M, 1.0) for y in (-1.0, 0.0, 1.0)]
    pixels = camera.project(np.array(places))[0]
    pixels = pixels[(pixels[:, 1] < SIZE_WH[1]) & (np.abs(pixels[:, 0] - 320.0) < 320.0)]
    assert len(pixels) > 20
    assert zone.contains(pixels, SIZE_WH).all()
    given_in_it = ImageZone(GIVEN).cells(20, 9).reshape(-1, 2) * SIZE_WH - 0.5
    assert zone.contains(given_in_it, SIZE_WH).all()


@pytest.mark.parametrize(('row', 'grows'), [(190, True), (191, False), (300, False)])
def test_by_the_ground_a_zone_that_was_drawn_only_grows(row: int, grows: bool) -> None:
    """Where a lens of 120 degrees, 1.2 m high, sees 20 m is 11.1 rows below; given are 201.6."""
    zone = by_ground([row] * LEAST_LOOKS)
    assert (zone is not None) is grows


def test_the_zone_by_the_ground_is_the_given_one_and_a_wedge_up_to_the_far_edge() -> None:
    zone = by_ground([72] * LEAST_LOOKS)
    assert zone is not None
    # Row 72 is the horizon; sides are 1.25 columns a row, 1.5 m beside a lens 1.2 m high
    far = 72.0 + 320.0 / math.tan(math.radians(60.0)) * 1.2 / STOPPING_M
    outline = zone.outline() * SIZE_WH
    assert outline[:, 1].min() == pytest.approx(far, abs=0.01)
    top = outline[np.isclose(outline[:, 1], far, atol=0.01)]
    side = 1.25 * (far - 72.0)
    assert sorted(top[:, 0]) == pytest.approx([320.0 - side, 320.0 + side], abs=0.01)
    assert half_width_at(zone, 300.0) == pytest.approx(1.25 * 228.0, abs=1.0)


@pytest.mark.parametrize(('row', 'level_row'), [(185, 180.0), (150, 150.0), (300, 180.0)])
def test_the_sides_of_a_zone_that_nobody_drew_are_those_of_a_lens_as_low_as_on_a_car(
    row: int, level_row: float
) -> None:
    """Where the road is hidden further up, those of a camera that looks straight ahead."""
    zone = by_ground([row] * LEAST_LOOKS, is_drawn=False)
    assert zone is not None
    side = 1.25 * (350.5 - level_row)
    assert side - 1.0 < half_width_at(zone, 350.0) < side + 4.0


def test_where_no_road_is_seen_the_zone_is_the_given_one() -> None:
    assert by_ground([360] * LEAST_LOOKS, is_drawn=False) is None


@pytest.mark.parametrize(
    ('image_size_wh', 'columns'), [((1280, 720), 1.0), ((640, 480), 4 / 3), ((640, 640), 16 / 9)]
)
def test_sides_are_those_of_the_camera_s_picture_and_not_of_the_network_s(
    image_size_wh: tuple[int, int], columns: float
) -> None:
    """The network's picture is stretched: a column of it is less than a row high."""
    zone = by_ground([72] * LEAST_LOOKS, is_drawn=False, image_size_wh=image_size_wh)
    assert zone is not None
    side = min(1.25 * columns * (200.5 - 72.0), 319.4)
    assert half_width_at(zone, 200.0) == pytest.approx(side, abs=1.0)


@pytest.mark.parametrize(('image_size_wh', 'kind'), [(None, 'clear'), ((480, 360), 'person')])
def test_who_is_in_the_way_of_a_camera_of_another_shape_stops(
    image_size_wh: tuple[int, int] | None, kind: str
) -> None:
    """Without a calibration, 1.5 m beside the middle and 6 m ahead of a lens 1.4 m high."""
    stop = PedestrianStop(replace(StopConfig(), image_zone_adapts=True), LABEL_MAP)
    labels = road_from(160)
    labels[140:280, 488:512] = PERSON
    for index in range(30):
        decision = stop.update(labels, index * 100 * MS, image_size_wh=image_size_wh)
    assert decision.kind == kind


def test_the_zone_by_the_ground_ends_where_the_given_one_does() -> None:
    above_a_bonnet = (0.3, 0.9, 0.45, 0.6, 0.55, 0.6, 0.7, 0.9)
    zone = by_ground([72] * LEAST_LOOKS, given=above_a_bonnet)
    assert zone is not None
    assert zone.outline()[:, 1].max() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ('tops', 'grows'),
    [
        ([72] * (LEAST_LOOKS - 1), False),
        ([72] * 4 + [300] * 11, True),  # a lorry ahead
        ([72] * 3 + [300] * 12, False),  # wrong labels now and then
        ([72] * 15 + [300] * 12, False),  # three seconds ago
    ],
)
def test_ground_counts_that_is_seen_in_a_quarter_of_three_seconds(
    tops: list[int], grows: bool
) -> None:
    assert (by_ground(tops) is not None) is grows


@pytest.mark.parametrize(('columns', 'top'), [(13, 0.25), (12, 0.5)])
def test_road_begins_where_a_fiftieth_of_the_width_is_road(columns: int, top: float) -> None:
    labels = road_from(180)
    labels[90:180, :columns] = ROAD
    assert GroundBorders((ROAD, LANE)).look(labels).top == pytest.approx(top)
    labels[labels == ROAD] = LANE
    assert GroundBorders((ROAD, LANE)).look(labels).top == pytest.approx(top)
    assert GroundBorders((ROAD,)).look(labels).top == 1.0


def test_road_in_the_sky_is_none() -> None:
    labels = road_from(180)
    labels[:60] = ROAD  # a black sky by night
    assert GroundBorders((ROAD,)).look(labels).top == pytest.approx(0.5)
    assert GroundBorders((ROAD,)).look(road_from(36)).top == pytest.approx(0.1)
    assert GroundBorders((ROAD,)).look(road_from(360)).top == 1.0


def black_sky(unsure: int) -> NDArray[np.uint8]:
    """How sure a network is of road all over: of the upper half less so."""
    confidence = np.full(SIZE_WH[::-1], 230, np.uint8)
    confidence[:180] = unsure
    return confidence


@pytest.mark.parametrize(('unsure', 'top'), [(178, 0.5), (179, 0.0)])
def test_road_of_which_the_network_is_not_sure_says_nothing_of_the_horizon(
    unsure: int, top: float
) -> None:
    borders = GroundBorders((ROAD,))
    assert borders.look(road_from(0), black_sky(unsure)).top == pytest.approx(top)
    assert borders.look(road_from(0), black_sky(unsure)[:90]).top == 0.0  # of another picture
    assert borders.look(road_from(0)).top == 0.0


@pytest.mark.parametrize(('unsure', 'kind'), [(140, 'clear'), (210, 'person')])
def test_by_night_nobody_who_is_seen_in_a_black_sky_is_in_the_way(unsure: int, kind: str) -> None:
    stop = PedestrianStop(replace(StopConfig(), image_zone_adapts=True), LABEL_MAP)
    labels = road_from(0)
    labels[60:140, 300:330] = PERSON  # its feet are above the middle
    confidence = black_sky(unsure)
    confidence[labels == PERSON] = 200
    for index in range(30):
        decision = stop.update(labels, index * 100 * MS, confidence=confidence)
    assert decision.kind == kind


def test_a_lane_knows_better_than_the_ground_and_a_reset_forgets_both() -> None:
    lens = camera_of('car').intrinsics
    labels = lane_labels(Camera(lens, Mount(z=1.45, pitch=0.15)), offset_m=0.0)
    guessed = GuessedZone((LANE,), 1.5, (ROAD, LANE), GIVEN)
    for index in range(LEAST_LOOKS):
        guessed.look(labels, index * 200 * MS)
    zone = guessed.zone(STOPPING_M, SIZE_WH)
    assert zone is not None
    assert zone.name == 'image zone by the lane markings'
    guessed.reset()
    assert guessed.zone(STOPPING_M, SIZE_WH) is None


@pytest.mark.parametrize(('adapts', 'kind'), [(True, 'person'), (False, 'clear')])
def test_a_camera_that_looks_down_on_a_road_without_lines_is_stopped_by_who_is_in_the_way(
    adapts: bool, kind: str
) -> None:
    config = replace(StopConfig(), image_zone_adapts=adapts)
    stop = PedestrianStop(config, WITH_LANE)
    fov_deg, z, _ = CAMERAS['car']
    lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
    empty = lane_labels(Camera(lens, Mount(z=z, pitch=0.15)))
    empty[empty == LANE] = ROAD
    someone = empty.copy()
    someone[86:184, 305:335] = PERSON  # 9 m ahead; the given zone begins at row 202
    for index in range(40):
        stop.odometry(Motion(index * 50 * MS, 8.0))
        shown = someone if index > 30 else empty
        decision = stop.update(shown, index * 50 * MS, no_ground='the mounting is not known')
    assert decision.kind == kind
    assert decision.guess == 'the mounting is not known'
    assert decision.zone == ('image zone by the ground' if adapts else 'image zone')


# A road without lines: its borders tell the horizon


def road_labels(camera: Camera, left_m: float = 3.0, right_m: float = -4.0) -> NDArray[np.uint8]:
    """A straight road between pavements, without painted lines."""
    table = camera.ground_table(SIZE_WH)
    labels = np.where(np.isfinite(table[..., 0]), PAVEMENT, SKY).astype(np.uint8)
    with np.errstate(invalid='ignore'):
        labels[(table[..., 1] < left_m) & (table[..., 1] > right_m)] = ROAD
    return labels


def robot(z: float = 0.4, yaw: float = 0.0, pitch: float = 0.03, fov_deg: float = 75.0) -> Camera:
    lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
    return Camera(lens, Mount(z=z, pitch=pitch, yaw=yaw))


def by_borders(camera: Camera, looks: int = 8, *, is_drawn: bool = False) -> GuessedZone:
    guessed = GuessedZone((LANE,), 1.5, (ROAD,), GIVEN, is_drawn=is_drawn)
    for index in range(looks):
        guessed.look(road_labels(camera), index * 200 * MS)
    return guessed


def way_px(camera: Camera, side_m: float) -> NDArray[np.float64]:
    """What is seen of the two sides of the way, so far beside its middle, up to 20 m."""
    places = [(x, side * side_m, 0.0) for x in np.arange(1.0, 20.0, 0.5) for side in (-1.0, 1.0)]
    pixels = camera.project(np.array(places))[0]
    is_seen = (pixels[:, 1] < SIZE_WH[1] - 1.0) & (np.abs(pixels[:, 0] - 320.0) < 319.0)
    return np.asarray(pixels[is_seen])


@pytest.mark.parametrize('z', [0.3, 0.6, 1.5, 2.5])
@pytest.mark.parametrize('yaw', [-0.08, 0.0, 0.08])
def test_with_the_height_of_the_lens_alone_all_of_the_way_is_in_the_zone(
    z: float, yaw: float
) -> None:
    camera = robot(z, yaw)
    guessed = by_borders(camera)
    zone = guessed.zone(STOPPING_M, SIZE_WH, lens_m=z)
    assert zone is not None
    assert zone.name == 'image zone by the borders of the ground'
    assert 'horizon where the borders of the ground meet' in guessed.words
    assert f'{z:.2f} m high, as was told' in guessed.words
    inside = way_px(camera, 1.35)
    assert len(inside) > 5
    assert zone.contains(inside, SIZE_WH).all()
    if yaw == 0.0:
        assert not zone.contains(way_px(camera, 1.75), SIZE_WH).any()
    assert guessed.upright_way is not None  # what met may not have been the horizon


@pytest.mark.parametrize('lens_m', [None, 1.2])
def test_where_a_way_narrows_who_stands_in_it_stops_also_with_a_height_that_was_told(
    lens_m: float | None,
) -> None:
    """Its borders meet at 0.58 of the height, the horizon is at 0.45; somebody is 8 m ahead."""
    width, height = SIZE_WH
    rows, columns = np.mgrid[:height, :width]
    is_way = (np.abs(columns - 320) <= 1.6 * (rows - 0.58 * height)) & (rows >= 0.6 * height)
    labels = np.where(is_way, ROAD, SKY).astype(np.uint8)
    focal_px = 320.0 / math.tan(math.radians(37.5))
    feet = 0.45 * height + focal_px * 1.2 / 8.0
    head, column = feet - focal_px * 1.7 / 8.0, 320.0 + focal_px * 1.2 / 8.0
    half = 0.15 * (feet - head)
    stop = PedestrianStop(StopConfig(), LABEL_MAP)
    for index in range(60):
        seen = labels.copy()
        if index > 30:
            rows_of = slice(round(head), round(feet))
            seen[rows_of, round(column - half) : round(column + half)] = PERSON
        stop.odometry(Motion(index * 50 * MS, 4.0))
        decision = stop.update(seen, index * 50 * MS, lens_m=lens_m)
    assert decision.kind == 'person'


def test_the_height_of_the_lens_counts_for_a_picture_of_another_shape_too() -> None:
    """Labels of 640x360 of a square picture: a column of them is 9/16 as wide as a row is high."""
    guessed = by_borders(robot(0.6, pitch=0.0))
    zone = guessed.zone(STOPPING_M, SIZE_WH, (640, 640), lens_m=0.6)
    assert zone is not None
    side = 1.5 / 0.6 * 16.0 / 9.0 * (240.5 - 180.0)
    assert half_width_at(zone, 240.0) == pytest.approx(side, rel=0.06)


def test_a_lane_and_the_height_of_the_lens_make_the_sides_whatever_the_lane_s_width() -> None:
    labels = lane_labels(camera_of('car'), offset_m=0.0, width_m=2.2)  # a cycle track
    guessed = GuessedZone((LANE,), 1.5)
    for index in range(LEAST_LOOKS):
        guessed.look(labels, index * 200 * MS)
    told, untold = guessed.zone(20.0, SIZE_WH, lens_m=1.45), guessed.zone(20.0, SIZE_WH)
    assert told is not None
    assert untold is not None
    assert told.name == 'image zone by the lane markings'
    assert told is not untold
    ratio = half_width_at(untold, 340.0) / half_width_at(told, 340.0)
    assert ratio == pytest.approx(2.2 / 3.5, rel=0.05)
    squeezed = guessed.zone(20.0, SIZE_WH, (640, 640), lens_m=1.45)
    assert squeezed is not None
    # Rows of a square picture are 9/16 as many in its label image
    ratio = half_width_at(squeezed, 300.0) / half_width_at(told, 300.0)
    assert ratio == pytest.approx(16.0 / 9.0, rel=0.02)


def test_a_camera_that_looks_up_has_no_zone_above_the_horizon_where_the_borders_meet() -> None:
    camera = robot(1.3, pitch=-0.12, fov_deg=62.0)
    zone = by_borders(camera).zone(STOPPING_M, SIZE_WH)
    assert zone is not None
    horizon = camera.project([[1e6, 0.0, 0.0]])[0][0, 1]
    assert horizon > 0.6 * SIZE_WH[1]  # the given zone begins at 0.56
    assert zone.outline()[:, 1].min() * SIZE_WH[1] > horizon


def test_a_zone_that_was_drawn_stays_in_its_middle_and_who_is_beside_it_is_beside_it() -> None:
    guessed = by_borders(robot(0.4, yaw=0.1), is_drawn=True)
    zone = guessed.zone(STOPPING_M, SIZE_WH)
    assert zone is not None
    columns = zone.outline()[:, 0]
    assert columns.min() == pytest.approx(1.0 - columns.max())
    assert guessed.upright_way is None
    by_borders_too = by_borders(robot(0.4, yaw=0.1))
    assert by_borders_too.zone(STOPPING_M, SIZE_WH) is not None
    assert by_borders_too.upright_way is not None
    left, right = by_borders_too.upright_way.middles
    assert left == 0.5
    assert right == pytest.approx(
        0.5 + math.tan(0.1) * 0.5 / math.tan(math.radians(37.5)), abs=0.01
    )


def test_without_borders_the_words_say_what_the_zone_was_built_by_and_why() -> None:
    guessed = GuessedZone((LANE,), 1.5, (ROAD,), GIVEN)
    assert guessed.zone(STOPPING_M, SIZE_WH) is None
    assert guessed.words == 'the zone as it was given: too few pictures yet'
    for index in range(LEAST_LOOKS):
        guessed.look(road_from(150), index * 200 * MS)
    assert guessed.zone(STOPPING_M, SIZE_WH) is not None
    assert guessed.words == (
        'horizon where the ground ends (the ground has no two straight borders), sides of a lens '
        '1.20 m high, as on a car: mount.z tells another'
    )


def test_borders_that_meet_elsewhere_in_each_picture_tell_nothing() -> None:
    guessed = GuessedZone((LANE,), 1.5, (ROAD,), GIVEN)
    for index in range(10):
        guessed.look(road_labels(robot(pitch=0.05 * (index % 4))), index * 200 * MS)
    zone = guessed.zone(STOPPING_M, SIZE_WH)
    assert zone is not None
    assert zone.name == 'image zone by the ground'
    assert 'the borders of the ground meet elsewhere in each picture' in guessed.words


def test_borders_that_were_seen_are_remembered_for_the_camera_stays_where_it_is() -> None:
    camera = robot()
    guessed = by_borders(camera)
    for index in range(8, 30):  # traffic hides them
        guessed.look(road_from(170), index * 200 * MS)
    zone = guessed.zone(STOPPING_M, SIZE_WH)
    assert zone is not None
    assert zone.name == 'image zone by the borders of the ground'
    for index in range(30, 46):  # ground above that horizon: the camera was turned
        guessed.look(road_from(100), index * 200 * MS)
    zone = guessed.zone(STOPPING_M, SIZE_WH)
    assert zone is not None
    assert zone.name == 'image zone by the ground'


def test_a_lane_that_was_left_is_forgotten_after_three_seconds() -> None:
    guessed = GuessedZone((LANE,), 1.5, (ROAD, LANE), GIVEN)
    for index in range(10):
        guessed.look(lane_labels(camera_of('car')), index * 200 * MS)
    for index in range(10, 25):
        zone = guessed.zone(STOPPING_M, SIZE_WH)
        assert zone is not None
        if index < 20:  # paint may be seen now and then only
            assert zone.name == 'image zone by the lane markings'
        guessed.look(road_labels(camera_of('car')), index * 200 * MS)
    zone = guessed.zone(STOPPING_M, SIZE_WH)
    assert zone is not None
    assert zone.name != 'image zone by the lane markings'


def test_a_lane_of_before_a_pause_in_which_the_geometry_was_known_is_forgotten() -> None:
    """While TF and CameraInfo are there nobody looks; the way is another one afterwards."""
    guessed = GuessedZone((LANE,), 1.5, (ROAD, LANE), GIVEN)
    labels = lane_labels(camera_of('car'))
    for index in range(10):
        guessed.look(labels, index * 200 * MS)
    guessed.look(labels, 4_000 * MS)
    assert guessed.zone(STOPPING_M, SIZE_WH) is not None  # 2.2 s: as by paint that is worn
    guessed.look(labels, 60_000 * MS)
    assert guessed.zone(STOPPING_M, SIZE_WH) is None


# A lens that nobody knows: the own height is the yardstick

WAY = UprightWay((0.5, 0.5), 0.4, 1.5, STOPPING_M, (640, 360))


def stands(
    beside_m: float, away_m: float, *, tall_m: float = 1.7, lens_m: float = 0.4,
    focal_px: float = 320.0, way: UprightWay = WAY,
) -> bool:  # fmt: skip
    """Whether somebody is in the way; the horizon is in row 144 of 360."""
    u = 0.5 + focal_px * beside_m / away_m / 640.0
    feet = (144.0 + focal_px * lens_m / away_m) / 360.0
    head = feet - focal_px * tall_m / away_m / 360.0
    return way.holds([(u, feet)], max(head, 0.0))


@pytest.mark.parametrize('lens_m', [0.3, 0.8, 1.5, 2.5])
@pytest.mark.parametrize('focal_px', [190.0, 320.0, 800.0])
@pytest.mark.parametrize('away_m', [7.0, 12.0, 19.0])
def test_a_grown_person_in_the_way_is_in_it_through_any_lens_at_any_height(
    lens_m: float, focal_px: float, away_m: float
) -> None:
    for beside_m in (0.0, -1.0, 1.4, -1.4):
        assert stands(beside_m, away_m, lens_m=lens_m, focal_px=focal_px)
    for beside_m in (2.0, -2.0):
        assert not stands(beside_m, away_m, lens_m=lens_m, focal_px=focal_px)


def test_a_child_counts_in_front_of_the_vehicle() -> None:
    assert stands(0.95, 8.0, tall_m=1.1)
    assert not stands(1.5, 8.0, tall_m=1.1)


@pytest.mark.parametrize(('away_m', 'is_in'), [(19.0, True), (24.0, False)])
def test_who_would_be_beyond_the_stopping_distance_through_the_widest_lens_is_not_in_the_way(
    away_m: float, is_in: bool
) -> None:
    focal_px = 320.0 / math.tan(math.radians(60.0))
    assert stands(0.0, away_m, tall_m=UPRIGHT_M, focal_px=focal_px) is is_in


def test_who_is_above_the_ground_is_on_a_poster() -> None:
    assert not WAY.holds([(0.5, 0.42)], 0.1)
    assert WAY.holds([(0.5, 0.45)], 0.1)


def test_whose_head_is_cut_is_near_and_may_be_tall() -> None:
    """0.8 m from a lens 0.4 m high, of whom the lower 0.76 m are seen."""
    assert stands(0.7, 0.8)
    assert not WAY.holds([(0.95, 0.42)], 0.0)


def test_between_two_ends_of_the_way_everybody_is_in_its_middle() -> None:
    way = WAY._replace(middles=(0.45, 0.6))
    assert way.holds([(0.6 + 0.9 * 1.5 * 0.2 * 360 / 640 / 1.5, 0.6)], 0.4)
    assert not way.holds([(0.6 + 1.1 * 1.5 * 0.2 * 360 / 640 / 1.5, 0.6)], 0.4)
    assert way.holds([(0.45 - 0.9 * 1.5 * 0.2 * 360 / 640 / 1.5, 0.6)], 0.4)
    assert not way.holds([(0.45 - 1.1 * 1.5 * 0.2 * 360 / 640 / 1.5, 0.6)], 0.4)


@pytest.mark.parametrize(('rows', 'is_in'), [(16, True), (15, False)])
def test_who_is_a_few_rows_high_is_no_yardstick(rows: int, *, is_in: bool) -> None:
    nowhere = (math.nan,) * 4
    box = (316, 151 - rows, 324, 151)
    far = SeenPerson(*nowhere, (320.0, 150.0), box, 100, 1.0, 'seen', False)
    way = WAY._replace(stopping_m=23.4)
    assert _stands_in(way, far, (360, 640)) is is_in
    assert not _stands_in(way, far._replace(under_roof=True), (360, 640))


def test_in_a_lane_everybody_is_in_its_middle_and_not_in_the_vehicle_s() -> None:
    camera, offset_m = camera_of('car'), 0.8
    guessed = GuessedZone((LANE,), 1.5)
    for index in range(LEAST_LOOKS):
        guessed.look(lane_labels(camera, offset_m), index * 200 * MS)
    assert guessed.zone(STOPPING_M, SIZE_WH) is not None
    assert guessed.upright_way is not None
    for y_m, is_in in ((0.6, True), (1.3, False), (-2.1, True), (-2.8, False)):
        feet, head = camera.project([[10.0, y_m, 0.0], [10.0, y_m, 1.7]])[0] / SIZE_WH
        assert guessed.upright_way.holds([(feet[0], feet[1])], head[1]) is is_in


def decision_of(
    camera: Camera,
    place: tuple[float, float],
    lens_m: float | None = None,
    *,
    adapts: bool = True,
    confidence: float = 1.0,
) -> str:
    """What is said of somebody there, ahead of a camera without a calibration."""
    stop = PedestrianStop(replace(StopConfig(), image_zone_adapts=adapts), LABEL_MAP)
    labels = road_labels(camera)
    corners = camera.project([[*place, 0.0], [*place, 1.7]])[0]
    someone = labels.copy()
    (u, feet), (_, head) = corners
    half = 0.15 * (feet - head)
    someone[round(head) : round(feet), round(u - half) : round(u + half)] = PERSON
    for index in range(90):
        shown = someone if index > 30 else labels
        stop.odometry(Motion(index * 50 * MS, 4.0))
        sure = np.where(shown == PERSON, round(255 * confidence), 255).astype(np.uint8)
        decision = stop.update(shown, index * 50 * MS, confidence=sure, lens_m=lens_m)
    assert decision.zone_by
    return str(decision.kind.value)


@pytest.mark.parametrize('lens_m', [None, 0.4])
def test_who_is_in_the_way_of_a_low_robot_without_a_calibration_stops_it(
    lens_m: float | None,
) -> None:
    camera = robot(0.4)
    assert decision_of(camera, (6.0, 1.2), lens_m) == 'person'
    assert decision_of(camera, (6.0, 2.4), lens_m) == 'clear'
    assert decision_of(camera, (6.0, 1.2), lens_m, adapts=False) == 'clear'


def first_second(camera: Camera, place: tuple[float, float], config: StopConfig) -> list[str]:
    """What is said of somebody who stands there from the first frame on, frame by frame."""
    stop = PedestrianStop(config, LABEL_MAP)
    labels = road_labels(camera)
    (u, feet), (_, head) = camera.project([[*place, 0.0], [*place, 1.7]])[0]
    half = 0.15 * (feet - head)
    labels[round(max(head, 0.0)) : round(feet), round(u - half) : round(u + half)] = PERSON
    said = []
    for index in range(20):
        stop.odometry(Motion(index * 50 * MS, 4.0))
        said.append(str(stop.update(labels, index * 50 * MS).kind.value))
    return said


@pytest.mark.parametrize('place', [(3.0, 0.0), (6.0, 1.2), (6.0, -1.2)])
def test_nobody_in_the_way_of_a_low_robot_is_clear_in_the_first_second(
    place: tuple[float, float],
) -> None:
    said = first_second(robot(0.4), place, StopConfig())
    assert 'clear' not in said
    assert said[-1] == 'person'


@pytest.mark.parametrize(
    'config',
    [
        StopConfig(image_zone_adapts=False),
        StopConfig(image_polygon=(0.3, 0.99, 0.45, 0.7, 0.55, 0.7, 0.7, 0.99)),
    ],
    ids=['as given', 'drawn'],
)
def test_a_zone_that_is_drawn_or_does_not_adapt_is_taken_alone_from_the_first_frame(
    config: StopConfig,
) -> None:
    assert first_second(robot(0.4), (6.0, 1.2), config)[-1] == 'clear'


def test_who_is_well_beside_the_way_does_not_stop_the_first_second() -> None:
    assert first_second(robot(0.4), (6.0, 2.4), StopConfig())[-1] == 'clear'


def test_what_is_nobody_for_sure_has_no_height_of_a_person() -> None:
    assert decision_of(robot(0.4), (6.0, 1.2), confidence=0.41) == 'person'
    assert decision_of(robot(0.4), (6.0, 1.2), confidence=0.39) == 'clear'
    assert decision_of(robot(0.4), (6.0, 0.2), confidence=0.39) == 'person'  # in the zone itself


@pytest.mark.parametrize('is_ground', [True, False])
def test_a_robot_that_drives_on_pavement_looks_for_the_borders_of_that(*, is_ground: bool) -> None:
    labels = road_labels(robot(0.6))
    labels[labels == PAVEMENT] = SKY
    labels[labels == ROAD] = PAVEMENT
    stop = PedestrianStop(replace(StopConfig(), walkable_is_ground=is_ground), LABEL_MAP)
    for index in range(20):
        decision = stop.update(labels, index * 100 * MS)
    by_borders = 'where the borders of the ground meet' in decision.zone_by
    assert by_borders is is_ground


def test_who_is_so_small_that_nobody_is_in_the_way_there_is_beyond_it() -> None:
    way = UprightWay((0.5, 0.5), 0.5, 1.5, 23.4, (640, 360))
    # 159 columns beside the middle: 2.5 m by somebody of 0.5 m who is 32 px long, 1.5 m by 53 px
    foot = (0.5 - 159.0 / 640.0, 0.73)
    assert way.is_beyond(foot, 32)
    assert not way.is_beyond(foot, 54)
    assert not way.is_beyond((0.5, 0.73), 1)


def test_who_is_cut_or_in_the_way_by_its_own_height_is_not_too_small() -> None:
    zone = ImageZone((0.1, 1.0, 0.1, 0.5, 0.9, 0.5, 0.9, 1.0))
    way = UprightWay((0.5, 0.5), 0.5, 1.5, 23.4, (640, 360))
    nowhere = (math.nan,) * 4
    speck = SeenPerson(*nowhere, (160.0, 262.0), (155, 243, 166, 263), 150, 1.0, 'seen', False)
    shape = 360, 640
    assert not _is_in_way(zone, way, speck, shape)
    assert _is_in_way(zone, None, speck, shape)  # of a zone that was drawn nobody knows the sides
    cut_above = speck._replace(bbox=(155, 0, 166, 263))
    hidden, beside = speck._replace(feet='occluded'), speck._replace(at_side=True)
    lying = speck._replace(bbox=(120, 243, 200, 263))
    ahead = speck._replace(foot_px=(320.0, 262.0), bbox=(315, 243, 326, 263))
    for person in (cut_above, hidden, beside, lying, ahead):
        assert _is_in_way(zone, way, person, shape)
