# SPDX-License-Identifier: Apache-2.0
"""Plays the messages of a bag on the graph, each at its time, and is the clock of that graph."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, final

from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from seg_ros.commands.shared.message_types import message_class
from seg_ros.commands.shared.recorded_qos import offered_again
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.ahead import Ahead
from seg_ros.recordings.recording import RecordedMessage, RecordedTopic, Recording

__all__ = ['Player', 'Playhead']

CLOCK = '/clock'
CLOCK_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
AHEAD_BYTES = 64 << 20
LATE_NS = 100_000_000
LOOK_NS = 5_000_000  # how soon what the thread has read is looked at
ARRIVE_S = 0.5  # small messages that have arrived may be acknowledged 3 s later only


class Playhead:
    """Which moment of a recording it is, while it is played, paused and jumped about in.

    Turns steady time into time of the recording; asks no clock.

    Args:
        at_ns: Where in the recording to begin.
        now_ns: Steady time of the beginning, as all ``now_ns`` here.
        rate: Seconds of the recording per second.
        paused: Begin with a pause.
    """

    def __init__(
        self, at_ns: int, now_ns: int, rate: float = 1.0, *, paused: bool = False
    ) -> None:
        self._at_ns, self._since_ns = at_ns, now_ns
        self._rate = rate
        self._paused = paused

    @property
    def paused(self) -> bool:
        return self._paused

    def at_ns(self, now_ns: int) -> int:
        """Returns the moment of the recording."""
        if self._paused:
            return self._at_ns
        return self._at_ns + round((now_ns - self._since_ns) * self._rate)

    def due_ns(self, at_ns: int) -> float:
        """Returns the steady time of a moment of the recording; infinite during a pause."""
        if self._paused:
            return float('inf')
        return self._since_ns + (at_ns - self._at_ns) / self._rate

    def pause(self, paused: bool, now_ns: int) -> None:
        """Stands still, or goes on from there."""
        self.jump(self.at_ns(now_ns), now_ns)
        self._paused = paused

    def jump(self, at_ns: int, now_ns: int) -> None:
        """Goes on from another moment; a pause remains one."""
        self._at_ns, self._since_ns = at_ns, now_ns


@final
class Player:
    """Publishes a span of a bag under its original quality of service; a context manager.

    The messages go out as the bytes that were recorded. ``/clock`` says the time of the
    recording: it stands still in a pause, and never runs ahead of a message that is due.

    Args:
        node: Creates the publishers.
        bag: What is played.
        topics: Of it, those that are played.
        span_ns: Begin and end.
        rate: Seconds of the recording per second.
        clock_hz: Rate of ``/clock``, by the watch on the wall; 0 publishes none.
        loop: Begin again at the end.
        paused: Wait until somebody ends the pause.

    Attributes:
        published: Messages so far.
        late: How often the machine was too slow.
        skipped: Topics that cannot be published here, and why.
    """

    def __init__(
        self,
        node: Node,
        bag: Recording,
        topics: Mapping[str, RecordedTopic],
        span_ns: tuple[int, int],
        *,
        rate: float = 1.0,
        clock_hz: float = 100.0,
        loop: bool = False,
        paused: bool = False,
    ) -> None:
        self.published = self.late = 0
        self.skipped: dict[str, str] = {}
        self._bag, self._loop = bag, loop
        self._begin_ns, self._end_ns = span_ns
        self._publishers: dict[str, Any] = {}
        for name, topic in topics.items():
            try:
                if name == CLOCK:
                    raise ConfigurationError('The player itself is the clock.')
                kind = message_class(topic.type_name)
            except ConfigurationError as error:
                self.skipped[name] = str(error)
                continue
            qos = offered_again(topic.offers)
            self._publishers[name] = node.create_publisher(kind, name, qos)
        self._clock = node.create_publisher(Clock, CLOCK, CLOCK_QOS) if clock_hz else None
        self._tick_ns = round(NS_PER_S / clock_hz) if clock_hz else NS_PER_S
        self._next_tick_ns = 0
        self._head = Playhead(self._begin_ns, time.monotonic_ns(), rate, paused=paused)
        self._reading = ExitStack()
        self._messages: Ahead[RecordedMessage] | None = None
        self._next: RecordedMessage | None = None
        self._reached_ns = self._told_ns = self._begin_ns
        self._published_before = 0

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._reading.close()

    @property
    def topics(self) -> list[str]:
        """What is published, beside the clock."""
        return list(self._publishers)

    @property
    def paused(self) -> bool:
        return self._head.paused

    @property
    def at_s(self) -> float:
        """Where it is, in seconds since the begin of the bag."""
        return (self._at_ns(time.monotonic_ns()) - self._bag.begin_ns) / NS_PER_S

    def without_subscriber(self, topics: Sequence[str]) -> list[str]:
        """Returns those of the topics that nobody subscribes to."""
        return [name for name in topics if not self._publishers[name].get_subscription_count()]

    def begin(self) -> None:
        """Begins now."""
        self._jump_to(self._begin_ns)

    def pause(self, paused: bool) -> None:
        """Stands still, or goes on."""
        now_ns = time.monotonic_ns()
        self._head.jump(self._at_ns(now_ns), now_ns)
        self._head.pause(paused, now_ns)

    def jump(self, by_s: float) -> None:
        """Goes on from an earlier or later moment of the span."""
        at_ns = self._at_ns(time.monotonic_ns()) + round(by_s * NS_PER_S)
        self._jump_to(min(max(at_ns, self._begin_ns), self._end_ns))

    def step(self) -> float | None:
        """Publishes what is due.

        Returns:
            Seconds until something will be due, None at the end.
        """
        while True:
            now_ns = time.monotonic_ns()
            message = self._waiting()
            if message is None and self._is_over():
                if not self._loop or self.published == self._published_before:
                    return None
                self._jump_to(self._begin_ns)
                continue
            if now_ns >= self._next_tick_ns:
                self._tell(self._at_ns(now_ns))
                self._next_tick_ns = now_ns + self._tick_ns
            if message is None:
                self._head.jump(self._reached_ns, now_ns)  # time waits for the reading
                return LOOK_NS / NS_PER_S
            due_ns = self._head.due_ns(message.recorded_ns)
            if due_ns > now_ns:
                return (min(due_ns, self._next_tick_ns) - now_ns) / NS_PER_S
            if now_ns - due_ns > LATE_NS:  # all that follow move too: there is no burst
                self._head.jump(message.recorded_ns, now_ns)
                self.late += 1
            self._publish(message)

    def finish(self) -> None:
        """Gives what was published the time to arrive; it would be lost with this process."""
        give_up_s = time.monotonic() + ARRIVE_S
        for publisher in self._publishers.values():
            left_s = max(0.0, give_up_s - time.monotonic())
            publisher.wait_for_all_acked(Duration(seconds=left_s))

    def _jump_to(self, at_ns: int) -> None:
        """Reads on from there, in a thread that runs ahead."""
        self._reading.close()
        messages = self._bag.messages(self._publishers.keys(), at_ns, self._end_ns)
        self._messages = self._reading.enter_context(
            Ahead(messages, AHEAD_BYTES, lambda message: len(message.data))
        )
        self._next = None
        self._reached_ns = at_ns
        self._published_before = self.published
        self._head.jump(at_ns, time.monotonic_ns())
        self._tell(at_ns)

    def _waiting(self) -> RecordedMessage | None:
        """The next message, if it has been read."""
        messages = self._messages
        if self._next is None and messages is not None and messages.waiting:
            self._next = next(messages)
        return self._next

    def _is_over(self) -> bool:
        """Whether there is no further message; raises what has ended the reading."""
        messages = self._messages
        if messages is None or not messages.far_enough:
            return False
        self._next = next(messages, None)
        return self._next is None

    def _at_ns(self, now_ns: int) -> int:
        """The moment of the recording, which is never after a message that is to come."""
        to_come_ns = self._reached_ns if self._next is None else self._next.recorded_ns
        return max(self._reached_ns, min(self._head.at_ns(now_ns), to_come_ns))

    def _publish(self, message: RecordedMessage) -> None:
        self._next = None
        self._reached_ns = message.recorded_ns
        if message.recorded_ns > self._told_ns:  # or its stamp would lie in the future
            self._tell(message.recorded_ns)
        self._publishers[message.topic].publish(message.data)
        self.published += 1

    def _tell(self, at_ns: int) -> None:
        """Tells everybody what time it is."""
        self._told_ns = at_ns
        if self._clock is not None:
            seconds, nanoseconds = divmod(at_ns, NS_PER_S)
            self._clock.publish(Clock(clock=Time(sec=seconds, nanosec=nanoseconds)))
