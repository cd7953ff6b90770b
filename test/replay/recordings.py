# SPDX-License-Identifier: Apache-2.0
"""Drives that the tests of replay record for themselves, without ROS."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.messages.plain import plain_type, serialised, typestore
from seg_ros.recordings.bag import BagRecording
from test.tiny_onnx import COLOURS

SIZE_WH = (128, 64)
LENS = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(70.0))
BEGIN_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
LATE_NS = 20_000_000  # from the stamp of an image to its recording
SKY, ROAD, PERSON = 0, 1, 3
IMAGE, INFO, ODOMETRY, CHATTER = '/camera/image', '/camera/camera_info', '/odom', '/chatter'


class Row(NamedTuple):
    """A message of a bag."""

    topic: str
    recorded_ns: int
    type_name: str
    data: bytes


def picture(number: int = 0, person: bool = False) -> NDArray[np.uint8]:
    """Returns a road under the sky, with the noise of a camera; a person may stand on it."""
    width, height = SIZE_WH
    ids = np.full((height, width), SKY)
    ids[height // 2 :] = ROAD
    if person:
        ids[height // 2 : -8, 58:70] = PERSON
    noise = np.random.default_rng(number).integers(-2, 3, (height, width, 3))
    return np.clip(np.array(COLOURS)[ids] + noise, 0, 255).astype(np.uint8)


def header(stamp_ns: int, frame_id: str = 'camera_optical') -> Any:
    made = plain_type('std_msgs/msg/Header')(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return made


def row(topic: str, recorded_ns: int, type_name: str, **fields: Any) -> Row:
    message = plain_type(type_name)(**fields)
    return Row(topic, recorded_ns, type_name, serialised(message, type_name))


def image_row(recorded_ns: int, rgb: NDArray[np.uint8], topic: str = IMAGE) -> Row:
    height, width = rgb.shape[:2]
    return row(
        topic, recorded_ns, 'sensor_msgs/msg/Image', header=header(recorded_ns - LATE_NS),
        height=height, width=width, encoding='rgb8', step=3 * width, data=rgb.reshape(-1),
    )  # fmt: skip


def info_row(recorded_ns: int) -> Row:
    return row(
        INFO, recorded_ns, 'sensor_msgs/msg/CameraInfo', header=header(recorded_ns - LATE_NS),
        height=SIZE_WH[1], width=SIZE_WH[0], distortion_model='plumb_bob', d=np.zeros(5),
        k=LENS.k.reshape(-1),
    )  # fmt: skip


def odometry_row(recorded_ns: int, speed_mps: float = 2.0) -> Row:
    made = row(ODOMETRY, recorded_ns, 'nav_msgs/msg/Odometry')
    message = plain_type('nav_msgs/msg/Odometry')(header=header(recorded_ns, 'odom'))
    message.twist.twist.linear.x = speed_mps
    return made._replace(data=serialised(message, made.type_name))


def static_transform_row(recorded_ns: int) -> Row:
    """The camera is 1.4 m above the ground, and looks forward: optical frame in base_link."""
    link = plain_type('geometry_msgs/msg/TransformStamped')(
        header=header(recorded_ns, 'base_link'), child_frame_id='camera_optical'
    )
    link.transform.translation.z = 1.4
    q = link.transform.rotation
    q.x, q.y, q.z, q.w = -0.5, 0.5, -0.5, 0.5
    return row('/tf_static', recorded_ns, 'tf2_msgs/msg/TFMessage', transforms=[link])


def drive_rows(images: int, person: Sequence[int] = ()) -> Iterator[Row]:
    """Yields a drive; on the images of these numbers somebody stands on the road."""
    yield static_transform_row(BEGIN_NS)
    yield row(CHATTER, BEGIN_NS, 'std_msgs/msg/String', data='it begins')
    for number in range(images):
        at_ns = BEGIN_NS + number * PERIOD_NS
        yield info_row(at_ns)
        yield odometry_row(at_ns)
        yield image_row(at_ns, picture(number, number in person))
        yield odometry_row(at_ns + PERIOD_NS // 2)


def write_bag(
    path: Path,
    rows: Iterable[Row],
    plugin: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    chunk_rows: int = 0,
) -> Path:
    """Writes a bag; where asked, an MCAP chunk has so many messages and not 1 MiB."""
    writer = Writer(path, version=8, storage_plugin=plugin)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for number, item in enumerate(rows):
            if chunk_rows and number and number % chunk_rows == 0:
                writer.storage.close_chunk()  # type: ignore[union-attr]
            if item.topic not in connections:
                connections[item.topic] = writer.add_connection(
                    item.topic, item.type_name, typestore=typestore()
                )
            writer.write(connections[item.topic], item.recorded_ns, item.data)
    return path


def rows_of(path: Path) -> list[Row]:
    """Returns everything that is in a bag."""
    bag = BagRecording(path)
    return [
        Row(row.topic, row.recorded_ns, bag.topics[row.topic].type_name, row.data)
        for row in bag.messages(bag.topics)
    ]


def messages_of(path: Path, topic: str) -> list[Any]:
    """Returns the messages of a topic."""
    found = [item for item in rows_of(path) if item.topic == topic]
    return [typestore().deserialize_cdr(item.data, item.type_name) for item in found]
