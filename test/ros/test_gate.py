# SPDX-License-Identifier: Apache-2.0
"""The gate: velocities pass while the stop says go; silence of either side is a zero."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Bool

from seg_ros.core.errors import ConfigurationError
from seg_ros.ros import gate_node, message_info
from seg_ros.ros.gate_node import GateNode
from test.paths import REPOSITORY
from test.ros.graph import Spinning, wait_for

TRIALS = 10


class Planner:
    """A planner, a stop, and what comes out of the gate, of one type of velocity."""

    def __init__(self, domain_id: int, kind: type) -> None:
        self.spinning = Spinning(domain_id)
        self.peer = Node('peer', context=self.spinning.context)
        self.spinning.executor.add_node(self.peer)
        self.stop = self.peer.create_publisher(Bool, 'pedestrian_stop', 1)
        self.command = self.peer.create_publisher(kind, 'cmd_vel_in', 1)
        self.out: list[Any] = []
        self.peer.create_subscription(kind, 'cmd_vel_out', self.out.append, 10)

    def plan(self, speed_mps: float = 1.0) -> Any:
        """Returns a velocity straight on."""
        command: Any = self.command.msg_type()
        getattr(command, 'twist', command).linear.x = speed_mps
        if isinstance(command, TwistStamped):
            command.header.frame_id = 'base_footprint'
        return command

    def speeds(self) -> list[float]:
        return [getattr(row, 'twist', row).linear.x for row in list(self.out)]

    def connected(self) -> None:
        """Waits until the gate hears both, and is heard."""
        wait_for(self.stop.get_subscription_count, 'the gate hears the stop')
        wait_for(self.command.get_subscription_count, 'the gate hears the planner')
        wait_for(lambda: self.out, 'the planner hears the gate')

    def drive(
        self, *, stop: bool | None, seconds: float = 0.4, speed_mps: float = 1.0
    ) -> list[float]:
        """Plans a speed for a while; returns the speeds that came out in its second half."""
        self.out.clear()
        command = self.plan(speed_mps)
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            if stop is not None:
                self.stop.publish(Bool(data=stop))
            self.command.publish(command)
            time.sleep(0.02)
        speeds = self.speeds()
        return speeds[len(speeds) // 2 :]


TIMEOUTS = {'stop_timeout_s': 0.2, 'command_timeout_s': 0.2}
RULES = {
    'Twist': (Twist, True),
    'TwistStamped': (TwistStamped, True),
    "Twist, by Humble's rule": (Twist, False),  # the message alone
}


@pytest.fixture(params=RULES.values(), ids=list(RULES))
def bench(
    domain_id: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Planner]:
    kind, takes_info = request.param
    monkeypatch.setattr(message_info, 'takes_info', lambda: takes_info)
    made = Planner(domain_id, kind)
    overrides = [Parameter(name, value=value) for name, value in TIMEOUTS.items()]
    gate = GateNode(context=made.spinning.context, parameter_overrides=overrides)
    made.spinning.executor.add_node(gate)
    made.connected()
    yield made
    made.spinning.close([gate, made.peer])


def test_velocities_pass_only_while_the_stop_says_go(bench: Planner) -> None:
    assert max(bench.drive(stop=None)) == 0.0  # never heard
    assert min(bench.drive(stop=False)) == 1.0
    assert max(bench.drive(stop=True)) == 0.0
    assert min(bench.drive(stop=False)) == 1.0


def test_nobody_who_says_go_beside_a_stop_opens_the_gate_between_its_words(
    bench: Planner,
) -> None:
    other = bench.peer.create_publisher(Bool, 'pedestrian_stop', 1)
    assert min(bench.drive(stop=False)) == 1.0
    bench.drive(stop=True)
    bench.out.clear()
    until_s = time.monotonic() + 0.8
    while time.monotonic() < until_s:
        bench.stop.publish(Bool(data=True))
        for _ in range(4):
            time.sleep(0.01)
            other.publish(Bool(data=False))
            bench.command.publish(bench.plan())
    assert set(bench.speeds()) == {0.0}


def test_silence_of_the_stop_is_a_stop(bench: Planner) -> None:
    assert min(bench.drive(stop=False)) == 1.0
    assert max(bench.drive(stop=None, seconds=1.0)) == 0.0


def test_silence_of_the_planner_is_a_zero(bench: Planner) -> None:
    bench.drive(stop=False)
    bench.out.clear()
    wait_for(lambda: bench.out and bench.speeds()[-1] == 0.0, 'a zero')


@pytest.mark.parametrize('speed_mps', [math.nan, math.inf, -math.inf])
def test_a_velocity_that_is_no_finite_number_is_a_zero(bench: Planner, speed_mps: float) -> None:
    assert set(bench.drive(stop=False, speed_mps=speed_mps, seconds=0.3)) == {0.0}


def test_every_velocity_has_the_planners_type_and_its_frame(bench: Planner) -> None:
    bench.drive(stop=False)
    bench.drive(stop=True)
    assert {type(row) for row in bench.out} == {bench.command.msg_type}
    if bench.command.msg_type is TwistStamped:
        assert {row.header.frame_id for row in bench.out} == {'base_footprint'}


@pytest.mark.parametrize('name', ['stop_timeout_s', 'command_timeout_s', 'rate_hz'])
@pytest.mark.parametrize('value', [0.0, -1.0, math.inf, math.nan])
def test_a_gate_without_a_timeout_is_refused(domain_id: int, name: str, value: float) -> None:
    spinning = Spinning(domain_id)
    with pytest.raises(ConfigurationError, match=f'{name} out of range Min'):
        GateNode(context=spinning.context, parameter_overrides=[Parameter(name, value=value)])
    spinning.close([])


def test_a_gate_whose_stop_nobody_publishes_says_so_once_and_names_the_likely_one(
    domain_id: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_node, 'SILENCE_WARN_S', 0.3)
    spinning = Spinning(domain_id)
    peer = Node('peer', context=spinning.context)
    stop = peer.create_publisher(Bool, '/segmentation/pedestrian_stop', 1)
    peer.create_publisher(Bool, '/door_open', 1)
    peer.create_publisher(Twist, '/plan', 1)
    gate = GateNode(context=spinning.context)
    spinning.executor.add_node(gate)
    said = ''

    def warned(name: str, words: str) -> int:
        nonlocal said
        said += capfd.readouterr().err
        return said.count(f'nobody publishes /{name}; {words}')

    likely = 'stop topics here: /segmentation/pedestrian_stop (did you mean it?). To read it: -r'
    wait_for(lambda: warned('pedestrian_stop', likely), 'the warning about the stop')
    wait_for(lambda: warned('cmd_vel_in', 'velocity topics here: /plan'), 'that of the planner')
    time.sleep(1.0)  # three looks and more
    assert warned('pedestrian_stop', likely) == 1
    assert stop.topic_name == '/segmentation/pedestrian_stop'
    spinning.close([gate, peer])


def test_after_a_pause_of_its_process_no_old_go_lets_a_velocity_through(domain_id: int) -> None:
    planner = Planner(domain_id, Twist)
    values = [word for name, value in TIMEOUTS.items() for word in ('-p', f'{name}:={value}')]
    gate = subprocess.Popen(
        [sys.executable, '-m', 'seg_ros.cli', 'gate', '--ros-args', *values],
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
    )

    def say(seconds: float, *, go: bool) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            if go:
                planner.stop.publish(Bool(data=False))
            planner.command.publish(planner.plan())
            time.sleep(0.02)

    try:
        planner.connected()
        for _ in range(TRIALS):
            wait_for(
                lambda: planner.drive(stop=False, seconds=0.2)[-1:] == [1.0], 'velocities pass'
            )
            gate.send_signal(signal.SIGSTOP)
            say(0.06, go=True)  # these wait
            say(0.25, go=False)  # the stop has died meanwhile
            planner.out.clear()
            gate.send_signal(signal.SIGCONT)
            say(0.2, go=False)
            assert planner.out, 'the gate goes on'
            assert 0.0 in planner.speeds()
            assert 2.0 not in planner.speeds()
    finally:
        gate.send_signal(signal.SIGCONT)
        gate.terminate()
        gate.wait()
        planner.spinning.close([planner.peer])


def test_a_go_from_a_clock_that_is_ahead_is_not_believed(domain_id: int) -> None:
    spinning = Spinning(domain_id)
    gate = GateNode(context=spinning.context)
    time.sleep(0.15)
    for late_s, may_go in ((0.0, True), (0.4, True), (0.6, False), (-0.05, True), (-1.0, False)):
        info = {'source_timestamp': time.time_ns() - int(late_s * 1e9)}
        gate._on_stop(Bool(data=False), info)
        assert gate.may_go() is may_go
    spinning.close([gate])


def test_the_shipped_lock_of_twist_mux_has_a_timeout() -> None:
    file = REPOSITORY / 'config/consumers/twist_mux_locks.yaml'
    locks = yaml.safe_load(file.read_text())['twist_mux']['ros__parameters']['locks']
    assert locks['pedestrian_stop']['timeout'] > 3 / 20.0  # three heartbeats
    assert locks['pedestrian_stop']['topic'] == '/segmentation/pedestrian_stop'


def gate_of(bench: Planner) -> GateNode:
    nodes = bench.spinning.executor.get_nodes()
    return next(node for node in nodes if isinstance(node, GateNode))


def test_a_gate_whose_output_is_its_input_is_refused(domain_id: int) -> None:
    spinning = Spinning(domain_id)
    remapped = ['--ros-args', '-r', 'cmd_vel_in:=cmd_vel', '-r', 'cmd_vel_out:=/cmd_vel']
    with pytest.raises(ConfigurationError, match=r'both /cmd_vel.* Give the planner a topic'):
        GateNode(context=spinning.context, cli_args=remapped)
    spinning.close([])


def test_who_moves_the_base_beside_the_gate_is_named_once(
    bench: Planner, capfd: pytest.CaptureFixture[str]
) -> None:
    said = ''

    def errors() -> int:
        nonlocal said
        said += capfd.readouterr().err
        return said.count('/cmd_vel_out has 2 publishers, /peddler, /pedestrian_gate. What does')

    other = Node('peddler', context=bench.spinning.context)
    other.create_publisher(bench.command.msg_type, 'cmd_vel_out', 1)
    wait_for(errors, 'the error')
    time.sleep(0.6)  # two looks and more
    assert errors() == 1
    other.destroy_node()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_the_last_word_of_a_gate_is_a_zero(domain_id: int, number: signal.Signals) -> None:
    planner = Planner(domain_id, Twist)
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain_id)}
    words = [sys.executable, '-m', 'seg_ros.cli', 'gate']
    gate = subprocess.Popen(words, env=environment)
    try:
        planner.connected()
        wait_for(lambda: planner.drive(stop=False, seconds=0.2)[-1:] == [1.0], 'velocities pass')
        gate.send_signal(number)
        planner.drive(stop=False, seconds=1.0)
        assert gate.wait(10.0) == 0
        assert planner.speeds()[-1] == 0.0
    finally:
        gate.kill()
        gate.wait()
        planner.spinning.close([planner.peer])


def test_before_a_gate_changes_the_type_it_says_zero(bench: Planner) -> None:
    wait_for(lambda: bench.drive(stop=False, seconds=0.2)[-1:] == [1.0], 'velocities pass')
    gate = gate_of(bench)
    bench.spinning.executor.remove_node(gate)
    bench.out.clear()
    gate._disconnect()
    wait_for(lambda: bench.speeds()[-1:] == [0.0], 'a zero')


def test_no_go_of_before_a_sleep_of_the_computer_lets_a_velocity_through(
    bench: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sleep the wall's clock goes on, and the monotonic one does not."""
    gate = gate_of(bench)
    wait_for(lambda: bench.drive(stop=False, seconds=0.2) and gate.may_go(), 'a go')
    asked = time.clock_gettime_ns

    def after_a_night(clock: int) -> int:
        return asked(clock) + (8 * 3600 * 10**9 if clock == time.CLOCK_BOOTTIME else 0)

    monkeypatch.setattr(time, 'clock_gettime_ns', after_a_night)
    assert not gate.may_go()
    assert not gate._is_planned()
