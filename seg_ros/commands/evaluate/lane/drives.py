# SPDX-License-Identifier: Apache-2.0
"""The drives that the lane track is judged on, and what it made of one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera, without_pictures
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.commands.evaluate.lane.picture import lane_picture
from seg_ros.commands.evaluate.lane.scores import LaneScores
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.zones import Motion
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.base import InferenceBackend
from seg_ros.sim import classes
from seg_ros.sim.config import SCENARIOS, SceneConfig
from seg_ros.sim.frame import SimFrame
from seg_ros.sim.labels.renderer import LabelWorld
from seg_ros.sim.world import World

__all__ = ['LANE_SCENARIOS', 'LaneScenario', 'OnPicture', 'drive_scenario']

TIGHTEST_PER_M = 1.0 / 60.0  # bend of a country road
PICTURE_AT = 0.6  # of the frames

OnPicture = Callable[[RgbImage], None]


@dataclass(frozen=True)
class LaneScenario:
    """One drive.

    Attributes:
        scene: What it looks like.
        painted: False wipes the lines out of the exact labels: there is no lane to be found.
    """

    scene: SceneConfig
    painted: bool = True


_CITY = SCENARIOS['city']
_COUNTRY = SCENARIOS['country']

LANE_SCENARIOS: Mapping[str, LaneScenario] = {
    'straight': LaneScenario(SCENARIOS['straight']),
    'city': LaneScenario(_CITY),
    'avenue': LaneScenario(SCENARIOS['avenue']),
    'busy': LaneScenario(SCENARIOS['busy']),
    'suburb': LaneScenario(SCENARIOS['suburb']),
    'country': LaneScenario(_COUNTRY),
    'bends': LaneScenario(
        replace(_COUNTRY, max_curvature_per_m=TIGHTEST_PER_M, speed_mps=8.0, seed=21)
    ),
    'narrow': LaneScenario(
        replace(_CITY, max_curvature_per_m=TIGHTEST_PER_M, lane_width_m=2.8, seed=22)
    ),
    'swerving': LaneScenario(replace(_CITY, lane_wander_m=0.6, seed=23)),
    'night': LaneScenario(SCENARIOS['night']),
    'rain': LaneScenario(SCENARIOS['rain']),
    'fog': LaneScenario(SCENARIOS['fog']),
    'other camera': LaneScenario(
        replace(
            _COUNTRY,
            mount=Mount(x=0.4, y=0.3, z=1.05, roll=0.02, pitch=0.02, yaw=-0.03),
            horizontal_fov_deg=85.0,
            seed=24,
        )
    ),
    'no paint': LaneScenario(replace(_CITY, seed=25), painted=False),
}


def drive_scenario(
    scenario: LaneScenario,
    frames: int,
    network: InferenceBackend | None = None,
    config: LaneConfig | None = None,
    on_picture: OnPicture | None = None,
) -> LaneScores:
    """Returns how well the lane was tracked.

    Args:
        scenario: What is driven.
        frames: How many.
        network: Makes the labels; None takes the exact ones of the simulation.
        config: Of the lane track.
        on_picture: Is given one picture of the drive.
    """
    world = (LabelWorld if network is None else World)(scenario.scene)
    mounted = Camera(world.camera, world.mount)
    backend = network or ExactLabels(scenario.scene.size_wh)
    label_map = backend.engine.label_map
    node_config = NodeConfig(lane=config or LaneConfig())
    camera = EvaluatedCamera(
        backend, without_pictures(node_config) if network is None else node_config, mounted
    )
    scores = LaneScores()
    before: SimFrame | None = None
    has_lane = scenario.painted or network is not None
    for index in range(frames):
        frame = world.render()
        speed_mps, yaw_rate_radps = _motion(before, frame)
        camera.moved(Motion(frame.stamp_ns, speed_mps, yaw_rate_radps))
        exact = frame.labels if scenario.painted else _without_paint(frame.labels)
        seen = camera.see(frame.image, frame.stamp_ns, ('lane', 'stop'), exact=exact)
        perceived = camera.finish(seen)
        track = perceived.decisions.lane
        assert track is not None
        scores.add(track, frame, has_lane=has_lane, cost_ms=perceived.timer.stages_ms['lane'])
        if on_picture is not None and index == int(PICTURE_AT * (frames - 1)):
            truth = frame.lane_centre if has_lane else None
            labels = seen.view.labels
            on_picture(lane_picture(frame.image, labels, label_map, mounted, track, truth))
        world.step(1.0 / scenario.scene.rate_hz)
        before = frame
    return scores


def _without_paint(labels: LabelImage) -> LabelImage:
    return np.where(labels == classes.LANE_MARKING, classes.ROAD, labels).astype(np.uint8)


def _motion(before: SimFrame | None, now: SimFrame) -> tuple[float, float]:
    """Speed and yaw rate since the frame before, as wheel encoders and a gyro would tell."""
    if before is None:
        return now.ego.speed_mps, 0.0
    dt_s = (now.stamp_ns - before.stamp_ns) / NS_PER_S
    way_m = math.hypot(now.ego.x_m - before.ego.x_m, now.ego.y_m - before.ego.y_m)
    return way_m / dt_s, math.remainder(now.ego.yaw_rad - before.ego.yaw_rad, math.tau) / dt_s
