# SPDX-License-Identifier: Apache-2.0
"""Paints a frame: sky, ground, and then everything that stands, far things first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import classes
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.paint.air import Sensor, Wetness, add_glow
from seg_ros.sim.paint.brush import Brush
from seg_ros.sim.paint.canvas import FIRST_CYCLIST_CODE, FIRST_PERSON_CODE, LAST_CODE, Canvas
from seg_ros.sim.paint.cars import CarLamps, body_size_m, paint_car
from seg_ros.sim.paint.facades import paint_building
from seg_ros.sim.paint.figures import Drawn, paint_cyclist, paint_walker
from seg_ros.sim.paint.ground import Ground
from seg_ros.sim.paint.plants import paint_tree
from seg_ros.sim.paint.shade import Shade
from seg_ros.sim.paint.sky import Sky
from seg_ros.sim.paint.street import fence_pieces, paint_fence, paint_post
from seg_ros.sim.paint.view import Hiding, View
from seg_ros.sim.paint.weather import LAMP_OVERHANG_M, Light
from seg_ros.sim.profile import RoadProfile
from seg_ros.sim.road import Road
from seg_ros.sim.scenery import Block, Building, Scenery
from seg_ros.sim.traffic import Cyclist, Traffic, Walker
from seg_ros.sim.vehicle import VehicleState

__all__ = ['Picture', 'Renderer', 'Sighting']

SCENERY_AHEAD_M = 230.0
SCENERY_BEHIND_M = 40.0
POST_REACH_M = 120.0
GLOW_REACH_M = 150.0
LEVEL_ROLL_RAD = 0.03
BEHIND_WALLS_M = 6.0


@dataclass(frozen=True)
class Sighting:
    """Where a person is in the picture.

    Attributes:
        visible_share: Of the figure's pixels.
        bbox: ``(x0, y0, x1, y1)``, None outside of the image.
    """

    visible_share: float
    bbox: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Picture:
    """Image, labels, the codes behind them (`Canvas`), and the people in it by their ids."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    sightings: dict[int, Sighting]


@dataclass(frozen=True)
class _Drawable:
    """Something that stands, and how far away for the order of painting."""

    depth_m: float
    draw: Callable[[], None]


