# SPDX-License-Identifier: Apache-2.0
"""The lane as paths, as a pose of the vehicle in it, and as a status."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.lane.track import LaneTrack, Placement
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.conversions import stamp_ns_of, stamp_text, turn
from seg_ros.messages.reused import Pool, ReusedStatus
from seg_ros.messages.types import (
    Bool,
    DiagnosticStatus,
    Header,
    Path,
    PoseStamped,
    PoseWithCovarianceStamped,
)

__all__ = [
    'LookUpAt',
    'departure_message',
    'lane_path',
    'lane_pose',
    'lane_status',
    'placed_lane',
]

LookUpAt = Callable[[str, str, int], Any]
"""``look_up(frame, base_frame, stamp_ns)``: a TransformStamped; raises where there is none."""


def lane_path(line: str) -> Callable[[Header, FrameDecisions], Path | None]:
    """Returns what makes the path of ``centre``, ``left`` or ``right``."""
    path, pool = Path(), Pool(PoseStamped)

    def make(header: Header, decisions: FrameDecisions) -> Path | None:
        lane = decisions.lane
        if lane is None or not lane.valid:  # never an empty path for "no lane"
            return None
        points, height_m = lane.points(line=line), 0.0
        if lane.placement is not None:
            points, height_m = lane.placement.placed(points), lane.placement.z_m
            header = Header(stamp=header.stamp, frame_id=lane.placement.frame_id)
        poses = pool.first(len(points))
        for stamped, (x, y, yaw) in zip(poses, points.tolist(), strict=True):
            stamped.header = header
            position = stamped.pose.position
            position.x, position.y, position.z = x, y, height_m
            turn(stamped.pose.orientation, yaw)
        path.header, path.poses = header, poses
        return path

    return make


def lane_pose() -> Callable[[Header, FrameDecisions], PoseWithCovarianceStamped | None]:
    """Returns what makes the pose of the vehicle in the lane: y is its offset, yaw its heading."""
    message = PoseWithCovarianceStamped()
    covariance: NDArray[np.float64] = np.zeros((6, 6))

    def make(header: Header, decisions: FrameDecisions) -> PoseWithCovarianceStamped | None:
        lane = decisions.lane
        if lane is None or not lane.valid:
            return None
        message.header = header
        message.pose.pose.position.y = lane.offset_m
        turn(message.pose.pose.orientation, lane.heading_rad)
        covariance[np.ix_((1, 5), (1, 5))] = lane.covariance
        message.pose.covariance = covariance.reshape(-1)
        return message

    return make


def lane_status() -> Callable[[Header, FrameDecisions], DiagnosticStatus | None]:
    """Returns what tells whether the lane may be followed, and why or why not."""
    status = ReusedStatus()

    def make(header: Header, decisions: FrameDecisions) -> DiagnosticStatus | None:
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
        level = DiagnosticStatus.OK if lane.valid else DiagnosticStatus.WARN
        return status.filled(level, f'lane track, {header.frame_id}', lane.reason, values)

    return make


def departure_message(_header: Header, decisions: FrameDecisions) -> Bool | None:
    """Returns whether the vehicle is about to cross a line; nothing where that is not known."""
    lane = decisions.lane
    if lane is None or lane.departure is None:
        return None
    return Bool(data=bool(lane.departure))


def placed_lane(lane: LaneTrack, frame: str, base_frame: str, look_up: LookUpAt) -> LaneTrack:
    """Returns the lane with its place in the frame, or an invalid one with the reason.

    Args:
        lane: At the stamp of its image.
        frame: Where its paths are wanted.
        base_frame: Of the vehicle.
        look_up: Finds transforms.
    """
    try:
        transform = look_up(frame, base_frame, lane.stamp_ns).transform
    except Exception as error:  # tf2 raises several kinds without a common root
        reason = f'no transform from {base_frame} to {frame} at the stamp of the image: {error}'
        return replace(lane, valid=False, reason=reason, departure=None)
    t, q = transform.translation, transform.rotation
    yaw_rad = math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))
    return replace(lane, placement=Placement(frame, t.x, t.y, t.z, yaw_rad))
