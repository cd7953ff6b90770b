# SPDX-License-Identifier: Apache-2.0
"""What is done with each message of a recording: read, segment, decide."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import FrameError
from seg_ros.core.timing import StageTimer
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.conversions import frame_from_message, stamp_ns_of
from seg_ros.perception import Perception, PreparedFrame, SeenFrame
from seg_ros.recordings.recording import RecordedMessage, Recording
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.outputs import Record, ReplayOutputs
from seg_ros.replay.roles import Roles
from seg_ros.replay.vehicle import ReplayedVehicle

__all__ = ['Event', 'Said', 'Stages']

DAY_S = 24 * 3600
LONG_BACK_S = 1.0  # different topics that are recorded together differ by less


class Event(NamedTuple):
    """A message of the recording on its way.

    Attributes:
        number: Of all messages that are read.
        message: As it was recorded.
        now_ns: The time at which it is judged.
        role: What it is for; empty if it is only copied.
        content: Its fields, or the frame; None where nobody asks, or it is broken.
        prepared: The frame as the network takes it.
        seen: What the network says of it.
    """

    number: int
    message: RecordedMessage
    now_ns: int
    role: str
    content: Any = None
    prepared: PreparedFrame | None = None
    seen: SeenFrame | None = None

    @property
    def weight(self) -> int:
        """Bytes that it holds, more or less."""
        arrays: list[NDArray[Any] | None] = [self.message.picture]
        if self.prepared is not None:
            arrays += [*self.prepared.frame.image.planes, self.prepared.picture]
        if self.seen is not None:
            arrays += [self.seen.view.labels, self.seen.view.confidence]
        return len(self.message.data) + sum(row.nbytes for row in arrays if row is not None)


class Said(NamedTuple):
    """What came of one message.

    Attributes:
        number: Of the message.
        recorded_ns: When it was recorded.
        records: For the new bag.
        frames: Images so far.
        resumable: What ``Stages.decide`` can go on from, after this message; empty but sometimes.
    """

    number: int
    recorded_ns: int
    records: list[Record]
    frames: int
    resumable: bytes = b''

    @property
    def weight(self) -> int:
        return sum(len(record.data) for record in self.records)


class Stages:
    """The three stages, each an iterator over what the one before gives, each in its own thread.

    Whatever the network need not wait for is done before or after it.

    Args:
        job: What was asked for.
        recording: Is read.
        roles: Of its topics.
        outputs: Make the messages.
        perception: Makes of images what the node would make of them.

    Attributes:
        inferred_ns: Time that the network has taken so far.
    """

    def __init__(
        self,
        job: ReplayJob,
        recording: Recording,
        roles: Roles,
        outputs: ReplayOutputs,
        perception: Perception,
    ) -> None:
        self._job = job
        self._recording = recording
        self._roles = roles
        self._outputs = outputs
        self._perception = perception
        self.inferred_ns = 0
        self._image_ns: dict[str, int] = {}  # at which the newest image of each topic was judged
        self._stepped_back: set[str] = set()

    def read(self, first: int = 0) -> Iterator[Event]:
        """Yields the messages, decoded as far as they are used.

        Args:
            first: Number of the first one; those before are only counted.
        """
        images = dict.fromkeys(self._roles.cameras, 0)
        recording = self._recording
        limits_ns = self._job.span.limits_ns(recording.begin_ns, recording.end_ns)
        messages = recording.messages(self._roles.topics, *limits_ns)
        for number, message in enumerate(messages):
            if message.topic in images:
                images[message.topic] += 1
                if (images[message.topic] - 1) % self._job.every:
                    continue
            if number >= first:
                yield self._event(number, message)

    def segment(self, events: Iterator[Event]) -> Iterator[Event]:
        """Runs the network on the images."""
        for event in events:
            if event.prepared is None:
                yield event
                continue
            began_ns = time.monotonic_ns()
            (seen,) = self._perception.infer([event.prepared])
            self.inferred_ns += time.monotonic_ns() - began_ns
            yield event._replace(seen=seen.kept())

    def decide(self, events: Iterator[Event], vehicle: ReplayedVehicle) -> Iterator[Said]:
        """Decides what they mean, and says it."""
        images = 0
        event: Event | None = None
        for event in events:
            records = list(self._records(event, vehicle))
            vehicle.counts.written += len(records)
            resumable = b''
            if event.role == 'image':
                images += 1
                if images % self._job.checkpoint_images == 0:
                    resumable = vehicle.snapshot()
            recorded_ns = event.message.recorded_ns
            yield Said(event.number, recorded_ns, records, vehicle.counts.frames, resumable)
        beats = list(vehicle.only_beat())
        if event is not None and beats:
            self._recording.tell(
                f'The clock of {self._recording.name} stands still: the heartbeat of the stop '
                'comes once.'
            )
            recorded_ns = event.message.recorded_ns
            records = [row for beat in beats for row in self._outputs.beat(beat, recorded_ns)]
            vehicle.counts.written += len(records)
            yield Said(event.number, recorded_ns, records, vehicle.counts.frames)

    def _event(self, number: int, message: RecordedMessage) -> Event:
        role = self._roles.of(message.topic)
        content: Any = None
        prepared: PreparedFrame | None = None
        now_ns = message.recorded_ns
        if role:
            try:
                content = self._recording.read(message)
                if self._job.by_stamps and hasattr(content, 'header'):
                    stamp_ns = stamp_ns_of(content.header)
                    now_ns = stamp_ns or now_ns
                    if not stamp_ns:
                        self._recording.tell(
                            f'Messages of {message.topic} have a stamp of zero: they are judged '
                            'at the time of their recording.'
                        )
                if role == 'image':
                    content = frame_from_message(
                        content,
                        self._roles.cameras[message.topic],
                        self._job.config.max_image_pixels,
                    )
                    prepared = self._perception.prepare(
                        content, self._outputs.wanted, StageTimer(time.monotonic_ns)
                    )
            except FrameError as error:
                self._recording.tell(
                    f'Message {message.number} of {message.topic}, at '
                    f'{message.recorded_ns / NS_PER_S:.3f} s, is skipped: {error}'
                )
                content = None
        if message.picture is not None and message.topic in self._roles.copied:
            message = message._replace(data=self._recording.copy(message))
        return Event(number, message, now_ns, role, content, prepared)

    def _records(self, event: Event, vehicle: ReplayedVehicle) -> Iterator[Record]:
        """Yields what is written because of a message."""
        message, outputs, content = event.message, self._outputs, event.content
        back_s = vehicle.steps_back_s(event.now_ns)
        if event.role == 'image':
            self._tell_step_back(event)
        if back_s > LONG_BACK_S:
            self._recording.tell(
                f'The stamps go back by {back_s:.1f} s at message {message.number} of '
                f'{message.topic}: the way is proven anew from there.'
            )
        for beat in vehicle.beats_before(event.now_ns):
            behind_ns = 0 if beat.gap_ns and self._job.by_stamps else event.now_ns - beat.at_ns
            yield from outputs.beat(beat, message.recorded_ns - behind_ns)
            if beat.gap_ns:
                self._recording.tell(
                    f'{_length(beat.gap_ns)} are missing before message {message.number} of '
                    f'{message.topic}, at {event.now_ns / NS_PER_S:.3f} s: the stop says once '
                    'that nothing is proven, and begins anew.'
                )
        if message.topic in self._roles.copied:
            yield Record(message.topic, message.recorded_ns, message.data)
        if content is None:
            vehicle.counts.skipped += event.role == 'image'
        elif event.role == 'lens':
            vehicle.lens(self._roles.lenses[message.topic], content)
        elif event.role == 'odometry':
            vehicle.odometry(content)
        elif event.role in ('tf', 'tf_static'):
            vehicle.transforms(content, static=event.role == 'tf_static')
        elif event.seen is not None:
            camera = vehicle.camera_at(content, event.now_ns)
            if refusal := vehicle.refusal(content.camera):
                self._recording.tell(refusal)
            perceived = self._perception.finish(event.seen, camera, event.now_ns, _new_array)
            vehicle.counts.frames += 1
            assert perceived.images.label is not None
            vehicle.counts.count_label(perceived.images.label)
            decided = vehicle.placed(perceived.decisions)
            yield from outputs.frame(content, perceived.images, decided, message.recorded_ns)

    def _tell_step_back(self, event: Event) -> None:
        """Says the first step back of a camera that is too small to begin anew."""
        topic, now_ns = event.message.topic, event.now_ns
        back_s = (self._image_ns.get(topic, now_ns) - now_ns) / NS_PER_S
        self._image_ns[topic] = now_ns
        if 0.0 < back_s <= LONG_BACK_S and topic not in self._stepped_back:
            self._stepped_back.add(topic)
            self._recording.tell(
                f'The stamps of {topic} go back, first by {back_s:.3f} s at message '
                f'{event.message.number}.'
            )


def _length(length_ns: int) -> str:
    seconds = length_ns / NS_PER_S
    return f'{seconds / DAY_S:.1f} days' if seconds > DAY_S else f'{seconds:.1f} s'


def _new_array(_name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """What the pipeline writes to: it lives as long as somebody down the line needs it."""
    return np.empty(shape, np.uint8)
