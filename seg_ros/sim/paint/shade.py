# SPDX-License-Identifier: Apache-2.0
"""Shadows on the ground, as a mask over the image."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.sim.paint.cars import body_size_m
from seg_ros.sim.paint.plants import CROWN_RADIUS, crown_height
from seg_ros.sim.paint.view import NEAR_M, View
from seg_ros.sim.paint.weather import Light
from seg_ros.sim.profile import RoadProfile
from seg_ros.sim.road import Road
from seg_ros.sim.scenery import Block, Building, Fence, Post, Tree

__all__ = ['Shade']

SHIFT = 4
SHADOW_REACH_M = 110.0
CONTACT_REACH_M = 60.0
SOFT_REACH_M = 25.0
CAR_REACH_M = 90.0
PERSON_REACH_M = 60.0

Points = NDArray[np.float64]


class Shade:
    """Two masks of one frame: where the sun does not reach, and where little light does."""

    def __init__(
        self, view: View, light: Light, road: Road, profile: RoadProfile, first_row: int
    ) -> None:
        width, height = view.size_wh
        self._view = view
        self._road = road
        self._profile = profile
        self._first_row = first_row
        rows = max(height - first_row, 1)
        self._has_sun = light.has_sun
        self._contact_value = round(255 * light.contact_shade)
        self.sun = np.zeros((rows, width), dtype=np.uint8)
        self.contact = np.zeros((rows, width), dtype=np.uint8)
        self._ground_rotation = view.rotation[:, :2].T
        self._ground_offset = view.offset
        self._origin = np.array([0.0, float(first_row)])
        direction = light.towards_sun
        # Where the shadow of a point one metre up falls.
        self._shift = -direction[:2] / max(float(direction[2]), 0.08)

    def finish(self) -> None:
        """Softens the edges; call once, after the last shadow."""
        if self._has_sun:
            cv2.blur(self.sun, (3, 3), self.sun)
        cv2.blur(self.contact, (5, 3), self.contact)

    def add_block(self, block: Block) -> None:
        """Everything that stands still."""
        if not self._has_sun:
            return
        for building in block.buildings:
            self._building(building)
        for fence in block.fences:
            self._fence(fence)
        for tree in block.trees:
            self._tree(tree)
        for post in block.posts:
            self._post(post)

    def add_car(self, x: float, y: float, heading_rad: float, look: int) -> None:
        depth = self._view.depth(x, y)
        if not -3.0 < depth < CAR_REACH_M or self._is_aside(x, y, 12.0):
            return
        length, width, height = body_size_m(look)
        if depth < CONTACT_REACH_M:
            soft = ((0.12, 0.75), (-0.12, 1.0)) if depth < SOFT_REACH_M else ((0.0, 0.9),)
            for grow, value in soft:
                box = _box(x, y, heading_rad, 0.5 * length + grow, 0.5 * width + grow)
                self._fill(self.contact, box, round(value * self._contact_value))
        if self._has_sun:
            low = _box(x, y, heading_rad, 0.5 * length, 0.5 * width)
            high = _box(x, y, heading_rad, 0.3 * length, 0.4 * width) + height * self._shift
            belt = low + 0.55 * height * self._shift
            self._fill(self.sun, _hull(np.concatenate([low, belt, high])), 255)

    def add_person(self, x: float, y: float, height_m: float) -> None:
        depth = self._view.depth(x, y)
        if not 0.5 < depth < PERSON_REACH_M or self._is_aside(x, y, 5.0):
            return
        spot = np.array([x, y])
        self._fill(self.contact, spot + 0.24 * _CIRCLE, round(0.7 * self._contact_value))
        if self._has_sun:
            across = np.array([-self._shift[1], self._shift[0]])
            across *= 0.2 / max(float(np.hypot(*across)), 1e-6)
            neck = spot + 0.82 * height_m * self._shift
            legs = spot + 0.5 * height_m * self._shift
            body = [spot - 0.4 * across, legs - 0.7 * across, neck - across]
            body += [neck + across, legs + 0.7 * across, spot + 0.4 * across]
            self._fill(self.sun, np.array(body), 255)
            head = spot + 0.93 * height_m * self._shift
            stretch = 0.11 * _CIRCLE + 0.11 * _CIRCLE @ np.outer(self._shift, self._shift)
            self._fill(self.sun, head + stretch, 255)

    def _is_aside(self, x: float, y: float, reach_m: float) -> bool:
        """Whether a place and all shadows within reach are to the left or right of the image."""
        u, _, depth = self._view.pixel(x, y)
        if depth < reach_m:
            return False
        reach_px = reach_m * self._view.focal_px / (depth - 0.7 * reach_m)
        return u < -reach_px or u > self._view.size_wh[0] + reach_px

    def _building(self, building: Building) -> None:
        x0, y0, _ = self._road.pose(building.s0_m, building.d_m)
        x1, y1, _ = self._road.pose(building.s1_m, building.d_m)
        if min(self._view.depth(x0, y0), self._view.depth(x1, y1)) > SHADOW_REACH_M:
            return
        along = np.array([x1 - x0, y1 - y0])
        outward = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
        outward *= math.copysign(building.depth_m, building.d_m)
        foot = np.array([[x0, y0], [x1, y1]])
        foot = np.concatenate([foot, foot + outward])
        self._fill(
            self.sun, _hull(np.concatenate([foot, foot + building.height_m * self._shift])), 255
        )
        if building.roof_m:
            ridge = foot[:2] + 0.5 * outward
            top = ridge + (building.height_m + building.roof_m) * self._shift
            eaves = foot + building.height_m * self._shift
            self._fill(self.sun, _hull(np.concatenate([eaves, top])), 255)

    def _fence(self, fence: Fence) -> None:
        if fence.kind == 'railing':
            return
        x0, y0, _ = self._road.pose(fence.s0_m, fence.d_m)
        x1, y1, _ = self._road.pose(fence.s1_m, fence.d_m)
        if min(self._view.depth(x0, y0), self._view.depth(x1, y1)) > 0.6 * SHADOW_REACH_M:
            return
        foot = np.array([[x0, y0], [x1, y1]])
        top = foot[::-1] + fence.height_m * self._shift
        self._fill(self.sun, np.concatenate([foot, top]), 255)

    def _tree(self, tree: Tree) -> None:
        x, y, _ = self._road.pose(tree.s_m, tree.d_m)
        spot = np.array([x, y])
        if not -15.0 < self._view.depth(x, y) < SHADOW_REACH_M:
            return
        middle = spot + crown_height(tree) * self._shift
        reach = float(np.hypot(*self._shift))
        along = self._shift / max(reach, 1e-6)
        across = np.array([-along[1], along[0]])
        radius = CROWN_RADIUS * tree.height_m
        long = radius * math.hypot(1.0, 0.9 * reach)
        outline = middle + _RAGGED[tree.look % 7] @ np.array([long * along, radius * across])
        self._fill(self.sun, outline, 225)
        self._stick(spot, middle, 0.035 * tree.height_m)

    def _post(self, post: Post) -> None:
        x, y, _ = self._road.pose(post.s_m, post.d_m)
        if not 0.0 < self._view.depth(x, y) < 0.4 * SHADOW_REACH_M:
            return
        spot = np.array([x, y])
        self._stick(spot, spot + post.height_m * self._shift, 0.07)

    def _stick(self, start: Points, end: Points, half_m: float) -> None:
        along = end - start
        across = np.array([-along[1], along[0]]) * half_m / max(float(np.hypot(*along)), 1e-6)
        outline = np.array([start - across, end - across, end + across, start + across])
        self._fill(self.sun, outline, 255)

    def _fill(self, mask: NDArray[np.uint8], outline: Points, value: int) -> None:
        optical = outline @ self._ground_rotation + self._ground_offset
        if optical[:, 2].min() > NEAR_M:
            polygon = self._view.pixels(optical)
        else:
            points = np.column_stack([outline, np.zeros(len(outline))])
            cut = self._view.polygon(points)
            if cut is None or len(cut) < 3:
                return
            polygon = np.clip(cut, -20000.0, 20000.0)
        fixed = np.rint((polygon - self._origin) * (1 << SHIFT)).astype(np.int32)
        cv2.fillPoly(mask, [fixed], value, cv2.LINE_AA, SHIFT)


_ANGLES = np.linspace(0.0, 2.0 * np.pi, 20, endpoint=False)
_RING = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_RAGGED = [
    _RING * (1.0 + 0.13 * np.sin(5.0 * _ANGLES + turn) * np.cos(3.0 * _ANGLES))[:, None]
    for turn in range(7)
]
_CIRCLE = _RING[::2]


def _box(x: float, y: float, heading_rad: float, half_x: float, half_y: float) -> Points:
    cos, sin = math.cos(heading_rad), math.sin(heading_rad)
    corners = np.array(
        [(half_x, half_y), (-half_x, half_y), (-half_x, -half_y), (half_x, -half_y)]
    )
    return np.asarray(corners @ np.array([[cos, sin], [-sin, cos]]) + (x, y))


def _hull(points: Points) -> Points:
    origin = points[0]
    hull = cv2.convexHull((points - origin).astype(np.float32))
    return np.asarray(hull.reshape(-1, 2).astype(np.float64) + origin)
