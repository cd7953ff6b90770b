# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.stop.people import PeopleFinder, SeenPerson
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
@pytest.mark.parametrize(('height', 'count'), [(49, 0), (140, 1)])
def test_a_low_piece_of_a_cyclist_at_the_lower_border_is_the_bonnet(
    scale: GroundScale | None, height: int, count: int
) -> None:
    labels = empty_road()
    labels[-height:, 366:429] = CYCLIST
    assert len(PeopleFinder(LABEL_MAP).find(labels, None, scale)) == count
    labels[-75:, 366:429] = CYCLIST  # the same on foot may be a child
    labels[labels == CYCLIST] = PERSON
    assert len(PeopleFinder(LABEL_MAP).find(labels, None, scale)) == 1


def test_what_is_flat_at_the_lower_border_is_the_bonnet() -> None:
    bonnet = empty_road()
    bonnet[-20:, 200:440] = PERSON
    for scale in (ground(), None):
        assert PeopleFinder(LABEL_MAP).find(bonnet, None, scale) == ()


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
