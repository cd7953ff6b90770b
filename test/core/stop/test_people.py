# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from seg_ros.core.blobs import Blob, blobs_of
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.ground_scale import GroundPoint, GroundScale
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.stop.people import (
    PeopleFinder,
    SeenPerson,
    _foot_scale,
    _has_legs,
    _is_nearer,
    _nearer,
    _nearer_by_m,
    _shoulders_px,
    _sigmas,
    _width_px,
)
from test.people_scene import (
    CAR,
    CYCLIST,
    LABEL_MAP,
    PAVEMENT,
    PERSON,
    POLE,
    ROAD,
    SIZE_WH,
    SKY,
    add_bicycle,
    add_box,
    add_person,
    camera,
    empty_road,
    frame_with,
    ground,
)


def people_in(labels: NDArray[np.uint8], **options: bool) -> tuple[SeenPerson, ...]:
    return PeopleFinder(LABEL_MAP, **options).find(labels, None, ground())


@pytest.mark.parametrize('x', [7.0, 10.0, 15.0, 22.0, 30.0])
@pytest.mark.parametrize('y', [-2.0, 0.0, 1.5])
def test_a_person_is_found_where_it_stands(x: float, y: float) -> None:
    (person,) = people_in(frame_with((x, y)))
    depth = x - 1.6
    assert abs(person.x_m - x) <= 0.02 * depth + 0.7 * depth**2 / (532 * 1.45)
    assert abs(person.y_m - y) < 0.1
    assert abs(person.x_m - x) <= 3.0 * person.sigma_along_m
    assert person.feet == 'seen'
    assert not person.on_pavement


def test_ten_people_are_ten_people() -> None:
    places = [(8.0 + 2.2 * i, (0.1 * i - 0.45) * (6.4 + 2.2 * i)) for i in range(10)]
    assert len(people_in(frame_with(*places))) == 10


@pytest.mark.parametrize('x', [8.0, 14.0, 22.0])
def test_two_people_side_by_side_are_split(x: float) -> None:
    found = sorted(people_in(frame_with((x, 0.27), (x, -0.27))), key=lambda person: person.y_m)
    assert len(found) == 2
    assert found[0].y_m == pytest.approx(-0.27, abs=0.15)
    assert found[1].y_m == pytest.approx(0.27, abs=0.15)


def test_a_crowd_without_gaps_is_split_evenly() -> None:
    found = people_in(add_box(empty_road(), 10.0, 0.0, PERSON, width_m=3.0))
    assert len(found) == 5
    assert max(p.y_m for p in found) - min(p.y_m for p in found) == pytest.approx(2.4, abs=0.2)


@pytest.mark.parametrize('x', [7.0, 12.0, 20.0])
def test_one_person_with_the_arms_out_stays_one(x: float) -> None:
    labels = add_person(empty_road(), x, 0.0)
    add_box(labels, x, 0.0, PERSON, width_m=0.8, from_m=1.15, to_m=1.35)
    assert len(people_in(labels)) == 1


def test_a_person_cut_by_a_pole_is_joined() -> None:
    labels = add_person(empty_road(), 10.0, 0.0)
    add_box(labels, 9.0, 0.0, POLE, width_m=0.1, to_m=4.0)
    (person,) = people_in(labels)
    assert person.y_m == pytest.approx(0.0, abs=0.1)
    assert person.x_m == pytest.approx(10.0, abs=0.4)


def test_a_person_cut_by_a_rail_is_joined() -> None:
    labels = add_person(empty_road(), 10.0, 0.0)
    add_box(labels, 9.8, 0.0, POLE, width_m=3.0, from_m=0.8, to_m=0.95)
    (person,) = people_in(labels)
    assert person.x_m == pytest.approx(10.0, abs=0.4)


def test_who_has_lost_its_thighs_is_one_person_that_stands_on_its_feet() -> None:
    labels = add_person(empty_road(), 18.0, 0.0)
    add_box(labels, 18.0, 0.0, ROAD, width_m=1.0, from_m=0.3, to_m=0.7)
    (person,) = people_in(labels)
    assert person.x_m == pytest.approx(18.0, abs=0.8)


def test_two_people_with_road_between_them_are_not_joined() -> None:
    assert len(people_in(frame_with((10.0, 0.3), (10.0, -0.3)))) == 2


def test_two_people_on_both_sides_of_a_pole_stay_two() -> None:
    labels = frame_with((10.0, 0.4), (10.0, -0.4))
    add_box(labels, 10.0, 0.0, POLE, width_m=0.3, to_m=4.0)
    assert len(people_in(labels)) == 2


@pytest.mark.parametrize(('x', 'side_px', 'is_person'), [(6.0, 6, False), (30.0, 6, True)])
def test_the_size_of_a_speck_depends_on_the_distance(
    x: float, side_px: int, is_person: bool
) -> None:
    labels = empty_road()
    (u, v), *_ = camera().project([[x, 0.0, 0.0]])[0]
    labels[int(v) - side_px : int(v), int(u) : int(u) + side_px] = PERSON
    assert bool(people_in(labels)) is is_person


