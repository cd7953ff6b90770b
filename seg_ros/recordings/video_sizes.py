# SPDX-License-Identifier: Apache-2.0
"""Where the pictures of a video get another size: OpenCV stretches them to the first one unasked.

An encoded video says the size of its pictures in a parameter set, and says it again where that
changes. OpenCV can hand out the packets as they lie in the file, which costs little beside
decoding them. A packet with a parameter set that was not seen before is opened as a video of its
own, so that its size is told by the decoder that would show it. Of Motion JPEG each packet is a
picture file, which announces its size itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import cv2

from seg_ros.core.image.announced import announced

__all__ = ['LOOK_BEHIND', 'SizeChange', 'first_size_change']

LOOK_BEHIND = 256  # tries to find something behind what cannot be read
CODES = {
    '.h264': (b'avc1', b'avc3', b'h264', b'x264', b'\x1b\0\0\0'),
    '.hevc': (b'hvc1', b'hev1', b'hevc', b'h265', b'x265', b'\x24\0\0\0'),
    '.m4v': (b'mp4v', b'fmp4', b'xvid', b'divx', b'dx50', b'mpeg', b'\x10\0\0\0'),
}
MOTION_JPEG = (b'mjpg', b'mjpa', b'mjpb', b'jpeg', b'\x6c\0\0\0')
START = b'\0\0\1'
VOP = START + b'\xb6'  # a picture of MPEG-4; OpenCV 4.5 calls MPEG-1 and 2 'mpeg', too


class ParameterSets(NamedTuple):
    """How the parameter sets of a codec begin.

    Attributes:
        begin: A regular expression of the bytes behind the start code.
        mask: Those bits of the first byte that tell the kind of a set.
        size: The kind that tells the size.
    """

    begin: bytes
    mask: int
    size: int

    def kind(self, parameter_set: bytes) -> int:
        return parameter_set[0] & self.mask


# NAL units 7 and 8 of H.264 (ITU-T H.264, 7.3.1); 32 to 34 of layer 0 of HEVC (H.265, 7.3.1.2);
# video_object_layer of MPEG-4 (ISO/IEC 14496-2, 6.2.3)
SETS = {
    '.h264': ParameterSets(rb'[\x07\x08\x27\x28\x47\x48\x67\x68]', 0x1F, 7),
    '.hevc': ParameterSets(rb'[\x40\x42\x44][\x00-\x07]', 0x7E, 33 << 1),
    '.m4v': ParameterSets(rb'[\x20-\x2f]', 0xF0, 0x20),
}


class SizeChange(NamedTuple):
    """From where on pictures have another size.

    Attributes:
        number: Of the first packet that has; no more pictures come before it.
        at_ms: When that is shown, by OpenCV's time; 0 where OpenCV does not tell (before 4.6), or
            where it is not behind all that comes before it.
        before: Width and height until there.
        after: Those from there on; None where they cannot be told.
    """

    number: int
    at_ms: float
    before: tuple[int, int]
    after: tuple[int, int] | None

    def has_come(self, number: int, at_ms: float) -> bool:
        """Returns whether a picture is one of those, by how many came before it and its time."""
        return number >= self.number or 0.0 < self.at_ms <= at_ms


def first_size_change(path: Path, until_ms: float = math.inf) -> SizeChange | None:
    """Returns where the pictures of a video first get another size.

    Args:
        path: The video.
        until_ms: No further than to this time it is looked at, where OpenCV tells times.

    Returns:
        None where all have one size, and where that cannot be told: of other codecs than H.264,
        HEVC, MPEG-4 and Motion JPEG, and without FFMPEG.
    """
    packets = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    try:
        code = int(packets.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, 'little', signed=True).lower()
        kind = next((kind for kind, codes in CODES.items() if code in codes), None)
        if packets.get(cv2.CAP_PROP_FORMAT) != -1:
            return None
        packets.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # the size as it is coded
        if code in MOTION_JPEG:
            return _first_change_of_jpegs(packets, until_ms)
        return None if kind is None else _first_change(packets, kind, until_ms)
    finally:
        packets.release()


def _first_change_of_jpegs(packets: cv2.VideoCapture, until_ms: float) -> SizeChange | None:
    size: tuple[int, int] | None = None
    for number, (at_ms, packet) in enumerate(_packets(packets, until_ms)):
        told = announced(packet)
        if told is not None and told.width:  # what is cut off says none
            found = told.width, told.height
            if size is None:
                size = found
            elif found != size:
                return SizeChange(number, at_ms, size, found)
    return None


def _first_change(packets: cv2.VideoCapture, kind: str, until_ms: float) -> SizeChange | None:
    sets = SETS[kind]
    a_set = re.compile(rb'\x00\x00\x01(%b.*?)(?=\x00\x00[\x00\x01]|\Z)' % sets.begin, re.DOTALL)
    known: set[bytes] = set()  # those of one size
    waiting = b''  # sets without a picture that tells their size
    size = _size_of(packets)
    newest_ms = 0.0
    waited = 0
    for number, (at_ms, data) in enumerate(_packets(packets, until_ms)):
        packet = waiting + data
        new = {found for found in a_set.findall(packet) if found not in known}
        kinds = {sets.kind(found) for found in new}
        if sets.size in kinds and (kind != '.m4v' or VOP in packet):
            # A filter of FFMPEG may put those of the file's header behind the newer ones
            old = {found for found in known if sets.kind(found) in kinds}
            packet = _without(packet, a_set, old)
            told = _opened_size(packet, kind)
            if number == 0:  # a header may crop what its codec does not
                size = told = told or size
            waited += 1
            if told is None and waited < LOOK_BEHIND:
                waiting = b''.join(START + found for found in a_set.findall(packet))
            elif told != size:
                return SizeChange(number, at_ms if at_ms > newest_ms else 0.0, size, told)
            else:
                known |= new
                waiting, waited = b'', 0
        newest_ms = max(newest_ms, at_ms)
    return None


def _packets(packets: cv2.VideoCapture, until_ms: float) -> Iterator[tuple[float, bytes]]:
    """Yields time and bytes of each packet, also behind some that cannot be read."""
    missed = 0
    while missed < LOOK_BEHIND:
        good, data = packets.read()
        if not good:
            missed += 1
            continue
        missed = 0
        at_ms = packets.get(cv2.CAP_PROP_POS_MSEC)
        if at_ms > until_ms:
            return
        yield at_ms, data.tobytes()


def _without(packet: bytes, a_set: re.Pattern[bytes], old: set[bytes]) -> bytes:
    """Returns a packet without some of its parameter sets."""
    return a_set.sub(lambda found: b'' if found[1] in old else found[0], packet)


def _opened_size(packet: bytes, kind: str) -> tuple[int, int] | None:
    """Returns the size of a packet's pictures as OpenCV tells it, None where it does not."""
    try:
        with NamedTemporaryFile(suffix=kind) as file:
            file.write(packet)
            file.flush()
            capture = cv2.VideoCapture(file.name, cv2.CAP_FFMPEG)
            try:
                size = _size_of(capture)
            finally:
                capture.release()
    except OSError:  # no room for it
        return None
    return size if all(size) else None


def _size_of(capture: cv2.VideoCapture) -> tuple[int, int]:
    width, height = (
        int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    return width, height
