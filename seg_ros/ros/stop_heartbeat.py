# SPDX-License-Identifier: Apache-2.0
"""The pedestrian stop on its topics: a heartbeat that says "stop" unless the way is proven clear.

It lives as long as the node, through every lifecycle state. A thread of its own asks for the
decision, so that neither a slow network nor a transition delays it. (A callback group of its own
would need rclpy's multi-threaded executor, which costs the node more than half of its frames.) A
process of its own says it (``heartbeat_process.py``), so that there is a stop even when the node
is killed, stopped, or held up by C code that keeps the GIL.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message
from std_msgs.msg import Bool

import seg_ros
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.decision import Cause, StopDecision, StopKind
from seg_ros.core.stop.vehicle_stop import VehicleDecision
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.stop_status import stop_status
from seg_ros.ros.heartbeat_link import HeartbeatLink, HeartbeatVerdict, linked_pair
from seg_ros.ros.heartbeat_process import HEARTBEAT_QOS
from seg_ros.ros.middleware import FASTDDS_PROFILE, PROFILE_VARIABLES
from seg_ros.ros.scheduling import raise_priority
from seg_ros.ros.steady_clock import steady_ns
from seg_ros.ros.stream_watch import Gid, gid_of

__all__ = ['ClockWatch', 'StopHeartbeat']

END_TIMEOUT_S = 5.0
RESTART_S = 1.0  # between two attempts

REPEAT_LOG_S = 10.0  # a change that comes back sooner is counted, not logged
NEVER_S = float('-inf')

Decide = Callable[[int], VehicleDecision]
Statuses = dict[str, DiagnosticStatus]


class StopHeartbeat:
    """Publishes ``~/pedestrian_stop`` and its status.

    Args:
        node: Creates the publishers.
        rate_hz: Of the heartbeat.
        decide: Returns the decision of a time; what it raises is a stop.
        own_process: Whether a process of its own speaks; else the node's publishers do.
        priority: Of that process, see ``raise_priority``.
    """

    def __init__(
        self,
        node: Node,
        rate_hz: float,
        decide: Decide,
        *,
        own_process: bool = False,
        priority: int = 0,
    ) -> None:
        self._node = node
        self._decide = decide
        self._topic = str(node.resolve_topic_name('~/pedestrian_stop'))
        self._status_topic = str(node.resolve_topic_name('~/pedestrian_stop/status'))
        self._voice: Voice
        if own_process:
            self._voice = ProcessVoice(node, self._topic, self._status_topic, rate_hz, priority)
        else:
            self._voice = NodeVoice(node, self._topic, self._status_topic)
        self._was = ''
        self._changed_s: dict[StopKind, float] = {}  # when each kind came last
        self._unlogged = 0
        self._period_s = 1.0 / rate_hz
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name='heartbeat', daemon=True)
        self._thread.start()

    @property
    def topic(self) -> str:
        """The resolved name of the stop."""
        return self._topic

    @property
    def dead_publishers(self) -> Collection[Gid]:
        """Who spoke before and is dead; Fast DDS keeps them on the graph for its lease of 20 s."""
        return self._voice.dead_publishers()

    def is_wanted(self) -> bool:
        """Returns whether anybody listens."""
        return self._voice.is_wanted()

    def destroy(self) -> None:
        """Ends the heartbeat, which consumers take as a stop."""
        self._over.set()
        self._thread.join()
        self._voice.end()

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._over.wait(max(0.0, due_s - time.monotonic())):
            try:
                self._beat()
            except Exception:
                if not self._node.context.ok():
                    return  # the process ends
                self._node.get_logger().error(f'A heartbeat failed:\n{traceback.format_exc()}')
            due_s = max(due_s + self._period_s, time.monotonic())

    def _beat(self) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        try:
            vehicle = self._decide(now_ns)
        except Exception:
            self._node.get_logger().error(f'The stop failed, so stop:\n{traceback.format_exc()}')
            reason = 'the stop could not be decided; the log has the traceback'
            decision = StopDecision.without_frame(StopKind.FAILED, now_ns, reason)
            vehicle = VehicleDecision(decision, '', {})
        self._voice.say(vehicle.stop, self._statuses(vehicle, now_ns))
        self._log(vehicle.decision)

    def _statuses(self, vehicle: VehicleDecision, now_ns: int) -> Statuses:
        """Returns why, by topic: of the vehicle, and where there are several, of each camera."""
        name = _status_name(self._node)
        statuses = {self._status_topic: stop_status(name, vehicle.decision, now_ns)}
        if len(vehicle.cameras) > 1:
            for camera, decision in vehicle.cameras.items():
                topic = self._node.resolve_topic_name(f'~/{camera}/pedestrian_stop/status')
                statuses[topic] = stop_status(f'{name}, {camera}', decision, now_ns)
        return statuses

    def _log(self, decision: StopDecision) -> None:
        """Logs the change between stop and go, and of the kind of a stop.

        What comes back again and again without a person, as on a machine that is too slow, is
        counted and not logged.
        """
        kind = decision.kind
        if kind == self._was:
            return
        self._was = kind
        now_s = time.monotonic()
        last_s, self._changed_s[kind] = self._changed_s.get(kind, NEVER_S), now_s
        if kind.cause is Cause.PERSON:
            self._changed_s.clear()
        elif now_s - last_s < REPEAT_LOG_S:
            self._unlogged += 1
            return
        zone = f' ({decision.zone})' if not decision.stop and decision.zone else ''
        more = f' {self._unlogged} changes like those before were not logged.'
        self._node.get_logger().info(
            f'{"Stop" if decision.stop else "Go"}: {decision.reason}{zone}.'
            + (more if self._unlogged else '')
        )
        self._unlogged = 0


class Voice(Protocol):
    """Says what was decided."""

    def say(self, stop: bool, statuses: Statuses) -> None: ...

    def is_wanted(self) -> bool: ...

    def dead_publishers(self) -> Collection[Gid]: ...

    def end(self) -> None: ...


class NodeVoice:
    """Speaks with the node's own publishers."""

    def __init__(self, node: Node, topic: str, status_topic: str) -> None:
        self._node = node
        self._stop = node.create_publisher(Bool, topic, HEARTBEAT_QOS)
        self._status: dict[str, Publisher] = {}
        self._publisher(status_topic)

    def say(self, stop: bool, statuses: Statuses) -> None:
        self._stop.publish(Bool(data=stop))
        for topic, status in statuses.items():
            self._publisher(topic).publish(status)

    def is_wanted(self) -> bool:
        publishers = (self._stop, *self._status.values())
        return any(row.get_subscription_count() > 0 for row in publishers)

    def dead_publishers(self) -> Collection[Gid]:
        return ()

    def end(self) -> None:
        """The publishers end with the node."""

    def _publisher(self, topic: str) -> Publisher:
        if topic not in self._status:
            self._status[topic] = self._node.create_publisher(
                DiagnosticStatus, topic, HEARTBEAT_QOS
            )
        return self._status[topic]


