# SPDX-License-Identifier: Apache-2.0
"""What one instant of a drive gives: the picture and everything that is true of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['EgoState', 'Person', 'SimFrame']

Path = NDArray[np.float64]
"""``(N, 2)`` metres, base frame."""


@dataclass(frozen=True)
class EgoState:
    """The vehicle in the world frame.

    The base frame's origin is the point of the ground below the middle of the rear axle.

    Attributes:
        x_m: Base origin.
        y_m: Base origin.
        yaw_rad: Of the base frame.
        speed_mps: Forward.
        steering_rad: Of the front wheels, positive turns left.
        road_s_m: Distance along the road.
    """

    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    steering_rad: float
    road_s_m: float


@dataclass(frozen=True)
class Person:
    """Somebody on foot (or, in ``SimFrame.cyclists``, on a bicycle).

    Attributes:
        id: Stays the same from frame to frame.
        x_m: Ground point between the feet, base frame, forward.
        y_m: The same, left.
        vx_mps: Velocity over ground along the base frame's x axis; the vehicle's own motion is
            not in it.
        vy_mps: The same along y.
        height_m: From the ground to the top of the head.
        surface: ``road`` or ``pavement`` (whatever is beside the road).
        visible_share: Share of the figure's pixels that nothing hides; what lies outside of the
            image is hidden. 0 when nothing of it is seen.
        bbox: ``(x0, y0, x1, y1)`` pixels, the last row and column excluded, of the whole figure
            cut at the image border, hidden parts included. None outside of the image and
            wholly behind a building.
    """

    id: int
    x_m: float
    y_m: float
    vx_mps: float
    vy_mps: float
    height_m: float
    surface: str
    visible_share: float
    bbox: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class SimFrame:
    """One frame. The arrays are the caller's own.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        labels: ``(H, W)`` uint8 class ids (``seg_ros.sim.classes``): the surface that the centre
            of the pixel sees, not anti-aliased. Grass and fields are ``tree`` (vegetation, as in
            CamVid); zebra stripes are ``road``, so that ``lane_marking`` means a line along a
            lane; a railing counts as ``fence`` with the gaps between its bars.
        codes: The same, with a number of its own for everybody: from ``FIRST_PERSON_CODE`` on each
            person on foot, from ``FIRST_CYCLIST_CODE`` on each cyclist.
        stamp_ns: Simulated time, 0 at the start.
        ego: The vehicle.
        lane_centre: Middle of the lane that the vehicle is in, every 0.5 m from the vehicle to
            40 m ahead along the road, base frame.
        lane_left: Middle of the lane's left line, the same way.
        lane_right: Middle of the lane's right line.
        lane_width_m: Between the two lines.
        lane_offset_m: Base origin in the lane, positive is left of its middle.
        heading_error_rad: Base frame against the lane, positive points left.
        people: Everybody on foot near the vehicle, seen or not.
        cyclists: Everybody on a bicycle near the vehicle, seen or not.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    stamp_ns: int
    ego: EgoState
    lane_centre: Path
    lane_left: Path
    lane_right: Path
    lane_width_m: float
    lane_offset_m: float
    heading_error_rad: float
    people: tuple[Person, ...]
    cyclists: tuple[Person, ...]
