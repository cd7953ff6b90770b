# SPDX-License-Identifier: Apache-2.0
"""What Nav2's plugins do with our messages, re-enacted check by check from their sources.

Where a plugin drops, skips or refuses, so does its class here. The transform from the base frame
to the costmap's frame is a rotation, a shift, and a millimetre of height, as TF has it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, LaserScan, PointCloud2, PointField

from test.paths import REPOSITORY

CONFIG = REPOSITORY / 'config/nav2'

SENSOR_DATA_50 = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=50,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)

Cell = tuple[int, int]


def parameters(file: str, *path: str) -> dict[str, Any]:
    """Returns the parameters of a file of config/nav2, below a path of names."""
    values = yaml.safe_load((CONFIG / file).read_text())
    for name in path:
        values = values[name]
    return dict(values)


def stamp_s(message: Any) -> float:
    stamp = message.header.stamp
    return float(stamp.sec + stamp.nanosec * 1e-9)


def floats(cloud: PointCloud2, name: str) -> NDArray[np.float32]:
    """Returns a field as PointCloud2ConstIterator<float> reads it: by name, offset and step."""
    (row,) = (row for row in cloud.fields if row.name == name)
    assert row.datatype == PointField.FLOAT32
    assert not cloud.is_bigendian
    assert len(cloud.data) == cloud.height * cloud.width * cloud.point_step
    count = cloud.height * cloud.width
    rows = np.frombuffer(cloud.data, np.uint8).reshape(count, cloud.point_step)
    bytes_of = np.ascontiguousarray(rows[:, row.offset : row.offset + 4])
    return bytes_of.view('<f4').reshape(count)


def xyz_of(cloud: PointCloud2) -> NDArray[np.float64]:
    return np.column_stack([floats(cloud, name) for name in 'xyz']).astype(np.float64)


@dataclass(frozen=True)
class Tf:
    """From the base frame to the costmap's; anything but the base frame is refused."""

    x: float = 12.3
    y: float = -4.5
    z: float = -0.001
    yaw: float = 0.6

    def transform(self, points: NDArray[np.float64], frame_id: str) -> NDArray[np.float64]:
        assert frame_id == 'base_link'
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        return np.asarray(points @ rotation.T + (self.x, self.y, self.z))

    def back(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Costmap x and y in the base frame."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return np.asarray((points - (self.x, self.y)) @ np.array([[c, -s], [s, c]]))


@dataclass
class CollisionMonitor:
    """nav2_collision_monitor: pointcloud.cpp, source.cpp, collision_monitor_node.cpp.

    Attributes:
        values: ros__parameters of the node.
        ignores_stale: Humble and Iron go on without a source that is stale; others stop.
        cloud: The newest message.
    """

    values: dict[str, Any]
    ignores_stale: bool
    cloud: PointCloud2 | None = None

    def on_cloud(self, cloud: PointCloud2) -> None:
        self.cloud = cloud

    def action(self, now_s: float) -> str:
        """Returns what is done with a velocity that comes now: stop, slowdown or go."""
        points = self._points(now_s)
        if points is None:
            if not self.ignores_stale and self.values['source_timeout'] != 0.0:
                return 'stop'
            points = np.zeros((0, 2))
        for name in self.values['polygons']:
            zone = self.values[name]
            # Humble acts on more than max_points, later ones on min_points or more
            least = zone['max_points'] + 1 if 'max_points' in zone else zone['min_points']
            if _inside(_corners(zone['points']), points).sum() >= least:
                return str(zone['action_type'])
        return 'go'

    def _points(self, now_s: float) -> NDArray[np.float64] | None:
        if self.cloud is None:
            return None
        timeout_s = self.values['source_timeout']
        if timeout_s != 0.0 and now_s - stamp_s(self.cloud) > timeout_s:
            return None
        source = self.values[self.values['observation_sources'][0]]
        assert source['type'] == 'pointcloud'
        points = xyz_of(self.cloud)
        assert self.cloud.header.frame_id == self.values['base_frame_id']
        kept = (points[:, 2] >= source['min_height']) & (points[:, 2] <= source['max_height'])
        return np.asarray(points[kept, :2])


def _corners(points: str | list[float]) -> NDArray[np.float64]:
    values = yaml.safe_load(points) if isinstance(points, str) else points
    return np.asarray(values, dtype=np.float64).reshape(-1, 2)


def _inside(corners: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    x, y = points.T[:, :, None]
    x0, y0 = corners.T
    x1, y1 = np.roll(corners, -1, axis=0).T
    spans = (y0 > y) != (y1 > y)
    with np.errstate(divide='ignore', invalid='ignore'):
        crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    return np.asarray((spans & (x < crossing)).sum(axis=1) % 2 == 1)


@dataclass
class ControllerServer:
    """nav2_controller: speedLimitCallback, and setSpeedLimit of its controllers.

    Attributes:
        full_mps: Greatest speed of the controller.
        limit_mps: As it was set last; there is no timeout.
    """

    full_mps: float
    limit_mps: float = 0.0

    def __post_init__(self) -> None:
        self.limit_mps = self.full_mps

    def on_speed_limit(self, message: Any) -> None:
        if message.speed_limit == 0.0:  # NO_SPEED_LIMIT of filter_values.hpp
            self.limit_mps = self.full_mps
        elif message.percentage:
            self.limit_mps = self.full_mps * message.speed_limit / 100.0
        else:
            self.limit_mps = message.speed_limit


@dataclass
class ObstacleLayer:
    """nav2_costmap_2d: obstacle_layer.cpp, observation_buffer.cpp; raytracing by steps.

    Attributes:
        values: Parameters of the layer.
        resolution_m: Of the costmap.
        tf: From the base frame to the costmap's.
        cells: 254 lethal, 0 free; a cell that is not there was never seen.
    """

    values: dict[str, Any]
    resolution_m: float
    tf: Tf = field(default_factory=Tf)
    cells: dict[Cell, int] = field(default_factory=dict)
    updated_s: dict[str, float] = field(default_factory=dict)

    def on_scan(self, name: str, scan: LaserScan, now_s: float) -> None:
        source = self.values[name]
        assert source['data_type'] == 'LaserScan'
        ranges = np.asarray(scan.ranges, dtype=np.float32)
        if source['inf_is_valid']:  # laserScanValidInfCallback
            ranges = np.where(~np.isfinite(ranges) & (ranges > 0), scan.range_max - 1e-4, ranges)
        count = math.ceil((scan.angle_max - scan.angle_min) / scan.angle_increment - 1e-3) + 1
        assert len(ranges) == count  # or laser_geometry goes wrong
        # laser_geometry::projectLaser
        good = (ranges < scan.range_max) & (ranges >= scan.range_min)
        angles = scan.angle_min + scan.angle_increment * np.arange(ranges.size)
        flat = np.column_stack([np.cos(angles) * ranges, np.sin(angles) * ranges, 0.0 * angles])
        self._buffer(name, flat[good], scan.header.frame_id, now_s)

    def on_cloud(self, name: str, cloud: PointCloud2, now_s: float) -> None:
        assert self.values[name]['data_type'] == 'PointCloud2'
        self._buffer(name, xyz_of(cloud), cloud.header.frame_id, now_s)

    def is_current(self, now_s: float) -> bool:
        """Returns false when a source is late: the controller then waits, and fails."""
        return all(
            now_s - self.updated_s.get(name, 0.0) <= self.values[name]['expected_update_rate']
            for name in self.values['observation_sources'].split()
            if self.values[name]['expected_update_rate'] > 0.0
        )

    def marks(self) -> NDArray[np.float64]:
        """Returns ``(N, 2)`` centres of the lethal cells, base frame."""
        cells = np.array([cell for cell, cost in self.cells.items() if cost == 254], dtype=float)
        centres = (cells.reshape(-1, 2) + 0.5) * self.resolution_m
        return self.tf.back(centres)

    def cost_at(self, x_m: float, y_m: float) -> int | None:
        """Returns the cost of the cell of a place of the base frame, None if never seen."""
        point = self.tf.transform(np.array([[x_m, y_m, 0.0]]), 'base_link')[0, :2]
        return self.cells.get(self._cell(point))

    def _buffer(self, name: str, points: NDArray[np.float64], frame_id: str, now_s: float) -> None:
        source = self.values[name]
        self.updated_s[name] = now_s
        points = self.tf.transform(points, frame_id)
        with np.errstate(invalid='ignore'):  # observation_buffer.cpp: NaN fails both
            kept = (points[:, 2] <= source['max_obstacle_height']) & (
                points[:, 2] >= source['min_obstacle_height']
            )
        points = points[kept]
        origin = self.tf.transform(np.zeros((1, 3)), 'base_link')[0]
        if source['clearing']:
            for point in points:
                self._clear(origin[:2], point[:2], source)
        if source['marking']:
            for point in points:
                low, high = self.values['min_obstacle_height'], self.values['max_obstacle_height']
                near = np.linalg.norm(point - origin) < source['obstacle_max_range']
                if near and low <= point[2] <= high:
                    self.cells[self._cell(point)] = 254

    def _clear(
        self, origin: NDArray[np.float64], end: NDArray[np.float64], source: dict[str, Any]
    ) -> None:
        length = float(np.hypot(*(end - origin)))
        start = source['raytrace_min_range']
        steps = np.arange(start, min(length, source['raytrace_max_range']), self.resolution_m)
        for point in origin + (steps / max(length, 1e-9))[:, None] * (end - origin):
            self.cells[self._cell(point)] = 0

    def _cell(self, point: NDArray[np.float64]) -> Cell:
        return int(point[0] // self.resolution_m), int(point[1] // self.resolution_m)


@dataclass
class SemanticLayer:
    """semantic_segmentation_layer: segmentation_buffer.cpp and its synchroniser.

    Attributes:
        values: Parameters of the layer.
        resolution_m: Of the costmap.
        class_ids: Of the LabelInfo, by name; until it came every mask is dropped.
        tf: From the base frame to the costmap's.
        tiles: Class and confidence of the observations of each tile.
        dropped: Masks that were not taken.
    """

    values: dict[str, Any]
    resolution_m: float
    class_ids: dict[str, int]
    tf: Tf = field(default_factory=Tf)
    tiles: dict[Cell, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    dropped: int = 0

    def critical_errors(self) -> set[str]:
        """Returns the classes of the LabelInfo that the parameters lack."""
        return set(self.class_ids) - set(self._costs())

    def on_images(self, mask: Image, confidence: Image | None, cloud: PointCloud2) -> None:
        together = [mask, cloud] if confidence is None else [mask, confidence, cloud]
        stamps = [stamp_s(row) for row in together]
        assert max(stamps) - min(stamps) <= 0.1  # approximate; exact wants 0
        if mask.width * mask.height != cloud.width * cloud.height or not self.class_ids:
            self.dropped += 1
            return
        # Not checked by the layer, which reads on behind the end
        assert confidence is None or len(confidence.data) >= mask.width * mask.height
        source = self.values[self.values['observation_sources']]
        costs = {self.class_ids[name]: row for name, row in self._costs().items()
                 if name in self.class_ids}  # fmt: skip
        points = self.tf.transform(xyz_of(cloud), cloud.header.frame_id)
        origin = self.tf.transform(np.zeros((1, 3)), cloud.header.frame_id)[0]
        best: dict[Cell, int] = {}
        for v in range(mask.height):
            for u in range(mask.width):
                at = v * mask.width + u  # step is ignored
                if not np.isfinite(points[at, 2]):
                    continue
                squared = float(((points[at] - origin) ** 2).sum())
                if not (
                    source['min_obstacle_distance'] ** 2
                    < squared
                    < source['max_obstacle_distance'] ** 2
                ):
                    continue
                tile = (
                    int(points[at, 0] // self.resolution_m),
                    int(points[at, 1] // self.resolution_m),
                )
                if tile not in best or self._wins(mask, confidence, costs, at, best[tile]):
                    best[tile] = at
        for tile, at in best.items():
            class_id = mask.data[at]
            if class_id not in costs:
                continue
            if costs[class_id]['dominant_priority']:
                self.tiles[tile].clear()
            sure = 255 if confidence is None else confidence.data[at]
            self.tiles[tile].append((class_id, sure))

    def _wins(
        self,
        mask: Image,
        confidence: Image | None,
        costs: dict[int, dict[str, Any]],
        one: int,
        other: int,
    ) -> bool:
        source = self.values[self.values['observation_sources']]
        if source['use_cost_selection']:
            first, second = (costs.get(mask.data[at], {'max_cost': 0}) for at in (one, other))
            return bool(first['max_cost'] > second['max_cost'])
        return confidence is not None and confidence.data[one] > confidence.data[other]

    def costs(self) -> Iterator[tuple[NDArray[np.float64], int, int]]:
        """Yields centre (base frame), class and cost of every tile."""
        named = self._costs()
        rows = {number: named[name] for name, number in self.class_ids.items() if name in named}
        for tile, observations in self.tiles.items():
            ids = [class_id for class_id, _ in observations]
            dominant = max(set(ids), key=ids.count)
            sure = [value for class_id, value in observations if class_id == dominant]
            row = rows[dominant]
            enough = len(sure) >= row['samples_to_max_cost']
            is_max = enough and float(np.mean(sure)) > row['mark_confidence']  # strict
            centre = (np.array(tile, dtype=float) + 0.5) * self.resolution_m
            yield (
                self.tf.back(centre[None])[0],
                dominant,
                row['max_cost' if is_max else 'base_cost'],
            )

    def _costs(self) -> dict[str, dict[str, Any]]:
        source = self.values[self.values['observation_sources']]
        return {
            name: source[kind]
            for kind in source['class_types']
            for name in source[kind]['classes']
        }
