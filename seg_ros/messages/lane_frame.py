"""The paths of the lane in a frame that does not move with the vehicle, through TF."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from seg_ros.core.lane.track import LaneTrack, Placement

__all__ = ['LookUpAt', 'placed_lane']

LookUpAt = Callable[[str, str, int], Any]
"""``look_up(frame, base_frame, stamp_ns)``: a TransformStamped; raises where there is none."""


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
