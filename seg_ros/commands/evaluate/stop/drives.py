# SPDX-License-Identifier: Apache-2.0
"""Drives in which people step into the way, and what the stop did, moment by moment.

The vehicle does not obey the stop: it keeps its speed and brakes at the last moment for whoever
truly is in front, so that everybody enters the zone as planned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera, without_pictures
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.zones import CorridorZone, Motion, stopping_distance_m
from seg_ros.core.types import LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.core.vehicle import CAR
from seg_ros.decisions import needs_of_stop
from seg_ros.inference.base import InferenceBackend
from seg_ros.sim import WEATHERS, CrossingEvent, SceneConfig, SimFrame, World, classes
from seg_ros.sim.encounters import SEEN_SHARE, ids_inside, somebody_near
from seg_ros.sim.profile import profile_for
from seg_ros.sim.vehicle import FRONT_M

__all__ = [
    'RATE_HZ',
    'Moment',
    'PlannedDrive',
    'crossing_drives',
    'crowded_drive',
    'last_moment_braking',
    'moments_of',
    'quiet_drives',
    'with_crossings',
]

RATE_HZ = 20.0
EVENTS_PER_DRIVE = 6
SPEEDS_MPS = (5.0, 9.0, 3.0, 11.0, 7.0)
LEAST_DISTANCE_M, GREATEST_DISTANCE_M = 3.0, 30.0
WALKING_MPS = (0.5, 2.5)
LINGERING_SHARE, LINGERING_S = 0.2, 2.0
GREATEST_LEAD_M = 110.0
BETWEEN_EVENTS_M = 5.0
QUIET_SPEED_MPS = 8.0
CROWDED_S = 5.0

EMERGENCY_MPS2 = 6.0
EMERGENCY_ROOM_M = 1.5
EMERGENCY_HALF_WIDTH_M = 1.6


class Moment(NamedTuple):
    """One frame: the truth, and what the stop said.

    Attributes:
        stamp_ns: Of the frame.
        stop: The signal.
        kind: Its reason.
        inside: Ids of the people who truly are in the zone and can be seen.
        is_near: Whether somebody, on foot or on a bicycle, truly is in or about the zone, or on
            the way into it.
        cost_ms: CPU time of the stop.
        in_view: How many people can be seen.
    """

    stamp_ns: int
    stop: bool
    kind: str
    inside: tuple[int, ...]
    is_near: bool
    cost_ms: float
    in_view: int = 0


@dataclass(frozen=True)
class PlannedDrive:
    """A scene, and how far or how long it is driven.

    Attributes:
        scene: With its crossing events.
        events: How many.
        length_m: Along the road.
        limit_s: The drive ends then, wherever the vehicle is.
        every: The camera gives every so many-th frame of ``RATE_HZ``.
        shown: A letter a frame of the camera, again and again: 1 as it is, 0 where the labels lose
            everybody, c where they take everybody on foot for a cyclist.
        anticipates: Whether who is on the way into the zone stops the vehicle, too.
    """

    scene: SceneConfig
    events: int
    length_m: float
    limit_s: float
    every: int = 1
    shown: str = '1'
    anticipates: bool = True


def crossing_drives(
    events: int, config: StopConfig, seed: int, size_wh: tuple[int, int] = (640, 360)
) -> list[PlannedDrive]:
    """Drives with at least so many planned crossings, over every weather and speed."""
    drives: list[PlannedDrive] = []
    while sum(drive.events for drive in drives) < events:
        index = len(drives)
        count = min(EVENTS_PER_DRIVE, events - sum(drive.events for drive in drives))
        generator = np.random.default_rng([seed, index])
        speed = SPEEDS_MPS[(index + index // len(SPEEDS_MPS)) % len(SPEEDS_MPS)]
        scene = SceneConfig(
            seed=seed * 1000 + index,
            size_wh=size_wh,
            rate_hz=RATE_HZ,
            weather=WEATHERS[index % len(WEATHERS)],
            surroundings=('city', 'suburb', 'city')[index % 3],
            max_curvature_per_m=0.006,
            car_density=0.8,
            people_density=0.6,
            crossings_per_km=0.0,
            speed_mps=speed,
            stop_for_people=False,
        )
        drives.append(with_crossings(scene, count, config, generator))
    return drives


def quiet_drives(
    minutes: float, seed: int, size_wh: tuple[int, int] = (640, 360)
) -> list[PlannedDrive]:
    """Drives past people of whom nearly all keep to the pavement, in several weathers."""
    weathers = WEATHERS[: max(1, min(len(WEATHERS), round(2.0 * minutes)))]
    limit_s = 60.0 * minutes / len(weathers)
    return [
        PlannedDrive(
            SceneConfig(
                seed=seed * 1000 + 500 + index,
                size_wh=size_wh,
                rate_hz=RATE_HZ,
                weather=weather,
                surroundings=('city', 'suburb', 'country')[index % 3],
                crossings_per_km=0.0,
                speed_mps=QUIET_SPEED_MPS,
                stop_for_people=False,
            ),
            events=0,
            length_m=math.inf,
            limit_s=limit_s,
        )
        for index, weather in enumerate(weathers)
        if limit_s > 0.0
    ]


def crowded_drive(seed: int, size_wh: tuple[int, int] = (640, 360)) -> PlannedDrive:
    """A drive past so many people that ten and more are in view, to see what they cost."""
    scene = SceneConfig(
        seed=seed * 1000 + 900,
        size_wh=size_wh,
        rate_hz=RATE_HZ,
        surroundings='city',
        people_density=4.0,
        car_density=0.2,
        crossings_per_km=0.0,
        speed_mps=QUIET_SPEED_MPS,
        stop_for_people=False,
    )
    return PlannedDrive(scene, events=0, length_m=math.inf, limit_s=CROWDED_S)


def moments_of(
    drive: PlannedDrive,
    config: StopConfig,
    backend: InferenceBackend,
    make_world: Callable[[SceneConfig], World],
) -> Iterator[Moment]:
    """Drives, and yields what happened frame by frame.

    The vehicle knows what the node knows: its calibration, its odometry, and the lane that it
    finds in the labels.

    Args:
        drive: What is driven.
        config: Of the stop; all else is as the node has it.
        backend: Makes the labels.
        make_world: Makes the world of a scene.
    """
    world = make_world(drive.scene)
    if not drive.anticipates:
        config = replace(config, anticipate_s=0.0)
    node_config = NodeConfig(stop=config)
    if isinstance(backend, ExactLabels):
        node_config = without_pictures(node_config)
    camera = EvaluatedCamera(backend, node_config, Camera(world.camera, world.mount))
    wanted = needs_of_stop(config)
    yaw_rad = world.ego.yaw_rad
    number = 0
    while world.ego.road_s_m < drive.length_m and world.stamp_ns < drive.limit_s * NS_PER_S:
        frame = world.render()
        ego = frame.ego
        turn = math.remainder(ego.yaw_rad - yaw_rad, math.tau)
        yaw_rad = ego.yaw_rad
        camera.moved(Motion(frame.stamp_ns, ego.speed_mps, turn * RATE_HZ))
        if number % drive.every == 0:
            letter = drive.shown[number // drive.every % len(drive.shown)]
            labels = _as_shown(frame.labels, letter)
            perceived = camera.process(frame.image, frame.stamp_ns, wanted, exact=labels)
            decision = perceived.decisions.stop
            assert decision is not None
        number += 1
        yield Moment(
            stamp_ns=frame.stamp_ns,
            stop=decision.stop,
            kind=decision.kind,
            inside=ids_inside(frame, config),
            is_near=somebody_near(frame, config),
            cost_ms=perceived.timer.stages_ms['stop'],
            in_view=sum(person.visible_share >= SEEN_SHARE for person in frame.people),
        )
        world.step(1.0 / RATE_HZ, acceleration_mps2=last_moment_braking(frame))


def with_crossings(
    scene: SceneConfig,
    count: int,
    config: StopConfig,
    generator: np.random.Generator,
    walking_mps: tuple[float, float] = WALKING_MPS,
) -> PlannedDrive:
    """Returns a drive with people who cross, each in front of the corridor's end.

    They leave the kerb so early that they reach the corridor as far away as planned.

    Args:
        scene: The road.
        count: How many cross.
        config: Whose corridor it is.
        generator: Draws where from, how fast and how far away.
        walking_mps: The slowest and the fastest.
    """
    profile = profile_for(scene)
    lane_d_m = profile.lane_centre_m(profile.lanes_per_direction - 1)
    speed = scene.speed_mps
    reach_m = stopping_distance_m(speed, config) - CAR.front_m
    braking_m = speed * speed / (2.0 * EMERGENCY_MPS2) + EMERGENCY_ROOM_M
    nearest_m = min(max(LEAST_DISTANCE_M, braking_m), GREATEST_DISTANCE_M)
    furthest_m = max(nearest_m, min(reach_m - 0.3, GREATEST_DISTANCE_M))
    events: list[CrossingEvent] = []
    at_m = 5.0
    for _ in range(count):
        from_left = bool(generator.random() < 0.5)
        kerb_m = profile.side(1 if from_left else -1).asphalt_m + 0.2
        way_m = abs((kerb_m if from_left else -kerb_m) - lane_d_m) - config.corridor_half_width_m
        walking = float(generator.uniform(*walking_mps))
        walking = max(walking, way_m * speed / GREATEST_LEAD_M)
        distance_m = float(generator.uniform(nearest_m, furthest_m))
        trigger_m = FRONT_M + distance_m + speed * way_m / walking
        at_m += trigger_m + BETWEEN_EVENTS_M
        lingers = bool(generator.random() < LINGERING_SHARE)
        events.append(
            CrossingEvent(
                at_m=at_m,
                trigger_distance_m=trigger_m,
                speed_mps=walking,
                from_left=from_left,
                stops_in_lane_s=LINGERING_S if lingers else 0.0,
            )
        )
    length_m = at_m + FRONT_M + BETWEEN_EVENTS_M
    return PlannedDrive(
        replace(scene, crossing_events=tuple(events)),
        events=count,
        length_m=length_m,
        limit_s=20.0 * count + 2.0 * length_m / speed,
    )


def _as_shown(labels: LabelImage, letter: str) -> LabelImage:
    """The labels of a network that loses everybody in a frame (they are road), or takes riders."""
    if letter == '1':
        return labels
    is_on_foot = labels == classes.PEDESTRIAN
    if letter == 'c':
        return np.where(is_on_foot, np.uint8(classes.CYCLIST), labels)
    return np.where(is_on_foot | (labels == classes.CYCLIST), np.uint8(classes.ROAD), labels)


def last_moment_braking(frame: SimFrame) -> float | None:
    """Returns full braking before somebody is hit; None leaves the driving to the driver."""
    speed = frame.ego.speed_mps
    room_m = speed * speed / (2.0 * EMERGENCY_MPS2) + EMERGENCY_ROOM_M
    zone = CorridorZone(frame.lane_centre, EMERGENCY_HALF_WIDTH_M, FRONT_M + room_m)
    for person in (*frame.people, *frame.cyclists):
        if person.x_m > 0.0 and zone.contains(np.array([[person.x_m, person.y_m]]))[0]:
            return -EMERGENCY_MPS2
    return None
