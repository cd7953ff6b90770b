"""Everything that is decided about a camera's frames on its topics: one row a topic."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.lane.track import LaneTrack
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.conversions import stamp_ns_of, stamp_text
from seg_ros.messages.decision_output import DecisionOutput
from seg_ros.messages.navigation_outputs import NAVIGATION_OUTPUTS
from seg_ros.messages.types import message_type

__all__ = ['DECISION_OUTPUTS']

Header = message_type('std_msgs/msg/Header')
ColorRGBA = message_type('std_msgs/msg/ColorRGBA')
DiagnosticStatus = message_type('diagnostic_msgs/msg/DiagnosticStatus')
KeyValue = message_type('diagnostic_msgs/msg/KeyValue')
Point = message_type('geometry_msgs/msg/Point')
Pose = message_type('geometry_msgs/msg/Pose')
PoseArray = message_type('geometry_msgs/msg/PoseArray')
PoseStamped = message_type('geometry_msgs/msg/PoseStamped')
PoseWithCovarianceStamped = message_type('geometry_msgs/msg/PoseWithCovarianceStamped')
Quaternion = message_type('geometry_msgs/msg/Quaternion')
Path = message_type('nav_msgs/msg/Path')
Marker = message_type('visualization_msgs/msg/Marker')
MarkerArray = message_type('visualization_msgs/msg/MarkerArray')

PERSON_WIDTH_M, PERSON_HEIGHT_M = 0.5, 1.75
LINE_WIDTH_M = 0.1
MARKER_LIFETIME_NS = 500_000_000
ZONE_COLOUR, PERSON_COLOUR = (1.0, 0.6, 0.0, 0.8), (0.9, 0.1, 0.1, 0.9)
LANE_COLOUR = (0.1, 0.8, 0.3, 0.9)


def people_message(header: Header, decisions: FrameDecisions) -> PoseArray | None:
    """Returns where the people stand; the pose looks where they walk.

    Nothing while the frame could not be judged: no old places under a new stamp, and no empty
    array, which says that nobody is there.
    """
    if not decisions.is_judged:
        return None
    poses = [
        Pose(
            position=Point(x=person.x_m, y=person.y_m, z=0.0),
            orientation=quaternion_of(math.atan2(person.vy_mps, person.vx_mps)),
        )
        for person in decisions.people
        if person.is_confirmed
    ]
    return PoseArray(header=header, poses=poses)


def lane_path(line: str) -> Callable[[Header, FrameDecisions], Path | None]:
    """Returns what makes the path of ``centre``, ``left`` or ``right``."""

    def make(header: Header, decisions: FrameDecisions) -> Path | None:
        lane = decisions.lane
        if lane is None or not lane.valid:  # never an empty path for "no lane"
            return None
        points, height_m = lane.points(line=line), 0.0
        if lane.placement is not None:
            points, height_m = lane.placement.placed(points), lane.placement.z_m
            header = Header(stamp=header.stamp, frame_id=lane.placement.frame_id)
        poses = [
            PoseStamped(
                header=header,
                pose=Pose(position=Point(x=x, y=y, z=height_m), orientation=quaternion_of(yaw)),
            )
            for x, y, yaw in points.tolist()
        ]
        return Path(header=header, poses=poses)

    return make


def lane_pose(header: Header, decisions: FrameDecisions) -> PoseWithCovarianceStamped | None:
    """Returns the vehicle in the lane: y is its offset, yaw its heading error."""
    lane = decisions.lane
    if lane is None or not lane.valid:
        return None
    message = PoseWithCovarianceStamped(header=header)
    message.pose.pose = Pose(
        position=Point(x=0.0, y=lane.offset_m, z=0.0), orientation=quaternion_of(lane.heading_rad)
    )
    covariance: NDArray[np.float64] = np.zeros((6, 6))
    covariance[np.ix_((1, 5), (1, 5))] = lane.covariance
    message.pose.covariance = covariance.reshape(-1)
    return message


def lane_status(header: Header, decisions: FrameDecisions) -> DiagnosticStatus | None:
    """Returns whether the lane may be followed, and why or why not."""
    lane = decisions.lane
    if lane is None:
        return None
    values = {
        'stamp': stamp_text(stamp_ns_of(header)),
        'valid': str(lane.valid).lower(),
        'source': lane.source,
        'width_m': f'{lane.width_m:.2f}',
        'offset_m': f'{lane.offset_m:.3f}',
        'heading_rad': f'{lane.heading_rad:.4f}',
        'curvature_per_m': f'{lane.curvature_per_m:.5f}',
        'reach_m': f'{lane.reach_m:.1f}',
        'age_s': f'{lane.age_s:.2f}',
    }
    if lane.departure is not None:
        values['departure'] = lane.departure or 'none'
    return DiagnosticStatus(
        level=DiagnosticStatus.OK if lane.valid else DiagnosticStatus.WARN,
        name=f'lane track, {header.frame_id}',
        message=lane.reason,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


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


def quaternion_of(yaw: float) -> Quaternion:
    return Quaternion(x=0.0, y=0.0, z=math.sin(0.5 * yaw), w=math.cos(0.5 * yaw))


DECISION_OUTPUTS = (
    DecisionOutput('pedestrians', 'geometry_msgs/msg/PoseArray', ('stop', 'lane'), people_message),
    DecisionOutput('lane_track', 'nav_msgs/msg/Path', ('lane',), lane_path('centre')),
    DecisionOutput('lane_track/left', 'nav_msgs/msg/Path', ('lane',), lane_path('left')),
    DecisionOutput('lane_track/right', 'nav_msgs/msg/Path', ('lane',), lane_path('right')),
    DecisionOutput(
        'lane_track/pose', 'geometry_msgs/msg/PoseWithCovarianceStamped', ('lane',), lane_pose
    ),
    DecisionOutput(
        'lane_track/status', 'diagnostic_msgs/msg/DiagnosticStatus', ('lane',), lane_status
    ),
    DecisionOutput(
        'markers', 'visualization_msgs/msg/MarkerArray', ('stop', 'lane'), markers_message
    ),
    *NAVIGATION_OUTPUTS,
)
