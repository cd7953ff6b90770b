# SPDX-License-Identifier: Apache-2.0
"""What ``pedestrian_stop/status`` says about somebody who crosses, against what is true.

Simulated time stands still while the node works, so that a slow machine changes nothing.
"""

from __future__ import annotations

import contextlib
import math
import time
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo

from seg_ros.commands.simulate.vehicle_node import odometry_message
from seg_ros.core.stop.config import StopConfig
from seg_ros.messages.camera_info import camera_info_message
from seg_ros.messages.conversions import stamp_text
from seg_ros.sim import CrossingEvent, Person, SceneConfig, SimFrame
from seg_ros.sim.encounters import true_zone
from seg_ros.sim.labels.renderer import LabelWorld
from test.ros.graph import (
    TIMEOUT_S,
    Graph,
    graph_of,
    header_of,
    image_message,
    values_of,
    wait_for,
)
from test.ros.nodes import canned
from test.ros.painted_road import COLOURS, IDS, SPEC
from test.tiny_onnx import network, write_engine

SECOND_NS = 1_000_000_000
START_NS = 1000 * SECOND_NS
PERIOD_S = 0.1
ANSWER_S = 2.0  # then a best effort subscription has lost something, and all is sent again
CONFIG = StopConfig(margin_m=10.0)
SCENE = SceneConfig(
    size_wh=(320, 180),
    straight=True,
    people_density=0.0,
    car_density=0.0,
    cyclist_density=0.0,
    crossings_per_km=0.0,
    speed_mps=2.0,
    crossing_events=(
        CrossingEvent(at_m=20.0, from_left=True),
        CrossingEvent(at_m=32.0, trigger_distance_m=32.0),  # beyond the corridor
    ),
)
BEGIN_S, END_S = 2.2, 5.2


class Said(NamedTuple):
    """The status of one frame."""

    frame: SimFrame
    words: str
    values: dict[str, str]

    @property
    def nearest(self) -> Person:
        """Who truly is in the corridor first, or else is nearest."""
        return min(
            self.frame.people,
            key=lambda row: (true_time_s(self.frame, row), math.hypot(row.x_m, row.y_m)),
        )

    def number(self, name: str) -> float:
        return float(self.values[name])


def true_time_s(frame: SimFrame, person: Person) -> float:
    """Until a person who walks on is in the corridor; infinite if that never happens."""
    ahead_s = np.arange(0.0, 5.0, 0.01)
    way = np.column_stack(
        [person.x_m + person.vx_mps * ahead_s, person.y_m + person.vy_mps * ahead_s]
    )
    inside = true_zone(frame, CONFIG).contains(way)
    return float(ahead_s[inside.argmax()]) if inside.any() else math.inf


class LockStep:
    """A vehicle that shows each frame until its status has come."""

    def __init__(self, graph: Graph, engine: Path, world: LabelWorld) -> None:
        mount = {f'mount.{name}': [getattr(SCENE.mount, name)] for name in ('x', 'z', 'pitch')}
        stop = {
            'stop.margin_m': CONFIG.margin_m,
            'stop.clock_timeout_s': 0.0,
            'stop.frozen_timeout_s': 0.0,  # a road painted in one colour never changes
        }
        self._node = graph.node(**canned(engine, use_sim_time=True, **mount, **stop))
        self._clock = graph.publisher(Clock, '/clock')
        self._odometry = graph.publisher(Odometry, '/odom')
        self._infos = graph.publisher(CameraInfo, '/camera_info')
        self._images = graph.publisher()
        self._status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
        self._info = camera_info_message(world.camera, SCENE.size_wh)
        for output in (self._clock, self._odometry, self._infos):
            wait_for(output.get_subscription_count, f'the node reads {output.topic_name}')
        graph.read(self._images)
        wait_for(lambda: self._status, 'a status')
        wait_for(lambda: self._is_calibrated(world.render()), 'the calibration')

    def show(self, frame: SimFrame) -> Said:
        stamp_ns = START_NS + frame.stamp_ns
        self._set_clock(stamp_ns)
        deadline_s = time.monotonic() + TIMEOUT_S
        while True:
            self._send(frame, stamp_ns)
            with contextlib.suppress(AssertionError):
                status = wait_for(lambda: self._answer(stamp_ns), 'the status', ANSWER_S)
                return Said(frame, status.message, values_of(status))
            assert time.monotonic() < deadline_s, 'no status'

    def _set_clock(self, stamp_ns: int) -> None:
        tick = Clock(clock=header_of(stamp_ns).stamp)

        def is_set() -> bool:
            self._clock.publish(tick)
            return bool(self._node.get_clock().now().nanoseconds == stamp_ns)

        wait_for(is_set, 'the clock of the node')

    def _is_calibrated(self, first: SimFrame) -> bool:
        self._send_motion(first, START_NS + first.stamp_ns)
        (port,) = self._node._ports.values()
        return port.geometry.camera(SCENE.size_wh, '') is not None

    def _send_motion(self, frame: SimFrame, stamp_ns: int) -> None:
        self._info.header = header_of(stamp_ns)
        self._odometry.publish(odometry_message(frame.ego, self._info.header))
        self._infos.publish(self._info)

    def _send(self, frame: SimFrame, stamp_ns: int) -> None:
        self._send_motion(frame, stamp_ns)
        self._images.publish(image_message(COLOURS[frame.labels], stamp_ns))

    def _answer(self, stamp_ns: int) -> DiagnosticStatus | None:
        wanted = stamp_text(stamp_ns)
        rows = (row for row in self._status if values_of(row).get('frame_stamp') == wanted)
        return next(rows, None)


