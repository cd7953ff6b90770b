# SPDX-License-Identifier: Apache-2.0
"""What recorded messages of the node hold: label images, pictures, classes, stamps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from seg_ros.core.errors import FrameError
from seg_ros.core.image.decoding import decode_image
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.recording import Recording

__all__ = [
    'jpeg_pixels',
    'json_of',
    'label_map_of',
    'label_pixels',
    'message_stamp_ns',
    'nodes_in',
]


def nodes_in(types: Mapping[str, str]) -> list[str]:
    """Returns the names in full of the nodes of ours that were recorded, under any namespace.

    A node is known by its stop, or by label images with their classes beside them.

    Args:
        types: Type of each topic.
    """
    stop, label, classes = '/pedestrian_stop', '/label', '/classes'
    by_stop = {
        name.removesuffix(stop)
        for name, kind in types.items()
        if name.endswith(stop) and kind == 'std_msgs/msg/Bool'
    }
    by_label = {
        name.removesuffix(label)
        for name, kind in types.items()
        if name.endswith(label)
        and kind == 'sensor_msgs/msg/Image'
        and types.get(name.removesuffix(label) + classes) == 'std_msgs/msg/String'
    }
    return sorted(by_stop | by_label)


def message_stamp_ns(message: Any) -> int:
    """Returns the stamp of a message with a header."""
    return int(message.header.stamp.sec) * NS_PER_S + int(message.header.stamp.nanosec)


def label_pixels(message: Any) -> LabelImage:
    """Returns the ``(H, W)`` class ids of a ``mono8`` image, a view of the message."""
    pixels = np.asarray(message.data, np.uint8).reshape(message.height, message.step)
    return pixels[:, : message.width]


def jpeg_pixels(message: Any) -> RgbImage:
    """Returns the picture of a ``CompressedImage``.

    Raises:
        FrameError: It holds none that can be read.
    """
    return decode_image(message).rgb()


def label_map_of(classes: Mapping[str, Any]) -> LabelMap:
    """Returns the classes of a ``~/classes`` message."""
    rows = tuple(
        LabelClass(row['id'], row['name'], tuple(row['colour']), tuple(row['roles']))
        for row in classes['classes']
    )
    return LabelMap(rows, classes['unlabelled'])


def json_of(recording: Recording, topic: str) -> dict[str, Any] | None:
    """Returns the first message of a topic of JSON strings that can be read, None without any."""
    for message in recording.messages([topic]):
        try:
            found: dict[str, Any] = json.loads(recording.read(message).data)
        except (FrameError, ValueError) as error:
            recording.tell(f'{recording.place(message)} is left out: {error}')
            continue
        return found
    return None
