# SPDX-License-Identifier: Apache-2.0
"""``seg_ros calibrate``: pictures in, a params file out, and how sure it is in words."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from seg_ros.cli import main
from seg_ros.commands.calibrate.exif import focal_length_px
from seg_ros.commands.calibrate.findings import people_in_heights
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.messages.conversions import header_of, image_message
from seg_ros.messages.plain import serialised, typestore
from seg_ros.messages.types import message_type
from seg_ros.replay.job import read_lens
from seg_ros.replay.output_bag import OutputBag
from seg_ros.sim.classes import LANE_MARKING
from test.core.lane.scene import LANE_M, Scene, camera
from test.recordings.pictures import write_png
from test.tiny_onnx import network, write_engine

MOUNT = Mount(z=1.45, pitch=0.06, yaw=0.02)
FOV_DEG = 62.0  # of the scene
ROAD_RGB, PAINT_RGB = (128, 64, 128), (255, 255, 255)


@pytest.fixture(scope='module')
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the canned backend a picture in its colours gets exactly those labels."""
    classes = [
        {'id': 0, 'name': 'road', 'colour': list(ROAD_RGB), 'roles': ['drivable']},
        {'id': 1, 'name': 'line', 'colour': list(PAINT_RGB), 'roles': ['drivable', 'lane']},
        {'id': 2, 'name': 'person', 'colour': [220, 20, 60], 'roles': ['pedestrian']},
    ]
    folder = tmp_path_factory.mktemp('engines') / 'lines'
    size_wh = (640, 360)
    return write_engine(
        folder, network(size_wh, classes=3), classes=classes, network_size=list(size_wh)
    )


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('drive')
    scene = Scene(mount=MOUNT)
    for number in range(24):
        state = scene.state(60.0 + 3.0 * number, 0.4 * math.sin(0.5 * number))
        paint = scene.view.labels(state) == LANE_MARKING
        picture = np.where(paint[..., None], PAINT_RGB, ROAD_RGB).astype(np.uint8)
        write_png(folder / f'{number:03d}.png', picture)
    return folder


def calibrated(drive: Path, engine: Path, tmp_path: Path, *words: str) -> int:
    return main(
        [
            *('calibrate', str(drive), '--engine', str(engine), '--backend', 'canned'),
            *('-o', str(tmp_path / 'out'), *words),
        ]
    )


