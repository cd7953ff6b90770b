"""Any camera encoding as RGB: one table row per encoding, views instead of copies.

    Image.data ───────────► decode_raw ─────────┐
                                                ├─► CameraImage (views) ──► rgb(size_wh)
    CompressedImage.data ─► decode_compressed ──┘

The row length of the message is the stride of the view, so that row padding costs nothing and
cannot skew the picture. OpenCV and numpy only: cv_bridge lacks several of these encodings and
misreads padded rows.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import FrameError
from seg_ros.core.image.compressed import decode_file
from seg_ros.core.types import RgbImage

__all__ = [
    'PIXEL_FORMATS',
    'CameraImage',
    'ImageBytes',
    'PixelFormat',
    'Plane',
    'decode_compressed',
    'decode_raw',
    'image_of_rgb',
    'resized',
]

ImageBytes: TypeAlias = 'bytes | bytearray | memoryview | array[int] | NDArray[np.uint8]'
"""What ``data`` of an image message may be; anything contiguous with the buffer protocol."""

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

DEPTH_ENCODINGS = frozenset({'16UC1', '32FC1'})


def decode_raw(
    data: ImageBytes, *, width: int, height: int, step: int, encoding: str, is_bigendian: bool
) -> CameraImage:
    """Returns a view of the bytes of a ``sensor_msgs/Image``; nothing is copied.

    Bytes behind the last pixel are ignored, whether they are padding or more.

    Args:
        data: The bytes; the image is valid as long as they are.
        width: Pixels.
        height: Pixels; of the picture, not of the buffer, for the nv encodings.
        step: Bytes from one row to the next; of the brightness plane for the nv encodings.
        encoding: A key of ``PIXEL_FORMATS``.
        is_bigendian: Byte order of 16-bit values; says nothing about 8-bit ones.

    Raises:
        FrameError: With kind encoding_empty, encoding_depth, encoding_unknown, size_zero,
            size_too_small, odd_size, step_too_small or data_too_short.
    """
    pixel_format = _pixel_format(encoding)
    _check_size(pixel_format, encoding, width, height)
    row_bytes = width * pixel_format.planes[0].channels * pixel_format.value_bytes
    if step < row_bytes:
        raise FrameError(
            'step_too_small',
            f'A row of {width} {encoding} pixels has {row_bytes} bytes, but step is {step}. '
            'Set step to the length of a row in bytes in the camera driver.',
        )
    buffer = np.frombuffer(data, np.uint8)
    order = '>' if is_bigendian else '<'
    dtype = np.dtype(f'{order}u2' if pixel_format.value_bytes == 2 else 'u1')
    planes: list[NDArray[Any]] = []
    start = 0
    for plane in pixel_format.planes:
        rows, columns = height // plane.y_divisor, width // plane.x_divisor
        plane_step = step * plane.channels // plane.x_divisor if start else step
        needed = start + (rows - 1) * plane_step + columns * plane.channels * dtype.itemsize
        if buffer.size < needed:
            raise FrameError(
                'data_too_short',
                f'A {width}x{height} {encoding} image with step {step} has {needed} bytes or '
                f'more, but {buffer.size} came. The camera driver cut the message, or its '
                'width, height or step is wrong.',
            )
        shape = (rows, columns) if plane.channels == 1 else (rows, columns, plane.channels)
        pixel_bytes = plane.channels * dtype.itemsize
        strides = (plane_step, pixel_bytes, dtype.itemsize)[: len(shape)]
        planes.append(np.ndarray(shape, dtype, buffer, start, strides))
        start += rows * plane_step
    return CameraImage(tuple(planes), pixel_format, width, height)


def image_of_rgb(image: RgbImage) -> CameraImage:
    """Returns an ``(H, W, 3)`` RGB array, of any strides, as a camera's image; a view of it."""
    height, width, _ = image.shape
    return CameraImage((image,), PIXEL_FORMATS['rgb8'], width, height)


