# SPDX-License-Identifier: Apache-2.0
"""What real roads and cameras have and the synthetic road has not.

Rain on the glass, a fisheye, yellow lines and beacons are done to any crop (`augmentation` in a
config); cameras of every height and view, and arrows between the lines, to drives of the synthetic
road (`of_the_world: true`), so that the drives that are evaluated stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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

__all__ = [
    'any_camera',
    'fisheye',
    'paint_arrow',
    'put_beacons',
    'rain_on_glass',
    'yellow_lines',
]

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


def put_beacons(
    image: Image, labels: Image, label: int, ground: Sequence[int], random: Generator
) -> None:
    """Boards, posts and cones of road works, which are as high and as narrow as somebody.

    They stand on what is ground where they are put, in the light of that place.

    Args:
        image: uint8 [H,W,3], red first; painted on.
        labels: uint8 [H,W]; painted on.
        label: What a beacon is: a class, or a union such as "nobody".
        ground: Labels on which one can stand.
        random: Draws kinds, places and sizes.
    """
    rows, columns = np.nonzero(np.isin(labels, ground))
    if len(rows) == 0:
        return
    for _ in range(int(random.integers(1, 5))):
        pick = int(random.integers(len(rows)))
        foot = np.array([columns[pick], rows[pick]], float)
        high = math.exp(random.uniform(math.log(12.0), math.log(110.0)))
        board, stripes = beacon(high, random)
        place = image[max(0, rows[pick] - 4) : rows[pick] + 4, max(0, columns[pick] - 8) :][:, :16]
        light = np.clip(place.mean() / 110.0, 0.3, 1.6) * random.uniform(0.8, 1.3)
        size_wh = image.shape[1::-1]
        mask = painted(np.zeros(labels.shape, np.uint8), [board + foot], 255)
        colours = np.zeros(image.shape, np.uint8)
        for points, colour in stripes:
            painted(colours, [points + foot], np.clip(np.array(colour) * light, 0, 255).tolist())
        soft = 0.3 + high / 150.0
        cover = cv2.GaussianBlur(mask, (0, 0), soft).astype(np.float32)[..., None] / 255.0
        colours = np.asarray(cv2.GaussianBlur(colours, (0, 0), soft))
        mixed = image * (1.0 - cover) + colours * cover
        image[:] = mixed.astype(np.uint8)
        labels[np.asarray(cv2.resize(mask, size_wh)) > 127] = label


def painted(picture: Image, polygons: Sequence[NDArray[np.float64]], colour: Any) -> Image:
    """Polygons [n,2] of columns and rows with a sixteenth of a pixel."""
    corners = [np.round(np.clip(points, -1e4, 1e4) * 16).astype(np.int32) for points in polygons]
    cv2.fillPoly(picture, corners, colour, cv2.LINE_AA, shift=4)
    return picture


def beacon(
    high: float, random: Generator
) -> tuple[NDArray[np.float64], list[tuple[NDArray[np.float64], tuple[float, float, float]]]]:
    """A beacon's outline and its stripes with their colours, in pixels from its foot.

    Args:
        high: In pixels.
        random: Draws its kind: a board with slanted stripes or chevrons, a post or a cone with
            bands across.
    """
    kind = random.choice(['board', 'chevrons', 'post', 'cone'], p=[0.45, 0.2, 0.25, 0.1])
    wide = high * {'post': 0.1, 'cone': 0.55}.get(str(kind), random.uniform(0.22, 0.3))
    top = wide * (0.15 if kind == 'cone' else 1.0)
    lean = high * random.normal(0.0, 0.03)
    outline = np.array([
        [-wide / 2, 0.0], [wide / 2, 0.0], [top / 2 + lean, -high], [-top / 2 + lean, -high],
    ])  # fmt: skip
    red = (225.0, random.uniform(30.0, 110.0), random.uniform(20.0, 60.0))
    white = (225.0, 225.0, 225.0)
    bands = int(random.integers(3, 8))
    step = high / bands
    slant = {'board': 0.9, 'chevrons': 0.9}.get(str(kind), 0.0) * wide * random.choice([-1, 1])
    middle = [0.0] if kind == 'chevrons' else []
    across = np.array([-wide, *middle, wide])
    rise = np.array([slant, -slant, slant]) if middle else np.array([slant, -slant])
    stripes = [(outline * [1.3, 1.1], white)]  # beyond the outline, which cuts it
    for band in range(-2, bands + 2, 2):
        lower = np.stack([across, rise - band * step], 1)
        stripes.append((np.concatenate([lower, lower[::-1] - [0.0, step]]), red))
    return outline, stripes


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
