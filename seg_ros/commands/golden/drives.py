# SPDX-License-Identifier: Apache-2.0
"""Simulated drives as recordings with their truth: city, country road, night rain; a sample."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from seg_ros.commands.evaluate.stop.drives import last_moment_braking, with_crossings
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.files import write_whole
from seg_ros.messages.camera_info import camera_info_message
from seg_ros.messages.conversions import compressed_message, header_of, image_message
from seg_ros.messages.plain import serialised, typestore
from seg_ros.messages.types import message_type
from seg_ros.recordings.new_bag import named, place_of_unfinished
from seg_ros.replay.output_bag import OutputBag
from seg_ros.replay.parameters import config_of
from seg_ros.sim import SCENARIOS, SceneConfig, World
from seg_ros.sim.classes import CLASS_NAMES, UNLABELLED
from seg_ros.sim.encounters import ids_inside, somebody_near
from seg_ros.sim.frame import SimFrame

__all__ = [
    'GOLDEN_DRIVES',
    'SAMPLE_DRIVE',
    'TRUTH_LABEL',
    'GoldenDrive',
    'Truth',
    'config_for',
    'truth_names',
    'write_drive',
]

Odometry = message_type('nav_msgs/msg/Odometry')

BEGIN_NS = 1_700_000_000_000_000_000
RATE_HZ = 10.0  # a third of a camera's: the drives are replayed in a third of the time
JPEG_QUALITY = 95  # the labels are judged, not the compression
IMAGE, CAMERA_INFO, ODOMETRY = '/camera/image/compressed', '/camera/camera_info', '/odom'
TRUTH_LABEL = '/camera/truth/label'
TOPICS = {
    IMAGE: 'sensor_msgs/msg/CompressedImage',
    CAMERA_INFO: 'sensor_msgs/msg/CameraInfo',
    ODOMETRY: 'nav_msgs/msg/Odometry',
    TRUTH_LABEL: 'sensor_msgs/msg/Image',
}


@dataclass(frozen=True)
class GoldenDrive:
    """A scene and how long it is driven."""

    scene: SceneConfig
    seconds: float


@dataclass(frozen=True)
class Truth:
    """What is true of a frame.

    Attributes:
        stamp_ns: Of the frame.
        is_inside: Whether somebody who can be seen is in the corridor, within stopping distance.
        is_near: Whether anybody is in or about it, or on the way into it.
        offset_m: Of the base origin in the lane, positive is left.
        heading_rad: Of the vehicle against the lane, positive points left.
    """

    stamp_ns: int
    is_inside: bool
    is_near: bool
    offset_m: float
    heading_rad: float


def _crossed(scene: SceneConfig, count: int, seed: int) -> SceneConfig:
    """A scene with people who cross close in front, and a zebra crossing where they do."""
    alone = replace(
        scene, crossings_per_km=0.0, people_density=0.5, car_density=0.5, stop_for_people=False
    )
    generator = np.random.default_rng(seed)
    planned = with_crossings(alone, count, StopConfig(), generator).scene
    zebras = tuple(event.at_m for event in planned.crossing_events)
    return replace(planned, crossings_at_m=zebras, rate_hz=RATE_HZ, seed=seed)


GOLDEN_DRIVES: Mapping[str, GoldenDrive] = {
    'city_crossings': GoldenDrive(_crossed(SCENARIOS['city'], 3, seed=47), seconds=25.0),
    'country_bends': GoldenDrive(
        replace(
            SCENARIOS['country'],
            max_curvature_per_m=0.02,
            speed_mps=9.0,
            rate_hz=RATE_HZ,
            seed=42,
        ),
        seconds=15.0,
    ),
    'night_rain': GoldenDrive(_crossed(SCENARIOS['night_rain'], 2, seed=47), seconds=16.0),
}

SAMPLE_DRIVE = GoldenDrive(_crossed(SCENARIOS['city'], 1, seed=41), seconds=5.0)
"""Short, and somebody crosses in the middle of it: what ``seg_ros sample`` shows."""


def truth_names() -> dict[int, str]:
    """Returns the names of the classes of ``TRUTH_LABEL``."""
    return {key: name for key, name in CLASS_NAMES.items() if key != UNLABELLED}


def config_for(drive: GoldenDrive, engine: str, backend: str) -> NodeConfig:
    """Returns the parameters of a node whose camera is where that of the drive is."""
    places = {
        name: getattr(drive.scene.mount, name) for name in ('x', 'y', 'z', 'roll', 'pitch', 'yaw')
    }
    return config_of(
        None,
        [
            f'engine:={engine}',
            f'backend:={backend}',
            *(f'mount.{name}:=[{float(value)}]' for name, value in places.items()),
        ],
    )


def write_drive(
    folder: Path, drive: GoldenDrive, config: StopConfig, on_frame: Callable[[float], object]
) -> list[Truth]:
    """Drives, and writes ``recording/``, which must not be there yet, and ``truth.json``.

    Args:
        folder: Is made.
        drive: What is driven.
        config: Says how far ahead and how wide the corridor is.
        on_frame: Is told the share that is done.

    Returns:
        The truth of every frame.
    """
    recording = folder / 'recording'
    folder.mkdir(parents=True, exist_ok=True)
    bag = OutputBag(place_of_unfinished(recording))
    for topic, type_name in TOPICS.items():
        bag.add_output(topic, type_name, typestore(), latched=False)
    world = World(drive.scene)
    truths = []
    yaw_rad = world.ego.yaw_rad
    count = round(drive.seconds * drive.scene.rate_hz)
    try:
        for index in range(count):
            frame = world.render()
            stamp_ns = BEGIN_NS + frame.stamp_ns
            turn = math.remainder(frame.ego.yaw_rad - yaw_rad, math.tau) * drive.scene.rate_hz
            yaw_rad = frame.ego.yaw_rad
            for topic, message in _messages(world, frame, stamp_ns, turn):
                bag.write(topic, stamp_ns, serialised(message, TOPICS[topic]))
            truths.append(_truth(frame, stamp_ns, config))
            on_frame((index + 1) / count)
            world.step(1.0 / drive.scene.rate_hz, acceleration_mps2=last_moment_braking(frame))
        bag.close()
    finally:
        bag.abandon()  # where the disk is full
    named(recording)
    write_whole(folder / 'truth.json', json.dumps([asdict(row) for row in truths]))
    return truths


def _messages(
    world: World, frame: SimFrame, stamp_ns: int, yaw_rate_rps: float
) -> Iterator[tuple[str, Any]]:
    header = header_of(stamp_ns, 'camera_optical')
    odometry = Odometry(header=header, child_frame_id='base_link')
    odometry.twist.twist.linear.x = float(frame.ego.speed_mps)
    odometry.twist.twist.angular.z = float(yaw_rate_rps)
    yield ODOMETRY, odometry
    height, width = frame.labels.shape
    info = camera_info_message(world.camera, (width, height))
    info.header = header
    yield CAMERA_INFO, info
    picture = compressed_message(frame.image, JPEG_QUALITY)
    picture.header = header
    yield IMAGE, picture
    yield TRUTH_LABEL, image_message(header, frame.labels, 'mono8')


def _truth(frame: SimFrame, stamp_ns: int, config: StopConfig) -> Truth:
    return Truth(
        stamp_ns,
        bool(ids_inside(frame, config)),
        somebody_near(frame, config),
        round(float(frame.lane_offset_m), 5),
        round(float(frame.heading_error_rad), 6),
    )
