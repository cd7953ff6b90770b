# SPDX-License-Identifier: Apache-2.0
"""Free space as ranges, as a grid, and as the small images of a semantic costmap.

All of it is in the base frame. A ray or a cell is free only where the ground is seen to be free;
what nobody saw is unknown (NaN, -1), never free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.navigation.config import NavigationConfig
from seg_ros.core.navigation.obstacles import (
    FREE,
    GROUND,
    Contacts,
    GroundEdges,
    Mask,
    Obstacles,
    Rows,
)
from seg_ros.core.types import ConfidenceImage, LabelImage

__all__ = ['CostmapImages', 'CostmapTable', 'DrivableGrid', 'FreeGrid', 'FreeScan', 'ScanTable']

BLOCKED, UNKNOWN = 100, -1  # of nav_msgs/OccupancyGrid; 0 is free

# A step from column to column that is longer than this and this share of the range is from a thing
# to what is behind it
EDGE_M, EDGE_SHARE = 0.5, 0.1

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class FreeScan:
    """How far the ground is free along each bearing.

    Attributes:
        ranges_m: ``(N,)`` float32 from the base origin: +inf where it is free as far as
            ``range_max_m``, -inf where it is blocked nearer than ``range_min_m``, NaN where the
            camera does not see (REP 117).
        angle_min_rad: Bearing of the first.
        increment_rad: Between two.
        range_min_m: Least finite range.
        range_max_m: Greatest finite range.
    """

    ranges_m: Float32Array
    angle_min_rad: float
    increment_rad: float
    range_min_m: float
    range_max_m: float


@dataclass(frozen=True)
class DrivableGrid:
    """The ground from above.

    Attributes:
        cells: ``(height, width)`` int8: 0 free, 100 not, -1 unknown; columns go forward, rows to
            the left.
        resolution_m: Edge of a cell.
        origin_m: x and y of the outer corner of cell (0, 0).
    """

    cells: NDArray[np.int8]
    resolution_m: float
    origin_m: tuple[float, float]


@dataclass(frozen=True)
class CostmapImages:
    """Three small pictures of the same size, pixel by pixel of the same ground.

    Attributes:
        mask: ``(h, w)`` class ids.
        confidence: ``(h, w)``, 255 where nobody told.
        points: ``(h, w, 3)`` float32 metres, base frame; NaN for pixels that do not touch the
            ground.
    """

    mask: LabelImage
    confidence: ConfidenceImage
    points: Float32Array


class ScanTable:
    """Makes scans of one calibration.

    Args:
        edges: Of the label images.
        config: Says which bearings and how far.
    """

    def __init__(self, edges: GroundEdges, config: NavigationConfig) -> None:
        self._config = config
        self._edges = edges
        # Where each column leaves the scan's range, seen from its lower end
        beyond = edges.range_m >= config.scan_range_max_m
        limit = len(beyond) - 1 - np.argmax(beyond[::-1], axis=0)
        self._limit: Rows = np.where(beyond.any(axis=0), limit, -1)
        columns = np.arange(beyond.shape[1])
        self._starts_inside: NDArray[np.bool_] = ~beyond[-1]
        # The direction at the limit; where the horizon comes first, that of the last ground
        finite = np.isfinite(edges.points[..., 0])
        last_ground = np.argmax(finite, axis=0)
        at = np.maximum(self._limit, last_ground)
        points = edges.points[at, columns].astype(np.float64)
        with np.errstate(invalid='ignore', divide='ignore'):
            points *= (config.scan_range_max_m / np.hypot(points[:, 0], points[:, 1]))[:, None]
        self._reaches: NDArray[np.bool_] = (
            self._starts_inside & (self._limit >= 0) & np.isfinite(points).all(axis=1)
        )
        self._free_points = points

    def scan(self, blocked: Contacts) -> FreeScan:
        """The scan of a frame.

        Args:
            blocked: The lowest run of each column that is not free.
        """
        config = self._config
        points = self._free_points.copy()
        near = blocked.ends > self._limit[blocked.columns]
        columns, ends = blocked.columns[near], blocked.ends[near]
        points[columns] = self._edges.points[ends, columns]
        # What is free as far as the image shows, but not as far as the scan goes, is not known
        sees = self._reaches.copy()
        sees[columns] = self._starts_inside[columns]
        ranges = np.full(config.bearings, np.inf)
        _fill(ranges, points, sees, config)
        ranges[ranges == np.inf] = np.nan
        ranges[ranges >= config.scan_range_max_m * (1.0 - 1e-4)] = np.inf
        ranges[ranges < config.scan_range_min_m] = -np.inf
        return FreeScan(
            ranges.astype(np.float32),
            config.scan_angle_min_rad,
            config.scan_increment_rad,
            config.scan_range_min_m,
            config.scan_range_max_m,
        )


class FreeGrid:
    """Makes drivable grids of one calibration.

    Args:
        camera: Lens and mounting.
        shape_hw: Of the label images.
        config: Says where the grid is and how fine.
    """

    def __init__(
        self, camera: Camera, shape_hw: tuple[int, int], config: NavigationConfig
    ) -> None:
        self._config = config
        height, width = shape_hw
        cell_m = config.grid_resolution_m
        cells_x, cells_y = config.grid_size_wh
        x = config.grid_near_m + cell_m * (np.arange(cells_x) + 0.5)
        y = -config.grid_half_width_m + cell_m * (np.arange(cells_y) + 0.5)
        centres = np.stack([*np.meshgrid(x, y), np.zeros((cells_y, cells_x))], axis=-1)
        sized = Camera(camera.intrinsics.scaled((width, height)), camera.mount)
        pixels, in_front = sized.project(centres.reshape(-1, 3))
        pixels = np.rint(np.where(in_front[:, None], pixels, -1.0)).astype(np.intp)
        u, v = pixels.T
        seen = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        self._seen: Rows = np.flatnonzero(seen)
        self._pixels: Rows = (v * width + u)[seen]
        self._values = np.full(256, UNKNOWN, np.int8)
        kinds = np.arange(256)
        self._values[(kinds & GROUND) != 0] = BLOCKED
        self._values[(kinds & FREE) != 0] = 0

    def grid(self, kinds: Mask, obstacles: Obstacles) -> DrivableGrid:
        """The grid of a frame.

        Args:
            kinds: ``(H, W)`` labels through ``kinds_lut``.
            obstacles: Of the same frame.
        """
        config = self._config
        cells_x, cells_y = config.grid_size_wh
        flat = np.full(cells_x * cells_y, UNKNOWN, np.int8)
        flat[self._seen] = self._values[kinds.ravel()[self._pixels]]
        cells = flat.reshape(cells_y, cells_x)
        origin = config.grid_near_m, -config.grid_half_width_m
        column, row = np.floor((obstacles.points - origin) / config.grid_resolution_m).T.astype(
            int
        )
        inside = (column >= 0) & (column < cells_x) & (row >= 0) & (row < cells_y)
        cells[row[inside], column[inside]] = BLOCKED
        return DrivableGrid(cells, config.grid_resolution_m, origin)


class CostmapTable:
    """Makes the small images of one calibration.

    Args:
        edges: Of the label images.
        table: ``(H, W, 2)`` ground point of every pixel.
        config: Says how large they are.
    """

    def __init__(
        self, edges: GroundEdges, table: NDArray[np.float32], config: NavigationConfig
    ) -> None:
        height, width = edges.shape_hw
        self._size_wh = config.costmap_width, config.costmap_height
        self._shape_hw = height, width
        self._height_m = config.obstacle_height_m
        rows = ((np.arange(config.costmap_height) + 0.5) * height / config.costmap_height).astype(
            np.intp
        )
        columns = ((np.arange(config.costmap_width) + 0.5) * width / config.costmap_width).astype(
            np.intp
        )
        self._pixels: Rows = rows[:, None] * width + columns
        ground = table[rows][:, columns]
        far = ~(np.hypot(ground[..., 0], ground[..., 1]) <= config.max_range_m)
        self._points: Float32Array = np.dstack([ground, np.zeros_like(ground[..., 0])])
        self._points[far] = np.nan

    def images(
        self,
        labels: LabelImage,
        confidence: ConfidenceImage | None,
        kinds: Mask,
        obstacles: Obstacles,
    ) -> CostmapImages:
        """The images of a frame.

        Args:
            labels: ``(H, W)`` class ids.
            confidence: ``(H, W)``, or None.
            kinds: The labels through ``kinds_lut``.
            obstacles: Of the same frame; where one touches the ground its exact point is given.
        """
        mask = labels.ravel()[self._pixels]
        if confidence is None:
            sure = np.full(mask.shape, 255, np.uint8)
        else:
            sure = confidence.ravel()[self._pixels]
        points = self._points.copy()
        points[(kinds.ravel()[self._pixels] & GROUND) == 0] = np.nan
        (height, width), (small_width, small_height) = self._shape_hw, self._size_wh
        row = (obstacles.rows - 1) * small_height // height
        column = obstacles.columns * small_width // width
        mask[row, column] = obstacles.class_ids
        if confidence is not None:
            sure[row, column] = confidence[obstacles.rows - 1, obstacles.columns]
        points[row, column, :2] = obstacles.points
        points[row, column, 2] = self._height_m
        return CostmapImages(mask, sure, points)


def _fill(
    ranges: Float64Array, points: Float64Array, sees: NDArray[np.bool_], config: NavigationConfig
) -> None:
    """Lowers ranges to where the line through the columns' points crosses each bearing."""
    angle = np.arctan2(points[:, 1], points[:, 0])
    place = (angle - config.scan_angle_min_rad) / config.scan_increment_rad
    length = np.hypot(points[:, 0], points[:, 1])
    # Each column in the nearest bearing, so that nothing narrow falls between two
    nearest = np.rint(np.where(sees, place, -1.0)).astype(np.intp)
    inside = (nearest >= 0) & (nearest < ranges.size)
    np.minimum.at(ranges, nearest[inside], length[inside])
    # The bearings between two columns; those between a thing and what is seen beside it stay
    # unknown, because the thing hides them
    first = np.minimum(place[:-1], place[1:])
    last = np.maximum(place[:-1], place[1:])
    beside = np.abs(np.diff(length)) <= EDGE_M + EDGE_SHARE * np.minimum(length[:-1], length[1:])
    both = sees[:-1] & sees[1:] & beside
    low = np.ceil(np.where(both, first, 0.0)).astype(np.intp)
    count = np.where(both, np.floor(np.where(both, last, 0.0)).astype(np.intp) - low + 1, 0)
    count[count < 0] = 0
    count[np.abs(angle[1:] - angle[:-1]) > np.pi] = 0  # behind the vehicle, where angles jump
    segment = np.repeat(np.arange(count.size), count)
    bearing = low[segment] + np.arange(segment.size) - np.repeat(np.cumsum(count) - count, count)
    inside = (bearing >= 0) & (bearing < ranges.size)
    segment, bearing = segment[inside], bearing[inside]
    theta = config.scan_angle_min_rad + config.scan_increment_rad * bearing
    x, y = np.cos(theta), np.sin(theta)
    start, step = points[segment], points[segment + 1] - points[segment]
    across = x * step[:, 1] - y * step[:, 0]
    with np.errstate(invalid='ignore', divide='ignore'):
        part = np.clip((y * start[:, 0] - x * start[:, 1]) / across, 0.0, 1.0)
    part[~np.isfinite(part)] = 0.0
    crossing = start + part[:, None] * step
    np.minimum.at(ranges, bearing, np.hypot(crossing[:, 0], crossing[:, 1]))
