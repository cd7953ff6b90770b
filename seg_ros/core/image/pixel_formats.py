# SPDX-License-Identifier: Apache-2.0
"""Pixel formats: how the bytes of each camera encoding lie in memory, and how they become RGB.

One table row per encoding. OpenCV and numpy only: cv_bridge lacks several of these encodings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbImage

__all__ = ['PIXEL_FORMATS', 'PixelFormat', 'Plane']

Planes: TypeAlias = tuple[NDArray[np.uint8], ...]

Converter: TypeAlias = Callable[[Planes, 'RgbImage | None'], RgbImage]
"""Makes RGB of 8-bit planes; writes to the second argument when it is given."""

BAYER_MIN_SIDE = 3  # pixels; below that cv2.cvtColor answers black


@dataclass(frozen=True)
class Plane:
    """Values that lie together in memory: ``channels`` per pixel of a (sub-sampled) picture."""

    channels: int
    x_divisor: int = 1
    y_divisor: int = 1


@dataclass(frozen=True)
class PixelFormat:
    """How the bytes of one encoding lie in memory, and how they become RGB.

    Attributes:
        planes: Usually one; the colour plane of the nv formats is the second.
        to_rgb: Makes RGB of 8-bit planes; None where the plane is RGB already.
        value_bytes: 1, or 2 where only the high byte of each value is used (``>> 8``).
        resize_first: A smaller picture is made before the colours are converted, not after.
        even_wh: Width, height must be even.
        min_side: Smallest width and height in pixels.
    """

    planes: tuple[Plane, ...]
    to_rgb: Converter | None = None
    value_bytes: int = 1
    resize_first: bool = True
    even_wh: tuple[bool, bool] = (False, False)
    min_side: int = 1


def _convert(code: int) -> Converter:
    """Returns a converter of one plane through ``cv2.cvtColor``."""

    def to_rgb(planes: Planes, out: RgbImage | None) -> RgbImage:
        rgb: RgbImage = cv2.cvtColor(planes[0], code, dst=out)
        return rgb

    return to_rgb


def _convert_two_planes(code: int) -> Converter:
    """Returns a converter of a brightness and a half-size colour plane."""

    def to_rgb(planes: Planes, out: RgbImage | None) -> RgbImage:
        rgb: RgbImage = cv2.cvtColorTwoPlane(planes[0], planes[1], code, dst=out)
        return rgb

    return to_rgb


def _nv24_to_rgb(planes: Planes, out: RgbImage | None) -> RgbImage:
    """Converts a brightness and a full-size colour plane, which OpenCV has no code for.

    Each pixel becomes a uyvy pair with its own colour, of which the left half is kept: the same
    arithmetic as for every other YUV encoding here.
    """
    height, width = planes[0].shape
    pairs = np.empty((height, width, 4), np.uint8)
    cv2.mixChannels(list(planes), [pairs], [1, 0, 0, 1, 2, 2, 0, 3])  # Y U V → U Y V Y
    wide = cv2.cvtColor(pairs.reshape(height, 2 * width, 2), cv2.COLOR_YUV2RGB_UYVY)
    rgb: RgbImage = cv2.resize(wide, (width, height), dst=out, interpolation=cv2.INTER_NEAREST)
    return rgb


def _interleaved(channels: int, code: int | None = None, value_bytes: int = 1) -> PixelFormat:
    return PixelFormat(
        (Plane(channels),), None if code is None else _convert(code), value_bytes=value_bytes
    )


def _bayer(code: int, value_bytes: int = 1) -> PixelFormat:
    return PixelFormat(
        (Plane(1),),
        _convert(code),
        value_bytes=value_bytes,
        resize_first=False,
        min_side=BAYER_MIN_SIDE,
    )


def _yuv422(code: int) -> PixelFormat:
    return PixelFormat((Plane(2),), _convert(code), resize_first=False, even_wh=(True, False))


def _yuv420(code: int) -> PixelFormat:
    planes = (Plane(1), Plane(2, x_divisor=2, y_divisor=2))
    return PixelFormat(planes, _convert_two_planes(code), resize_first=False, even_wh=(True, True))


# OpenCV names a Bayer pattern by its second row and column, ROS by its first.
_RGGB, _BGGR = cv2.COLOR_BayerBG2RGB, cv2.COLOR_BayerRG2RGB
_GBRG, _GRBG = cv2.COLOR_BayerGR2RGB, cv2.COLOR_BayerGB2RGB

PIXEL_FORMATS: Mapping[str, PixelFormat] = MappingProxyType(
    {
        'rgb8': _interleaved(3),
        'bgr8': _interleaved(3, cv2.COLOR_BGR2RGB),
        'rgba8': _interleaved(4, cv2.COLOR_RGBA2RGB),
        'bgra8': _interleaved(4, cv2.COLOR_BGRA2RGB),
        'mono8': _interleaved(1, cv2.COLOR_GRAY2RGB),
        'rgb16': _interleaved(3, value_bytes=2),
        'bgr16': _interleaved(3, cv2.COLOR_BGR2RGB, value_bytes=2),
        'rgba16': _interleaved(4, cv2.COLOR_RGBA2RGB, value_bytes=2),
        'bgra16': _interleaved(4, cv2.COLOR_BGRA2RGB, value_bytes=2),
        'mono16': _interleaved(1, cv2.COLOR_GRAY2RGB, value_bytes=2),
        # The names that say no colours: OpenCV's order, blue first.
        '8UC1': _interleaved(1, cv2.COLOR_GRAY2RGB),
        '8UC3': _interleaved(3, cv2.COLOR_BGR2RGB),
        '8UC4': _interleaved(4, cv2.COLOR_BGRA2RGB),
        'bayer_rggb8': _bayer(_RGGB),
        'bayer_bggr8': _bayer(_BGGR),
        'bayer_gbrg8': _bayer(_GBRG),
        'bayer_grbg8': _bayer(_GRBG),
        'bayer_rggb16': _bayer(_RGGB, value_bytes=2),
        'bayer_bggr16': _bayer(_BGGR, value_bytes=2),
        'bayer_gbrg16': _bayer(_GBRG, value_bytes=2),
        'bayer_grbg16': _bayer(_GRBG, value_bytes=2),
        # ROS renamed these two; drivers use both names.
        'yuv422': _yuv422(cv2.COLOR_YUV2RGB_UYVY),
        'uyvy': _yuv422(cv2.COLOR_YUV2RGB_UYVY),
        'yuv422_yuy2': _yuv422(cv2.COLOR_YUV2RGB_YUY2),
        'yuyv': _yuv422(cv2.COLOR_YUV2RGB_YUY2),
        'nv12': _yuv420(cv2.COLOR_YUV2RGB_NV12),
        'nv21': _yuv420(cv2.COLOR_YUV2RGB_NV21),
        'nv24': PixelFormat((Plane(1), Plane(2)), _nv24_to_rgb, resize_first=False),
    }
)
"""Every raw encoding that is read. YUV is BT.601 with limited range, as OpenCV has it."""
