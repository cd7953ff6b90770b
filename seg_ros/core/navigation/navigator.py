# SPDX-License-Identifier: Apache-2.0
"""Navigation outputs: everything that stacks are given of one frame, and nothing unwanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np

from seg_ros.core.geometry.camera import Camera, GroundTable
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.labels import LabelMap
from seg_ros.core.navigation.config import NavigationConfig
from seg_ros.core.navigation.free_space import (
    CostmapImages,
    CostmapTable,
    DrivableGrid,
    FreeGrid,
    FreeScan,
    ScanTable,
)
from seg_ros.core.navigation.obstacles import (
    GroundEdges,
    Obstacles,
    find_blocked,
    find_obstacles,
    kinds_lut,
)
from seg_ros.core.types import ConfidenceImage, LabelImage

__all__ = ['NAVIGATION', 'Navigation', 'Navigator']

NAVIGATION = ('obstacles', 'scan', 'drivable', 'costmap')
"""What a ``Navigator`` can make of a frame."""


@dataclass(frozen=True)
class Navigation:
    """What was made of one frame, None where nobody wanted it.

    Attributes:
        obstacles: What stands on the ground.
        scan: Free space by bearing.
        drivable: The ground from above.
        costmap: The input of a semantic costmap.
        obstacle_height_m: At which the obstacles are published.
    """

    obstacles: Obstacles | None = None
    scan: FreeScan | None = None
    drivable: DrivableGrid | None = None
    costmap: CostmapImages | None = None
    obstacle_height_m: float = 0.0


class Navigator:
    """Makes obstacles and free space of the label images of one calibration.

    Args:
        config: Says what counts, and how far.
        label_map: Its roles say what is ground and what stands on it.
        camera: Lens and mounting.
        table: Its ground table at the size of the label images.
        scale: Made of that table.
    """

    def __init__(
        self,
        config: NavigationConfig,
        label_map: LabelMap,
        camera: Camera,
        table: GroundTable,
        scale: GroundScale,
    ) -> None:
        self._config = config
        self._lut = kinds_lut(label_map, walkable_is_free=config.walkable_is_free)
        self._edges = GroundEdges(table, scale, config)
        self._scan = ScanTable(self._edges, config)
        self._grid = FreeGrid(camera, self._edges.shape_hw, config)
        self._costmap = CostmapTable(self._edges, table, config)
        self._kinds = np.empty(self._edges.shape_hw, np.uint8)

    def update(
        self, labels: LabelImage, confidence: ConfidenceImage | None, wanted: Collection[str]
    ) -> Navigation:
        """Returns what is wanted, out of ``NAVIGATION``.

        Args:
            labels: ``(H, W)`` class ids.
            confidence: ``(H, W)``, or None.
            wanted: Names out of ``NAVIGATION``; others are left to others.
        """
        kinds = cv2.LUT(labels, self._lut, dst=self._kinds)
        found = scan = grid = costmap = None
        if {'obstacles', 'drivable', 'costmap'} & set(wanted):
            found = find_obstacles(labels, kinds, self._edges, self._config)
        if 'scan' in wanted:
            scan = self._scan.scan(find_blocked(labels, kinds, self._edges))
        if 'drivable' in wanted and found is not None:
            grid = self._grid.grid(kinds, found)
        if 'costmap' in wanted and found is not None:
            costmap = self._costmap.images(labels, confidence, kinds, found)
        return Navigation(found, scan, grid, costmap, self._config.obstacle_height_m)
