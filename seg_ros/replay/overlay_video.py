# SPDX-License-Identifier: Apache-2.0
"""The annotated video of a finished replay: its images beside its labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from seg_ros.core.image.camera_image import Frame
from seg_ros.core.types import LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.engine import Engine
from seg_ros.pictures.annotated_frame import AnnotatedFrame
from seg_ros.pictures.moment import PicturedMoment
from seg_ros.pictures.video_writer import VideoWriter, best_format
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.contents import label_pixels, message_stamp_ns
from seg_ros.recordings.recording import Recording
from seg_ros.replay.outputs import NODE
from seg_ros.replay.stages import Event

__all__ = ['overlay_video']

DEFAULT_RATE_HZ = 10.0


def overlay_video(
    path: Path, bag: Path, events: Iterator[Event], engine: Engine, alpha: float
) -> Path:
    """Writes the video of the first camera; returns the file, whose suffix is the format's.

    Args:
        path: The file, with any suffix.
        bag: The finished bag, which has the labels.
        events: Of the recording, which has the images.
        engine: Names the classes.
        alpha: Opacity of the label colours.
    """
    colours = engine.label_map.colour_lut_rgb()
    video_format = best_format()
    written = BagRecording(bag)
    rate_hz, every = _rate(written, video_format.max_rate_hz)
    pairs = itertools.islice(_pairs(events, written), 0, None, every)
    first = next(pairs)
    begin_ns, picture = first[0].stamp_ns, first[0].image
    size_wh = picture.width, picture.height
    layout = AnnotatedFrame(f'{engine.name}, replayed', engine.label_map, size_wh)
    with VideoWriter(path, video_format, layout.size_wh, rate_hz / every) as writer:
        for frame, label in itertools.chain([first], pairs):
            image = np.ascontiguousarray(frame.image.rgb())
            overlay = cv2.addWeighted(
                cv2.applyColorMap(label, colours), alpha, image, 1.0 - alpha, 0.0
            )
            elapsed_s = (frame.stamp_ns - begin_ns) / NS_PER_S
            writer.write(layout.draw(PicturedMoment(image, overlay, elapsed_s)))
    return writer.path


def _pairs(events: Iterator[Event], bag: Recording) -> Iterator[tuple[Frame, LabelImage]]:
    """Yields each image of the first camera with its labels, by their stamps."""
    labels = bag.messages([_label_topic(bag)])
    camera = ''
    for event in events:
        if not isinstance(event.content, Frame):
            continue
        camera = camera or event.content.camera
        if event.content.camera != camera:
            continue
        stamp_ns = -1
        while stamp_ns != event.content.stamp_ns:
            message = bag.read(next(labels))
            stamp_ns = message_stamp_ns(message)
        yield event.content, np.ascontiguousarray(label_pixels(message))


def _label_topic(bag: Recording) -> str:
    """That of the first camera."""
    names = (name for name in bag.topics if name.startswith(f'{NODE}/'))
    return next(name for name in names if name.endswith('/label'))


def _rate(bag: Recording, max_rate_hz: float) -> tuple[float, int]:
    """The rate of the labels, and how many of them make one picture of the video."""
    count = bag.topics[_label_topic(bag)].message_count
    seconds = (bag.end_ns - bag.begin_ns) / NS_PER_S
    rate_hz = (count - 1) / seconds if count > 1 and seconds > 0.0 else DEFAULT_RATE_HZ
    return rate_hz, max(1, round(rate_hz / max_rate_hz))