@pytest.mark.parametrize('known', [True, False])
def test_what_is_smaller_than_anybody_where_it_stands_is_nobody(known: bool) -> None:
    scale = ground() if known else None
    finder = PeopleFinder(LABEL_MAP)
    for x in (6.0, 8.0, 11.0):
        paint = add_box(empty_road(), x, 0.0, PERSON, width_m=0.2, to_m=0.2)
        assert finder.find(paint, None, scale) == ()
        child = add_person(empty_road(), x, 0.0, height_m=0.9)
        lying = add_box(empty_road(), x, 0.0, PERSON, width_m=1.6, to_m=0.3)
        for labels in (child, lying):
            assert finder.find(labels, None, scale) != ()


@pytest.mark.parametrize('scale', [ground(), None], ids=['calibrated', 'not'])
@pytest.mark.parametrize(
    ('height', 'width', 'count'), [(49, 38, 0), (49, 63, 1), (86, 38, 0), (140, 38, 1)]
)
def test_a_low_piece_of_a_cyclist_at_the_lower_border_is_the_bonnet_unless_as_broad_as_a_child(
    scale: GroundScale | None, height: int, width: int, count: int
) -> None:
    labels = empty_road()
    labels[-height:, 366 : 366 + width] = CYCLIST
    assert len(PeopleFinder(LABEL_MAP).find(labels, None, scale)) == count
    labels[-75:, 366 : 366 + width] = CYCLIST  # the same on foot may be a child
    labels[labels == CYCLIST] = PERSON
    assert len(PeopleFinder(LABEL_MAP).find(labels, None, scale)) == 1


@pytest.mark.parametrize('class_id', [PERSON, CYCLIST])
@pytest.mark.parametrize('scale', [ground(), None], ids=['calibrated', 'not'])
def test_a_flat_speck_at_the_lower_border_is_a_gleam_on_the_bonnet(
    scale: GroundScale | None, class_id: int
) -> None:
    bonnet = empty_road()
    for left in (100, 250, 500):
        bonnet[-20:, left : left + 38] = class_id
    assert PeopleFinder(LABEL_MAP).find(bonnet, None, scale) == ()


@pytest.mark.parametrize('class_id', [PERSON, CYCLIST])
@pytest.mark.parametrize('scale', [ground(), None], ids=['calibrated', 'not'])
def test_of_who_lies_at_the_bumper_a_strip_at_the_lower_border_is_enough(
    scale: GroundScale | None, class_id: int
) -> None:
    lying = add_box(empty_road(), 4.65, 0.0, class_id, width_m=1.7, to_m=0.25)
    rows = np.flatnonzero((lying == class_id).any(axis=1))
    assert (rows[-1], len(rows)) == (359, 7)
    people = PeopleFinder(LABEL_MAP).find(lying, None, scale)
    assert people
    assert {person.feet for person in people} == {'truncated'}


def test_feet_below_the_image_give_the_nearest_ground_that_is_seen() -> None:
    (person,) = people_in(frame_with((4.4, 0.0)))
    assert person.feet == 'truncated'
    assert 4.4 <= person.x_m < 5.6
    assert person.x_m - 4.4 < 2.0 * person.sigma_along_m


@pytest.mark.parametrize('x', [10.0, 16.0])
def test_feet_behind_a_car_are_not_taken_for_feet_far_away(x: float) -> None:
    labels = add_person(empty_road(), x, 0.0)
    add_box(labels, x - 1.5, 0.0, CAR, width_m=3.0, to_m=0.9)
    (person,) = people_in(labels)
    assert person.feet == 'occluded'
    assert abs(person.x_m - x) < 2.0 * person.sigma_along_m


@pytest.mark.parametrize('y', [-0.4, 0.0])
def test_who_is_nearer_than_the_last_row_sees_ground_is_placed_there_by_its_size(y: float) -> None:
    labels = add_person(empty_road(), 4.6, y)
    add_box(labels, 3.9, y, CAR, width_m=1.0, to_m=1.0)
    (person,) = people_in(labels)
    assert person.feet == 'occluded'
    assert (person.x_m, person.y_m) == pytest.approx((4.6, y), abs=0.3)


@pytest.mark.parametrize('x', [6.0, 7.5, 9.0])
@pytest.mark.parametrize('in_front', [CAR, 255])
def test_who_pushes_something_is_one_person_behind_it(in_front: int, x: float) -> None:
    labels = add_person(empty_road(), x + 0.8, 0.4)
    add_box(labels, x, 0.4, in_front, to_m=1.0)
    (person,) = people_in(labels)
    assert person.feet == 'occluded'
    assert abs(person.x_m - x - 0.8) < 1.5


@pytest.mark.parametrize('x', [7.0, 10.0, 16.0])
def test_nobody_stands_on_what_has_no_class_such_as_the_mask_of_the_own_vehicle(x: float) -> None:
    labels = add_person(empty_road(), x, 0.0)
    add_box(labels, x - 1.5, 0.0, 255, width_m=3.0, to_m=0.9)
    (person,) = people_in(labels)
    assert person.feet == 'occluded'
    assert abs(person.x_m - x) < 2.0 * person.sigma_along_m


@pytest.mark.parametrize('hidden_m', [0.9, 1.15])
def test_of_whom_little_more_than_a_head_is_seen_the_shoulders_tell_how_near(
    hidden_m: float,
) -> None:
    labels = add_person(empty_road(), 7.0, 0.0)
    add_box(labels, 7.0, 0.0, CAR, width_m=3.0, to_m=hidden_m)
    (person,) = people_in(labels)
    assert abs(person.x_m - 7.0) < 1.0


