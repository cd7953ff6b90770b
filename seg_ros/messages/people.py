# SPDX-License-Identifier: Apache-2.0
"""The people of one camera: their places, boxes in the picture, boxes on the ground.

The boxes are vision_msgs, the same from Humble on (vision_msgs 4). A detection and
``~/label_info`` name a class by the same number.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from seg_ros.core.navigation.detections import Detection
from seg_ros.core.stop.tracking import TrackedPerson
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.conversions import quaternion_of
from seg_ros.messages.types import (
    Header,
    Point,
    Pose,
    PoseArray,
    PoseWithCovariance,
    Vector3,
    message_type,
)

__all__ = ['boxes_message', 'people_message', 'places_message']


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


def boxes_message(header: Header, decisions: FrameDecisions) -> Any:
    """Returns everybody who is seen as a box in the camera's image."""
    if decisions.detections is None:
        return None
    return vision_type('Detection2DArray')(
        header=header, detections=[box_of(header, row) for row in decisions.detections]
    )


def places_message(header: Header, decisions: FrameDecisions) -> Any:
    """Returns everybody whose place is known as an upright box on the ground.

    While the ground is unknown nothing is returned: an empty message says that nobody is there.
    """
    if decisions.detections is None or decisions.zone is None:
        return None
    placed = [
        place_of(header, row, row.person)
        for row in decisions.detections
        if row.person is not None and math.isfinite(row.height_m)
    ]
    return vision_type('Detection3DArray')(header=header, detections=placed)


def box_of(header: Header, row: Detection) -> Any:
    """Returns a vision_msgs/Detection2D."""
    x0, y0, x1, y1 = row.box
    centre = vision_type('Pose2D')(
        position=vision_type('Point2D')(x=0.5 * (x0 + x1), y=0.5 * (y0 + y1))
    )
    return vision_type('Detection2D')(
        header=header,
        results=[hypothesis_of(row, PoseWithCovariance())],
        bbox=vision_type('BoundingBox2D')(center=centre, size_x=x1 - x0, size_y=y1 - y0),
        id='' if row.person is None else str(row.person.id),
    )


def place_of(header: Header, row: Detection, person: TrackedPerson) -> Any:
    """Returns a vision_msgs/Detection3D; the pose of its hypothesis is where it stands."""
    foot = PoseWithCovariance(pose=Pose(position=Point(x=person.x_m, y=person.y_m, z=0.0)))
    foot.covariance = covariance_of(person)
    middle = Pose(position=Point(x=person.x_m, y=person.y_m, z=0.5 * row.height_m))
    # Nobody sees how deep a person is
    size = Vector3(x=row.width_m, y=row.width_m, z=row.height_m)
    return vision_type('Detection3D')(
        header=header,
        results=[hypothesis_of(row, foot)],
        bbox=vision_type('BoundingBox3D')(center=middle, size=size),
        id=str(person.id),
    )


def hypothesis_of(row: Detection, pose: PoseWithCovariance) -> Any:
    """Returns a vision_msgs/ObjectHypothesisWithPose."""
    hypothesis = vision_type('ObjectHypothesis')(class_id=str(row.class_id), score=row.score)
    return vision_type('ObjectHypothesisWithPose')(hypothesis=hypothesis, pose=pose)


def covariance_of(person: TrackedPerson) -> Any:
    """Returns the 36 numbers of a pose: x and y as they were measured, the rest unknown (0)."""
    sight = np.array([person.x_m, person.y_m]) / max(person.distance_m, 1e-6)
    along, across = person.seen.sigma_along_m**2, person.seen.sigma_across_m**2
    covariance = np.zeros((6, 6))
    covariance[:2, :2] = across * np.eye(2) + (along - across) * np.outer(sight, sight)
    return covariance.ravel()


def vision_type(kind: str) -> Any:
    return message_type(f'vision_msgs/msg/{kind}')
