# SPDX-License-Identifier: Apache-2.0
"""People, on foot and on bicycles: a skeleton in three dimensions, dressed and drawn.

A figure is drawn in metres in its own frame (x the way it faces, y its left, z up) and seen from
the side the camera is on, without perspective within the figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seg_ros.sim.paint.brush import Brush, Place, Rgb
from seg_ros.sim.paint.canvas import Sprite
from seg_ros.sim.paint.view import NEAR_M
from seg_ros.sim.traffic import ADULT_M, Cyclist, Walker

__all__ = ['Drawn', 'paint_cyclist', 'paint_walker']

FIGURE_REACH_M = 170.0
BOARD_MARGIN = 0.5
SIMPLE_BELOW_PX = 40.0
LEAST_LIMB_PX = 0.9
PHASES = 64
KNOWN_BODIES = 1500
REACH_M = 1.15
RIDER_HEIGHT_M = 1.75

_SKIN: tuple[Rgb, ...] = ((232, 190, 160), (206, 158, 124), (158, 110, 80), (104, 70, 52))
_HAIR: tuple[Rgb, ...] = (
    (46, 34, 26),
    (24, 22, 22),
    (120, 84, 48),
    (180, 150, 96),
    (140, 136, 132),
)
_TOPS: tuple[Rgb, ...] = (
    (176, 40, 44), (44, 72, 140), (230, 228, 222), (36, 38, 44), (206, 160, 58), (58, 108, 74),
    (122, 122, 128), (196, 96, 50), (94, 60, 108), (150, 178, 206), (216, 232, 60), (92, 74, 58),
)  # fmt: skip
_TROUSERS: tuple[Rgb, ...] = (
    (42, 52, 84), (34, 34, 38), (96, 88, 74), (72, 84, 116), (150, 138, 116), (60, 62, 66),
    (88, 54, 46),
)  # fmt: skip
_SHOES: tuple[Rgb, ...] = ((30, 28, 28), (220, 220, 220), (92, 60, 40), (60, 60, 66))
_BAGS: tuple[Rgb, ...] = ((120, 60, 40), (40, 44, 52), (150, 34, 40), (60, 90, 70))

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Drawn:
    """What was put on the canvas for a figure.

    Attributes:
        pixels: How many pixels its label covered, those outside of the image included.
        bbox: ``(x0, y0, x1, y1)`` cut at the image border, None outside.
    """

    pixels: int
    bbox: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class _Clothes:
    skin: Rgb
    hair: Rgb
    top: Rgb
    trousers: Rgb
    shoes: Rgb
    bag: Rgb | None
    bag_on_back: bool
    long_coat: bool
    skirt: bool
    short_sleeves: bool
    long_hair: bool
    stout: float

    @classmethod
    def of(cls, look: int) -> _Clothes:
        generator = np.random.default_rng([look, 71])
        bag = generator.random()

        def pick(colours: tuple[Rgb, ...]) -> Rgb:
            return colours[int(generator.integers(len(colours)))]

        return cls(
            skin=pick(_SKIN),
            hair=pick(_HAIR),
            top=pick(_TOPS),
            trousers=pick(_TROUSERS),
            shoes=pick(_SHOES),
            bag=pick(_BAGS) if bag < 0.4 else None,
            bag_on_back=bag < 0.22,
            long_coat=bool(generator.random() < 0.2),
            skirt=bool(generator.random() < 0.16),
            short_sleeves=bool(generator.random() < 0.3),
            long_hair=bool(generator.random() < 0.4),
            stout=float(generator.uniform(0.88, 1.18)),
        )


@dataclass(frozen=True)
class _Limb:
    """A stretched ball between two points; ``bias`` moves it forward in the drawing order."""

    start: Vector
    end: Vector
    radius0: float
    radius1: float
    colour: Rgb
    bias: float = 0.0


@dataclass(frozen=True)
class _Body:
    """The limbs of a figure as arrays.

    Attributes:
        ends: ``(2 N, 3)`` start and end of every limb.
        radii: ``(2 N,)``.
        colours: ``(N, 3)``.
        bias: ``(N,)``, metres towards the camera for the order of drawing, doubled.
    """

    ends: NDArray[np.float64]
    radii: NDArray[np.float64]
    colours: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def of(cls, limbs: list[_Limb]) -> _Body:
        return cls(
            ends=np.array([point for limb in limbs for point in (limb.start, limb.end)]),
            radii=np.array([r for limb in limbs for r in (limb.radius0, limb.radius1)]),
            colours=np.array([limb.colour for limb in limbs]),
            bias=np.array([2.0 * limb.bias for limb in limbs]),
        )


@lru_cache(maxsize=512)
def _clothes(look: int) -> _Clothes:
    return _Clothes.of(look)


def paint_walker(brush: Brush, walker: Walker, code: int) -> Drawn:
    """Somebody on foot, in the middle of a step or standing."""
    place = brush.place(walker.s_m, walker.d_m)
    if walker.who in ('lying', 'wheelchair'):
        body = _lying(walker.look) if walker.who == 'lying' else _seated(walker.look)
        heading = place.heading_rad + walker.heading_rad
        return _paint(brush, place, heading, body, walker.height_m, code)
    swing = round(0.42 + 0.12 * (walker.speed_mps - 1.2), 2) if walker.moving else 0.0
    beat = round(walker.phase * PHASES) % PHASES if walker.moving else 0
    figure = _pushing if walker.who == 'pushchair' else _walking
    body = figure(walker.look, beat, swing, walker.height_m)
    heading = place.heading_rad + walker.heading_rad
    return _paint(brush, place, heading, body, walker.height_m, code)


def paint_cyclist(brush: Brush, cyclist: Cyclist, code: int) -> Drawn:
    """Somebody on a bicycle; both are one thing."""
    place = brush.place(cyclist.s_m, cyclist.d_m)
    heading = place.heading_rad + (0.0 if cyclist.direction > 0 else math.pi)
    body = _riding(cyclist.look, round(cyclist.phase * PHASES) % PHASES, cyclist.height_m)
    return _paint(brush, place, heading, body, RIDER_HEIGHT_M, code)


@lru_cache(maxsize=KNOWN_BODIES)
def _walking(look: int, beat: int, swing: float, height_m: float) -> _Body:
    return _Body.of(_pedestrian(_clothes(look), beat / PHASES, swing, height_m))


@lru_cache(maxsize=KNOWN_BODIES)
def _pushing(look: int, beat: int, swing: float, height_m: float) -> _Body:
    clothes = _clothes(look)
    return _Body.of([*_pedestrian(clothes, beat / PHASES, swing, height_m), *_pushchair(clothes)])


@lru_cache(maxsize=KNOWN_BODIES)
def _seated(look: int) -> _Body:
    return _Body.of(_wheelchair_user(_clothes(look)))


@lru_cache(maxsize=KNOWN_BODIES)
def _lying(look: int) -> _Body:
    """Flat on the back, the head where the figure faces."""

    def laid(point: Vector) -> Vector:
        return point[2] - 0.5 * ADULT_M, point[1], 0.13 + 0.5 * point[0]

    limbs = _pedestrian(_clothes(look), 0.0, 0.0, ADULT_M)
    return _Body.of([replace(limb, start=laid(limb.start), end=laid(limb.end)) for limb in limbs])


@lru_cache(maxsize=KNOWN_BODIES)
def _riding(look: int, beat: int, height_m: float) -> _Body:
    return _Body.of(_rider(_clothes(look), beat / PHASES, height_m))


def _paint(
    brush: Brush, place: Place, heading_rad: float, body: _Body, height_m: float, code: int
) -> Drawn:
    if place.depth_m < 0.6 or place.depth_m > FIGURE_REACH_M:
        return Drawn(0, None)
    scale = brush.view.focal_px / max(place.depth_m, NEAR_M)
    if abs(place.u_px - 0.5 * brush.canvas.size_wh[0]) > brush.canvas.size_wh[0] + 2.0 * scale:
        return Drawn(0, None)
    sprite = Sprite(
        (place.u_px - REACH_M * scale, place.v_px - (height_m + 0.12) * scale),
        (place.u_px + REACH_M * scale, place.v_px + 0.35 * scale),
        brush.canvas,
        margin=BOARD_MARGIN,
    )
    if sprite.is_empty:
        return Drawn(0, None)
    # Right, up, and towards the camera, of both ends of every limb.
    towards = math.atan2(brush.view.eye[1] - place.y, brush.view.eye[0] - place.x)
    cos, sin = math.cos(heading_rad - towards), math.sin(heading_rad - towards)
    x, y, z = body.ends.T
    near = x * cos - y * sin
    right = x * sin + y * cos
    # Below the eye, what is nearer stands lower in the image.
    up = z - near * (float(brush.view.eye[2]) - z) / place.depth_m
    middle = np.column_stack([place.u_px + right * scale, place.v_px - up * scale])
    order = np.argsort(near[0::2] + near[1::2] + body.bias, kind='stable')

    share = 0.25 + 0.75 * brush.sun_share(place)
    factor = np.array(brush.lit(place, facing=0.72 * share))
    clear = brush.light.clearness(place.depth_m)
    haze = np.array(brush.light.haze) * (1.0 - clear)
    lit = np.minimum(body.colours * factor, 255.0) * clear + haze
    full = sprite.fixed(middle).tolist()
    radii = (body.radii * scale).tolist()
    if height_m * scale < SIMPLE_BELOW_PX:
        for index, colour in zip(order.tolist(), lit[order].tolist(), strict=True):
            thick = radii[2 * index] + radii[2 * index + 1]
            if thick < LEAST_LIMB_PX:
                continue
            sprite.stroke(full[2 * index], full[2 * index + 1], thick, colour)
    else:
        from_right = brush.light.has_sun and float(brush.view.rotation[0] @ brush.sun) > 0.0
        shift = (-0.42 if from_right else 0.42) * scale * body.radii
        part = sprite.fixed(middle + np.column_stack([shift, np.zeros_like(shift)])).tolist()
        dim = (np.minimum(body.colours * factor * 0.74, 255.0) * clear + haze).tolist()
        bright = lit.tolist()
        for index in order.tolist():
            a, b = 2 * index, 2 * index + 1
            _capsule(sprite, full[a], full[b], radii[a], radii[b], bright[index])
            sprite.stroke(part[a], part[b], 0.58 * (radii[a] + radii[b]), dim[index])
    picture = sprite.picture()
    brush.canvas.paint(picture, sprite.x0, sprite.y0, code)
    return _extent(picture, sprite.x0, sprite.y0, brush.canvas.size_wh)


def _capsule(
    sprite: Sprite,
    a: Sequence[int],
    b: Sequence[int],
    radius0: float,
    radius1: float,
    colour: Sequence[float],
) -> None:
    """Two balls and what is between them."""
    if abs(radius0 - radius1) < 0.25 * radius0:
        sprite.stroke(a, b, radius0 + radius1, colour)
        return
    sprite.ball(a, radius0, colour)
    sprite.ball(b, radius1, colour)
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.hypot(dx, dy)
    if length < 1.0:
        return
    unit = sprite.scale * 16.0 / length
    nx, ny = -dy * unit, dx * unit
    sprite.fill(
        np.array(
            [
                (a[0] + nx * radius0, a[1] + ny * radius0),
                (b[0] + nx * radius1, b[1] + ny * radius1),
                (b[0] - nx * radius1, b[1] - ny * radius1),
                (a[0] - nx * radius0, a[1] - ny * radius0),
            ]
        ).astype(np.int32),
        colour,
    )


def _extent(picture: NDArray[np.uint8], x0: int, y0: int, size_wh: tuple[int, int]) -> Drawn:
    solid = picture[..., 3] >= 128
    rows = np.flatnonzero(solid.any(axis=1))
    if not rows.size:
        return Drawn(0, None)
    columns = np.flatnonzero(solid.any(axis=0))
    left = max(0, x0 + int(columns[0]))
    top = max(0, y0 + int(rows[0]))
    right = min(size_wh[0], x0 + int(columns[-1]) + 1)
    bottom = min(size_wh[1], y0 + int(rows[-1]) + 1)
    bbox = (left, top, right, bottom) if right > left and bottom > top else None
    return Drawn(int(np.count_nonzero(solid)), bbox)


def _pedestrian(clothes: _Clothes, phase: float, swing: float, height_m: float) -> list[_Limb]:
    """Limbs of somebody walking; a stride is one turn of the phase."""
    h = height_m
    child = 1.0 if h > 1.4 else 0.9
    wide = clothes.stout * h / 1.72
    leg, hip_z = 0.49 * h * child, 0.5 * h * child
    beat = 2.0 * math.pi * phase
    bob = 0.012 * h * math.cos(2.0 * beat) * (swing / 0.42) if swing else 0.0
    hip_z += bob
    shoulder_z = 0.815 * h + bob
    limbs: list[_Limb] = []
    for side, at in ((1.0, 0.0), (-1.0, math.pi)):
        angle = swing * math.sin(beat + at)
        lifted = max(0.0, math.cos(beat + at)) * (1.15 if swing else 0.0)
        hip = (0.0, side * 0.085 * wide, hip_z)
        knee = _down(hip, angle + 0.28 * lifted * swing, 0.5 * leg)
        ankle = _down(knee, angle - 0.75 * lifted, 0.46 * leg)
        if swing == 0.0:
            ankle = (ankle[0], ankle[1], 0.04 * h)
        foot_z = max(ankle[2] - 0.03 * h, 0.018 * h)
        ankle = (ankle[0], ankle[1], max(ankle[2], 0.045 * h))
        toe = (ankle[0] + 0.088 * h, ankle[1], foot_z if angle < 0.2 else foot_z + 0.01 * h)
        heel = (ankle[0] - 0.02 * h, ankle[1], foot_z)
        shin = clothes.skin if clothes.skirt else clothes.trousers
        limbs.append(_Limb(heel, toe, 0.026 * h, 0.02 * h, clothes.shoes))
        limbs.append(_Limb(knee, ankle, 0.042 * wide, 0.031 * wide, shin))
        limbs.append(_Limb(hip, knee, 0.062 * wide, 0.046 * wide, clothes.trousers))
        arm = -0.85 * angle
        shoulder = (0.0, side * 0.165 * wide, shoulder_z - 0.012 * h)
        elbow = _down((shoulder[0], side * 0.19 * wide, shoulder[2]), arm, 0.175 * h)
        hand = _down(elbow, arm + 0.35 + 0.2 * abs(arm), 0.155 * h)
        sleeve = clothes.skin if clothes.short_sleeves else clothes.top
        upper = 0.041 * wide if not clothes.short_sleeves else 0.036 * wide
        limbs.append(_Limb(shoulder, elbow, 0.046 * wide, upper, clothes.top, 0.02))
        limbs.append(_Limb(elbow, hand, 0.036 * wide, 0.027 * wide, sleeve, 0.02))
        limbs.append(_Limb(hand, hand, 0.03 * wide, 0.03 * wide, clothes.skin, 0.025))
    waist = (0.0, 0.0, hip_z + 0.06 * h)
    chest = (0.0, 0.0, shoulder_z - 0.075 * h)
    for side in (1.0, -1.0):
        low = (0.0, side * 0.052 * wide, waist[2] - 0.04 * h)
        high = (0.0, side * 0.088 * wide, chest[2] + 0.02 * h)
        limbs.append(_Limb(low, high, 0.086 * wide, 0.084 * wide, clothes.top, 0.01))
    limbs.append(_Limb(waist, chest, 0.1 * wide, 0.108 * wide, clothes.top, 0.012))
    if clothes.long_coat or clothes.skirt:
        colour = clothes.top if clothes.long_coat else clothes.trousers
        hem = (0.0, 0.0, 0.3 * h)
        limbs.append(_Limb(waist, hem, 0.11 * wide, 0.135 * wide, colour, 0.015))
    neck = (0.012 * h, 0.0, 0.865 * h + bob)
    head = (0.02 * h, 0.0, 0.93 * h + bob)
    limbs.append(_Limb(chest, neck, 0.04 * wide, 0.036 * wide, clothes.skin, 0.0))
    limbs.extend(_head(clothes, head, 0.062 * h / max(child, 0.9)))
    if clothes.bag is not None:
        if clothes.bag_on_back:
            low, high = (-0.115 * h, 0.0, 0.58 * h), (-0.11 * h, 0.0, 0.75 * h)
            limbs.append(_Limb(low, high, 0.085 * wide, 0.075 * wide, clothes.bag))
        else:
            low, high = (0.0, -0.24 * wide, 0.4 * h), (0.05 * h, -0.24 * wide, 0.41 * h)
            limbs.append(_Limb(low, high, 0.06 * wide, 0.06 * wide, clothes.bag))
    return limbs


def _head(clothes: _Clothes, at: Vector, radius: float) -> list[_Limb]:
    x, y, z = at
    top = (x - 0.1 * radius, y, z + 0.12 * radius)
    back = (x - 0.42 * radius, y, z + 0.1 * radius)
    limbs = [
        _Limb((x, y, z - 0.32 * radius), (x, y, z), 0.74 * radius, 0.92 * radius, clothes.skin),
        _Limb(
            top,
            (top[0], top[1], z + 0.2 * radius),
            0.93 * radius,
            0.93 * radius,
            clothes.hair,
            -0.04,
        ),
        _Limb(back, back, 0.86 * radius, 0.86 * radius, clothes.hair, -0.01),
        _Limb(
            (x - 0.1 * radius, y, z + 0.5 * radius),
            (x - 0.1 * radius, y, z + 0.5 * radius),
            0.66 * radius,
            0.66 * radius,
            clothes.hair,
            0.06,
        ),
    ]
    if clothes.long_hair:
        low = (x - 0.6 * radius, y, z - 1.5 * radius)
        limbs.append(_Limb(back, low, 0.8 * radius, 0.55 * radius, clothes.hair, -0.02))
    return limbs


def _down(start: Vector, angle: float, length: float) -> Vector:
    """The end of a limb that hangs from a joint, swung forward by an angle."""
    return (
        start[0] + length * math.sin(angle),
        start[1],
        start[2] - length * math.cos(angle),
    )


def _wheel(x: float, y: float, radius: float, colour: Rgb) -> list[_Limb]:
    points = [
        (x + radius * math.cos(angle), y, radius + radius * math.sin(angle))
        for angle in np.linspace(0.0, 2.0 * math.pi, 13)
    ]
    return [_Limb(a, b, 0.022, 0.022, colour, -0.01) for a, b in pairwise(points)]


def _pushchair(clothes: _Clothes) -> list[_Limb]:
    """With a hood, half a metre ahead of who pushes it."""
    tyre: Rgb = (30, 30, 32)
    cloth: Rgb = clothes.trousers if clothes.bag is None else clothes.bag
    limbs = [
        *(limb for x in (0.5, 0.95) for y in (-0.2, 0.2) for limb in _wheel(x, y, 0.1, tyre)),
        _Limb((0.6, 0.0, 0.45), (0.92, 0.0, 0.5), 0.17, 0.16, cloth),
        _Limb((0.58, 0.0, 0.62), (0.66, 0.0, 0.78), 0.18, 0.16, cloth),
    ]
    for y in (-0.2, 0.2):
        limbs.append(_Limb((0.95, y, 0.15), (0.3, y, 1.0), 0.018, 0.018, tyre))
        limbs.append(_Limb((0.05, y, 1.2), (0.3, y, 1.0), 0.045, 0.035, clothes.top, 0.02))
    return limbs


def _wheelchair_user(clothes: _Clothes) -> list[_Limb]:
    """A wheelchair and who sits in it."""
    tyre: Rgb = (26, 26, 28)
    limbs = [limb for y in (-0.3, 0.3) for limb in _wheel(-0.05, y, 0.3, tyre)]
    limbs += [limb for y in (-0.2, 0.2) for limb in _wheel(0.4, y, 0.08, tyre)]
    limbs.append(_Limb((-0.25, 0.0, 0.5), (-0.27, 0.0, 0.9), 0.16, 0.16, (40, 42, 48), -0.02))
    for y in (-0.1, 0.1):
        limbs.append(_Limb((-0.15, y, 0.56), (0.3, y, 0.58), 0.09, 0.07, clothes.trousers))
        limbs.append(_Limb((0.3, y, 0.56), (0.38, y, 0.16), 0.06, 0.045, clothes.trousers))
        limbs.append(_Limb((0.36, y, 0.12), (0.5, y, 0.1), 0.04, 0.03, clothes.shoes))
        limbs.append(_Limb((-0.15, y, 0.62), (-0.15, y, 0.98), 0.11, 0.1, clothes.top, 0.01))
        limbs.append(_Limb((-0.13, 2.2 * y, 0.98), (0.0, 2.8 * y, 0.62), 0.05, 0.04, clothes.top))
    limbs.append(_Limb((-0.14, 0.0, 1.0), (-0.12, 0.0, 1.08), 0.06, 0.055, clothes.skin))
    limbs.extend(_head(clothes, (-0.1, 0.0, 1.18), 0.108))
    return limbs


def _rider(clothes: _Clothes, phase: float, height_m: float) -> list[_Limb]:
    """A bicycle and who sits on it."""
    wheel = 0.34
    rear, front = (-0.52, 0.0, wheel), (0.56, 0.0, wheel)
    crank, seat, head = (-0.06, 0.0, 0.3), (-0.2, 0.0, 0.92), (0.36, 0.0, 0.9)
    frame: Rgb = clothes.shoes if clothes.bag is None else clothes.bag
    tyre: Rgb = (26, 26, 28)
    limbs: list[_Limb] = []
    for centre in (rear, front):
        points = [
            (
                centre[0] + wheel * math.cos(a),
                centre[1],
                centre[2] + wheel * math.sin(a),
            )
            for a in np.linspace(0.0, 2.0 * math.pi, 15)
        ]
        limbs.extend(_Limb(a, b, 0.024, 0.024, tyre, -0.01) for a, b in pairwise(points))
    for start, end in (
        (rear, crank),
        (crank, seat),
        (seat, rear),
        (crank, head),
        (seat, head),
        (head, front),
    ):
        limbs.append(_Limb(start, end, 0.019, 0.019, frame))
    bar_z = 1.04
    limbs.append(_Limb((0.34, -0.27, bar_z), (0.34, 0.27, bar_z), 0.016, 0.016, (50, 50, 54)))
    limbs.append(_Limb(head, (0.34, 0.0, bar_z), 0.017, 0.017, (50, 50, 54)))
    k = height_m / 1.72
    hip = (-0.2, 0.0, 1.0)
    shoulder = (0.1, 0.0, 1.0 + 0.47 * k)
    beat = 2.0 * math.pi * phase * 2.0
    for side, at in ((1.0, 0.0), (-1.0, math.pi)):
        pedal_x = crank[0] + 0.17 * math.cos(beat + at)
        pedal_z = crank[2] + 0.17 * math.sin(beat + at)
        joint = (hip[0], side * 0.085, hip[2])
        ankle = (pedal_x - 0.03, side * 0.11, pedal_z + 0.08)
        toe = (pedal_x + 0.12, side * 0.11, pedal_z + 0.03)
        knee = _knee(joint, ankle, 0.45 * k, 0.46 * k)
        limbs.append(_Limb(joint, knee, 0.085 * k, 0.062 * k, clothes.trousers))
        limbs.append(_Limb(knee, ankle, 0.056 * k, 0.04 * k, clothes.trousers))
        limbs.append(_Limb(ankle, toe, 0.04, 0.03, clothes.shoes))
        arm = (shoulder[0], side * 0.18 * k, shoulder[2] - 0.03)
        elbow = (0.24, side * 0.26, 1.2)
        hand = (0.34, side * 0.25, bar_z + 0.02)
        limbs.append(_Limb(arm, elbow, 0.055 * k, 0.045 * k, clothes.top, 0.02))
        limbs.append(_Limb(elbow, hand, 0.042 * k, 0.034 * k, clothes.top, 0.02))
        limbs.append(_Limb(hand, hand, 0.036, 0.036, clothes.skin, 0.02))
        waist = (hip[0], side * 0.05, hip[2] + 0.04)
        chest = (shoulder[0], side * 0.1, shoulder[2] - 0.06)
        limbs.append(_Limb(waist, chest, 0.12 * k, 0.115 * k, clothes.top, 0.01))
    neck = (shoulder[0] + 0.04, 0.0, shoulder[2] + 0.06)
    face = (shoulder[0] + 0.09, 0.0, shoulder[2] + 0.19 * k)
    limbs.append(_Limb(shoulder, neck, 0.06, 0.055, clothes.skin))
    limbs.extend(_head(clothes, face, 0.108 * k))
    if clothes.bag_on_back:
        limbs.append(_Limb((-0.2, 0.0, 1.2), (-0.1, 0.0, 1.42), 0.14, 0.12, clothes.bag or frame))
    return limbs


def _knee(hip: Vector, ankle: Vector, thigh: float, shin: float) -> Vector:
    """Where the knee is when hip and ankle are given; it bends forward."""
    dx, dz = ankle[0] - hip[0], ankle[2] - hip[2]
    reach = min(math.hypot(dx, dz), 0.999 * (thigh + shin))
    along = (reach * reach + thigh * thigh - shin * shin) / (2.0 * reach)
    out = math.sqrt(max(thigh * thigh - along * along, 0.0))
    ux, uz = dx / math.hypot(dx, dz), dz / math.hypot(dx, dz)
    return (
        hip[0] + along * ux - out * uz,
        0.5 * (hip[1] + ankle[1]),
        hip[2] + along * uz + out * ux,
    )
