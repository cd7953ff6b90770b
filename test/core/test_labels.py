# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.labels import KNOWN_ROLES, LabelClass, LabelMap

SKY = LabelClass(0, 'sky', (70, 130, 180), ('sky',))
ROAD = LabelClass(3, 'road', (128, 64, 128), ('drivable',))
PERSON = LabelClass(9, 'person', (220, 20, 60), ('pedestrian', 'obstacle'))
RIDER = LabelClass(10, 'rider', (255, 0, 0), ('cyclist', 'obstacle'))


def label_map(*classes: LabelClass, unlabelled: int = 255) -> LabelMap:
    return LabelMap(classes or (SKY, ROAD, RIDER, PERSON), unlabelled)


def test_a_role_yields_the_ids_of_its_classes_in_rising_order() -> None:
    assert label_map().ids_with_role('obstacle') == (9, 10)
    assert label_map().ids_with_role('lane') == ()


def test_a_role_nobody_knows_is_refused_with_the_list_of_roles() -> None:
    with pytest.raises(ConfigurationError, match=r"'pedestrains'.*drivable, lane, pedestrian"):
        label_map().ids_with_role('pedestrains')


def test_the_mask_of_a_role_is_one_table_look_up() -> None:
    labels = np.array([[0, 3, 9], [10, 255, 4]], np.uint8)
    mask = cv2.LUT(labels, label_map().role_mask_lut('obstacle'))
    assert mask.tolist() == [[0, 0, 255], [255, 0, 0]]


def test_the_colour_table_paints_labels_and_leaves_the_unlabelled_black() -> None:
    labels = np.array([[0, 3, 255]], np.uint8)
    rgb = cv2.applyColorMap(labels, label_map().colour_lut_rgb())
    bgr = cv2.applyColorMap(labels, label_map().colour_lut_bgr())
    assert rgb.tolist() == [[[70, 130, 180], [128, 64, 128], [0, 0, 0]]]
    np.testing.assert_array_equal(bgr, rgb[..., ::-1])


def test_a_class_is_found_by_its_name() -> None:
    assert label_map().by_name('road') is ROAD
    with pytest.raises(ConfigurationError, match=r"no class 'kerb'.*sky, road"):
        label_map().by_name('kerb')


@pytest.mark.parametrize(
    ('classes', 'unlabelled', 'message'),
    [
        ((), 255, 'at least one class'),
        ((SKY, LabelClass(0, 'air', (1, 2, 3))), 255, r'The id 0 belongs to 2 classes \(sky, air'),
        ((SKY, LabelClass(1, 'sky', (1, 2, 3))), 255, "Two classes are called 'sky'"),
        ((SKY, ROAD), 3, "unlabelled is 3, which is the id of class 'road'"),
        ((SKY,), 256, 'unlabelled is 256'),
    ],
)
def test_classes_that_contradict_each_other_are_refused(
    classes: tuple[LabelClass, ...], unlabelled: int, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LabelMap(classes, unlabelled)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'id': 255}, 'has the id 255; an id is a whole number from 0 to 254'),
        ({'id': -1}, 'has the id -1'),
        ({'id': True}, 'has the id True'),
        ({'name': ''}, 'The name of a class is a word'),
        ({'name': False}, 'Put it in quotes if YAML'),
        ({'colour_rgb': (0, 256, 0)}, r'has the colour \[0, 256, 0\]; .* from 0 to 255'),
        ({'colour_rgb': (0, 0)}, r'has the colour \[0, 0\]'),
        ({'colour_rgb': (0, 0.5, 0)}, 'three whole numbers'),
        ({'roles': ('walkabel',)}, f"'walkabel'.*{', '.join(KNOWN_ROLES)}"),
    ],
)
def test_a_class_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {'id': 1, 'name': 'road', 'colour_rgb': (128, 64, 128), 'roles': ()}
    with pytest.raises(ConfigurationError, match=message):
        LabelClass(**{**right, **changes})
