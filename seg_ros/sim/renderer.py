"""Paints a frame: sky, ground, and then everything that stands, far things first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.camera import Camera
from seg_ros.sim import classes
from seg_ros.sim.canvas import FIRST_CYCLIST_CODE, FIRST_PERSON_CODE, LAST_CODE, Canvas, Sprite
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.ground import Ground
from seg_ros.sim.profile import RoadProfile
from seg_ros.sim.road import Road
from seg_ros.sim.scenery import BLOCK_M, Building, Fence, Post, Scenery, Tree
from seg_ros.sim.traffic import Traffic, Walker
from seg_ros.sim.vehicle import VehicleState
from seg_ros.sim.view import View
from seg_ros.sim.weather import Light

__all__ = ['Picture', 'Renderer', 'Sighting']

SCENERY_AHEAD_M = 240.0
SCENERY_BEHIND_M = 20.0
PERSON_REACH_M = 130.0

Rgb = tuple[float, float, float]


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
    """Image, labels, and the people in it by their ids."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    sightings: dict[int, Sighting]


@dataclass(frozen=True)
class _Figure:
    """Pixels that a person would have with nothing in front, and where."""

    code: int
    person_id: int
    pixels: int
    bbox: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class _Drawable:
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
        self._sky = self._make_sky()

    def paint(self, state: VehicleState, traffic: Traffic, frame: int) -> Picture:
        """The picture of a moment; the same moment always gives the same picture."""
        canvas = Canvas(self._config.size_wh)
        view = View.of(self._camera, state)
        canvas.image[:] = self._sky
        canvas.codes[:] = classes.SKY
        ground = self._ground.paint(state, None)
        rows = slice(ground.first_row, None)
        is_ground = self._ground.is_ground
        canvas.image[rows][is_ground] = ground.image[is_ground]
        canvas.codes[rows][is_ground] = ground.labels[is_ground]

        figures: list[_Figure] = []
        drawables = self._drawables(canvas, view, state, traffic, figures)
        for drawable in sorted(drawables, key=lambda item: -item.depth_m):
            drawable.draw()
        return Picture(canvas.image, *_resolve(canvas, figures))

    def _make_sky(self) -> NDArray[np.uint8]:
        height = self._config.size_wh[1]
        part = np.linspace(0.0, 1.0, height)[:, None, None]
        top, bottom = np.array(self._light.sky_top), np.array(self._light.sky_bottom)
        return (top + (bottom - top) * np.minimum(1.0, part * 2.0)).astype(np.uint8)

    def _drawables(
        self,
        canvas: Canvas,
        view: View,
        state: VehicleState,
        traffic: Traffic,
        figures: list[_Figure],
    ) -> list[_Drawable]:
        found: list[_Drawable] = []

        def add(s_m: float, d_m: float, draw: Callable[[], None]) -> None:
            x, y = self._road.points(s_m, d_m)
            depth = view.depth(float(x), float(y))
            if depth > 0.3:
                found.append(_Drawable(depth, draw))

        for block in self._scenery.blocks(
            state.s_m - SCENERY_BEHIND_M, state.s_m + SCENERY_AHEAD_M
        ):
            for building in block.buildings:
                middle = 0.5 * (building.s0_m + building.s1_m)
                add(middle, building.d_m * 1.2, lambda b=building: self._building(canvas, view, b))  # type: ignore[misc]
            for fence in block.fences:
                add(
                    0.5 * (fence.s0_m + fence.s1_m),
                    fence.d_m,
                    lambda f=fence: self._fence(canvas, view, f),
                )  # type: ignore[misc]  # noqa: E501
            for tree in block.trees:
                add(tree.s_m, tree.d_m, lambda t=tree: self._tree(canvas, view, t))  # type: ignore[misc]
            for post in block.posts:
                add(post.s_m, post.d_m, lambda p=post: self._post(canvas, view, p))  # type: ignore[misc]
            for parked in block.parked:
                add(
                    parked.s_m,
                    parked.d_m,
                    lambda c=parked: self._car(canvas, view, c.s_m, c.d_m, c.look),
                )  # type: ignore[misc]  # noqa: E501
        for car in traffic.cars:
            add(car.s_m, car.d_m, lambda c=car: self._car(canvas, view, c.s_m, c.d_m, c.look))  # type: ignore[misc]
        for index, walker in enumerate(traffic.walkers):
            code = FIRST_PERSON_CODE + index
            if code >= FIRST_CYCLIST_CODE:
                continue
            add(
                walker.s_m,
                walker.d_m,
                lambda w=walker, c=code: self._walker(
                    canvas, view, w.s_m, w.d_m, w.height_m, w.id, c, figures
                ),
            )  # type: ignore[misc]  # noqa: E501
        for index, rider in enumerate(traffic.cyclists):
            code = FIRST_CYCLIST_CODE + index
            if code > LAST_CODE:
                continue
            add(
                rider.s_m,
                rider.d_m,
                lambda w=rider, c=code: self._walker(
                    canvas, view, w.s_m, w.d_m, w.height_m, w.id, c, figures
                ),
            )  # type: ignore[misc]  # noqa: E501
        return found

    def _colour(self, colour: Rgb, depth_m: float, factor: float = 1.0) -> Rgb:
        clear = self._light.clearness(max(depth_m, 0.0))
        light = [a + 0.6 * s for a, s in zip(self._light.ambient, self._light.sun, strict=True)]
        lit = [
            min(255.0, c * f * factor) * clear + h * (1.0 - clear)
            for c, f, h in zip(colour, light, self._light.haze, strict=True)
        ]
        return lit[0], lit[1], lit[2]

    def _flat(
        self, canvas: Canvas, polygons: list[tuple[NDArray[np.float64], Rgb]], code: int
    ) -> None:
        if not polygons:
            return
        everything = np.concatenate([points for points, _ in polygons])
        low, high = everything.min(axis=0), everything.max(axis=0)
        sprite = Sprite((low[0], low[1]), (high[0], high[1]), canvas)
        if sprite.is_empty:
            return
        for points, colour in polygons:
            sprite.polygon(points, colour)
        canvas.paint(sprite.picture(), sprite.x0, sprite.y0, code)

    def _upright(
        self, view: View, s0: float, s1: float, d0: float, d1: float, z0: float, z1: float
    ) -> NDArray[np.float64] | None:
        ends = self._road.points([s0, s1], [d0, d1])
        points = np.array(
            [[*ends[0], z0], [*ends[1], z0], [*ends[1], z1], [*ends[0], z1]], dtype=np.float64
        )
        return view.polygon(points)

    def _building(self, canvas: Canvas, view: View, b: Building) -> None:
        sign = math.copysign(1.0, b.d_m)
        x, y = self._road.points(b.s0_m, b.d_m)
        depth = view.depth(float(x), float(y))
        base = [(176, 150, 120), (150, 96, 80), (196, 186, 170), (140, 140, 146)][b.look % 4]
        walls = []
        side = self._upright(view, b.s0_m, b.s0_m, b.d_m, b.d_m + sign * b.depth_m, 0, b.height_m)
        front = self._upright(view, b.s0_m, b.s1_m, b.d_m, b.d_m, 0, b.height_m)
        if side is not None:
            walls.append((side, self._colour(base, depth, 0.8)))
        if front is not None:
            walls.append((front, self._colour(base, depth)))
        self._flat(canvas, walls, classes.BUILDING)

    def _fence(self, canvas: Canvas, view: View, f: Fence) -> None:
        panel = self._upright(view, f.s0_m, f.s1_m, f.d_m, f.d_m, 0, f.height_m)
        x, y = self._road.points(f.s0_m, f.d_m)
        if panel is not None:
            colour = self._colour((120, 90, 60), view.depth(float(x), float(y)))
            self._flat(canvas, [(panel, colour)], classes.FENCE)

    def _billboard(
        self, view: View, s_m: float, d_m: float, outline: list[tuple[float, float]]
    ) -> tuple[NDArray[np.float64], float]:
        """Pixels of an outline that faces the camera, given as metres across and up."""
        x, y = self._road.points(s_m, d_m)
        u, v, depth = view.pixel(float(x), float(y))
        scale = view.focal_px / max(depth, 0.3)
        points = np.array(outline) * (scale, -scale) + (u, v)
        return points, depth

    def _tree(self, canvas: Canvas, view: View, t: Tree) -> None:
        r = 0.3 * t.height_m
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        crown = [(r * math.cos(a), t.height_m - r + r * math.sin(a)) for a in angles]
        trunk = [(-0.15, 0), (0.15, 0), (0.12, t.height_m - r), (-0.12, t.height_m - r)]
        points, depth = self._billboard(view, t.s_m, t.d_m, trunk + crown)
        if depth < 0.5:
            return
        self._flat(
            canvas,
            [
                (points[:4], self._colour((80, 60, 45), depth)),
                (points[4:], self._colour((60, 96, 44), depth)),
            ],
            classes.TREE,
        )

    def _post(self, canvas: Canvas, view: View, p: Post) -> None:
        outline = [(-0.06, 0), (0.06, 0), (0.06, p.height_m), (-0.06, p.height_m)]
        points, depth = self._billboard(view, p.s_m, p.d_m, outline)
        if depth < 0.5:
            return
        self._flat(canvas, [(points, self._colour((120, 122, 124), depth))], classes.POLE)
        if p.kind in {'sign', 'crossing_sign'}:
            h = p.height_m
            plate, _ = self._billboard(
                view, p.s_m, p.d_m, [(-0.3, h - 0.6), (0.3, h - 0.6), (0.3, h), (-0.3, h)]
            )
            colour = (40, 90, 190) if p.kind == 'crossing_sign' else (200, 40, 40)
            self._flat(canvas, [(plate, self._colour(colour, depth))], classes.SIGN)

    def _car(self, canvas: Canvas, view: View, s_m: float, d_m: float, look: int) -> None:
        x, y = self._road.points(s_m, d_m)
        depth = view.depth(float(x), float(y))
        base = [(170, 30, 30), (40, 60, 120), (200, 200, 204), (40, 42, 46), (90, 100, 96)][
            look % 5
        ]
        polygons = []
        for ds, half, z, factor in (
            (2.2, 0.9, 0.9, 0.7),
            (0.0, 0.75, 1.45, 0.5),
            (-2.2, 0.9, 0.9, 1.0),
        ):
            face = self._upright(view, s_m + ds, s_m + ds, d_m - half, d_m + half, 0.2, z)
            if face is not None:
                polygons.append((face, self._colour(base, depth, factor)))
        for sign in (-1, 1):
            face = self._upright(
                view, s_m - 2.2, s_m + 2.2, d_m + sign * 0.9, d_m + sign * 0.9, 0.2, 0.9
            )
            if face is not None:
                polygons.append((face, self._colour(base, depth, 0.8)))
        self._flat(canvas, polygons, classes.VEHICLE)

    def _walker(
        self, canvas: Canvas, view: View, s_m: float, d_m: float, height_m: float, person_id: int,
        code: int, figures: list[_Figure],
    ) -> None:  # fmt: skip
        h = height_m
        body = [
            (-0.1, 0),
            (0.12, 0),
            (0.2, 0.5 * h),
            (0.24, 0.8 * h),
            (-0.24, 0.8 * h),
            (-0.2, 0.5 * h),
        ]
        head = [(-0.1, 0.84 * h), (0.1, 0.84 * h), (0.1, h), (-0.1, h)]
        points, depth = self._billboard(view, s_m, d_m, body + head)
        if depth < 0.5 or depth > PERSON_REACH_M:
            return
        low, high = points.min(axis=0), points.max(axis=0)
        sprite = Sprite((low[0], low[1]), (high[0], high[1]), canvas, margin=0.5)
        if sprite.is_empty:
            return
        sprite.polygon(points[:6], self._colour((60, 70, 120), depth))
        sprite.polygon(points[6:], self._colour((200, 160, 130), depth))
        picture = sprite.picture()
        canvas.paint(picture, sprite.x0, sprite.y0, code)
        figures.append(_figure(picture, sprite, code, person_id, canvas.size_wh))


