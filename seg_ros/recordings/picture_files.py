# SPDX-License-Identifier: Apache-2.0
"""A video or a folder of images as a recording: one camera, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.image.announced import (
    KINDS,
    MAX_PIXELS,
    announced,
    check_pixels,
    has_more_pictures,
    is_turned,
)
from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_MS, NS_PER_S
from seg_ros.files import open_regular
from seg_ros.messages.conversions import compressed_message, header_of
from seg_ros.messages.plain import plain_type, serialised, typestore
from seg_ros.recordings.image_file import (
    TURNED,
    in_natural_order,
    is_image,
    picture_of,
    read_image,
)
from seg_ros.recordings.recording import (
    COMPRESSED,
    RAW,
    RecordedMessage,
    RecordedTopic,
    Recording,
)
from seg_ros.recordings.video_sizes import LOOK_BEHIND, SizeChange, first_size_change

__all__ = ['FolderRecording', 'VideoRecording']

TOPIC = '/camera/image/compressed'
FRAME_ID = 'camera_optical'
VIDEO_RATE_HZ = 30.0  # of files that do not say theirs
FOLDER_RATE_HZ = 5.0  # photographs are shown slowly
VIDEO_BEGINS = (
    ('mp4', 4, (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip')),
    ('avi', 8, (b'AVI ',)),
)
COUNTED = ('mp4', 'avi')  # whose headers count pictures; of others it is a guess from the length
MOST_BOXES = 1000  # of an mp4 file, at its top; fragments have two each
FURTHER_NS = 10 * NS_PER_S  # decoders read ahead of the end of a span
SHORT_NS = NS_PER_S // 2  # what is missing at the end is no more than rounding
JPEG_QUALITY = 90  # of the copy of a video's pictures in the bag
KEPT_AS_THEY_ARE = ('jpeg', 'png')  # whatever reads bags reads these
NAMED_AS_IMAGES = (
    '.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.avif', '.bmp', '.gif', '.tif', '.tiff',
    '.ppm', '.pgm', '.pnm', '.heic', '.heif', '.jp2', '.j2k', '.jxl', '.exr', '.hdr', '.dng',
    '.cr2', '.cr3', '.nef', '.arw', '.raw',
)  # fmt: skip


class PictureRecording(Recording):
    """What both have in common: pictures at a steady rate.

    Args:
        path: Where they are.
        name: What they are, for people.
        count: How many there are.
        rate_hz: Of the pictures.
    """

    def __init__(self, path: Path, name: str, count: int, rate_hz: float) -> None:
        super().__init__(path, name)
        self._period_ns = NS_PER_S / rate_hz
        self._why: dict[int, FrameError] = {}  # some messages have nothing in them
        self.topics = {TOPIC: RecordedTopic(COMPRESSED, count)}
        self.end_ns = max(1, round(count * self._period_ns))

    def read(self, message: RecordedMessage) -> Any:
        if message.picture is None:
            if not message.data:
                raise self._why[message.number]
            return typestore().deserialize_cdr(message.data, COMPRESSED)
        height, width = message.picture.shape[:2]
        return plain_type(RAW)(
            header=header_of(message.recorded_ns, FRAME_ID),
            height=height,
            width=width,
            encoding='rgb8',
            step=3 * width,
            data=message.picture.reshape(-1),
        )

    def typestore(self) -> Any:
        return typestore()


class VideoRecording(PictureRecording):
    """The pictures of a video.

    Args:
        path: The file.
        rate_hz: Pictures a second; None shows each at its own time.

    Raises:
        ConfigurationError: OpenCV cannot read it, or its pictures are too large.
    """

    def __init__(self, path: Path, rate_hz: float | None = None) -> None:
        capture = cv2.VideoCapture(str(path))
        try:
            if capture.isOpened():
                _check_size(path, capture)
            if not (capture.isOpened() and capture.grab()):
                raise ConfigurationError(
                    f'{path} was to be played as a video, but OpenCV reads no picture from it. '
                    f'{_advice(path)}'
                )
            own_rate_hz = capture.get(cv2.CAP_PROP_FPS)
            count = int(max(1, capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        finally:
            capture.release()
        if not 0.1 <= own_rate_hz <= 1000.0:
            own_rate_hz = VIDEO_RATE_HZ
        super().__init__(path, path.name, count, rate_hz or own_rate_hz)
        self._is_steady = rate_hz is not None
        self._told_ns = count * NS_PER_S / own_rate_hz  # how long it is by its header
        self._own_period_ns = NS_PER_S / own_rate_hz
        self._counted = count if _kind_of_video(path) in COUNTED else 0

    def messages(
        self, topics: Collection[str], first_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RecordedMessage]:
        # The count of a video may be a guess: who wants all of it gets all that is there.
        last_ns = math.inf if end_ns is None or end_ns >= self.end_ns else end_ns
        timed = self._timed_pictures(last_ns) if TOPIC in topics else ()
        for number, (stamp_ns, picture) in enumerate(timed):
            if stamp_ns >= last_ns:
                return
            if stamp_ns >= (first_ns or 0):
                yield RecordedMessage(TOPIC, number, stamp_ns, b'', picture)

    def picture(self, message: RecordedMessage) -> RgbImage:
        assert message.picture is not None
        return message.picture

    def copy(self, message: RecordedMessage) -> bytes:
        assert message.picture is not None
        jpeg: Any = compressed_message(message.picture, JPEG_QUALITY)
        jpeg.header = header_of(message.recorded_ns, FRAME_ID)
        return serialised(jpeg, COMPRESSED)

    def _timed_pictures(self, last_ns: float) -> Iterator[tuple[int, RgbImage]]:
        """Yields pictures and when each is shown: not every video has a steady rate.

        Args:
            last_ns: So far they are wanted.
        """
        until_ns = math.inf if self._is_steady else last_ns + FURTHER_NS
        change = first_size_change(self.path, until_ns / NS_PER_MS)
        if change is not None and not self._is_bearable(change):
            return
        capture = cv2.VideoCapture(str(self.path))
        stamp_ns: int | None = None
        first_ms = at_ms = 0.0
        missed = number = 0
        try:
            while missed < LOOK_BEHIND:
                good, bgr = capture.read()
                if not good:  # behind what is damaged there may be more
                    missed += 1
                    continue
                if missed:
                    self.tell(f'{self.path} is damaged; it is read on behind that.')
                    missed = 0
                shown_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
                if change is not None and change.has_come(number, shown_ms):
                    break
                at_ms = shown_ms
                if stamp_ns is None:
                    first_ms, stamp_ns = at_ms, 0
                elif self._is_steady:
                    stamp_ns = round(number * self._period_ns)
                else:
                    stamp_ns = self._shown_after(stamp_ns, round((at_ms - first_ms) * NS_PER_MS))
                number += 1
                yield stamp_ns, np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        finally:
            capture.release()
        if change is None:
            self._tell_missing(number, round(at_ms * NS_PER_MS))
        else:
            self._tell_change(change, number, stamp_ns or 0)

    def _is_bearable(self, change: SizeChange) -> bool:
        """Returns whether pictures stay small enough, and says where not.

        A decoder reads ahead: it would decode those that are too large for the last ones before.
        """
        try:
            check_pixels(*(change.after or change.before), self.max_image_pixels)
        except FrameError as error:
            self.tell(
                f'{self.path} is not read: its picture {change.number + 1} and maybe others are '
                f'too large. {error} Or take what comes before: '
                f'ffmpeg -i FILE -frames:v {change.number} new.mp4'
            )
            return False
        return True

    def _tell_change(self, change: SizeChange, number: int, last_ns: int) -> None:
        """Says where pictures have another size, which OpenCV would stretch to the first one.

        Args:
            change: Where.
            number: Of the pictures that were read.
            last_ns: The time of the last one.
        """
        width, height = change.before
        after = 'a size that it does not tell'
        if change.after is not None:
            after = f'{change.after[0]}x{change.after[1]} pixels'
        self.tell(
            f'{self.path} is read up to its picture {number}, at {last_ns / NS_PER_S:.1f} s: the '
            f'next one has {after} instead of {width}x{height}. Bring all to one size: '
            f'ffmpeg -i FILE -vf scale={width}:{height} new.mp4 (or cut the rest out, and play it '
            'by itself).'
        )

    def _tell_missing(self, number: int, last_ns: int) -> None:
        """Says how much less was read than the header tells of.

        Args:
            number: Of pictures.
            last_ns: When the last one is shown, by the file's own times.
        """
        last_ns = max(last_ns, round((number - 1) * self._own_period_ns))
        missing_ns = self._told_ns - last_ns - self._own_period_ns
        if missing_ns > max(SHORT_NS, 2 * self._own_period_ns):
            self.tell(
                f'The last picture of {self.path} is at {last_ns / NS_PER_S:.1f} s, but its '
                f'header tells of {self._told_ns / NS_PER_S:.1f} s: it is cut off or damaged, or '
                'begins late.'
            )
        if number < self._counted:
            self.tell(
                f'Of {self._counted} pictures that the header of {self.path} counts {number} can '
                'be read.'
            )

    def _shown_after(self, last_ns: int, shown_ns: int) -> int:
        if shown_ns > last_ns:
            return shown_ns
        self.tell(
            f'Pictures of {self.path} have no times that go on; by its rate of '
            f'{NS_PER_S / self._period_ns:.2f} a second they are shown there.'
        )
        return round(last_ns + self._period_ns)


class FolderRecording(PictureRecording):
    """The images of a folder, in the natural order of their names: ``img2`` before ``img10``.

    What is an image, and of which kind, its content says.

    Args:
        path: The folder, or a single image; what is no image in it is left alone.
        rate_hz: Images a second; None takes 5.

    Raises:
        ConfigurationError: There is no image in it.
    """

    def __init__(self, path: Path, rate_hz: float | None = None) -> None:
        is_folder = path.is_dir()
        files = in_natural_order(list(path.iterdir())) if is_folder else [path]
        files = [file for file in files if not file.is_dir()]
        self._files = [file for file in files if is_image(file)]
        if not self._files:
            msg = (
                f'{path} was to be played as images, but none of its {len(files)} files is an '
                f'image that can be read. Name a folder of {", ".join(KINDS)} files.'
            )
            raise ConfigurationError(msg)
        super().__init__(path, path.resolve().name, len(self._files), rate_hz or FOLDER_RATE_HZ)
        images = set(self._files)
        for file in files:
            if file not in images and file.suffix.lower() in NAMED_AS_IMAGES:
                self.tell(f'{file} is left out: by its content it is no image that can be read.')
        self._is_turned = self._has_more = False  # whether that was told

    def tell_rate(self) -> None:
        """Tells at which rate they are played where nobody says one: images have no times."""
        if len(self._files) > 1:
            self.tell(
                f'The images of {self.name} have no times: {FOLDER_RATE_HZ:g} a second are '
                'assumed. --rate says another.'
            )

    def messages(
        self, topics: Collection[str], first_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RecordedMessage]:
        end_ns = self.end_ns if end_ns is None else end_ns
        for number, file in enumerate(self._files if TOPIC in topics else ()):
            stamp_ns = round(number * self._period_ns)
            if (first_ns or 0) <= stamp_ns < end_ns:
                yield self._message(number, file, stamp_ns)

    def picture(self, message: RecordedMessage) -> RgbImage:
        """Returns the pixels of a file as they lie in it."""
        if message.picture is not None:
            return message.picture
        return picture_of(self._read(self._files[message.number]), self.max_image_pixels)

    def copy(self, message: RecordedMessage) -> bytes:
        """Returns a jpeg or png file as it is, else the picture as png."""
        if message.picture is None:
            return message.data
        bgr = cv2.cvtColor(message.picture, cv2.COLOR_RGB2BGR)
        return _compressed('png', cv2.imencode('.png', bgr)[1].tobytes(), message.recorded_ns)

    def place(self, message: RecordedMessage) -> str:
        return f'{super().place(message)} in {self._files[message.number].name}'

    def _message(self, number: int, file: Path, stamp_ns: int) -> RecordedMessage:
        """A file that cannot be read gives a message without anything in it."""
        try:
            data = self._read(file)
            said = announced(data)
            if said is not None and said.kind in KEPT_AS_THEY_ARE:
                return RecordedMessage(
                    TOPIC, number, stamp_ns, _compressed(said.kind, data, stamp_ns)
                )
            picture = picture_of(data, self.max_image_pixels)
        except FrameError as error:
            self._why[number] = error
            return RecordedMessage(TOPIC, number, stamp_ns, b'')
        return RecordedMessage(TOPIC, number, stamp_ns, b'', picture)

    def _read(self, file: Path) -> bytes:
        data = read_image(file)
        if not self._is_turned and is_turned(data):
            self._is_turned = True
            self.tell(f'{file.name}, and maybe others, {TURNED}')
        if not self._has_more and has_more_pictures(data):
            self._has_more = True
            self.tell(
                f'{file.name}, and maybe others, holds several pictures; the first one is taken. '
                'Make a video of it to see all: ffmpeg -i FILE new.mp4'
            )
        return data


def _check_size(path: Path, capture: cv2.VideoCapture) -> None:
    """Refuses a video of gigantic pictures by what its header says, before one is decoded."""
    width, height = (
        capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    try:
        check_pixels(int(width), int(height), MAX_PIXELS)
    except FrameError as error:
        raise ConfigurationError(f'{path} cannot be played: {error}') from error


def _kind_of_video(path: Path) -> str:
    """Returns which of ``VIDEO_BEGINS`` a file begins as; empty if as none."""
    try:
        with open_regular(path) as file:
            head = file.read(12)
    except OSError:
        return ''
    return next((kind for kind, at, words in VIDEO_BEGINS if head[at : at + 4] in words), '')


def _advice(path: Path) -> str:
    """Says what to do with a file that has no picture for OpenCV."""
    if _kind_of_video(path) == 'mp4' and not _has_index(path):
        return (
            'Its index (the box moov) is missing, which a recorder writes last: it was cut off. A '
            'whole video of the same camera helps to mend it: untrunc WHOLE.mp4 FILE'
        )
    return 'Convert it, for example: ffmpeg -i FILE -c:v libx264 -pix_fmt yuv420p new.mp4'


def _has_index(path: Path) -> bool:
    """Returns whether an mp4 file has the box moov, as far as its boxes can be followed."""
    with open_regular(path) as file:
        at = 0
        for _ in range(MOST_BOXES):
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return False
            if head[4:8] == b'moov':
                return True
            size = int.from_bytes(head[:4], 'big')
            size = int.from_bytes(head[8:16], 'big') if size == 1 else size
            if size < 8:  # to the end of the file, or none
                return False
            at += size
    return False


def _compressed(kind: str, data: bytes, stamp_ns: int) -> bytes:
    message = plain_type(COMPRESSED)(
        header=header_of(stamp_ns, FRAME_ID), format=kind, data=np.frombuffer(data, np.uint8)
    )
    return serialised(message, COMPRESSED)
