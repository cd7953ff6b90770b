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
from seg_ros.pictures.moment import Moment
from seg_ros.pictures.video_writer import VideoWriter, best_format
from seg_ros.recordings.bags import open_bag
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
    rate_hz, every = _rate(bag, video_format.max_rate_hz)
    pairs = itertools.islice(_pairs(events, bag), 0, None, every)
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
            writer.write(layout.draw(Moment(image, overlay, elapsed_s)))
    return writer.path


def _pairs(events: Iterator[Event], bag: Path) -> Iterator[tuple[Frame, LabelImage]]:
    """Yields each image of the first camera with its labels, by their stamps."""
    with open_bag(bag) as reader:
        rows = [row for row in reader.connections if _is_label(row.topic)][:1]
        labels = reader.messages(rows)
        camera = ''
        for event in events:
            if not isinstance(event.content, Frame):
                continue
            camera = camera or event.content.camera
            if event.content.camera != camera:
                continue
            stamp_ns = -1
            while stamp_ns != event.content.stamp_ns:
                row, _, data = next(labels)
                message = reader.deserialize(data, row.msgtype)
                stamp_ns = message.header.stamp.sec * NS_PER_S + message.header.stamp.nanosec
            yield event.content, message.data.reshape(message.height, message.width)


def _is_label(topic: str) -> bool:
    return topic.startswith(f'{NODE}/') and topic.endswith('/label')


def _rate(bag: Path, max_rate_hz: float) -> tuple[float, int]:
    """The rate of the labels, and how many of them make one picture of the video."""
    with open_bag(bag) as reader:
        count = max(row.msgcount for row in reader.connections if _is_label(row.topic))
        seconds = (reader.end_time - reader.start_time) / NS_PER_S
    rate_hz = (count - 1) / seconds if count > 1 and seconds > 0.0 else DEFAULT_RATE_HZ
    return rate_hz, max(1, round(rate_hz / max_rate_hz))
