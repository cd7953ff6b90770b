# SPDX-License-Identifier: Apache-2.0
"""Camera drivers and consumers that use cv_bridge understand us, and we understand them.

PyPI's cv_bridge is the ROS 1 code with rclpy's messages. It needs numpy before 2.3 (``tostring``)
and, for colours, OpenCV before 5 (``CV_8UC3`` has another number there).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.messages.conversions import ReusedImage, compressed_message, frame_from_message

cv_bridge = pytest.importorskip(
    'cv_bridge', reason="cv_bridge is not installed: pip install 'cv_bridge==1.13.0.post0'"
)

pytestmark = pytest.mark.filterwarnings('ignore:tostring:DeprecationWarning')


@pytest.fixture
def bridge() -> Any:
    return cv_bridge.CvBridge()


def picture(channels: int = 3, size_wh: tuple[int, int] = (46, 30)) -> NDArray[np.uint8]:
    """Smooth colours, so that jpeg keeps them."""
    noise = np.random.default_rng(5).integers(0, 256, (4, 5, channels), np.uint8)
    return np.ascontiguousarray(np.squeeze(cv2.resize(noise, size_wh)))


def published(encoding: str, pixels: NDArray[np.uint8]) -> Any:
    """The message as the node's outputs make it."""
    image = ReusedImage(encoding)
    image.pixels(pixels.shape)[:] = pixels
    return image.message


@pytest.mark.parametrize(('topic', 'encoding'), [('label', 'mono8'), ('confidence', 'mono8')])
def test_cv_bridge_reads_the_grey_images_that_we_publish(
    bridge: Any, topic: str, encoding: str
) -> None:
    pixels = picture(channels=1)
    got = bridge.imgmsg_to_cv2(published(encoding, pixels), encoding)
    np.testing.assert_array_equal(got, pixels)


def test_cv_bridge_reads_the_overlay_that_we_publish(bridge: Any) -> None:
    rgb = picture()
    message = published('rgb8', rgb)
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, 'rgb8'), rgb)
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, 'bgr8'), rgb[..., ::-1])


def test_cv_bridge_reads_the_compressed_overlay_that_we_publish(bridge: Any) -> None:
    rgb = picture()
    bgr = bridge.compressed_imgmsg_to_cv2(compressed_message(rgb, 95))
    assert np.abs(bgr[..., ::-1].astype(int) - rgb).mean() < 6


@pytest.mark.parametrize(
    ('encoding', 'channels'),
    [('bgr8', 3), ('rgb8', 3), ('mono8', 1), ('passthrough', 3), ('bgra8', 4), ('rgba8', 4)],
)
def test_we_read_the_image_that_cv_bridge_makes(bridge: Any, encoding: str, channels: int) -> None:
    pixels = picture(channels)
    got = frame_from_message(bridge.cv2_to_imgmsg(pixels, encoding), 'camera').image.rgb()
    if channels == 1:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    elif encoding[0] in 'bp':
        pixels = pixels[..., 2::-1]
    np.testing.assert_array_equal(got, pixels[..., :3])


@pytest.mark.parametrize('format_', ['jpg', 'png'])
def test_we_read_the_compressed_image_that_cv_bridge_makes(bridge: Any, format_: str) -> None:
    bgr = picture()
    message = bridge.cv2_to_compressed_imgmsg(bgr, format_)
    got = frame_from_message(message, 'camera').image.rgb()
    assert np.abs(got.astype(int) - bgr[..., ::-1]).mean() < (6 if format_ == 'jpg' else 0.01)


def test_we_read_the_padded_image_that_cv_bridge_reads_wrongly(bridge: Any) -> None:
    rgb = picture(size_wh=(5, 4))
    message = published('rgb8', np.pad(rgb.reshape(4, 15), ((0, 0), (0, 1))))
    message.width, message.encoding = 5, 'rgb8'
    assert message.step == 16
    np.testing.assert_array_equal(frame_from_message(message, 'camera').image.rgb(), rgb)
    assert not np.array_equal(bridge.imgmsg_to_cv2(message, 'rgb8'), rgb)
