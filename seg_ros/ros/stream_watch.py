# SPDX-License-Identifier: Apache-2.0
"""Stream watch: notices a second publisher on a topic that must have one.

Two cameras on one topic take turns, and each hides what the other sees. Two nodes that publish one
stop, such as an old process that nobody has ended, say go in each other's name. A relay, a bridge
or the player of a recording makes one publisher of several: then what the messages say tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

__all__ = ['Gid', 'LensNames', 'SenderTurns', 'StreamWatch', 'gid_of']

LATEST = 30  # messages that are looked at: of a camera that sends 15 times as often one other
# A camera that is started anew changes once, a zoom passes through many values and comes back once
LEAST_RETURNS, MOST_SENDERS = 2, 4
SAME_LENS_PX = 2.0

Gid = tuple[int, ...]
"""By which DDS tells an endpoint from every other one, also of the past."""


def gid_of(endpoint: TopicEndpointInfo) -> Gid:
    return tuple(endpoint.endpoint_gid)


class SenderTurns:
    """Who sent the newest messages of a stream, by what every message says of its sender."""

    def __init__(self) -> None:
        self._senders: deque[str] = deque(maxlen=LATEST)

    def take(self, sender: str) -> None:
        """Takes what a message says of its sender."""
        self._senders.append(sender)

    def senders(self) -> list[str]:
        """Those who take turns, sorted; none while all come from one, or changed over to it."""
        senders = list(self._senders)
        known: set[str] = set()
        returns, last = 0, ''
        for sender in senders:
            returns += sender != last and sender in known
            known.add(sender)
            last = sender
        return sorted(known) if returns >= LEAST_RETURNS and len(known) <= MOST_SENDERS else []


class LensNames:
    """Calls every lens that is said of a stream by a name of its own.

    Lenses of one kind differ by some pixels; one that focuses, or is stabilised, moves by less,
    and keeps its name, also where that is a little more and a little less in turn.
    """

    def __init__(self) -> None:
        self._named: list[tuple[str, float, float, str]] = []

    def name(self, frame: str, fx_px: float, cx_px: float) -> str:
        """Returns the name of a lens.

        Args:
            frame: What else tells one from others: its frame and size.
            fx_px: Its focal length.
            cx_px: Its middle.
        """
        for known, fx, cx, name in self._named:
            if (
                known == frame
                and abs(fx_px - fx) < SAME_LENS_PX
                and abs(cx_px - cx) < SAME_LENS_PX
            ):
                return name
        name = f'{frame} (fx {fx_px:.1f}, cx {cx_px:.1f})'
        self._named = [*self._named[-MOST_SENDERS:], (frame, fx_px, cx_px, name)]
        return name


class StreamWatch:
    """Counts publishers, in a timer and never in the way of a frame.

    Args:
        node: Asks the graph, and logs.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._problems: dict[str, str] = {}

    @property
    def problem(self) -> str:
        """Which topic has several publishers, in words; empty where all is well."""
        return next(iter(self._problems.values()), '')

    def problem_of(self, topic: str) -> str:
        """The same of one topic."""
        return self._problems.get(topic, '')

    def look(
        self,
        topic: str,
        advice: str,
        type_name: str = '',
        dead: Collection[Gid] = (),
        turns: SenderTurns | None = None,
    ) -> None:
        """Counts the publishers of a topic now; logs an error when there come to be several.

        Args:
            topic: Its resolved name.
            advice: What to do about it, a sentence.
            type_name: Of the messages that count; empty counts all.
            dead: Publishers that are known to be dead, though DDS has them still.
            turns: Who sends what arrives.
        """
        rows = self._node.get_publishers_info_by_topic(topic)
        names = [
            f'{row.node_namespace.rstrip("/")}/{row.node_name}'
            for row in rows
            if type_name in ('', row.topic_type) and gid_of(row) not in dead
        ]
        if len(names) > 1:
            problem = f'{topic} has {len(names)} publishers, {", ".join(sorted(names))}. {advice}'
            self._note(topic, problem)
        else:
            self.listen(topic, advice, turns)

    def listen(self, topic: str, advice: str, turns: SenderTurns | None) -> None:
        """Looks at what arrives alone, where publishers that say the same are none too many."""
        senders = turns.senders() if turns is not None else []
        if senders:
            self._note(
                topic, f'{topic} has {len(senders)} senders, {", ".join(senders)}. {advice}'
            )
        else:
            self._problems.pop(topic, None)

    def _note(self, topic: str, problem: str) -> None:
        if topic not in self._problems:
            self._node.get_logger().error(problem)
        self._problems[topic] = problem

    def reset(self) -> None:
        """Forgets what was seen."""
        self._problems = {}
