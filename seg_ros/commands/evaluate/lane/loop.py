# SPDX-License-Identifier: Apache-2.0
"""A vehicle that sees a bare road and follows the lane track: the loop is closed, without ROS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera, without_pictures
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.zones import Motion
from seg_ros.core.units import NS_PER_S
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.follower import PurePursuit
from seg_ros.sim.labels.road import LabelRoad, lane_stripes
from seg_ros.sim.road import Road
from seg_ros.sim.vehicle import HALF_WIDTH_M, VehicleState, drive_on

__all__ = ['LoopFigures', 'drive_loop']

RATE_HZ = 20.0
LANE_WIDTH_M = 3.5
ROAD_AHEAD_M = 150.0

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class LoopFigures:
    """How the drive went.

    Attributes:
        km: Driven.
        departures: How often the vehicle's side went beyond the lane.
        lateral_rms_m: Of the rear axle against the lane's middle.
        lateral_max_m: The same, at worst.
        availability: Share of the images that gave a valid track.
    """

    km: float
    departures: int
    lateral_rms_m: float
    lateral_max_m: float
    availability: float


def drive_loop(
    km: float,
    seed: int = 1,
    speed_mps: float = 8.0,
    max_curvature_per_m: float = 1.0 / 60.0,
    config: LaneConfig | None = None,
    spoil: Callable[[Labels], Labels] | None = None,
) -> LoopFigures:
    """Drives a random road, steered by nothing but the lane track.

    Args:
        km: How far.
        seed: Of the road.
        speed_mps: Constant.
        max_curvature_per_m: Of the tightest bend.
        config: Of the lane track.
        spoil: Changes the labels before they are looked at.
    """
    scene = SceneConfig()
    camera = Camera(
        CameraIntrinsics.from_field_of_view(scene.size_wh, math.radians(scene.horizontal_fov_deg)),
        scene.mount,
    )
    road = Road(seed, max_curvature_per_m)
    view = LabelRoad(road, camera, lane_stripes(LANE_WIDTH_M))
    node_config = without_pictures(NodeConfig(lane=config or LaneConfig()))
    evaluated = EvaluatedCamera(ExactLabels(scene.size_wh), node_config, camera)
    black = np.zeros((*scene.size_wh[::-1], 3), np.uint8)
    follower = PurePursuit()
    lane_m = -0.5 * LANE_WIDTH_M
    x_m, y_m, yaw_rad = road.pose(0.0, lane_m)
    state = VehicleState(x_m, y_m, yaw_rad, speed_mps, 0.0, 0.0, lane_m)
    offsets: list[float] = []
    valid, outside, departures, yaw_rate = 0, False, 0, 0.0
    while state.s_m < km * 1000.0:
        road.extend(state.s_m + ROAD_AHEAD_M)
        labels = view.labels(state)
        stamp_ns = round(len(offsets) * NS_PER_S / RATE_HZ)
        evaluated.moved(Motion(stamp_ns, speed_mps, yaw_rate))
        exact = labels if spoil is None else spoil(labels)
        track = evaluated.process(black, stamp_ns, ('lane', 'stop'), exact=exact).decisions.lane
        assert track is not None
        valid += track.valid
        steering_rad = follower.steering(track.points(), speed_mps)
        before_rad = state.yaw_rad
        state = drive_on(state, road, steering_rad, 0.0, 1.0 / RATE_HZ)
        yaw_rate = (state.yaw_rad - before_rad) * RATE_HZ
        offset_m = state.d_m - lane_m
        offsets.append(offset_m)
        was_outside, outside = outside, abs(offset_m) + HALF_WIDTH_M > 0.5 * LANE_WIDTH_M
        departures += outside and not was_outside
        if abs(offset_m) > LANE_WIDTH_M:
            break
    square = float(np.mean(np.square(offsets)))
    return LoopFigures(
        km=state.s_m / 1000.0,
        departures=departures,
        lateral_rms_m=math.sqrt(square),
        lateral_max_m=float(np.abs(offsets).max()),
        availability=valid / len(offsets),
    )
