# SPDX-License-Identifier: Apache-2.0
"""What every painter of standing things needs: light at a place, and ways to put down shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.sim.paint.canvas import Canvas, Sprite
from seg_ros.sim.paint.view import NEAR_M, View
from seg_ros.sim.paint.weather import (
    HEADLIGHT_COLOUR,
    LAMP_COLOUR,
    Light,
    headlight_at,
    lamp_share_at,
    lamp_strength,
)
from seg_ros.sim.profile import RoadProfile
from seg_ros.sim.road import Road
from seg_ros.sim.vehicle import VehicleState

__all__ = ['Brush', 'Place', 'Pyramid', 'Rgb']

Rgb = tuple[float, float, float]
Points = NDArray[np.float64]
Rgba = NDArray[np.uint8]

MAX_LEVEL = 6
SIDE_LIGHT = 0.62  # of the sun, on something round


@dataclass(frozen=True)
class Place:
    """A point of the road, and how it looks from the camera.

    Attributes:
        x: World.
        y: World.
        heading_rad: Of the road, world.
        s_m: Road coordinate.
        d_m: Road coordinate.
        u_px: Pixel of the ground point.
        v_px: Pixel of the ground point.
        depth_m: Along the optical axis.
    """

    x: float
    y: float
    heading_rad: float
    s_m: float
    d_m: float
    u_px: float
    v_px: float
    depth_m: float


class Pyramid:
    """A picture at halved sizes, in both directions independently, made when first needed."""

    def __init__(self, picture: Rgba) -> None:
        self._levels: dict[tuple[int, int, int], Rgba] = {(0, 0, 4): picture}
        self.size_wh = (picture.shape[1], picture.shape[0])

    def level(self, across: int, down: int, channels: int = 4) -> Rgba:
        key = (across, down, channels)
        found = self._levels.get(key)
        if found is None:
            width = max(1, self.size_wh[0] >> across)
            height = max(1, self.size_wh[1] >> down)
            picture = self._levels[0, 0, 4]
            found = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
            if channels == 3:
                found = np.ascontiguousarray(found[..., :3])
            self._levels[key] = found
        return found


class Brush:
    """Canvas, view and light of one frame."""

    def __init__(
        self,
        canvas: Canvas,
        view: View,
        light: Light,
        road: Road,
        profile: RoadProfile,
        state: VehicleState,
        shade: NDArray[np.uint8] | None,
        first_shade_row: int,
    ) -> None:
        self.canvas = canvas
        self.view = view
        self.light = light
        self.road = road
        self.profile = profile
        self.state = state
        self._shade = shade
        self._first_shade_row = first_shade_row
        self.sun = light.towards_sun
        self._lamp_strength = lamp_strength(light)
        self._lamp_d_m = profile.right.asphalt_m + 0.5

    def place(self, s_m: float, d_m: float) -> Place:
        x, y, heading = self.road.pose(s_m, d_m)
        u, v, depth = self.view.pixel(x, y)
        return Place(x, y, heading, s_m, d_m, u, v, depth)

    # Light

    def sun_share(self, place: Place) -> float:
        """How much of the sun reaches the ground at a place that is in the picture."""
        if self._shade is None:
            return 1.0 if self.light.has_sun else 0.0
        row = round(place.v_px) - self._first_shade_row
        column = round(place.u_px)
        if not (0 <= row < self._shade.shape[0] and 0 <= column < self._shade.shape[1]):
            return 1.0
        return 1.0 - float(self._shade[row, column]) / 255.0

    def lit(self, place: Place, facing: float = SIDE_LIGHT) -> Rgb:
        """Factor for the colour of a surface at a place, without the air in between.

        Args:
            place: Where.
            facing: Share of the direct sun that the surface gets; 1 faces it.
        """
        light = self.light
        sun = facing if light.has_sun else 0.0
        extra = [0.0, 0.0, 0.0]
        if light.lamps_lit:
            extra = self._lamp_light(place)
        return (
            light.ambient[0] + sun * light.sun[0] + extra[0],
            light.ambient[1] + sun * light.sun[1] + extra[1],
            light.ambient[2] + sun * light.sun[2] + extra[2],
        )

    def shaded(self, colour: Rgb, factor: Rgb, depth_m: float, share: float = 1.0) -> Rgb:
        """A colour as the camera sees it: lit by a factor, through the air."""
        clear = math.exp(-max(depth_m, 0.0) / self.light.haze_m)
        haze = self.light.haze
        return (
            min(255.0, colour[0] * factor[0] * share) * clear + haze[0] * (1.0 - clear),
            min(255.0, colour[1] * factor[1] * share) * clear + haze[1] * (1.0 - clear),
            min(255.0, colour[2] * factor[2] * share) * clear + haze[2] * (1.0 - clear),
        )

    def _lamp_light(self, place: Place) -> list[float]:
        cos, sin = math.cos(self.state.yaw_rad), math.sin(self.state.yaw_rad)
        dx, dy = place.x - self.state.x_m, place.y - self.state.y_m
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        head = headlight_at(x, y)
        lamps = self._lamp_strength * lamp_share_at(place.s_m, place.d_m, self._lamp_d_m)
        return [
            head * white + lamps * warm
            for white, warm in zip(HEADLIGHT_COLOUR, LAMP_COLOUR, strict=True)
        ]

    # Shapes

    def flat(self, shapes: list[tuple[Points, Rgb]], code: int | None) -> None:
        """Polygons in pixels, each with its colour, one over the other."""
        if not shapes:
            return
        low = np.min([points.min(axis=0) for points, _ in shapes], axis=0)
        high = np.max([points.max(axis=0) for points, _ in shapes], axis=0)
        sprite = Sprite((low[0], low[1]), (high[0], high[1]), self.canvas)
        if sprite.is_empty:
            return
        for points, colour in shapes:
            sprite.polygon(points, colour)
        self.canvas.paint(sprite.picture(), sprite.x0, sprite.y0, code)

    def plain(self, pixels: Points, colour: Rgb, code: int) -> None:
        """A convex polygon in one colour."""
        box = self._box(pixels)
        if box is None:
            return
        x0, y0, x1, y1 = box
        inside = _inside_distance(pixels, box)
        if inside is None:
            return
        drawn = np.empty((y1 - y0, x1 - x0, 3), dtype=np.uint8)
        drawn[:] = np.rint(colour)
        self.canvas.paint_shape(drawn, inside, None, x0, y0, code)

    def _box(self, pixels: Points) -> tuple[int, int, int, int] | None:
        """The pixels about an outline, as x0, y0, x1, y1; None outside of the picture."""
        width, height = self.canvas.size_wh
        x0 = max(0, math.floor(pixels[:, 0].min()))
        y0 = max(0, math.floor(pixels[:, 1].min()))
        x1 = min(width, math.ceil(pixels[:, 0].max()) + 1)
        y1 = min(height, math.ceil(pixels[:, 1].max()) + 1)
        return None if x1 <= x0 or y1 <= y0 else (x0, y0, x1, y1)

    def outline(self, place: Place, shape: Points) -> Points:
        """Pixels of an outline at a place that faces the camera, in metres across and up."""
        scale = self.view.focal_px / max(place.depth_m, NEAR_M)
        return shape * (scale, -scale) + (place.u_px, place.v_px)

    def panel(
        self,
        corners: Points,
        texture: Pyramid,
        window: tuple[float, float, float, float],
        factor: Rgb,
        code: int,
        *,
        whole: bool = False,
    ) -> None:
        """A flat textured four-sided surface in the world.

        Args:
            corners: ``(4, 3)`` world points: where the window's left bottom, right bottom, right
                top and left top are.
            texture: Colour, and in the fourth channel either opacity (``whole``: what is behind
                shows through, the label covers the whole panel) or light of its own.
            window: Left, top, right, bottom of the part of the texture, 0 to 1.
            factor: Light on it.
            code: What it is.
            whole: See ``texture``.
        """
        optical = self.view.optical(corners)
        depth = optical[:, 2]
        if depth.max() < NEAR_M:
            return
        if depth.min() < NEAR_M:
            cut = _cut_panel(optical, window)
            if cut is None:
                return
            optical, window = cut
            depth = optical[:, 2]
        pixels = self.view.pixels(optical)
        box = self._box(pixels)
        if box is None:
            return
        inside = _inside_distance(pixels, box)
        if inside is None:
            return
        channels = 4 if whole or self.light.lamps_lit else 3
        drawn = self._warped(pixels, texture, window, box, channels)
        self._lay(drawn, inside, factor, float(depth.mean()), box, code, whole=whole)

    def _warped(
        self,
        pixels: Points,
        texture: Pyramid,
        window: tuple[float, float, float, float],
        box: tuple[int, int, int, int],
        channels: int,
    ) -> Rgba:
        x0, y0, x1, y1 = box
        left, top, right, bottom = window
        columns = abs(right - left) * texture.size_wh[0]
        rows = abs(bottom - top) * texture.size_wh[1]
        across_px = 0.5 * (math.dist(pixels[0], pixels[1]) + math.dist(pixels[3], pixels[2]))
        down_px = 0.5 * (math.dist(pixels[0], pixels[3]) + math.dist(pixels[1], pixels[2]))
        # Oblique walls are narrow across the image whatever the length of their edges is.
        across_px = max(min(across_px, abs(pixels[1, 0] - pixels[0, 0]) + 1.0), 0.5)
        level_across, level_down = _level(columns / across_px), _level(rows / max(down_px, 0.5))
        picture = texture.level(level_across, level_down, channels)
        w, h = picture.shape[1], picture.shape[0]
        source = np.array(
            [
                [left * w - 0.5, bottom * h - 0.5],
                [right * w - 0.5, bottom * h - 0.5],
                [right * w - 0.5, top * h - 0.5],
                [left * w - 0.5, top * h - 0.5],
            ]
        )
        matrix = _homography(pixels - (x0, y0), source)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpPerspective(
                picture, matrix, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
        )

    def _lay(
        self,
        drawn: Rgba,
        inside: NDArray[np.float32],
        factor: Rgb,
        depth_m: float,
        box: tuple[int, int, int, int],
        code: int,
        *,
        whole: bool,
    ) -> None:
        clear = math.exp(-depth_m / self.light.haze_m)
        channels = drawn.shape[2]
        matrix = np.zeros((3, channels + 1))
        matrix[[0, 1, 2], [0, 1, 2]] = np.array(factor) * clear
        matrix[:, channels] = np.array(self.light.haze) * (1.0 - clear)
        if channels == 4 and not whole:
            matrix[:, 3] = np.array((1.0, 0.86, 0.58)) * clear * 0.8
        colour = cv2.transform(drawn, matrix)
        opacity = np.ascontiguousarray(drawn[..., 3]) if whole else None
        self.canvas.paint_shape(colour, inside, opacity, box[0], box[1], code)

    def picture(
        self,
        texture: Pyramid,
        place: Place,
        size_m: tuple[float, float],
        factor: Rgb,
        code: int,
        *,
        mirrored: bool = False,
    ) -> None:
        """A cut-out picture that stands at a place and faces the camera.

        Args:
            texture: Colours multiplied by alpha, and alpha.
            place: Of the middle of its lower edge.
            size_m: Width and height.
            factor: Light on it.
            code: What it is.
            mirrored: Left and right exchanged.
        """
        scale = self.view.focal_px / max(place.depth_m, NEAR_M)
        wide, high = size_m[0] * scale, size_m[1] * scale
        left, top = place.u_px - 0.5 * wide, place.v_px - high
        width, height = self.canvas.size_wh
        x0, y0 = max(0, math.floor(left)), max(0, math.floor(top))
        x1 = min(width, math.ceil(left + wide) + 1)
        y1 = min(height, math.ceil(top + high) + 1)
        if x1 <= x0 or y1 <= y0 or wide < 0.4:
            return
        level = _level(texture.size_wh[0] / wide)
        picture = texture.level(level, level)
        w, h = picture.shape[1], picture.shape[0]
        step_x, step_y = w / wide, h / high
        matrix = np.array(
            [
                [step_x, 0.0, (x0 - left) * step_x - 0.5],
                [0.0, step_y, (y0 - top) * step_y - 0.5],
            ]
        )
        if mirrored:
            matrix[0] = [-step_x, 0.0, (w - 1) - matrix[0, 2]]
        drawn = cv2.warpAffine(
            picture,
            matrix,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
        clear = math.exp(-place.depth_m / self.light.haze_m)
        tint = np.zeros((4, 4))
        tint[[0, 1, 2], [0, 1, 2]] = np.array(factor) * clear
        tint[:3, 3] = np.array(self.light.haze) * (1.0 - clear) / 255.0
        tint[3, 3] = 1.0
        self.canvas.paint(np.asarray(cv2.transform(drawn, tint)), x0, y0, code)


def _level(texels_per_pixel: float) -> int:
    return min(max(round(math.log2(max(texels_per_pixel, 1e-6))), 0), MAX_LEVEL)


def _homography(pixels: Points, source: Points) -> Points:
    matrix = cv2.getPerspectiveTransform(
        np.ascontiguousarray(pixels, dtype=np.float32),
        np.ascontiguousarray(source, dtype=np.float32),
    )
    return np.asarray(matrix, dtype=np.float64)


def _inside_distance(pixels: Points, box: tuple[int, int, int, int]) -> NDArray[np.float32] | None:
    """How far every pixel centre of a box is inside a convex polygon, at most one pixel.

    None where the polygon is seen from its edge or has no pixel in the box.
    """
    x0, y0, x1, y1 = box
    corners = pixels.tolist()
    following = [*corners[1:], corners[0]]
    area = sum(ax * by - bx * ay for (ax, ay), (bx, by) in zip(corners, following, strict=True))
    if abs(area) < 0.02:
        return None
    turn = 1.0 if area > 0.0 else -1.0
    nearest = np.ones((y1 - y0, x1 - x0), dtype=np.float32)
    columns = np.arange(x0, x1, dtype=np.float32)
    rows = np.arange(y0, y1, dtype=np.float32)[:, None]
    for (ax, ay), (bx, by) in zip(corners, following, strict=True):
        length = math.hypot(bx - ax, by - ay)
        if length < 1e-6:
            continue
        nx, ny = -(by - ay) / length * turn, (bx - ax) / length * turn
        start = -nx * ax - ny * ay
        at_left, at_right = nx * x0 + start, nx * (x1 - 1) + start
        at_top, at_bottom = ny * y0, ny * (y1 - 1)
        if min(at_left, at_right) + min(at_top, at_bottom) >= 1.0:
            continue  # the whole box is inside of this edge
        if max(at_left, at_right) + max(at_top, at_bottom) <= -0.5:
            return None
        across = columns * np.float32(nx) + np.float32(start)
        np.minimum(nearest, rows * np.float32(ny) + across, out=nearest)
    return nearest


def _cut_panel(
    optical: Points, window: tuple[float, float, float, float]
) -> tuple[Points, tuple[float, float, float, float]] | None:
    """The part of an upright panel in front of the near plane, cut by an upright line."""
    left, top, right, bottom = window
    left_depth = float(min(optical[0, 2], optical[3, 2]))
    right_depth = float(min(optical[1, 2], optical[2, 2]))
    near = NEAR_M + 0.05
    if max(left_depth, right_depth) <= near:
        return None
    points = optical.copy()
    if left_depth < near:
        part = _part(optical[0, 2], optical[1, 2], optical[3, 2], optical[2, 2], near)
        points[0] = optical[0] + part * (optical[1] - optical[0])
        points[3] = optical[3] + part * (optical[2] - optical[3])
        left += part * (right - left)
    else:
        part = _part(optical[1, 2], optical[0, 2], optical[2, 2], optical[3, 2], near)
        points[1] = optical[1] + part * (optical[0] - optical[1])
        points[2] = optical[2] + part * (optical[3] - optical[2])
        right += part * (left - right)
    return points, (left, top, right, bottom)


def _part(low0: float, low1: float, high0: float, high1: float, near: float) -> float:
    """How far along the panel both its edges have come in front of the near plane."""
    parts = [
        (near - start) / (end - start)
        for start, end in ((low0, low1), (high0, high1))
        if start < near
    ]
    return float(min(max(*parts, 0.0), 1.0)) if len(parts) > 1 else float(parts[0])
