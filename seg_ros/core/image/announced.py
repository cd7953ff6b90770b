# SPDX-License-Identifier: Apache-2.0
"""What the first bytes of an image file say of it, before any decoder runs.

A decoder makes room for the size that a file announces: a JPEG of 631 bytes can announce
32767 x 32767 pixels, which cost seven gigabytes and two minutes. So the size is read here, and
what is larger than allowed is refused. The kind of a file is told by its bytes alone, never by
its name.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from seg_ros.core.errors import FrameError

__all__ = [
    'KINDS', 'MAX_PIXELS', 'Announced', 'announced', 'as_stored', 'check_pixels',
    'has_more_pictures', 'is_turned',
]  # fmt: skip

MAX_PIXELS = 7680 * 4320  # 8K UHD, the largest format of video; cameras of robots have a tenth

JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, less DHT, JPG and DAC
JPEG_SCAN = 0xDA
JPEG_ALONE = {0x01, *range(0xD0, 0xDA)}  # markers without a length: TEM, RST, SOI, EOI
# Each scan of a progressive JPEG costs a pass over the whole picture, and may have no bytes
MOST_SCANS = 32  # jpegtran and mozjpeg write up to a dozen
NEAR = 64  # hits that are looked at where the place of a size is not fixed
GIF_PICTURE, GIF_END = 0x2C, 0x3B
WEBP_MOVES = 0x02
TIFF_SIZES = 256, 322  # the tags of the widths of picture and tile; each height follows
EXIF_ORIENTATION, EXIF_UPRIGHT = 0x0112, 1
AVIF_TURN = re.compile(rb'irot[\x00-\x03]|imir')
HEAD = 4096  # bytes in which an AVIF has its properties, and every kind says what it is
PNM_HEAD = re.compile(rb'P[1-6](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s')


class Announced(NamedTuple):
    """What a file says of itself.

    Attributes:
        kind: One of ``KINDS``.
        width: Pixels; 0 where it does not say.
        height: Pixels; 0 where it does not say.
        scans: Passes over the whole picture that it asks for; 1 but for some JPEGs.
    """

    kind: str
    width: int
    height: int
    scans: int = 1


def announced(file: bytes) -> Announced | None:
    """Returns what an image file says of itself, None where it is none that is known."""
    for kind, (is_kind, size_of) in READERS.items():
        if is_kind(file):
            try:
                width, height = size_of(file)
            except struct.error:  # it ends before
                width = height = 0
            scans = file.count(b'\xff\xda') if kind == 'jpeg' else 1
            return Announced(kind, width, height, scans)
    return None


def check_pixels(width: int, height: int, max_pixels: int, scans: int = 1) -> None:
    """Refuses a picture that would take too much.

    Raises:
        FrameError: Of the kind size_too_large.
    """
    if width * height > max_pixels:
        raise FrameError(
            'size_too_large',
            f'The image is {width}x{height} pixels, allowed are {max_pixels} in all. Make it '
            'smaller in the camera driver, or allow more: max_image_pixels.',
        )
    if scans > MOST_SCANS:
        raise FrameError(
            'size_too_large',
            f'The image is a JPEG of {scans} scans, up to {MOST_SCANS} are read. Save it again.',
        )


def has_more_pictures(file: bytes) -> bool:
    """Returns whether an image file holds more pictures than the one that is read of it.

    That is so of an animation (GIF, WebP, PNG, AVIF) and of a TIFF with several pages.
    """
    try:
        if file.startswith((b'GIF87a', b'GIF89a')):
            return _gif_has_more(file)
        if file[:4] == b'RIFF':
            return file[12:16] == b'VP8X' and bool(file[20] & WEBP_MOVES)
        if file.startswith(b'\x89PNG'):
            return 0 <= file.find(b'acTL') < file.find(b'IDAT')  # it must come before
        if file.startswith((b'II*\0', b'MM\0*')):
            order = '<' if file[:2] == b'II' else '>'
            (at,) = struct.unpack_from(f'{order}I', file, 4)
            (count,) = struct.unpack_from(f'{order}H', file, at)
            return struct.unpack_from(f'{order}I', file, at + 2 + 12 * count) != (0,)
        return file[4:12] == b'ftypavis'
    except (struct.error, IndexError):  # it ends before
        return False


def _gif_has_more(file: bytes) -> bool:
    at = 13 + _gif_colours(file[10])
    pictures = 0
    while file[at] != GIF_END:
        if file[at] == GIF_PICTURE:
            pictures += 1
            if pictures > 1:
                return True
            at += 10 + _gif_colours(file[at + 9]) + 1
        else:
            at += 2  # an extension and its label
        while file[at]:  # blocks, each after its length; an empty one is the last
            at += 1 + file[at]
        at += 1
    return False


def _gif_colours(flags: int) -> int:
    """Bytes of a colour table, 0 without one."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def is_turned(file: bytes) -> bool:
    """Returns whether a photograph asks to be turned or mirrored before people look at it."""
    said = announced(file[:HEAD])
    kind = '' if said is None else said.kind
    if kind == 'tiff':
        return _orientation(file) not in (0, EXIF_UPRIGHT)
    if kind == 'avif':  # of its properties irot turns by quarters and imir mirrors
        return any(turn != b'irot\0' for turn in AVIF_TURN.findall(file, 0, HEAD))
    for start in (b'Exif\0\0', b'eXIf', b'EXIF'):  # JPEG and some WebP; PNG; WebP
        at = file.find(start)
        if at >= 0:
            at += len(start) + (4 if start == b'EXIF' else 0)
            return _orientation(file[at : at + 65536]) not in (0, EXIF_UPRIGHT)
    return False


