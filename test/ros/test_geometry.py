"""Lens and mounting: from CameraInfo, parameters, and TF (a stand-in: PyPI has no tf2_ros)."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray, TransformStamped
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.messages.camera_info import camera_info_topic, intrinsics_of
from seg_ros.messages.mounting import mount_of_transform
from test.ros.drive import Drive
from test.ros.graph import Graph, values_of, wait_for
from test.ros.mounted_camera import (
    LENS,
    MOUNT,
    ROAD,
    SIZE_WH,
    SKY,
    WHERE,
    camera_info,
    person_at,
)
from test.ros.nodes import canned
from test.tiny_onnx import COLOURS


@pytest.mark.parametrize(
    ('image', 'info'),
    [
        ('image', 'camera_info'),
        ('/front/image_raw', '/front/camera_info'),
        ('/front/image_raw/compressed', '/front/camera_info'),
    ],
)
def test_the_camera_info_is_beside_the_image(image: str, info: str) -> None:
    assert camera_info_topic(image) == info


def test_the_camera_info_follows_the_remapped_image(graph: Graph, engine: Path) -> None:
    graph.node(cli_args=['--ros-args', '-r', 'image:=/front/image_raw'], **canned(engine))
    info = graph.publisher(CameraInfo, '/front/camera_info')
    wait_for(lambda: info.get_subscription_count() > 0, 'the node reads the calibration')


def test_an_uncalibrated_camera_is_refused_with_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match='not calibrated'):
        intrinsics_of(camera_info(k=[0.0] * 9), None)


def test_the_same_lens_is_the_same_object() -> None:
    known = intrinsics_of(camera_info(), None)
    assert intrinsics_of(camera_info(), known) is known


def transform_of(mount: Mount) -> TransformStamped:
    """Returns the transform from the optical frame to the base frame, as TF gives it."""
    rotation = Camera(LENS, mount).optical_from_base[:3, :3].T
    w = 0.5 * math.sqrt(max(0.0, 1.0 + np.trace(rotation)))
    message = TransformStamped()
    q = message.transform.rotation
    q.w = w
    q.x = float(rotation[2, 1] - rotation[1, 2]) / (4.0 * w)
    q.y = float(rotation[0, 2] - rotation[2, 0]) / (4.0 * w)
    q.z = float(rotation[1, 0] - rotation[0, 1]) / (4.0 * w)
    t = message.transform.translation
    t.x, t.y, t.z = mount.x, mount.y, mount.z
    return message


@pytest.mark.parametrize(
    'mount',
    [MOUNT, Mount(z=1.0), Mount(x=0.5, y=-0.3, z=2.0, roll=0.05, pitch=0.2, yaw=0.4)],
)
def test_a_mounting_comes_back_from_its_transform(mount: Mount) -> None:
    got = mount_of_transform(transform_of(mount).transform)
    for name in ('x', 'y', 'z', 'roll', 'pitch', 'yaw'):
        assert getattr(got, name) == pytest.approx(getattr(mount, name), abs=1e-6)


def test_people_stand_where_they_stand_in_metres(graph: Graph, engine: Path) -> None:
    people = graph.collect(PoseArray, '/segmentation/pedestrians')
    graph.node(**canned(engine, **WHERE))
    drive = Drive(graph, image=person_at(8.0, 1.0), info=camera_info())
    try:
        message = wait_for(lambda: next((row for row in people if row.poses), None), 'a person')
        position = message.poses[0].position
        assert message.header.frame_id == 'base_link'
        assert position.x == pytest.approx(8.0, rel=0.08)  # 64 rows: one row is half a metre
        assert position.y == pytest.approx(1.0, abs=0.25)
    finally:
        drive.close()


class Buffer:
    """The part of tf2_ros.Buffer that is used, with one transform in it."""

    transform: TransformStamped | None = transform_of(MOUNT)

    def lookup_transform(self, target: str, source: str, _time: Any) -> TransformStamped:
        assert (target, source) == ('base_link', 'camera_optical')
        if Buffer.transform is None:
            raise LookupError('two trees')
        return Buffer.transform


@pytest.fixture
def tf2_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType('tf2_ros')
    module.Buffer = Buffer
    module.TransformListener = lambda _buffer, _node: SimpleNamespace()
    monkeypatch.setitem(sys.modules, 'tf2_ros', module)
    monkeypatch.setattr(Buffer, 'transform', transform_of(MOUNT))


def old_transform() -> TransformStamped:
    message = transform_of(MOUNT)
    message.header.stamp.sec = 1000
    return message


@pytest.mark.usefixtures('tf2_ros')
@pytest.mark.parametrize(
    ('lost', 'words'), [(None, 'two trees'), (old_transform(), 's old')], ids=['gone', 'old']
)
def test_the_vehicle_stops_when_tf_is_lost(
    lost: TransformStamped | None, words: str, graph: Graph, engine: Path
) -> None:
    stops = graph.collect(Bool, '/segmentation/pedestrian_stop')
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    graph.node(**canned(engine, **{'stop.require_geometry': True}))
    drive = Drive(graph)

    def kind() -> str:
        return values_of(status[-1])['kind'] if status else ''

    try:
        wait_for(lambda: kind() == 'no_geometry', 'no calibration yet')
        drive.info = camera_info()
        wait_for(lambda: kind() == 'clear', 'the way is clear')
        transform, Buffer.transform = Buffer.transform, lost
        wait_for(lambda: kind() == 'no_geometry', 'TF is lost')
        wait_for(lambda: stops[-1].data, 'the stop')
        assert words in status[-1].message
        Buffer.transform = transform
        wait_for(lambda: kind() == 'clear', 'TF is back')
    finally:
        drive.close()


def lens_of(focal_px: float) -> CameraInfo:
    k = [focal_px, 0.0, 63.5, 0.0, focal_px, 31.5, 0.0, 0.0, 1.0]
    return camera_info(k=k)


@pytest.mark.parametrize(
    ('wrong', 'kind', 'words'),
    [
        (lens_of(1e5), 'no_geometry', '0.1 degrees across'),
        (lens_of(1000.0), 'zone_not_in_view', 'stop.max_blind_m'),
    ],
    ids=['no lens', 'looks elsewhere'],
)
def test_the_vehicle_stops_when_by_its_calibration_the_camera_cannot_see_the_zone(
    wrong: CameraInfo, kind: str, words: str, graph: Graph, engine: Path
) -> None:
    stops = graph.collect(Bool, '/segmentation/pedestrian_stop')
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    graph.node(**canned(engine, **WHERE))
    road = np.full(SIZE_WH[::-1], ROAD, np.uint8)
    road[:26] = SKY
    drive = Drive(graph, image=np.array(COLOURS, np.uint8)[road], info=camera_info())

    def is_now(wanted: str) -> bool:
        return bool(status) and values_of(status[-1])['kind'] == wanted

    try:
        wait_for(lambda: is_now('clear'), 'the way is clear')
        drive.info = wrong
        wait_for(lambda: is_now(kind), f'a stop because of {kind}')
        wait_for(lambda: stops[-1].data, 'the stop')
        assert words in status[-1].message
        drive.info = camera_info()
        wait_for(lambda: is_now('clear'), 'the way is clear again')
    finally:
        drive.close()


def test_tf_that_is_asked_for_and_not_installed_is_refused(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node = graph.node(started=False, **canned(engine, **{'mount.source': 'tf'}))
    assert node.trigger_configure().name == 'FAILURE'
    assert 'tf2_ros cannot be imported' in capfd.readouterr().err


def test_one_height_per_camera_is_asked_for(graph: Graph, engine: Path) -> None:
    parameters = {
        'camera_names': ['a', 'b', 'c'],
        'image_topics': ['a', 'b', 'c'],
        'mount.z': [1.0, 2.0],
    }
    with pytest.raises(ConfigurationError, match='2 numbers for 3 cameras'):
        graph.node(started=False, **canned(engine, **parameters))


def test_without_calibration_labels_are_published_all_the_same(graph: Graph, engine: Path) -> None:
    labels = graph.collect(Image, '/segmentation/label')
    graph.node(**canned(engine))
    drive = Drive(graph)
    try:
        wait_for(lambda: labels, 'a label image')
    finally:
        drive.close()
