# SPDX-License-Identifier: Apache-2.0
"""Obstacles and free space of one camera as navigation stacks read them.

While the ground is unknown or the picture cannot be believed nothing is published, so that the
consumers' timeouts tell; an empty cloud says that the way is clear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.decisions import FrameDecisions
from seg_ros.messages.conversions import fill_image
from seg_ros.messages.reused import fill
from seg_ros.messages.types import (
    Header,
    Image,
    LaserScan,
    OccupancyGrid,
    PointCloud2,
    PointField,
)

__all__ = [
    'autoware_mask',
    'costmap_confidence',
    'costmap_mask',
    'costmap_points',
    'drivable_message',
    'instances_message',
    'obstacles_message',
    'scan_message',
]


OBSTACLE_POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('label', '<u4')])
XYZ_POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4')])
DATATYPES = {'<f4': PointField.FLOAT32, '<u4': PointField.UINT32}


def obstacles_message() -> Callable[[Header, FrameDecisions], PointCloud2 | None]:
    """Returns what says where things stand, raised so that height filters keep them."""
    cloud = cloud_of(OBSTACLE_POINT, is_dense=True)

    def make(header: Header, decisions: FrameDecisions) -> PointCloud2 | None:
        navigation = decisions.navigation
        if navigation is None or navigation.obstacles is None:
            return None
        found = navigation.obstacles
        points = np.zeros(len(found.points), OBSTACLE_POINT)
        points['x'], points['y'] = found.points.T
        points['z'] = navigation.obstacle_height_m
        points['label'] = found.class_ids
        return fill_cloud(cloud, header, points, (1, len(points)))

    return make


def scan_message() -> Callable[[Header, FrameDecisions], LaserScan | None]:
    """Returns what says how far the ground is free along each bearing (REP 117)."""
    message = LaserScan()

    def make(header: Header, decisions: FrameDecisions) -> LaserScan | None:
        if decisions.navigation is None or decisions.navigation.scan is None:
            return None
        scan = decisions.navigation.scan
        message.header = header
        message.angle_min = scan.angle_min_rad
        message.angle_max = scan.angle_min_rad + scan.increment_rad * (scan.ranges_m.size - 1)
        message.angle_increment = scan.increment_rad
        message.range_min, message.range_max = scan.range_min_m, scan.range_max_m
        fill(message, 'ranges', 'f', scan.ranges_m)
        return message

    return make


def drivable_message() -> Callable[[Header, FrameDecisions], OccupancyGrid | None]:
    """Returns what shows the ground from above: 0 free, 100 not, -1 unknown."""
    message = OccupancyGrid()

    def make(header: Header, decisions: FrameDecisions) -> OccupancyGrid | None:
        if decisions.navigation is None or decisions.navigation.drivable is None:
            return None
        grid = decisions.navigation.drivable
        message.header, info = header, message.info
        info.map_load_time = header.stamp
        info.resolution = grid.resolution_m
        info.height, info.width = grid.cells.shape
        info.origin.position.x, info.origin.position.y = grid.origin_m
        fill(message, 'data', 'b', grid.cells)
        return message

    return make


def costmap_mask() -> Callable[[Header, FrameDecisions], Image | None]:
    """Returns what gives the small label image, packed."""
    message = Image()

    def make(header: Header, decisions: FrameDecisions) -> Image | None:
        if decisions.navigation is None or decisions.navigation.costmap is None:
            return None
        return fill_image(message, header, decisions.navigation.costmap.mask, 'mono8')

    return make


def costmap_confidence() -> Callable[[Header, FrameDecisions], Image | None]:
    """Returns what says how sure each pixel of the small label image is, packed."""
    message = Image()

    def make(header: Header, decisions: FrameDecisions) -> Image | None:
        if decisions.navigation is None or decisions.navigation.costmap is None:
            return None
        return fill_image(message, header, decisions.navigation.costmap.confidence, 'mono8')

    return make


def costmap_points() -> Callable[[Header, FrameDecisions], PointCloud2 | None]:
    """Returns what gives the ground point of each pixel of the small label image, or NaN."""
    cloud = cloud_of(XYZ_POINT, is_dense=False)

    def make(header: Header, decisions: FrameDecisions) -> PointCloud2 | None:
        if decisions.navigation is None or decisions.navigation.costmap is None:
            return None
        points = decisions.navigation.costmap.points
        return fill_cloud(cloud, header, points.view(XYZ_POINT), points.shape[:2])

    return make


def autoware_mask() -> Callable[[Header, FrameDecisions], Image | None]:
    """Returns what gives the labels in Autoware's ids and runs, which it calls mono8."""
    message = Image(encoding='mono8')

    def make(header: Header, decisions: FrameDecisions) -> Image | None:
        if decisions.autoware is None:
            return None
        message.header = header
        message.width, message.height = decisions.autoware.size_wh
        message.step = message.width
        fill(message, 'data', 'B', np.frombuffer(decisions.autoware.runs, np.uint8))
        return message

    return make


def instances_message() -> Callable[[Header, FrameDecisions], Image | None]:
    """Returns what gives class and number of every pixel: ``class id * 1000 + number``."""
    message = Image()

    def make(header: Header, decisions: FrameDecisions) -> Image | None:
        if decisions.instances is None:
            return None
        pixels = decisions.instances.image.astype('<u2', copy=False)
        return fill_image(message, header, pixels, '16UC1')

    return make


def cloud_of(point: np.dtype[np.void], *, is_dense: bool) -> PointCloud2:
    """Returns a cloud of a structured type, still without points."""
    fields: Mapping[str, Any] = point.fields or {}
    return PointCloud2(
        fields=[
            PointField(name=name, offset=row[1], datatype=DATATYPES[row[0].str], count=1)
            for name, row in fields.items()
        ],
        is_bigendian=False,
        point_step=point.itemsize,
        is_dense=is_dense,
    )


def fill_cloud(
    cloud: PointCloud2, header: Header, points: NDArray[np.void], shape_hw: tuple[int, ...]
) -> PointCloud2:
    """Writes points to a cloud of their type, and returns it."""
    cloud.header = header
    cloud.height, cloud.width = shape_hw
    cloud.row_step = cloud.point_step * cloud.width
    fill(cloud, 'data', 'B', points)
    return cloud
