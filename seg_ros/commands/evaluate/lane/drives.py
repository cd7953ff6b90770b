"""Drives the scenarios, and lets the lane tracker watch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera, without_pictures
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.commands.evaluate.lane.picture import lane_picture
from seg_ros.commands.evaluate.lane.scenarios import LaneScenario
from seg_ros.commands.evaluate.lane.scores import LaneScores
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.zones import Motion
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.base import InferenceBackend
from seg_ros.sim import classes
from seg_ros.sim.frame import SimFrame
from seg_ros.sim.labels.renderer import LabelWorld
from seg_ros.sim.world import World

__all__ = ['OnPicture', 'drive_scenario']

PICTURE_AT = 0.6  # of the frames

OnPicture = Callable[[RgbImage], None]


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
