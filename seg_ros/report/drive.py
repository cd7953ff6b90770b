# SPDX-License-Identifier: Apache-2.0
"""Reads a drive out of a bag: every frame, heartbeat and lane status, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.labels import LabelMap
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.units import NS_PER_MS, NS_PER_S
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.contents import (
    json_of,
    label_map_of,
    label_pixels,
    message_stamp_ns,
    nodes_in,
)

__all__ = [
    'DriveTopics',
    'LabelledFrame',
    'LaneMoment',
    'RecordedBeat',
    'RecordedDrive',
    'read_drive',
]

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
BOOL = 'std_msgs/msg/Bool'
STOP = '/pedestrian_stop'
LABEL = '/label'
DIAGNOSTICS = '/diagnostics'
STAMP_BYTES = slice(4, 12)  # behind the head of CDR: seconds and nanoseconds of the header
LITTLE_ENDIAN = 1
NO_LATENCY_MS = 60_000.0  # stamps and times of the recording come from different clocks
TAIL_S, TAIL_KEPT_S = 2.0, 0.2  # images that cease for less at the end are no fault
NAN = float('nan')


@dataclass(frozen=True)
class DriveTopics:
    """The topics of one camera; empty for what the bag does not have.

    Attributes:
        label: Its label images.
        classes: What their numbers mean.
        overlay: JPEG pictures with the label colours.
        stop: The stop of the vehicle.
        stop_status: Its reasons.
        lane_status: Of the lane track.
        diagnostics: Of the node.
        images: What may be the camera itself: every other topic of images.
    """

    label: str
    classes: str
    overlay: str
    stop: str
    stop_status: str
    lane_status: str
    diagnostics: str
    images: tuple[str, ...]


def _find_topics(path: Path, types: Mapping[str, str], camera: str = '') -> DriveTopics:
    """Returns the topics of a camera.

    Args:
        path: Of the bag, for the error.
        types: Type of each topic in it.
        camera: Part of the names that tells several cameras apart.

    Raises:
        ConfigurationError: The node has left nothing in the bag, or more than one camera.
    """
    every_stop = [name for name, kind in types.items() if name.endswith(STOP) and kind == BOOL]
    every_label = [
        name
        for name, kind in types.items()
        if name.endswith(LABEL) and kind == IMAGE and '/truth/' not in name
    ]
    if not every_stop and not every_label:
        msg = (
            f'{path} has neither label images nor a pedestrian stop of the node. Make one with '
            'seg_ros replay, or record the topics of the node.'
        )
        raise ConfigurationError(msg)
    labels = _of_camera(every_label, camera)
    stops = _of_camera(every_stop, camera) if not every_label else every_stop
    if not labels and (every_label or len(stops) != 1):
        names = ', '.join(sorted(every_label or every_stop))
        raise ConfigurationError(f'{path} has {names}. Name one with --camera.')
    if len(labels) > 1:
        msg = f'{path} has {", ".join(sorted(labels))}. Name one with --camera.'
        raise ConfigurationError(msg)
    if labels:  # the stop of the node that made them, and of no other one
        stops = sorted(
            (name for name in stops if labels[0].startswith(f'{name.removesuffix(STOP)}/')),
            key=len,
        )[-1:]
    node = stops[0].removesuffix(STOP) if stops else labels[0].removesuffix(LABEL)
    label = labels[0] if labels else ''
    place = label.removesuffix(LABEL) if label else node

    def there(name: str) -> str:
        return name if name in types else ''

    return DriveTopics(
        label=label,
        classes=there(f'{place}/classes'),
        overlay=there(f'{place}/overlay/compressed'),
        stop=stops[0] if stops else '',
        stop_status=there(f'{node}{STOP}/status'),
        lane_status=there(f'{place}/lane_track/status'),
        diagnostics=there(DIAGNOSTICS),
        images=_images(types, node),
    )


def _of_camera(names: Sequence[str], camera: str) -> list[str]:
    """Returns the topics of a camera: one that is called so, else those with it in their name."""
    exact = [name for name in names if f'/{camera.strip("/")}/' in name]
    return exact or [name for name in names if camera in name]


def _images(types: Mapping[str, str], node: str) -> tuple[str, ...]:
    """Image topics of anybody but a node; those of the same robot, and then raw ones, first."""
    ours = nodes_in(types)
    found: Collection[str] = [
        name
        for name, kind in types.items()
        if kind in (IMAGE, COMPRESSED)
        and not any(name.startswith(f'{row}/') for row in (node, *ours))
        and '/truth/' not in name
    ]
    parts = node.split('/')[:-1]
    return tuple(
        sorted(
            found, key=lambda name: (name.split('/')[: len(parts)] != parts, types[name] != IMAGE)
        )
    )


class LabelledFrame(NamedTuple):
    """A label image.

    Attributes:
        at_s: When it was recorded, since the begin of the bag.
        stamp_ns: Of the camera's image.
        shares: Share of each class of the picture, in the order of the label map.
    """

    at_s: float
    stamp_ns: int
    shares: tuple[float, ...]


class RecordedBeat(NamedTuple):
    """A heartbeat of the stop: when, whether to stop, why, and how far the nearest person is."""

    at_s: float
    stop: bool
    kind: str
    reason: str
    person_m: float


class LaneMoment(NamedTuple):
    """A status of the lane track; numbers are NaN while it is not valid."""

    at_s: float
    valid: bool
    reason: str
    offset_m: float
    heading_rad: float
    curvature_per_m: float
    width_m: float


@dataclass
class RecordedDrive:
    """What a bag says about a drive. Times are seconds since the begin of the bag.

    Attributes:
        path: Of the bag.
        begin_ns: Of the bag.
        topics: Of the node and its camera.
        label_map: None where the bag does not tell.
        frames: Label images in the order of their arrival.
        beats: Of the stop.
        lanes: Of the lane track.
        latency_ms: From the stamp of each frame to the recording of its labels; None where the
            bag is stamped with the stamps of the images, or by another clock.
        images_at_s: Recording time of the camera's images, by stamp.
        node: The last diagnostics of the node; without any its engine, if the bag tells.
        broken: What of the bag could not be read, and why; empty if all could.
        notes: The same, a sentence each.
    """

    path: Path
    begin_ns: int
    topics: DriveTopics
    label_map: LabelMap | None = None
    frames: list[LabelledFrame] = field(default_factory=list)
    beats: list[RecordedBeat] = field(default_factory=list)
    lanes: list[LaneMoment] = field(default_factory=list)
    latency_ms: list[float] | None = None
    images_at_s: dict[int, float] = field(default_factory=dict)
    node: Mapping[str, str] = field(default_factory=dict)
    broken: str = ''
    notes: list[str] = field(default_factory=list)

    @property
    def span_s(self) -> tuple[float, float]:
        """From the first frame to the last thing that was said."""
        firsts = [frame.at_s for frame in self.frames[:1]] or [row.at_s for row in self.beats[:1]]
        lasts = [rows[-1].at_s for rows in (self.frames, self.beats, self.lanes) if rows]
        return (min(firsts), max(lasts)) if firsts else (0.0, 0.0)

    @property
    def dropped_at_s(self) -> list[float]:
        """When images came that never got labels, between the first labels and the last."""
        known = {frame.stamp_ns for frame in self.frames}
        if not known:
            return []
        first, last = min(known), max(known)
        return sorted(
            at_s
            for stamp_ns, at_s in self.images_at_s.items()
            if first < stamp_ns < last and stamp_ns not in known
        )


def read_drive(path: Path, camera: str = '') -> RecordedDrive:
    """Returns the drive of a bag that has the node's topics.

    Raises:
        ConfigurationError: It is no bag, or the node has left nothing in it.
    """
    bag = BagRecording(path)
    types = {name: row.type_name for name, row in bag.topics.items() if row.message_count}
    topics = _find_topics(path, types, camera)
    drive = RecordedDrive(path, bag.begin_ns, topics)
    if topics.classes and (classes := json_of(bag, topics.classes)) is not None:
        drive.label_map = label_map_of(classes)
        drive.node = {'engine': classes['engine']} if 'engine' in classes else {}
    wanted = {
        topics.label, topics.stop, topics.stop_status, topics.lane_status, topics.diagnostics,
        *topics.images,
    }  # fmt: skip
    stamps: dict[str, dict[int, float]] = {name: {} for name in topics.images}
    statuses = _Statuses(drive)
    for row in bag.messages(wanted):
        at_s = (row.recorded_ns - drive.begin_ns) / NS_PER_S
        try:
            if row.topic in stamps:
                stamps[row.topic][_header_stamp_ns(row.data)] = at_s
                continue
            message = bag.read(row)
            if row.topic == topics.label:
                shares = _shares(label_pixels(message), drive.label_map)
                drive.frames.append(LabelledFrame(at_s, message_stamp_ns(message), shares))
            else:
                statuses.add(row.topic, at_s, message)
        except (FrameError, ValueError, IndexError) as error:  # it is cut, or of somebody else
            bag.tell(f'{bag.place(row)} is left out: {error}')
    drive.broken = ' '.join(bag.trouble)
    drive.notes = list(bag.trouble)
    if not drive.frames and not drive.beats:
        said = f' {drive.broken}' if drive.broken else ''
        msg = f'{path} has no message of the node in it.{said} Name another bag.'
        raise ConfigurationError(msg)
    drive.images_at_s = _camera_of(stamps, drive)
    _cut_tail(drive)
    drive.latency_ms = _latency_ms(drive)
    return drive


def _cut_tail(drive: RecordedDrive) -> None:
    """Leaves out how the node waited for images while the recording was being ended."""
    last_s = max(
        [*drive.images_at_s.values(), *(row.at_s for row in drive.frames[-1:])], default=0
    )
    if drive.frames and drive.span_s[1] - last_s < TAIL_S:
        drive.beats = [row for row in drive.beats if row.at_s <= last_s + TAIL_KEPT_S]


class _Statuses:
    """Takes what the node says in words and numbers."""

    def __init__(self, drive: RecordedDrive) -> None:
        self._drive = drive
        self._said: tuple[str, str, float] = ('', '', NAN)

    def add(self, topic: str, at_s: float, message: Any) -> None:
        drive, topics = self._drive, self._drive.topics
        if topic == topics.stop:
            if not topics.stop_status:
                kind = 'stop' if message.data else StopKind.CLEAR.value
                drive.beats.append(RecordedBeat(at_s, bool(message.data), kind, kind, NAN))
        elif topic == topics.stop_status:
            values = _values(message)
            person_m = float(values.get('nearest.distance_m', 'nan'))
            stop = values.get('stop') != 'false'
            kind = values.get('kind', 'stop')
            drive.beats.append(RecordedBeat(at_s, stop, kind, message.message, person_m))
        elif topic == topics.lane_status:
            drive.lanes.append(_lane_moment(at_s, message))
        else:
            for status in message.status:
                values = _values(status)
                if 'frames_received' in values and _is_of(status.name, topics):
                    drive.node = values


def _is_of(name: str, topics: DriveTopics) -> bool:
    """Whether a status is of the node of these topics: it begins with its name in full."""
    node = (topics.stop.removesuffix(STOP) or topics.label.removesuffix(LABEL)).strip('/')
    said = name.partition(':')[0].strip('/')
    return '/' not in said or node == said or node.startswith(f'{said}/')


def _lane_moment(at_s: float, message: Any) -> LaneMoment:
    values = _values(message)
    valid = values.get('valid') == 'true'
    names = ('offset_m', 'heading_rad', 'curvature_per_m', 'width_m')
    numbers = [float(values.get(name, 'nan')) if valid else NAN for name in names]
    return LaneMoment(at_s, valid, message.message, *numbers)


def _values(status: Any) -> dict[str, str]:
    return {row.key: row.value for row in status.values}


def _header_stamp_ns(data: bytes) -> int:
    """The stamp of a serialised message that begins with a header, without reading the rest."""
    order = 'little' if data[1] == LITTLE_ENDIAN else 'big'
    head = data[STAMP_BYTES]
    seconds = int.from_bytes(head[:4], order, signed=True)  # type: ignore[arg-type]
    return seconds * NS_PER_S + int.from_bytes(head[4:], order)  # type: ignore[arg-type]


def _shares(labels: np.ndarray[Any, Any], label_map: LabelMap | None) -> tuple[float, ...]:
    if label_map is None or labels.size == 0:
        return ()
    counts = np.bincount(labels.ravel(), minlength=256)
    return tuple(float(counts[row.id]) / labels.size for row in label_map.classes)


def _camera_of(stamps: Mapping[str, dict[int, float]], drive: RecordedDrive) -> dict[int, float]:
    """The images that the labels were made from: those that share most stamps with them."""
    labelled = {frame.stamp_ns for frame in drive.frames}
    best = max(stamps.values(), key=lambda row: len(labelled & row.keys()), default={})
    return best if labelled & best.keys() else {}


def _latency_ms(drive: RecordedDrive) -> list[float] | None:
    found = [
        (drive.begin_ns - frame.stamp_ns) / NS_PER_MS + frame.at_s * 1e3 for frame in drive.frames
    ]
    if not found or not 0.001 < float(np.median(found)) < NO_LATENCY_MS:
        return None
    return [round(value, 3) if math.isfinite(value) else NAN for value in found]
