# SPDX-License-Identifier: Apache-2.0
"""The pictures of chosen frames of a drive: the camera's image under the colours of its labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

import cv2
import numpy as np

from seg_ros.core.errors import FrameError
from seg_ros.core.image.decoding import decode_image
from seg_ros.core.labels import LabelMap
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.contents import jpeg_pixels, label_pixels, message_stamp_ns
from seg_ros.report.drive import RecordedDrive

__all__ = ['pictures_of', 'thumbnails_of']

ALPHA = 0.5
WIDTH = 480
THUMBNAILS, THUMBNAIL_WIDTH = 60, 200  # a page of some 300 kB more
AT_ONCE = 15  # of them, which are in memory at the camera's size
EARLY_S, LATE_S = 2, 15  # how far from its stamp in the bag a frame is looked for


def thumbnails_of(drive: RecordedDrive) -> list[tuple[float, RgbImage]]:
    """Returns small pictures from all over the drive, each with its time in it, in seconds."""
    count = len(drive.frames)
    chosen = [
        drive.frames[index]
        for index in sorted({round(at) for at in np.linspace(0, count - 1, THUMBNAILS)})
        if count
    ]
    found: dict[int, RgbImage] = {}
    for first in range(0, len(chosen), AT_ONCE):
        stamps_ns = [frame.stamp_ns for frame in chosen[first : first + AT_ONCE]]
        found |= pictures_of(drive, stamps_ns, THUMBNAIL_WIDTH)
    return [(frame.at_s, found[frame.stamp_ns]) for frame in chosen if frame.stamp_ns in found]


def pictures_of(
    drive: RecordedDrive, stamps_ns: Collection[int], width: int = WIDTH
) -> dict[int, RgbImage]:
    """Returns what can be shown of frames, by stamp; nothing for those without a picture.

    An overlay of the node is taken as it is; else the labels are laid over the camera's image,
    and where that was not recorded they are shown alone.
    """
    wanted = set(stamps_ns)
    images: dict[int, RgbImage] = {}
    labels: dict[int, LabelImage] = {}
    overlays: dict[int, RgbImage] = {}
    topics = drive.topics
    if not wanted:
        return {}
    at_s = [frame.at_s for frame in drive.frames if frame.stamp_ns in wanted]
    first_ns = drive.begin_ns + int((min(at_s, default=0.0) - LATE_S) * NS_PER_S)
    last_ns = drive.begin_ns + int((max(at_s, default=0.0) + EARLY_S) * NS_PER_S)
    bag = BagRecording(drive.path)  # how far it can be read, the drive knows
    names = {topics.overlay} if topics.overlay else {topics.label, *topics.images}
    for row in bag.messages(names, first_ns, last_ns):
        message = bag.read(row)
        stamp_ns = message_stamp_ns(message)
        if stamp_ns not in wanted:
            continue
        if row.topic == topics.overlay:
            with suppress(FrameError):
                overlays[stamp_ns] = jpeg_pixels(message)
        elif row.topic == topics.label:
            labels[stamp_ns] = label_pixels(message)
        elif stamp_ns not in images:
            with suppress(FrameError):  # the report says elsewhere that it has no labels
                images[stamp_ns] = decode_image(message).rgb()
    found = overlays or _laid_over(images, labels, drive.label_map)
    return {stamp_ns: _small(picture, width) for stamp_ns, picture in found.items()}


def _laid_over(
    images: Mapping[int, RgbImage], labels: Mapping[int, LabelImage], label_map: LabelMap | None
) -> dict[int, RgbImage]:
    found = dict(images)
    for stamp_ns, label in labels.items() if label_map is not None else ():
        colours = cv2.applyColorMap(label, label_map.colour_lut_rgb()) if label_map else label
        image = images.get(stamp_ns)
        if image is None or image.shape[:2] != label.shape:
            found[stamp_ns] = np.asarray(colours, np.uint8)
        else:
            mixed = cv2.addWeighted(colours, ALPHA, image, 1.0 - ALPHA, 0.0)
            found[stamp_ns] = np.asarray(mixed, np.uint8)
    return found


def _small(picture: RgbImage, width: int) -> RgbImage:
    size_wh = width, max(1, round(picture.shape[0] * width / picture.shape[1]))
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
