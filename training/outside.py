# SPDX-License-Identifier: Apache-2.0
"""What real roads and cameras have and the synthetic road has not.

Rain on the glass, a fisheye and yellow lines are done to any crop (`augmentation` in a config);
cameras of every height and view, and arrows between the lines, to drives of the synthetic road
(`of_the_world: true`), so that the drives that are evaluated stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.classes import ROAD
from training.labelled_set import Image

if TYPE_CHECKING:
    from seg_ros.core.geometry.camera import Camera
    from seg_ros.sim import SimFrame

__all__ = ['any_camera', 'fisheye', 'paint_arrow', 'rain_on_glass', 'yellow_lines']

YELLOW = (1.0, 0.78, 0.3)  # share of red, green and blue that yellow paint sends back of white's

# Arrows in metres, along the lane and to its left, for one of length 1 and half width 1.
HEAD, SHAFT = 0.38, 0.28
STRAIGHT = ((0, -SHAFT), (1 - HEAD, -SHAFT), (1 - HEAD, -1), (1, 0), (1 - HEAD, 1),
            (1 - HEAD, SHAFT), (0, SHAFT))  # fmt: skip
LEFT = ((0, -SHAFT), (0.75, -SHAFT), (0.9, 0.45), (1.0, 0.45), (0.84, 1.0), (0.6, 0.45),
        (0.72, 0.45), (0.6, SHAFT), (0, SHAFT))  # fmt: skip
ARROWS = (
    (STRAIGHT,),
    (LEFT,),
    (tuple((x, -y) for x, y in LEFT),),
    (STRAIGHT, LEFT),
    (STRAIGHT, tuple((x, -y) for x, y in LEFT)),
)
ARROW_STEPS = 12  # points of each edge: a lane bends


def any_camera(scene: Any, random: Generator) -> Any:
    """The same drive from any vehicle: a robot's bumper to a bus, a narrow lens to a wide one.

    Guard rails and concrete barriers stand along some.
    """
    wide = random.uniform(40.0, 120.0)
    mount = replace(
        scene.mount,
        z=float(random.uniform(0.3, 2.5)),
        roll=float(np.clip(random.normal(0.0, 0.05), -0.25, 0.25)),
        pitch=float(random.uniform(-0.02, 0.2)),
        yaw=float(random.normal(0.0, 0.08)),
    )
    barriers = float(random.choice([0.0, 0.7], p=[0.6, 0.4]))
    return replace(scene, mount=mount, horizontal_fov_deg=float(wide), barrier_share=barriers)


def fisheye(image: Image, labels: Image, random: Generator) -> tuple[Image, Image]:
    """As an equidistant lens sees it: the middle larger, the corners where they were."""
    height, width = labels.shape
    half_view = math.radians(random.uniform(70.0, 130.0)) / 2
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    y = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
    corner = math.hypot(float(x[0]), float(y[0, 0]))
    radius = np.maximum(np.hypot(x, y) / corner, 1e-6)
    factor = (np.tan(radius * half_view) / math.tan(half_view) / radius).astype(np.float32)
    at = x * factor + (width - 1) / 2, y * factor + (height - 1) / 2
    return (
        np.asarray(cv2.remap(image, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)),
        np.asarray(cv2.remap(labels, *at, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)),
    )


def rain_on_glass(image: Image, random: Generator) -> Image:
    """Drops that show the scene small, upside down and blurred; what is behind stays the truth."""
    height, width = image.shape[:2]
    seen = cv2.GaussianBlur(image, (0, 0), 2.5)
    out = image.copy()
    if random.random() < 0.5:  # a film of water
        out = cv2.addWeighted(out, 0.6, seen, 0.4, random.uniform(0.0, 12.0))
    for _ in range(int(random.integers(15, 90))):
        radius = float(random.uniform(1.5, 4.0) * random.choice([1, 2, 3, 5]) * height / 352)
        tall = radius * random.uniform(1.0, 1.8)
        u, v = random.uniform(0, width), random.uniform(0, height)
        left, right = max(0, int(u - radius)), min(width, int(u + radius) + 1)
        top, bottom = max(0, int(v - tall)), min(height, int(v + tall) + 1)
        if left >= right or top >= bottom:
            continue
        x = (np.arange(left, right, dtype=np.float32) - u) / radius
        y = (np.arange(top, bottom, dtype=np.float32)[:, None] - v) / tall
        inside = x**2 + y**2
        # a drop is a short lens: it has a quarter of the picture in it, turned around
        map_x = np.clip(u - x * width / 8 + 0 * y, 0, width - 1).astype(np.float32)
        map_y = np.clip(v - y * height / 8 + 0 * x, 0, height - 1).astype(np.float32)
        drop = cv2.remap(seen, map_x, map_y, cv2.INTER_LINEAR).astype(np.float32)
        shade = (1.1 - 0.5 * np.clip(inside, 0, 1) ** 2 - 0.15 * y)[..., None]
        cover = np.clip((1.0 - inside) * 3.0, 0, 1)[..., None] * random.uniform(0.6, 1.0)
        there = out[top:bottom, left:right]
        mixed = there + (np.clip(drop * shade, 0, 255) - there) * cover
        there[:] = np.clip(mixed, 0, 255).astype(np.uint8)
    return np.asarray(out)


def yellow_lines(image: Image, labels: Image, lane: int, random: Generator) -> Image:
    """All lines, or about half of them, in the yellow of America's centre lines and of works."""
    count, numbers = cv2.connectedComponents((labels == lane).astype(np.uint8))
    chosen = random.random(count) < random.choice([0.5, 1.0])
    chosen[0] = False
    cover = cv2.GaussianBlur(chosen[numbers].astype(np.float32), (0, 0), 0.8)[..., None]
    yellow = np.array(YELLOW, np.float32) * random.uniform(0.9, 1.1, 3).astype(np.float32)
    return np.clip(image * (1 + (yellow - 1) * cover), 0, 255).astype(np.uint8)