class ProcessVoice:
    """Lets a process of its own speak, and starts another one if it dies."""

    def __init__(
        self, node: Node, topic: str, status_topic: str, rate_hz: float, priority: int
    ) -> None:
        self._node = node
        self._priority = priority
        self._topic = topic
        self._topics = {topic, status_topic}
        silent = StopDecision.without_frame(StopKind.NODE_SILENT, 0)
        self._settings = {
            'namespace': node.get_namespace(),
            'topic': topic,
            'status_topic': status_topic,
            'silent_status': serialize_message(stop_status(_status_name(node), silent, 0)).hex(),
            'rate_hz': rate_hz,
            'arguments': _security_arguments(sys.argv),
        }
        self._started = 0
        self._dead: frozenset[Gid] = frozenset()
        self._start()

    def say(self, stop: bool, statuses: Statuses) -> None:
        self._topics |= statuses.keys()
        rows = tuple((topic, serialize_message(row)) for topic, row in statuses.items())
        if not self._link.send(HeartbeatVerdict(steady_ns(), stop, rows)):
            self._restart()

    def is_wanted(self) -> bool:
        return any(self._node.count_subscribers(topic) > 0 for topic in list(self._topics))

    def dead_publishers(self) -> Collection[Gid]:
        return self._dead

    def end(self) -> None:
        self._link.end()
        self._link.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _restart(self) -> None:
        """Starts it again, but not all the time."""
        now_s = time.monotonic()
        if now_s - self._started_s < RESTART_S:
            return
        self._process.kill()
        code = self._process.wait()
        self._link.close()
        self._node.get_logger().error(
            f'The process of the heartbeat has ended (exit code {code}); it is started again. '
            'Nothing is said meanwhile, which is a stop.'
        )
        self._note_dead()
        self._start()

    def _note_dead(self) -> None:
        """Remembers the publisher that has died, while the graph still knows its name."""
        rows = self._node.get_publishers_info_by_topic(self._topic)
        found = {gid_of(row) for row in rows if row.node_name == self._name()}
        if len(found) == 1:  # else one of them is another node's
            self._dead |= found

    def _name(self) -> str:
        number = f'_{self._started}' if self._started > 1 else ''
        return f'{self._node.get_name()}_heartbeat{number}'

    def _start(self) -> None:
        self._started += 1
        self._started_s = time.monotonic()
        ours, theirs = linked_pair()
        self._link = HeartbeatLink(ours)
        settings = {**self._settings, 'name': self._name(), 'descriptor': theirs.fileno()}
        words = [sys.executable, '-m', 'seg_ros.ros.heartbeat_process', json.dumps(settings)]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=_environment(self._node.context.get_domain_id()),
                    start_new_session=True,  # Ctrl-C is for the node, which ends it
                )
            except OSError as error:
                self._link.close()
                raise ConfigurationError(
                    f'The process of the heartbeat cannot be started ({error}). Make room for '
                    'it, or set heartbeat_process to false: then the node is silent when it dies.'
                ) from error
        if problem := raise_priority(self._process.pid, self._priority):
            self._node.get_logger().warning(problem)


