# SPDX-License-Identifier: Apache-2.0
"""The lane on its topics, for a camera that drives along a road with known lines."""

from __future__ import annotations

import math
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Bool, Header

from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.inference.engine import load_engine
from seg_ros.messages.camera_info import camera_info_message
from seg_ros.sim.labels.road import LabelRoad
from seg_ros.sim.road import Road
from seg_ros.sim.vehicle import VehicleState
from test.ros.graph import Graph, header_of, image_message, values_of, wait_for

SIZE_WH = (640, 360)
LENS = CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(62.0))
MOUNT = Mount(x=1.6, z=1.45, pitch=0.06)
LANE_MIDDLE_M = -1.75
PERIOD_NS = 50_000_000
ENGINE = load_engine('roadsynth')  # its classes are those of the simulation


class LaneDrive:
    """A camera on a straight road, frame by frame."""

    def __init__(self, graph: Graph, **parameters: Any) -> None:
        where = {f'mount.{name}': [getattr(MOUNT, name)] for name in ('x', 'z', 'pitch')}
        self._graph = graph
        self.status = graph.collect(DiagnosticStatus, '/segmentation/lane_track/status')
        graph.node(
            engine=ENGINE.name,
            backend='canned',
            **{'lane.stale_after_s': 60.0, **where, **parameters},
        )
        self._camera = graph.publisher()
        self._infos = graph.publisher(CameraInfo, '/camera_info')
        self._road = LabelRoad(Road(1, 0.0, straight=True), Camera(LENS, MOUNT))
        self.stamp_ns = time.time_ns()
        graph.connected(self._camera, '/segmentation/lane_track/status')
        wait_for(lambda: self._infos.get_subscription_count(), 'the node reads the calibration')

    def see(self, offset_m: float = 0.0, heading_rad: float = 0.0) -> DiagnosticStatus:
        """Shows the next frame; returns what the lane's status says about it."""
        self.stamp_ns += PERIOD_NS
        wait_for(lambda: time.time_ns() >= self.stamp_ns, 'the time of the frame')
        d_m = LANE_MIDDLE_M + offset_m
        labels = self._road.labels(VehicleState(60.0, d_m, heading_rad, 8.0, 0.0, 60.0, d_m))
        image = cv2.applyColorMap(labels, ENGINE.label_map.colour_lut_rgb())
        info = camera_info_message(LENS, SIZE_WH)
        info.header = header_of(self.stamp_ns)
        self._infos.publish(info)
        self._camera.publish(image_message(image, self.stamp_ns))
        stamp = f'{self.stamp_ns // 10**9}.{self.stamp_ns % 10**9:09d}'
        wait_for(
            lambda: self.status and values_of(self.status[-1])['stamp'] == stamp,
            'the status of the frame',
        )
        return self.status[-1]

    def see_until_valid(self, offset_m: float = 0.0) -> DiagnosticStatus:
        """Shows the same place until the lane is confirmed."""
        wait_for(lambda: values_of(self.see(offset_m))['valid'] == 'true', 'the lane is confirmed')
        return self.status[-1]


def test_statuses_tell_the_stamp_of_the_frame_that_they_are_about(graph: Graph) -> None:
    stops = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    paths = graph.collect(Path, '/segmentation/lane_track')
    drive = LaneDrive(graph)
    status = drive.see_until_valid(offset_m=0.3)
    stamp = values_of(status)['stamp']
    assert float(values_of(status)['offset_m']) == pytest.approx(0.3, abs=0.05)
    wait_for(lambda: paths, 'a path')
    assert paths[-1].header == header_of(drive.stamp_ns, 'base_link')
    assert paths[-1].poses[0].pose.position.y == pytest.approx(-0.3, abs=0.05)
    wait_for(lambda: values_of(stops[-1]).get('frame_stamp') == stamp, 'the stop knows the frame')


