# SPDX-License-Identifier: Apache-2.0
"""Zone, people and lane of one camera, as RViz and Foxglove draw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.lane.track import LaneTrack
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.types import ColorRGBA, Header, Marker, MarkerArray, Point

__all__ = ['markers_message']

PERSON_WIDTH_M, PERSON_HEIGHT_M = 0.5, 1.75  # a cylinder about an adult, for the eye alone
LINE_WIDTH_M = 0.1  # of a lane marking
MARKER_LIFETIME_NS = 500_000_000  # at 5 frames a second nothing flickers; then it is old
ZONE_COLOUR, PERSON_COLOUR = (1.0, 0.6, 0.0, 0.8), (0.9, 0.1, 0.1, 0.9)  # red, green, blue, alpha
LANE_COLOUR = (0.1, 0.8, 0.3, 0.9)


def markers_message(header: Header, decisions: FrameDecisions) -> MarkerArray:
    """Returns zone, people and lane as RViz and Foxglove draw them."""
    markers = []
    if decisions.zone is not None:
        outline = decisions.zone.outline()
        markers.append(line_marker(header, 'zone', 0, np.vstack([outline, outline[:1]])))
        markers[-1].color = colour(ZONE_COLOUR)
    for person in decisions.people if decisions.is_judged else ():
        if person.is_confirmed:
            marker = Marker(header=header, ns='people', id=person.id, type=Marker.CYLINDER)
            marker.pose.position = Point(x=person.x_m, y=person.y_m, z=0.5 * PERSON_HEIGHT_M)
            marker.scale.x = marker.scale.y = PERSON_WIDTH_M
            marker.scale.z = PERSON_HEIGHT_M
            marker.color = colour(PERSON_COLOUR)
            markers.append(marker)
    lane: LaneTrack | None = decisions.lane
    if lane is not None and lane.valid:
        for index, line in enumerate(('left', 'centre', 'right')):
            marker = line_marker(header, 'lane', index, lane.points(line=line)[:, :2])
            marker.color = colour(LANE_COLOUR)
            markers.append(marker)
    for marker in markers:
        marker.lifetime.nanosec = MARKER_LIFETIME_NS
    return MarkerArray(markers=markers)


def line_marker(header: Header, name: str, number: int, points: NDArray[np.float64]) -> Marker:
    """Returns a line on the ground through ``(N, 2)`` points."""
    marker = Marker(header=header, ns=name, id=number, type=Marker.LINE_STRIP)
    marker.scale.x = LINE_WIDTH_M
    marker.points = [Point(x=x, y=y, z=0.0) for x, y in points.tolist()]
    return marker


def colour(rgba: tuple[float, float, float, float]) -> ColorRGBA:
    r, g, b, a = rgba
    return ColorRGBA(r=r, g=g, b=b, a=a)
