# SPDX-License-Identifier: Apache-2.0
"""Obstacles and free space of one camera as navigation stacks read them.

While the ground is unknown or the picture cannot be believed nothing is published, so that the
consumers' timeouts tell; an empty cloud says that the way is clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.decisions import FrameDecisions
from seg_ros.messages.conversions import image_message
from seg_ros.messages.types import (
    Header,
    Image,
    LaserScan,
    MapMetaData,
    OccupancyGrid,
    Point,
    PointCloud2,
    PointField,
    Pose,
    packed,
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


def obstacles_message(header: Header, decisions: FrameDecisions) -> PointCloud2 | None:
    """Returns where things stand on the ground, raised so that height filters keep them."""
    navigation = decisions.navigation
    if navigation is None or navigation.obstacles is None:
        return None
    found = navigation.obstacles
    points = np.zeros(len(found.points), OBSTACLE_POINT)
    points['x'], points['y'] = found.points.T
    points['z'] = navigation.obstacle_height_m
    points['label'] = found.class_ids
    return cloud_message(header, points, (1, len(points)), is_dense=True)


def scan_message(header: Header, decisions: FrameDecisions) -> LaserScan | None:
    """Returns how far the ground is free along each bearing (REP 117)."""
    if decisions.navigation is None or decisions.navigation.scan is None:
        return None
    scan = decisions.navigation.scan
    return LaserScan(
        header=header,
        angle_min=scan.angle_min_rad,
        angle_max=scan.angle_min_rad + scan.increment_rad * (scan.ranges_m.size - 1),
        angle_increment=scan.increment_rad,
        range_min=scan.range_min_m,
        range_max=scan.range_max_m,
        ranges=packed('f', scan.ranges_m),
    )


def drivable_message(header: Header, decisions: FrameDecisions) -> OccupancyGrid | None:
    """Returns the ground from above: 0 free, 100 not, -1 unknown."""
    if decisions.navigation is None or decisions.navigation.drivable is None:
        return None
    grid = decisions.navigation.drivable
    height, width = grid.cells.shape
    x, y = grid.origin_m
    info = MapMetaData(
        map_load_time=header.stamp,
        resolution=grid.resolution_m,
        width=width,
        height=height,
        origin=Pose(position=Point(x=x, y=y, z=0.0)),
    )
    return OccupancyGrid(header=header, info=info, data=packed('b', grid.cells))


def costmap_mask(header: Header, decisions: FrameDecisions) -> Image | None:
    """Returns the small label image, packed."""
    if decisions.navigation is None or decisions.navigation.costmap is None:
        return None
    return image_message(header, decisions.navigation.costmap.mask, 'mono8')


def costmap_confidence(header: Header, decisions: FrameDecisions) -> Image | None:
    """Returns how sure each pixel of the small label image is, packed."""
    if decisions.navigation is None or decisions.navigation.costmap is None:
        return None
    return image_message(header, decisions.navigation.costmap.confidence, 'mono8')


def costmap_points(header: Header, decisions: FrameDecisions) -> PointCloud2 | None:
    """Returns the ground point of each pixel of the small label image, NaN where it has none."""
    if decisions.navigation is None or decisions.navigation.costmap is None:
        return None
    points = decisions.navigation.costmap.points
    return cloud_message(header, points.view(XYZ_POINT), points.shape[:2], is_dense=False)


def autoware_mask(header: Header, decisions: FrameDecisions) -> Image | None:
    """Returns the labels in Autoware's ids and runs, which it calls mono8."""
    if decisions.autoware is None:
        return None
    width, height = decisions.autoware.size_wh
    return Image(
        header=header,
        height=height,
        width=width,
        encoding='mono8',
        step=width,
        data=packed('B', np.frombuffer(decisions.autoware.runs, np.uint8)),
    )


def instances_message(header: Header, decisions: FrameDecisions) -> Image | None:
    """Returns class and number of every pixel: ``class id * 1000 + number``."""
    if decisions.instances is None:
        return None
    pixels = decisions.instances.image.astype('<u2', copy=False)
    return image_message(header, pixels, '16UC1')


def cloud_message(
    header: Header, points: NDArray[np.void], shape_hw: tuple[int, ...], *, is_dense: bool
) -> PointCloud2:
    """Returns points of a structured type as a cloud."""
    height, width = shape_hw
    fields: Mapping[str, Any] = points.dtype.fields or {}
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=[
            PointField(name=name, offset=row[1], datatype=DATATYPES[row[0].str], count=1)
            for name, row in fields.items()
        ],
        is_bigendian=False,
        point_step=points.dtype.itemsize,
        row_step=points.dtype.itemsize * width,
        data=packed('B', points),
        is_dense=is_dense,
    )