class Buffer:
    """The part of tf2_ros.Buffer that is used: odom, ten metres ahead and turned to the left."""

    is_known = True

    def lookup_transform(self, target: str, source: str, time: Any, timeout: Any) -> Any:
        assert (target, source) == ('odom', 'base_link')
        assert timeout.nanoseconds > 0
        if not Buffer.is_known:
            raise LookupError('odom does not exist')
        made = TransformStamped(header=Header(stamp=time.to_msg(), frame_id=target))
        made.transform.translation.x = 10.0
        made.transform.rotation.z = made.transform.rotation.w = math.sqrt(0.5)
        return made


@pytest.fixture
def tf2_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in: PyPI has no tf2_ros."""
    module: Any = ModuleType('tf2_ros')
    module.Buffer = Buffer
    module.TransformListener = lambda _buffer, _node: SimpleNamespace()
    monkeypatch.setitem(sys.modules, 'tf2_ros', module)
    monkeypatch.setattr(Buffer, 'is_known', True)


@pytest.mark.usefixtures('tf2_ros')
def test_the_paths_are_in_the_frame_that_is_asked_for_while_tf_knows_it(graph: Graph) -> None:
    paths = graph.collect(Path, '/segmentation/lane_track')
    poses = graph.collect(PoseWithCovarianceStamped, '/segmentation/lane_track/pose')
    drive = LaneDrive(graph, **{'lane.frame': 'odom'})
    drive.see_until_valid(offset_m=0.3)
    wait_for(lambda: paths and poses, 'path and pose')
    assert paths[-1].header == header_of(drive.stamp_ns, 'odom')
    first = paths[-1].poses[0]
    assert first.header.frame_id == 'odom'
    assert first.pose.position.x == pytest.approx(10.3, abs=0.05)
    assert first.pose.position.y == pytest.approx(3.6, abs=0.05)
    assert first.pose.orientation.z == pytest.approx(math.sqrt(0.5), abs=0.01)
    assert poses[-1].header.frame_id == 'base_link'  # it says where the vehicle is in its lane
    seen = len(paths)
    Buffer.is_known = False
    status = drive.see(offset_m=0.3)
    assert values_of(status)['valid'] == 'false'
    assert status.message.startswith('no transform from base_link to odom')
    assert status.message.endswith('odom does not exist')
    Buffer.is_known = True
    assert values_of(drive.see(offset_m=0.3))['valid'] == 'true'
    wait_for(lambda: len(paths) > seen, 'a path again')
    assert paths[seen].header == header_of(drive.stamp_ns, 'odom')


def test_a_frame_for_which_tf_would_be_needed_is_refused_without_it(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    node = graph.node(
        started=False, engine=ENGINE.name, backend='canned', **{'lane.frame': 'odom'}
    )
    assert node.trigger_configure().name == 'FAILURE'
    assert 'lane.frame is odom: leave it empty, or install' in capfd.readouterr().err


def test_a_departure_is_told_while_lane_and_speed_are_known(graph: Graph) -> None:
    warnings = graph.collect(Bool, '/segmentation/lane_track/departure')
    drive = LaneDrive(graph, **{'lane.departure_s': 1.0})
    odometry = graph.publisher(Odometry, '/odom')
    wait_for(odometry.get_subscription_count, 'the node reads odometry')
    assert 'departure' not in values_of(drive.see_until_valid())  # no odometry yet
    assert warnings == []

    def drives(offset_m: float) -> str:
        message = Odometry(header=header_of(drive.stamp_ns))
        odometry.publish(message)
        return values_of(drive.see(offset_m)).get('departure', 'unknown')

    wait_for(lambda: drives(0.0) == 'none', 'odometry is known')
    wait_for(lambda: drives(-0.85) == 'right', 'the right line is crossed')
    wait_for(lambda: warnings and warnings[-1].data, 'the warning')
    wait_for(lambda: drives(0.0) == 'none', 'the vehicle is back')
    wait_for(lambda: not warnings[-1].data, 'the end of the warning')


def test_without_a_warning_time_there_is_no_departure_topic(graph: Graph) -> None:
    graph.node(engine=ENGINE.name, backend='canned')
    names = {name for name, _ in graph.nodes[0].get_topic_names_and_types()}
    assert '/segmentation/lane_track/status' in names
    assert '/segmentation/lane_track/departure' not in names
