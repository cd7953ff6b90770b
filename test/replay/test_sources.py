# SPDX-License-Identifier: Apache-2.0
"""Whatever holds a recording, the labels are the same; with ROS and without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from rosbags.typesys import Stores, get_typestore

from seg_ros.cli import main
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.messages.conversions import stamp_ns_of
from seg_ros.messages.plain import typestore
from seg_ros.messages.types import USES_ROS
from seg_ros.perception import PreparedFrame
from seg_ros.pictures.scene_frame import ImageShapes, SceneFrame, ground_pixels, person_box
from seg_ros.pictures.video_writer import best_format
from seg_ros.recordings.opening import open_recording
from seg_ros.replay.job import ReplayJob, ReplaySummary
from seg_ros.replay.parameters import config_of
from seg_ros.replay.replay import replay
from seg_ros.replay.roles import roles_of
from seg_ros.replay.stages import Stages
from test.paths import REPOSITORY
from test.replay.recordings import (
    BEGIN_NS,
    IMAGE,
    PERIOD_NS,
    PERSON,
    SIZE_WH,
    Row,
    drive_rows,
    messages_of,
    picture,
    rows_of,
    write_bag,
)  # fmt: skip
from test.ros.mounted_camera import LENS, MOUNT
from test.ros.mounted_camera import SIZE_WH as SIZE_WH_OF_LENS

IMAGES = 12
PERSONS = range(4, 9)
LABEL = '/segmentation/label'


@pytest.fixture(scope='session')
def rows() -> list[Row]:
    return list(drive_rows(IMAGES, PERSONS))


@pytest.fixture(scope='session')
def mcap(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> Path:
    return write_bag(tmp_path_factory.mktemp('mcap') / 'drive', rows)


def run(source: Path, output: Path, config: NodeConfig, **options: Any) -> ReplaySummary:
    return replay(ReplayJob(source, output, config, **options))


def single_mcap(folder: Path, rows: list[Row]) -> Path:
    return write_bag(folder / 'drive', rows) / 'drive.mcap'


def sqlite(folder: Path, rows: list[Row]) -> Path:
    return write_bag(folder / 'drive', rows, StoragePlugin.SQLITE3)


def single_sqlite(folder: Path, rows: list[Row]) -> Path:
    return sqlite(folder, rows) / 'drive.db3'


def compressed(mode: CompressionMode, plugin: StoragePlugin) -> Callable[..., Path]:
    def make(folder: Path, rows: list[Row]) -> Path:
        return write_bag(folder / 'drive', rows, plugin, mode)

    return make


def split(folder: Path, rows: list[Row]) -> Path:
    """Two files in a folder, as a recorder that was killed leaves them: without metadata."""
    made = folder / 'split'
    made.mkdir()
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        whole = write_bag(folder / f'part{number}', part)
        shutil.copy(whole / f'part{number}.mcap', made / f'drive_{number}.mcap')
    return made


def ros1(folder: Path, rows: list[Row]) -> Path:
    types1, types2 = get_typestore(Stores.ROS1_NOETIC), typestore()
    tf = 'tf2_msgs/msg/TFMessage'
    types1.register({tf: types2.fielddefs[tf]})
    path = folder / 'drive.bag'
    with Writer1(path) as writer:
        connections: dict[str, Any] = {}
        for row in rows:
            if row.topic not in connections:
                connections[row.topic] = writer.add_connection(
                    row.topic, row.type_name, typestore=types1
                )
            data = types2.cdr_to_ros1(row.data, row.type_name)
            writer.write(connections[row.topic], row.recorded_ns, data)
    return path


@pytest.mark.parametrize(
    'write',
    [
        single_mcap,
        sqlite,
        single_sqlite,
        compressed(CompressionMode.STORAGE, StoragePlugin.MCAP),
        compressed(CompressionMode.FILE, StoragePlugin.SQLITE3),
        compressed(CompressionMode.MESSAGE, StoragePlugin.MCAP),
        split,
        ros1,
    ],
    ids=['mcap', 'sqlite', 'db3', 'chunks', 'file', 'message', 'split', 'ros1'],
)
def test_whatever_holds_a_recording_the_new_bag_is_the_same(
    write: Callable[..., Path], rows: list[Row], mcap: Path, tmp_path: Path, config: NodeConfig
) -> None:
    run(mcap, tmp_path / 'expected', config)
    summary = run(write(tmp_path, rows), tmp_path / 'got', config)
    assert sorted(rows_of(tmp_path / 'got')) == sorted(rows_of(tmp_path / 'expected'))
    assert summary.trouble == ()


def test_a_video_is_replayed_at_its_rate(tmp_path: Path, config: NodeConfig) -> None:
    video = tmp_path / 'drive.mp4'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*'mp4v'), 10.0, SIZE_WH)
    for number in range(IMAGES):
        writer.write(np.ascontiguousarray(picture(number)[..., ::-1]))
    writer.release()
    summary = run(video, tmp_path / 'out', config)
    labels = messages_of(tmp_path / 'out', LABEL)
    assert summary.frames == IMAGES
    assert [stamp_ns_of(row.header) for row in labels] == [n * PERIOD_NS for n in range(IMAGES)]
    copies = messages_of(tmp_path / 'out', '/camera/image/compressed')
    assert cv2.imdecode(copies[0].data, cv2.IMREAD_COLOR).shape == (SIZE_WH[1], SIZE_WH[0], 3)


def test_a_folder_of_images_is_replayed_and_its_files_are_kept_as_they_are(
    tmp_path: Path, config: NodeConfig
) -> None:
    folder = tmp_path / 'images'
    folder.mkdir()
    for number, suffix in enumerate(('png', 'jpg', 'bmp')):
        bgr = np.ascontiguousarray(picture(number, person=True)[..., ::-1])
        assert cv2.imwrite(str(folder / f'{number}.{suffix}'), bgr)
    (folder / '3.png').write_bytes((folder / '0.png').read_bytes()[:600])
    summary = run(folder, tmp_path / 'out', config, rate_hz=10.0)
    labels = messages_of(tmp_path / 'out', LABEL)
    copies = messages_of(tmp_path / 'out', '/camera/image/compressed')
    assert (summary.frames, summary.skipped) == (3, 1)
    assert 'Message 3 of /camera/image/compressed' in summary.trouble[0]
    assert all(row.data.reshape(SIZE_WH[1], SIZE_WH[0])[40, 64] == PERSON for row in labels)
    for copy, name in zip(copies, ('0.png', '1.jpg'), strict=False):
        assert copy.data.tobytes() == (folder / name).read_bytes()


@pytest.mark.parametrize('rate_hz', [None, 5.0])
def test_that_the_images_of_a_folder_have_no_times_is_told(
    tmp_path: Path, config: NodeConfig, rate_hz: float | None
) -> None:
    folder = tmp_path / 'images'
    folder.mkdir()
    for number in range(2):
        assert cv2.imwrite(str(folder / f'{number}.png'), picture(number))
    notes = run(folder, tmp_path / 'out', config, rate_hz=rate_hz).as_json()['notes']
    told = 'The images of images have no times: 5 a second are assumed. --rate says another.'
    assert (told in notes) == (rate_hz is None)


WITHOUT_ROS = """
import sys