@pytest.fixture(scope='module')
def crossing(domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    """Everything that is said while somebody walks into the corridor, once the way was clear."""
    engine = write_engine(
        tmp_path_factory.mktemp('crossing') / 'tiny',
        network(SCENE.size_wh, classes=len(IDS)),
        network_size=list(SCENE.size_wh),
        classes=SPEC['classes'],
    )
    world = LabelWorld(SCENE)
    while world.stamp_ns < BEGIN_S * 1e9:
        world.step(PERIOD_S, None, 0.0)
    with graph_of(domain_id) as graph:
        drive = LockStep(graph, engine, world)
        said = []
        while world.stamp_ns < END_S * 1e9:
            said.append(drive.show(world.render()))
            world.step(PERIOD_S, None, 0.0)
    first = next(index for index, row in enumerate(said) if row.values['kind'] == 'clear')
    assert first < 10
    return said[first:]


def test_distance_and_lateral_offset_are_those_of_who_is_nearest(crossing: list[Said]) -> None:
    for row in crossing:
        person = row.nearest
        distance_m = math.hypot(person.x_m, person.y_m)
        assert row.number('nearest.distance_m') == pytest.approx(distance_m, rel=0.03)
        assert row.number('nearest.lateral_m') == pytest.approx(person.y_m, abs=0.15)


def test_who_is_nearest_keeps_its_id(crossing: list[Said]) -> None:
    assert len({row.nearest.id for row in crossing}) == 1
    assert len({row.values['nearest.id'] for row in crossing}) == 1


def test_the_time_to_the_corridor_is_true_to_half_a_second(crossing: list[Said]) -> None:
    near = [row for row in crossing if true_time_s(row.frame, row.nearest) <= CONFIG.anticipate_s]
    for row in near:
        true_s, said_s = true_time_s(row.frame, row.nearest), row.number('nearest.time_to_zone_s')
        # Later than it is, because a velocity counts only as far as it is certain
        assert -0.15 <= said_s - true_s <= 0.5
    assert near[-1].number('nearest.time_to_zone_s') == 0.0
    assert math.isinf(crossing[0].number('nearest.time_to_zone_s'))


def test_the_zone_is_the_corridor_along_the_lane(crossing: list[Said]) -> None:
    assert {row.values['zone'] for row in crossing} == {'lane corridor'}


def test_somebody_comes_near_walks_in_and_is_inside_in_words_as_well(
    crossing: list[Said],
) -> None:
    kinds = [kind for kind, _ in groupby(row.values['kind'] for row in crossing)]
    assert kinds == ['clear', 'approaching', 'person']
    words = crossing[-1].words
    person = crossing[-1].nearest
    side = 'left' if person.y_m > 0.0 else 'right'
    assert words.startswith('a person is in the zone (lane corridor), ')
    assert words.endswith(f' m to the {side}')


def test_since_when_it_is_so_counts_from_the_frame_that_changed_it(
    crossing: list[Said],
) -> None:
    for _, rows in groupby(crossing, key=lambda row: row.values['stop']):
        first, *others = rows
        assert first.number('for_s') == 0.0
        for row in others:
            since_s = (row.frame.stamp_ns - first.frame.stamp_ns) / SECOND_NS
            assert row.number('for_s') == pytest.approx(since_s, abs=0.011)
