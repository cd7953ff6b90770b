# SPDX-License-Identifier: Apache-2.0
"""The same road as ``Renderer`` paints, as labels only: no light, no colour, much faster.

Shapes are simple: cars and buildings are boxes, trees a stem and a ball, people have legs that
walk. Where everybody stands, and who hides whom, is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import classes
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.labels.road import LabelGround
from seg_ros.sim.paint.canvas import FIRST_CYCLIST_CODE, FIRST_PERSON_CODE, LAST_CODE
from seg_ros.sim.paint.renderer import Picture, Sighting
from seg_ros.sim.paint.view import View
from seg_ros.sim.profile import RoadProfile
from seg_ros.sim.road import Road
from seg_ros.sim.scenery import Block, Building, Fence, Scenery, Tree
from seg_ros.sim.traffic import Traffic
from seg_ros.sim.vehicle import VehicleState
from seg_ros.sim.world import World

__all__ = ['LabelRenderer', 'LabelWorld']

AHEAD_M = 65.0
BEHIND_M = 10.0
NEAREST_M = 0.6
CAR_LWH_M = (4.4, 1.8, 1.45)
STEM_M = 0.15
POLE_M = 0.06
REACH_M = {'pushchair': 1.2, 'lying': 1.0}  # to each side; others, 0.6
STRIDE = 0.45  # of the leg's length, to the front and to the back
SHIFT = 4  # fractional bits of the coordinates that cv2 draws with
FINE = 4  # people are drawn at so many times the resolution

Codes = NDArray[np.uint8]
Float64Array = NDArray[np.float64]


class LabelWorld(World):
    """A world whose frames have a black image; everything else is as in ``World``."""

    def __init__(self, config: SceneConfig) -> None:
        super().__init__(config)
        camera = Camera(self.camera, self.mount)
        self._renderer = LabelRenderer(  # type: ignore[assignment]
            config, camera, self._road, self._profile, self._scenery
        )


class _Thing(NamedTuple):
    depth_m: float
    draw: Callable[[], None]


class _Figure(NamedTuple):
    """A person as if nothing were in front; pixels outside of the image are estimated."""

    code: int
    pixels: float
    bbox: tuple[int, int, int, int] | None


class _Walk(NamedTuple):
    """Somebody on foot or on a bicycle, as it is drawn."""

    id: int
    s_m: float
    d_m: float
    height_m: float
    phase: float
    step: float  # how far the legs are apart, seen from here: -1 to 1
    code: int
    who: str = 'adult'
    side: float = 1.0  # towards which side of the picture it goes


class LabelRenderer:
    """Paints codes: class ids, and one code per person."""

    def __init__(
        self,
        config: SceneConfig,
        camera: Camera,
        road: Road,
        profile: RoadProfile,
        scenery: Scenery,
    ) -> None:
        self._camera = camera
        self._road = road
        self._scenery = scenery
        self._ground = LabelGround(road, camera, profile)
        self._black = np.zeros((*config.size_wh[::-1], 3), np.uint8)
        self._classes = np.arange(256, dtype=np.uint8)
        self._classes[FIRST_PERSON_CODE:FIRST_CYCLIST_CODE] = classes.PEDESTRIAN
        self._classes[FIRST_CYCLIST_CODE : LAST_CODE + 1] = classes.CYCLIST

    def paint(self, state: VehicleState, traffic: Traffic, frame: int) -> Picture:
        """The labels of a moment; the number of the frame makes no difference."""
        del frame
        codes = self._ground.labels(state)
        view = View.of(self._camera, state)
        blocks = self._scenery.blocks(state.s_m - BEHIND_M, state.s_m + AHEAD_M)
        figures: dict[int, _Figure] = {}
        things = [
            *self._standing(codes, view, blocks),
            *self._cars(codes, view, blocks, traffic),
            *self._people(codes, view, traffic, figures),
        ]
        for thing in sorted(things, key=lambda thing: -thing.depth_m):
            thing.draw()
        sightings = {
            person_id: Sighting(_visible_share(codes, figure), figure.bbox)
            for person_id, figure in figures.items()
        }
        labels = np.asarray(cv2.LUT(codes, self._classes))
        return Picture(self._black, labels, codes, sightings)

    def _standing(self, codes: Codes, view: View, blocks: list[Block]) -> Iterator[_Thing]:
        for block in blocks:
            for wall in block.buildings:
                yield from self._wall(codes, view, wall, classes.BUILDING, 6.0)
            for fence in block.fences:
                yield from self._wall(codes, view, fence, classes.FENCE, 1.0)
            for tree in block.trees:
                depth, u, v, scale = self._place(view, tree.s_m, tree.d_m)
                if NEAREST_M < depth < AHEAD_M:
                    yield _Thing(depth, partial(_paint_tree, codes, u, v, scale, tree))
            for post in block.posts:
                depth, u, v, scale = self._place(view, post.s_m, post.d_m)
                if NEAREST_M < depth < AHEAD_M:
                    corners = _upright(u, v, scale, POLE_M, 0.0, post.height_m)
                    yield _Thing(depth, partial(_fill, codes, corners, classes.POLE))

    def _wall(
        self, codes: Codes, view: View, wall: Building | Fence, code: int, behind_m: float
    ) -> Iterator[_Thing]:
        """A front along the road; its far end decides what is painted over it."""
        ends = [self._road.pose(s_m, wall.d_m)[:2] for s_m in (wall.s0_m, wall.s1_m)]
        depth = max(view.depth(x, y) for x, y in ends)
        if not NEAREST_M < depth < AHEAD_M + 20.0:
            return
        corners = np.array(
            [
                [*ends[0], 0.0],
                [*ends[1], 0.0],
                [*ends[1], wall.height_m],
                [*ends[0], wall.height_m],
            ]
        )
        polygon = view.polygon(corners)
        if polygon is not None:
            yield _Thing(depth + behind_m, partial(_fill, codes, polygon, code))

    def _cars(
        self, codes: Codes, view: View, blocks: list[Block], traffic: Traffic
    ) -> Iterator[_Thing]:
        parked = [(car.s_m, car.d_m) for block in blocks for car in block.parked]
        for s_m, d_m in [*parked, *((car.s_m, car.d_m) for car in traffic.cars)]:
            depth = self._place(view, s_m, d_m)[0]
            if not -1.0 < depth < AHEAD_M:
                continue
            length, width, height = CAR_LWH_M
            x, y, heading = self._road.pose(s_m, d_m)
            ahead = 0.5 * length * np.array([math.cos(heading), math.sin(heading)])
            left = 0.5 * width * np.array([-math.sin(heading), math.cos(heading)])
            corners = [-ahead - left, ahead - left, ahead + left, left - ahead]
            base = np.array(corners) + np.array([x, y])
            sides = [[0, 1], [1, 2], [2, 3], [3, 0]]
            faces = [
                np.array(
                    [[*base[a], 0.15], [*base[b], 0.15], [*base[b], height], [*base[a], height]]
                )
                for a, b in sides
            ]
            polygons = [polygon for face in faces if (polygon := view.polygon(face)) is not None]
            yield _Thing(depth, partial(_fill_all, codes, polygons, classes.VEHICLE))

    def _people(
        self, codes: Codes, view: View, traffic: Traffic, figures: dict[int, _Figure]
    ) -> Iterator[_Thing]:
        walkers = traffic.walkers[: FIRST_CYCLIST_CODE - FIRST_PERSON_CODE]
        riders = traffic.cyclists[: LAST_CODE + 1 - FIRST_CYCLIST_CODE]
        walks = [
            _Walk(
                id=w.id,
                s_m=w.s_m,
                d_m=w.d_m,
                height_m=w.height_m,
                phase=w.phase,
                step=math.sin(w.heading_rad) * w.moving,
                code=code,
                who=w.who,
                side=-math.copysign(1.0, math.sin(w.heading_rad)),
            )
            for code, w in enumerate(walkers, FIRST_PERSON_CODE)
        ]
        walks += [
            _Walk(c.id, c.s_m, c.d_m, c.height_m, c.phase, 0.2, code)
            for code, c in enumerate(riders, FIRST_CYCLIST_CODE)
        ]
        for walk in walks:
            depth, u, v, scale = self._place(view, walk.s_m, walk.d_m)
            if NEAREST_M < depth < AHEAD_M and abs(u - view.centre_px[0]) < 2 * view.centre_px[0]:

                def draw(walk: _Walk = walk, u: float = u, v: float = v, s: float = scale) -> None:
                    figures[walk.id] = _paint_person(codes, u, v, s, walk)

                yield _Thing(depth, draw)

    def _place(self, view: View, s_m: float, d_m: float) -> tuple[float, float, float, float]:
        """Depth, pixel and pixels per metre of a place on the ground."""
        x, y, _ = self._road.pose(s_m, d_m)
        u, v, depth = view.pixel(x, y)
        return depth, u, v, view.focal_px / max(depth, NEAREST_M)


def _visible_share(codes: Codes, figure: _Figure) -> float:
    if figure.bbox is None:
        return 0.0
    x0, y0, x1, y1 = figure.bbox
    return min(1.0, np.count_nonzero(codes[y0:y1, x0:x1] == figure.code) / figure.pixels)


def _upright(
    u: float, v: float, scale: float, half_m: float, from_m: float, to_m: float
) -> Float64Array:
    half, low, high = half_m * scale, v - from_m * scale, v - to_m * scale
    return np.array([(u - half, low), (u + half, low), (u + half, high), (u - half, high)])


def _paint_tree(codes: Codes, u: float, v: float, scale: float, tree: Tree) -> None:
    radius_m = 0.3 * tree.height_m
    _fill(codes, _upright(u, v, scale, STEM_M, 0.0, tree.height_m - radius_m), classes.TREE)
    centre = round(u), round(v - (tree.height_m - radius_m) * scale)
    if abs(centre[0]) < 30_000 and abs(centre[1]) < 30_000:
        cv2.circle(codes, centre, max(1, round(radius_m * scale)), classes.TREE, -1)


def _paint_person(codes: Codes, u: float, v: float, scale: float, walk: _Walk) -> _Figure:
    """Two legs, a trunk and a head; a pixel belongs to it when half of it is covered."""
    h = walk.height_m
    height, width = codes.shape
    reach = REACH_M.get(walk.who, 0.6) * scale
    x0, x1 = math.floor(u - reach) - 1, math.ceil(u + reach) + 2
    y0, y1 = math.floor(v - (h + 0.1) * scale) - 1, math.ceil(v + 0.1 * scale) + 2
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if left >= right or top >= bottom:
        return _Figure(walk.code, 0.0, None)
    # Only the part inside of the image is drawn: a near person would be a huge board
    board = np.zeros(((bottom - top) * FINE, (right - left) * FINE), np.uint8)

    def pixel(x_m: float, z_m: float) -> tuple[float, float]:
        across, up = u + x_m * scale, v - z_m * scale
        return (across - left + 0.5) * FINE - 0.5, (up - top + 0.5) * FINE - 0.5

    parts, (head_x, head_z, head_m) = _parts(walk)
    for part in parts:
        _fill(board, np.array([pixel(*point) for point in part]), 255)
    centre = pixel(head_x, head_z)
    cv2.circle(
        board,
        (round(centre[0] * (1 << SHIFT)), round(centre[1] * (1 << SHIFT))),
        max(1, round(head_m * scale * FINE * (1 << SHIFT))),
        255,
        -1,
        cv2.LINE_8,
        SHIFT,
    )
    small = cv2.resize(board, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    solid = small >= 128
    codes[top:bottom, left:right][solid] = walk.code
    inside = float(np.count_nonzero(solid))
    box_px = (min(x1, width) - max(x0, 0)) * (min(y1, height) - max(y0, 0))
    whole_px = (x1 - x0) * (y1 - y0)
    columns, rows = solid.any(axis=0).nonzero()[0], solid.any(axis=1).nonzero()[0]
    if not len(rows):
        return _Figure(walk.code, 0.0, None)
    bbox = (
        left + int(columns[0]),
        top + int(rows[0]),
        left + int(columns[-1]) + 1,
        top + int(rows[-1]) + 1,
    )
    return _Figure(walk.code, inside * whole_px / box_px, bbox)


Corners = list[tuple[float, float]]


def _parts(walk: _Walk) -> tuple[list[Corners], tuple[float, float, float]]:
    """Polygons across and up, metres, and the place and radius of the head."""
    h = walk.height_m
    if walk.who == 'lying':
        body = [_box(-0.85, 0.6, 0.0, 0.22), _box(-0.25, 0.5, 0.0, h)]
        return body, (0.72, 0.13, 0.13)
    if walk.who == 'wheelchair':
        wheels, lap = _box(-0.32, 0.32, 0.0, 0.6), _box(-0.3, 0.45, 0.42, 0.65)
        trunk = [(-0.25, 0.5), (0.15, 0.5), (0.15, 0.82 * h), (-0.25, 0.82 * h)]
        return [wheels, lap, trunk, _box(0.3, 0.5, 0.05, 0.5)], (-0.05, 0.91 * h, 0.12)
    legs, swing = [], STRIDE * 0.49 * h * walk.step * math.sin(math.tau * walk.phase)
    for side in (-1.0, 1.0):
        foot = side * (0.07 + swing)
        leg = [(foot - 0.06, 0.0), (foot + 0.08, 0.0), (side * 0.08 + 0.07, 0.5 * h)]
        legs.append([*leg, (side * 0.08 - 0.07, 0.5 * h)])
    trunk = [(-0.17, 0.47 * h), (0.17, 0.47 * h), (0.23, 0.8 * h), (-0.23, 0.8 * h)]
    neck = [(-0.05, 0.78 * h), (0.05, 0.78 * h), (0.05, 0.9 * h), (-0.05, 0.9 * h)]
    parts = [*legs, trunk, neck]
    if walk.who == 'pushchair':
        near, far = sorted((0.45 * walk.side, 1.1 * walk.side))
        hands = sorted((0.15 * walk.side, 0.5 * walk.side))
        parts += [_box(near, far, 0.05, 0.95), _box(hands[0], hands[1], 0.9, 1.05)]
    return parts, (0.0, 0.92 * h, 0.08 * h)


def _box(left: float, right: float, low: float, high: float) -> Corners:
    return [(left, low), (right, low), (right, high), (left, high)]


def _fill_all(codes: Codes, polygons: list[Float64Array], code: int) -> None:
    for polygon in polygons:
        _fill(codes, polygon, code)


def _fill(codes: Codes, polygon: Float64Array, code: int) -> None:
    fixed = np.round(np.clip(polygon, -30_000.0, 30_000.0) * (1 << SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(codes, fixed, code, cv2.LINE_8, SHIFT)
