# SPDX-License-Identifier: Apache-2.0
"""``seg_ros gate``: lets velocities through while the pedestrian stop says go, else zero.

For robots that have neither twist_mux nor a collision monitor. Silence of the stop is a stop, and
silence of the planner is a zero.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from typing import Any

import rclpy
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.gate_config import GateConfig
from seg_ros.core.parameters.text import parameters_help
from seg_ros.core.units import NS_PER_S
from seg_ros.ros.message_info import MessageInfo, source_time_ns, with_info
from seg_ros.ros.parameters import declare_parameters, given_overrides, read_config
from seg_ros.ros.renewal import Renewal
from seg_ros.ros.silence import nobody_publishes
from seg_ros.ros.spinning import ended_by_signal, spin_while
from seg_ros.ros.starting import start_ros
from seg_ros.ros.steady_clock import steady_ns
from seg_ros.ros.stream_watch import StreamWatch

__all__ = ['GateNode', 'main']

NODE_NAME = 'pedestrian_gate'
HELP = """usage: seg_ros gate [--ros-args ROS_ARGUMENT ...]

Subscribes to cmd_vel_in and pedestrian_stop, publishes cmd_vel_out. Its type, geometry_msgs/Twist
or TwistStamped, is that of cmd_vel_in, which follows the publisher. Its last word is a zero.

  seg_ros gate --ros-args -r cmd_vel_in:=/plan/cmd_vel -r cmd_vel_out:=/base/cmd_vel \\
      -r pedestrian_stop:=/segmentation/pedestrian_stop