def _status_name(node: Node) -> str:
    return f'{node.get_name()}: pedestrian stop'


def _environment(domain_id: int) -> dict[str, str]:
    """Of the process: the same graph and package, without memory for images."""
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain_id)}
    for name in PROFILE_VARIABLES.values():
        if environment.get(name) == str(FASTDDS_PROFILE):
            del environment[name]
    ours = str(Path(seg_ros.__file__).parents[1])
    paths = [ours, environment.get('PYTHONPATH', '')]
    environment['PYTHONPATH'] = os.pathsep.join(path for path in paths if path)
    return environment


def _security_arguments(words: list[str]) -> list[str]:
    """The enclave of the node, where SROS2 gives it one: the process speaks in its name."""
    if '--enclave' not in words[:-1]:
        return []
    return ['--ros-args', '--enclave', words[words.index('--enclave') + 1]]


class ClockWatch:
    """Notices that the clock of the stamps stands still, by one that always goes.

    So does sim time in a pause, or when whoever published it is gone.
    """

    def __init__(self) -> None:
        self._now_ns: int | None = None
        self._since_ns = 0

    def standing_s(self, now_ns: int, steady_ns: int) -> float:
        """Returns how long the clock has stood still by now.

        Args:
            now_ns: The clock that stamps come from; a step back is a movement, too.
            steady_ns: A clock that goes on whatever happens.
        """
        if now_ns != self._now_ns:
            self._now_ns, self._since_ns = now_ns, steady_ns
        return (steady_ns - self._since_ns) / NS_PER_S
