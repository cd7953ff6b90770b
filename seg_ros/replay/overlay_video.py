# SPDX-License-Identifier: Apache-2.0
"""The video that a replay leaves: its first camera with stop, zone, people, lane and labels.

It has the size and the rate of the input. All that is drawn is read from the new bag; the
recording is read once more for its images, and for where the camera is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.image.camera_image import Frame
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.types import LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.engine import Engine
from seg_ros.pictures.drawing import Colour
from seg_ros.pictures.scene_frame import ImageShapes, SceneFrame, ground_pixels, person_box
from seg_ros.pictures.video_writer import VideoWriter, best_format
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.contents import label_pixels, message_stamp_ns
from seg_ros.recordings.recording import Recording
from seg_ros.replay.outputs import NODE
from seg_ros.replay.roles import Roles
from seg_ros.replay.stages import Event
from seg_ros.replay.vehicle import ReplayedVehicle

__all__ = ['OVERLAY_TOPICS', 'overlay_video']

OVERLAY_TOPICS = ('label', 'markers', 'pedestrian_stop/status')
"""What the video is made of, below the node or camera."""

Points = NDArray[np.float64]

DEFAULT_RATE_HZ = 10.0
IMAGE_ZONE = 'image zone'  # what the status calls a zone in the picture


class SaidMoment(NamedTuple):
    """What the new bag says of one image.

    Attributes:
        stamp_ns: Of the image.
        labels: ``(H, W)``.
        markers: Of zone, people and lane.
        status: Of the stop, as it was when the image came; None before the first.
    """

    stamp_ns: int
    labels: LabelImage
    markers: tuple[Any, ...] = ()
    status: Any = None


def overlay_video(
    path: Path,
    bag: Path,
    events: Iterator[Event],
    engine: Engine,
    config: NodeConfig,
    roles: Roles,
    vehicle: ReplayedVehicle,
) -> Path:
    """Writes the video of the first camera; returns the file, whose suffix is the format's.

    Args:
        path: The file, with any suffix.
        bag: The finished bag.
        events: Of the recording, which has the images.
        engine: Names the classes.
        config: The node's parameters.
        roles: Of the recording's topics.
        vehicle: As it was before the recording; follows where the camera is.
    """
    written = BagRecording(bag)
    drawer = SceneFrame(engine.label_map.colour_lut_rgb(), config.overlay_alpha)
    pictures = (
        drawer.draw(
            np.ascontiguousarray(frame.image.rgb()),
            said.labels,
            _shapes(said, camera, config, (frame.image.width, frame.image.height)),
            _stop(said.status),
        )
        for frame, said, camera in _moments(events, written, roles, vehicle)
    )
    first = next(pictures)
    size_wh = first.shape[1], first.shape[0]
    with VideoWriter(path, best_format(), size_wh, _rate_hz(written)) as writer:
        writer.write(first)
        for picture in pictures:
            writer.write(picture)
    return writer.path


def _moments(
    events: Iterator[Event], bag: Recording, roles: Roles, vehicle: ReplayedVehicle
) -> Iterator[tuple[Frame, SaidMoment, Camera | None]]:
    """Yields each image of the first camera with what was said of it, by their stamps."""
    said = _said(bag)
    name = ''
    for event in events:
        content = event.content
        if content is None:
            continue
        if event.role == 'lens':
            vehicle.lens(roles.lenses[event.message.topic], content)
        elif event.role in ('tf', 'tf_static'):
            vehicle.transforms(content, static=event.role == 'tf_static')
        elif isinstance(content, Frame):
            name = name or content.camera
            if content.camera == name:
                moment = next(said)
                while moment.stamp_ns != content.stamp_ns:
                    moment = next(said)
                yield content, moment, vehicle.camera_at(content, event.now_ns).camera


def _said(bag: Recording) -> Iterator[SaidMoment]:
    label = _label_topic(bag)
    prefix = label.removesuffix('/label')
    status_topic, markers_topic = f'{NODE}/pedestrian_stop/status', f'{prefix}/markers'
    topics = [name for name in (label, status_topic, markers_topic) if name in bag.topics]
    status: Any = None
    held: SaidMoment | None = None
    for message in bag.messages(topics):
        content = bag.read(message)
        if message.topic == status_topic:
            status = content
        elif message.topic == markers_topic:
            held = held and held._replace(markers=tuple(content.markers))
        else:
            if held is not None:
                yield held
            labels = np.ascontiguousarray(label_pixels(content))
            held = SaidMoment(message_stamp_ns(content), labels, (), status)
    if held is not None:
        yield held


def _shapes(
    said: SaidMoment, camera: Camera | None, config: NodeConfig, size_wh: tuple[int, int]
) -> ImageShapes:
    zone: Points = np.zeros((0, 2))
    lanes: list[Points] = []
    people = []
    for row in said.markers if camera is not None else ():
        assert camera is not None
        points = np.array([(at.x, at.y) for at in row.points], np.float64).reshape(-1, 2)
        if row.ns == 'zone':  # its last point is its first
            zone = ground_pixels(camera, points[:-1], closed=True)
        elif row.ns == 'lane':
            lanes.append(ground_pixels(camera, points))
        elif row.ns == 'people':
            x_m, y_m = row.pose.position.x, row.pose.position.y
            if box := person_box(camera, x_m, y_m):
                people.append((*box, f'{math.hypot(x_m, y_m):.1f} m'))
    if not len(zone) and _values(said.status).get('zone') == IMAGE_ZONE:
        zone = np.array(config.stop.image_polygon).reshape(-1, 2) * size_wh
    return ImageShapes(zone, lanes, people)


def _stop(status: Any) -> tuple[str, str, Colour] | None:
    if status is None:
        return None
    values = _values(status)
    word = 'STOP' if values.get('stop') != 'false' else 'GO'
    return word, status.message, StopKind.named(values.get('kind', '')).colour_rgb


def _values(status: Any) -> dict[str, str]:
    return {} if status is None else {row.key: row.value for row in status.values}


def _label_topic(bag: Recording) -> str:
    """That of the first camera."""
    names = (name for name in bag.topics if name.startswith(f'{NODE}/'))
    return next(name for name in names if name.endswith('/label'))


def _rate_hz(bag: Recording) -> float:
    """The rate of the labels, which is that of the images."""
    count = bag.topics[_label_topic(bag)].message_count
    stamps = [row.recorded_ns for row in bag.messages([_label_topic(bag)])]
    seconds = (stamps[-1] - stamps[0]) / NS_PER_S if stamps else 0.0
    return (count - 1) / seconds if count > 1 and seconds > 0.0 else DEFAULT_RATE_HZ
