# SPDX-License-Identifier: Apache-2.0
"""Lens and mounting: from CameraInfo, parameters, and TF (a stand-in: PyPI has no tf2_ros)."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseArray, TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import Bool

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.messages.camera_info import Calibration, calibration_of, camera_info_topic
from seg_ros.messages.mounting import mount_of_transform
from test.ros.drive import Drive
from test.ros.graph import Graph, image_message, values_of, wait_for
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
        calibration_of(camera_info(k=[0.0] * 9)).intrinsics(SIZE_WH)


def test_the_same_lens_is_the_same_object() -> None:
    calibration = Calibration(lambda _frame_id, _now_ns: (MOUNT, ''))
    calibration.take(camera_info())
    known = calibration.camera(0, SIZE_WH)
    calibration.take(camera_info())
    assert known is not None
    assert calibration.camera(1, SIZE_WH) is known


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


def lens_of_rows(above: int) -> CameraInfo:
    """Returns the CameraInfo of a higher sensor, of which the image shows the lower rows."""
    k = LENS.k.copy()
    k[1, 2] += above
    width, height = SIZE_WH
    roi = RegionOfInterest(y_offset=above, width=width, height=height)
    return camera_info(height=height + above, k=k.reshape(-1).tolist(), roi=roi)


def test_people_stand_where_they_stand_in_a_part_of_the_sensor(graph: Graph, engine: Path) -> None:
    people = graph.collect(PoseArray, '/segmentation/pedestrians')
    stops = graph.collect(Bool, '/segmentation/pedestrian_stop')
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    graph.node(**canned(engine, **WHERE))
    drive = Drive(graph, image=person_at(8.0, 0.0), info=lens_of_rows(32))
    try:
        wait_for(lambda: status and values_of(status[-1])['kind'] == 'person', 'the person')
        assert stops[-1].data
        position = wait_for(lambda: people and people[-1].poses, 'its place')[0].position
        assert position.x == pytest.approx(8.0, rel=0.08)
        assert position.y == pytest.approx(0.0, abs=0.25)
    finally:
        drive.close()


def test_people_stand_where_they_stand_in_a_rectified_image(graph: Graph, engine: Path) -> None:
    people = graph.collect(PoseArray, '/segmentation/pedestrians')
    graph.node(**canned(engine, image_is_rectified=True, **WHERE))
    p = np.hstack([LENS.k, np.zeros((3, 1))]).reshape(-1).tolist()
    zoomed = (LENS.k * [[2.0], [2.0], [1.0]]).reshape(-1).tolist()
    drive = Drive(
        graph,
        image=person_at(8.0, 1.0),
        info=camera_info(k=zoomed, d=[-0.3, 0.1, 0.0, 0.0, 0.0], p=p),
    )
    try:
        position = wait_for(lambda: people and people[-1].poses, 'a person')[0].position
        assert position.x == pytest.approx(8.0, rel=0.08)
        assert position.y == pytest.approx(1.0, abs=0.25)
    finally:
        drive.close()


def test_a_camera_info_that_was_sent_once_is_received(graph: Graph, engine: Path) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    infos = graph.publisher(CameraInfo, '/camera_info', latched)
    infos.publish(camera_info())
    people = graph.collect(PoseArray, '/segmentation/pedestrians')
    graph.node(**canned(engine, **WHERE))
    camera = graph.publisher()

    def a_person() -> Any:
        stamp_ns = graph.peer.get_clock().now().nanoseconds
        camera.publish(image_message(person_at(8.0, 1.0), stamp_ns=stamp_ns))
        return next((row for row in people if row.poses), None)

    message = wait_for(a_person, 'a person')
    assert message.poses[0].position.x == pytest.approx(8.0, rel=0.08)


@pytest.mark.parametrize(
    ('info', 'words'),
    [(None, 'no CameraInfo has come yet'), (camera_info(k=[0.0] * 9), 'is not calibrated')],
    ids=['absent', 'uncalibrated'],
)
def test_that_nobody_says_what_the_lens_is_like_is_logged_once(
    info: CameraInfo | None,
    words: str,
    graph: Graph,
    engine: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    beats = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    graph.node(**canned(engine, silence_warn_s=0.2))
    drive = Drive(graph, info=info)
    logged = ''

    def warnings() -> int:
        nonlocal logged
        logged += capfd.readouterr().err
        said = rf'/camera_info: images come, but after [\d.]+ s .*{words}.*, so that nothing'
        return len(re.findall(said, logged))

    try:
        wait_for(warnings, 'the warning')
        count = len(beats)
        wait_for(lambda: len(beats) > count + 20, 'a second more')
        assert warnings() == 1
    finally:
        drive.close()


def test_another_reason_why_nothing_is_known_of_the_ground_is_logged_as_well(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')  # someone asks
    graph.node(**canned(engine, silence_warn_s=0.2))
    drive = Drive(graph, info=None)
    logged = ''

    def warned_of(words: str) -> bool:
        nonlocal logged
        logged += capfd.readouterr().err
        return re.search(rf'images come, but after [\d.]+ s .*{words}', logged) is not None

    try:
        wait_for(lambda: warned_of('no CameraInfo has come yet'), 'the first warning')
        drive.info = camera_info(k=[0.0] * 9)
        wait_for(lambda: warned_of('is not calibrated'), 'the second one')
    finally:
        drive.close()


@pytest.mark.parametrize(
    ('info', 'words'),
    [
        (camera_info(height=96), ('128x64', '128x96')),
        (camera_info(binning_x=2, binning_y=2), ('128x64', '64x32')),
        (camera_info(distortion_model='thin_prism'), ('thin_prism',)),
    ],
    ids=['another shape', 'not binned', 'an unknown lens'],
)
def test_the_vehicle_stops_on_a_camera_info_that_cannot_be(
    info: CameraInfo,
    words: tuple[str, ...],
    graph: Graph,
    engine: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    stops = graph.collect(Bool, '/segmentation/pedestrian_stop')
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.node(**canned(engine, diagnostics_period_s=0.1, **WHERE))
    drive = Drive(graph, info=info)

    def kind() -> str:
        return values_of(status[-1])['kind'] if status else ''

    def diagnosis() -> DiagnosticStatus | None:
        rows = [row for message in diagnostics[-1:] for row in message.status]
        return next((row for row in rows if row.level == DiagnosticStatus.ERROR), None)

    try:
        wait_for(lambda: kind() == 'no_geometry', 'the stop')
        assert stops[-1].data
        diagnosed = wait_for(diagnosis, 'an error in the diagnostics')
        logged = capfd.readouterr().err
        for word in words:
            assert word in status[-1].message
            assert word in diagnosed.message
            assert word in values_of(diagnosed)['geometry']
            assert word in logged
        drive.info = camera_info()
        wait_for(lambda: kind() == 'clear', 'the way is clear')
    finally:
        drive.close()


def test_a_body_frame_instead_of_an_optical_one_is_a_stop(graph: Graph, engine: Path) -> None:
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    up = {**WHERE, 'mount.pitch': [-0.5 * math.pi]}  # so it looks
    graph.node(**canned(engine, **up))
    drive = Drive(graph, info=camera_info())
    try:
        wait_for(lambda: status and 'an optical frame, z forward?' in status[-1].message, 'it')
        assert values_of(status[-1])['kind'] == 'no_geometry'
    finally:
        drive.close()


def test_the_height_of_the_lens_alone_makes_the_guessed_zone_and_the_warning_one_line(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    graph.node(**canned(engine, silence_warn_s=0.2, **{'mount.z': [0.45]}))
    drive = Drive(graph)
    said = ''

    def logged(words: str) -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return words in said

    try:
        wait_for(lambda: logged('One line mends it:\n  lens: publish sensor'), 'the warning')
        wait_for(
            lambda: (
                'of a lens 0.45 m high, as was told' in values_of(status[-1]).get('zone_by', '')
            ),
            'the zone',
        )
    finally:
        drive.close()
    assert 'as wide as through a lens 0.45 m above the ground' in said
    assert 'mount.z' not in said


def test_the_vehicle_stops_on_a_height_alone_that_is_in_millimetres(
    graph: Graph, engine: Path
) -> None:
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    graph.node(**canned(engine, **{'mount.z': [450.0]}))
    drive = Drive(graph)
    try:
        wait_for(lambda: status and '450.00 m above the ground' in status[-1].message, 'it')
        assert values_of(status[-1])['kind'] == 'no_geometry'
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
