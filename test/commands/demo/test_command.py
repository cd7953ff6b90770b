# SPDX-License-Identifier: Apache-2.0
"""``seg_ros demo``: three processes on a real graph, and the files they leave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml
from rosbags.highlevel import AnyReader

from test.recordings.pictures import flat, write_png
from test.tiny_onnx import write_engine

Demo = Callable[..., 'subprocess.Popen[str]']

ROS_VARIABLES = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / 'demo'


@pytest.fixture
def demo(tmp_path: Path, folder: Path) -> Iterator[Demo]:
    """Starts ``seg_ros demo`` with a canned engine and the given words."""
    engine = write_engine(tmp_path / 'tiny')
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str, **exported: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                *(sys.executable, '-m', 'seg_ros.cli', 'demo', '-o', str(folder)),
                *('--engine', str(engine), '--backend', 'canned', *words),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **{key: value for key, value in os.environ.items() if key not in ROS_VARIABLES},
                **exported,
            },
            # A test run in the background ignores Ctrl-C, and so would what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.terminate()
        process.communicate()


def descendants_of(ancestor: int) -> set[int]:
    """Returns the processes that a process has started, and those that they have started."""
    parents: dict[int, int] = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = path.read_text().rpartition(')')[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = {ancestor}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


def running(process: int) -> bool:
    try:
        state = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f'waited {timeout_s} s for: {what}'
        time.sleep(0.02)


def test_the_demo_leaves_bag_video_contact_sheet_and_figures(demo: Demo, folder: Path) -> None:
    process = demo('--scenario', 'empty', '--seconds', '1', '--rate', '5', ROS_DOMAIN_ID='77')
    output, errors = process.communicate(timeout=60.0)
    assert process.returncode == 0, errors
    assert 'ROS_DOMAIN_ID=77 is exported and not followed' in output
    summary = json.loads((folder / 'summary.json').read_text())
    # A busy machine may lose one of five.
    assert 3 <= summary['frames_out'] <= summary['frames_in'] <= 5
    assert (summary['engine'], summary['backend']) == ('tiny', 'canned')
    assert 0.0 < summary['pixel_accuracy'] < 1.0
    assert 0.0 < summary['latency_ms']['received_to_published']['p50'] < 1000.0
    assert cv2.imread(str(folder / 'contact_sheet.png')) is not None
    video = cv2.VideoCapture(str(next(folder.glob('annotated.*'))))
    assert sum(1 for _ in iter(lambda: video.read()[0], False)) >= 3
    with AnyReader([folder / 'bag']) as reader:
        counts = {row.topic: row.msgcount for row in reader.connections}
    assert counts['/segmentation/label'] == summary['frames_out']
    assert counts['/camera/image/compressed'] == summary['frames_in']
    for topic in ('segmentation/confidence', 'camera/camera_info', 'camera/truth/label'):
        assert 3 <= counts[f'/{topic}'] <= 5
    assert re.search(r'Look at http://127\.0\.0\.1:\d+/ while it runs', output)
    assert b'id="still"' in (folder / 'view.html').read_bytes()
    *_, where, figures, latency = output.splitlines()
    assert f'{folder}/contact_sheet.png' in where
    assert 'images labelled by tiny on canned' in figures
    assert f'{folder}/summary.json' in latency


def test_an_own_video_has_metres_with_a_calibration_and_a_mounting(
    demo: Demo, folder: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    for number in range(8):
        write_png(pictures / f'{number}.png', flat((128, 64, 128 + number)))
    lens, params = tmp_path / 'camera.yaml', tmp_path / 'mount.yaml'
    height, width = flat((0, 0, 0)).shape[:2]
    matrix = [width, 0.0, width / 2, 0.0, width, height / 2, 0.0, 0.0, 1.0]
    lens.write_text(
        yaml.safe_dump(
            {
                'image_width': width,
                'image_height': height,
                'camera_matrix': {'data': matrix},
                'distortion_model': 'plumb_bob',
                'distortion_coefficients': {'data': [0.0] * 5},
            }
        )
    )
    params.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'mount.z': [1.4]}}}))
    words = ('--camera', str(lens), '--params', str(params), '-p', 'mount.pitch:=[0.1]')
    process = demo('--images', str(pictures), '--rate', '5', *words)
    _, errors = process.communicate(timeout=60.0)
    assert process.returncode == 0, errors
    with AnyReader([folder / 'bag']) as reader:
        counts = {row.topic: row.msgcount for row in reader.connections}
        lanes = [
            row for row in reader.connections if row.topic == '/segmentation/lane_track/status'
        ]
        *_, (_, _, data) = reader.messages(lanes)
        lane = reader.deserialize(data, lanes[0].msgtype)
    assert counts['/camera/camera_info'] >= 3
    assert 'too few pixels of any line' in lane.message  # of the ground, in metres


def test_a_node_that_dies_is_named_with_its_last_words(
    demo: Demo, folder: Path, tmp_path: Path
) -> None:
    write_png(tmp_path / 'image.png', flat((200, 0, 0)))
    process = demo('--engine', '/no/such/engine', '--images', str(tmp_path))
    _, errors = process.communicate(timeout=60.0)
    assert process.returncode == 1
    assert 'The node ended early' in errors
    assert f'The end of {folder}/node.log' in errors
    assert '/no/such/engine' in errors
    assert 'Traceback' not in errors


def test_what_the_demo_says_is_neither_in_a_domain_nor_under_a_name_of_a_robot(
    demo: Demo, folder: Path
) -> None:
    process = demo('--scenario', 'empty', '--rate', '2', '--seconds', '20', ROS_DOMAIN_ID='77')
    wait_for(
        lambda: (
            (folder / 'node.log').exists()
            and '/seg_ros_demo/camera/image (' in (folder / 'node.log').read_text()
        ),
        'the node, and what it listens to',
    )
    for child in descendants_of(process.pid):
        assert b'ROS_DOMAIN_ID=77' not in Path(f'/proc/{child}/environ').read_bytes().split(b'\0')
    assert '[seg_ros_demo.segmentation]' in (folder / 'node.log').read_text()


def test_the_node_is_not_started_to_miss_a_camera_that_still_makes_its_images(
    demo: Demo, folder: Path
) -> None:
    demo('--scenario', 'empty', '--rate', '10', '--seconds', '10')
    wait_for(lambda: (folder / 'node.log').exists(), 'the node')
    assert '{"prepared": 100, "ready": 1}' in (folder / 'camera.log').read_text()


@pytest.mark.parametrize(
    ('word', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_no_child_is_left_behind(
    demo: Demo, folder: Path, word: signal.Signals, code: int
) -> None:
    process = demo('--rate', '2', '--seconds', '60')
    wait_for(lambda: (folder / 'node.log').exists(), 'the images are made')
    wait_for(lambda: len(descendants_of(process.pid)) >= 5, 'recorder, node, camera, renderers')
    descendants = descendants_of(process.pid)
    process.send_signal(word)
    assert process.wait(60.0) == code
    wait_for(lambda: not any(map(running, descendants)), 'all of them to end')


@pytest.mark.parametrize(
    ('words', 'refusal'),
    [
        (('--video', '/nowhere.mp4'), '--video /nowhere.mp4: there is no such file'),
        (('--camera', '/dev/null'), 'there is no such file'),
        (('--camera', __file__), 'was to be read as a calibration'),
        (('--seconds', '0'), '--seconds 0: give more than 0'),
        (
            ('--params', '/nowhere.yaml'),
            '/nowhere.yaml was to be read as a parameter file, but there is no such file',
        ),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_starts(
    demo: Demo, folder: Path, words: tuple[str, ...], refusal: str
) -> None:
    process = demo(*words)
    _, errors = process.communicate(timeout=60.0)
    assert process.returncode == 1
    assert refusal in errors
    assert not folder.exists()
