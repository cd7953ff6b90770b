"""The ground below everything, as labels only: asphalt, lines, pavement, grass, sky above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import classes
from seg_ros.sim.profile import DASHED, TABLE_HALF_WIDTH_M, TABLE_STEP_M, RoadProfile
from seg_ros.sim.road import Road
from seg_ros.sim.vehicle import VehicleState

__all__ = ['LabelGround']

COLUMN_STEP = 32
FAR_M = 200.0
DASHED_CODE = 128


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
        nodes = np.unique(np.append(np.arange(0, width, COLUMN_STEP), width - 1))
        points = table[self._first_row :, nodes]
        eye = np.array([camera.mount.x, camera.mount.y])
        offset = np.where(np.isfinite(points), points - eye, [FAR_M, 0.0])
        distance = np.hypot(offset[..., 0], offset[..., 1])
        self._points = eye + offset * np.minimum(1.0, FAR_M / distance)[..., None]
        columns = np.arange(width)
        self._spread = np.array(
            [np.interp(columns, nodes, row) for row in np.eye(len(nodes))], dtype=np.float32
        )
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
