# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import SCENARIOS, World, random_scene
from training.augment import Augmentation, Sampler
from training.classes import LANE, ROAD, ROAD_SCENE, class_id
from training.data import drive
from training.labelled_set import LabelledSet
from training.outside import (
    any_camera,
    fisheye,
    paint_arrow,
    put_beacons,
    rain_on_glass,
    yellow_lines,
)


def street() -> tuple[np.ndarray, np.ndarray]:
    """Asphalt with a white line in each half."""
    labels = np.full((120, 160), ROAD, np.uint8)
    labels[:, 40:44] = labels[:, 110:114] = LANE
    image = np.full((120, 160, 3), 90, np.uint8)
    image[labels == LANE] = 220
    return image, labels


def test_a_fisheye_keeps_image_and_labels_together_and_makes_the_middle_larger() -> None:
    labels = np.full((121, 161), ROAD, np.uint8)
    labels[50:71, 70:91] = class_id('vehicle')
    image = np.repeat(labels[..., None] * 20, 3, 2).astype(np.uint8)
    seen, told = fisheye(image, labels, np.random.default_rng(1))
    assert (told == class_id('vehicle')).sum() > 1.15 * (labels == class_id('vehicle')).sum()
    assert np.mean(seen[..., 0] == told * 20) > 0.97
    assert set(np.unique(told)) == set(np.unique(labels))


def test_a_straight_line_beside_the_middle_is_bent_by_a_fisheye() -> None:
    image, labels = street()
    _, told = fisheye(image, labels, np.random.default_rng(0))
    middle = np.flatnonzero(told[60, :80] == LANE).mean()
    top = np.flatnonzero(told[0, :80] == LANE).mean()
    assert top - middle > 2  # further out in the middle than at the edge of the picture


def test_drops_on_the_glass_change_a_part_of_the_picture() -> None:
    image = np.random.default_rng(0).integers(0, 255, (352, 448, 3)).astype(np.uint8)
    before = image.copy()
    for seed in range(8):
        wet = rain_on_glass(image, np.random.default_rng(seed))
        assert wet.shape == image.shape
        assert wet.dtype == np.uint8
        assert (wet != image).any(2).mean() > 0.01
    np.testing.assert_array_equal(image, before)  # the set's own picture is as it was


def test_yellow_paint_takes_the_blue_of_lines_and_of_nothing_else() -> None:
    image, labels = street()
    yellow = yellow_lines(image, labels, LANE, np.random.default_rng(3))
    line = yellow[60, 42].astype(int)
    assert line[2] < 0.5 * line[0]
    assert line[0] > 180
    far = np.abs(np.arange(160) - 42) > 8
    far &= np.abs(np.arange(160) - 112) > 8
    np.testing.assert_array_equal(yellow[:, far], image[:, far])


def test_a_beacon_stands_on_the_ground_and_where_it_is_the_label_says_that_nobody_is() -> None:
    nobody = ROAD_SCENE.label('nobody')
    labels = np.full((240, 320), class_id('building'), np.uint8)
    labels[120:] = ROAD
    image = np.full((240, 320, 3), 110, np.uint8)
    stood = 0
    for seed in range(12):
        seen, told = image.copy(), labels.copy()
        put_beacons(seen, told, nobody, [ROAD], np.random.default_rng(seed))
        beacons = told == nobody
        changed = np.abs(seen.astype(int) - image).max(2) > 40
        assert beacons.any()
        assert not changed[
            ~cv2.dilate(beacons.astype(np.uint8), np.ones((9, 9))).astype(bool)
        ].any()
        assert set(np.unique(told[~beacons])) <= {ROAD, class_id('building')}
        _, _, stats, _ = cv2.connectedComponentsWithStats(beacons.astype(np.uint8))
        feet = stats[1:, cv2.CC_STAT_TOP] + stats[1:, cv2.CC_STAT_HEIGHT]
        stood += int((feet >= 119).all())
        red = seen[beacons][:, 0].astype(int) - seen[beacons][:, 2]
        assert red.max() > 60, 'no red stripe'
    assert stood == 12
    untouched = image.copy()
    put_beacons(untouched, labels.copy(), nobody, [class_id('sky')], np.random.default_rng(0))
    assert (untouched == image).all()


