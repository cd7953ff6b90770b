"""The lane on its topics, for a camera that drives along a road with known lines."""

from __future__ import annotations

import math
import time
from typing import Any

import cv2
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path
from sensor_msgs.msg import CameraInfo

from seg_ros.core.camera import Camera, CameraIntrinsics, Mount
from seg_ros.inference.engine import load_engine
from seg_ros.messages.camera_info import camera_info_message
from seg_ros.sim.label_road import LabelRoad
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
