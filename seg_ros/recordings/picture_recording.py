"""A video or a folder of images as a recording: one camera, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_ros.core.errors import FrameError
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.conversions import compressed_message, header_of
from seg_ros.messages.plain import plain_type, serialised, typestore
from seg_ros.recordings.image_folder import PERIOD_NS, ImageFolder
from seg_ros.recordings.recording import COMPRESSED, RAW, RecordedMessage, RecordedTopic, Span
from seg_ros.recordings.video_file import VideoFile

__all__ = ['FolderRecording', 'VideoRecording', 'picture_copy']

TOPIC = '/camera/image/compressed'
FRAME_ID = 'camera_optical'
JPEG_QUALITY = 90  # of the copy of a video's pictures in the bag
KEPT_AS_THEY_ARE = {'.jpg': 'jpeg', '.jpeg': 'jpeg', '.png': 'png'}


class PictureRecording:
    """What both have in common."""

    begin_ns = 0

    def __init__(self, name: str, count: int, period_ns: float) -> None:
        self.name = name
        self.trouble: list[str] = []
        self.topics = {TOPIC: RecordedTopic(COMPRESSED, count)}
        self._period_ns = period_ns
        self.end_ns = max(1, round(count * period_ns))

    def read(self, message: RecordedMessage) -> Any:
        if message.picture is not None:
            picture = message.picture
            height, width = picture.shape[:2]
            return plain_type(RAW)(
                header=header_of(message.recorded_ns, FRAME_ID),
                height=height,
                width=width,
                encoding='rgb8',
                step=3 * width,
                data=picture.reshape(-1),
            )
        if not message.data:
            raise FrameError('file_broken', 'the file starts like an image, but is broken')
        return typestore().deserialize_cdr(message.data, COMPRESSED)

    def typestore(self) -> Any:
        return typestore()


class VideoRecording(PictureRecording):
    """The pictures of a video.

    Args:
        path: The file.
        rate_hz: Pictures a second; None takes the file's own.

    Raises:
        ConfigurationError: OpenCV cannot read it.
    """

    def __init__(self, path: Path, rate_hz: float | None = None) -> None:
        self._video = VideoFile(path)
        capture = cv2.VideoCapture(str(path))
        count = int(max(0, capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()
        super().__init__(path.name, count, NS_PER_S / (rate_hz or self._video.rate_hz))

    def messages(self, topics: Sequence[str], span: Span) -> Iterator[RecordedMessage]:
        first_ns, end_ns = span.limits_ns(0, self.end_ns)
        is_part = span.duration_s is not None  # the count of a video may be a guess
        for number, frame in enumerate(self._video.frames() if TOPIC in topics else ()):
            stamp_ns = round(number * self._period_ns)
            if is_part and stamp_ns >= end_ns:
                return
            if stamp_ns >= first_ns:
                yield RecordedMessage(TOPIC, number, stamp_ns, b'', frame.image)


class FolderRecording(PictureRecording):
    """The images of a folder, in the order of their names.

    Args:
        path: The folder, or a single image.
        rate_hz: Images a second; None takes 5.

    Raises:
        ConfigurationError: There is no image in it.
    """

    def __init__(self, path: Path, rate_hz: float | None = None) -> None:
        folder = ImageFolder(path)
        self._files = folder.paths
        period_ns = NS_PER_S / rate_hz if rate_hz else PERIOD_NS
        super().__init__(folder.name, len(self._files), period_ns)

    def messages(self, topics: Sequence[str], span: Span) -> Iterator[RecordedMessage]:
        first_ns, end_ns = span.limits_ns(0, self.end_ns)
        for number, path in enumerate(self._files if TOPIC in topics else ()):
            stamp_ns = round(number * self._period_ns)
            if first_ns <= stamp_ns < end_ns:
                yield RecordedMessage(TOPIC, number, stamp_ns, _file_message(path, stamp_ns))


def _file_message(path: Path, stamp_ns: int) -> bytes:
    """The bytes of a jpeg or png file as they are, else the picture as png; empty if broken."""
    kind = KEPT_AS_THEY_ARE.get(path.suffix.lower())
    if kind is not None:
        data = path.read_bytes()
    else:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            return b''
        kind, data = 'png', cv2.imencode('.png', bgr)[1].tobytes()
    message = plain_type(COMPRESSED)(
        header=header_of(stamp_ns, FRAME_ID), format=kind, data=np.frombuffer(data, np.uint8)
    )
    return serialised(message, COMPRESSED)


def picture_copy(message: RecordedMessage) -> bytes:
    """Returns the jpeg of a video's picture, as it is copied into the bag."""
    assert message.picture is not None
    jpeg = compressed_message(message.picture, JPEG_QUALITY)
    jpeg.header = header_of(message.recorded_ns, FRAME_ID)
    return serialised(jpeg, COMPRESSED)
