# SPDX-License-Identifier: Apache-2.0
"""Somebody at the bumper, cut by the border of the picture: how many places are seen?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera, without_pictures
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Cause
from seg_ros.core.stop.zones import Motion
from seg_ros.core.types import LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.core.vehicle import CAR
from seg_ros.decisions import needs_of_stop
from seg_ros.sim import classes

__all__ = ['near_figures', 'near_scenes']

SIZE_WH = (640, 360)
# Field of view in degrees, and mounting
CAMERAS = {
    'windscreen': (62.0, Mount(x=1.6, z=1.45, pitch=0.06)),
    'roof': (62.0, Mount(x=1.2, z=1.9, pitch=0.05)),
    'robot': (90.0, Mount(x=3.0, z=0.9, pitch=0.02)),
    'bumper': (90.0, Mount(x=3.5, z=0.7)),
}
ZONES = ('corridor', 'image')
AHEAD_M = (0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)  # of the bumper
OFFSET_M = (-1.4, -0.8, 0.0, 0.8, 1.4)
# Width, and from where to where up: legs, trunk, head
BODY_M = ((0.3, 0.0, 1.4), (0.48, 0.85, 1.4), (0.22, 1.4, 1.7))
LEAST_SEEN_PX = 400
FRAMES, RATE_HZ = 4, 20.0
SPEED_MPS = 2.0


def near_figures(config: StopConfig) -> dict[str, float]:
    """Returns the share of places at which somebody who is cut stops, by zone, and how many."""
    image = np.zeros((*SIZE_WH[::-1], 3), np.uint8)
    found = {zone: [0, 0] for zone in ZONES}
    exact = ExactLabels(SIZE_WH)
    for camera, labels in near_scenes():
        for zone, row in found.items():
            stop = replace(config, zone=zone)
            evaluated = EvaluatedCamera(exact, without_pictures(NodeConfig(stop=stop)), camera)
            for index in range(FRAMES):
                stamp_ns = round(index * NS_PER_S / RATE_HZ)
                evaluated.moved(Motion(stamp_ns, SPEED_MPS))
                perceived = evaluated.process(image, stamp_ns, needs_of_stop(stop), exact=labels)
            decision = perceived.decisions.stop
            row[0] += decision is not None and decision.kind.cause is Cause.PERSON
            row[1] += 1
    return {
        **{zone: stopped / places for zone, (stopped, places) in found.items()},
        'places': float(sum(places for _, places in found.values())),
    }


def near_scenes() -> Iterator[tuple[Camera, LabelImage]]:
    """Yields a camera and its labels for everybody in the corridor whom the border cuts."""
    for fov_deg, mount in CAMERAS.values():
        lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
        camera = Camera(lens, mount)
        is_ground = np.isfinite(camera.ground_table(SIZE_WH)[..., 0])
        road = np.where(is_ground, np.uint8(classes.ROAD), np.uint8(classes.SKY))
        for ahead_m in AHEAD_M:
            for offset_m in OFFSET_M:
                labels = road.copy()
                _paint(labels, camera, CAR.front_m + ahead_m, offset_m)
                is_person = labels == classes.PEDESTRIAN
                if is_person[-1].any() and np.count_nonzero(is_person) >= LEAST_SEEN_PX:
                    yield camera, labels


def _paint(labels: LabelImage, camera: Camera, x_m: float, y_m: float) -> None:
    """Somebody upright; all of a body is as far away as its feet."""
    k = camera.intrinsics.k
    for width_m, from_m, to_m in BODY_M:
        corners = []
        for side, up_m in ((0.5, from_m), (-0.5, to_m)):
            point = (x_m, y_m + side * width_m, up_m, 1.0)
            across, down, depth, _ = camera.optical_from_base @ point
            corners.append(
                (
                    round(k[0, 0] * across / depth + k[0, 2]),
                    round(k[1, 1] * down / depth + k[1, 2]),
                )
            )
        cv2.rectangle(labels, corners[0], corners[1], classes.PEDESTRIAN, -1)
