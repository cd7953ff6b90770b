# SPDX-License-Identifier: Apache-2.0
"""Decoding of image messages, raw and compressed, to a picture that is known to be whole.

    Image.data ───────────► decode_raw ─────────┐
                                                ├─► CameraImage (views) ──► rgb(size_wh)
    CompressedImage.data ─► decode_compressed ──┘

The row length of the message is the stride of the view, so that row padding costs nothing and
cannot skew the picture; cv_bridge misreads padded rows.

``cv2.imdecode`` alone is not enough for a compressed one: where the data of a jpeg ends early it
paints the rest grey, and half a picture looks like a good one; and it makes room for whatever
size a file announces.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import FrameError
from seg_ros.core.image.announced import KINDS, MAX_PIXELS, announced, as_stored, check_pixels
from seg_ros.core.image.camera_image import CameraImage
from seg_ros.core.image.pixel_formats import PIXEL_FORMATS, PixelFormat
from seg_ros.core.types import RgbImage

__all__ = [
    'ImageBytes',
    'decode_compressed',
    'decode_file',
    'decode_image',
    'decode_raw',
    'image_of_rgb',
]

ImageBytes: TypeAlias = 'bytes | bytearray | memoryview | array[int] | NDArray[np.uint8]'
"""What ``data`` of an image message may be; anything contiguous with the buffer protocol."""

DEPTH_ENCODINGS = frozenset({'16UC1', '32FC1'})

TOPIC_KINDS = ('jpeg', 'png', 'webp')
ENCODINGS = {1: 'mono', 3: 'bgr', 4: 'bgra'}  # by channels, as OpenCV decodes

JPEG_SCAN = b'\xff\xda'
JPEG_END = b'\xff\xd9'
READ_LATELY = {'avif': '4.9', 'gif': '4.11'}  # by OpenCV; Ubuntu 22.04 has 4.5.4
PNG_HEAD_BYTES, PNG_CHUNK_BYTES = 8, 12
PNG_END, PNG_DATA = b'IEND', b'IDAT'
# Chunks that libpng unpacks, each up to 8 MB of 8 kB, and that say nothing about the pixels
PNG_PACKED_WORDS = (b'zTXt', b'iTXt', b'iCCP')
# What so many bytes can become is at most 1032 times as much, half a second's work
PNG_UNSUSPICIOUS = 256 << 10
BLOCK_BYTES = 64 << 10

# What libjpeg paints where the data of a picture is missing: coefficients of zero are mid-grey
GREY_FILL = 128


def decode_image(message: Any, max_pixels: int = MAX_PIXELS) -> CameraImage:
    """Returns the picture of a sensor_msgs ``Image`` or ``CompressedImage``.

    Its pixels are a view of the message where they can be.

    Args:
        message: The image.
        max_pixels: Those that it may have; for every buffer of a camera grows with them.

    Raises:
        FrameError: It holds none that can be read.
    """
    if hasattr(message, 'format'):  # a CompressedImage
        return decode_compressed(message.data, message.format, max_pixels)
    check_pixels(message.width, message.height, max_pixels)
    return decode_raw(
        message.data,
        width=message.width,
        height=message.height,
        step=message.step,
        encoding=message.encoding,
        is_bigendian=bool(message.is_bigendian),
    )


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


def decode_compressed(
    data: ImageBytes,
    format: str,  # noqa: A002, the message's
    max_pixels: int = MAX_PIXELS,
) -> CameraImage:
    """Returns the picture in a ``sensor_msgs/CompressedImage``.

    Whether it is jpeg, png or webp is read from the bytes; no other decoder can be reached from a
    topic.

    Args:
        data: The file's bytes; may be followed by padding.
        format: As image_transport writes it, 'bgr8; jpeg compressed bgr8', or just 'jpeg', 'png'.
        max_pixels: Those that it may announce.

    Raises:
        FrameError: With kind encoding_empty, encoding_depth, encoding_unknown, size_too_small,
            size_too_large or compressed_broken.
    """
    source_encoding = _compressed_source(format)
    file = np.frombuffer(data, np.uint8).tobytes()
    picture = _decoded(file, f"A compressed image of format '{format}'", TOPIC_KINDS, max_pixels)
    return _stored(picture, source_encoding)


def decode_file(file: bytes, max_pixels: int = MAX_PIXELS) -> CameraImage:
    """Returns the picture in an image file of any of ``KINDS``.

    Raises:
        FrameError: With kind size_too_small, size_too_large or compressed_broken.
    """
    return _stored(_decoded(file, 'An image file', KINDS, max_pixels))


def _stored(picture: NDArray[Any], source_encoding: str = '') -> CameraImage:
    """Returns decoded pixels as the camera had them before they were compressed."""
    height, width = picture.shape[:2]
    channels = picture.shape[2] if picture.ndim == 3 else 1
    bits = 8 * picture.dtype.itemsize
    if bits > 16 or channels not in ENCODINGS:
        raise FrameError(
            'compressed_broken',
            f'The image has {channels} channels of {picture.dtype}; read are 1, 3 and 4 channels '
            'of 8 or 16 bits.',
        )
    if channels == 1 and source_encoding.startswith('bayer_'):
        encoding = source_encoding.rstrip('0123456789') + str(bits)
    else:
        encoding = ENCODINGS[channels] + str(bits)
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
    if not any(word in format.lower() for word in ('jpg', *TOPIC_KINDS)):
        raise FrameError(
            'encoding_unknown',
            f"The compressed format '{format}' is not known. Let the camera driver publish jpeg "
            'or png.',
        )
    return source


def _decoded(file: bytes, what: str, kinds: tuple[str, ...], max_pixels: int) -> NDArray[Any]:
    """Returns the pixels as they were stored: blue first, depth, channels and orientation kept.

    An EXIF orientation is ignored everywhere: calibration and labels are of the pixels as they
    lie in the file. A picture of which a part is missing is refused; wrong bits in the middle of
    a jpeg cannot be noticed.

    Args:
        file: An image file; of which kind is read from its first bytes.
        what: It is called in an error.
        kinds: Those that are read.
        max_pixels: Those that it may announce; asked before a decoder makes room for them.

    Raises:
        FrameError: Kind size_too_large, or compressed_broken: a part is missing, or it is of none
            of the kinds.
    """
    said = announced(file)
    if said is None or said.kind not in kinds:
        raise _broken(what, f'its {len(file)} bytes begin neither as {" nor as ".join(kinds)}')
    if not said.width * said.height:
        raise _broken(what, f'its {len(file)} bytes do not say how large it is')
    check_pixels(said.width, said.height, max_pixels, said.scans)
    if not _is_complete(file, said.kind):
        raise _broken(what, f'its end is missing after {len(file)} bytes')
    if said.kind == 'png':
        file = _without_bombs(file, 16 * (said.width + 1) * (said.height + 1))
    picture = _imdecode(as_stored(file))
    if picture is None and said.kind in READ_LATELY:
        raise FrameError(
            'compressed_broken',
            f'{what} is broken, or OpenCV {cv2.__version__} does not know {said.kind}, which it '
            f'reads from {READ_LATELY[said.kind]} on: save it as png, or take a newer OpenCV.',
        )
    if picture is None or (said.kind == 'jpeg' and _has_missing_end(file, picture)):
        raise _broken(what, f'its {len(file)} bytes cannot be decoded to the end')
    return picture


def _is_complete(file: bytes, kind: str) -> bool:
    """Returns whether bytes end as a picture does, where its kind tells."""
    if kind == 'jpeg':
        # Only behind the scan: a thumbnail in the header ends in the same two bytes.
        return file.rfind(JPEG_END) > file.rfind(JPEG_SCAN) > 0
    if kind == 'png':
        return bool(_chunks_of(file))
    if kind == 'webp':
        return len(file) >= 8 + int.from_bytes(file[4:8], 'little')
    return True


def _chunks_of(png: bytes) -> list[tuple[bytes, int, int]]:
    """Returns kind, begin and end of every chunk; none unless all lie within the file.

    OpenCV makes room for what they say: 85 bytes cost three gigabytes and five seconds.
    """
    found = []
    at = PNG_HEAD_BYTES
    while at + PNG_CHUNK_BYTES <= len(png):
        end = at + PNG_CHUNK_BYTES + int.from_bytes(png[at : at + 4], 'big')
        if end > len(png):
            return []
        found.append((png[at + 4 : at + 8], at, end))
        if found[-1][0] == PNG_END:
            return found
        at = end
    return []


def _without_bombs(png: bytes, most_bytes: int) -> bytes:
    """Returns a PNG without packed words, of which a file of 10 MB can have 10 GB.

    Args:
        png: Its chunks are whole.
        most_bytes: That the pixels of such a picture can have, 16 each.

    Raises:
        FrameError: Its data goes on behind the pixels, and unpacking it would take long.
    """
    chunks = _chunks_of(png)
    data = [(begin + 8, end - 4) for kind, begin, end in chunks if kind == PNG_DATA]
    if sum(end - begin for begin, end in data) > PNG_UNSUSPICIOUS:
        unpacker, size = zlib.decompressobj(), 0
        for first, last in data:
            for at in range(first, last, BLOCK_BYTES):
                block = png[at : min(at + BLOCK_BYTES, last)]
                while block and size <= most_bytes:
                    try:
                        size += len(unpacker.decompress(block, 1 << 20))
                    except zlib.error:
                        return png  # libpng ends there, too
                    block = unpacker.unconsumed_tail
        if size > most_bytes:
            raise FrameError(
                'size_too_large',
                f'The image is a PNG whose data has more than {most_bytes} bytes, which its '
                'pixels cannot. Save it again.',
            )
    if any(kind in PNG_PACKED_WORDS for kind, _, _ in chunks):
        kept = (png[begin:end] for kind, begin, end in chunks if kind not in PNG_PACKED_WORDS)
        return b''.join((png[:PNG_HEAD_BYTES], *kept))
    return png


def _broken(subject: str, what: str) -> FrameError:
    return FrameError(
        'compressed_broken',
        f'{subject} is broken: {what}. Look for a bad cable, a full USB bus or a driver that cuts '
        'its buffers.',
    )


def _imdecode(file: bytes) -> NDArray[Any] | None:
    """Decodes without rotating and without changing depth or channels; None if it cannot."""
    try:
        picture: NDArray[Any] | None = cv2.imdecode(
            np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED
        )
    except cv2.error:
        return None
    return picture


def _has_missing_end(file: bytes, picture: NDArray[Any]) -> bool:
    """Tells whether a jpeg ends before its picture does.

    libjpeg paints the missing part grey and only prints a warning. So a picture whose last pixel
    is grey is decoded once more with extra bytes before its end: they change nothing behind a
    whole picture, but become pixels where pixels are missing.
    """
    if np.any(picture[-1, -1] != GREY_FILL):
        return False
    end = file.rfind(JPEG_END)
    probe = _imdecode(file[:end] + bytes(range(1, 200)) + file[end:])
    return probe is None or not np.array_equal(probe, picture)
