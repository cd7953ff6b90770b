# SPDX-License-Identifier: Apache-2.0
"""The pedestrian stop on its topics: a heartbeat that says "stop" unless the way is proven clear.

It lives as long as the node, through every lifecycle state, in a thread of its own, so that
neither a slow network nor a transition delays it. (A callback group of its own would need rclpy's
multi-threaded executor, which costs the node more than half of its frames.)
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool

from seg_ros.core.stop.decision import Cause, StopDecision, StopKind
from seg_ros.core.stop.vehicle_stop import VehicleDecision
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.stop_status import stop_status

__all__ = ['ClockWatch', 'StopHeartbeat']

HEARTBEAT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)

REPEAT_LOG_S = 10.0  # a change that comes back sooner is counted, not logged
NEVER_S = float('-inf')

Decide = Callable[[int], VehicleDecision]


class StopHeartbeat:
    """Publishes ``~/pedestrian_stop`` and its status.

    Args:
        node: Creates the publishers.
        rate_hz: Of the heartbeat.
        decide: Returns the decision of a time; what it raises is a stop.
    """

    def __init__(self, node: Node, rate_hz: float, decide: Decide) -> None:
        self._node = node
        self._decide = decide
        self._stop = node.create_publisher(Bool, '~/pedestrian_stop', HEARTBEAT_QOS)
        self._status = node.create_publisher(
            DiagnosticStatus, '~/pedestrian_stop/status', HEARTBEAT_QOS
        )
        self._camera_status: dict[str, Publisher] = {}
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
        return str(self._stop.topic_name)

    def is_wanted(self) -> bool:
        """Returns whether anybody listens."""
        publishers = (self._stop, self._status, *self._camera_status.values())
        return any(row.get_subscription_count() > 0 for row in publishers)

    def destroy(self) -> None:
        """Ends the heartbeat, which consumers take as a stop."""
        self._over.set()
        self._thread.join()

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
        self._stop.publish(Bool(data=vehicle.stop))
        name = f'{self._node.get_name()}: pedestrian stop'
        self._status.publish(stop_status(name, vehicle.decision, now_ns))
        if len(vehicle.cameras) > 1:
            self._publish_cameras(vehicle.cameras, name, now_ns)
        self._log(vehicle.decision)

    def _publish_cameras(
        self, cameras: Mapping[str, StopDecision], name: str, now_ns: int
    ) -> None:
        for camera, decision in cameras.items():
            if camera not in self._camera_status:
                self._camera_status[camera] = self._node.create_publisher(
                    DiagnosticStatus, f'~/{camera}/pedestrian_stop/status', HEARTBEAT_QOS
                )
            status = stop_status(f'{name}, {camera}', decision, now_ns)
            self._camera_status[camera].publish(status)

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
