# SPDX-License-Identifier: Apache-2.0
"""A replay of what the node has seen says what the node has said, on every topic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from nav_msgs.msg import Odometry

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values
from seg_ros.inference.engine import load_engine
from seg_ros.messages.camera_info import camera_info_message
from seg_ros.messages.conversions import stamp_ns_of
from seg_ros.messages.plain import serialised, typestore
from seg_ros.messages.types import message_type
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.outputs import ON_REQUEST, ReplayOutputs, output_names
from seg_ros.replay.replay import replay
from seg_ros.sim.labels.road import LabelRoad
from seg_ros.sim.road import Road
from seg_ros.sim.vehicle import VehicleState
from test import people_scene
from test.people_scene import MOUNT, SIZE_WH
from test.replay.recordings import Row, rows_of, write_bag
from test.ros.graph import LATCHED, RELIABLE, Graph, graph_of, header_of, image_message, wait_for

ENGINE = load_engine('roadsynth')  # its classes are those of the simulation
PEDESTRIAN = next(row.id for row in ENGINE.label_map.classes if row.name == 'pedestrian')
PERIOD_NS = 200_000_000  # four heartbeats a frame
SPEED_MPS = 8.0
LANE_M = -1.75
FRAMES = 14
PERSON_FROM = 9  # the first frame in which somebody stands in the way
PARAMETERS: dict[str, Any] = {
    'engine': ENGINE.name,
    'backend': 'canned',
    **{f'mount.{name}': [getattr(MOUNT, name)] for name in ('x', 'z', 'pitch')},
    'lane.departure_s': 1.0,
    'lane.stale_after_s': 10.0,  # a loaded machine is not what differs here
    'stop.stale_timeout_s': 10.0,
    'stop.odometry_timeout_s': 10.0,
    'zones.names': ['yard'],
    'zones.polygons': ['ground 4 3 30 3 30 -3 4 -3'],
    'stop.refine_pitch_rad': 0.02,
}
CONFIG = config_from_values(
    NodeConfig(),
    {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in PARAMETERS.items()
    },
)
TYPES = {
    row.topic.removeprefix('/segmentation/'): row.type_name
    for row in ReplayOutputs(CONFIG, ENGINE, ('all',)).topics()
}
# What the heartbeat says and when depends on the moment that it beats; see the tests of these.
BY_HEARTBEAT = ('pedestrian_stop', 'pedestrian_stop/status')
WITHOUT_STAMP = ('zone/yard', 'lane_track/departure', 'classes')
BY_FRAME = tuple(name for name in TYPES if name not in (*BY_HEARTBEAT, *WITHOUT_STAMP))


class Both(NamedTuple):
    """What node and replay have said, by topic, in order."""

    node: dict[str, list[Any]]
    replayed: dict[str, list[Row]]


class Vehicle:
    """Drives down a road and shows the node each frame when the one before has been judged."""

    def __init__(self, graph: Graph, said: dict[str, list[Any]]) -> None:
        self.rows: list[Row] = []
        self._said = said
        self._publishers = {
            '/image': graph.publisher(),
            '/camera_info': graph.publisher(
                message_type('sensor_msgs/msg/CameraInfo'), '/camera_info'
            ),
            '/odom': graph.publisher(Odometry, '/odom'),
        }
        self._road = LabelRoad(Road(1, 0.002), people_scene.camera())
        self._random = np.random.default_rng(1)
        graph.connected(self._publishers['/image'], '/segmentation/label')
        for topic in ('/camera_info', '/odom'):
            wait_for(self._publishers[topic].get_subscription_count, f'the node reads {topic}')
        node = graph.nodes[-1]
        for name in said:
            wait_for(
                lambda name=name: node.count_subscribers(f'/segmentation/{name}'), f'~/{name}'
            )

    def drive(self) -> None:
        begin_ns = time.time_ns()
        for index in range(FRAMES):
            stamp_ns = begin_ns + index * PERIOD_NS
            wait_for(lambda stamp_ns=stamp_ns: time.time_ns() >= stamp_ns, 'the time of the frame')
            header = header_of(stamp_ns)
            odometry = Odometry(header=header)
            odometry.twist.twist.linear.x = SPEED_MPS
            self._publish('/odom', odometry)
            info = camera_info_message(people_scene.camera().intrinsics, SIZE_WH)
            info.header = header
            self._publish('/camera_info', info)
            time.sleep(0.02)  # both are other subscriptions of the node than the image
            self._publish('/image', image_message(self._picture(index), stamp_ns))
            wait_for(lambda stamp_ns=stamp_ns: self._is_judged(stamp_ns), f'frame {index}')

    def _picture(self, index: int) -> Any:
        s_m = 60.0 + index * SPEED_MPS * PERIOD_NS / 1e9
        x_m, y_m, yaw_rad = self._road.road.pose(s_m, LANE_M)
        labels = self._road.labels(VehicleState(x_m, y_m, yaw_rad, SPEED_MPS, 0.0, s_m, LANE_M))
        if index >= PERSON_FROM:
            people_scene.add_person(labels, 9.0, 0.0, label=PEDESTRIAN)
        image = cv2.applyColorMap(labels, ENGINE.label_map.colour_lut_rgb())
        noise = self._random.integers(-2, 3, image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    def _publish(self, topic: str, message: Any) -> None:
        self._publishers[topic].publish(message)
        kind = type(message)
        name = f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'
        stamp_ns = stamp_ns_of(message.header)
        self.rows.append(Row(topic, stamp_ns, name, serialised(message, name)))

    def _is_judged(self, stamp_ns: int) -> bool:
        lately = self._said['lane_track/status'], self._said['pedestrian_stop/status']
        if not all(lately):
            return False
        stamp = f'{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}'
        values = [{row.key: row.value for row in rows[-1].values} for rows in lately]
        return values[0].get('stamp') == stamp == values[1].get('frame_stamp')


@pytest.fixture(scope='module')
def both(domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp('parity')
    with graph_of(domain_id) as graph:
        said = {
            name: graph.collect(
                message_type(kind),
                f'/segmentation/{name}',
                LATCHED if name == 'classes' else RELIABLE,
            )
            for name, kind in TYPES.items()
        }
        graph.node(**PARAMETERS)
        vehicle = Vehicle(graph, said)
        vehicle.drive()
        last_ns = vehicle.rows[-1].recorded_ns
        wait_for(
            lambda: said['markers'] and stamp_ns_of(said['label'][-1].header) == last_ns,
            'the last frame is out',
        )
        bag = write_bag(folder / 'drive', vehicle.rows)
        replay(ReplayJob(bag, folder / 'out', CONFIG, outputs=('all',)))
        replayed: dict[str, list[Row]] = {name: [] for name in TYPES}
        for row in rows_of(folder / 'out'):
            name = row.topic.removeprefix('/segmentation/')
            if name in replayed:  # else it is copied
                replayed[name].append(row)
        yield Both(said, replayed)


def fields(row: Row) -> Any:
    return typestore().deserialize_cdr(row.data, row.type_name)


def test_every_topic_of_a_replay_is_compared() -> None:
    assert set(TYPES) == set(output_names(CONFIG))
    assert set(ON_REQUEST) < set(BY_FRAME)
    assert {'lane_track', 'lane_track/pose', 'pedestrians', 'markers', 'obstacles'} < set(BY_FRAME)


@pytest.mark.parametrize('name', BY_FRAME)
def test_node_and_replay_say_the_same_about_each_frame(both: Both, name: str) -> None:
    ours = [serialised(message, TYPES[name]) for message in both.node[name]]
    theirs = [row.data for row in both.replayed[name]]
    assert theirs
    assert ours == theirs


@pytest.mark.parametrize('name', WITHOUT_STAMP)
def test_node_and_replay_say_the_same_where_there_is_no_stamp(both: Both, name: str) -> None:
    ours = [message.data for message in both.node[name]]
    assert ours == [fields(row).data for row in both.replayed[name]]
    assert ours


def judged(statuses: list[Any]) -> dict[str, dict[str, str]]:
    """What was first said of each frame, without how long that is so."""
    found: dict[str, dict[str, str]] = {}
    for status in statuses:
        values = {row.key: row.value for row in status.values}
        del values['for_s']
        values['message'] = status.message
        found.setdefault(values.get('frame_stamp', ''), values)
    found.pop('', None)
    return found


def test_the_heartbeat_of_both_says_the_same_about_each_frame(both: Both) -> None:
    ours = judged(both.node['pedestrian_stop/status'])
    theirs = judged([fields(row) for row in both.replayed['pedestrian_stop/status']])
    # A bag ends with its last message, before the heartbeat that would tell of it
    assert [*theirs] == [*ours][: len(theirs)]
    assert len(theirs) >= FRAMES - 1
    assert theirs == {stamp: ours[stamp] for stamp in theirs}
    kinds = [row['kind'] for row in ours.values()]
    assert {'clear', 'person'} <= set(kinds)
    assert ours[[*ours][-1]]['zone'] == 'lane corridor'


def test_the_stop_of_both_goes_and_comes_in_the_same_order(both: Both) -> None:
    def changes(values: list[bool]) -> list[bool]:
        return [now for index, now in enumerate(values) if index == 0 or now != values[index - 1]]

    ours = changes([message.data for message in both.node['pedestrian_stop']])
    theirs = changes([fields(row).data for row in both.replayed['pedestrian_stop']])
    assert ours == theirs == [True, False, True]
