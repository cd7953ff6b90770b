# SPDX-License-Identifier: Apache-2.0
"""What a bag of the demo says: which images came, what was answered, when, and how rightly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.demo.topics import (
    CLASSES,
    DIAGNOSTICS,
    IMAGE_COMPRESSED,
    LABEL,
    OVERLAY,
    TRUTH,
    TRUTH_CLASSES,
)
from seg_ros.core.errors import SegRosError
from seg_ros.core.image.decoding import decode_compressed
from seg_ros.core.labels import LabelMap
from seg_ros.core.timing import Percentiles
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.core.units import NS_PER_MS, NS_PER_S
from seg_ros.pictures.moment import PicturedMoment
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.contents import json_of, label_map_of, label_pixels, message_stamp_ns

__all__ = ['DemoRecording', 'read_recording', 'summary_of']

UNKNOWN = 255  # a true class that the engine has no name for


@dataclass
class DemoRecording:
    """One run of the demo; stamps in nanoseconds are the keys.

    Attributes:
        label_map: The engine's classes.
        status: The last diagnostics of the camera.
        images: JPEG pictures of the camera.
        overlays: JPEG pictures of the node.
        received_ns: When the label image arrived.
        accuracy: Share of the pixels that are labelled rightly, where the truth is known.
    """

    label_map: LabelMap
    status: Mapping[str, str] = field(default_factory=dict)
    images: dict[int, bytes] = field(default_factory=dict)
    overlays: dict[int, bytes] = field(default_factory=dict)
    received_ns: dict[int, int] = field(default_factory=dict)
    accuracy: dict[int, float] = field(default_factory=dict)

    def shown(self) -> list[int]:
        """Returns the stamps that have an image, its labels and an overlay, in their order."""
        return sorted(self.images.keys() & self.overlays.keys() & self.received_ns.keys())

    def latency_ms(self, stamp_ns: int) -> float:
        """Returns the time from an image's stamp to the arrival of its labels."""
        return (self.received_ns[stamp_ns] - stamp_ns) / NS_PER_MS

    def moment(self, stamp_ns: int) -> PicturedMoment:
        """Returns the pictures of a stamp out of ``shown``."""
        return PicturedMoment(
            _decoded(self.images[stamp_ns]),
            _decoded(self.overlays[stamp_ns]),
            (stamp_ns - min(self.images)) / NS_PER_S,
            self.latency_ms(stamp_ns),
            self.accuracy.get(stamp_ns),
        )


def summary_of(recording: DemoRecording) -> dict[str, Any]:
    """Returns the figures of ``summary.json``.

    Raises:
        SegRosError: The node answered nothing, or said nothing of itself.
    """
    status = recording.status
    if not recording.received_ns or not status:
        raise SegRosError(
            f'The camera sent {len(recording.images)} images, but no label image or no '
            'diagnostics came back. Look at node.log.'
        )
    arrivals_ns = sorted(recording.received_ns.values())
    span_s = (arrivals_ns[-1] - arrivals_ns[0]) / NS_PER_S
    accuracy = list(recording.accuracy.values())
    latency_ms = [recording.latency_ms(stamp_ns) for stamp_ns in recording.received_ns]
    quantiles = Percentiles(*(float(q) for q in np.percentile(latency_ms, (50, 95, 99))))
    return {
        'frames_in': len(recording.images),
        'frames_out': len(recording.received_ns),
        'dropped': int(status['frames_dropped']),
        'fps': round((len(arrivals_ns) - 1) / span_s, 2) if span_s else 0.0,
        'backend': status['backend'],
        'engine': status['engine'],
        'pixel_accuracy': round(float(np.mean(accuracy)), 4) if accuracy else None,
        'latency_ms': {
            'received_to_published': {
                name: round(float(status[f'received_to_published_ms.{name}']), 2)
                for name in Percentiles._fields
            },
            'stamp_to_received': {
                name: round(value, 2) for name, value in quantiles._asdict().items()
            },
        },
    }


def read_recording(bag: Path) -> DemoRecording:
    """Returns what a bag of the demo says.

    Raises:
        SegRosError: The bag cannot be read, or the node never said what its classes are.
    """
    reader = BagRecording(bag)
    classes = json_of(reader, CLASSES)
    if classes is None:
        raise SegRosError(f'{bag} has no message on {CLASSES}: the node never was active.')
    recording = DemoRecording(label_map_of(classes))
    engine_from_truth = _engine_from_truth(recording.label_map, json_of(reader, TRUTH_CLASSES))
    pairs = _Pairs(engine_from_truth, recording.accuracy)
    for row in reader.messages((DIAGNOSTICS, IMAGE_COMPRESSED, OVERLAY, LABEL, TRUTH)):
        message = reader.read(row)
        if row.topic == DIAGNOSTICS:
            recording.status = _camera_status(message) or recording.status
            continue
        stamp_ns = message_stamp_ns(message)
        if row.topic == IMAGE_COMPRESSED:
            recording.images[stamp_ns] = message.data.tobytes()
        elif row.topic == OVERLAY:
            recording.overlays[stamp_ns] = message.data.tobytes()
        else:
            if row.topic == LABEL:
                recording.received_ns[stamp_ns] = row.recorded_ns
            pairs.add(row.topic, stamp_ns, label_pixels(message))
    return recording


class _Pairs:
    """Brings label images and their truth together by stamp.

    Args:
        engine_from_truth: ``uint8 (256,)``, the engine's class of each true class.
        accuracy: Is filled, by stamp.
    """

    def __init__(self, engine_from_truth: NDArray[np.uint8], accuracy: dict[int, float]) -> None:
        self._engine_from_truth = engine_from_truth
        self._accuracy = accuracy
        self._waiting: dict[int, tuple[str, LabelImage]] = {}

    def add(self, topic: str, stamp_ns: int, labels: LabelImage) -> None:
        if stamp_ns not in self._waiting:
            self._waiting[stamp_ns] = topic, labels
            return
        other_topic, other = self._waiting.pop(stamp_ns)
        if other_topic == topic or other.shape != labels.shape:
            return
        truth, label = (labels, other) if topic == TRUTH else (other, labels)
        truth = np.asarray(cv2.LUT(truth, self._engine_from_truth), np.uint8)
        known = truth != UNKNOWN
        if known.any():
            self._accuracy[stamp_ns] = float((label == truth)[known].mean())


def _engine_from_truth(label_map: LabelMap, truth: Mapping[str, Any] | None) -> NDArray[np.uint8]:
    """The engine's class of each true class, by name; true classes it has not are not counted."""
    ids = {row.name: row.id for row in label_map.classes}
    table = np.full(256, UNKNOWN, np.uint8)
    for row in truth['classes'] if truth else ():
        table[row['id']] = ids.get(row['name'], UNKNOWN)
    return table


def _camera_status(message: Any) -> dict[str, str] | None:
    for status in message.status:
        values = {row.key: row.value for row in status.values}
        if 'frames_received' in values:
            return values
    return None


def _decoded(jpeg: bytes) -> RgbImage:
    return decode_compressed(jpeg, 'jpeg').rgb()
