# SPDX-License-Identifier: Apache-2.0
"""The way of a camera that nobody has calibrated: who in it stops, and who beside it does?

Cameras of every height and lens look down a road without painted lines, some of them to the side.
Somebody stands in the true corridor, or well beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from seg_ros.commands.evaluate.stop.folder import CAMVID_LABEL_MAP
from seg_ros.commands.evaluate.stop.near import ADULT, OTHERS, Part, paint_person
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from seg_ros.core.stop.zones import Motion, stopping_distance_m
from seg_ros.core.types import LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.core.vehicle import CAR
from seg_ros.sim import classes

__all__ = ['HEIGHTS_M', 'guessed_way_figures']

SIZE_WH = (640, 360)
FIELDS_OF_VIEW_DEG = (40.0, 75.0, 120.0)
HEIGHTS_M = (0.3, 0.5, 0.8, 1.3, 2.5)
# Pitch and yaw in degrees, and where the middle of the road is, to the left of the camera
VIEWS = ((0.0, 0.0, -1.5), (8.0, 0.0, 0.0), (5.0, -6.0, -1.0))
ROAD_HALF_WIDTH_M, PAVEMENT_M, VERGE_M = 3.5, 2.5, 30.0
SPEED_MPS = 5.0
AHEAD_M = (1.0, 3.0, 6.0, 9.0)  # of the bumper; it must be free for 10.5 m
IN_WAY = (-0.95, -0.6, 0.0, 0.6, 0.95)  # of half its width
BESIDE_M = (1.0, 2.5)  # of its sides
# Who, and whether the height of the lens is told (mount.z), else nothing
ASKED = {
    '': (ADULT, False),
    ', child': (OTHERS['child'], False),
    ', told': (ADULT, True),
}
LEAST_SEEN_PX = 60
LOOKS, LOOKS_S = 6, 0.2


class _Place(NamedTuple):
    """Where somebody stands, base frame, and whether that is in the way."""

    x_m: float
    y_m: float
    is_in_way: bool


def guessed_way_figures(config: StopConfig) -> dict[str, dict[str, float]]:
    """Returns the share of places at which somebody stops, by the height of the lens.

    ``way`` is in the true corridor, ``beside_way`` a metre and more beside it. *Told* are cameras
    of which nothing is known but the height (``mount.z``).
    """
    figures: dict[str, dict[str, float]] = {'way': {}, 'beside_way': {}}
    for height_m in HEIGHTS_M:
        cameras = list(_cameras(height_m))
        for asked, (body, is_told) in ASKED.items():
            lens_m = height_m if is_told else None
            counts = {True: [0, 0], False: [0, 0]}
            for camera, road in cameras:
                for is_in_way, is_stop in _judged(config, camera, road, body, lens_m):
                    counts[is_in_way][0] += is_stop
                    counts[is_in_way][1] += 1
            for is_in_way, figure in ((True, 'way'), (False, 'beside_way')):
                stopped, places = counts[is_in_way]
                figures[figure][f'{height_m:g} m{asked}'] = stopped / places
    return figures


def _cameras(height_m: float) -> Iterator[tuple[Camera, LabelImage]]:
    """Yields cameras at this height, and the labels of the empty road."""
    for fov_deg in FIELDS_OF_VIEW_DEG:
        lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
        for pitch_deg, yaw_deg, middle_m in VIEWS:
            pitch, yaw = math.radians(pitch_deg), math.radians(yaw_deg)
            camera = Camera(lens, Mount(x=CAR.front_m - 0.1, z=height_m, pitch=pitch, yaw=yaw))
            table = camera.ground_table(SIZE_WH)
            beside_m = np.abs(table[..., 1] - middle_m)
            labels = np.full(beside_m.shape, classes.SKY, np.uint8)
            for half_m, class_id in (
                (VERGE_M, classes.TREE),
                (ROAD_HALF_WIDTH_M + PAVEMENT_M, classes.PAVEMENT),
                (ROAD_HALF_WIDTH_M, classes.ROAD),
            ):
                labels[beside_m < half_m] = class_id
            yield camera, labels


def _judged(
    config: StopConfig,
    camera: Camera,
    road: LabelImage,
    body: Sequence[Part],
    lens_m: float | None,
) -> Iterator[tuple[bool, bool]]:
    """Yields for each place whether it is in the way, and whether somebody there stops."""
    # Where somebody is seen is asked, not how often
    stop = PedestrianStop(replace(config, confirm_frames=1), CAMVID_LABEL_MAP)
    now_s = 0.0

    def is_stop(labels: LabelImage) -> bool:
        stamp_ns = round(now_s * NS_PER_S)
        stop.odometry(Motion(stamp_ns, SPEED_MPS))
        return stop.update(labels, stamp_ns, lens_m=lens_m).kind == 'person'

    for _ in range(LOOKS):
        is_stop(road)
        now_s += LOOKS_S
    for place in _places(config):
        labels = road.copy()
        paint_person(labels, camera, place.x_m, place.y_m, body)
        if np.count_nonzero(labels == classes.PEDESTRIAN) >= LEAST_SEEN_PX:
            yield place.is_in_way, is_stop(labels)
            now_s += 0.5 * LOOKS_S


def _places(config: StopConfig) -> Iterator[_Place]:
    half_m = config.corridor_half_width_m
    end_m = stopping_distance_m(SPEED_MPS, config)
    for ahead_m in AHEAD_M:
        x_m = CAR.front_m + ahead_m
        if x_m < end_m:
            for part in IN_WAY:
                yield _Place(x_m, part * half_m, True)
            for beside_m in BESIDE_M:
                yield _Place(x_m, half_m + beside_m, False)
                yield _Place(x_m, -half_m - beside_m, False)
