# SPDX-License-Identifier: Apache-2.0
"""A road that can be driven: everything together, one step and one picture at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.units import NS_PER_S
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.frame import EgoState, Person, SimFrame
from seg_ros.sim.paint.renderer import Renderer, Sighting
from seg_ros.sim.paint.weather import light_for
from seg_ros.sim.profile import profile_for
from seg_ros.sim.road import Road
from seg_ros.sim.scenery import Scenery
from seg_ros.sim.traffic import Cyclist, Traffic, Walker
from seg_ros.sim.vehicle import Driver, VehicleState, drive_on

__all__ = ['SimDrive', 'World']

PATH_STEP_M = 0.5
PATH_LENGTH_M = 40.0
ROAD_AHEAD_M = 500.0
UNSEEN = Sighting(visible_share=0.0, bbox=None)


class World:
    """An endless road with a vehicle on it.

    The base frame's origin is the point of the ground below the middle of the rear axle.

    Attributes:
        config: As given.
        camera: Intrinsics of the camera.
        mount: Its place on the vehicle.
    """

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self.camera = CameraIntrinsics.from_field_of_view(
            config.size_wh, math.radians(config.horizontal_fov_deg)
        )
        self.mount: Mount = config.mount
        self._road = Road(config.seed, config.max_curvature_per_m, straight=config.straight)
        self._road.extend(ROAD_AHEAD_M)
        self._profile = profile_for(config)
        self._scenery = Scenery(config, self._profile)
        self._driver = Driver(config, self._road, self._profile)
        d = self._driver.lane_centre_m
        x, y = self._road.points(0.0, d)
        self._state = VehicleState(
            x_m=float(x),
            y_m=float(y),
            yaw_rad=float(self._road.heading(0.0)),
            speed_mps=config.speed_mps,
            steering_rad=0.0,
            s_m=0.0,
            d_m=d,
        )
        self._traffic = Traffic(config, self._road, self._profile, self._scenery)
        self._traffic.start(self._state)
        self._renderer = Renderer(
            config,
            Camera(self.camera, self.mount),
            self._road,
            self._profile,
            self._scenery,
            light_for(config),
        )
        self._stamp_ns = 0
        self._frame = 0

    @property
    def stamp_ns(self) -> int:
        """Simulated time, 0 at the start."""
        return self._stamp_ns

    @property
    def ego(self) -> EgoState:
        state = self._state
        return EgoState(
            x_m=state.x_m,
            y_m=state.y_m,
            yaw_rad=state.yaw_rad,
            speed_mps=state.speed_mps,
            steering_rad=state.steering_rad,
            road_s_m=state.s_m,
        )

    def step(
        self,
        dt_s: float,
        steering_rad: float | None = None,
        acceleration_mps2: float | None = None,
    ) -> None:
        """Lets time pass.

        Args:
            dt_s: How much.
            steering_rad: Of the front wheels, positive turns left; they follow with a lag of
                0.15 s. None leaves it to the built-in driver.
            acceleration_mps2: Negative brakes, down to standstill. None leaves it to the
                built-in driver.
        """
        if not (math.isfinite(dt_s) and 0.0 < dt_s <= 1.0):
            msg = f'A step between 0 and 1 s is needed, {dt_s} was asked for. Take several.'
            raise ConfigurationError(msg)
        if steering_rad is None:
            steering_rad = self._driver.steering(self._state)
        if acceleration_mps2 is None:
            obstacles = self._traffic.obstacles(self._state)
            acceleration_mps2 = self._driver.acceleration(self._state, obstacles)
        self._state = drive_on(self._state, self._road, steering_rad, acceleration_mps2, dt_s)
        self._road.extend(self._state.s_m + ROAD_AHEAD_M)
        self._traffic.step(self._state, dt_s)
        self._stamp_ns += round(dt_s * NS_PER_S)
        self._frame += 1

    def render(self) -> SimFrame:
        """The picture of now, and the truth about it. Changes nothing."""
        picture = self._renderer.paint(self._state, self._traffic, self._frame)
        state = self._state
        lane = self._profile.own_lane_at(state.d_m)
        centre_d = self._profile.lane_centre_m(lane)
        half = 0.5 * self._profile.lane_width_m
        heading = float(self._road.heading(state.s_m))
        sightings = picture.sightings
        return SimFrame(
            image=picture.image,
            labels=picture.labels,
            codes=picture.codes,
            stamp_ns=self._stamp_ns,
            ego=self.ego,
            lane_centre=self._path(centre_d),
            lane_left=self._path(centre_d + half),
            lane_right=self._path(centre_d - half),
            lane_width_m=self._profile.lane_width_m,
            lane_offset_m=state.d_m - centre_d,
            heading_error_rad=math.remainder(state.yaw_rad - heading, math.tau),
            people=tuple(
                self._person(walker, sightings.get(walker.id, UNSEEN))
                for walker in self._traffic.walkers
            ),
            cyclists=tuple(
                self._cyclist(cyclist, sightings.get(cyclist.id, UNSEEN))
                for cyclist in self._traffic.cyclists
            ),
        )

    def _path(self, d_m: float) -> NDArray[np.float64]:
        count = round(PATH_LENGTH_M / PATH_STEP_M) + 1
        s = self._state.s_m + np.arange(count) * PATH_STEP_M
        return self._base_from_world(self._road.points(s, d_m))

    def _base_from_world(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        cos, sin = math.cos(self._state.yaw_rad), math.sin(self._state.yaw_rad)
        offset = points - (self._state.x_m, self._state.y_m)
        return np.asarray(offset @ np.array([[cos, -sin], [sin, cos]]))

    def _person(self, walker: Walker, sighting: Sighting) -> Person:
        speed = walker.speed_mps if walker.moving else 0.0
        return self._record(
            walker.id, walker.s_m, walker.d_m, walker.heading_rad, speed, walker.height_m, sighting
        )

    def _cyclist(self, cyclist: Cyclist, sighting: Sighting) -> Person:
        heading = 0.0 if cyclist.direction > 0 else math.pi
        return self._record(
            cyclist.id,
            cyclist.s_m,
            cyclist.d_m,
            heading,
            cyclist.speed_mps,
            cyclist.height_m,
            sighting,
        )

    def _record(
        self,
        person_id: int,
        s_m: float,
        d_m: float,
        heading_rad: float,
        speed_mps: float,
        height_m: float,
        sighting: Sighting,
    ) -> Person:
        x, y = self._base_from_world(self._road.points([s_m], [d_m]))[0]
        course = float(self._road.heading(s_m)) + heading_rad - self._state.yaw_rad
        return Person(
            id=person_id,
            x_m=float(x),
            y_m=float(y),
            vx_mps=speed_mps * math.cos(course),
            vy_mps=speed_mps * math.sin(course),
            height_m=height_m,
            surface='road' if self._profile.is_road(d_m) else 'pavement',
            visible_share=sighting.visible_share,
            bbox=sighting.bbox,
        )


class SimDrive:
    """Frames of a drive at ``config.rate_hz``, without end; the first is the start."""

    def __init__(self, config: SceneConfig) -> None:
        self.world = World(config)

    def __iter__(self) -> Iterator[SimFrame]:
        """Every iterator goes on where the world is."""
        while True:
            yield self.world.render()
            self.world.step(1.0 / self.world.config.rate_hz)
