# SPDX-License-Identifier: Apache-2.0
"""Zone, people and lane of one camera, as RViz and Foxglove draw them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.lane.track import LaneTrack
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.reused import Pool
from seg_ros.messages.types import ColorRGBA, Header, Marker, MarkerArray, Point

__all__ = ['markers_message']

PERSON_WIDTH_M, PERSON_HEIGHT_M = 0.5, 1.75  # a cylinder about an adult, for the eye alone
LINE_WIDTH_M = 0.1  # of a lane marking
MARKER_LIFETIME_NS = 500_000_000  # at 5 frames a second nothing flickers; then it is old
ZONE_COLOUR, PERSON_COLOUR = (1.0, 0.6, 0.0, 0.8), (0.9, 0.1, 0.1, 0.9)  # red, green, blue, alpha
LANE_COLOUR = (0.1, 0.8, 0.3, 0.9)
LINES = ('left', 'centre', 'right')  # of the lane


def markers_message() -> Callable[[Header, FrameDecisions], MarkerArray]:
    """Returns what draws zone, people and lane."""
    message = MarkerArray()
    zone = Line('zone', 0, ZONE_COLOUR)
    lines = [Line('lane', number, LANE_COLOUR) for number in range(len(LINES))]
    cylinders = Pool(new_cylinder)

    def make(header: Header, decisions: FrameDecisions) -> MarkerArray:
        markers = []
        if decisions.zone is not None:
            outline = decisions.zone.outline()
            markers.append(zone.through(np.vstack([outline, outline[:1]])))
        people = decisions.people if decisions.is_judged else ()
        confirmed = [person for person in people if person.is_confirmed]
        for marker, person in zip(cylinders.first(len(confirmed)), confirmed, strict=True):
            marker.id = person.id
            marker.pose.position.x, marker.pose.position.y = person.x_m, person.y_m
            markers.append(marker)
        lane: LaneTrack | None = decisions.lane
        if lane is not None and lane.valid:
            markers.extend(
                line.through(lane.points(line=name)[:, :2])
                for line, name in zip(lines, LINES, strict=True)
            )
        for marker in markers:
            marker.header = header
        message.markers = markers
        return message

    return make


class Line:
    """A marker of a line on the ground, which is the same one again and again.

    Args:
        name: What it is a line of.
        number: Which one.
        rgba: Red, green, blue, alpha.
    """

    def __init__(self, name: str, number: int, rgba: tuple[float, float, float, float]) -> None:
        self._marker = new_marker(name, Marker.LINE_STRIP, rgba)
        self._marker.id, self._marker.scale.x = number, LINE_WIDTH_M
        self._points = Pool(Point)

    def through(self, points: NDArray[np.float64]) -> Marker:
        """Returns it through ``(N, 2)`` points."""
        corners = self._points.first(len(points))
        for corner, (x, y) in zip(corners, points.tolist(), strict=True):
            corner.x, corner.y = x, y
        self._marker.points = corners
        return self._marker


def new_cylinder() -> Marker:
    """Returns the marker of somebody, without a place."""
    marker = new_marker('people', Marker.CYLINDER, PERSON_COLOUR)
    marker.pose.position.z = 0.5 * PERSON_HEIGHT_M
    marker.scale.x = marker.scale.y = PERSON_WIDTH_M
    marker.scale.z = PERSON_HEIGHT_M
    return marker


def new_marker(name: str, kind: int, rgba: tuple[float, float, float, float]) -> Marker:
    """Returns a marker with everything that stays as it is."""
    marker = Marker(ns=name, type=kind)
    r, g, b, a = rgba
    marker.color = ColorRGBA(r=r, g=g, b=b, a=a)
    marker.lifetime.nanosec = MARKER_LIFETIME_NS
    return marker
