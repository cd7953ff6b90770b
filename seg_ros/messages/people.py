# SPDX-License-Identifier: Apache-2.0
"""The people of one camera: their places, boxes in the picture, boxes on the ground.

The boxes are vision_msgs, the same from Humble on (vision_msgs 4). A detection and
``~/label_info`` name a class by the same number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from seg_ros.core.navigation.detections import Detection
from seg_ros.core.stop.tracking import TrackedPerson
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.conversions import turn
from seg_ros.messages.reused import Pool
from seg_ros.messages.types import (
    Header,
    Pose,
    PoseArray,
    message_type,
)

__all__ = ['boxes_message', 'people_message', 'places_message']


def people_message() -> Callable[[Header, FrameDecisions], PoseArray | None]:
    """Returns what says where the people stand; the pose looks where they walk.

    Nothing while the frame could not be judged: no old places under a new stamp, and no empty
    array, which says that nobody is there.
    """
    message, pool = PoseArray(), Pool(Pose)

    def make(header: Header, decisions: FrameDecisions) -> PoseArray | None:
        if not decisions.is_judged:
            return None
        people = [person for person in decisions.people if person.is_confirmed]
        poses = pool.first(len(people))
        for pose, person in zip(poses, people, strict=True):
            pose.position.x, pose.position.y = person.x_m, person.y_m
            turn(pose.orientation, math.atan2(person.vy_mps, person.vx_mps))
        message.header, message.poses = header, poses
        return message

    return make


def boxes_message() -> Callable[[Header, FrameDecisions], Any]:
    """Returns what shows everybody who is seen as a box in the camera's image."""
    message, pool = vision_type('Detection2DArray')(), Pool(partial(new_detection, 'Detection2D'))

    def make(header: Header, decisions: FrameDecisions) -> Any:
        if decisions.detections is None:
            return None
        boxes = pool.first(len(decisions.detections))
        for box, row in zip(boxes, decisions.detections, strict=True):
            fill_box(box, header, row)
        message.header, message.detections = header, boxes
        return message

    return make


def places_message() -> Callable[[Header, FrameDecisions], Any]:
    """Returns what shows everybody whose place is known as an upright box on the ground.

    While the ground is unknown nothing is returned: an empty message says that nobody is there.
    """
    message, pool = vision_type('Detection3DArray')(), Pool(partial(new_detection, 'Detection3D'))

    def make(header: Header, decisions: FrameDecisions) -> Any:
        if decisions.detections is None or decisions.zone is None:
            return None
        placed = [
            (row, row.person)
            for row in decisions.detections
            if row.person is not None and math.isfinite(row.height_m)
        ]
        places = pool.first(len(placed))
        for place, (row, person) in zip(places, placed, strict=True):
            fill_place(place, header, row, person)
        message.header, message.detections = header, places
        return message

    return make


def new_detection(kind: str) -> Any:
    """Returns a detection with room for one hypothesis."""
    return vision_type(kind)(results=[vision_type('ObjectHypothesisWithPose')()])


def fill_box(box: Any, header: Header, row: Detection) -> None:
    """Writes to a vision_msgs/Detection2D."""
    x0, y0, x1, y1 = row.box
    centre = box.bbox.center.position
    centre.x, centre.y = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
    box.bbox.size_x, box.bbox.size_y = x1 - x0, y1 - y0
    box.header, box.id = header, '' if row.person is None else str(row.person.id)
    fill_hypothesis(box, row)


def fill_place(place: Any, header: Header, row: Detection, person: TrackedPerson) -> None:
    """Writes to a vision_msgs/Detection3D; the pose of its hypothesis is where it stands."""
    foot, middle, size = place.results[0].pose, place.bbox.center.position, place.bbox.size
    foot.pose.position.x, foot.pose.position.y = person.x_m, person.y_m
    foot.covariance = covariance_of(person)
    middle.x, middle.y, middle.z = person.x_m, person.y_m, 0.5 * row.height_m
    # Nobody sees how deep a person is
    size.x, size.y, size.z = row.width_m, row.width_m, row.height_m
    place.header, place.id = header, str(person.id)
    fill_hypothesis(place, row)


def fill_hypothesis(detection: Any, row: Detection) -> None:
    hypothesis = detection.results[0].hypothesis
    hypothesis.class_id, hypothesis.score = str(row.class_id), row.score


def covariance_of(person: TrackedPerson) -> Any:
    """Returns the 36 numbers of a pose: x and y as they were measured, the rest unknown (0)."""
    sight = np.array([person.x_m, person.y_m]) / max(person.distance_m, 1e-6)
    along, across = person.seen.sigma_along_m**2, person.seen.sigma_across_m**2
    covariance = np.zeros((6, 6))
    covariance[:2, :2] = across * np.eye(2) + (along - across) * np.outer(sight, sight)
    return covariance.ravel()


def vision_type(kind: str) -> Any:
    return message_type(f'vision_msgs/msg/{kind}')