class Renderer:
    """Everything that does not change during a drive is prepared once."""

    def __init__(
        self,
        config: SceneConfig,
        camera: Camera,
        road: Road,
        profile: RoadProfile,
        scenery: Scenery,
        light: Light,
    ) -> None:
        self._config = config
        self._camera = camera
        self._road = road
        self._profile = profile
        self._scenery = scenery
        self._light = light
        self._ground = Ground(config, camera, road, profile, scenery, light)
        self._sky = Sky(config, camera, light)
        self._sensor = Sensor(config, light)
        self._wetness = (
            Wetness(config, self._ground.distance_m, self._ground.first_row) if light.wet else None
        )

    def paint(self, state: VehicleState, traffic: Traffic, frame: int) -> Picture:
        """The picture of a moment; the same moment always gives the same picture."""
        canvas = Canvas(self._config.size_wh)
        view = View.of(self._camera, state)
        blocks = self._scenery.blocks(state.s_m - SCENERY_BEHIND_M, state.s_m + SCENERY_AHEAD_M)
        shade = self._shade(view, blocks, traffic)
        self._sky.paint(canvas.image, canvas.codes, state.yaw_rad)
        self._ground.paint(state, shade.sun, shade.contact, canvas)
        brush = Brush(
            canvas,
            view,
            self._light,
            self._road,
            self._profile,
            state,
            shade.sun if self._light.has_sun else None,
            self._ground.first_row,
        )
        drawn: dict[int, tuple[int, Drawn]] = {}
        hiding, buildings = self._hiding(view, blocks)
        things = self._standing(brush, blocks, buildings, hiding)
        things += self._moving(brush, traffic, hiding, drawn)
        for thing in sorted(things, key=_far_first):
            thing.draw()
        if self._wetness is not None:
            self._wetness.paint(canvas.image, canvas.codes)
        if self._light.lamps_lit:
            self._glow(brush, blocks, traffic)
        labels, sightings = _resolve(canvas, drawn)
        image = self._sensor.expose(canvas.image, frame)
        return Picture(image, labels, canvas.codes, sightings)

    def _shade(self, view: View, blocks: list[Block], traffic: Traffic) -> Shade:
        shade = Shade(view, self._light, self._road, self._profile, self._ground.first_row)
        for block in blocks:
            shade.add_block(block)
            for parked in block.parked:
                shade.add_car(*self._road.pose(parked.s_m, parked.d_m), parked.look)
        for car in traffic.cars:
            shade.add_car(*self._road.pose(car.s_m, car.d_m), car.look)
        people = [(person.s_m, person.d_m, person.height_m) for person in traffic.walkers]
        people += [(rider.s_m, rider.d_m, rider.height_m) for rider in traffic.cyclists]
        for s_m, d_m, height_m in people:
            x, y, _ = self._road.pose(s_m, d_m)
            shade.add_person(x, y, height_m)
        shade.finish()
        return shade

    def _hiding(self, view: View, blocks: list[Block]) -> tuple[Hiding, list[Building]]:
        """What the houses hide, and the houses that are not hidden themselves."""
        hiding = Hiding(view, is_level=abs(self._config.mount.roll) < LEVEL_ROLL_RAD)
        fronts = []
        for block in blocks:
            for building in block.buildings:
                x0, y0, _ = self._road.pose(building.s0_m, building.d_m)
                x1, y1, _ = self._road.pose(building.s1_m, building.d_m)
                depths = view.depth(x0, y0), view.depth(x1, y1)
                if max(depths) > 0.5:
                    fronts.append((sum(depths), building, (x0, y0, x1, y1)))
        fronts.sort(key=itemgetter(0))
        seen = [building for _, building, front in fronts if not hiding.add(building, front)]
        return hiding, seen

    def _standing(
        self, brush: Brush, blocks: list[Block], buildings: list[Building], hiding: Hiding
    ) -> list[_Drawable]:
        found = []
        street_trees = self._config.surroundings == 'city'
        for building in buildings:
            # Walls are long: their far end decides, so that what stands before them is painted
            # later; what stands behind the line of the walls is moved back as far.
            depth = self._farther_end(brush, building.s0_m, building.s1_m, building.d_m)
            draw = partial(paint_building, brush, building)
            found.append(_Drawable(depth + BEHIND_WALLS_M, draw))
        for block in blocks:
            for fence in block.fences:
                for piece in fence_pieces(fence):
                    depth = self._farther_end(brush, *piece, fence.d_m)
                    if 0.5 < depth < POST_REACH_M + 20.0:
                        draw = partial(paint_fence, brush, fence, piece)
                        found.append(_Drawable(depth + 0.6, draw))
            for tree in block.trees:
                x, y, _ = self._road.pose(tree.s_m, tree.d_m)
                depth = brush.view.depth(x, y)
                if depth > 0.8 and not hiding.hides_at(x, y, tree.height_m, 0.42 * tree.height_m):
                    fence_m = self._profile.side(1 if tree.d_m > 0.0 else -1).fence_m
                    back_m = BEHIND_WALLS_M + 0.5 if abs(tree.d_m) > fence_m else 0.0
                    draw = partial(paint_tree, brush, tree, street=street_trees)
                    found.append(_Drawable(depth + back_m, draw))
            for post in block.posts:
                x, y, _ = self._road.pose(post.s_m, post.d_m)
                depth = brush.view.depth(x, y)
                if 0.7 < depth < POST_REACH_M and not hiding.hides_at(x, y, post.height_m, 1.5):
                    found.append(_Drawable(depth, partial(paint_post, brush, post)))
            for parked in block.parked:
                heading = math.pi if parked.against_s else 0.0
                car = (parked.s_m, parked.d_m, heading, parked.look, CarLamps())
                found.extend(self._car(brush, hiding, *car))
        return found

    def _moving(
        self,
        brush: Brush,
        traffic: Traffic,
        hiding: Hiding,
        drawn: dict[int, tuple[int, Drawn]],
    ) -> list[_Drawable]:
        found = []
        lit = self._light.lamps_lit or self._light.rain > 0.0
        for car in traffic.cars:
            heading = 0.0 if car.direction > 0 else math.pi
            lamps = CarLamps(head=lit, brake=car.braking)
            found.extend(self._car(brush, hiding, car.s_m, car.d_m, heading, car.look, lamps))

        def paint_person(walker: Walker, code: int) -> None:
            drawn[walker.id] = code, paint_walker(brush, walker, code)

        def paint_rider(cyclist: Cyclist, code: int) -> None:
            drawn[cyclist.id] = code, paint_cyclist(brush, cyclist, code)

        people = traffic.walkers[: FIRST_CYCLIST_CODE - FIRST_PERSON_CODE]
        for code, walker in enumerate(people, FIRST_PERSON_CODE):
            x, y, _ = self._road.pose(walker.s_m, walker.d_m)
            if not hiding.hides_at(x, y, walker.height_m, 1.0):
                depth = brush.view.depth(x, y)
                found.append(_Drawable(depth, partial(paint_person, walker, code)))
        riders = traffic.cyclists[: LAST_CODE + 1 - FIRST_CYCLIST_CODE]
        for code, cyclist in enumerate(riders, FIRST_CYCLIST_CODE):
            x, y, _ = self._road.pose(cyclist.s_m, cyclist.d_m)
            if not hiding.hides_at(x, y, 1.9, 1.2):
                depth = brush.view.depth(x, y)
                found.append(_Drawable(depth, partial(paint_rider, cyclist, code)))
        return found

    def _car(
        self,
        brush: Brush,
        hiding: Hiding,
        s_m: float,
        d_m: float,
        heading: float,
        look: int,
        lamps: CarLamps,
    ) -> list[_Drawable]:
        place = brush.place(s_m, d_m)
        if place.depth_m < -1.0 or hiding.hides_at(place.x, place.y, 2.3, 2.8):
            return []
        heading_rad = place.heading_rad + heading
        return [
            _Drawable(place.depth_m, partial(paint_car, brush, place, heading_rad, look, lamps))
        ]

    def _farther_end(self, brush: Brush, s0_m: float, s1_m: float, d_m: float) -> float:
        return max(self._depth(brush, s0_m, d_m), self._depth(brush, s1_m, d_m))

    def _depth(self, brush: Brush, s_m: float, d_m: float) -> float:
        x, y, _ = self._road.pose(s_m, d_m)
        return brush.view.depth(x, y)

    def _glow(self, brush: Brush, blocks: list[Block], traffic: Traffic) -> None:
        """Street lamps and the lamps of cars, last, because light spreads over everything."""
        wet = self._light.wet
        share = 0.35 if self._light.has_sun else 1.0
        for block in blocks:
            for post in block.posts:
                if post.kind != 'lamp':
                    continue
                inwards = post.d_m - math.copysign(0.85 * LAMP_OVERHANG_M, post.d_m)
                x, y, _ = self._road.pose(post.s_m, inwards)
                if 2.0 < brush.view.depth(x, y) < GLOW_REACH_M:
                    colour = (255.0 * share, 206.0 * share, 132.0 * share)
                    height = post.height_m + 0.1
                    add_glow(brush, x, y, height, 0.75, colour, mirrored=wet)
        for car in traffic.cars:
            length, width, _ = body_size_m(car.look)
            towards = -1.0 if car.direction < 0 else 1.0
            colour = (255.0 * share, 246.0 * share, 226.0 * share)
            size = 0.55
            if towards > 0.0:
                colour = (255.0 * share, 40.0 * share, 30.0 * share)
                size = 0.42 if car.braking else 0.26
            end = car.s_m - 0.5 * length - 0.02
            for side in (-0.4, 0.4):
                x, y, _ = self._road.pose(end, car.d_m + side * width)
                if 2.0 < brush.view.depth(x, y) < GLOW_REACH_M:
                    add_glow(brush, x, y, 0.66, size, colour, mirrored=wet)


def _far_first(thing: _Drawable) -> float:
    return -thing.depth_m


def _resolve(
    canvas: Canvas, drawn: dict[int, tuple[int, Drawn]]
) -> tuple[NDArray[np.uint8], dict[int, Sighting]]:
    """Class ids from codes, and how much of every person was left."""
    counts = cv2.calcHist([canvas.codes], [0], None, [256], [0, 256]).reshape(-1)
    table = np.arange(256, dtype=np.uint8)
    table[FIRST_PERSON_CODE:FIRST_CYCLIST_CODE] = classes.PEDESTRIAN
    table[FIRST_CYCLIST_CODE : LAST_CODE + 1] = classes.CYCLIST
    sightings = {
        person_id: Sighting(
            visible_share=float(counts[code]) / figure.pixels if figure.pixels else 0.0,
            bbox=figure.bbox,
        )
        for person_id, (code, figure) in drawn.items()
    }
    return np.asarray(cv2.LUT(canvas.codes, table), dtype=np.uint8), sightings