def as_stored(file: bytes) -> bytes:
    """Returns an image file with the pixels as they lie in it for every decoder.

    OpenCV and Pillow leave what EXIF says aside as they are asked to, but turn a TIFF always.
    """
    order = {b'II*\0': '<', b'MM\0*': '>'}.get(file[:4])
    if order is None or _tiff_numbers(file, order).get(EXIF_ORIENTATION, 0) in (0, EXIF_UPRIGHT):
        return file
    made = bytearray(file)
    for tag, kind, at in _tiff_places(file, order):
        if tag == EXIF_ORIENTATION:
            struct.pack_into(f'{order}{"HI"[kind - 3]}', made, at, EXIF_UPRIGHT)
    return bytes(made)


def _orientation(tiff: bytes) -> int:
    order = {b'II': '<', b'MM': '>'}.get(tiff[:2])
    return _tiff_numbers(tiff, order).get(EXIF_ORIENTATION, 0) if order else 0


def _tiff_numbers(tiff: bytes, order: str) -> dict[int, int]:
    """Returns the single numbers of the first directory by their tags."""
    found: dict[int, int] = {}
    for tag, kind, at in _tiff_places(tiff, order):
        (number,) = struct.unpack_from(f'{order}{"HI"[kind - 3]}', tiff, at)
        # Of a tag that comes twice libtiff takes one: the larger one is counted
        found[tag] = max(found.get(tag, 0), number)
    return found


def _tiff_places(tiff: bytes, order: str) -> Iterator[tuple[int, int, int]]:
    """Yields tag, kind and place of the single numbers of the first directory."""
    try:
        (at,) = struct.unpack_from(f'{order}I', tiff, 4)
        (count,) = struct.unpack_from(f'{order}H', tiff, at)
        for row in range(count):
            tag, kind, _ = struct.unpack_from(f'{order}HHI', tiff, at + 2 + 12 * row)
            place = at + 10 + 12 * row
            if kind in (3, 4) and place + 4 <= len(tiff):  # short, long
                yield tag, kind, place
    except struct.error:  # it ends before; what was found counts
        return


def _jpeg(file: bytes) -> tuple[int, int]:
    at = 2
    while True:
        at = file.find(b'\xff', at)  # libjpeg skips what lies between two markers, too
        if at < 0:
            return 0, 0
        while file[at : at + 1] == b'\xff':  # any number of them
            at += 1
        marker = file[at] if at < len(file) else JPEG_SCAN
        at += 1
        if marker in JPEG_SIZES:
            height, width = struct.unpack_from('>HH', file, at + 3)
            return width, height
        if marker == JPEG_SCAN:
            return 0, 0
        if marker and marker not in JPEG_ALONE:
            (length,) = struct.unpack_from('>H', file, at)
            at += max(2, length)


def _png(file: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from('>II', file, 16)
    return width, height


def _webp(file: bytes) -> tuple[int, int]:
    chunk = file[12:16]
    if chunk == b'VP8X':
        width, height = (1 + int.from_bytes(file[at : at + 3], 'little') for at in (24, 27))
        return width, height
    if chunk == b'VP8L':
        (bits,) = struct.unpack_from('<I', file, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from('<HH', file, 26)
    return width & 0x3FFF, height & 0x3FFF


def _avif(file: bytes) -> tuple[int, int]:
    """The largest of all sizes that it names: of the picture, of its tiles, of its alpha.

    What names more than ``NEAR`` of them says nothing: the one that counts could be the last.
    """
    sizes = [(0, 0)]
    at = file.find(b'ispe')
    while at >= 0 and len(sizes) <= NEAR:
        width, height = struct.unpack_from('>II', file, at + 8)
        sizes.append((width, height))
        at = file.find(b'ispe', at + 4)
    if at >= 0:
        return 0, 0
    return max(sizes, key=lambda size: size[0] * size[1])


def _bmp(file: bytes) -> tuple[int, int]:
    if file[14:18] == b'\x0c\0\0\0':  # of OS/2
        width, height = struct.unpack_from('<HH', file, 18)
    else:
        width, height = struct.unpack_from('<ii', file, 18)
    return abs(width), abs(height)  # upside down where negative


def _gif(file: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from('<HH', file, 6)
    return width, height


def _tiff(file: bytes) -> tuple[int, int]:
    """The larger one of the picture and of its tiles: OpenCV makes room for a whole tile."""
    numbers = _tiff_numbers(file, '<' if file[:2] == b'II' else '>')
    picture, tile = ((numbers.get(tag, 0), numbers.get(tag + 1, 0)) for tag in TIFF_SIZES)
    is_said = picture[0] * picture[1]
    return max(picture, tile, key=lambda size: size[0] * size[1]) if is_said else (0, 0)


def _pnm(file: bytes) -> tuple[int, int]:
    head = PNM_HEAD.match(file[:4096])
    return (int(head[1]), int(head[2])) if head else (0, 0)


def _starts(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda file: file.startswith(starts)


# By kind: whether a file is of it, and how its size is read
READERS: dict[str, tuple[Callable[[bytes], bool], Callable[[bytes], tuple[int, int]]]] = {
    'jpeg': (_starts(b'\xff\xd8\xff'), _jpeg),
    'png': (_starts(b'\x89PNG\r\n\x1a\n'), _png),
    'webp': (lambda file: file[:4] == b'RIFF' and file[8:12] == b'WEBP', _webp),
    'avif': (lambda file: file[4:8] == b'ftyp' and file[8:12] in (b'avif', b'avis'), _avif),
    'bmp': (_starts(b'BM'), _bmp),
    'gif': (_starts(b'GIF87a', b'GIF89a'), _gif),
    'tiff': (_starts(b'II*\0', b'MM\0*'), _tiff),
    'pnm': (lambda file: PNM_HEAD.match(file[:4096]) is not None, _pnm),
}
KINDS = tuple(READERS)