def decode_compressed(data: ImageBytes, format: str) -> CameraImage:  # noqa: A002, the message's
    """Returns the picture in a ``sensor_msgs/CompressedImage``.

    Whether it is jpeg or png is read from the bytes. An EXIF orientation is ignored, so that the
    picture fits the camera's calibration. A picture of which a part is missing is refused; wrong
    bits in the middle of a jpeg cannot be noticed.

    Args:
        data: The file's bytes; may be followed by padding.
        format: As image_transport writes it, 'bgr8; jpeg compressed bgr8', or just 'jpeg', 'png'.

    Raises:
        FrameError: With kind encoding_empty, encoding_depth, encoding_unknown, size_too_small or
            compressed_broken.
    """
    source_encoding = _compressed_source(format)
    picture = decode_file(np.frombuffer(data, np.uint8).tobytes(), format)
    height, width = picture.shape[:2]
    channels = picture.shape[2] if picture.ndim == 3 else 1
    bits = 8 * picture.dtype.itemsize
    if channels == 1 and source_encoding.startswith('bayer_'):
        encoding = source_encoding.rstrip('0123456789') + str(bits)
    else:
        encoding = {1: 'mono', 3: 'bgr', 4: 'bgra'}[channels] + str(bits)
    # OpenCV decodes to the byte order of this machine.
    return decode_raw(
        np.ascontiguousarray(picture).reshape(-1).view(np.uint8),
        width=width,
        height=height,
        step=width * channels * picture.dtype.itemsize,
        encoding=encoding,
        is_bigendian=sys.byteorder == 'big',
    )


def _pixel_format(encoding: str) -> PixelFormat:
    if found := PIXEL_FORMATS.get(encoding):
        return found
    known = ', '.join(PIXEL_FORMATS)
    if not encoding:
        raise FrameError(
            'encoding_empty',
            f'The encoding of the image is empty. Set it in the camera driver to one of {known}.',
        )
    if encoding in DEPTH_ENCODINGS:
        raise FrameError(
            'encoding_depth',
            f"The encoding is '{encoding}', a depth image, but colours are segmented. Subscribe "
            "to the camera's colour topic; a 16-bit grey camera says 'mono16'.",
        )
    raise FrameError(
        'encoding_unknown',
        f"The encoding '{encoding}' is not known. Let the camera driver publish one of {known}.",
    )


def _check_size(pixel_format: PixelFormat, encoding: str, width: int, height: int) -> None:
    if width <= 0 or height <= 0:
        raise FrameError(
            'size_zero',
            f'The image is {width}x{height} pixels. Set width and height in the camera driver.',
        )
    if min(width, height) < pixel_format.min_side:
        raise FrameError(
            'size_too_small',
            f'The image is {width}x{height} pixels, but {encoding} needs '
            f'{pixel_format.min_side}x{pixel_format.min_side} or more.',
        )
    even_width, even_height = pixel_format.even_wh
    if (even_width and width % 2) or (even_height and height % 2):
        sides = 'width and height' if even_height else 'width'
        raise FrameError(
            'odd_size',
            f'The image is {width}x{height} pixels, but {encoding} shares colours between '
            f'neighbours and needs even {sides}. Crop it by a pixel in the camera driver.',
        )


def _compressed_source(format: str) -> str:  # noqa: A002, the message's name
    """Returns the encoding that a picture had before it was compressed, '' where not said."""
    if not format.strip():
        raise FrameError(
            'encoding_empty',
            'The format of the compressed image is empty. Set it in the camera driver to jpeg '
            'or png.',
        )
    source, separator, _ = format.partition(';')
    source = source.strip() if separator else ''
    if source in DEPTH_ENCODINGS or 'compressedDepth' in format:
        raise FrameError(
            'encoding_depth',
            f"The compressed format is '{format}', a depth image, but colours are segmented. "
            "Subscribe to the camera's colour topic.",
        )
    if not any(word in format.lower() for word in ('jpeg', 'jpg', 'png')):
        raise FrameError(
            'encoding_unknown',
            f"The compressed format '{format}' is not known. Let the camera driver publish jpeg "
            'or png.',
        )
    return source


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
    pairs = plane.view(np.uint8).reshape(height, width * channels, 2)
    high: NDArray[np.uint8] = cv2.extractChannel(pairs, 0 if plane.dtype.str[0] == '>' else 1)
    return high.reshape(plane.shape)


def _contiguous(image: NDArray[np.uint8], out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    if out is None:
        return np.ascontiguousarray(image)
    np.copyto(out, image)
    return out


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