@pytest.mark.parametrize('below', [CAR, SKY])
def test_what_the_upper_border_cuts_as_well_is_one_person_and_near(below: int) -> None:
    labels = np.full(SIZE_WH[::-1], below, np.uint8)
    labels[:30, 150:400] = PERSON
    (person,) = people_in(labels)
    assert person.x_m < 5.0


@pytest.mark.parametrize(('width_px', 'height_px'), [(12, 11), (20, 19)])
def test_a_small_blob_before_a_wall_is_not_taken_for_one_wide_person_who_is_near(
    width_px: int, height_px: int
) -> None:
    # As a network draws those who stand far away, and what is nobody; at 20 m it stopped for them
    labels = empty_road()
    labels[100:160, 250:390] = POLE
    # It ends above the horizon, where no ground tells how far away it is
    labels[146 - height_px : 146, 310 : 310 + width_px] = PERSON
    assert min(person.x_m for person in people_in(labels)) > 25.0


def test_two_people_behind_a_car_are_two() -> None:
    labels = empty_road()
    for y in (-0.5, 0.5):
        add_person(labels, 12.0, y)
    add_box(labels, 11.0, 0.0, CAR, width_m=3.0, to_m=0.9)
    assert len(people_in(labels)) == 2


@pytest.mark.parametrize('x', [6.0, 7.5, 9.0])
@pytest.mark.parametrize('hidden_m', [0.7, 0.9])
def test_of_whom_half_is_seen_over_something_the_height_tells_as_well(
    hidden_m: float, x: float
) -> None:
    labels = add_person(empty_road(), x, 0.0)
    add_box(labels, x, 0.0, CAR, width_m=3.0, to_m=hidden_m)
    add_box(labels, x, 0.5, CAR, width_m=1.0, to_m=1.9)  # the left half is hidden, too
    (person,) = people_in(labels)
    assert person.feet == 'occluded'
    assert 0.8 * x < person.x_m < 1.5 * x


def test_who_has_lost_its_legs_is_nearer_than_its_lowest_row_says() -> None:
    labels = add_box(empty_road(), 18.0, 0.0, PERSON, from_m=0.8)  # the lowest row is at 38 m
    (person,) = people_in(labels)
    assert person.feet == 'occluded'
    assert 17.0 < person.x_m < 26.0


def test_two_people_in_one_blob_stand_where_a_leg_of_theirs_does() -> None:
    trunks = add_box(empty_road(), 30.0, 0.0, PERSON, width_m=1.0, from_m=0.4)
    (legless,) = people_in(trunks)
    (pair,) = people_in(add_box(trunks, 30.0, 0.4, PERSON, width_m=0.2, to_m=0.5))
    assert legless.x_m < 24.0
    assert pair.feet == 'seen'
    assert pair.x_m == pytest.approx(30.0, abs=2.0)


@pytest.mark.parametrize('legs_m', [0.3, 0.6])
def test_the_legs_of_a_cyclist_are_nobody_on_foot(legs_m: float) -> None:
    labels = add_box(empty_road(), 12.0, 0.0, CYCLIST)
    add_box(labels, 12.0, 0.0, PERSON, to_m=legs_m)
    assert people_in(labels, include_cyclists=False) == ()
    assert len(people_in(labels)) == 1


@pytest.mark.parametrize('trunk_m', [0.3, 0.5])
def test_who_is_a_cyclist_in_the_lesser_part_is_somebody_on_foot(trunk_m: float) -> None:
    labels = add_box(empty_road(), 12.0, 0.0, CYCLIST)
    add_box(labels, 12.0, 0.0, PERSON, to_m=1.7 - trunk_m)
    for include_cyclists in (False, True):
        (person,) = people_in(labels, include_cyclists=include_cyclists)
        assert not person.rides


@pytest.mark.parametrize('x', [8.0, 12.0, 18.0])
def test_a_child_in_front_of_a_cyclist_is_found(x: float) -> None:
    labels = add_person(empty_road(), x + 3.0, 0.0, label=CYCLIST)
    add_person(labels, x, 0.0, height_m=1.0)
    for include_cyclists in (False, True):
        (child,) = people_in(labels, include_cyclists=include_cyclists)
        assert child.x_m == pytest.approx(x, rel=0.08)


@pytest.mark.parametrize('y', [-1.2, 0.0, 0.7])
@pytest.mark.parametrize('x', [8.0, 12.0, 18.0])
def test_a_bicycle_that_crosses_is_one_road_user_where_its_wheels_are(x: float, y: float) -> None:
    labels = add_bicycle(empty_road(), x, y)
    (rider,) = people_in(labels)
    assert rider.rides
    assert rider.x_m == pytest.approx(x, rel=0.08)
    assert rider.y_m == pytest.approx(y, abs=0.1)


@pytest.mark.parametrize('y', [-0.8, 0.0, 0.8])
def test_a_child_beside_the_middle_of_a_crossing_bicycle_stands_where_its_feet_are(
    y: float,
) -> None:
    labels = add_bicycle(empty_road(), 12.0, 0.0)
    add_person(labels, 10.0, y, height_m=1.0)
    (child,) = people_in(labels)
    assert child.x_m == pytest.approx(10.0, rel=0.08)
    assert child.y_m == pytest.approx(y, abs=0.15)


