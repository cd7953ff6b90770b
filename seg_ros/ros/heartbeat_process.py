# SPDX-License-Identifier: Apache-2.0
"""The process that speaks for the node: the only publisher of the stop.

It hands out what the node decides, at the beat of its own clock, and a stop as soon as it comes.
When the node is killed, stopped, or held up by C code that keeps the GIL, it says stop by itself.
By itself it can say nothing else: a go is always the node's, and never an old one. It imports
little, so that it starts soon and needs no memory of the node's.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool

from seg_ros.ros.heartbeat_link import HeartbeatLink, HeartbeatVerdict
from seg_ros.ros.steady_clock import steady_ns

__all__ = ['HEARTBEAT_QOS', 'Mouthpiece', 'main']

HEARTBEAT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# A busy machine lets the node's thread wait for a tenth of a second now and then; consumers wait
# for half a second.
PATIENCE_S, PATIENCE_PERIODS = 0.25, 3.0
ORPHAN_S = (
    3.0  # a stop that is heard is better than silence; one who starts the node anew is later
)
NS_PER_S = 1_000_000_000

Say = Callable[[bool, tuple[tuple[str, bytes], ...]], None]


class Mouthpiece:
    """Decides what to say, and when.

    Args:
        period_s: Of the beat.
        say: Publishes a stop or go, and statuses.
        silent: The status of a node that is silent.
    """

    def __init__(self, period_s: float, say: Say, silent: tuple[tuple[str, bytes], ...]) -> None:
        self._period_ns = int(period_s * NS_PER_S)
        self._say = say
        self._silent = silent
        self._patience_ns = int(max(PATIENCE_S, PATIENCE_PERIODS * period_s) * NS_PER_S)
        self._newest: HeartbeatVerdict | None = None
        self._due_ns = 0
        self._said_stop = True

    def wait_s(self, now_ns: int) -> float:
        """Returns how long it may wait for a verdict."""
        return max(0, self._due_ns - now_ns) / NS_PER_S

    def take(self, beat: HeartbeatVerdict | None, now_ns: int, *, is_over: bool = False) -> None:
        """Takes what came, and says what is due.

        Args:
            beat: The newest verdict, None without a new one.
            now_ns: The steady clock, which goes on while the computer sleeps.
            is_over: Whether the node is gone.
        """
        self._newest = None if is_over else beat or self._newest
        newest = self._newest
        if newest is not None and not 0 <= now_ns - newest.at_ns <= self._patience_ns:
            newest = None
        stop = newest is None or newest.stop
        if now_ns < self._due_ns and (self._said_stop or not stop):
            return
        self._say(stop, self._silent if newest is None else newest.statuses)
        self._said_stop = stop
        if now_ns >= self._due_ns:
            self._due_ns += self._period_ns
            if self._due_ns <= now_ns:  # it slept over some, or has just begun
                self._due_ns = now_ns + self._period_ns


def main(argv: list[str]) -> int:
    """Speaks until it is told to end, or has been alone for a while.

    Args:
        argv: One word of JSON, which ``stop_heartbeat`` writes.
    """
    settings: Mapping[str, Any] = json.loads(argv[0])
    link = HeartbeatLink(socket.socket(fileno=settings['descriptor']))
    # What is for the node reaches it, and it tells this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rclpy.init(args=settings['arguments'], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(
        settings['name'],
        namespace=settings['namespace'],
        use_global_arguments=False,
        start_parameter_services=False,
        enable_rosout=False,
        # Nobody spins this node, so that it answers no service
        parameter_overrides=[Parameter('start_type_description_service', value=False)],
    )
    voice = node.create_publisher(Bool, settings['topic'], HEARTBEAT_QOS)
    publishers: dict[str, Any] = {}

    def say(stop: bool, statuses: tuple[tuple[str, bytes], ...]) -> None:
        voice.publish(Bool(data=stop))
        for topic, status in statuses:
            if topic not in publishers:
                publishers[topic] = node.create_publisher(DiagnosticStatus, topic, HEARTBEAT_QOS)
            publishers[topic].publish(status)

    silent = ((settings['status_topic'], bytes.fromhex(settings['silent_status'])),)
    mouthpiece = Mouthpiece(1.0 / settings['rate_hz'], say, silent)
    alone_since_s: float | None = None
    while not link.was_told:
        beat = link.receive(mouthpiece.wait_s(steady_ns()))
        mouthpiece.take(beat, steady_ns(), is_over=link.is_over)
        if link.is_over:
            alone_since_s = alone_since_s or time.monotonic()
            if time.monotonic() - alone_since_s > ORPHAN_S:
                break
    say(True, silent)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
