# SPDX-License-Identifier: Apache-2.0
"""Image files: pictures and label images, each by one rule for every command and for training.

- What a file is, its content decides, not its suffix.
- Pixels are taken as they lie in the file: labels and calibration are of these. A photograph that
  asks to be turned (EXIF) is taken as it lies, too, and whoever reads it can tell so.
- The size that a file announces is bounded before anything is decoded.
- A label image holds ids: of a palette the indices, of 16 bits those up to 255.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.image.announced import MAX_PIXELS, announced, as_stored, check_pixels
from seg_ros.core.image.decoding import decode_file
from seg_ros.core.navigation.instances import NO_CLASS, PER_CLASS
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.files import open_regular, read_bounded

__all__ = [
    'TURNED',
    'in_natural_order',
    'is_image',
    'kind_of',
    'labels_of_file',
    'picture_of',
    'read_image',
    'rgb_of_file',
]

LARGEST = 256 << 20  # bytes of a file; 8K in 16 bits of four colours, uncompressed
HEAD = 4096  # bytes in which every kind says what it is
UNLABELLED = 255
LABEL_FORMATS = ('PNG', 'TIFF', 'BMP', 'GIF', 'PPM')  # as Pillow calls what keeps every value
TURNED = (
    'asks to be turned (EXIF); the pixels are taken as they lie in the file, as labels and '
    'calibration are. Turn it in earnest where that is wrong: exiftran -a, or mogrify -auto-orient'
)
NUMBER = re.compile(r'(\d+)')


def is_image(path: Path) -> bool:
    """Returns whether a file begins as an image that can be read here."""
    return bool(kind_of(path))


def kind_of(path: Path) -> str:
    """Returns which kind of image a file begins as, one of ``KINDS``; empty if as none."""
    try:
        with open_regular(path) as file:
            said = announced(file.read(HEAD))
    except OSError:
        return ''
    return '' if said is None else said.kind


def read_image(path: Path) -> bytes:
    """Returns the bytes of an image file.

    Raises:
        FrameError: It cannot be read.
    """
    try:
        return read_bounded(path, LARGEST)
    except OSError as error:
        raise FrameError('file_broken', f'it cannot be read: {error.strerror}') from error


def picture_of(file: bytes, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Returns the picture in the bytes of a file.

    Raises:
        FrameError: It is none, is broken, or has too many pixels.
    """
    try:
        return decode_file(file, max_pixels).rgb()
    except FrameError as error:
        said = announced(file)
        if said is None or said.kind != 'avif' or error.kind == 'size_too_large':
            raise
        return _by_pillow(file, error)  # not every OpenCV has a decoder for it


def rgb_of_file(path: Path, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Returns the picture in a file.

    Raises:
        ConfigurationError: It is none, is broken, or has too many pixels.
    """
    try:
        return picture_of(read_image(path), max_pixels)
    except FrameError as error:
        raise ConfigurationError(f'{path} is no picture that can be read: {error}') from error


def labels_of_file(
    path: Path, max_pixels: int = MAX_PIXELS, *, are_instances: bool = False
) -> LabelImage:
    """Returns the ids in a label image, ``(H, W)`` uint8.

    Args:
        path: A file of one channel, or with a palette.
        max_pixels: Those that it may announce.
        are_instances: Whether it is as ``~/instances``: class id x 1000 + number of the thing,
            65535 without a class.

    Raises:
        ConfigurationError: It holds no ids, or such as no label image can have.
    """
    try:
        file = read_image(path)
        said = announced(file)
        if said is not None:
            check_pixels(said.width, said.height, max_pixels, said.scans)
    except FrameError as error:
        raise ConfigurationError(f'{path} is no label image that can be read: {error}') from error
    if said is None or said.kind in ('jpeg', 'webp'):
        raise ConfigurationError(
            f'{path} is no label image: {"no image" if said is None else said.kind}. Ids survive '
            'in a PNG of one channel (8 or 16 bits) or with a palette.'
        )
    values = _ids(path, file)
    if are_instances:
        values = values.astype(np.int32)
        values = np.where(values == NO_CLASS, UNLABELLED, values // PER_CLASS)
    elif values.size and values.max() > UNLABELLED:
        raise ConfigurationError(
            f'{path} has the value {values.max()}; class ids are 0 to 254, and 255 is unlabelled. '
            f'If its values are class id x {PER_CLASS} + number, as ~/instances has them, say so: '
            '--instances. Else write class ids.'
        )
    return np.array(values, np.uint8)  # Pillow's own cannot be written to


def in_natural_order(paths: list[Path]) -> list[Path]:
    """Returns files as people count them: ``img2`` comes before ``img10``."""
    return sorted(paths, key=lambda path: ([_counted(part) for part in path.parts], path.name))


def _counted(name: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), '') if part.isdecimal() and len(part) < 20 else (1, 0, part)
        for part in NUMBER.split(name)
        if part
    ]


def _ids(path: Path, file: bytes) -> NDArray[np.int32] | NDArray[np.uint8]:
    """Returns the values of a label image, of one with a palette its indices."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigurationError(
            f'{path} cannot be read without Pillow: pip install pillow'
        ) from error
    try:
        with Image.open(io.BytesIO(as_stored(file)), formats=LABEL_FORMATS) as picture:
            mode = picture.mode
            if mode in ('P', 'L'):
                return np.asarray(picture, np.uint8)
            if mode.startswith('I'):  # 16 bits
                return np.asarray(picture).astype(np.int32)
            if mode == 'LA':
                return np.asarray(picture.getchannel(0), np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ConfigurationError(f'{path} is no whole label image: {error}') from error
    if mode == '1':
        raise ConfigurationError(
            f'{path} has one bit a pixel, which says black or white but no id. Save it with 8 '
            'bits, or with a palette.'
        )
    raise ConfigurationError(
        f'{path} has the colours {mode}; a label image holds one id a pixel: one channel of 8 or '
        '16 bits, or a palette. Write the ids, not the colours of the classes.'
    )


def _by_pillow(file: bytes, reason: FrameError) -> RgbImage:
    try:
        from PIL import Image
    except ImportError:
        raise reason from None
    try:
        with Image.open(io.BytesIO(file), formats=['AVIF']) as picture:
            return np.asarray(picture.convert('RGB'))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FrameError('compressed_broken', f'An image file is broken: {error}') from error
