# SPDX-License-Identifier: Apache-2.0
"""A camera's image, still in the camera's encoding: views of the message, RGB when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.image.pixel_formats import PixelFormat
from seg_ros.core.types import RgbImage

__all__ = ['CameraImage', 'Frame', 'resized']


@dataclass(frozen=True)
class CameraImage:
    """A picture still in the camera's encoding.

    Attributes:
        planes: Views of the message's bytes, each ``(h, w)`` or ``(h, w, channels)``, uint8 or
            uint16 in the message's byte order, rows apart by the message's ``step``. Valid as
            long as nobody writes to the message.
        format: How to read them.
        width: Pixels.
        height: Pixels.
    """

    planes: tuple[NDArray[Any], ...]
    format: PixelFormat
    width: int
    height: int

    @property
    def pixels(self) -> NDArray[Any]:
        """The first plane, which for all encodings but the nv ones is everything."""
        return self.planes[0]

    def rgb(self, size_wh: tuple[int, int] | None = None, out: RgbImage | None = None) -> RgbImage:
        """Returns the picture as RGB, C-contiguous, resized where a size is given.

        Shrinking averages (no aliasing at any factor), enlarging is bilinear. Values of 16 bits
        become ``value >> 8``.

        Args:
            size_wh: Width and height wanted; None keeps the camera's.
            out: C-contiguous uint8 ``(h, w, 3)`` that the result is written to.

        Returns:
            ``out`` where given. Else a new array, or, for an unpadded rgb8 picture at its own
            size, the (possibly read-only) view of the message itself.

        Raises:
            ValueError: ``out`` cannot hold the result.
        """
        size_wh = size_wh or (self.width, self.height)
        _check_out(out, size_wh)
        to_rgb = self.format.to_rgb
        planes = self.planes
        if self.format.value_bytes == 2:
            planes = tuple(_high_bytes(plane) for plane in planes)
        if size_wh == (self.width, self.height):
            return to_rgb(planes, out) if to_rgb else _contiguous(planes[0], out)
        if to_rgb is None:
            return resized(planes[0], size_wh, out)
        if self.format.resize_first:
            reusable = out if planes[0].shape[2:] == (3,) else None
            return to_rgb((resized(planes[0], size_wh, reusable),), out)
        return resized(to_rgb(planes, None), size_wh, out)


@dataclass(frozen=True)
class Frame:
    """One camera image and what identifies it.

    Attributes:
        camera: Name of the camera.
        stamp_ns: Header stamp in nanoseconds.
        frame_id: Coordinate frame of the camera.
        image: The picture, still in the camera's encoding.
    """

    camera: str
    stamp_ns: int
    frame_id: str
    image: CameraImage


def resized(
    image: NDArray[np.uint8], size_wh: tuple[int, int], out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Returns the image at another size, as every image on its way to the network is resized.

    Halves first while it shrinks a lot, 2-4 times cheaper than INTER_AREA alone.
    """
    width, height = size_wh
    while image.shape[1] > 2 * width and image.shape[0] > 2 * height:
        half_wh = image.shape[1] // 2, image.shape[0] // 2
        image = cv2.resize(image, half_wh, interpolation=cv2.INTER_AREA)
    shrinks_a_lot = image.shape[1] > 2 * width or image.shape[0] > 2 * height
    interpolation = cv2.INTER_AREA if shrinks_a_lot else cv2.INTER_LINEAR
    result: NDArray[np.uint8] = cv2.resize(image, size_wh, dst=out, interpolation=interpolation)
    return result


def _check_out(out: RgbImage | None, size_wh: tuple[int, int]) -> None:
    shape = (size_wh[1], size_wh[0], 3)
    if out is not None and not (
        out.shape == shape and out.dtype == np.uint8 and out.flags.c_contiguous
    ):
        raise ValueError(
            f'out must be C-contiguous uint8 of shape {shape}, not {out.dtype} of {out.shape}'
        )


def _high_bytes(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns the high byte of each 16-bit value."""
    height, width = plane.shape[:2]
    channels = plane.shape[2] if plane.ndim == 3 else 1
    # Of padded rows a copy: numpy before 1.23, as on Ubuntu 22.04, has no such view of them.
    pairs = np.ascontiguousarray(plane).view(np.uint8).reshape(height, width * channels, 2)
    high: NDArray[np.uint8] = cv2.extractChannel(pairs, 0 if plane.dtype.str[0] == '>' else 1)
    return high.reshape(plane.shape)


def _contiguous(image: NDArray[np.uint8], out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    if out is None:
        return np.ascontiguousarray(image)
    np.copyto(out, image)
    return out