@pytest.mark.parametrize('upper', [CYCLIST, PERSON])
def test_who_is_labelled_half_as_a_cyclist_is_one_person(upper: int) -> None:
    lower = PERSON + CYCLIST - upper
    labels = add_person(empty_road(), 12.0, 0.0, label=upper)
    add_box(labels, 12.0, 0.0, lower, to_m=0.85)
    (person,) = people_in(labels)
    assert person.x_m == pytest.approx(12.0, rel=0.08)


def test_who_is_too_stout_to_stand_upright_may_be_nearer() -> None:
    (upright,) = people_in(frame_with((18.0, 0.0)))
    (stout,) = people_in(add_box(empty_road(), 18.0, 0.0, PERSON, from_m=0.4))
    assert upright.nearer_m == pytest.approx(0.0, abs=0.5)
    assert stout.x_m > 22.0
    assert stout.x_m - stout.nearer_m < 19.0


def test_the_ground_under_the_feet_is_told() -> None:
    labels = empty_road()
    labels[:, :320][labels[:, :320] == ROAD] = PAVEMENT
    add_person(labels, 10.0, 2.0)
    add_person(labels, 10.0, -2.0)
    left, right = sorted(people_in(labels), key=lambda person: -person.y_m)
    assert left.on_pavement
    assert not right.on_pavement


def test_somebody_is_gone_when_the_ground_is_seen_in_its_place_and_not_behind_a_car() -> None:
    finder = PeopleFinder(LABEL_MAP)
    (person,) = finder.find(frame_with((10.0, 0.0)), None, ground())
    assert finder.is_gone(person, empty_road())
    assert not finder.is_gone(person, frame_with((10.0, 0.0)))
    assert not finder.is_gone(person, add_box(empty_road(), 8.0, 0.0, CAR, width_m=2.0))


def test_somebody_is_gone_when_a_cyclist_is_seen_in_its_place_unless_cyclists_count() -> None:
    labels = add_person(empty_road(), 10.0, 0.0, label=CYCLIST)
    for include_cyclists in (False, True):
        finder = PeopleFinder(LABEL_MAP, include_cyclists=include_cyclists)
        (person,) = finder.find(frame_with((10.0, 0.0)), None, ground())
        assert finder.is_gone(person, labels) is not include_cyclists


def test_cyclists_count_unless_they_are_left_out() -> None:
    labels = add_person(empty_road(), 10.0, 0.0, label=CYCLIST)
    assert len(people_in(labels)) == 1
    assert people_in(labels, include_cyclists=False) == ()


@pytest.mark.parametrize(('person', 'cyclist'), [(20, 22), (40, 22), (22, 23)])
def test_people_are_found_whatever_numbers_their_classes_have(person: int, cyclist: int) -> None:
    labels = add_person(empty_road(), 10.0, 2.0)
    add_person(labels, 10.0, -2.0, label=CYCLIST)
    add_person(labels, 10.0, 0.0, label=CAR)
    numbers = {PERSON: person, CYCLIST: cyclist, CAR: 21}
    classes = [replace(row, id=numbers.get(row.id, row.id)) for row in LABEL_MAP.classes]
    lut = np.arange(256, dtype=np.uint8)
    lut[list(numbers)] = list(numbers.values())
    found = PeopleFinder(LabelMap(tuple(classes))).find(lut[labels], None, ground())
    assert len(found) == 2
    assert found == people_in(labels)


@pytest.mark.parametrize(
    ('y', 'at_side'), [(0.0, False), (4.0, False), (5.2, True), (-4.0, False), (-5.2, True)]
)
def test_who_is_about_to_leave_the_picture_is_at_its_side(y: float, at_side: bool) -> None:
    (person,) = people_in(frame_with((11.0, y)))
    assert person.at_side is at_side


def test_confidence_is_the_mean_over_the_person() -> None:
    labels = frame_with((10.0, 0.0))
    confidence = np.where(labels == PERSON, 204, 17).astype(np.uint8)
    (person,) = PeopleFinder(LABEL_MAP).find(labels, confidence, ground())
    assert person.confidence == pytest.approx(0.8)


def test_without_a_calibration_there_are_people_without_places() -> None:
    (person,) = PeopleFinder(LABEL_MAP).find(frame_with((10.0, 0.0)))
    assert math.isnan(person.distance_m)
    assert person.foot_px[0] == pytest.approx(319.5, abs=1.0)


def test_a_label_map_without_people_is_refused() -> None:
    roads_only = LabelMap((LabelClass(3, 'road', (1, 2, 3), ('drivable',)),))
    with pytest.raises(ConfigurationError, match=r'role pedestrian.*spec\.yaml'):
        PeopleFinder(roads_only)


@pytest.mark.parametrize(
    'labels',
    [
        np.zeros((0, 0), np.uint8),
        np.zeros((0, 640), np.uint8),
        np.full((1, 1), PERSON, np.uint8),
        np.full((360, 640), PERSON, np.uint8),
        np.full((360, 640), 255, np.uint8),
        np.indices((360, 640)).sum(axis=0).astype(np.uint8) % 2 * PERSON,
        np.full((3, 360, 640), PERSON, np.uint8),
    ],
    ids=['empty', 'no rows', 'one pixel', 'all people', 'unlabelled', 'chequered', 'three axes'],
)
def test_odd_label_images_do_no_harm(labels: NDArray[np.uint8]) -> None:
    finder = PeopleFinder(LABEL_MAP)
    finder.find(labels)
    finder.find(labels, labels, ground())
    finder.find(labels, labels, GroundScale(np.full((360, 640, 2), np.nan, np.float32)))