def test_an_arrow_lies_on_the_own_lane_and_its_label_stays_road() -> None:
    for name in ('city', 'night_rain'):
        world = World(replace(SCENARIOS[name], car_density=0.0, people_density=0.0))
        world.step(0.25)
        frame = world.render()
        camera = Camera(world.camera, world.mount)
        labels = frame.labels.copy()
        painted = paint_arrow(frame, camera, np.random.default_rng(2))
        changed = (painted != frame.image).any(2)
        assert changed.sum() > 30, name
        np.testing.assert_array_equal(frame.labels, labels)
        assert (frame.labels[changed] == ROAD).all()
        assert painted[changed].mean() > 1.2 * frame.image[changed].mean()
        v, u = np.argwhere(changed).mean(0)
        (ground,) = camera.ground_points([[u, v]])
        nearest = np.hypot(*(frame.lane_centre[:, :2] - ground[:2]).T).min()
        assert nearest < 0.6


def test_what_stands_on_the_arrow_hides_it() -> None:
    world = World(SCENARIOS['city'])
    frame = world.render()
    covered = replace(frame, labels=np.full_like(frame.labels, class_id('vehicle')))
    camera = Camera(world.camera, world.mount)
    painted = paint_arrow(covered, camera, np.random.default_rng(2))
    np.testing.assert_array_equal(painted, frame.image)


def test_cameras_of_the_world_are_low_and_high_narrow_and_wide() -> None:
    random = np.random.default_rng(0)
    scenes = [any_camera(random_scene(seed), random) for seed in range(200)]
    heights = [scene.mount.z for scene in scenes]
    views = [scene.horizontal_fov_deg for scene in scenes]
    rolls = [abs(scene.mount.roll) for scene in scenes]
    assert min(heights) < 0.4
    assert max(heights) > 2.4
    assert min(views) < 43
    assert max(views) > 117
    assert max(rolls) > math.radians(5)
    for scene in scenes[:12]:
        World(scene).render()  # each can be drawn


def test_drives_that_are_evaluated_are_as_they_were() -> None:
    ((_, plain, labels),) = drive(3, 1, (160, 96), 0.0, (), False, ())
    world = World(random_scene(3, (160, 96)))
    random = np.random.default_rng([3, 17])
    random.random()  # whether it is a named one
    for _ in range(int(random.integers(4, 30))):
        world.step(0.25)
    frame = world.render()
    np.testing.assert_array_equal(plain, frame.image)
    np.testing.assert_array_equal(labels, frame.labels)
    ((_, other, _),) = drive(3, 1, (160, 96), 0.0, (), False, (), of_the_world=True)
    assert (other != plain).any()


def test_a_config_asks_for_them_by_shares() -> None:
    image, labels = street()
    data = LabelledSet('street', ('a',), [image], [labels])
    plain = {'crop_wh': [160, 120], 'scale': [1, 1], 'aspect': [1, 1], 'rotation_deg': 0,
             'colour': 0.0, 'rare_share': 0.0, 'paste_share': 0.0}  # fmt: skip
    for share in ('fisheye_share', 'rain_share', 'yellow_share', 'beacon_share'):
        asked = Sampler(data, Augmentation.from_config({**plain, share: 1.0}), ROAD_SCENE)
        changed = [asked.draw(np.random.default_rng(seed))[0] for seed in range(6)]
        assert any(
            not np.array_equal(crop, image) and not np.array_equal(crop[:, ::-1], image)
            for crop in changed
        ), share
    left_out = Sampler(data, Augmentation.from_config(plain), ROAD_SCENE)
    for seed in range(6):
        crop, _ = left_out.draw(np.random.default_rng(seed))
        assert np.array_equal(crop, image) or np.array_equal(crop[:, ::-1], image)
