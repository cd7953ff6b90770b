# SPDX-License-Identifier: Apache-2.0
"""Ground points of image columns: road coordinates are smooth, so some columns stand for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera

__all__ = ['Float32Image', 'column_nodes', 'interpolation', 'within_reach']

Float32Image = NDArray[np.float32]


def column_nodes(width: int, step: int) -> NDArray[np.int64]:
    """``(K,)``: every ``step``-th column of an image, and the last one."""
    return np.asarray(np.unique(np.append(np.arange(0, width, step), width - 1)))


def interpolation(nodes: NDArray[np.int64], width: int) -> Float32Image:
    """``(K, width)``: values at some columns times this are the values at all columns."""
    columns = np.arange(width)
    unit = np.eye(len(nodes))
    return np.array([np.interp(columns, nodes, row) for row in unit], dtype=np.float32)


def within_reach(
    points: NDArray[np.float64], camera: Camera, reach_m: float
) -> NDArray[np.float64]:
    """Ground points, those further than ``reach_m`` drawn in along their ray; none missing."""
    below = np.array([camera.mount.x, camera.mount.y])
    offset = np.where(np.isfinite(points), points - below, [reach_m, 0.0])
    distance = np.hypot(offset[..., 0], offset[..., 1])
    return np.asarray(below + offset * np.minimum(1.0, reach_m / distance)[..., None])