Parameters:
"""

KINDS = {'geometry_msgs/msg/Twist': Twist, 'geometry_msgs/msg/TwistStamped': TwistStamped}
WATCH_PERIOD_S = 0.25  # how soon the gate follows the type of cmd_vel_in
# A message from the future is of a clock that cannot be compared with ours. NTP keeps computers
# within a few milliseconds; stop.future_tolerance_s allows a camera as much.
AHEAD_S = 0.1
# After a pause of the process (SIGSTOP, a laptop's lid) what waited is read within milliseconds
DRAIN_S = 0.1
# Of stop_timeout_s, which is a multiple of the time between two words of the node, so that it
# speaks at least once meanwhile: who says go beside it (an old node, a bag that is played) opens
# nothing between its stops
STOP_HOLDS = 0.75
REPEAT_LOG_S = 5.0
SILENCE_WARN_S = 2.0  # discovery takes as long on a loaded machine
LAST_WORD_S = 0.3  # until a base has heard the last zero
LOOK_S = 0.1  # longest until a signal is noticed
INPUTS = {
    'pedestrian_stop': ('stop', ('std_msgs/msg/Bool',)),
    'cmd_vel_in': ('velocity', tuple(KINDS)),
}
NEVER = float('-inf')


class GateNode(Node):
    """Publishes the planner's velocity, or zero.

    Raises:
        ConfigurationError: A parameter that is out of its range; or what goes in comes out.
    """

    def __init__(self, **node_arguments: object) -> None:
        super().__init__(NODE_NAME, **node_arguments)
        try:
            declare_parameters(self, GateConfig)
            config = read_config(self, GateConfig())
            self._refuse_a_loop()
        except ConfigurationError:
            self.destroy_node()  # else it stays on the graph until Python collects it
            raise
        self._stop_timeout_s = config.stop_timeout_s
        self._command_timeout_s = config.command_timeout_s
        self._go_s = NEVER  # when the newest go was sent, by the steady clock
        self._stop_s = NEVER  # when the newest stop came
        self._command_s = NEVER  # when the newest velocity was sent
        self._awake_s = self._looked_s = _now_s()
        self._missed_s: dict[str, float] = {}  # since when an input has no publisher
        self._frame_id = 'base_link'  # of zeros, until the planner has named its own
        self._kind: type[Twist | TwistStamped] = TwistStamped if config.stamped else Twist
        self._output: Any = None
        self._input: Any = None
        self._renewal = Renewal()  # of the input
        self._streams = StreamWatch(self)
        self._connect()
        self.create_subscription(
            Bool, 'pedestrian_stop', with_info(self._on_stop), QoSProfile(depth=1)
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / config.rate_hz, self._tick, clock=steady)
        self.create_timer(WATCH_PERIOD_S, self._follow, clock=steady)

    def may_go(self) -> bool:
        """Returns whether the stop said go, and lately, and nobody said stop meanwhile."""
        now_s = _now_s()
        if now_s - self._stop_s <= STOP_HOLDS * self._stop_timeout_s:
            return False
        return now_s - self._go_s <= self._stop_timeout_s

    def _on_stop(self, message: Bool, info: MessageInfo) -> None:
        sent_s = self._sent_s(info)
        self._go_s = NEVER if message.data else sent_s
        if message.data:
            self._stop_s = _now_s()
            self._publish_zero()

    def _on_command(self, message: Twist | TwistStamped, info: MessageInfo) -> None:
        self._renewal.heard()
        self._command_s = self._sent_s(info)
        command = message
        if isinstance(message, TwistStamped):
            command, self._frame_id = message.twist, message.header.frame_id
        if not _is_finite(command):
            self._command_s = NEVER
            self.get_logger().error(
                'cmd_vel_in has a velocity that is no finite number; zero instead.',
                throttle_duration_sec=REPEAT_LOG_S,
            )
        if self._output is not None and self._is_planned() and self.may_go():
            self._output.publish(message)
        else:
            self._publish_zero()

    def _tick(self) -> None:
        self._look()
        if not (self._is_planned() and self.may_go()):
            self._publish_zero()

    def _is_planned(self) -> bool:
        return _now_s() - self._command_s <= self._command_timeout_s

    def _publish_zero(self) -> None:
        if self._output is None:
            return
        zero = self._kind()
        if isinstance(zero, TwistStamped):
            zero.header.stamp = self.get_clock().now().to_msg()
            zero.header.frame_id = self._frame_id
        self._output.publish(zero)

    # When a message was sent

    def _sent_s(self, info: MessageInfo) -> float:
        """Returns when a message was sent, by the steady clock, or that nobody can say so.

        Its arrival says nothing: what waited while this process was stopped arrives when it goes
        on, and would open the gate with the word of long ago.
        """
        now_s = self._look()
        if now_s - self._awake_s < DRAIN_S:
            return NEVER
        source_ns = source_time_ns(info)
        if source_ns is None:
            return now_s
        age_s = (time.time_ns() - source_ns) * 1e-9
        if age_s < -AHEAD_S:
            self.get_logger().error(
                f'A message was sent {-age_s:.2f} s ahead of the clock of this computer, so '
                'nobody knows how old it is: stop. Synchronise the clocks (NTP, PTP).',
                throttle_duration_sec=REPEAT_LOG_S,
            )
            return NEVER
        return now_s - max(age_s, 0.0)

    def _look(self) -> float:
        """Returns the time; notices that the process stood still since the last look."""
        now_s = _now_s()
        if now_s - self._looked_s > self._stop_timeout_s:
            self._awake_s = now_s
        self._looked_s = now_s
        return now_s

    # The type of the velocities

    def _follow(self) -> None:
        """Takes the type that the planner publishes, for what comes out, too."""
        self._look_for_publishers()
        self._look_for_bypasses()
        rows = self.get_publishers_info_by_topic(self.resolve_topic_name('cmd_vel_in'))
        kinds = [KINDS[row.topic_type] for row in rows if row.topic_type in KINDS]
        if kinds and self._kind not in kinds:
            self._disconnect()
            self._kind = kinds[0]
            # DDS refuses a second type on a topic until the executor has let go of the first:
            # connect at the next look.
            return
        if self._renewal.is_due(_now_s(), has_publisher=bool(kinds)) and self._input is not None:
            self.destroy_subscription(self._input)
            self._input = None
        self._connect()

    def _look_for_publishers(self) -> None:
        """Says once that nobody publishes what the gate waits for, and who probably does."""
        now_s = _now_s()
        for name, (what, kinds) in INPUTS.items():
            topic = self.resolve_topic_name(name)
            if self.count_publishers(topic):
                self._missed_s.pop(name, None)
                continue
            since_s = self._missed_s.setdefault(name, now_s)
            if now_s - since_s < SILENCE_WARN_S:
                continue
            self._missed_s[name] = math.inf  # until somebody has published it
            ours = self.resolve_topic_name('cmd_vel_out')
            others = sorted(
                other
                for other, types in self.get_topic_names_and_types()
                if set(types) & set(kinds) and other != ours and self.count_publishers(other)
            )
            if what == 'stop':
                others = [other for other in others if other.endswith('/pedestrian_stop')]
            self.get_logger().warning(
                f'Zero is all that comes out: {nobody_publishes(topic, others, name, what)}.'
            )

    def _look_for_bypasses(self) -> None:
        """Says who else moves the base: the stop does not reach it."""
        self._streams.look(
            self.resolve_topic_name('cmd_vel_out'),
            'What does not come through the gate is not stopped: let all others publish '
            f'{self.resolve_topic_name("cmd_vel_in")}, as with -r cmd_vel:=cmd_vel_in.',
        )

    def _refuse_a_loop(self) -> None:
        """What comes out would come in as the planner's, and go on for ever."""
        topics = {self.resolve_topic_name(f'cmd_vel_{way}') for way in ('in', 'out')}
        if len(topics) == 1:
            raise ConfigurationError(
                f'cmd_vel_in and cmd_vel_out are both {topics.pop()}: what comes out would go in '
                'again as a velocity of the planner. Give the planner a topic of its own, as with '
                '-r cmd_vel_in:=/plan/cmd_vel.'
            )

    def end(self) -> None:
        """Says zero for the last time, and waits until it was heard."""
        self._publish_zero()
        if self._output is not None:
            self._output.wait_for_all_acked(Duration(seconds=LAST_WORD_S))

    def _connect(self) -> None:
        if self._input is not None and self._output is not None:
            return
        self._renewal.made()
        is_new = self._output is None
        try:
            self._output = self._output or self.create_publisher(
                self._kind, 'cmd_vel_out', QoSProfile(depth=1)
            )
            self._input = self.create_subscription(
                self._kind, 'cmd_vel_in', with_info(self._on_command), QoSProfile(depth=1)
            )
        except rclpy_implementation.RCLError as error:
            self.get_logger().debug(f'Tries again: {error}')
            return
        if is_new:
            self.get_logger().info(f'Takes and gives geometry_msgs/{self._kind.__name__}.')

    def _disconnect(self) -> None:
        self.end()  # what follows is silence, for a moment
        self._command_s = NEVER
        if self._input is not None:
            self.destroy_subscription(self._input)
        if self._output is not None:
            self.destroy_publisher(self._output)
        self._input = self._output = None


def _now_s() -> float:
    return steady_ns() / NS_PER_S


def _is_finite(command: Twist) -> bool:
    parts = (command.linear, command.angular)
    return all(math.isfinite(value) for part in parts for value in (part.x, part.y, part.z))


def main(argv: Sequence[str]) -> int:
    """Runs the gate until it is told to end.

    Raises:
        ConfigurationError: An argument, parameter or setting with which it cannot start.
    """
    if {'-h', '--help'} & set(argv):
        print(HELP + parameters_help(GateConfig), end='')
        return 0
    given = given_overrides(argv, NODE_NAME, GateConfig())
    # Not rclpy's handlers, after which nothing can be published any more. A KeyboardInterrupt
    # would come out wherever Python is, or nowhere where that swallows it
    start_ros(argv, signal_handler_options=SignalHandlerOptions.NO)
    told_to_end: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: told_to_end.append(number))
    node = None
    try:
        with ended_by_signal():
            node = GateNode(parameter_overrides=given.parameters)
            for sentence in given.warnings:
                node.get_logger().warning(sentence)
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            spin_while(lambda: not told_to_end, executor, node.get_logger().warning, LOOK_S)
    finally:
        if node is not None:
            if rclpy.ok():
                node.end()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