def test_a_wall_of_people_is_near() -> None:
    found = people_in(np.full((360, 640), PERSON, np.uint8))
    assert min(person.distance_m for person in found) < 6.0


@given(
    labels=st_numpy.arrays(
        np.uint8, (18, 32), elements=st.sampled_from([SKY, ROAD, POLE, PERSON, 255])
    )
)
@settings(max_examples=40, deadline=None)
def test_no_image_breaks_it_and_every_person_is_where_its_pixels_are(
    labels: NDArray[np.uint8],
) -> None:
    large = cv2.resize(labels, SIZE_WH, interpolation=cv2.INTER_NEAREST)
    for person in people_in(large):
        x0, y0, x1, y1 = person.bbox
        assert 0 <= x0 <= person.foot_px[0] < x1 <= SIZE_WH[0]
        assert 0 <= y0 < y1 <= SIZE_WH[1]
        assert 0 < person.pixels <= np.count_nonzero(large[y0:y1, x0:x1] == PERSON)


@given(
    slots=st.lists(
        st.tuples(st.floats(6.0, 35.0), st.integers(-3, 3)),
        min_size=1,
        unique_by=lambda slot: slot[1],
    )
)
@settings(max_examples=25, deadline=None)
def test_mirroring_the_labels_mirrors_the_offsets(slots: list[tuple[float, int]]) -> None:
    labels = frame_with(*((x, 0.14 * slot * (x - 1.6)) for x, slot in slots))
    found = sorted((p.y_m, p.x_m) for p in people_in(labels))
    mirrored = sorted((-p.y_m, p.x_m) for p in people_in(labels[:, ::-1].copy()))
    assert len(found) == len(slots)
    np.testing.assert_allclose(found, mirrored, rtol=0.01, atol=0.03)


def box(
    top: int, bottom: int, left: int, right: int, label: int = PERSON, on: int = ROAD
) -> NDArray[np.uint8]:
    """Somebody as a box on ground all over, rows and columns excluded at the end."""
    labels = np.full(SIZE_WH[::-1], on, np.uint8)
    labels[top:bottom, left:right] = label
    return labels


def found(labels: NDArray[np.uint8], scale: GroundScale | None = None) -> tuple[SeenPerson, ...]:
    return PeopleFinder(LABEL_MAP).find(labels, None, scale)


def test_somebody_is_told_as_box_foot_and_pixels_are() -> None:
    (person,) = found(box(150, 240, 300, 320))
    assert person.bbox == (300, 150, 320, 240)
    assert person.foot_px == (309.5, 239.5)
    assert (person.pixels, person.extent_px, person.confidence) == (1800, 90, 1.0)


@pytest.mark.parametrize(('x', 'width_px', 'count'), [(10.0, 2, 0), (10.0, 3, 1)])
def test_less_than_a_twentieth_of_a_whole_person_is_nobody(
    x: float, width_px: int, count: int
) -> None:
    """A stick of half a metre: a person covers 0.45 of its box there, 1500 pixels."""
    ((u, v),) = camera().project([[x, 0.0, 0.0]])[0]
    labels = box(int(v) - 32, int(v), int(u), int(u) + width_px)
    assert len(found(labels, ground())) == count


@pytest.mark.parametrize(('rows', 'count'), [(38, 0), (41, 1)])
def test_without_a_calibration_nobody_is_smaller_than_a_third_of_the_way_from_the_horizon(
    rows: int, count: int
) -> None:
    """The horizon is in the middle, row 180; from there to row 300 it is 120 rows."""
    assert len(found(box(300 - rows, 300, 300, 310))) == count


@pytest.mark.parametrize(('height_m', 'count'), [(0.17, 0), (0.2, 1)])
def test_what_the_lower_border_cuts_is_18_cm_high_at_least(height_m: float, count: int) -> None:
    rows = round(height_m * float(ground().px_per_m[-1, 320]))
    assert len(found(box(360 - rows, 360, 300, 340), ground())) == count


@pytest.mark.parametrize(('left', 'at_side'), [(20, False), (19, True)])
def test_at_the_side_is_nearer_to_a_border_than_its_own_width(left: int, at_side: bool) -> None:
    (person,) = found(box(150, 240, left, left + 20))
    assert person.at_side is at_side
    (person,) = found(box(150, 240, 640 - left - 20, 640 - left))
    assert person.at_side is at_side


def test_networks_lose_a_tenth_of_the_height_and_of_who_is_cut_more_is_below() -> None:
    (person,) = found(box(150, 240, 300, 320))
    assert person.lowest_px == pytest.approx(239.5 + 9.0)
    (cut,) = found(box(260, 360, 300, 320))
    # It is at least as narrow as its legs, 0.25 m, and upright then: thrice and a half as high
    assert cut.lowest_px == pytest.approx(260 + 3.4 * 20 * 0.45 / 0.25, rel=0.12)
    (cut,) = found(box(260, 360, 0, 20))
    assert cut.lowest_px == pytest.approx(359.5 + 4 * 100)