def paint_arrow(frame: SimFrame, camera: Camera, random: Generator) -> NDArray[np.uint8]:
    """The picture with an arrow in the own lane; its label stays road, as a zebra's stripes do.

    `lane_marking` means a line along a lane. The paint is as bright as the light on the asphalt
    allows; what stands before it hides it.
    """
    near = frame.lane_centre[:, :2].astype(np.float64)
    along = np.hypot(*np.diff(near, axis=0).T).cumsum()
    begin = random.uniform(2.0, 18.0)
    length, half = random.uniform(2.5, 7.5), random.uniform(0.25, 0.6)
    cover = np.zeros(frame.labels.shape, np.uint8)
    for outline in ARROWS[random.integers(len(ARROWS))]:
        closed = np.array([*outline, outline[0]], float)
        edges = [
            closed[i] + (closed[i + 1] - closed[i]) * share
            for i in range(len(outline))
            for share in np.arange(ARROW_STEPS)[:, None] / ARROW_STEPS
        ]
        points = np.array(edges) * (length, half) + (begin, 0.0)
        at = np.stack([np.interp(points[:, 0], [0, *along], near[:, i]) for i in (0, 1)], 1)
        ahead = np.stack(
            [np.interp(points[:, 0] + 0.5, [0, *along], near[:, i]) for i in (0, 1)], 1
        )
        heading = np.arctan2(*(ahead - at).T[::-1])
        at += points[:, 1:] * np.stack([-np.sin(heading), np.cos(heading)], 1)
        pixels, in_front = camera.project(np.column_stack([at, np.zeros(len(at))]))
        if not in_front.all():
            return frame.image
        corners = np.round(np.clip(pixels, -1e4, 1e4) * 16).astype(np.int32)
        cv2.fillPoly(cover, [corners], 255, cv2.LINE_AA, shift=4)
    share = (cover / 255.0 * (frame.labels == ROAD))[..., None] * random.uniform(0.6, 1.0)
    bright = np.clip(frame.image * 1.9 + 12.0, 0, 235)
    return np.asarray((frame.image + (bright - frame.image) * share).astype(np.uint8))
