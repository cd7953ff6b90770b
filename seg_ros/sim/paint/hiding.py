"""Which things are behind houses, so that nobody paints what nobody sees.

For every column of the image the highest wall so far is kept with its distance. Whatever is
farther away and nowhere higher is hidden. Errs towards painting.
"""

from __future__ import annotations

import math

import numpy as np

from seg_ros.sim.paint.view import NEAR_M, View
from seg_ros.sim.scenery import Building

__all__ = ['Hiding']

MARGIN_PX = 1.0
MARGIN_M = 0.5


class Hiding:
    """Column by column, the row above which something behind the houses can be seen."""

    def __init__(self, view: View, is_level: bool) -> None:
        """Starts with nothing hidden.

        Args:
            view: Of the frame.
            is_level: Upright things are upright in the image. Otherwise nothing is ever hidden.
        """
        width, height = view.size_wh
        self._view = view
        self._is_level = is_level
        self._width = width
        self._top = np.full(width, float(height))
        self._depth = np.full(width, np.inf)

    def is_hidden(self, u0: float, u1: float, v_top: float, depth_m: float) -> bool:
        """Whether something is hidden that stands on the ground between two columns."""
        first, last = max(0, math.floor(u0)), min(self._width, math.ceil(u1) + 1)
        if last <= first:
            return True
        if not self._is_level:
            return False
        part = slice(first, last)
        return bool(
            (self._top[part] < v_top - MARGIN_PX).all()
            and (self._depth[part] < depth_m - MARGIN_M).all()
        )

    def hides_at(self, x: float, y: float, height_m: float, half_width_m: float) -> bool:
        """Whether an upright thing around a world point is hidden or outside of the image."""
        u, v, depth = self._view.pixel(x, y, height_m)
        if depth < 2.0 + half_width_m:
            return False
        reach = half_width_m * self._view.focal_px / (depth - half_width_m) + 1.0
        return self.is_hidden(u - reach, u + reach, v - 0.05 * reach, depth - half_width_m)

    def add(self, building: Building, front: tuple[float, float, float, float]) -> bool:
        """Takes up a building, nearer ones first; tells whether it was hidden itself.

        Args:
            building: The building.
            front: World x and y of the two ends of its front.
        """
        x0, y0, x1, y1 = front
        along = (x1 - x0, y1 - y0)
        length = math.hypot(*along)
        out = math.copysign(building.depth_m / length, building.d_m)
        outward = (-along[1] * out, along[0] * out)
        feet = [
            (x0, y0),
            (x1, y1),
            (x0 + outward[0], y0 + outward[1]),
            (x1 + outward[0], y1 + outward[1]),
        ]
        top_m = building.height_m + building.roof_m
        corners = [self._view.pixel(x, y, top_m) for x, y in feet]
        nearest = min(depth for _, _, depth in corners)
        if nearest > 1.0:
            columns = [u for u, _, _ in corners]
            v_top = min(v for _, v, _ in corners)
            if self.is_hidden(min(columns) - 1.0, max(columns) + 1.0, v_top - 1.0, nearest):
                return True
        self._cover(building.height_m, (x0, y0), (x1, y1))
        return False

    def _cover(
        self, height_m: float, left: tuple[float, float], right: tuple[float, float]
    ) -> None:
        near = NEAR_M + 0.5
        ends = [
            (*left, self._view.depth(*left, height_m)),
            (*right, self._view.depth(*right, height_m)),
        ]
        if max(ends[0][2], ends[1][2]) <= near:
            return
        for index in (0, 1):
            (xa, ya, da), (xb, yb, db) = ends[index], ends[1 - index]
            if da < near:
                part = (near - da) / (db - da)
                ends[index] = (xa + part * (xb - xa), ya + part * (yb - ya), near)
        (u0, v0, d0), (u1, v1, d1) = (self._view.pixel(x, y, height_m) for x, y, _ in ends)
        if u0 > u1:
            u0, v0, d0, u1, v1, d1 = u1, v1, d1, u0, v0, d0
        first, last = max(0, math.ceil(u0)), min(self._width, math.floor(u1) + 1)
        if last <= first:
            return
        part_of = (np.arange(first, last) - u0) / max(u1 - u0, 1e-6)
        tops = v0 + part_of * (v1 - v0)
        inverse = 1.0 / d0 + part_of * (1.0 / d1 - 1.0 / d0)
        higher = tops < self._top[first:last]
        self._top[first:last][higher] = tops[higher]
        self._depth[first:last][higher] = 1.0 / inverse[higher]
