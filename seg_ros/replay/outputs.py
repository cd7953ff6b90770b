# SPDX-License-Identifier: Apache-2.0
"""What a replay says on which topics: the node's rows, as bytes for a bag."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.image.camera_image import Frame
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.decisions import FrameDecisions, needs_of_stop
from seg_ros.inference.engine import Engine
from seg_ros.messages.conversions import (
    classes_message,
    compressed_message,
    header_of,
    image_message,
)
from seg_ros.messages.outputs import IMAGE_OUTPUTS, DecisionOutput, decision_outputs
from seg_ros.messages.plain import serialised, typestore
from seg_ros.messages.stop_status import stop_status
from seg_ros.messages.types import message_type
from seg_ros.perception import Wanted
from seg_ros.pipeline import FrameImages, PipelineOptions
from seg_ros.replay.vehicle import Beat

__all__ = ['ON_REQUEST', 'OutputTopic', 'Record', 'ReplayOutputs', 'output_names']

NODE = '/segmentation'
ON_REQUEST = ('confidence', 'label/color', 'overlay', 'overlay/compressed')
"""Large and easily made again: written only where they are named."""

STOP, STATUS, CLASSES = 'pedestrian_stop', 'pedestrian_stop/status', 'classes'
BOOL, STRING = 'std_msgs/msg/Bool', 'std_msgs/msg/String'
DIAGNOSTIC = 'diagnostic_msgs/msg/DiagnosticStatus'


class Record(NamedTuple):
    """A message of the new bag."""

    topic: str
    recorded_ns: int
    data: bytes


class OutputTopic(NamedTuple):
    """A topic of the new bag."""

    topic: str
    type_name: str
    latched: bool = False


def output_names(config: NodeConfig) -> tuple[str, ...]:
    """Returns everything that can be written, as it is called below the node or the camera."""
    return (STOP, STATUS, CLASSES, *IMAGE_OUTPUTS, *(row.topic for row in _decision_rows(config)))


class ReplayOutputs:
    """Turns results into messages.

    Args:
        config: The node's parameters.
        engine: Names the classes.
        patterns: What is wanted, as in a shell: ``lane_track*``; none is all but ``ON_REQUEST``.

    Attributes:
        wanted: What is needed of each frame for them.

    Raises:
        ConfigurationError: A pattern names nothing.
    """

    def __init__(self, config: NodeConfig, engine: Engine, patterns: Sequence[str]) -> None:
        self._config = config
        self._engine = engine
        self._names = _chosen(output_names(config), patterns)
        self._images = [row for row in IMAGE_OUTPUTS.values() if row.topic in self._names]
        self._rows = [row for row in _decision_rows(config) if row.topic in self._names]
        decisions = {need for row in self._rows for need in row.needs}
        if {STOP, STATUS} & self._names:
            decisions |= needs_of_stop(config.stop)
        self.wanted = Wanted(
            frozenset({'label', *(row.image for row in self._images)}),
            frozenset(decisions),
            PipelineOptions(config.min_confidence, config.overlay_alpha),
        )

    def topics(self) -> Iterator[OutputTopic]:
        """Yields every topic that there will be."""
        if STOP in self._names:
            yield OutputTopic(f'{NODE}/{STOP}', BOOL)
        if STATUS in self._names:
            yield OutputTopic(f'{NODE}/{STATUS}', DIAGNOSTIC)
            if len(self._config.camera_names) > 1:
                for camera in self._config.camera_names:
                    yield OutputTopic(f'{NODE}/{camera}/{STATUS}', DIAGNOSTIC)
        for camera in self._config.camera_names:
            prefix = self._prefix(camera)
            if CLASSES in self._names:
                yield OutputTopic(f'{prefix}/{CLASSES}', STRING, latched=True)
            for image in self._images:
                yield OutputTopic(f'{prefix}/{image.topic}', image.type_name)
            for row in self._rows:
                yield OutputTopic(f'{prefix}/{row.topic}', row.type_name)

    def begin(self, at_ns: int) -> Iterator[Record]:
        """Yields what the node says when it becomes active."""
        if CLASSES in self._names:
            message = classes_message(self._engine.name, self._engine.label_map)
            for camera in self._config.camera_names:
                yield Record(
                    f'{self._prefix(camera)}/{CLASSES}', at_ns, serialised(message, STRING)
                )

    def beat(self, beat: Beat, recorded_ns: int) -> Iterator[Record]:
        """Yields the heartbeat."""
        vehicle, at_ns = beat.decision, beat.at_ns
        name = f'{NODE[1:]}: pedestrian stop'
        if STOP in self._names:
            message = message_type(BOOL)(data=vehicle.stop)
            yield Record(f'{NODE}/{STOP}', recorded_ns, serialised(message, BOOL))
        if STATUS in self._names:
            status = stop_status(name, vehicle.decision, at_ns)
            yield Record(f'{NODE}/{STATUS}', recorded_ns, serialised(status, DIAGNOSTIC))
            if len(vehicle.cameras) > 1:
                for camera, decision in vehicle.cameras.items():
                    status = stop_status(f'{name}, {camera}', decision, at_ns)
                    yield Record(
                        f'{NODE}/{camera}/{STATUS}', recorded_ns, serialised(status, DIAGNOSTIC)
                    )

    def frame(
        self, frame: Frame, images: FrameImages, decided: FrameDecisions, recorded_ns: int
    ) -> Iterator[Record]:
        """Yields what is said about a frame, under its stamp."""
        prefix = self._prefix(frame.camera)
        headers = {
            'camera': header_of(frame.stamp_ns, frame.frame_id),
            'base': header_of(frame.stamp_ns, self._config.base_frame),
        }
        for image in self._images:
            pixels = getattr(images, image.image)
            message: Any
            if image.encoding == 'jpeg':
                message = compressed_message(pixels, self._config.jpeg_quality)
                message.header = headers['camera']
            else:
                message = image_message(headers['camera'], pixels, image.encoding)
            data = serialised(message, image.type_name)
            yield Record(f'{prefix}/{image.topic}', recorded_ns, data)
        for row in self._rows:
            message = row.make(headers[row.frame], decided)
            if message is not None:
                data = serialised(message, row.type_name)
                yield Record(f'{prefix}/{row.topic}', recorded_ns, data)

    def _prefix(self, camera: str) -> str:
        return NODE if len(self._config.camera_names) == 1 else f'{NODE}/{camera}'


def _decision_rows(config: NodeConfig) -> list[DecisionOutput]:
    """The rows whose types rosbags knows; vision_msgs and nav2_msgs are not among them."""
    return [row for row in decision_outputs(config) if row.type_name in typestore().fielddefs]


def _chosen(names: Sequence[str], patterns: Sequence[str]) -> set[str]:
    if not patterns:
        return set(names) - set(ON_REQUEST)
    chosen = set()
    for pattern in patterns:
        found = set(names) if pattern == 'all' else set(fnmatch.filter(names, pattern))
        if not found:
            msg = f'--outputs {pattern}: there is none. Choose from: {" ".join(names)}'
            raise ConfigurationError(msg)
        chosen |= found
    return chosen