@pytest.mark.parametrize('feet', ['seen', 'occluded', 'truncated'])
def test_a_place_is_as_sure_as_its_row_its_height_its_distance_and_its_feet_are(feet: str) -> None:
    """A row and 7 % of the height, 1 % of the distance; 25 % more if hidden, 20 % if cut."""
    point = GroundPoint(12.0, 5.0, 0.4, 0.02)
    along_m, across_m = _sigmas(point, feet, 50)
    more = {'seen': 0.0, 'occluded': 0.25, 'truncated': 0.2}[feet]
    assert along_m == pytest.approx(math.hypot(4.5 * 0.4, 0.13) + more * 13.0)
    assert across_m == pytest.approx(math.hypot(0.01, 0.08))
    assert all(math.isnan(sigma) for sigma in _sigmas(None, feet, 50))


@pytest.mark.parametrize(('rows', 'is_gone'), [(81, True), (79, False)])
def test_a_fifth_of_the_shins_may_be_wrong_labels_where_somebody_is_gone(
    rows: int, is_gone: bool
) -> None:
    """The lowest 15 of 100 rows are looked at, 100 columns of them."""
    (person,) = found(box(140, 240, 300, 320))
    person = person._replace(bbox=(300, 140, 400, 240))
    empty = box(225, 240, 300 + rows, 400, CAR)
    empty[140:225, 300:400] = CAR  # what is above the shins does not matter
    assert PeopleFinder(LABEL_MAP).is_gone(person, empty) is is_gone


def test_that_the_lowest_row_is_ground_does_not_make_somebody_gone() -> None:
    (person,) = found(box(140, 240, 300, 320))
    person = person._replace(bbox=(300, 140, 400, 240))
    shins = box(225, 239, 300, 400, CAR)
    assert not PeopleFinder(LABEL_MAP).is_gone(person, shins)


def test_whether_somebody_is_gone_can_be_asked_of_one_row_and_at_the_border() -> None:
    (person,) = found(box(140, 240, 300, 320))
    for bbox in ((300, 238, 320, 240), (300, 0, 320, 2), (0, 100, 20, 360)):
        small = person._replace(bbox=bbox)
        assert PeopleFinder(LABEL_MAP).is_gone(small, box(0, 0, 0, 0))
        assert not PeopleFinder(LABEL_MAP).is_gone(small, box(0, 0, 0, 0, on=CAR))
    above = box(0, 0, 0, 0)
    above[238] = CAR
    assert PeopleFinder(LABEL_MAP).is_gone(person._replace(bbox=(300, 238, 320, 240)), above)


def test_a_bicycle_stands_in_the_middle_of_both_wheels_however_one_is_higher() -> None:
    labels = box(150, 240, 280, 360, CYCLIST)
    labels[200:240, 290:350] = ROAD  # two wheels
    labels[237:240, 350:360] = ROAD  # the front one is three rows higher
    (rider,) = found(labels)
    assert rider.rides
    assert rider.foot_px[0] == 280 + 0.5 * (0 + 79)


@pytest.mark.parametrize(('riders', 'rides'), [(46, True), (45, False)])
def test_who_is_a_cyclist_by_more_than_half_rides(riders: int, rides: bool) -> None:
    labels = box(150, 240, 300, 320)
    labels[150 : 150 + riders, 300:320] = CYCLIST
    (person,) = found(labels)
    assert person.rides is rides


def test_who_is_a_cyclist_by_half_does_not_ride_whoever_else_is_in_its_box() -> None:
    labels = box(150, 240, 300, 320)
    labels[150:170, 310:320] = ROAD
    labels[150:185, 300:310] = CYCLIST
    labels[185:210, 300:320] = CYCLIST  # 850 of its 1600 pixels
    labels[210 - 2 : 210, 300:320] = PERSON
    labels[210 - 3, 300:310] = PERSON  # 800
    labels[155:157, 314:317] = CYCLIST  # a speck that touches nobody
    (person,) = found(labels)
    assert person.pixels == 1600
    assert not person.rides


@pytest.mark.parametrize(('rows', 'feet'), [(1, 'seen'), (2, 'occluded')])
def test_feet_are_hidden_where_more_than_half_of_what_is_below_them_is_in_front(
    rows: int, feet: str
) -> None:
    """Two rows below somebody of 40."""
    labels = box(200, 240, 300, 310)
    labels[240 : 240 + rows, 300:310] = CAR
    labels[180, 320] = ROAD
    (person,) = found(labels)
    assert person.feet == feet
    assert not person.on_pavement


@pytest.mark.parametrize(('columns', 'feet'), [(0, 'seen'), (1, 'occluded')])
def test_two_rows_below_the_feet_tell_what_somebody_of_62_rows_stands_on(
    columns: int, feet: str
) -> None:
    labels = box(178, 240, 300, 310)
    labels[240, 300:310] = CAR
    labels[241, 300 : 300 + columns] = CAR
    assert found(labels)[0].feet == feet


@pytest.mark.parametrize(('columns', 'is_pavement'), [(11, True), (10, False), (9, False)])
def test_who_has_more_pavement_than_road_under_the_feet_stands_on_it(
    columns: int, is_pavement: bool
) -> None:
    labels = box(200, 240, 300, 320)
    labels[240:, 300 : 300 + columns] = PAVEMENT
    assert found(labels)[0].on_pavement is is_pavement


@pytest.mark.parametrize(
    ('confidence', 'mean'), [(None, 1.0), (np.full((2, 2), 9, np.uint8), 1.0), (51, 0.2), (255, 1)]
)
def test_confidence_of_another_size_says_nothing(
    confidence: NDArray[np.uint8] | int | None, mean: float
) -> None:
    if isinstance(confidence, int):
        confidence = np.full(SIZE_WH[::-1], confidence, np.uint8)
    (person,) = PeopleFinder(LABEL_MAP).find(box(150, 240, 300, 320), confidence)
    assert person.confidence == pytest.approx(mean)


