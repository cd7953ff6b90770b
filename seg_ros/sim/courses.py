# SPDX-License-Identifier: Apache-2.0
"""A course for the closed loop: kilometres of random road in legs, people cross on each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from seg_ros.core.stop.config import StopConfig
from seg_ros.sim.config import DEFAULT_MOUNT, CrossingEvent, SceneConfig, random_scene
from seg_ros.sim.profile import profile_for
from seg_ros.sim.vehicle import FRONT_M

__all__ = ['LEG_M', 'RATE_HZ', 'STOP', 'Leg', 'course']

LEG_M = 500.0
RATE_HZ = 20.0
SPEED_MPS = 8.0
TIGHTEST_PER_M = 1.0 / 60.0
FIELD_OF_VIEW_DEG = 62.0
USUAL_DENSITY = 1.0
# Where the vehicle can just still stop for somebody at 8 m/s, its rear will pass there 3 s later:
# who steps in until then is in its way. By the default of 1.0 s it would stop beside people who
# step in from the side, and they would walk into it.
STOP = StopConfig(anticipate_s=3.0)

FIRST_CROSSING_M, BETWEEN_CROSSINGS_M = 60.0, (70.0, 150.0)
WALKING_MPS = (0.9, 1.8)
MEETS_AT_M = (12.0, 20.0)  # from the bumper to the person on stepping into the vehicle's way
HALF_WAY_M = 1.5  # half the width of the vehicle's way
GREATEST_LEAD_M = 100.0
LINGERING_SHARE, LINGERING_S = 0.2, 2.0


@dataclass(frozen=True)
class Leg:
    """A part of a course, with a road and a weather of its own.

    Attributes:
        number: From 0.
        length_m: How far it is driven.
        scene: What it looks like, and who crosses.
    """

    number: int
    length_m: float
    scene: SceneConfig


def course(km: float, seed: int, size_wh: tuple[int, int] = (640, 360)) -> list[Leg]:
    """Returns the legs of a course; the same arguments give the same one.

    Roads, weathers, traffic and people are those of ``random_scene``, of people not more than
    usual, or the vehicle would stand most of the time; camera, speed and tightest bend are the
    same everywhere. There are no cyclists: they ride on the edge line at half of the vehicle's
    speed, and no driver of ours overtakes.
    """
    legs: list[Leg] = []
    left_m = 1000.0 * km
    while left_m > 1e-6:
        length_m = min(left_m, LEG_M)
        legs.append(Leg(len(legs), length_m, _scene(length_m, [seed, len(legs)], size_wh)))
        left_m -= length_m
    return legs


def _scene(length_m: float, seed: list[int], size_wh: tuple[int, int]) -> SceneConfig:
    generator = np.random.default_rng([*seed, 4711])
    drawn = random_scene(int(generator.integers(1 << 31)), size_wh)
    scene = replace(
        drawn,
        rate_hz=RATE_HZ,
        mount=DEFAULT_MOUNT,
        horizontal_fov_deg=FIELD_OF_VIEW_DEG,
        speed_mps=SPEED_MPS,
        max_curvature_per_m=min(drawn.max_curvature_per_m, TIGHTEST_PER_M),
        people_density=min(drawn.people_density, USUAL_DENSITY),
        cyclist_density=0.0,
        lane_wander_m=0.0,
        stop_for_people=False,
    )
    return replace(scene, crossing_events=tuple(_crossings(scene, length_m, generator)))


def _crossings(
    scene: SceneConfig, length_m: float, generator: np.random.Generator
) -> list[CrossingEvent]:
    """People who step into the vehicle's way while it can still stop."""
    profile = profile_for(scene)
    lane_d_m = profile.lane_centre_m(profile.lanes_per_direction - 1)
    events: list[CrossingEvent] = []
    at_m = FIRST_CROSSING_M
    while at_m < length_m:
        from_left = bool(generator.random() < 0.5)
        sign = 1 if from_left else -1
        kerb_d_m = sign * (profile.side(sign).asphalt_m + 0.2)
        way_m = abs(kerb_d_m - lane_d_m) - HALF_WAY_M
        lead_m = FRONT_M + float(generator.uniform(*MEETS_AT_M))
        walking = float(generator.uniform(*WALKING_MPS))
        walking = max(walking, way_m * SPEED_MPS / (GREATEST_LEAD_M - lead_m))
        lingers = bool(generator.random() < LINGERING_SHARE)
        events.append(
            CrossingEvent(
                at_m=at_m,
                trigger_distance_m=lead_m + SPEED_MPS * way_m / walking,
                speed_mps=walking,
                from_left=from_left,
                stops_in_lane_s=LINGERING_S if lingers else 0.0,
            )
        )
        at_m += float(generator.uniform(*BETWEEN_CROSSINGS_M))
    return events