class NoRos:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in sys.argv[1].split(','):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, NoRos())
from seg_ros.cli import main
sys.exit(main(sys.argv[2:]))
"""
ROS = 'rclpy,rpyutils,rosidl_parser,builtin_interfaces,std_msgs,sensor_msgs,geometry_msgs,nav_msgs'
ROS += ',diagnostic_msgs,visualization_msgs,tf2_msgs,ament_index_python,rcl_interfaces,vision_msgs'


@pytest.mark.slow
def test_the_same_bytes_are_written_without_ros(
    mcap: Path, tmp_path: Path, config: NodeConfig, engine: Path
) -> None:
    if not USES_ROS:
        pytest.skip('ROS is not installed here')
    watched = replace(config.zones, names=('ahead',))
    run(mcap, tmp_path / 'with' / 'out', replace(config, zones=watched), outputs=('all',))
    words = ['replay', str(mcap), '-o', str(tmp_path / 'without' / 'out'), '--outputs', 'all']
    words += ['-p', f'engine:={engine}', '-p', 'backend:=canned', '-p', 'zones.names:=[ahead]']
    subprocess.run([sys.executable, '-c', WITHOUT_ROS, ROS, *words], check=True, timeout=120)
    with_ros, without = (
        {path.name: path.read_bytes() for path in (tmp_path / name / 'out').iterdir()}
        for name in ('with', 'without')
    )
    topics = {row.topic for row in rows_of(tmp_path / 'with' / 'out')}
    assert '/segmentation/zone/ahead' in topics
    assert '/segmentation/markers' in topics
    assert with_ros == without


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recording(
    tmp_path: Path, engine: Path, rows: list[Row]
) -> None:
    """Images of 0.7 MB, so that a stage that kept them would be seen."""
    size_wh = (640, 360)
    big = [cv2.resize(picture(number), size_wh) for number in range(4)]

    def peak_mb(images: int) -> float:
        from test.replay.recordings import image_row

        bag = write_bag(
            tmp_path / f'in{images}',
            (
                image_row(BEGIN_NS + number * PERIOD_NS, big[number % 4])
                for number in range(images)
            ),
            StoragePlugin.SQLITE3,
        )
        code = (
            'import resource, sys; from seg_ros.cli import main; '
            'code = main(sys.argv[1:]); '
            'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024); sys.exit(code)'
        )
        words = ['replay', str(bag), '-o', str(tmp_path / f'out{images}'), '--outputs', 'label']
        words += ['-p', f'engine:={engine}', '-p', 'backend:=onnxruntime']
        done = subprocess.run(
            [sys.executable, '-c', code, *words],
            capture_output=True, text=True, check=True, timeout=300,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
        )  # fmt: skip
        return float(done.stdout.splitlines()[-1])

    assert peak_mb(600) <= 1.2 * peak_mb(150)  # beyond what the queues hold both times


def test_a_waiting_picture_weighs_what_it_holds_decoded(
    tmp_path: Path, config: NodeConfig
) -> None:
    """Else a small file that opens to a large picture would fill the memory."""
    folder = tmp_path / 'images'
    folder.mkdir()
    assert cv2.imwrite(str(folder / '0.png'), np.zeros((360, 640, 3), np.uint8))
    recording = open_recording(folder)
    roles = roles_of(recording, config, (), '', ('none',))
    job = ReplayJob(folder, tmp_path / 'out', config)
    outputs: Any = SimpleNamespace(wanted=None)
    perception: Any = SimpleNamespace(
        prepare=lambda frame, wanted, timer: PreparedFrame(
            frame, wanted, frame.image.rgb((32, 16)), timer
        )
    )
    (event,) = Stages(job, recording, roles, outputs, perception).read()
    assert len(event.message.data) < 20_000
    assert event.weight > 640 * 360 * 3


def test_an_overlay_video_is_made_of_the_new_bag(
    mcap: Path, tmp_path: Path, config: NodeConfig
) -> None:
    run(mcap, tmp_path / 'out', config, overlay=tmp_path / 'overlay.mp4')
    video = (tmp_path / 'overlay').with_suffix(best_format().suffix)
    capture = cv2.VideoCapture(str(video))
    rate_hz = capture.get(cv2.CAP_PROP_FPS)
    pictures = [bgr for _ in range(IMAGES + 1) if (bgr := capture.read()[1]) is not None]
    capture.release()
    assert len(pictures) == IMAGES
    assert rate_hz == pytest.approx(1e9 / PERIOD_NS, rel=0.02)  # of the input
    assert pictures[0].shape[1::-1] == SIZE_WH


def test_an_overlay_has_the_stop_the_zone_the_lane_and_the_people(tmp_path: Path) -> None:
    camera = Camera(LENS, MOUNT)
    road = np.full((*SIZE_WH_OF_LENS[::-1], 3), 90, np.uint8)
    labels = np.zeros(road.shape[:2], np.uint8)
    zone = ground_pixels(camera, np.array([[4.0, 1.0], [9.0, 1.0], [9.0, -1.0]]), closed=True)
    lane = ground_pixels(camera, np.column_stack([np.linspace(4.0, 20.0, 30), np.zeros(30)]))
    box = person_box(camera, 8.0, 1.5)
    assert box is not None
    drawer = SceneFrame(np.full((256, 1, 3), 128, np.uint8), 0.5)
    plain = drawer.draw(road, labels, ImageShapes(np.zeros((0, 2))), None)
    shapes = ImageShapes(zone, [lane], [(*box, '8.0 m')])
    drawn = drawer.draw(road, labels, shapes, ('STOP', 'a person', (229, 57, 53)))
    assert (drawn[0, -1] == (229, 57, 53)).all()  # the banner
    for u, v in (*zone[::20], *lane[::10], box[:2]):
        if 30 < v < drawn.shape[0] and 0 <= u < drawn.shape[1]:
            around = np.s_[round(v) - 2 : round(v) + 3, max(0, round(u) - 2) : round(u) + 3]
            assert (drawn[around] != plain[around]).any()


def test_parameters_come_from_the_file_of_the_node_and_from_the_command_line(
    tmp_path: Path,
) -> None:
    file = tmp_path / 'parameters.yaml'
    file.write_text(
        '/**:\n  ros__parameters:\n    use_sim_time: true\n    stop:\n      hold_s: 2.5\n'
        '    mount.z: [1.4]\n'
    )
    config = config_of(file, ['stop.hold_s:=3.5', 'engine:=roadsynth'])
    assert (config.stop.hold_s, config.mount.z, config.engine) == (3.5, (1.4,), 'roadsynth')
    assert config_of(REPOSITORY / 'config' / 'segmentation.yaml', ()) == (NodeConfig())
    assert config_of(REPOSITORY / 'config' / 'small_robot.yaml', ()).vehicle.max_speed_mps == 2.0


def test_what_the_node_would_warn_of_is_a_note_of_the_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path / 'drive', list(drive_rows(3)))
    file = tmp_path / 'parameters.yaml'
    file.write_text(
        '/**:\n  ros__parameters:\n    planner_hz: 5.0\n    stop.vehicle_front_m: 2.0\n'
    )
    words = ['replay', str(bag), '-o', str(tmp_path / 'out'), '--json', '--params', str(file)]
    assert main([*words, '-p', 'engine:=roadsynth', '-p', 'backend:=canned']) == 0
    printed = capsys.readouterr()
    for sentence in ('There is no parameter planner_hz', 'is called vehicle.front_m now'):
        assert any(sentence in note for note in json.loads(printed.out)['notes'])
        assert printed.err.count(sentence) == 1


def test_old_names_of_parameters_work_and_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / 'parameters.yaml'
    file.write_text('/**:\n  ros__parameters:\n    stop:\n      vehicle_front_m: 2.5\n')
    config = config_of(file, ['stale_timeout_s:=0.7'])
    assert (config.vehicle.front_m, config.diagnostics_stale_s) == (2.5, 0.7)
    assert 'stop.vehicle_front_m is called vehicle.front_m now' in caplog.text
    assert 'stale_timeout_s is called diagnostics_stale_s now' in caplog.text
    with pytest.raises(ConfigurationError, match='are the same parameter'):
        config_of(file, ['vehicle.front_m:=2.0'])


@pytest.mark.parametrize(
    ('assignment', 'sentence'),
    [
        ('stop.hold_s:=much', "is 'much'. Give a number with a point, like 1.0."),
        ('stop.hold_s:=2', 'is 2. Give a number with a point'),  # as the node has it
        ('stop.hold:=2.0', 'There is no parameter stop.hold'),
        ('stop.hold_s=2.0', 'write it like stop.hold_s:=1.5'),
        ('stop.hold_s:=-1.0', 'It must be from 0.0 to 60.0 s'),
    ],
)
def test_a_parameter_that_the_node_would_refuse_is_refused(assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        config_of(None, [assignment])


def test_what_is_no_recording_is_refused(tmp_path: Path, config: NodeConfig) -> None:
    text = tmp_path / 'notes.txt'
    text.write_text('no video')
    with pytest.raises(ConfigurationError, match='OpenCV reads no picture'):
        run(text, tmp_path / 'out', config)
    with pytest.raises(ConfigurationError, match='there is no such file'):
        run(tmp_path / 'nothing', tmp_path / 'out', config)
    assert not (tmp_path / 'out.partial').exists()


def test_a_recording_without_images_is_refused(
    tmp_path: Path, config: NodeConfig, rows: list[Row]
) -> None:
    bag = write_bag(tmp_path / 'drive', [row for row in rows if row.topic != IMAGE])
    with pytest.raises(ConfigurationError, match='no sensor_msgs/Image or CompressedImage'):
        run(bag, tmp_path / 'out', config)


def test_definitions_and_offers_of_copies_stay(
    mcap: Path, tmp_path: Path, config: NodeConfig
) -> None:
    run(mcap, tmp_path / 'out', config)
    with AnyReader([mcap]) as before, AnyReader([tmp_path / 'out']) as after:
        there = {row.topic: row for row in after.connections}
        for row in before.connections:
            if row.topic in there:
                assert there[row.topic].msgdef == row.msgdef
                assert there[row.topic].ext.offered_qos_profiles == row.ext.offered_qos_profiles
