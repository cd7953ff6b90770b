"""Drives the scenarios, and lets the lane tracker watch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from seg_ros.commands.evaluate.lane.labels import Segmenter
from seg_ros.commands.evaluate.lane.picture import lane_picture
from seg_ros.commands.evaluate.lane.scenarios import SIM_LABEL_MAP, LaneScenario
from seg_ros.commands.evaluate.lane.scores import LaneScores
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.tracker import LaneTracker
from seg_ros.core.types import ConfidenceImage, LabelImage, RgbImage
from seg_ros.sim import classes
from seg_ros.sim.frame import SimFrame
from seg_ros.sim.labels.renderer import LabelWorld
from seg_ros.sim.world import World

__all__ = ['OnPicture', 'drive_scenario']

NS_PER_MS = 1e6
NS_PER_S = 1e9
PICTURE_AT = 0.6  # of the frames

OnPicture = Callable[[RgbImage], None]


def drive_scenario(
    scenario: LaneScenario,
    frames: int,
    segmenter: Segmenter | None = None,
    config: LaneConfig | None = None,
    on_picture: OnPicture | None = None,
) -> LaneScores:
    """Returns how well the lane was tracked.

    Args:
        scenario: What is driven.
        frames: How many.
        segmenter: Makes the labels; None takes the exact ones of the simulation.
        config: Of the lane track.
        on_picture: Is given one picture of the drive.
    """
    world = (LabelWorld if segmenter is None else World)(scenario.scene)
    label_map = SIM_LABEL_MAP if segmenter is None else segmenter.label_map
    camera = Camera(world.camera, world.mount)
    table = camera.ground_table(None if segmenter is None else segmenter.size_wh)
    tracker = LaneTracker(config or LaneConfig(), label_map)
    scores = LaneScores()
    before: SimFrame | None = None
    has_lane = scenario.painted or segmenter is not None
    for index in range(frames):
        frame = world.render()
        labels, confidence = _labels(frame, segmenter, scenario)
        speed_mps, yaw_rate_radps = _motion(before, frame)
        started_ns = time.thread_time_ns()
        track = tracker.update(
            labels, confidence, table, frame.stamp_ns, speed_mps, yaw_rate_radps
        )
        cost_ms = (time.thread_time_ns() - started_ns) / NS_PER_MS
        scores.add(track, frame, has_lane=has_lane, cost_ms=cost_ms)
        if on_picture is not None and index == int(PICTURE_AT * (frames - 1)):
            truth = frame.lane_centre if has_lane else None
            on_picture(lane_picture(frame.image, labels, label_map, camera, track, truth))
        world.step(1.0 / scenario.scene.rate_hz)
        before = frame
    return scores


def _labels(
    frame: SimFrame, segmenter: Segmenter | None, scenario: LaneScenario
) -> tuple[LabelImage, ConfidenceImage | None]:
    if segmenter is not None:
        return segmenter(frame.image)
    if scenario.painted:
        return frame.labels, None
    return np.where(frame.labels == classes.LANE_MARKING, classes.ROAD, frame.labels), None


def _motion(before: SimFrame | None, now: SimFrame) -> tuple[float, float]:
    """Speed and yaw rate since the frame before, as wheel encoders and a gyro would tell."""
    if before is None:
        return now.ego.speed_mps, 0.0
    dt_s = (now.stamp_ns - before.stamp_ns) / NS_PER_S
    way_m = math.hypot(now.ego.x_m - before.ego.x_m, now.ego.y_m - before.ego.y_m)
    return way_m / dt_s, math.remainder(now.ego.yaw_rad - before.ego.yaw_rad, math.tau) / dt_s
