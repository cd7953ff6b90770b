"""The same stop at two consumers of two distributions, and what is left of it after kill -9.

twist_mux and collision_monitor are re-enacted check by check from their sources, with the
parameters that are shipped here; the node is a process of its own, on the real graph.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from geometry_msgs.msg import Twist
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool

from test.ros.drive import Drive
from test.ros.graph import Graph, wait_for
from test.ros.nav2_consumers import SENSOR_DATA_50, CollisionMonitor, parameters
from test.ros.test_nav2_contracts import CAMERA, IDS, SIZE_WH, SPEC, camera_info, picture
from test.ros.twist_mux import TwistMux, shipped_lock
from test.tiny_onnx import network, write_engine

DEFAULT_SOURCE_TIMEOUT_S = 2.0  # of collision_monitor
IN_THE_ZONE = (8.0, 0.0)
COMMANDS = 10


def monitor_of(distribution: str, **changes: float) -> CollisionMonitor:
    file = f'collision_monitor_{distribution}.yaml'
    values = {**parameters(file, 'collision_monitor', 'ros__parameters'), **changes}
    return CollisionMonitor(values, ignores_stale=distribution == 'humble')


@dataclass
class Robot:
    """The consumers of one vehicle, and the process that feeds them."""

    graph: Graph
    drive: Drive
    process: subprocess.Popen[bytes]
    mux: TwistMux = field(default_factory=lambda: TwistMux(shipped_lock()))
    open_mux: TwistMux = field(default_factory=lambda: TwistMux(shipped_lock(timeout=0.0)))
    jazzy: CollisionMonitor = field(default_factory=lambda: monitor_of('jazzy'))
    jazzy_default: CollisionMonitor = field(
        default_factory=lambda: monitor_of('jazzy', source_timeout=DEFAULT_SOURCE_TIMEOUT_S)
    )
    humble: CollisionMonitor = field(default_factory=lambda: monitor_of('humble'))

    def __post_init__(self) -> None:
        stop, cloud = '/segmentation/pedestrian_stop', '/segmentation/obstacles'
        for mux in (self.mux, self.open_mux):
            self.graph.peer.create_subscription(Bool, stop, mux.lock.callback, 10)
        for monitor in (self.jazzy, self.jazzy_default, self.humble):
            self.graph.peer.create_subscription(
                PointCloud2, cloud, monitor.on_cloud, SENSOR_DATA_50
            )

    def actions(self) -> dict[str, str]:
        """What each consumer does with a velocity that comes now."""
        now_s = self.graph.peer.get_clock().now().nanoseconds * 1e-9
        return {
            'twist_mux': 'go' if self.mux.callback(Twist()) else 'stop',
            'twist_mux with timeout 0.0': 'go' if self.open_mux.callback(Twist()) else 'stop',
            'jazzy': self.jazzy.action(now_s),
            'jazzy, default timeout': self.jazzy_default.action(now_s),
            'humble': self.humble.action(now_s),
        }

    def all_do(self, action: str) -> bool:
        return set(self.actions().values()) == {action}


@pytest.fixture
def robot(graph: Graph, domain_id: int, tmp_path: Path) -> Iterator[Robot]:
    engine = write_engine(
        tmp_path / 'tiny',
        network(SIZE_WH, classes=len(IDS)),
        network_size=list(SIZE_WH),
        classes=SPEC['classes'],
    )
    values = {'engine': engine, 'backend': 'canned', 'stop.hold_s': 0.2}
    values |= {f'mount.{name}': [getattr(CAMERA.mount, name)] for name in ('x', 'z', 'pitch')}
    arguments = [text for name, value in values.items() for text in ('-p', f'{name}:={value}')]
    process = subprocess.Popen(
        [sys.executable, '-m', 'seg_ros.cli', 'run', '--ros-args', *arguments],
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
    )
    drive = Drive(graph, image=picture(), info=camera_info())
    try:
        yield Robot(graph, drive, process)
    finally:
        process.kill()
        process.wait()
        drive.close()


def test_every_consumer_stops_for_a_person_and_after_kill_9_all_that_do_not_fail_open(
    robot: Robot,
) -> None:
    assert robot.actions() == {  # nothing was ever heard
        'twist_mux': 'stop',
        'twist_mux with timeout 0.0': 'go',
        'jazzy': 'stop',
        'jazzy, default timeout': 'stop',
        'humble': 'go',
    }
    wait_for(lambda: robot.all_do('go'), 'the way is clear for every consumer')

    robot.drive.image = picture(IN_THE_ZONE)
    wait_for(lambda: robot.all_do('stop'), 'a person stops every consumer')
    robot.drive.image = picture()
    wait_for(lambda: robot.all_do('go'), 'the way is clear again')

    robot.process.send_signal(signal.SIGKILL)
    robot.process.wait()
    robot.drive.running = True  # the camera goes on; the node is no more
    wait_for(robot.mux.lock.is_locked, 'the lock with a timeout')
    wait_for(lambda: robot.actions()['jazzy, default timeout'] == 'stop', 'an invalid source')
    published = len(robot.mux.out)
    for _ in range(COMMANDS):
        assert robot.actions() == {
            'twist_mux': 'stop',
            'twist_mux with timeout 0.0': 'go',  # as in the example of twist_mux: never copy it
            'jazzy': 'stop',
            'jazzy, default timeout': 'stop',
            'humble': 'go',  # and therefore the lock or the gate before it
        }
    assert len(robot.mux.out) == published


def test_a_locked_mux_passes_a_human_with_a_higher_priority_and_no_planner() -> None:
    lock = shipped_lock()
    assert lock.is_locked()  # nothing was ever heard
    assert TwistMux(lock, priority=255).callback(Twist())
    assert not TwistMux(lock, priority=100).callback(Twist())
