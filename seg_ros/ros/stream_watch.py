# SPDX-License-Identifier: Apache-2.0
"""Stream watch: notices a second publisher on a topic that must have one.

Two cameras on one topic take turns, and each hides what the other sees. Two nodes that publish one
stop, such as an old process that nobody has ended, say go in each other's name.
"""

from __future__ import annotations

from collections.abc import Collection

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

__all__ = ['Gid', 'StreamWatch', 'gid_of']

Gid = tuple[int, ...]
"""By which DDS tells an endpoint from every other one, also of the past."""


def gid_of(endpoint: TopicEndpointInfo) -> Gid:
    return tuple(endpoint.endpoint_gid)


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
        self, topic: str, advice: str, type_name: str = '', dead: Collection[Gid] = ()
    ) -> None:
        """Counts the publishers of a topic now; logs an error when there come to be several.

        Args:
            topic: Its resolved name.
            advice: What to do about it, a sentence.
            type_name: Of the messages that count; empty counts all.
            dead: Publishers that are known to be dead, though DDS has them still.
        """
        rows = self._node.get_publishers_info_by_topic(topic)
        names = [
            f'{row.node_namespace.rstrip("/")}/{row.node_name}'
            for row in rows
            if type_name in ('', row.topic_type) and gid_of(row) not in dead
        ]
        if len(names) < 2:
            self._problems.pop(topic, None)
            return
        problem = f'{topic} has {len(names)} publishers, {", ".join(sorted(names))}. {advice}'
        if topic not in self._problems:
            self._node.get_logger().error(problem)
        self._problems[topic] = problem

    def reset(self) -> None:
        """Forgets what was seen."""
        self._problems = {}