def test_a_ground_of_another_size_says_nothing() -> None:
    (person,) = found(box(40, 90, 300, 310)[:180, :].copy(), ground())
    assert math.isnan(person.x_m)


@pytest.mark.parametrize(('min_pixels', 'count'), [(100, 1), (101, 0)])
def test_a_blob_of_so_many_pixels_is_somebody(min_pixels: int, count: int) -> None:
    finder = PeopleFinder(LABEL_MAP, min_pixels=min_pixels)
    assert len(finder.find(box(150, 200, 300, 302))) == count


@pytest.mark.parametrize('below', [CAR, ROAD])
def test_a_large_blob_is_split_by_the_height_that_may_be_seen_of_somebody(below: int) -> None:
    """60 rows and columns: 1.1 m over a car, which is one wide person, or 1.7 m, a crowd."""
    labels = box(120, 180, 300, 360)
    labels[180:190, 300:360] = below
    assert len(found(labels)) == (1 if below == CAR else 3)


@pytest.mark.parametrize(('top', 'count'), [(0, 1), (1, 3)])
def test_who_is_small_and_touches_the_upper_border_has_no_known_height(
    top: int, count: int
) -> None:
    labels = box(top, top + 30, 300, 330)
    labels[top + 30 : top + 40, 300:330] = CAR
    assert len(found(labels)) == count


