# SPDX-License-Identifier: Apache-2.0
"""Messages in, messages out; the one place that knows how their fields are filled cheaply."""

from __future__ import annotations

import array
import json
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import FrameError
from seg_ros.core.image.announced import MAX_PIXELS
from seg_ros.core.image.camera_image import Frame
from seg_ros.core.image.decoding import decode_image
from seg_ros.core.labels import LabelMap
from seg_ros.core.stop.zones import Motion
from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.reused import fill
from seg_ros.messages.types import (
    CompressedImage,
    Header,
    Image,
    Quaternion,
    String,
    message_type,
    packed,
)

__all__ = [
    'LABEL_INFO',
    'ReusedImage',
    'classes_message',
    'compressed_message',
    'fill_image',
    'frame_from_message',
    'header_of',
    'image_message',
    'label_info_message',
    'motion_of',
    'stamp_ns_of',
    'stamp_text',
    'turn',
]


LABEL_INFO = 'vision_msgs/msg/LabelInfo'  # since Humble


def stamp_ns_of(header: Header) -> int:
    """Returns a header's stamp in nanoseconds."""
    return int(header.stamp.sec) * NS_PER_S + int(header.stamp.nanosec)


def header_of(stamp_ns: int, frame_id: str) -> Header:
    """Returns a header."""
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
    return header


def stamp_text(stamp_ns: int) -> str:
    """Returns a stamp as seconds with all nine decimals, for messages without a header."""
    return f'{stamp_ns // NS_PER_S}.{stamp_ns % NS_PER_S:09d}'


def frame_from_message(
    message: Image | CompressedImage, camera: str, max_pixels: int = MAX_PIXELS
) -> Frame:
    """Returns the frame of an image message; its pixels are a view of the message where they can.

    Args:
        message: Of the camera.
        camera: Its name.
        max_pixels: Those that it may have.

    Raises:
        FrameError: The message does not hold a readable picture.
    """
    image = decode_image(message, max_pixels)
    return Frame(camera, stamp_ns_of(message.header), message.header.frame_id, image)


def turn(level: Quaternion, yaw: float) -> None:
    """Makes a level rotation one by an angle in radians about the vertical, counter-clockwise."""
    level.z, level.w = math.sin(0.5 * yaw), math.cos(0.5 * yaw)


def motion_of(message: Any) -> Motion:
    """Returns what a nav_msgs/Odometry says; its twist is in the base frame."""
    twist = message.twist.twist
    return Motion(stamp_ns_of(message.header), twist.linear.x, twist.angular.z)


class ReusedImage:
    """An Image message whose bytes are written in place, frame after frame.

    The bytes stay one ``array.array``: that is what rclpy takes at the price of a memory copy on
    every distribution, where ``bytes`` or a numpy array cost up to 80 ms (field checks).
    """

    def __init__(self, encoding: str) -> None:
        self.message = Image(encoding=encoding, is_bigendian=0)
        self._pixels: NDArray[np.uint8] = np.empty((0, 0), np.uint8)

    def pixels(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Returns a view, ``(H, W)`` or ``(H, W, C)``, of the message's bytes to write to."""
        if self._pixels.shape != shape:
            self.message.height, self.message.width = shape[:2]
            self.message.step = int(np.prod(shape[1:]))
            self.message.data = array.array('B', bytes(int(np.prod(shape))))
            # Of the field, not of what it was set to: some distributions copy.
            self._pixels = np.frombuffer(self.message.data, np.uint8).reshape(shape)
        return self._pixels


def image_message(header: Header, pixels: NDArray[Any], encoding: str) -> Image:
    """Returns a picture, ``(H, W)`` or ``(H, W, C)``, little endian, as a packed message."""
    return fill_image(Image(), header, pixels, encoding)


def fill_image(message: Image, header: Header, pixels: NDArray[Any], encoding: str) -> Image:
    """Writes a picture, ``(H, W)`` or ``(H, W, C)``, little endian, to a message; returns it."""
    message.header, message.encoding, message.is_bigendian = header, encoding, 0
    message.height, message.width = pixels.shape[:2]
    message.step = pixels.nbytes // message.height
    fill(message, 'data', 'B', pixels)
    return message


def compressed_message(image: RgbImage, quality: int) -> CompressedImage:
    """Returns the picture as a JPEG message, without a header.

    Raises:
        FrameError: The picture is too large for JPEG (65 535 pixels a side).
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not done:
        raise FrameError('jpeg_refused', f'JPEG refused a picture of shape {image.shape}.')
    message = CompressedImage(format='rgb8; jpeg compressed bgr8')
    message.data = packed('B', data)
    return message


def classes_message(engine: str, label_map: LabelMap) -> String:
    """Returns the classes as JSON, for consumers that have no vision_msgs."""
    rows = [
        {
            'id': row.id,
            'name': row.name,
            'colour': list(row.colour_rgb),
            'roles': list(row.roles),
        }
        for row in label_map.classes
    ]
    return String(
        data=json.dumps({'engine': engine, 'unlabelled': label_map.unlabelled, 'classes': rows})
    )


def label_info_message(header: Header, label_map: LabelMap, threshold: float) -> Any:
    """Returns the classes as vision_msgs/LabelInfo, which not every machine has.

    Args:
        header: Stamp of the publication and frame of the camera.
        label_map: The engine's classes.
        threshold: Least confidence (0 to 1) of a published label.
    """
    row_type = message_type('vision_msgs/msg/VisionClass')
    rows = [row_type(class_id=row.id, class_name=row.name) for row in label_map.classes]
    return message_type(LABEL_INFO)(header=header, class_map=rows, threshold=threshold)
