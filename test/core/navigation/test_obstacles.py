# SPDX-License-Identifier: Apache-2.0
"""Where things touch the ground, from label images painted through a camera model."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import pytest

from seg_ros.core.navigation.config import NavigationConfig
from seg_ros.core.navigation.obstacles import GroundEdges, Obstacles, find_obstacles, kinds_lut
from test import people_scene as scene

CONFIG = NavigationConfig()


@lru_cache(maxsize=1)
def edges() -> GroundEdges:
    return GroundEdges(scene.camera().ground_table(), scene.ground(), CONFIG)


def found(labels: Any) -> Obstacles:
    lut = kinds_lut(scene.LABEL_MAP, walkable_is_free=False)
    return find_obstacles(labels, cv2.LUT(labels, lut), edges(), CONFIG)


def test_an_empty_road_has_no_obstacles() -> None:
    assert found(scene.empty_road()).points.shape == (0, 2)


@pytest.mark.parametrize(('x', 'y'), [(5.0, 0.0), (8.0, 1.0), (12.0, -2.0), (25.0, 3.0)])
def test_a_person_is_where_it_stands(x: float, y: float) -> None:
    got = found(scene.frame_with((x, y)))
    assert np.ptp(got.points[:, 0]) < 0.01 * x  # shoulders stand where the feet stand
    assert abs(got.points[:, 0] - x).max() < 0.05 * x
    assert got.points[:, 1].mean() == pytest.approx(y, abs=0.1)
    assert abs(got.points[:, 1] - y).max() < 0.25 + 0.1
    assert set(got.class_ids.tolist()) == {scene.PERSON}


@pytest.mark.parametrize('distance_m', [3.6, 10.0, 29.0])
def test_a_person_gives_enough_points_at_any_distance(distance_m: float) -> None:
    assert len(found(scene.frame_with((distance_m, 0.0))).points) >= CONFIG.min_points


def test_a_pole_one_pixel_wide_gives_enough_points() -> None:
    labels = scene.empty_road()
    foot = scene.pixels(15.0, 2.0, 0.0)
    labels[100 : int(foot[1]) + 1, int(foot[0])] = scene.POLE
    got = found(labels)
    assert len(got.points) == CONFIG.min_points
    assert got.points[0] == pytest.approx([15.0, 2.0], rel=0.05)


def test_specks_are_no_obstacles_and_do_not_hide_what_is_behind() -> None:
    labels = scene.frame_with((10.0, 0.0))
    clean = found(labels)
    random = np.random.default_rng(3)
    for row, column in zip(
        random.integers(250, 355, 200), random.integers(0, 637, 200), strict=True
    ):
        labels[row : row + 2, column : column + 3] = scene.PERSON
    assert len(found(labels).points) == pytest.approx(len(clean.points), abs=3)


def test_holes_in_a_thing_do_not_matter() -> None:
    labels = scene.frame_with((10.0, 0.0))
    clean = found(labels)
    rows, columns = np.nonzero(labels == scene.PERSON)
    hole = int(np.median(rows))
    labels[hole : hole + 2, columns.min() : columns.max() + 1] = scene.ROAD
    np.testing.assert_array_equal(found(labels).points, clean.points)


def test_the_nearer_thing_counts() -> None:
    labels = scene.empty_road()
    scene.add_box(labels, 20.0, 0.0, scene.CAR, width_m=1.8, to_m=1.4)
    scene.add_person(labels, 9.0, 0.0)
    got = found(labels)
    person = got.class_ids == scene.PERSON
    assert got.points[person, 0].mean() == pytest.approx(9.0, rel=0.03)
    assert got.points[~person, 0].mean() == pytest.approx(20.0, rel=0.05)
    assert set(got.class_ids.tolist()) == {scene.PERSON, scene.CAR}


def test_feet_below_the_image_are_at_its_lower_border() -> None:
    labels = scene.empty_road()
    labels[200:, 300:340] = scene.PERSON
    nearest_m = math.hypot(*edges().points[-1, 320])
    assert found(labels).points[:, 0] == pytest.approx(nearest_m, rel=0.01)


def test_what_is_far_away_or_above_the_horizon_is_left_out() -> None:
    labels = scene.frame_with((40.0, 0.0))
    labels[20:60, 100:200] = scene.POLE
    assert found(labels).points.shape == (0, 2)
