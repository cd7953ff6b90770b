"""The gate: velocities pass while the stop says go; silence of either side is a zero."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Bool

from seg_ros.ros.gate_node import GateNode
from test.paths import REPOSITORY
from test.ros.graph import Spinning, wait_for


class Bench:
    """A gate, its planner, its stop, and what comes out."""

    def __init__(self, domain_id: int, **parameters: Any) -> None:
        self.spinning = Spinning(domain_id)
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.gate = GateNode(context=self.spinning.context, parameter_overrides=overrides)
        self.peer = Node('peer', context=self.spinning.context)
        for node in (self.gate, self.peer):
            self.spinning.executor.add_node(node)
        kind = TwistStamped if parameters.get('stamped') else Twist
        self.stop = self.peer.create_publisher(Bool, 'pedestrian_stop', 1)
        self.command = self.peer.create_publisher(kind, 'cmd_vel_in', 1)
        self.out: list[Twist] = []
        self.peer.create_subscription(Twist, 'cmd_vel_out', self.out.append, 10)

    def drive(self, *, stop: bool | None, seconds: float = 0.4) -> list[float]:
        """Plans 1 m/s for a while; returns the speeds that came out in its second half."""
        self.out.clear()
        command: Any = self.command.msg_type()
        getattr(command, 'twist', command).linear.x = 1.0
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            if stop is not None:
                self.stop.publish(Bool(data=stop))
            self.command.publish(command)
            time.sleep(0.02)
        return [row.linear.x for row in self.out[len(self.out) // 2 :]]


@pytest.fixture(params=[False, True], ids=['Twist', 'TwistStamped'])
def bench(domain_id: int, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(domain_id, stamped=request.param, stop_timeout_s=0.2, command_timeout_s=0.2)
    wait_for(lambda: made.stop.get_subscription_count(), 'the gate hears the stop')
    wait_for(lambda: made.command.get_subscription_count(), 'the gate hears the planner')
    wait_for(lambda: made.out, 'the planner hears the gate')
    yield made
    made.spinning.close([made.gate, made.peer])


def test_velocities_pass_only_while_the_stop_says_go(bench: Bench) -> None:
    assert max(bench.drive(stop=None)) == 0.0  # never heard
    assert min(bench.drive(stop=False)) == 1.0
    assert max(bench.drive(stop=True)) == 0.0
    assert min(bench.drive(stop=False)) == 1.0


def test_silence_of_the_stop_is_a_stop(bench: Bench) -> None:
    assert min(bench.drive(stop=False)) == 1.0
    assert max(bench.drive(stop=None, seconds=1.0)) == 0.0


def test_silence_of_the_planner_is_a_zero(bench: Bench) -> None:
    bench.drive(stop=False)
    bench.out.clear()
    wait_for(lambda: bench.out and bench.out[-1].linear.x == 0.0, 'a zero')


def test_a_gate_without_a_timeout_is_refused(domain_id: int) -> None:
    spinning = Spinning(domain_id)
    with pytest.raises(ValueError, match='must be more than 0'):
        GateNode(
            context=spinning.context, parameter_overrides=[Parameter('stop_timeout_s', value=0.0)]
        )
    spinning.close([])


def test_the_shipped_lock_of_twist_mux_has_a_timeout() -> None:
    file = REPOSITORY / 'config/consumers/twist_mux_locks.yaml'
    locks = yaml.safe_load(file.read_text())['twist_mux']['ros__parameters']['locks']
    assert locks['pedestrian_stop']['timeout'] > 3 / 20.0  # three heartbeats
    assert locks['pedestrian_stop']['topic'] == '/segmentation/pedestrian_stop'
