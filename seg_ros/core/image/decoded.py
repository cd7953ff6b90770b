"""The picture in an image message, of whatever class: rclpy's, rosbags' or our plain one."""

from __future__ import annotations

from typing import Any

from seg_ros.core.image.encodings import CameraImage, decode_compressed, decode_raw

__all__ = ['decoded_image']


def decoded_image(message: Any) -> CameraImage:
    """Returns the picture of a sensor_msgs ``Image`` or ``CompressedImage``.

    Its pixels are a view of the message where they can be.

    Raises:
        FrameError: It holds none that can be read.
    """
    if hasattr(message, 'format'):  # a CompressedImage
        return decode_compressed(message.data, message.format)
    return decode_raw(
        message.data,
        width=message.width,
        height=message.height,
        step=message.step,
        encoding=message.encoding,
        is_bigendian=bool(message.is_bigendian),
    )
