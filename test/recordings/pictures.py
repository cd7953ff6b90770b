# SPDX-License-Identifier: Apache-2.0
"""Pictures, folders, videos and bags that the tests of sources make for themselves."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

TYPES = get_typestore(Stores.ROS2_JAZZY)
PERIOD_NS = 50_000_000


def flat(rgb: tuple[int, int, int], size_wh: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """Returns a picture of one colour."""
    return np.full((size_wh[1], size_wh[0], 3), rgb, np.uint8)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> Path:
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def write_video(path: Path, pictures: Sequence[NDArray[np.uint8]], rate_hz: float = 20.0) -> Path:
    height, width = pictures[0].shape[:2]
    code = cv2.VideoWriter.fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(path), code, rate_hz, (width, height))
    for rgb in pictures:
        writer.write(np.ascontiguousarray(rgb[..., ::-1]))
    writer.release()
    return path


def image_message(rgb: NDArray[np.uint8], stamp_ns: int = 0, encoding: str = 'rgb8') -> Any:
    return TYPES.types['sensor_msgs/msg/Image'](
        header=_header(stamp_ns),
        height=rgb.shape[0],
        width=rgb.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=rgb.shape[1] * 3,
        data=rgb.ravel(),
    )


def jpeg_message(rgb: NDArray[np.uint8], stamp_ns: int = 0) -> Any:
    _, data = cv2.imencode('.jpg', rgb[..., ::-1])
    return TYPES.types['sensor_msgs/msg/CompressedImage'](
        header=_header(stamp_ns), format='rgb8; jpeg compressed bgr8', data=data.ravel()
    )


def camera_info_message(focal_px: float, size_wh: tuple[int, int] = (64, 48)) -> Any:
    width, height = size_wh
    k = np.array([focal_px, 0, width / 2, 0, focal_px, height / 2, 0, 0, 1 if focal_px else 0.0])
    roi = TYPES.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return TYPES.types['sensor_msgs/msg/CameraInfo'](
        header=_header(0),
        height=height,
        width=width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=k,
        r=np.eye(3).ravel(),
        p=np.zeros(12),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def write_bag(path: Path, topics: dict[str, Sequence[Any]]) -> Path:
    """Writes messages, one every ``PERIOD_NS`` on each topic."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, messages in topics.items():
            kind = messages[0].__msgtype__
            row = writer.add_connection(topic, kind, typestore=TYPES)
            for index, message in enumerate(messages):
                data = TYPES.serialize_cdr(message, kind)
                writer.write(row, 1_000_000_000 + index * PERIOD_NS, data)
    return path


def _header(stamp_ns: int) -> Any:
    time = TYPES.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 1_000_000_000))
    return TYPES.types['std_msgs/msg/Header'](stamp=time, frame_id='camera_optical')


def write_gif(path: Path, pictures: int, size_wh: tuple[int, int] = (32, 24)) -> Path:
    """Writes a GIF (89a) of so many grey pictures, each brighter, ten a second.

    The LZW table is cleared before its codes grow beyond eight bits, so that a code is a byte.
    """
    width, height = size_wh
    word = struct.Struct('<HH')
    palette = bytes(value for grey in range(128) for value in (2 * grey,) * 3)
    data = b'GIF89a' + word.pack(width, height) + b'\xf6\0\0' + palette
    for number in range(pictures):
        pixels = bytes([number * 128 // max(1, pictures)]) * (width * height)
        codes = b''.join(b'\x80' + pixels[at : at + 120] for at in range(0, len(pixels), 120))
        codes += b'\x81'
        blocks = b''.join(
            bytes([len(codes[at : at + 255])]) + codes[at : at + 255]
            for at in range(0, len(codes), 255)
        )
        data += b'\x21\xf9\x04\0' + struct.pack('<H', 10) + b'\0\0'
        data += b'\x2c' + word.pack(0, 0) + word.pack(width, height) + b'\0\x07' + blocks + b'\0'
    path.write_bytes(data + b'\x3b')
    return path
