# SPDX-License-Identifier: Apache-2.0
"""The uses beside the road: what is rendered and judged, and the commands of their pages."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from test.paths import REPOSITORY
from test.training.training_python import TRAINING_PYTHON, needs_training

rosbags = pytest.importorskip('rosbags.rosbag2')

from rosbags.typesys import Stores, get_typestore  # noqa: E402

from training.uses import rows, scan, shelf  # noqa: E402

TYPES = get_typestore(Stores.ROS2_JAZZY)
PAGES = {'shelf': 'shelf', 'medical': 'scan', 'rows': 'rows'}  # page: use
TINY = {
    'training.uses.shelf render': '--pictures 12',
    'training.uses.scan render': '--pictures 12',
    'training.uses.rows render': '--pictures 12 --seconds 3',
    'training.train': '--set steps=6 warmup=2 batch=4 checkpoint_every=6',
}


def write_bag(path: Path, topic: str, kind: str, messages: list[tuple[float, Any]]) -> None:
    with rosbags.Writer(path, version=9) as writer:
        connection = writer.add_connection(topic, kind, typestore=TYPES)
        for at_s, message in messages:
            writer.write(connection, int(at_s * 1e9), TYPES.serialize_cdr(message, kind))


def test_a_shelf_has_all_its_classes_and_goods_that_are_taken_become_gaps() -> None:
    one = shelf.random_shelf(np.random.default_rng(1))
    full = np.ones((one.boards, one.places), bool)
    picture, labels = shelf.picture_of(one, full, person_x=0.5)
    assert picture.shape == (240, 320, 3)
    assert set(np.unique(labels)) == {shelf.SHELF, shelf.PRODUCT, shelf.GAP, shelf.PERSON}
    _, with_all = shelf.picture_of(one, full)
    _, with_none = shelf.picture_of(one, ~full)
    assert (with_none[with_all == shelf.PRODUCT] == shelf.GAP).all()
    assert shelf.product_share(with_all) > 2 * shelf.MIN_SHARE
    assert shelf.product_share(with_none) == 0.0


def test_limit_and_delay_of_the_shelf_are_those_of_its_zone() -> None:
    zones = yaml.safe_load((REPOSITORY / 'config/zones/shelf.yaml').read_text())
    zone = zones['/**']['ros__parameters']['zones']
    assert zone['classes'] == ['product']
    assert zone['min_share'] == [shelf.MIN_SHARE]
    assert zone['confirm_s'] == [shelf.CONFIRM_S]
    top, bottom = f'{shelf.ZONE_TOP}', f'{shelf.ZONE_BOTTOM}'
    assert zone['polygons'] == [f'image 0 {top} 1 {top} 1 {bottom} 0 {bottom}']


@pytest.fixture
def emptying(tmp_path: Path) -> Path:
    """Goods are too few from 10 s on, and enough again from 60 s on."""
    (tmp_path / 'emptying').mkdir()
    shares = [0.5] * 20 + [0.1] * 100 + [0.5] * 40
    truth = {'rate_hz': 2.0, 'product_share': shares}
    (tmp_path / 'emptying/truth.json').write_text(json.dumps(truth))
    return tmp_path


@pytest.mark.parametrize(
    ('alarms', 'late_s', 'false', 'ended_s'),
    [
        ([(41.0, 62.0)], 1.0, 0, 62.0),
        ([(3.0, 5.0), (41.0, 62.0)], 1.0, 1, 62.0),
        ([(70.0, 75.0)], None, 1, None),
        ([], None, 0, None),
    ],
)
def test_an_alarm_of_the_shelf_is_late_or_false_or_missing(
    emptying: Path,
    alarms: list[tuple[float, float]],
    late_s: float | None,
    false: int,
    ended_s: float | None,
) -> None:
    kind = 'std_msgs/msg/Bool'
    states = [
        (at / 2, TYPES.types[kind](any(begin <= at / 2 < end for begin, end in alarms)))
        for at in range(160)
    ]
    write_bag(emptying / 'bag', '/segmentation/zone/shelf', kind, states)
    figures = shelf.judge(emptying, emptying / 'bag')
    assert figures['alarm_due_s'] == 40.0
    assert (figures['late_s'], figures['false_alarms']) == (late_s, false)
    assert figures['alarm_ended_s'] == ended_s


def test_a_slice_has_one_channel_of_16_bits_in_its_file_and_something_to_find(
    tmp_path: Path,
) -> None:
    scan.render(tmp_path / 'scan', 6, seed=1)
    found = set()
    for path in (tmp_path / 'scan/train/images').iterdir():
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint16
        assert image.shape == (scan.SIDE, scan.SIDE)
        masks = tmp_path / 'scan/train/masks'
        found |= set(np.unique(cv2.imread(str(masks / path.name), cv2.IMREAD_UNCHANGED)))
    assert found == {scan.AIR, scan.TISSUE, scan.BONE, scan.ABNORMALITY}


def test_the_robot_of_the_rows_stands_where_its_truth_says() -> None:
    field = rows.Field(0.7, 0.2, 0.0, (120, 90, 70), (60, 140, 50), (200, 200, 220), 3)
    for offset_m in (-0.1, 0.0, 0.1):
        _, labels = rows.picture_of(field, 0.0, offset_m, 0.0)
        row = labels[200]  # on the ground 0.9 m below, along a ray 20° below the axis
        down = (200.5 - 120) / rows.FOCAL_PX
        sine, cosine = np.sin(rows.CAMERA_PITCH_RAD), np.cos(rows.CAMERA_PITCH_RAD)
        reach = rows.CAMERA_Z_M / (sine + down * cosine)
        left_m = -(np.arange(320) + 0.5 - 160) / rows.FOCAL_PX * reach
        middle = np.abs(left_m + offset_m) < 0.2  # of the gap between the two rows
        assert (row[middle] == rows.SOIL).all()
        in_row = np.abs(np.abs(left_m + offset_m) - 0.35) < 0.03
        assert (row[in_row] == rows.CROP).all()


def test_a_track_is_held_against_where_the_robot_was(tmp_path: Path) -> None:
    (tmp_path / 'drive').mkdir()
    poses = [{'offset_m': 0.1, 'heading_rad': 0.05}] * 20
    (tmp_path / 'drive/truth.json').write_text(json.dumps({'rate_hz': 10.0, 'poses': poses}))
    kind = 'geometry_msgs/msg/PoseWithCovarianceStamped'
    t = TYPES.types

    def said(y: float, yaw: float) -> Any:
        orientation = t['geometry_msgs/msg/Quaternion'](0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))
        pose = t['geometry_msgs/msg/Pose'](t['geometry_msgs/msg/Point'](0.0, y, 0.0), orientation)
        header = t['std_msgs/msg/Header'](t['builtin_interfaces/msg/Time'](0, 0), '')
        covariance = t['geometry_msgs/msg/PoseWithCovariance'](pose, np.zeros(36))
        return t[kind](header, covariance)

    messages = [(at / 10, said(0.12, 0.05)) for at in range(10)]
    write_bag(tmp_path / 'bag', '/segmentation/lane_track/pose', kind, messages)
    figures = rows.judge(tmp_path, tmp_path / 'bag')
    assert figures['valid_share'] == 0.5
    assert figures['offset_error_mean_m'] == pytest.approx(0.02, abs=1e-3)
    assert figures['heading_error_p95_rad'] == pytest.approx(0.0, abs=1e-3)


def commands_of(page: str) -> list[str]:
    text = (REPOSITORY / 'docs' / f'{page}.md').read_text()
    found = re.findall(r'^    (\.venv\S* .*)$', text, re.MULTILINE)
    return [line for line in found if '../shared' not in line]


def run_line(line: str, folder: Path) -> str:
    """Run a command of a page at a tiny size; returns what it printed."""
    words = shlex.split(line)
    words += shlex.split(next((more for key, more in TINY.items() if key in line), ''))
    python = {
        '.venv/bin/python': [sys.executable],
        '.venv-train/bin/python': [TRAINING_PYTHON],
        '.venv/bin/seg_ros': [sys.executable, '-m', 'seg_ros.cli'],
    }[words[0]]
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [*python, *words[1:]],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        timeout=300.0,
    )
    assert done.returncode == 0, f'{line}\n{done.stdout}{done.stderr}'
    return done.stdout


@needs_training
@pytest.mark.parametrize('page', PAGES)
def test_every_command_of_a_page_runs(page: str, tmp_path: Path) -> None:
    for name in ('config', 'training'):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    said = {line: run_line(line, tmp_path) for line in commands_of(page)}
    use = PAGES[page]
    assert any(f'training/configs/{use}.yaml' in line for line in said)
    evaluated = next(out for line, out in said.items() if ' evaluate ' in line)
    assert 'IoU, Dice in %' in evaluated
    for line, out in said.items():
        if ' judge ' in line:
            assert json.loads(out)
