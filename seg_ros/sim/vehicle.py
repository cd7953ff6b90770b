# SPDX-License-Identifier: Apache-2.0
"""The vehicle that carries the camera, and the driver who is at the wheel when nobody else is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from seg_ros.core.vehicle import CAR
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.profile import RoadProfile
from seg_ros.sim.road import Road

__all__ = ['FRONT_M', 'HALF_WIDTH_M', 'Driver', 'Obstacle', 'VehicleState', 'drive_on']

WHEELBASE_M = 2.7
FRONT_M = CAR.front_m  # from the rear axle to the front bumper
HALF_WIDTH_M = 0.95
MAX_STEERING_RAD = 0.6
STEERING_LAG_S = 0.15
MAX_BRAKING_MPS2 = 7.0
MAX_ACCELERATION_MPS2 = 3.0
MAX_STEP_S = 0.02

COMFORT_ACCELERATION_MPS2 = 1.6
COMFORT_BRAKING_MPS2 = 2.5
LATERAL_ACCELERATION_MPS2 = 2.2
STOP_GAP_M = 4.0
TIME_GAP_S = 1.4


@dataclass(frozen=True)
class VehicleState:
    """Pose of the rear axle in the world, and motion.

    Attributes:
        x_m: World.
        y_m: World.
        yaw_rad: World.
        speed_mps: Forward, never negative.
        steering_rad: Of the front wheels, behind what was commanded by the steering lag.
        s_m: Road coordinate of the rear axle.
        d_m: Road coordinate of the rear axle.
    """

    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    steering_rad: float
    s_m: float
    d_m: float


@dataclass(frozen=True)
class Obstacle:
    """Something on the road ahead that the driver must not reach.

    Attributes:
        gap_m: From the front bumper to it, along the road.
        speed_mps: Along the road.
        is_person: On foot or on a bicycle.
    """

    gap_m: float
    speed_mps: float
    is_person: bool


def drive_on(
    state: VehicleState, road: Road, steering_rad: float, acceleration_mps2: float, dt_s: float
) -> VehicleState:
    """The vehicle a moment later: a kinematic bicycle whose wheels follow with a lag."""
    wanted_rad = min(max(steering_rad, -MAX_STEERING_RAD), MAX_STEERING_RAD)
    acceleration = min(max(acceleration_mps2, -MAX_BRAKING_MPS2), MAX_ACCELERATION_MPS2)
    count = max(1, math.ceil(dt_s / MAX_STEP_S))
    step_s = dt_s / count
    x, y, yaw = state.x_m, state.y_m, state.yaw_rad
    speed, wheel = state.speed_mps, state.steering_rad
    for _ in range(count):
        wheel += (wanted_rad - wheel) * (1.0 - math.exp(-step_s / STEERING_LAG_S))
        speed = max(0.0, speed + acceleration * step_s)
        turn = speed * math.tan(wheel) / WHEELBASE_M * step_s
        x += speed * math.cos(yaw + 0.5 * turn) * step_s
        y += speed * math.sin(yaw + 0.5 * turn) * step_s
        yaw += turn
    s, d = road.locate(x, y, state.s_m + state.speed_mps * dt_s)
    return replace(
        state, x_m=x, y_m=y, yaw_rad=yaw, speed_mps=speed, steering_rad=wheel, s_m=s, d_m=d
    )


class Driver:
    """Follows the middle of the lane and keeps its distance."""

    def __init__(self, config: SceneConfig, road: Road, profile: RoadProfile) -> None:
        self._config = config
        self._road = road
        self._profile = profile
        self._lane = profile.lanes_per_direction - 1

    @property
    def lane_centre_m(self) -> float:
        """``d`` of the middle of the lane that the driver keeps to."""
        return self._profile.lane_centre_m(self._lane)

    def steering(self, state: VehicleState) -> float:
        """Pure pursuit of a point on the lane ahead."""
        ahead_m = max(4.5, 0.8 * state.speed_mps)
        wander = math.sin(state.s_m / 17.0) + 0.6 * math.sin(state.s_m / 7.3 + 1.0)
        d = self.lane_centre_m + self._config.lane_wander_m * wander / 1.6
        x, y = self._road.points(state.s_m + ahead_m, d)
        dx, dy = float(x) - state.x_m, float(y) - state.y_m
        left_m = dy * math.cos(state.yaw_rad) - dx * math.sin(state.yaw_rad)
        return math.atan2(2.0 * WHEELBASE_M * left_m, dx * dx + dy * dy)

    def acceleration(self, state: VehicleState, obstacles: list[Obstacle]) -> float:
        """To the wanted speed, unless something is ahead."""
        speed = state.speed_mps
        limit_mps = self._config.speed_mps
        for ahead_m in (5.0, 15.0, 30.0):
            bend = abs(float(self._road.curvature(state.s_m + ahead_m)))
            if bend > 1e-4:
                limit_mps = min(limit_mps, math.sqrt(LATERAL_ACCELERATION_MPS2 / bend))
        error_mps = limit_mps - speed
        acceleration = min(max(error_mps, -COMFORT_BRAKING_MPS2), COMFORT_ACCELERATION_MPS2)
        for obstacle in obstacles:
            if obstacle.is_person and not self._config.stop_for_people:
                continue
            acceleration = min(acceleration, _keep_clear(speed, obstacle))
        return acceleration


def _keep_clear(speed: float, obstacle: Obstacle) -> float:
    """Intelligent driver model behind a leader; a stop before a person."""
    if obstacle.is_person:
        room_m = obstacle.gap_m - STOP_GAP_M
        if room_m <= 0.3:
            return -MAX_BRAKING_MPS2
        needed = speed * speed / (2.0 * room_m)
        return -needed if needed > 0.6 * COMFORT_BRAKING_MPS2 else COMFORT_ACCELERATION_MPS2
    closing = speed - obstacle.speed_mps
    braking = 2.0 * math.sqrt(COMFORT_ACCELERATION_MPS2 * COMFORT_BRAKING_MPS2)
    wanted_m = STOP_GAP_M + max(0.0, speed * TIME_GAP_S + speed * closing / braking)
    gap_m = max(obstacle.gap_m, 0.5)
    return COMFORT_ACCELERATION_MPS2 * (1.0 - (wanted_m / gap_m) ** 2)
