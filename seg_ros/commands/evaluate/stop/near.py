# SPDX-License-Identifier: Apache-2.0
"""Somebody at the bumper, cut by the border of the picture: how many places are seen?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

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

__all__ = [
    'ADULT',
    'OTHERS',
    'Part',
    'near_figures',
    'near_scenes',
    'near_who_figures',
    'paint_person',
]

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
OFFSET_M = (-1.4, -0.8, -0.4, 0.0, 0.4, 0.8, 1.4)


class Part(NamedTuple):
    """An upright board of somebody, or of what is before it.

    Attributes:
        width_m: Across.
        from_m: Its lower edge above the ground.
        to_m: Its upper edge.
        behind_m: Further away than the place.
        class_id: Its label.
    """

    width_m: float
    from_m: float
    to_m: float
    behind_m: float = 0.0
    class_id: int = classes.PEDESTRIAN


ADULT = (Part(0.3, 0.0, 1.4), Part(0.48, 0.85, 1.4), Part(0.22, 1.4, 1.7))
OTHERS = {
    'child': (Part(0.18, 0.0, 0.84), Part(0.29, 0.51, 0.84), Part(0.13, 0.84, 1.02)),
    'crouching': (Part(0.55, 0.0, 0.8),),
    'wheelchair': (
        Part(0.65, 0.0, 0.9, 0.0, classes.VEHICLE),
        Part(0.4, 0.45, 1.1),
        Part(0.2, 1.1, 1.35),
    ),
    'pushchair': (
        *(part._replace(behind_m=0.8) for part in ADULT),
        Part(0.5, 0.0, 1.0, 0.0, classes.VEHICLE),
    ),
    'toddler': (Part(0.15, 0.0, 0.66), Part(0.23, 0.4, 0.66), Part(0.14, 0.66, 0.82)),
    'lying across': (Part(1.7, 0.0, 0.25),),
    'lying along': tuple(Part(0.45, 0.0, 0.25, 0.1 * part) for part in range(17, -1, -1)),
}
LEAST_SEEN_PX = 400
FRAMES, RATE_HZ = 4, 20.0
SPEED_MPS = 2.0


def near_figures(config: StopConfig) -> dict[str, float]:
    """Returns the share of places at which somebody who is cut stops, by zone, and how many."""
    scenes = list(near_scenes())
    shares = {zone: _stopped_share(replace(config, zone=zone), scenes) for zone in ZONES}
    return {**shares, 'places': float(len(ZONES) * len(scenes))}


def near_who_figures(config: StopConfig) -> dict[str, float]:
    """Returns the share of places near the bumper at which others stop, cut or not."""
    corridor = replace(config, zone='corridor')
    return {
        who: _stopped_share(corridor, near_scenes(body, cut=False)) for who, body in OTHERS.items()
    }


def near_scenes(
    body: Sequence[Part] = ADULT, *, cut: bool = True
) -> Iterator[tuple[Camera, LabelImage]]:
    """Yields a camera and its labels for all places of somebody in the corridor.

    Args:
        body: The parts, the last one in front.
        cut: Only those places at which the lower border cuts it.
    """
    for fov_deg, mount in CAMERAS.values():
        lens = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(fov_deg))
        camera = Camera(lens, mount)
        is_ground = np.isfinite(camera.ground_table(SIZE_WH)[..., 0])
        road = np.where(is_ground, np.uint8(classes.ROAD), np.uint8(classes.SKY))
        for ahead_m in AHEAD_M:
            for offset_m in OFFSET_M:
                labels = road.copy()
                paint_person(labels, camera, CAR.front_m + ahead_m, offset_m, body)
                is_person = labels == classes.PEDESTRIAN
                is_asked = is_person[-1].any() or not cut
                if is_asked and np.count_nonzero(is_person) >= LEAST_SEEN_PX:
                    yield camera, labels


def _stopped_share(config: StopConfig, scenes: Iterable[tuple[Camera, LabelImage]]) -> float:
    image = np.zeros((*SIZE_WH[::-1], 3), np.uint8)
    exact = ExactLabels(SIZE_WH)
    stopped = places = 0
    for camera, labels in scenes:
        evaluated = EvaluatedCamera(exact, without_pictures(NodeConfig(stop=config)), camera)
        for index in range(FRAMES):
            stamp_ns = round(index * NS_PER_S / RATE_HZ)
            evaluated.moved(Motion(stamp_ns, SPEED_MPS))
            perceived = evaluated.process(image, stamp_ns, needs_of_stop(config), exact=labels)
        decision = perceived.decisions.stop
        stopped += decision is not None and decision.kind.cause is Cause.PERSON
        places += 1
    return stopped / places


def paint_person(
    labels: LabelImage, camera: Camera, x_m: float, y_m: float, body: Sequence[Part]
) -> None:
    """Somebody upright; all of a part is as far away as its lower edge."""
    k = camera.intrinsics.k
    for part in body:
        corners = []
        for side, up_m in ((0.5, part.from_m), (-0.5, part.to_m)):
            point = (x_m + part.behind_m, y_m + side * part.width_m, up_m, 1.0)
            across, down, depth, _ = camera.optical_from_base @ point
            corners.append(
                (
                    round(k[0, 0] * across / depth + k[0, 2]),
                    round(k[1, 1] * down / depth + k[1, 2]),
                )
            )
        cv2.rectangle(labels, corners[0], corners[1], part.class_id, -1)