def _figure(
    picture: NDArray[np.uint8], sprite: Sprite, code: int, person_id: int, size_wh: tuple[int, int]
) -> _Figure:
    solid = picture[..., 3] >= 128
    rows = np.flatnonzero(solid.any(axis=1))
    columns = np.flatnonzero(solid.any(axis=0))
    if not rows.size:
        return _Figure(code, person_id, 0, None)
    x0 = max(0, sprite.x0 + int(columns[0]))
    y0 = max(0, sprite.y0 + int(rows[0]))
    x1 = min(size_wh[0], sprite.x0 + int(columns[-1]) + 1)
    y1 = min(size_wh[1], sprite.y0 + int(rows[-1]) + 1)
    bbox = (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
    return _Figure(code, person_id, int(solid.sum()), bbox)


def _resolve(
    canvas: Canvas, figures: list[_Figure]
) -> tuple[NDArray[np.uint8], dict[int, Sighting]]:
    """Class ids from codes, and how much of every person was left."""
    counts = np.bincount(canvas.codes.reshape(-1), minlength=256)
    table = np.arange(256, dtype=np.uint8)
    table[FIRST_PERSON_CODE:FIRST_CYCLIST_CODE] = classes.PEDESTRIAN
    table[FIRST_CYCLIST_CODE : LAST_CODE + 1] = classes.CYCLIST
    sightings = {
        figure.person_id: Sighting(
            visible_share=float(counts[figure.code]) / figure.pixels if figure.pixels else 0.0,
            bbox=figure.bbox,
        )
        for figure in figures
    }
    return table[canvas.codes], sightings
