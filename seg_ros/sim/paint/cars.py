# SPDX-License-Identifier: Apache-2.0
"""Cars, parked and under way: a few dozen faces each, drawn far to near."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seg_ros.sim import classes
from seg_ros.sim.paint.brush import Brush, Place, Rgb
from seg_ros.sim.paint.canvas import Sprite
from seg_ros.sim.paint.view import NEAR_M

__all__ = ['CarLamps', 'body_size_m', 'paint_car']

CAR_REACH_M = 260.0
WHEEL_SIDES = 14
SIMPLE_BELOW_PX = 56.0

_PAINTS: tuple[Rgb, ...] = (
    (226, 228, 230), (226, 228, 230), (168, 172, 176), (168, 172, 176), (44, 46, 50), (44, 46, 50),
    (88, 92, 98), (40, 62, 118), (158, 28, 32), (58, 82, 70), (176, 150, 112), (112, 32, 40),
    (66, 112, 158), (206, 150, 44),
)  # fmt: skip
GLASS: Rgb = (42, 50, 58)
TYRE: Rgb = (28, 28, 30)
RIM: Rgb = (150, 152, 156)
TRIM: Rgb = (34, 35, 38)
PLATE: Rgb = (222, 222, 214)
BURNS = 2.0

Points = NDArray[np.float64]
Corners = list[tuple[float, float, float]]

_Faces = list[tuple[Corners, Rgb, float, bool]]
"""Corners, colour, shine (``BURNS``: a lamp), and whether it lies on the one before."""


@dataclass(frozen=True)
class CarLamps:
    """Which lamps burn."""

    head: bool = False
    brake: bool = False


@dataclass(frozen=True)
class _Shape:
    """Side view of a body; x forward from the middle, z up, metres.

    Attributes:
        length: Bumper to bumper.
        width: Without mirrors.
        outline: Body from the front bumper over the top to the rear one: x, z, half width.
        roof_from: Index of the first outline point of the glass house (foot of the windscreen).
        roof_to: Index of its last point (foot of the rear window).
        wheels: x of the axles.
        wheel: Radius.
    """

    length: float
    width: float
    outline: tuple[tuple[float, float, float], ...]
    roof_from: int
    roof_to: int
    wheels: tuple[float, float]
    wheel: float


_SHAPES = (
    _Shape(  # hatchback
        4.1, 1.76,
        ((2.05, 0.30, 0.78), (2.04, 0.62, 0.82), (1.86, 0.78, 0.84), (1.08, 0.96, 0.86),
         (0.38, 1.42, 0.62), (-0.1, 1.49, 0.62), (-1.35, 1.42, 0.60), (-1.92, 0.98, 0.82),
         (-2.04, 0.72, 0.84), (-2.02, 0.34, 0.80)),
        3, 7, (1.28, -1.26), 0.32,
    ),
    _Shape(  # saloon
        4.7, 1.82,
        ((2.35, 0.28, 0.80), (2.34, 0.58, 0.84), (2.14, 0.76, 0.87), (1.14, 0.93, 0.89),
         (0.42, 1.39, 0.62), (-0.2, 1.45, 0.63), (-1.0, 1.38, 0.61), (-1.66, 0.99, 0.84),
         (-2.22, 0.95, 0.84), (-2.34, 0.66, 0.85), (-2.32, 0.32, 0.80)),
        3, 7, (1.42, -1.38), 0.33,
    ),
    _Shape(  # estate
        4.6, 1.82,
        ((2.3, 0.28, 0.80), (2.29, 0.60, 0.84), (2.1, 0.78, 0.87), (1.14, 0.95, 0.89),
         (0.46, 1.41, 0.63), (-0.2, 1.48, 0.64), (-1.8, 1.44, 0.62), (-2.18, 0.98, 0.85),
         (-2.29, 0.70, 0.86), (-2.27, 0.32, 0.81)),
        3, 7, (1.4, -1.36), 0.33,
    ),
    _Shape(  # sport utility
        4.5, 1.9,
        ((2.25, 0.38, 0.84), (2.24, 0.78, 0.88), (2.08, 0.98, 0.91), (1.12, 1.12, 0.92),
         (0.52, 1.62, 0.68), (-0.2, 1.69, 0.69), (-1.74, 1.63, 0.67), (-2.08, 1.12, 0.88),
         (-2.24, 0.82, 0.90), (-2.22, 0.42, 0.85)),
        3, 7, (1.36, -1.34), 0.37,
    ),
    _Shape(  # van
        5.3, 2.0,
        ((2.65, 0.34, 0.92), (2.64, 0.84, 0.95), (2.5, 1.06, 0.96), (2.02, 1.26, 0.97),
         (1.34, 2.06, 0.84), (0.6, 2.22, 0.86), (-2.54, 2.22, 0.86), (-2.62, 1.3, 0.95),
         (-2.64, 0.80, 0.95), (-2.62, 0.38, 0.92)),
        3, 7, (1.66, -1.62), 0.36,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class _Face:
    """Where the points of a face are in the list of all points."""

    first: int
    count: int


@dataclass(frozen=True)
class _Mesh:
    points: Points
    faces: tuple[_Face, ...]
    colours: Points
    shine: Points
    burns: NDArray[np.bool_]
    centres: Points
    normals: Points
    groups: NDArray[np.int64]
    silhouettes: tuple[_Face, ...]


def body_size_m(look: int) -> tuple[float, float, float]:
    """Length, width and height of a car."""
    shape = _shape(look)
    return shape.length, shape.width, max(z for _, z, _ in shape.outline)


def _shape(look: int) -> _Shape:
    return _SHAPES[_shape_index(look)]


def _shape_index(look: int) -> int:
    return (0, 0, 1, 1, 2, 2, 3, 3, 4)[look % 9]


def paint_car(brush: Brush, place: Place, heading_rad: float, look: int, lamps: CarLamps) -> None:
    """A car whose middle is at a place of the ground."""
    view = brush.view
    length_px = 4.5 * view.focal_px / max(place.depth_m, 1.0)
    simple = length_px < SIMPLE_BELOW_PX
    mesh = _mesh(_shape_index(look), (look // 16) % len(_PAINTS), lamps, simple=simple)
    cos, sin = math.cos(heading_rad), math.sin(heading_rad)
    rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    world = mesh.points @ rotation.T + (place.x, place.y, 0.0)
    optical = view.optical(world)
    if optical[:, 2].max() < NEAR_M or place.depth_m > CAR_REACH_M:
        return
    cut = bool(optical[:, 2].min() < NEAR_M)
    pixels = view.pixels(np.maximum(optical, (-np.inf, -np.inf, NEAR_M)))
    if cut and place.depth_m < 0.0:
        return
    width, height = brush.canvas.size_wh
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    if high[0] < 0 or low[0] > width or high[1] < 0 or low[1] > height:
        return
    sprite = Sprite((low[0], low[1]), (high[0], high[1]), brush.canvas)
    if sprite.is_empty:
        return
    eye = rotation.T @ (view.eye - (place.x, place.y, 0.0))
    sun = rotation.T @ brush.sun
    share = 0.15 + 0.85 * brush.sun_share(place)
    visible = np.einsum('ij,ij->i', mesh.normals, eye - mesh.centres[mesh.groups]) > 0.0
    distance = np.linalg.norm(mesh.centres - eye, axis=1)[mesh.groups]
    facing = np.maximum(mesh.normals @ sun, 0.0) * share
    sky = 0.62 + 0.38 * np.clip(mesh.normals[:, 2], -0.6, 1.0)
    ambient = brush.lit(place, 0.0)
    factors = sky[:, None] * np.array(ambient) + facing[:, None] * np.array(brush.light.sun)
    clear = brush.light.clearness(place.depth_m)
    haze = np.array(brush.light.haze) * (1.0 - clear)
    silhouette = haze + np.array(brush.shaded(TRIM, ambient, 0.0)) * clear
    fixed = sprite.fixed(pixels)
    for face in mesh.silhouettes:
        hull = fixed[face.first : face.first + face.count]
        sprite.fill(hull, (silhouette[0], silhouette[1], silhouette[2]))
    gleam = (0.35 + 0.3 * sky)[:, None] * np.array(brush.light.sky_bottom) * mesh.shine[:, None]
    colours = np.where(mesh.burns[:, None], mesh.colours, mesh.colours * factors + gleam)
    colours = np.minimum(colours, 255.0) * clear + haze
    order = np.argsort(-distance, kind='stable')
    for index in order[visible[order]].tolist():
        face = mesh.faces[index]
        points = fixed[face.first : face.first + face.count]
        if cut and optical[face.first : face.first + face.count, 2].min() < NEAR_M:
            kept = view.polygon(world[face.first : face.first + face.count])
            if kept is None:
                continue
            points = sprite.fixed(kept)
        sprite.fill(points, tuple(colours[index].tolist()))
    brush.canvas.paint(sprite.picture(), sprite.x0, sprite.y0, classes.VEHICLE)


@lru_cache(maxsize=256)
def _mesh(shape_index: int, paint_index: int, lamps: CarLamps, *, simple: bool) -> _Mesh:
    shape = _SHAPES[shape_index]
    paint = _PAINTS[paint_index]
    faces: _Faces = []
    _add_top(faces, shape, paint, lamps, simple=simple)
    for sign in (1, -1):
        _add_side(faces, shape, paint, sign, simple=simple)
    silhouettes: list[Corners] = []
    for sign in (1, -1):
        silhouettes.append([(x, sign * half * 0.97, z) for x, z, half in shape.outline])
        for x in shape.wheels:
            for inset in (0.0, 0.22):
                y = sign * (0.5 * shape.width - inset)
                silhouettes.append(_wheel(x, y, shape.wheel, 1.0))
    points: Corners = []
    made = []
    for corners, *_ in faces:
        made.append(_Face(len(points), len(corners)))
        points.extend(corners)
    outlines = []
    for corners in silhouettes:
        outlines.append(_Face(len(points), len(corners)))
        points.extend(corners)
    array = np.array(points)
    groups = np.maximum.accumulate([0 if face[3] else i for i, face in enumerate(faces)])
    centres = np.array([array[f.first : f.first + f.count].mean(axis=0) for f in made])
    normals = np.array([_normal(array[f.first : f.first + f.count]) for f in made])
    normals = normals[groups]
    inwards = np.einsum('ij,ij->i', normals, centres[groups] - (0.0, 0.0, 0.7)) < 0.0
    normals[inwards] *= -1.0
    shine = np.array([face[2] for face in faces])
    return _Mesh(
        points=array,
        faces=tuple(made),
        colours=np.array([face[1] for face in faces]),
        shine=shine,
        burns=shine >= BURNS,
        centres=centres,
        normals=normals,
        groups=groups,
        silhouettes=tuple(outlines),
    )


def _normal(corners: Points) -> Points:
    following = np.roll(corners, -1, axis=0)
    normal = np.sum(np.cross(corners, following), axis=0)
    return np.asarray(normal / max(float(np.linalg.norm(normal)), 1e-9))


def _add_top(faces: _Faces, shape: _Shape, paint: Rgb, lamps: CarLamps, *, simple: bool) -> None:
    """Front, bonnet, windscreen, roof, rear window, boot, rear: strips from side to side."""
    outline = shape.outline
    last = len(outline) - 2
    for index, ((x0, z0, h0), (x1, z1, h1)) in enumerate(pairwise(outline)):
        corners = [(x0, h0, z0), (x0, -h0, z0), (x1, -h1, z1), (x1, h1, z1)]
        tone = 0.82 if index in {0, last} else 1.0
        faces.append((corners, _scaled(paint, tone), 0.06, False))
        if index in {shape.roof_from, shape.roof_to - 1}:
            faces.append((_inset(corners, 0.09), GLASS, 0.22, True))
        elif index == 0:
            _add_front(faces, shape, lamps, simple=simple)
        elif index == last:
            _add_rear(faces, shape, lamps, simple=simple)


def _add_front(faces: _Faces, shape: _Shape, lamps: CarLamps, *, simple: bool) -> None:
    x, z, half = shape.outline[1]
    colour: Rgb = (255, 252, 236) if lamps.head else (222, 228, 232)
    shine = BURNS if lamps.head else 0.12
    if not simple:
        faces.append((_upright(x, (-0.5, 0.5), half, (z - 0.24, z - 0.04)), TRIM, 0.05, True))
        faces.append((_upright(x, (-0.3, 0.3), half, (z - 0.3, z - 0.19)), PLATE, 0.0, True))
    for side in ((0.58, 0.97), (-0.97, -0.58)):
        faces.append((_upright(x, side, half, (z - 0.15, z - 0.01)), colour, shine, True))


def _add_rear(faces: _Faces, shape: _Shape, lamps: CarLamps, *, simple: bool) -> None:
    x, z, half = shape.outline[-2]
    colour: Rgb = (150, 18, 20)
    if lamps.head:
        colour = (190, 20, 22)
    if lamps.brake:
        colour = (255, 54, 44)
    shine = BURNS if lamps.head or lamps.brake else 0.05
    if not simple:
        faces.append((_upright(x, (-0.94, 0.94), half, (0.3, 0.44)), TRIM, 0.0, True))
        faces.append((_upright(x, (-0.3, 0.3), half, (z - 0.24, z - 0.12)), PLATE, 0.0, True))
    for side in ((0.6, 0.97), (-0.97, -0.6)):
        faces.append((_upright(x, side, half, (z - 0.16, z)), colour, shine, True))


def _upright(x: float, share: tuple[float, float], half: float, z: tuple[float, float]) -> Corners:
    """A rectangle across the car, its sides given as shares of the half width."""
    y0, y1 = share[0] * half, share[1] * half
    return [(x, y0, z[0]), (x, y1, z[0]), (x, y1, z[1]), (x, y0, z[1])]


def _add_side(
    faces: _Faces,
    shape: _Shape,
    paint: Rgb,
    sign: int,
    *,
    simple: bool,
) -> None:
    outline = shape.outline
    belt_front, belt_rear = outline[shape.roof_from], outline[shape.roof_to]
    low_z = outline[0][1] - 0.06
    half = 0.5 * shape.width
    body = [(x, sign * h, z) for x, z, h in outline[: shape.roof_from + 1]]
    body += [(x, sign * h, z) for x, z, h in outline[shape.roof_to :]]
    body += [(outline[-1][0] + 0.15, sign * half * 0.95, low_z - 0.04)]
    body += [(outline[0][0] - 0.15, sign * half * 0.95, low_z - 0.04)]
    faces.append((body, paint, 0.05, False))
    if not simple:
        _add_relief(faces, shape, paint, sign)
    house = [(x, sign * h, z) for x, z, h in outline[shape.roof_from : shape.roof_to + 1]]
    faces.append((house, _scaled(paint, 0.9), 0.04, True))
    # Side windows: the glass house drawn in, with a pillar between.
    centre = np.mean(house, axis=0)
    glass = [tuple(centre + (np.array(p) - centre) * (0.88, 1.02, 0.74)) for p in house]
    faces.append(([(float(a), float(b), float(c)) for a, b, c in glass], GLASS, 0.16, True))
    if simple:
        for x in shape.wheels:
            faces.append((_wheel(x, sign * half, shape.wheel, 1.1), TYRE, 0.0, True))
        return
    pillar_x = 0.5 * (belt_front[0] + belt_rear[0]) + 0.1
    roof_z = max(z for _, z, _ in outline)
    belt_z = 0.5 * (belt_front[1] + belt_rear[1])
    y_low, y_high = sign * (belt_front[2] + 0.005), sign * (outline[shape.roof_from + 2][2] + 0.02)
    faces.append(
        (
            [
                (pillar_x - 0.05, y_low, belt_z),
                (pillar_x + 0.05, y_low, belt_z),
                (pillar_x + 0.04, y_high, roof_z - 0.06),
                (pillar_x - 0.06, y_high, roof_z - 0.06),
            ],
            _scaled(paint, 0.8),
            0.03,
            True,
        )
    )
    mirror_x, mirror_y = belt_front[0] - 0.3, sign * (belt_front[2] + 0.1)
    mirror = [(mirror_x, mirror_y, belt_z + 0.16), (mirror_x - 0.2, mirror_y, belt_z + 0.16)]
    mirror += [(mirror_x - 0.2, mirror_y, belt_z), (mirror_x, mirror_y, belt_z)]
    faces.append((mirror, _scaled(paint, 0.8), 0.05, True))
    y = sign * (half * 0.985)
    sill = [
        (shape.wheels[0] - 0.4, y, low_z + 0.1),
        (shape.wheels[1] + 0.4, y, low_z + 0.1),
        (shape.wheels[1] + 0.4, y, low_z - 0.04),
        (shape.wheels[0] - 0.4, y, low_z - 0.04),
    ]
    faces.append((sill, TRIM, 0.0, True))
    for x in shape.wheels:
        for radius, colour, out, shine in (
            (1.16, (18, 18, 20), 0.99, 0.0),
            (1.0, TYRE, 1.005, 0.0),
            (0.64, RIM, 1.01, 0.05),
            (0.2, TYRE, 1.015, 0.0),
        ):
            faces.append((_wheel(x, sign * half * out, shape.wheel, radius), colour, shine, True))


def _add_relief(faces: _Faces, shape: _Shape, paint: Rgb, sign: int) -> None:
    """Light on the shoulder, shade below, and the gaps of the doors."""
    belt_front, belt_rear = shape.outline[shape.roof_from], shape.outline[shape.roof_to]
    front, rear = shape.outline[1], shape.outline[-2]
    low_z = shape.outline[0][1]

    def point(x: float, z: float) -> tuple[float, float, float]:
        return x, sign * (belt_front[2] + 0.004), z

    shoulder = [point(front[0] - 0.06, front[1] - 0.02), point(belt_front[0], belt_front[1])]
    shoulder += [point(belt_rear[0], belt_rear[1]), point(rear[0] + 0.06, rear[1] - 0.02)]
    shoulder += [point(belt_rear[0], belt_rear[1] - 0.13)]
    shoulder += [point(belt_front[0], belt_front[1] - 0.13)]
    faces.append((shoulder, _scaled(paint, 1.14), 0.1, True))
    middle_z = low_z + 0.2
    shade = [point(front[0] - 0.05, middle_z), point(rear[0] + 0.05, middle_z)]
    shade += [point(rear[0] + 0.1, low_z - 0.05), point(front[0] - 0.1, low_z - 0.05)]
    faces.append((shade, _scaled(paint, 0.78), 0.0, True))
    middle = 0.5 * (belt_front[0] + belt_rear[0]) + 0.1
    for x in (belt_front[0] - 0.12, middle, belt_rear[0] + 0.35):
        gap = [point(x, belt_front[1] - 0.02), point(x + 0.025, belt_front[1] - 0.02)]
        gap += [point(x + 0.025, low_z + 0.04), point(x, low_z + 0.04)]
        faces.append((gap, _scaled(paint, 0.5), 0.0, True))
    handle = [
        point(middle - 0.1, belt_front[1] - 0.16),
        point(middle - 0.28, belt_front[1] - 0.16),
    ]
    handle += [point(middle - 0.28, belt_front[1] - 0.2), point(middle - 0.1, belt_front[1] - 0.2)]
    faces.append((handle, _scaled(paint, 0.55), 0.1, True))


def _wheel(x: float, y: float, wheel: float, share: float) -> Corners:
    angles = np.linspace(0.0, 2.0 * math.pi, WHEEL_SIDES, endpoint=False)
    return [
        (x + share * wheel * math.cos(a), y, max(wheel + share * wheel * math.sin(a), 0.0))
        for a in angles
    ]


def _inset(corners: Corners, share: float) -> Corners:
    """The corners moved towards their middle, and out of the surface by a hair."""
    points = np.array(corners)
    centre = points.mean(axis=0)
    moved = centre + (points - centre) * (1.0 - share) + (0.0, 0.0, 0.004)
    return [(float(x), float(y), float(z)) for x, y, z in moved]


def _scaled(colour: Rgb, share: float) -> Rgb:
    return colour[0] * share, colour[1] * share, colour[2] * share
