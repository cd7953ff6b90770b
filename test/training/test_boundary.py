# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from training.boundary import BoundaryFigures, through_grid

SHAPE_HW = (360, 480)  # the reference height: a pixel is a pixel
ROAD, PEDESTRIAN, MARKING, UNKNOWN = 0, 1, 2, 255


def scene(shift_px: int = 0) -> np.ndarray:
    """A person of 40x100 px on a road."""
    labels = np.full(SHAPE_HW, ROAD, np.uint8)
    labels[100:200, 200 + shift_px : 240 + shift_px] = PEDESTRIAN
    return labels


def figures(truth: np.ndarray, answer: np.ndarray) -> BoundaryFigures:
    found = BoundaryFigures(classes=2)
    found.add(truth, answer)
    return found


def test_the_truth_itself_has_an_f_score_of_one() -> None:
    assert figures(scene(), scene()).rounded() == {
        'boundary_f': 1.0, 'right_at_borders': 1.0, 'right_elsewhere': 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(('shift_px', 'is_near'), [(2, True), (4, False)])
def test_a_border_counts_as_found_up_to_two_pixels_away(shift_px: int, is_near: bool) -> None:
    found = figures(scene(), scene(shift_px)).f_scores()
    assert (found == 1.0).all() == is_near
    # only the upright sides are away; those across still lie on each other
    assert (found > 0.25).all()


def test_a_class_that_nobody_saw_has_an_f_score_of_zero() -> None:
    nothing = np.full(SHAPE_HW, ROAD, np.uint8)
    assert figures(scene(), nothing).f_scores()[PEDESTRIAN] == 0.0


def test_a_border_drawn_where_none_is_costs_precision() -> None:
    answer = scene()
    answer[250:350, 20:60] = PEDESTRIAN  # a second one of the same size
    assert figures(scene(), answer).f_scores()[PEDESTRIAN] == pytest.approx(2 / 3, abs=0.01)


def test_a_class_that_counts_as_another_has_no_border_of_its_own() -> None:
    truth = scene()
    truth[:, 100:110] = MARKING
    found = BoundaryFigures(classes=3, folds={MARKING: ROAD})
    found.add(truth, scene())  # the marking was taken for road
    assert found.rounded()['boundary_f'] == 1.0
    assert found.rounded()['right_elsewhere'] == 1.0


def test_what_is_unknown_has_no_border() -> None:
    truth, answer = scene(), scene()
    truth[:, 240:] = UNKNOWN  # right beside the person
    answer[:, 300:] = PEDESTRIAN
    assert figures(truth, answer).rounded()['boundary_f'] == 1.0
    nothing_known = np.full(SHAPE_HW, UNKNOWN, np.uint8)
    assert figures(nothing_known, scene()).rounded() == {}


def test_pixels_at_borders_are_counted_apart_from_the_others() -> None:
    answer = scene()
    answer[120:180, 215:225] = ROAD  # a hole deep inside the person
    found = figures(scene(), answer).rounded()
    assert found['right_at_borders'] == 1.0
    assert found['right_elsewhere'] < 1.0


def test_the_distance_grows_with_the_picture() -> None:
    twice = [np.repeat(np.repeat(s, 2, 0), 2, 1) for s in (scene(), scene(2))]
    assert figures(*twice).rounded()['boundary_f'] == 1.0


def test_pictures_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match='must be the same'):
        figures(scene(), scene()[:10])


def test_a_coarser_grid_loses_more_of_the_border() -> None:
    truth = scene()
    ys, xs = np.indices(SHAPE_HW)
    truth[(ys - 80) ** 2 + (xs - 300) ** 2 < 20**2] = PEDESTRIAN  # a round one
    scores = [
        figures(truth, through_grid(truth, stride, classes=2)).rounded()['boundary_f']
        for stride in (1, 4, 32)
    ]
    assert scores[0] == 1.0
    assert scores[0] >= scores[1] > scores[2]
