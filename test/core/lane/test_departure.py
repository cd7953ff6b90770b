# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import pytest

from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.departure import DepartureWarning
from seg_ros.core.lane.track import Coefficients, LaneTrack
from seg_ros.core.vehicle import CAR
from test.core.lane.scene import Scene, tracker

CONFIG = LaneConfig(departure_s=1.0)  # the vehicle is 1.9 m wide, its front 3.6 m ahead
SPEED_MPS = 8.0


def lane(offset_m: float = 0.0, heading_rad: float = 0.0, bend_per_m: float = 0.0) -> LaneTrack:
    """A lane of 3.5 m as the vehicle at that place sees it."""
    slope = -math.tan(heading_rad)
    lines = [Coefficients(side - offset_m, slope, bend_per_m) for side in (1.75, -1.75)]
    return LaneTrack(
        True, 'test', 'markings', 0, left=lines[0], right=lines[1], start_m=3.6, reach_m=20.0
    )


def warned(
    track: LaneTrack, yaw_rate: float = 0.0, subject: DepartureWarning | None = None
) -> str | None:
    return (subject or DepartureWarning(CONFIG, CAR.half_width_m)).update(
        track, SPEED_MPS, yaw_rate
    )


@pytest.mark.parametrize(('sign', 'side'), [(1.0, 'left'), (-1.0, 'right')])
def test_the_side_is_named_within_the_warning_time(sign: float, side: str) -> None:
    # 0.8 m of room less 3.6 m x 0.05, at 8 m/s x 0.05: 1.55 s; at 0.10: 0.55 s
    assert warned(lane(heading_rad=0.05 * sign)) == ''
    assert warned(lane(heading_rad=0.10 * sign)) == side
    assert warned(lane(offset_m=0.9 * sign)) == side


def test_a_vehicle_that_follows_a_bend_does_not_leave_its_lane() -> None:
    bend_per_m = 1.0 / 60.0
    assert warned(lane(bend_per_m=bend_per_m), yaw_rate=SPEED_MPS * bend_per_m) == ''
    assert warned(lane(0.3, bend_per_m=-2.0 * bend_per_m), yaw_rate=0.0) == 'left'


def test_a_warning_ends_only_when_the_line_is_clearly_out_of_reach() -> None:
    subject = DepartureWarning(CONFIG, CAR.half_width_m)
    assert warned(lane(heading_rad=0.10), subject=subject) == 'left'
    assert warned(lane(heading_rad=0.06), subject=subject) == 'left'  # 1.2 s
    assert warned(lane(heading_rad=0.04), subject=subject) == ''  # 2.0 s
    assert warned(lane(heading_rad=0.06), subject=subject) == ''


def test_a_vehicle_on_the_line_is_warned_until_it_has_room_again() -> None:
    subject = DepartureWarning(CONFIG, CAR.half_width_m)
    assert warned(lane(offset_m=0.85), subject=subject) == 'left'
    assert warned(lane(offset_m=0.75), subject=subject) == 'left'
    assert warned(lane(offset_m=0.65), subject=subject) == ''


@pytest.mark.parametrize(
    ('valid', 'speed_mps', 'yaw_rate'), [(False, 8.0, 0.0), (True, None, 0.0), (True, 8.0, None)]
)
def test_without_a_lane_or_odometry_it_is_not_known(
    valid: bool, speed_mps: float | None, yaw_rate: float | None
) -> None:
    subject = DepartureWarning(CONFIG, CAR.half_width_m)
    track = replace(lane(heading_rad=0.2), valid=valid)
    assert subject.update(track, speed_mps, yaw_rate) is None


def test_the_tracker_judges_departure_only_when_it_is_asked_to() -> None:
    scene = Scene()
    for asked, expected in ((0.0, None), (1.0, '')):
        *_, (_, track) = scene.drive(tracker(departure_s=asked), 6)
        assert track.valid
        assert track.departure == expected
    *_, (_, track) = scene.drive(tracker(departure_s=1.0), 6, offset_m=-0.9)
    assert track.departure == 'right'
    assert track.checked(track.stamp_ns + 10**10, 0.5).departure is None
