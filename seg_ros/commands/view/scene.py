# SPDX-License-Identifier: Apache-2.0
"""Scenes: what was heard of a camera, as JSON for the page; shapes as shares and as metres."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.decision import Cause, StopKind

__all__ = ['Heard', 'scene_of', 'stop_of']

SILENCE_S = 0.6  # ten heartbeats, and three looks at the graph: then no consumer may go on
OLD_S = 1.5  # a picture or lane that is older is not shown as if it were of now
EDGE_M = 0.25  # between two points of an edge that is drawn in the picture
PERSON_M = 0.5, 1.75  # about an adult, for the eye alone
IMAGE_ZONE = 'image zone'  # what the status calls a zone in the picture
MOST_OBSTACLES = 400
FREE, BLOCKED = 0, 100
# BGRA; the page lays it over its own ground
GRID_COLOURS = {FREE: (102, 176, 92, 84), BLOCKED: (70, 70, 214, 66)}

Points = NDArray[np.float64]


@dataclass
class Heard:
    """The newest message of each topic, and when it was heard.

    Attributes:
        messages: By topic below the node or camera.
        at_s: When each was heard, by a monotonic clock.
    """

    messages: dict[str, Any] = field(default_factory=dict)
    at_s: dict[str, float] = field(default_factory=dict)

    def take(self, topic: str, message: Any, now_s: float) -> None:
        self.messages[topic], self.at_s[topic] = message, now_s

    def fresh(self, topic: str, now_s: float, within_s: float) -> Any:
        """Returns the newest message; None where none came within that time."""
        is_fresh = now_s - self.at_s.get(topic, -math.inf) <= within_s
        return self.messages[topic] if is_fresh else None


def scene_of(
    heard: Heard, camera: Camera | None, config: NodeConfig | None, now_s: float
) -> dict[str, Any]:
    """Returns what the page shows beside the picture.

    Args:
        heard: Of the node and of one camera.
        camera: Its lens and place; None while they are unknown.
        config: Parameters of the node; None until it has told them.
        now_s: By the clock of ``heard``.
    """
    stop = stop_of(heard, now_s)
    markers = heard.fresh('markers', now_s, OLD_S)
    zone, lanes, people = ground_shapes(markers.markers if markers is not None else ())
    polygon: Sequence[float] = ()
    if config is not None and (stop['zone'] == IMAGE_ZONE or config.stop.zone == 'image'):
        polygon = config.stop.image_polygon
    picture: dict[str, Any] = {'zone': corners_of(polygon), 'lanes': [], 'people': []}
    if camera is not None:
        if not picture['zone']:
            picture['zone'] = _drawn(camera, _closed(zone))
        picture['lanes'] = [_drawn(camera, line) for line in lanes]
        picture['people'] = [row for row in (_box(camera, at) for at in people) if row]
    mask = config.stop.ego_mask if config is not None and len(config.stop.ego_mask) > 2 else ()
    picture['ego_mask'] = corners_of(mask)
    return {
        'stop': stop,
        'picture': picture,
        'ground': {
            'zone': _rounded(zone),
            'lanes': [_rounded(line) for line in lanes],
            'people': _rounded(people[:, 1:]),
            'obstacles': _rounded(_obstacles(heard.fresh('obstacles', now_s, OLD_S))),
            'grid': _grid(heard.fresh('drivable', now_s, OLD_S)),
            'known': camera is not None,
        },
        'lane': _lane(heard.fresh('lane_track/status', now_s, OLD_S)),
        'diagnostics': _diagnostics(heard.messages.get('diagnostics')),
        'classes': _classes(heard.messages.get('classes')),
    }


def stop_of(heard: Heard, now_s: float) -> dict[str, Any]:
    """Returns what a consumer that takes silence as a stop does now, and why."""
    value = heard.fresh('pedestrian_stop', now_s, SILENCE_S)
    status = heard.fresh('pedestrian_stop/status', now_s, SILENCE_S)
    if value is None:
        heard_s = heard.at_s.get('pedestrian_stop')
        since = (
            'has not been heard yet'
            if heard_s is None
            else f'fell silent {now_s - heard_s:.1f} s ago'
        )
        return {
            'stop': True, 'cause': 'silence', 'kind': '', 'zone': '',
            'reason': f'the stop {since}: whoever drives must take that as a stop',
        }  # fmt: skip
    values = {} if status is None else {row.key: row.value for row in status.values}
    kind = StopKind.named(values.get('kind', 'clear' if not value.data else 'failed'))
    is_stop = bool(value.data) or kind.cause is not Cause.CLEAR
    return {
        'stop': is_stop,
        'cause': kind.cause.value if is_stop == (kind.cause is not Cause.CLEAR) else 'fault',
        'kind': str(kind),
        'reason': kind.meaning if status is None else status.message,
        'zone': values.get('zone', ''),
        'for_s': _number(values.get('for_s')),
        'delay_s': _number(values.get('expected_delay_s')),
        'nearest_m': _number(values.get('nearest.distance_m')),
        'to_zone_s': _number(values.get('nearest.time_to_zone_s')),
    }


def ground_shapes(markers: Sequence[Any]) -> tuple[Points, list[Points], Points]:
    """Returns zone, lines of the lane, and ``(N, 3)`` number, x and y of people."""
    zone, lanes, people = _points(()), [], []
    for row in markers:
        if row.ns == 'zone':
            zone = _points(row.points)[:-1]  # its last point is its first
        elif row.ns == 'lane':
            lanes.append(_points(row.points))
        elif row.ns == 'people':
            people.append((row.id, row.pose.position.x, row.pose.position.y))
    return zone, lanes, np.array(people, np.float64).reshape(-1, 3)


def corners_of(values: Sequence[float]) -> list[tuple[float, float]]:
    """Returns a polygon as pairs."""
    return list(zip(values[::2], values[1::2], strict=True))


def _points(rows: Any) -> Points:
    return np.array([(row.x, row.y) for row in rows], np.float64).reshape(-1, 2)


def _closed(outline: Points) -> Points:
    """An outline with so many points that it may be drawn in the picture of any lens."""
    parts = []
    for at, to in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        steps = max(1, math.ceil(float(np.hypot(*(to - at))) / EDGE_M))
        parts.append(at + np.linspace(0.0, 1.0, steps, endpoint=False)[:, None] * (to - at))
    return np.concatenate(parts) if parts else outline


def _drawn(camera: Camera, points: Points) -> list[list[float]]:
    """Points of the ground as shares of the picture; those behind the camera are left out."""
    pixels, in_front = camera.project(np.column_stack([points, np.zeros(len(points))]))
    lens = camera.intrinsics
    return _rounded((pixels[in_front] + 0.5) / (lens.width, lens.height), 4)


def _box(camera: Camera, person: Points) -> dict[str, Any] | None:
    number, x, y = person.tolist()
    width_m, height_m = PERSON_M
    pixels, in_front = camera.project([[x, y, 0.0], [x, y, height_m], [x, y + width_m, 0.0]])
    if not in_front.all():
        return None
    shares = (pixels + 0.5) / (camera.intrinsics.width, camera.intrinsics.height)
    half = 0.5 * abs(float(shares[2, 0] - shares[0, 0]))
    (u, bottom), (_, top) = shares[:2].tolist()
    return {
        'box': [round(value, 4) for value in (u - half, top, u + half, bottom)],
        'id': int(number),
        'distance_m': round(math.hypot(x, y), 1),
    }


def _obstacles(cloud: Any) -> Points:
    if cloud is None or not cloud.width:
        return _points(())
    rows = np.frombuffer(cloud.data, np.uint8).reshape(-1, cloud.point_step)
    xy = np.ascontiguousarray(rows[:, :8]).view('<f4').astype(np.float64)  # x and y come first
    return np.asarray(xy[:: -(-len(xy) // MOST_OBSTACLES)])


def _grid(grid: Any) -> dict[str, Any] | None:
    """The occupancy grid as a small picture: forward is up, left is left."""
    if grid is None:
        return None
    info = grid.info
    cells = np.frombuffer(grid.data, np.int8).reshape(info.height, info.width)
    table = np.zeros((256, 4), np.uint8)
    for value, colour in GRID_COLOURS.items():
        table[value] = colour
    turned = table[cells.T[::-1, ::-1].view(np.uint8)]
    _, png = cv2.imencode('.png', turned, (cv2.IMWRITE_PNG_COMPRESSION, 1))
    return {
        'png': base64.b64encode(png).decode(),
        'x_m': [info.origin.position.x, info.origin.position.x + info.width * info.resolution],
        'y_m': [info.origin.position.y, info.origin.position.y + info.height * info.resolution],
    }


def _lane(status: Any) -> dict[str, Any] | None:
    if status is None:
        return None
    values = {row.key: row.value for row in status.values}
    numbers = ('width_m', 'offset_m', 'heading_rad', 'curvature_per_m', 'reach_m')
    return {
        'valid': values.get('valid') == 'true',
        'reason': status.message,
        'source': values.get('source', ''),
        **{name: _number(values.get(name)) for name in numbers},
    }


def _diagnostics(message: Any) -> list[dict[str, Any]]:
    return [
        {
            'name': status.name,
            'level': _level(status.level),
            'message': status.message,
            'values': {row.key: row.value for row in status.values},
        }
        for status in (message.status if message is not None else ())
    ]


def _level(level: Any) -> int:
    """ROS has a byte as bytes."""
    return level[0] if isinstance(level, bytes) else int(level)


def _classes(message: Any) -> list[dict[str, Any]]:
    rows: Mapping[str, Any] = json.loads(message.data) if message is not None else {}
    return [
        {'name': row['name'].replace('_', ' '), 'colour': row['colour']}
        for row in rows.get('classes', ())
    ]


def _number(text: str | None) -> float | None:
    """A number that JSON has."""
    try:
        value = float(text or 'nan')
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _rounded(points: Points, digits: int = 2) -> list[list[float]]:
    return np.round(points, digits).tolist()
