# SPDX-License-Identifier: Apache-2.0
"""Pictures to calibrate with, and the lens that they were taken with."""

from __future__ import annotations

import argparse
import logging
import math
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seg_ros.commands.calibrate.exif import focal_length_px
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.camera_info import calibration_of, camera_info_topic, is_rectified
from seg_ros.messages.conversions import frame_from_message
from seg_ros.recordings.opening import open_recording
from seg_ros.recordings.recorded_camera import RecordedCamera
from seg_ros.recordings.recording import Recording
from seg_ros.replay.job import read_lens
from seg_ros.replay.roles import roles_of

__all__ = ['Lens', 'Pictures', 'pictures_of']

LOGGER = logging.getLogger(__name__)

ASSUMED_FOV_DEG = 60.0  # across, of a lens that nobody knows: between a telephone and a webcam
EXIF_BYTES = 128 << 10
PAIR_M = 1.2  # between two pictures whose dashes are compared: less than half of a dash
TOPIC = re.compile(r'(?:/[A-Za-z_]\w*)+', re.ASCII)  # a full name, as ROS allows it
PHOTOGRAPHS = ('.jpg', '.jpeg')


class Lens(NamedTuple):
    """A lens, and where that is known from.

    Attributes:
        intrinsics: Of pictures of this size.
        source: For people.
        is_known: Whether its focal length is; else it is assumed.
    """

    intrinsics: CameraIntrinsics
    source: str
    is_known: bool = True


class Pictures(NamedTuple):
    """What a mounting is found from.

    Attributes:
        name: What they are, for people.
        images: All of one size, in order.
        lens: That they were taken with.
        way_m: How far the vehicle had gone when each was taken; none where nobody says.
    """

    name: str
    images: Sequence[RgbImage]
    lens: Lens
    way_m: Sequence[float] = ()


def pictures_of(arguments: argparse.Namespace, progress: Progress) -> Pictures:
    """Returns the pictures that were asked for.

    Raises:
        ConfigurationError: There are none, or they are not of one camera.
    """
    path = Path(arguments.what)
    way_m: Sequence[float] = ()
    if path.exists():
        name, images, lens, way_m = _recorded(path, arguments)
    elif TOPIC.fullmatch(arguments.what):
        name, images, lens = _live(arguments.what, arguments, progress)
    else:
        raise ConfigurationError(
            f'{arguments.what} is neither a file nor a folder, nor the name of a topic (which '
            'begins with / and has no dots). Name a video, a folder of images, a bag, or the '
            'image topic of a camera.'
        )
    if not images:
        raise ConfigurationError(f'{arguments.what} gave no picture.')
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        raise ConfigurationError(
            f'The pictures of {arguments.what} have {len(sizes)} sizes. Give those of one camera.'
        )
    ((height, width),) = sizes
    return Pictures(name, images, _lens((width, height), arguments, lens), way_m)


def _lens(size_wh: tuple[int, int], arguments: argparse.Namespace, found: Lens | None) -> Lens:
    """What the user says comes first, then what came with the pictures."""
    if arguments.camera is not None:
        lens = read_lens(arguments.camera).intrinsics(size_wh)
        return Lens(lens, f'from {arguments.camera}')
    if arguments.fov is not None:
        lens = CameraIntrinsics.from_field_of_view(size_wh, math.radians(arguments.fov))
        return Lens(lens, f'from --fov {arguments.fov:g}')
    if found is not None:
        return found
    lens = CameraIntrinsics.from_field_of_view(size_wh, math.radians(ASSUMED_FOV_DEG))
    return Lens(lens, f'unknown, {ASSUMED_FOV_DEG:g} degrees across are assumed', is_known=False)


def _recorded(
    path: Path, arguments: argparse.Namespace
) -> tuple[str, list[RgbImage], Lens | None, list[float]]:
    recording = open_recording(path)
    camera = RecordedCamera(recording, arguments.topic)
    told = len(recording.trouble)
    count = recording.topics[camera.topic].message_count
    roles = roles_of(recording, NodeConfig(), [camera.topic], arguments.odometry, ())
    odometry = next((name for name, role in roles.others.items() if role == 'odometry'), '')
    lens = None
    if camera.camera is not None:
        lens = Lens(camera.camera, f'from the CameraInfo beside {camera.topic}')
    is_asked_for = arguments.camera is not None or arguments.fov is not None
    way_m: list[float] = []
    if odometry and lens is None and not is_asked_for:
        every = math.ceil(2 * count / arguments.pictures)
        pairs = list(_pairs(recording, camera.topic, odometry, every))
        images, way_m = [row.image for row in pairs], [row.way_m for row in pairs]
    else:
        every = math.ceil(count / arguments.pictures)
        images = [np.ascontiguousarray(image) for image in _every(recording, camera.topic, every)]
    for sentence in recording.trouble[told:]:
        LOGGER.warning('%s', sentence)
    return camera.name, images, lens or _photographed(path, images), way_m


