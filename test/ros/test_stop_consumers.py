# SPDX-License-Identifier: Apache-2.0
"""The same stop at two consumers of two distributions, and what is left of it after kill -9.

twist_mux and collision_monitor are re-enacted check by check from their sources, with the
parameters that are shipped here; the node is a process of its own, on the real graph.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from rclpy.qos import ReliabilityPolicy, qos_profile_system_default
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool

from test.ros.drive import Drive
from test.ros.graph import TIMEOUT_S, Graph, wait_for
from test.ros.nav2_consumers import SENSOR_DATA_50, CollisionMonitor, parameters
from test.ros.painted_road import CAMERA, IDS, SIZE_WH, SPEC, camera_info, picture
from test.ros.twist_mux_rules import Lock, TwistMux, Velocity, shipped_lock
from test.tiny_onnx import network, write_engine

STOP = '/segmentation/pedestrian_stop'
DEFAULT_SOURCE_TIMEOUT_S = 2.0  # of collision_monitor
IN_THE_ZONE = (8.0, 0.0)
COMMANDS = 10
TICK_NS = 50_000_000  # twist_mux looks at its locks when a velocity comes: here at 20 Hz
HEARTBEAT_NS = 50_000_000
NOW_NS = 1_700_000_000_000_000_000  # a wall clock: far from 0, where the stamps start


class Heartbeat(NamedTuple):
    """A message of the stop, with both times as the middleware took them."""

    sent_ns: int
    arrival_ns: int
    data: bool


def mux_of(lock: Lock, **priorities: int) -> TwistMux:
    """Returns a mux with a planner of priority 10, or with the topics that are given."""
    names = priorities or {'planner': 10}
    return TwistMux(lock, {name: Velocity(row, timeout_s=0.5) for name, row in names.items()})


def expiry_ns(lock: Lock, heartbeat: Heartbeat) -> int:
    """Returns the last time at which the lock is open if nothing comes after a heartbeat."""
    return heartbeat.arrival_ns + int(lock.timeout_s * 1e9)


def passed_ns(mux: TwistMux, heartbeats: Sequence[Heartbeat], until_ns: int) -> list[int]:
    """Replays heartbeats by their arrival; returns the ticks at which a velocity passed."""
    waiting = list(heartbeats)
    passed = []
    for tick_ns in range(heartbeats[0].arrival_ns, until_ns + 1, TICK_NS):
        while waiting and waiting[0].arrival_ns <= tick_ns:
            row = waiting.pop(0)
            mux.lock.on_message(row.data, row.arrival_ns)
        if mux.on_velocity('planner', 'forward', tick_ns):
            passed.append(tick_ns)
    return passed


def monitor_of(distribution: str, **changes: float) -> CollisionMonitor:
    file = f'collision_monitor_{distribution}.yaml'
    values = {**parameters(file, 'collision_monitor', 'ros__parameters'), **changes}
    return CollisionMonitor(values, ignores_stale=distribution == 'humble')


@dataclass
class Robot:
    """The consumers of one vehicle, and the process that feeds them once it is started.

    Attributes:
        heartbeats: Every message of the stop that was heard.
        log: What each consumer did, and when it was asked.
    """

    graph: Graph
    drive: Drive
    start: Callable[[], subprocess.Popen[bytes]]
    mux: TwistMux = field(default_factory=lambda: mux_of(shipped_lock()))
    open_mux: TwistMux = field(default_factory=lambda: mux_of(shipped_lock(timeout=0.0)))
    jazzy: CollisionMonitor = field(default_factory=lambda: monitor_of('jazzy'))
    jazzy_default: CollisionMonitor = field(
        default_factory=lambda: monitor_of('jazzy', source_timeout=DEFAULT_SOURCE_TIMEOUT_S)
    )
    humble: CollisionMonitor = field(default_factory=lambda: monitor_of('humble'))
    heartbeats: list[Heartbeat] = field(default_factory=list)
    log: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        peer = self.graph.peer
        peer.create_subscription(Bool, STOP, self._on_stop, qos_profile_system_default)
        for monitor in (self.jazzy, self.jazzy_default, self.humble):
            peer.create_subscription(
                PointCloud2, '/segmentation/obstacles', monitor.on_cloud, SENSOR_DATA_50
            )

    def _on_stop(self, message: Bool, info: dict[str, int]) -> None:
        row = Heartbeat(info['source_timestamp'], info['received_timestamp'], message.data)
        self.heartbeats.append(row)
        for mux in (self.mux, self.open_mux):
            mux.lock.on_message(row.data, row.arrival_ns)

    def now_ns(self) -> int:
        return int(self.graph.peer.get_clock().now().nanoseconds)

    def actions(self) -> dict[str, str]:
        """What each consumer does with a velocity that comes now."""
        now_ns = self.now_ns()
        actions = {
            'twist_mux': self.mux.on_velocity('planner', 'go', now_ns) or 'stop',
            'twist_mux with timeout 0.0': self.open_mux.on_velocity('planner', 'go', now_ns)
            or 'stop',
            'jazzy': self.jazzy.action(now_ns * 1e-9),
            'jazzy, default timeout': self.jazzy_default.action(now_ns * 1e-9),
            'humble': self.humble.action(now_ns * 1e-9),
        }
        self.log.append((now_ns, actions))
        return actions

    def all_do(self, action: str) -> bool:
        return set(self.actions().values()) == {action}

    def actions_after(self, time_ns: int) -> list[dict[str, str]]:
        return [actions for now_ns, actions in self.log if now_ns > time_ns]


@pytest.fixture
def robot(graph: Graph, domain_id: int, tmp_path: Path) -> Iterator[Robot]:
    engine = write_engine(
        tmp_path / 'tiny',
        network(SIZE_WH, classes=len(IDS)),
        network_size=list(SIZE_WH),
        classes=SPEC['classes'],
    )
    values = {'engine': engine, 'backend': 'canned', 'stop.hold_s': 0.2}
    values['stop.stale_timeout_s'] = (
        TIMEOUT_S  # the last word before kill -9 is "go" on any machine
    )
    values |= {f'mount.{name}': [getattr(CAMERA.mount, name)] for name in ('x', 'z', 'pitch')}
    arguments = [text for name, value in values.items() for text in ('-p', f'{name}:={value}')]
    processes: list[subprocess.Popen[bytes]] = []

    def start(*more: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, '-m', 'seg_ros.cli', 'run', '--ros-args', *arguments, *more],
            env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
        )
        processes.append(process)
        return process

    drive = Drive(graph, image=picture(), info=camera_info())
    try:
        yield Robot(graph, drive, start)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        drive.close()


def test_every_consumer_stops_for_a_person_and_in_silence_all_that_do_not_fail_open(
    robot: Robot,
) -> None:
    assert robot.actions() == {  # nothing was ever heard
        'twist_mux': 'stop',
        'twist_mux with timeout 0.0': 'go',
        'jazzy': 'stop',
        'jazzy, default timeout': 'stop',
        'humble': 'go',
    }
    # Nobody speaks for the dead, as where a whole computer dies
    process = robot.start('-p', 'heartbeat_process:=false')
    wait_for(lambda: robot.all_do('go'), 'the way is clear for every consumer')
    publishers = robot.graph.peer.get_publishers_info_by_topic(STOP)
    assert [row.qos_profile.reliability for row in publishers] == [ReliabilityPolicy.RELIABLE]

    robot.drive.image = picture(IN_THE_ZONE)
    wait_for(lambda: robot.all_do('stop'), 'a person stops every consumer')
    robot.drive.image = picture()
    wait_for(lambda: robot.all_do('go'), 'the way is clear again')

    process.send_signal(signal.SIGKILL)
    process.wait()
    dead_ns = robot.now_ns()
    old_ns = dead_ns + int(DEFAULT_SOURCE_TIMEOUT_S * 1e9)  # the camera goes on, no cloud comes

    def late_actions() -> list[dict[str, str]]:
        robot.actions()
        late = robot.actions_after(max(old_ns, expiry_ns(robot.mux.lock, robot.heartbeats[-1])))
        return late if len(late) >= COMMANDS else []

    for actions in wait_for(late_actions, 'velocities after every timeout'):
        assert actions == {
            'twist_mux': 'stop',
            'twist_mux with timeout 0.0': 'go',  # as in the example of twist_mux: never copy it
            'jazzy': 'stop',
            'jazzy, default timeout': 'stop',
            'humble': 'go',  # and therefore the lock or the gate before it
        }

    heartbeats = robot.heartbeats[:]
    assert max(row.sent_ns for row in heartbeats) <= dead_ns
    mux, open_mux = mux_of(shipped_lock()), mux_of(shipped_lock(timeout=0.0))
    open_until_ns = expiry_ns(mux.lock, heartbeats[-1])
    assert {row['twist_mux'] for row in robot.actions_after(open_until_ns)} == {'stop'}
    end_ns = open_until_ns + COMMANDS * TICK_NS
    passed = passed_ns(mux, heartbeats, end_ns)
    assert open_until_ns - TICK_NS < passed[-1] <= open_until_ns  # and stops at the next tick
    assert mux.lock.is_locked(open_until_ns + 1)
    assert passed_ns(open_mux, heartbeats, end_ns)[-1] > end_ns - TICK_NS


def test_after_kill_9_of_the_node_even_a_lock_without_a_timeout_is_locked(robot: Robot) -> None:
    process = robot.start()
    wait_for(lambda: robot.all_do('go'), 'the way is clear for every consumer')
    process.send_signal(signal.SIGKILL)
    process.wait()
    for name in ('twist_mux', 'twist_mux with timeout 0.0'):
        wait_for(lambda name=name: robot.actions()[name] == 'stop', f'{name} is locked')
    wait_for(
        lambda: robot.graph.peer.count_publishers(STOP) == 0, 'who speaks for the dead ends, too'
    )
    assert robot.actions()['twist_mux with timeout 0.0'] == 'stop'


def test_a_mux_falls_silent_one_tick_after_the_timeout_of_its_lock_and_not_before() -> None:
    arrivals = range(NOW_NS, NOW_NS + 40 * HEARTBEAT_NS, HEARTBEAT_NS)
    heartbeats = [Heartbeat(row, row, data=False) for row in arrivals]
    mux = mux_of(shipped_lock())
    open_until_ns = expiry_ns(mux.lock, heartbeats[-1])

    passed = passed_ns(mux, heartbeats, open_until_ns + COMMANDS * TICK_NS)

    assert passed == list(range(NOW_NS, open_until_ns + 1, TICK_NS))


@pytest.mark.parametrize(('timeout_s', 'is_locked'), [(0.5, True), (0.0, False)])
def test_a_lock_that_was_never_heard_is_open_only_without_a_timeout(
    timeout_s: float, is_locked: bool
) -> None:
    assert shipped_lock(timeout=timeout_s).is_locked(NOW_NS) == is_locked


def test_under_sim_time_a_lock_that_was_never_heard_is_open_until_its_timeout() -> None:
    lock = shipped_lock(timeout=0.5)
    assert not lock.is_locked(0)
    assert not lock.is_locked(500_000_000)
    assert lock.is_locked(500_000_001)


def test_under_sim_time_a_stop_locks_from_the_start() -> None:
    lock = shipped_lock(timeout=0.5)
    lock.on_message(True, 0)
    assert lock.is_locked(0)


@pytest.mark.parametrize('data', [True, False])
def test_a_fresh_message_decides(data: bool) -> None:
    lock = shipped_lock(timeout=0.5)
    lock.on_message(not data, NOW_NS)
    lock.on_message(data, NOW_NS + HEARTBEAT_NS)
    assert lock.is_locked(NOW_NS + HEARTBEAT_NS) == data


def test_silence_locks_when_it_is_longer_than_the_timeout() -> None:
    lock = shipped_lock(timeout=0.5)
    lock.on_message(False, NOW_NS)
    assert not lock.is_locked(NOW_NS + 500_000_000)
    assert lock.is_locked(NOW_NS + 500_000_001)


def test_a_message_after_silence_opens_the_lock_at_once_however_old_its_frame() -> None:
    lock = shipped_lock(timeout=0.5)
    assert lock.is_locked(NOW_NS)
    lock.on_message(False, NOW_NS)
    assert not lock.is_locked(NOW_NS)


@pytest.mark.parametrize('data', [True, False])
def test_without_a_timeout_the_last_word_holds_for_ever(data: bool) -> None:
    lock = shipped_lock(timeout=0.0)
    lock.on_message(data, NOW_NS)
    assert lock.is_locked(NOW_NS + 10**18) == data


@pytest.mark.parametrize(
    ('priority', 'passes'), [(100, False), (253, False), (254, True), (255, True)]
)
def test_the_shipped_lock_masks_only_strictly_lower_priorities(
    priority: int, passes: bool
) -> None:
    mux = mux_of(shipped_lock(), velocity=priority)
    assert mux.on_velocity('velocity', 'forward', NOW_NS) == ('forward' if passes else None)


def test_a_locked_mux_publishes_nothing_not_even_a_zero() -> None:
    mux = mux_of(shipped_lock())
    mux.lock.on_message(False, NOW_NS)
    assert mux.on_velocity('planner', 'forward', NOW_NS) == 'forward'
    mux.lock.on_message(True, NOW_NS)
    assert mux.on_velocity('planner', 'forward', NOW_NS) is None


def test_a_locked_mux_passes_a_human_and_masks_the_planner_also_when_the_human_is_silent() -> None:
    mux = mux_of(shipped_lock(), planner=10, human=255)
    assert mux.on_velocity('human', 'back', NOW_NS) == 'back'
    assert mux.on_velocity('planner', 'forward', NOW_NS + 10**9) is None


def test_a_planner_passes_an_open_lock_once_the_human_has_expired() -> None:
    mux = mux_of(shipped_lock(timeout=0.0), planner=10, human=255)
    mux.on_velocity('human', 'back', NOW_NS)
    assert mux.on_velocity('planner', 'forward', NOW_NS + 500_000_000) is None
    assert mux.on_velocity('planner', 'forward', NOW_NS + 500_000_001) == 'forward'
