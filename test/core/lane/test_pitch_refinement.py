# SPDX-License-Identifier: Apache-2.0
"""The pitch of a camera, found from the lanes of the synthetic road."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.commands.evaluate.exact_labels import EXACT_LABEL_MAP
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.pitch_refinement import PitchRefinement
from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.lane.tracker import LaneTracker
from seg_ros.sim import SceneConfig
from seg_ros.sim.labels.renderer import LabelWorld
from test import people_scene
from test.people_scene import MOUNT

SECOND_NS = 1_000_000_000
SCENE = SceneConfig(seed=3, size_wh=(480, 270), rate_hz=10.0, speed_mps=8.0)
KNOWN_M = np.array([[x, y, 0.0] for x in np.arange(6.0, 30.5, 1.0) for y in (-1.5, 0.0, 1.5)])
SEEN = LaneTrack(True, 'both lines', 'markings', 0, pitch_per_m=0.01)


def ground_errors(ground: GroundScale, true: Camera) -> NDArray[np.float64]:
    """Distances of known ground points from where their pixels are placed, over the distance."""
    pixels, _ = true.project(KNOWN_M)
    places = [ground.at(u, v) for u, v in pixels]
    errors = [
        math.hypot(place.x_m - x, place.y_m - y) / math.hypot(x, y) if place else math.inf
        for place, (x, y, _) in zip(places, KNOWN_M, strict=True)
    ]
    return np.array(errors)


@pytest.mark.parametrize('error_deg', [-1.0, 1.0])
def test_a_pitched_camera_is_right_again_within_one_percent_up_to_30_m(error_deg: float) -> None:
    world = LabelWorld(SCENE)
    true = Camera(world.camera, world.mount)
    pitch = world.mount.pitch + math.radians(error_deg)
    believed = Camera(world.camera, replace(world.mount, pitch=pitch))
    table = believed.ground_table()
    ground = GroundScale(table)
    tracker, refinement = LaneTracker(LaneConfig(), EXACT_LABEL_MAP), PitchRefinement(0.035)
    eye_m = world.mount.x, world.mount.y, world.mount.z
    up_rad = 0.0
    for _ in range(180):
        frame = world.render()
        lane = tracker.update(frame.labels, None, table, frame.stamp_ns, frame.ego.speed_mps, 0.0)
        up_rad = refinement.update(lane, world.mount.z, frame.stamp_ns)
        world.step(0.1)
    assert np.median(ground_errors(ground, true)) > 0.1
    assert np.median(ground_errors(ground.pitched(up_rad, eye_m), true)) <= 0.01


def test_the_refinement_stays_within_its_limit() -> None:
    refinement = PitchRefinement(0.005)
    rounds = [refinement.update(SEEN, 1.45, second * SECOND_NS) for second in range(60)]
    assert rounds[-1] == 0.005
    assert refinement.update(replace(SEEN, pitch_per_m=math.nan), 1.45, 60 * SECOND_NS) == 0.005


def test_the_refinement_is_slow_and_only_believes_lines_that_are_seen() -> None:
    refinement = PitchRefinement(0.035)
    refinement.update(SEEN, 1.45, 0)
    assert 0.0 < refinement.update(SEEN, 1.45, SECOND_NS // 20) < 0.02 * 0.0145
    settled = refinement.update(SEEN, 1.45, 60 * SECOND_NS)
    assert settled == pytest.approx(0.0145, rel=0.01)
    steep = replace(SEEN, pitch_per_m=-0.02)
    for lane in (
        None,
        replace(steep, valid=False),
        replace(steep, source='corridor'),
        replace(steep, age_s=0.2),
    ):
        before = refinement.update(None, 1.45, 61 * SECOND_NS)
        assert refinement.update(lane, 1.45, 61 * SECOND_NS + SECOND_NS // 20) >= 0.99 * before


def test_without_lines_it_goes_back_to_the_mounting() -> None:
    refinement = PitchRefinement(0.035)
    refinement.update(SEEN, 1.45, 0)
    assert refinement.update(SEEN, 1.45, 60 * SECOND_NS) > 0.014
    assert refinement.update(None, 1.45, 360 * SECOND_NS) == pytest.approx(0.0, abs=1e-6)


def test_next_to_the_horizon_that_is_found_nothing_is_known() -> None:
    ground = people_scene.ground()
    eye_m = MOUNT.x, MOUNT.y, MOUNT.z
    (u, v), *_ = people_scene.camera().project([[60.0, 0.0, 0.0]])[0]
    assert ground.at(u, v) is not None
    assert ground.pitched(0.03, eye_m).at(u, v) is None
    assert ground.pitched(0.0, eye_m) is ground