def test_what_is_taller_than_anybody_is_split_by_the_scale_of_somebody_as_tall() -> None:
    """Of 3 m, 2 m wide: 1.27 m if it were 1.9 m, which may be one person and a bag."""
    ((u, v),) = camera().project([[12.0, 0.0, 0.0]])[0]
    px_per_m = float(ground().px_per_m[int(v), int(u)])
    high, wide = round(3.0 * px_per_m), round(2.0 * px_per_m)
    labels = box(int(v) + 1 - high, int(v) + 1, int(u) - wide // 2, int(u) + wide - wide // 2)
    assert len(found(labels, ground())) == 1


def test_how_near_a_cyclist_is_its_width_does_not_tell() -> None:
    (rider,) = people_in(add_box(empty_road(), 12.0, 0.0, CYCLIST, width_m=0.8))
    assert rider.rides
    assert (rider.x_m, rider.feet) == (pytest.approx(12.0, rel=0.08), 'seen')


@pytest.mark.parametrize('x', [6.0, 9.0])
def test_over_something_in_front_at_most_1_1_m_of_somebody_are_seen(x: float) -> None:
    labels = add_box(empty_road(), x, 0.0, PERSON, width_m=0.3)
    add_box(labels, x, 0.0, CAR, width_m=3.0, to_m=0.6)
    (person,) = people_in(labels)
    assert person.feet == 'occluded'
    assert person.x_m == pytest.approx(x, rel=0.06)


def test_nearer_by_a_foot_is_nearer() -> None:
    near, far = GroundPoint(3.0, 4.0, 0.1, 0.1), GroundPoint(3.2, 4.2, 0.1, 0.1)
    assert _is_nearer(near, far)
    assert not _is_nearer(far, near)
    assert not _is_nearer(near, near)


def test_nearer_is_nearer_to_the_base_and_what_is_not_known_is_neither() -> None:
    near, far = GroundPoint(3.0, 4.0, 0.1, 0.1), GroundPoint(5.0, 12.0, 0.1, 0.1)
    assert _nearer_by_m(near, far) == 8.0
    assert _nearer_by_m(far, near) == _nearer_by_m(None, far) == _nearer_by_m(near, None) == 0.0
    assert _nearer(near, far) is _nearer(far, near) is _nearer(None, near) is near
    assert _nearer(far, None) is far
    assert _nearer(None, None) is None


def blob(rows: list[int]) -> Blob:
    """Rows of so many pixels, in the middle of what is as wide as the widest."""
    widest = max(rows)
    mask = np.zeros((len(rows), widest), np.uint8)
    for row, width in zip(mask, rows, strict=True):
        begin = (widest - width) // 2
        row[begin : begin + width] = 1
    return Blob(100, 100, 100 + widest, 100 + len(rows), sum(rows), mask)


@pytest.mark.parametrize(
    ('rows', 'width'),
    [([5, 9, 7], 7.0), ([4, 9, 7, 6], 6.5), ([1], 1.0), ([40, 10, 10, 10, 10, 10, 2], 10.0)],
)
def test_as_wide_as_most_rows_is_the_median_of_their_widths(rows: list[int], width: float) -> None:
    assert _width_px(blob(rows)) == width


def test_shoulders_are_wider_than_four_of_five_rows_of_a_large_blob() -> None:
    rows = [10] * 32 + [30] * 10
    assert _shoulders_px(blob(rows)) == 30.0
    assert _shoulders_px(blob([10] * 36 + [30] * 6)) == 10.0
    assert _shoulders_px(blob(rows[3:])) == 10.0  # 39 rows: as wide as most
    assert _shoulders_px(blob(rows[2:])) == 30.0


@pytest.mark.parametrize(('width', 'has_legs'), [(11, True), (12, False), (13, False)])
def test_a_leg_is_less_than_four_tenths_as_wide_as_most_of_it_in_the_lowest_eighth(
    width: int, has_legs: bool
) -> None:
    assert _has_legs(blob([30] * 88 + [width] * 12), 30.0) is has_legs
    assert not _has_legs(blob([30] * 90 + [width] * 3 + [30] * 7), 30.0)
    assert _has_legs(blob([30] * 4 + [width] * 2), 30.0) is has_legs  # two rows at least
    assert _has_legs(blob([30] * 88 + [1] * 10 + [30] * 2), 30.0)  # on shoes as wide as it is


@pytest.mark.parametrize(('height', 'is_hidden'), [(40, True), (39, False)])
def test_a_large_blob_most_of_which_ends_above_something_in_front_is_hidden(
    height: int, is_hidden: bool
) -> None:
    labels = box(200 - height, 200, 300, 321)
    labels[200:220, 300:311] = CAR  # 11 of 21 columns
    finder = PeopleFinder(LABEL_MAP)
    (whole,) = blobs_of(finder._mask(labels), 1)
    assert finder._is_hidden(whole, labels) is is_hidden
    labels[200:220, 310] = ROAD
    assert not finder._is_hidden(whole, labels)
    # It may end higher up than its lowest row does
    labels = box(200 - height, 200, 300, 321)
    labels[190:200, 300:311] = CAR
    (whole,) = blobs_of(finder._mask(labels), 1)
    assert finder._is_hidden(whole, labels) is is_hidden
    labels = box(160, 200, 300, 320)
    labels[200:220, 300:310] = CAR  # half of its columns are not most of them
    (whole,) = blobs_of(finder._mask(labels), 1)
    assert not finder._is_hidden(whole, labels)
    (at_border,) = blobs_of(finder._mask(box(300, 360, 300, 320)), 1)
    assert not finder._is_hidden(at_border, box(300, 360, 300, 320))


@pytest.mark.parametrize(
    ('height', 'width', 'roof', 'is_car'),
    [(22, 23, 23, True), (22, 24, 24, False), (24, 23, 23, False), (22, 20, 16, True),
     (22, 20, 15, False), (22, 4, 4, False)],
)  # fmt: skip
def test_a_small_wide_blob_under_the_roof_of_a_vehicle_is_its_middle(
    height: int, width: int, roof: int, is_car: bool
) -> None:
    """Smaller than 24 pixels, wide for one person, four fifths of it under the roof."""
    labels = box(200, 200 + height, 300, 300 + width)
    labels[199, 300 : 300 + roof] = CAR
    finder = PeopleFinder(LABEL_MAP)
    (whole,) = blobs_of(finder._mask(labels), 1)
    assert finder._is_under_roof(whole, labels, height / 1.7) is is_car


def test_a_roof_may_slant() -> None:
    labels = box(200, 220, 300, 320)
    labels[200:205, 300:308] = CAR
    labels[199, 308:320] = CAR
    finder = PeopleFinder(LABEL_MAP)
    (whole,) = blobs_of(finder._mask(labels), 1)
    assert finder._is_under_roof(whole, labels, 20 / 1.7)


def test_at_the_upper_border_nothing_is_a_roof() -> None:
    labels = box(0, 20, 300, 320)
    labels[359, 300:320] = CAR
    finder = PeopleFinder(LABEL_MAP)
    (whole,) = blobs_of(finder._mask(labels), 1)
    assert not finder._is_under_roof(whole, labels, 12.0)


@pytest.mark.parametrize(('columns', 'is_of_rider'), [(11, True), (10, False)])
def test_legs_are_of_a_cyclist_of_whom_more_than_half_of_what_is_above_is(
    columns: int, is_of_rider: bool
) -> None:
    """One and a half times as many rows as the legs have, and their columns."""
    labels = box(200, 220, 300, 320)
    labels[170:200, 300 : 300 + columns] = CYCLIST
    finder = PeopleFinder(LABEL_MAP, include_cyclists=False)
    (legs,) = blobs_of(finder._mask(labels), 1)
    assert finder._is_of_rider(legs, labels) is is_of_rider
    labels[170:173, 300:320] = ROAD
    assert not finder._is_of_rider(legs, labels)


def test_people_are_told_the_largest_first_and_all_of_them() -> None:
    labels = box(150, 240, 300, 320)
    labels[200:240, 100:110] = PERSON
    labels[100:240, 500:530] = PERSON
    assert [person.pixels for person in found(labels)] == [4200, 1800, 400]


def test_what_the_lower_border_cuts_may_be_a_small_part_of_somebody() -> None:
    stick = box(320, 360, 300, 303)
    assert len(found(stick, ground())) == 1
    assert found(np.roll(stick, -4, axis=0), ground()) == ()


def test_the_scale_of_somebody_is_that_of_the_last_row_below_its_middle() -> None:
    rolled = Camera(camera().intrinsics, Mount(z=1.45, roll=0.2, pitch=0.06))
    scale = GroundScale(rolled.ground_table())
    whole = Blob(300, 150, 320, 240, 1800, np.ones((90, 20), np.uint8))
    assert _foot_scale(whole, scale) == scale.px_per_m[239, 309]
    wider = Blob(300, 150, 321, 240, 1890, np.ones((90, 21), np.uint8))
    assert _foot_scale(wider, scale) == scale.px_per_m[239, 310]
    assert scale.px_per_m[239, 309] != scale.px_per_m[239, 310]
