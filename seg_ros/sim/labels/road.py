# SPDX-License-Identifier: Apache-2.0
"""Labels of a bare road: no picture, nothing that stands on it, and so ten times faster.

``LabelRoad`` has the paint that a test or a drive of many kilometres asks for, ``LabelGround`` the
cross-section that the scenery of ``LabelRenderer`` stands on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import classes
from seg_ros.sim.ground_points import Float32Image, column_nodes, interpolation, within_reach
from seg_ros.sim.profile import DASHED, TABLE_HALF_WIDTH_M, TABLE_STEP_M, RoadProfile
from seg_ros.sim.road import Road
from seg_ros.sim.vehicle import VehicleState

__all__ = ['LabelGround', 'LabelRoad', 'Stripe', 'lane_stripes']

COLUMN_STEP = 16
FAR_M = 90.0
GROUND_COLUMN_STEP = 32  # the same two for LabelGround
GROUND_FAR_M = 200.0
DASHED_CODE = 128
PATH_STEP_M = 0.5
PATH_LENGTH_M = 40.0

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stripe:
    """A rectangle of paint in road coordinates, or a row of them.

    Attributes:
        d_m: Its middle, left of the road's centre line.
        width_m: Across the road.
        dash_m: Length of a dash, 0 for a solid stripe.
        gap_m: Length of the gap after it.
        from_m: Where along the road it starts.
        to_m: Where it ends.
        drift: How far it goes to the left per metre along the road, from ``from_m`` on.
    """

    d_m: float
    width_m: float = 0.13
    dash_m: float = 0.0
    gap_m: float = 0.0
    from_m: float = -np.inf
    to_m: float = np.inf
    drift: float = 0.0


def lane_stripes(width_m: float = 3.5) -> tuple[Stripe, ...]:
    """A lane in each direction: solid edges and a dashed centre line."""
    return Stripe(-width_m), Stripe(0.0, dash_m=3.0, gap_m=6.0), Stripe(width_m)


class LabelRoad:
    """Labels of a road as a camera on a vehicle sees them.

    Args:
        road: Its centre line.
        camera: On the vehicle.
        stripes: What is painted.
        asphalt_m: Where the asphalt ends to the right and left, road coordinates.
    """

    def __init__(
        self,
        road: Road,
        camera: Camera,
        stripes: Sequence[Stripe] = lane_stripes(),
        asphalt_m: tuple[float, float] = (-4.0, 4.0),
    ) -> None:
        self.road = road
        self.table = camera.ground_table()
        self._stripes = tuple(stripes)
        self._asphalt_m = asphalt_m
        height, width = self.table.shape[:2]
        ahead_m = np.where(np.isfinite(self.table[..., 0]), self.table[..., 0], np.inf).max(axis=1)
        self._rows = np.flatnonzero(ahead_m < FAR_M)
        nodes = column_nodes(width, COLUMN_STEP)
        self._points = self.table[self._rows][:, nodes].astype(np.float64)
        self._spread = interpolation(nodes, width)
        self._sky = np.full((height, width), classes.SKY, np.uint8)

    def labels(self, state: VehicleState) -> NDArray[np.uint8]:
        """Returns ``(H, W)`` class ids: road, lane marking, pavement beside, sky above."""
        s, d = self._coordinates(state)
        ground = np.full(s.shape, classes.PAVEMENT, np.uint8)
        right_m, left_m = self._asphalt_m
        ground[(d > right_m) & (d < left_m)] = classes.ROAD
        for stripe in self._stripes:
            middle: Float32Image | np.float32 = np.float32(stripe.d_m)
            if stripe.drift:
                middle = middle + np.float32(stripe.drift) * (s - np.float32(stripe.from_m))
            painted = np.abs(d - middle) < np.float32(0.5 * stripe.width_m)
            if stripe.dash_m:
                painted &= np.mod(s, np.float32(stripe.dash_m + stripe.gap_m)) < stripe.dash_m
            if np.isfinite(stripe.from_m) or np.isfinite(stripe.to_m):
                painted &= (s > stripe.from_m) & (s < stripe.to_m)
            ground[painted] = classes.LANE_MARKING
        labels = self._sky.copy()
        labels[self._rows] = ground
        return labels

    def path(self, state: VehicleState, d_m: float) -> Float64Array:
        """Returns ``(N, 2)`` points of a line along the road, every 0.5 m ahead, base frame."""
        s = state.s_m + np.arange(round(PATH_LENGTH_M / PATH_STEP_M) + 1) * PATH_STEP_M
        offset = self.road.points(s, d_m) - (state.x_m, state.y_m)
        cos, sin = np.cos(state.yaw_rad), np.sin(state.yaw_rad)
        return np.asarray(offset @ np.array([[cos, -sin], [sin, cos]]))

    def _coordinates(self, state: VehicleState) -> tuple[Float32Image, Float32Image]:
        cos, sin = np.cos(state.yaw_rad), np.sin(state.yaw_rad)
        x, y = self._points[..., 0], self._points[..., 1]
        s, d = self.road.coordinates(state.x_m + cos * x - sin * y, state.y_m + sin * x + cos * y)
        return s.astype(np.float32) @ self._spread, d.astype(np.float32) @ self._spread


class LabelGround:
    """Labels of the bare road as a camera on a vehicle sees them.

    Args:
        road: Its centre line.
        camera: On the vehicle.
        profile: What lies how far from the centre line.
    """

    def __init__(self, road: Road, camera: Camera, profile: RoadProfile) -> None:
        self._road = road
        table = camera.ground_table().astype(np.float64)
        height, width = table.shape[:2]
        self._seen = np.isfinite(table[..., 0])
        rows = np.flatnonzero(self._seen.any(axis=1))
        self._first_row = int(rows[0]) if rows.size else height
        self._is_ground = self._seen[self._first_row :]
        nodes = column_nodes(width, GROUND_COLUMN_STEP)
        self._points = within_reach(table[self._first_row :, nodes], camera, GROUND_FAR_M)
        self._spread = interpolation(nodes, width)
        self._codes = profile.surface_table.copy()
        kinds = profile.line_table
        self._codes[(kinds > 0) & (kinds < DASHED)] = classes.LANE_MARKING
        self._codes[kinds >= DASHED] = DASHED_CODE
        self._period_m = np.float32(profile.dash_m + profile.gap_m)
        self._dash_m = np.float32(profile.dash_m)
        self._sky = np.full((height, width), classes.SKY, np.uint8)

    def labels(self, state: VehicleState) -> NDArray[np.uint8]:
        """Returns ``(H, W)`` class ids, the caller's own."""
        cos, sin = np.cos(state.yaw_rad), np.sin(state.yaw_rad)
        x, y = self._points[..., 0], self._points[..., 1]
        s, d = self._road.coordinates(state.x_m + cos * x - sin * y, state.y_m + sin * x + cos * y)
        place = (d / TABLE_STEP_M + TABLE_HALF_WIDTH_M / TABLE_STEP_M + 0.5).astype(np.float32)
        index = np.clip(place @ self._spread, 0, len(self._codes) - 1).astype(np.int32)
        ground = self._codes.take(index)
        row, column = np.nonzero(ground == DASHED_CODE)
        along = np.einsum('ij,ji->i', s.astype(np.float32)[row], self._spread[:, column])
        is_painted = np.mod(along, self._period_m) < self._dash_m
        ground[row, column] = np.where(is_painted, classes.LANE_MARKING, classes.ROAD)
        labels = self._sky.copy()
        np.copyto(labels[self._first_row :], ground, where=self._is_ground)
        return labels
