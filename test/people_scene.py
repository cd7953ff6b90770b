# SPDX-License-Identifier: Apache-2.0
"""Label images of people on a road, painted through a real camera model."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.labels import LabelClass, LabelMap

SIZE_WH = (640, 360)
SKY, ROAD, PAVEMENT, POLE, CAR, PERSON, CYCLIST = 0, 3, 4, 2, 8, 9, 10
MOUNT = Mount(x=1.6, z=1.45, pitch=0.06)
MS = 1_000_000

LABEL_MAP = LabelMap(
    (
        LabelClass(SKY, 'sky', (1, 1, 1), ('sky',)),
        LabelClass(POLE, 'pole', (1, 1, 1), ('static', 'obstacle')),
        LabelClass(ROAD, 'road', (1, 1, 1), ('drivable',)),
        LabelClass(PAVEMENT, 'pavement', (1, 1, 1), ('walkable',)),
        LabelClass(CAR, 'car', (1, 1, 1), ('vehicle', 'obstacle')),
        LabelClass(PERSON, 'person', (1, 1, 1), ('pedestrian', 'obstacle')),
        LabelClass(CYCLIST, 'cyclist', (1, 1, 1), ('cyclist', 'obstacle')),
    )
)


@lru_cache(maxsize=1)
def camera() -> Camera:
    return Camera(CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(62.0)), MOUNT)


@lru_cache(maxsize=1)
def ground() -> GroundScale:
    return GroundScale(camera().ground_table())


@lru_cache(maxsize=1)
def _empty_road() -> NDArray[np.uint8]:
    labels = np.full(SIZE_WH[::-1], ROAD, np.uint8)
    labels[~np.isfinite(camera().ground_table()[..., 0])] = SKY
    return labels


def empty_road() -> NDArray[np.uint8]:
    return _empty_road().copy()


def pixels(x: float, y: float, z: float) -> tuple[float, float]:
    across, down, depth, _ = camera().optical_from_base @ (x, y, z, 1.0)
    k = camera().intrinsics.k
    return k[0, 0] * across / depth + k[0, 2], k[1, 1] * down / depth + k[1, 2]


def add_box(
    labels: NDArray[np.uint8],
    x: float,
    y: float,
    label: int,
    *,
    width_m: float = 0.5,
    from_m: float = 0.0,
    to_m: float = 1.7,
) -> NDArray[np.uint8]:
    """An upright board that faces the camera, its lower edge at the pixel of its foot."""
    left, bottom = pixels(x, y + 0.5 * width_m, from_m)
    right, top = pixels(x, y - 0.5 * width_m, to_m)
    rows = slice(max(0, math.ceil(top)), max(0, math.floor(bottom) + 1))
    columns = slice(max(0, math.ceil(left)), max(0, math.floor(right) + 1))
    labels[rows, columns] = label
    return labels


def add_person(
    labels: NDArray[np.uint8], x: float, y: float, *, height_m: float = 1.7, label: int = PERSON
) -> NDArray[np.uint8]:
    """Legs, shoulders and a head."""
    scale = pixels(x, y - 0.5, 0.0)[0] - pixels(x, y + 0.5, 0.0)[0]
    u, v = pixels(x, y, 0.0)
    add_box(labels, x, y, label, width_m=0.3, to_m=0.8 * height_m)
    add_box(labels, x, y, label, width_m=0.48, from_m=0.5 * height_m, to_m=0.82 * height_m)
    radius = max(1, round(0.12 * scale))
    cv2.circle(labels, (round(u), round(v - 0.88 * height_m * scale)), radius, label, -1)
    return labels


def add_bicycle(labels: NDArray[np.uint8], x: float, y: float) -> NDArray[np.uint8]:
    """A cyclist from the side: two wheels, a frame, and somebody upright on it."""
    scale = pixels(x, y - 0.5, 0.0)[0] - pixels(x, y + 0.5, 0.0)[0]
    radius = max(1, round(0.34 * scale))
    for wheel_y in (y - 0.53, y + 0.53):
        u, v = pixels(x, wheel_y, 0.0)
        cv2.circle(labels, (round(u), math.floor(v) - radius), radius, CYCLIST, -1)
    add_box(labels, x, y, CYCLIST, width_m=1.2, from_m=0.3, to_m=0.6)
    return add_box(labels, x, y, CYCLIST, width_m=0.45, from_m=0.6, to_m=1.75)


def frame_with(*places: tuple[float, float]) -> NDArray[np.uint8]:
    """People standing at places of the road, far ones painted first."""
    labels = empty_road()
    for x, y in sorted(places, reverse=True):
        add_person(labels, x, y)
    return labels
