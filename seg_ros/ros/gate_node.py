"""``seg_ros gate``: lets velocities through while the pedestrian stop says go, else zero.

For robots that have neither twist_mux nor a collision monitor. Silence of the stop is a stop, and
silence of the planner is a zero.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import rclpy
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Bool

from seg_ros.ros.spinning import ended_by_signal

__all__ = ['GateNode', 'main']

HELP = """usage: seg_ros gate [--ros-args ROS_ARGUMENT ...]

Subscribes to cmd_vel_in and pedestrian_stop, publishes cmd_vel_out (geometry_msgs/Twist).

  seg_ros gate --ros-args -r cmd_vel_in:=/plan/cmd_vel -r cmd_vel_out:=/base/cmd_vel \\
      -r pedestrian_stop:=/segmentation/pedestrian_stop

Parameters:
  stamped:=false         cmd_vel_in is geometry_msgs/TwistStamped
  stop_timeout_s:=0.5    silence of pedestrian_stop that counts as a stop
  command_timeout_s:=0.5 silence of cmd_vel_in after which zero is published
  rate_hz:=20.0          rate at which zero is repeated
"""


class GateNode(Node):
    """Publishes the planner's velocity, or zero."""

    def __init__(self, **node_arguments: object) -> None:
        super().__init__('pedestrian_gate', **node_arguments)
        stamped = bool(self.declare_parameter('stamped', False).value)
        self._stop_timeout_s = float(self.declare_parameter('stop_timeout_s', 0.5).value)
        self._command_timeout_s = float(self.declare_parameter('command_timeout_s', 0.5).value)
        rate_hz = float(self.declare_parameter('rate_hz', 20.0).value)
        if min(self._stop_timeout_s, self._command_timeout_s, rate_hz) <= 0.0:
            raise ValueError(
                'stop_timeout_s, command_timeout_s and rate_hz must be more than 0: a gate '
                'without a timeout lets everything through once its stop has died.'
            )
        self._go_s = float('-inf')  # when the stop last said go
        self._command_s = float('-inf')
        self._output = self.create_publisher(Twist, 'cmd_vel_out', QoSProfile(depth=1))
        self.create_subscription(Bool, 'pedestrian_stop', self._on_stop, QoSProfile(depth=1))
        kind = TwistStamped if stamped else Twist
        self.create_subscription(kind, 'cmd_vel_in', self._on_command, QoSProfile(depth=1))
        self.create_timer(1.0 / rate_hz, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def may_go(self) -> bool:
        """Returns whether the stop said go, and lately."""
        return time.monotonic() - self._go_s <= self._stop_timeout_s

    def _on_stop(self, message: Bool) -> None:
        self._go_s = float('-inf') if message.data else time.monotonic()
        if message.data:
            self._output.publish(Twist())

    def _on_command(self, message: Twist | TwistStamped) -> None:
        self._command_s = time.monotonic()
        command = message.twist if isinstance(message, TwistStamped) else message
        self._output.publish(command if self.may_go() else Twist())

    def _tick(self) -> None:
        silent = time.monotonic() - self._command_s > self._command_timeout_s
        if silent or not self.may_go():
            self._output.publish(Twist())


def main(argv: Sequence[str]) -> int:
    """Runs the gate until it is told to end."""
    if {'-h', '--help'} & set(argv):
        print(HELP, end='')
        return 0
    rclpy.init(args=list(argv))
    node = None
    try:
        with ended_by_signal():
            node = GateNode()
            rclpy.spin(node)
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