def test_the_mounting_is_written_as_a_params_file_with_a_picture(
    drive: Path, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ('--height', '1.45', '--fov', str(FOV_DEG), '--lane-width', '3.5')
    assert calibrated(drive, engine, tmp_path, *words) == 0
    text = (tmp_path / 'out/mount.yaml').read_text()
    values = yaml.safe_load(text)['/**']['ros__parameters']
    assert values['mount.z'] == [1.45]
    assert values['mount.pitch'] == pytest.approx([MOUNT.pitch], abs=0.003)
    assert values['mount.yaw'] == pytest.approx([MOUNT.yaw], abs=0.003)
    assert cv2.imread(str(tmp_path / 'out/mount.jpg')).shape == (360, 640, 3)
    said = capsys.readouterr().out
    assert 'focal length from --fov 62' in said
    assert '3.4' in said
    assert '± ' in said
    assert 'scale  agrees' in said
    assert 'scale  agrees' in text


def test_the_lens_is_written_as_a_calibration_that_replay_reads(
    drive: Path, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ('--height', '1.45', '--fov', str(FOV_DEG))
    assert calibrated(drive, engine, tmp_path, *words) == 0
    file = tmp_path / 'out/camera.yaml'
    assert '# Focal length from --fov 62' in file.read_text()
    lens = read_lens(file).intrinsics((640, 360))
    expected = CameraIntrinsics.from_field_of_view((640, 360), math.radians(FOV_DEG))
    assert lens.k == pytest.approx(expected.k)
    assert f'--camera {file} --params {tmp_path / "out/mount.yaml"}' in capsys.readouterr().out


def test_without_a_focal_length_it_says_so_and_marks_what_follows(
    drive: Path, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrated(drive, engine, tmp_path, '--height', '1.45') == 0
    said = capsys.readouterr().out
    assert 'focal length unknown: all angles and widths here hold for the assumed lens' in said
    assert 'at 45, ' in said
    assert '# focal length unknown' in (tmp_path / 'out/mount.yaml').read_text()


def test_a_scale_that_nobody_can_check_is_called_unproven(
    drive: Path, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrated(drive, engine, tmp_path, '--height', '1.6', '--fov', '62') == 0
    said = capsys.readouterr().out
    assert 'scale  unproven' in said
    assert f'{LANE_M * 1.6 / 1.45:.2f} m wide' in said  # what a wrong height does to it


def test_a_height_that_the_known_width_contradicts_is_told_with_the_one_to_set(
    drive: Path, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ('--height', '1.6', '--fov', '62', '--lane-width', '3.5')
    assert calibrated(drive, engine, tmp_path, *words) == 1
    said = capsys.readouterr().out
    assert 'scale  contradicted' in said
    assert 'the lens would be 1.45 m above the ground' in said


def test_odometry_against_dashes_tells_the_focal_length_of_a_bag_without_camera_info(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = OutputBag(tmp_path / 'bag')
    topics = {'/eye/image': 'sensor_msgs/msg/Image', '/odom': 'nav_msgs/msg/Odometry'}
    for topic, type_name in topics.items():
        bag.add_output(topic, type_name, typestore(), latched=False)
    scene, speed_mps = Scene(mount=MOUNT), 8.0
    for number in range(60):
        stamp_ns = 10**18 + number * 10**8
        header = header_of(stamp_ns, 'eye')
        state = scene.state(60.0 + speed_mps * 0.1 * number, 0.3 * math.sin(0.2 * number))
        paint = scene.view.labels(state) == LANE_MARKING
        picture = np.where(paint[..., None], PAINT_RGB, ROAD_RGB).astype(np.uint8)
        odometry = message_type(topics['/odom'])(header=header)
        odometry.twist.twist.linear.x = speed_mps
        rows = ('/odom', odometry), ('/eye/image', image_message(header, picture, 'rgb8'))
        for topic, message in rows:
            bag.write(topic, stamp_ns, serialised(message, topics[topic]))
    bag.close()
    words = ('--height', '1.45', '--pictures', '40')
    assert calibrated(tmp_path / 'bag', engine, tmp_path, *words) == 0
    said = capsys.readouterr().out
    found = re.search(r'from odometry against dashes: (\S+) degrees across \(± (\S+)\)', said)
    assert found is not None, said
    assert float(found[1]) == pytest.approx(FOV_DEG, abs=2.0)
    assert 'focal length unknown' not in said
    text = (tmp_path / 'out/mount.yaml').read_text()
    values = yaml.safe_load(text)['/**']['ros__parameters']
    assert values['mount.pitch'] == pytest.approx([MOUNT.pitch], abs=0.004)
    assert 'odometry against dashes' in (tmp_path / 'out/camera.yaml').read_text()


def test_a_video_is_read_in_no_more_pictures_than_asked_for(
    drive: Path, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ('--height', '1.45', '--fov', '62', '--pictures', '16')
    assert calibrated(drive, engine, tmp_path, *words) == 0
    assert 'of 12 pictures' in capsys.readouterr().out  # of 24, every second


@pytest.mark.parametrize(
    ('words', 'refusal'),
    [
        (('--height', '0'), '--height 0: give 0.03 to 12.'),
        (('--height', '1.4', '--fov', '400'), '--fov 400: give 5 to 175.'),
        (('--height', 'nan'), '--height nan'),
    ],
)
def test_what_cannot_be_is_refused(
    drive: Path,
    engine: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    refusal: str,
) -> None:
    assert calibrated(drive, engine, tmp_path, *words) == 1
    assert refusal in capsys.readouterr().err


def test_pictures_without_lines_are_no_calibration(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    road = np.full((360, 640, 3), ROAD_RGB, np.uint8)
    for number in range(10):
        write_png(tmp_path / f'{number}.png', road)
    assert calibrated(tmp_path, engine, tmp_path, '--height', '1.4') == 1
    assert 'Drive along a straight road with lane markings' in capsys.readouterr().err


def test_an_engine_that_sees_no_lines_is_refused(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = write_engine(tmp_path / 'tiny')
    assert calibrated(drive, tiny, tmp_path, '--height', '1.4') == 1
    assert 'no class with the role lane' in capsys.readouterr().err


@pytest.mark.parametrize('what', ['nowhere.mp4', '/nowhere.mp4', '/no/such/drive-1', '/1st/topic'])
def test_something_that_is_neither_file_nor_topic_is_refused(
    capsys: pytest.CaptureFixture[str], what: str
) -> None:
    assert main(['calibrate', what, '--height', '1.4']) == 1
    assert 'neither a file nor a folder, nor the name of a topic' in capsys.readouterr().err


def exif_jpeg(film_mm: int, order: str = '<') -> bytes:
    """The beginning of a JPEG whose Exif has a focal length."""
    mark = b'II*\0' if order == '<' else b'MM\0*'
    first = struct.pack(f'{order}I', 8) + struct.pack(f'{order}HHHII', 1, 0x8769, 4, 1, 26)
    first += struct.pack(f'{order}I', 0)
    exif = struct.pack(f'{order}HHHIHHI', 1, 0xA405, 3, 1, film_mm, 0, 0)
    body = b'Exif\0\0' + mark + first + exif
    return b'\xff\xd8\xff\xe1' + struct.pack('>H', len(body) + 2) + body


@pytest.mark.parametrize('order', ['<', '>'])
def test_the_focal_length_of_a_photograph_is_read_from_its_exif(order: str) -> None:
    focal_px = focal_length_px(exif_jpeg(26, order), (4000, 3000))
    assert focal_px == pytest.approx(26.0 / 43.267 * 5000.0, rel=1e-3)
    assert focal_length_px(exif_jpeg(26)[:40], (4000, 3000)) is None
    assert focal_length_px(b'\xff\xd8no exif', (4000, 3000)) is None


def test_people_who_are_seen_whole_tell_how_high_the_lens_is() -> None:
    lens = camera(MOUNT).intrinsics
    seen = Camera(lens, MOUNT)
    mask = np.zeros((360, 640), np.uint8)
    for x_m, y_m in ((8.0, 2.0), (12.0, -2.0), (6.0, -0.5)):
        (left, bottom), (right, top) = (
            seen.project([[x_m, y_m + 0.25, 0.0], [x_m, y_m - 0.25, 1.7]])[0].round().astype(int)
        )
        mask[top : bottom + 1, left : right + 1] = 1
    mask[0:200, 300:330] = 1  # whose head is not seen
    tall = people_in_heights(mask, seen)
    assert len(tall) >= 2
    assert np.array(tall) * MOUNT.z == pytest.approx(1.7, abs=0.05)
