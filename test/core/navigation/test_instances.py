# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.navigation.instances import NO_CLASS, PER_CLASS, InstanceFinder
from test import people_scene as scene

FINDER = InstanceFinder(scene.LABEL_MAP)


def test_every_person_has_a_number_and_everything_else_has_none() -> None:
    labels = scene.frame_with((8.0, 2.0), (12.0, -2.0))
    scene.add_box(labels, 15.0, -6.0, scene.CAR, width_m=1.8, to_m=1.4)
    found = FINDER.find(labels, scene.ground())
    people = scene.PERSON * PER_CLASS
    assert set(np.unique(found.image).tolist()) == {
        scene.SKY * PER_CLASS,
        scene.ROAD * PER_CLASS,
        scene.CAR * PER_CLASS,
        people + 1,
        people + 2,
    }
    assert found.image.dtype == np.uint16
    np.testing.assert_array_equal(found.image // PER_CLASS, labels)
    for code, (x0, y0, x1, y1) in zip(found.codes, found.boxes, strict=True):
        rows, columns = np.nonzero(found.image == code)
        assert (x0, y0, x1, y1) == (
            columns.min(), rows.min(), columns.max() + 1, rows.max() + 1,
        )  # fmt: skip


@pytest.mark.parametrize('calibrated', [True, False])
def test_two_people_hand_in_hand_are_two(calibrated: bool) -> None:
    labels = scene.frame_with((10.0, 0.0), (10.0, 0.65))
    scene.add_box(labels, 10.0, 0.325, scene.PERSON, width_m=0.4, from_m=0.75, to_m=0.85)
    ground = scene.ground() if calibrated else None
    assert len(FINDER.find(labels, ground).codes) == 2


def test_one_person_behind_a_pole_is_one() -> None:
    labels = scene.frame_with((10.0, 0.0))
    column = round(scene.pixels(10.0, 0.0, 0.0)[0])
    labels[100:300, column - 2 : column + 2] = scene.POLE
    assert len(FINDER.find(labels, scene.ground()).codes) == 1


def test_somebody_far_away_has_a_number_from_four_pixels_on() -> None:
    labels = scene.empty_road()
    labels[100:104, 200] = labels[100:103, 300] = scene.PERSON
    found = FINDER.find(labels, scene.ground())
    assert found.boxes.tolist() == [[200, 100, 201, 104]]


def test_a_class_that_does_not_fit_into_16_bits_is_no_class() -> None:
    label_map = LabelMap((LabelClass(64, 'last', (1, 2, 3)), LabelClass(65, 'first', (1, 2, 3))))
    labels = np.array([[64, 65, 255]], np.uint8)
    image = InstanceFinder(label_map).find(labels).image
    assert image.tolist() == [[64 * PER_CLASS, NO_CLASS, NO_CLASS]]
