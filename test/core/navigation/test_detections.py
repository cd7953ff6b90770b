# SPDX-License-Identifier: Apache-2.0
"""Everybody who is seen is a box, and whoever is followed has a place and a size in metres."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from seg_ros.core.geometry.camera import Mount
from seg_ros.core.navigation.detections import find_detections
from seg_ros.core.navigation.instances import PER_CLASS, Instances
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.tracking import TrackedPerson
from test.people_scene import PERSON, SIZE_WH, camera, pixels

Box = tuple[int, int, int, int]
BOX: Box = (300, 150, 320, 240)


def instances(*boxes: Box) -> Instances:
    image = np.zeros(SIZE_WH[::-1], np.uint16)
    codes = np.array([PERSON * PER_CLASS + 1 + n for n in range(len(boxes))], np.uint16)
    for code, (x0, y0, x1, y1) in zip(codes, boxes, strict=True):
        image[y0:y1, x0:x1] = code
    return Instances(image, np.array(boxes, np.intp).reshape(-1, 4), codes)


def followed(box: Box = BOX, x: float = 10.0, y: float = 0.0) -> TrackedPerson:
    seen = SeenPerson(x, y, 0.2, 0.1, (0.0, 0.0), box, 900, 1.0, 'seen', False)
    return TrackedPerson(7, x, y, 0.0, 0.0, 0.2, 0.1, 0.1, True, False, seen)


def test_everybody_is_told_as_a_box_with_the_mean_confidence_of_its_pixels() -> None:
    confidence = np.full(SIZE_WH[::-1], 9, np.uint8)
    confidence[150:240, 300:320] = 204
    one, other = find_detections(
        instances(BOX, (10, 20, 30, 60)), confidence, [], None, (1280, 1080)
    )
    assert one.box == (600.0, 450.0, 640.0, 720.0)
    assert (one.class_id, one.score) == (PERSON, pytest.approx(0.8))
    assert other.score == pytest.approx(9 / 255)
    assert one.person is None
    assert math.isnan(one.width_m)
    (unsure,) = find_detections(instances(BOX), None, [], None, SIZE_WH)
    assert unsure.score == 1.0


@pytest.mark.parametrize(('rows', 'is_same'), [(45, True), (44, False), (0, False)])
def test_a_box_is_of_who_is_followed_where_half_of_both_together_is_of_both(
    rows: int, is_same: bool
) -> None:
    part = (300, 240 - rows, 320, 240)
    (found,) = find_detections(instances(BOX), None, [followed(part)], camera(), SIZE_WH)
    assert (found.person is not None) is is_same
    beside = followed((400, 150, 420, 240))
    (found,) = find_detections(instances(BOX), None, [beside, followed()], camera(), SIZE_WH)
    assert found.person == followed()
    lost = followed()._replace(is_coasting=True)
    (found,) = find_detections(instances(BOX), None, [lost], camera(), SIZE_WH)
    assert found.person is None


@pytest.mark.parametrize('image_size_wh', [SIZE_WH, (1280, 720)])
def test_a_size_in_metres_is_that_of_an_upright_board_where_somebody_stands(
    image_size_wh: tuple[int, int],
) -> None:
    (left, foot), (right, head) = pixels(10.0, 0.25, 0.0), pixels(10.0, -0.25, 1.7)
    box = (round(left), round(head), round(right), round(foot))
    (found,) = find_detections(instances(box), None, [followed(box)], camera(), image_size_wh)
    assert found.width_m == pytest.approx(0.5, abs=0.03)
    assert found.height_m == pytest.approx(1.7, abs=0.03)


def test_who_is_where_the_camera_sees_no_ground_has_no_size() -> None:
    behind = followed(x=-10.0)
    (found,) = find_detections(instances(BOX), None, [behind], camera(), SIZE_WH)
    assert found.person == behind
    assert math.isnan(found.width_m)
    assert math.isnan(found.height_m)
    upside_down = replace(camera(), mount=Mount(z=1.45, roll=math.pi))
    (found,) = find_detections(instances(BOX), None, [followed()], upside_down, SIZE_WH)
    assert math.isnan(found.height_m)