class PictureOnTheWay(NamedTuple):
    """A picture, and how far the vehicle had gone by then."""

    image: RgbImage
    way_m: float


def _pairs(
    recording: Recording, topic: str, odometry: str, every: int
) -> Iterator[PictureOnTheWay]:
    """Yields each n-th picture, and after it the first from ``PAIR_M`` further on."""
    way_m, speed_mps, told_ns = 0.0, 0.0, 0
    number, first_m = 0, math.inf
    for message in recording.messages([topic, odometry]):
        now_m = way_m + abs(speed_mps) * (message.recorded_ns - told_ns) / NS_PER_S
        try:
            if message.topic == odometry:
                way_m, told_ns = now_m, message.recorded_ns
                speed_mps = float(recording.read(message).twist.twist.linear.x)
                continue
            is_second = now_m - first_m >= PAIR_M
            if is_second or (number % every == 0 and math.isinf(first_m)):
                yield PictureOnTheWay(np.ascontiguousarray(recording.picture(message)), now_m)
                first_m = math.inf if is_second else now_m
            number += 1
        except FrameError as error:
            recording.tell(f'{recording.place(message)} is skipped: {error}')


def _every(recording: Recording, topic: str, every: int) -> Iterator[RgbImage]:
    for index, message in enumerate(recording.messages([topic])):
        if index % every == 0:
            try:
                yield recording.picture(message)
            except FrameError as error:
                recording.tell(f'{recording.place(message)} is skipped: {error}')


def _photographed(path: Path, images: Sequence[RgbImage]) -> Lens | None:
    """What the first photograph of a folder says of its lens."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        if images and file.suffix.lower() in PHOTOGRAPHS:
            height, width = images[0].shape[:2]
            with file.open('rb') as data:
                focal_px = focal_length_px(data.read(EXIF_BYTES), (width, height))
            if focal_px is None:
                return None
            fov_rad = 2.0 * math.atan(0.5 * width / focal_px)
            lens = CameraIntrinsics.from_field_of_view((width, height), fov_rad)
            return Lens(lens, f'from the Exif of {file.name}')
    return None


def _live(
    topic: str, arguments: argparse.Namespace, progress: Progress
) -> tuple[str, list[RgbImage], Lens | None]:
    """Listens to a camera on the graph until there are enough pictures, or the time is over."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import CameraInfo

    from seg_ros.ros.camera_input import CameraInput
    from seg_ros.ros.middleware import prepare_process

    prepare_process()
    rclpy.init()
    images: list[RgbImage] = []
    infos: list[Any] = []
    kept_s = 0.0
    period_s = arguments.seconds / arguments.pictures

    def keep(_camera: str, message: Any, _missed: int) -> None:
        nonlocal kept_s
        if time.monotonic() - kept_s >= period_s:
            kept_s = time.monotonic()
            images.append(np.ascontiguousarray(frame_from_message(message, 'camera').image.rgb()))

    try:
        node = rclpy.create_node('calibrate', start_parameter_services=False)
        config = NodeConfig()
        camera = CameraInput(node, 'camera', topic, config, keep)
        node.create_subscription(
            CameraInfo, camera_info_topic(topic), infos.append, qos_profile_sensor_data
        )
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        end_s = time.monotonic() + arguments.seconds
        while time.monotonic() < end_s and len(images) < arguments.pictures:
            executor.spin_once(timeout_sec=0.1)
            camera.watch(config.silence_warn_s)
            left_s = max(0.0, end_s - time.monotonic())
            progress.show(f'{topic}: {len(images)} pictures, {left_s:.0f} s to go')
        camera.destroy()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    if not images:
        raise ConfigurationError(
            f'{topic}: no picture came within {arguments.seconds:g} s. Start the camera, or name '
            'another topic (ros2 topic list -t, or seg_ros doctor).'
        )
    lens = None
    if infos and (calibration := calibration_of(infos[-1])).is_calibrated:
        height, width = images[0].shape[:2]
        rectified = is_rectified(topic)
        lens = Lens(
            calibration.intrinsics((width, height), is_rectified=rectified),
            f'from the CameraInfo on {camera_info_topic(topic)}',
        )
    return topic, images, lens
