# SPDX-License-Identifier: Apache-2.0
"""Roads with chosen paint, and a vehicle that is moved along them, for the tests of the lane."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.lane.tracker import LaneTracker
from seg_ros.sim.classes import LANE_MARKING, ROAD
from seg_ros.sim.labels.road import LabelRoad, Stripe, lane_stripes
from seg_ros.sim.road import Road
from seg_ros.sim.vehicle import VehicleState

LABEL_MAP = LabelMap(
    (
        LabelClass(ROAD, 'road', (128, 64, 128), ('drivable',)),
        LabelClass(LANE_MARKING, 'lane_marking', (255, 255, 255), ('drivable', 'lane')),
    )
)
MOUNT = Mount(x=1.6, z=1.45, pitch=0.06)
LANE_M = 3.5
STRIPES = lane_stripes(LANE_M)
PERIOD_NS = 50_000_000
SPEED_MPS = 8.0


def camera(mount: Mount = MOUNT, fov_deg: float = 62.0) -> Camera:
    return Camera(CameraIntrinsics.from_field_of_view((640, 360), math.radians(fov_deg)), mount)


@dataclass
class Scene:
    """A vehicle on a road; ``offset_m`` is left of the middle of the right lane."""

    stripes: Sequence[Stripe] = STRIPES
    seed: int | None = None  # None is straight
    mount: Mount = MOUNT
    fov_deg: float = 62.0
    lane_m: float = LANE_M
    asphalt_m: tuple[float, float] = (-4.0, 4.0)

    def __post_init__(self) -> None:
        self.road = Road(self.seed or 1, 1.0 / 60.0, straight=self.seed is None)
        self.view = LabelRoad(
            self.road, camera(self.mount, self.fov_deg), self.stripes, self.asphalt_m
        )

    @property
    def middle_m(self) -> float:
        return -0.5 * self.lane_m

    def state(self, s_m: float, offset_m: float = 0.0, heading_rad: float = 0.0) -> VehicleState:
        self.road.extend(s_m + 150.0)
        d_m = self.middle_m + offset_m
        x_m, y_m, yaw_rad = self.road.pose(s_m, d_m)
        return VehicleState(x_m, y_m, yaw_rad + heading_rad, SPEED_MPS, 0.0, s_m, d_m)

    def error_m(self, track: LaneTrack, state: VehicleState, at_m: float) -> float:
        truth = self.view.path(state, self.middle_m)
        y_m = float(np.interp(at_m, truth[:, 0], truth[:, 1]))
        return float(track.centre.y(np.array([at_m]))[0]) - y_m

    def drive(
        self,
        tracker: LaneTracker,
        frames: int,
        from_m: float = 60.0,
        offset_m: float = 0.0,
        first: int = 0,
    ) -> Iterator[tuple[VehicleState, LaneTrack]]:
        """Frames at 20 Hz along the lane."""
        yaw_rad = None
        for frame in range(first, first + frames):
            state = self.state(from_m + frame * SPEED_MPS * PERIOD_NS * 1e-9, offset_m)
            yaw_rate = 0.0 if yaw_rad is None else (state.yaw_rad - yaw_rad) / (PERIOD_NS * 1e-9)
            yaw_rad = state.yaw_rad
            yield (
                state,
                tracker.update(
                    self.view.labels(state),
                    None,
                    self.view.table,
                    frame * PERIOD_NS,
                    SPEED_MPS,
                    yaw_rate,
                ),
            )


def tracker(**changes: float) -> LaneTracker:
    return LaneTracker(LaneConfig(**changes), LABEL_MAP)  # type: ignore[arg-type]


def standing(
    labels: NDArray[np.uint8],
    table: NDArray[np.float32],
    subject: LaneTracker | None = None,
    frames: int = 4,
) -> LaneTrack:
    """The track after the same picture was seen a few times by a vehicle that stands."""
    subject = subject or tracker()
    track = None
    for frame in range(frames):
        track = subject.update(labels, None, table, frame * PERIOD_NS, 0.0, 0.0)
    assert track is not None
    return track
