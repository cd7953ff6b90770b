# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_ros.commands.evaluate.exact_labels import EXACT_LABEL_MAP, ExactLabels
from seg_ros.commands.evaluate.lane.dataset import evaluate_dataset
from seg_ros.commands.evaluate.lane.loop import drive_loop
from seg_ros.commands.evaluate.lane.task import add_arguments, evaluate_drives, main
from seg_ros.commands.evaluate.lane.tusimple import (
    Columns,
    TuSimpleFrame,
    read_frames,
    score_frame,
)
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.types import LabelImage
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.sim.classes import LANE_MARKING, ROAD
from seg_ros.sim.follower import PurePursuit
from seg_ros.sim.labels.road import LabelRoad, Stripe
from seg_ros.sim.road import Road
from seg_ros.sim.vehicle import VehicleState

MOUNT = Mount(z=1.6, pitch=0.05)
FOV_RAD = math.radians(60.0)
LINES_M = (-5.25, -1.75, 1.75)
ROWS: Columns = np.arange(180.0, 360.0, 10.0, dtype=np.float64)


def colours() -> CannedBackend:
    """Reads labels back from the colours of the label map."""
    return CannedBackend(ExactLabels((640, 360)).engine)


def dataset(folder: Path, images: int) -> None:
    """Straight roads, each seen from somewhere else in the lane."""
    camera = Camera(CameraIntrinsics.from_field_of_view((640, 360), FOV_RAD), MOUNT)
    view = LabelRoad(
        Road(1, 0.0, straight=True), camera, [Stripe(d_m) for d_m in LINES_M], (-6.0, 2.5)
    )
    x = np.geomspace(2.0, 80.0, 500)
    rows = []
    for index in range(images):
        offset_m = 0.3 * index - 0.3
        labels = view.labels(VehicleState(0.0, offset_m, 0.0, 8.0, 0.0, 0.0, offset_m))
        picture = cv2.applyColorMap(labels, EXACT_LABEL_MAP.colour_lut_bgr())
        cv2.imwrite(str(folder / f'{index}.png'), picture)
        lanes = []
        for line_m in LINES_M:
            pixels, _ = camera.project(
                np.stack([x, np.full_like(x, line_m - offset_m), np.zeros_like(x)], axis=-1)
            )
            column = np.interp(ROWS, pixels[::-1, 1], pixels[::-1, 0], left=-2, right=-2)
            lanes.append(np.where((column >= 0) & (column < 640), column, -2).round().tolist())
        rows.append({'raw_file': f'{index}.png', 'h_samples': ROWS.tolist(), 'lanes': lanes})
    (folder / 'label_data_1.json').write_text('\n'.join(json.dumps(row) for row in rows))


def frame(*lanes: Columns) -> TuSimpleFrame:
    return TuSimpleFrame(Path('a.jpg'), ROWS, lanes)


def upright(column: float) -> Columns:
    return np.full(len(ROWS), column)


def test_exact_labels_of_bends_and_of_a_road_without_paint_hold_the_bars(tmp_path: Path) -> None:
    figures = evaluate_drives(['bends', 'no paint'], frames=40, pictures=tmp_path)
    for at_m, bar_m in (('5', 0.1), ('10', 0.1), ('15', 0.1), ('25', 0.25)):
        assert figures['lateral_rms_m'][at_m] < bar_m
    assert figures['heading_rms_rad'] < 0.02
    assert figures['availability'] == pytest.approx(38 / 40)  # two images to confirm the lane
    assert figures['false_validity'] == 0.0
    assert figures['drives']['no paint']['availability'] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bends.png', 'no_paint.png']


def test_the_command_prints_the_figures_as_json_and_fails_below_a_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    code = main(parser.parse_args(['--scenario', 'straight', '--frames', '8', '--json']))
    figures = json.loads(capsys.readouterr().out)
    assert code == 1  # 6 of 8 images are too few
    assert figures['availability'] == 0.75
    assert set(figures['lateral_rms_m']) == {'5', '10', '15', '25'}
    assert set(figures['cost_ms']) == {'p50', 'p95'}
    main(parser.parse_args(['--scenario', 'straight', '--frames', '8']))
    assert capsys.readouterr().out.splitlines()[-1].startswith('all')


def worn(labels: LabelImage) -> LabelImage:
    """Every other strip of the image has lost its paint, and there are false spots."""
    worn = labels.copy()
    strips = worn.reshape(36, 10, 640)[::2]
    strips[strips == LANE_MARKING] = ROAD
    worn[200:360:20, 10:640:60] = LANE_MARKING
    return worn


@pytest.mark.parametrize('spoil', [None, worn])
def test_a_vehicle_that_follows_the_track_stays_in_its_lane(
    spoil: Callable[[LabelImage], LabelImage] | None,
) -> None:
    figures = drive_loop(0.08, seed=3, spoil=spoil)
    assert figures.departures == 0
    assert figures.lateral_rms_m < 0.1
    assert figures.km == pytest.approx(0.08, abs=0.001)


def test_without_a_path_the_wheels_stay_where_they_are() -> None:
    follower = PurePursuit()
    ahead = np.arange(3.0, 20.0)
    bend = np.stack([ahead, 0.01 * ahead * ahead], axis=-1)
    left_rad = follower.steering(bend, 8.0)
    assert left_rad > 0.02
    assert follower.steering(np.zeros((0, 3)), 8.0) == left_rad
    assert follower.steering(bend * (1.0, -1.0), 8.0) == pytest.approx(-left_rad)


@pytest.mark.parametrize('pitch_rad', [MOUNT.pitch, None])
def test_a_data_set_in_tusimples_layout_gets_its_accuracy_also_with_an_unknown_pitch(
    tmp_path: Path, pitch_rad: float | None
) -> None:
    dataset(tmp_path, images=3)
    pictures: list[int] = []
    figures = evaluate_dataset(
        tmp_path, colours(), MOUNT.z, FOV_RAD, pitch_rad, lambda index, _: pictures.append(index)
    )
    assert figures['images'] == 3
    assert figures['availability'] == 1.0
    assert figures['tusimple_accuracy'] > 0.9
    assert figures['false_negative'] < 0.05
    assert figures['pitch_rad'] == pytest.approx(MOUNT.pitch, abs=0.005)
    assert pictures == [0, 1, 2]


def test_accuracy_counts_points_within_twenty_pixels() -> None:
    true = frame(upright(100.0), upright(300.0))
    assert score_frame([upright(100.0), upright(319.0)], true).accuracy == 1.0
    half = score_frame([upright(100.0), upright(321.0)], true)
    assert (half.accuracy, half.false_positive, half.false_negative) == (0.5, 0.5, 0.5)
    none = score_frame([], true)
    assert (none.accuracy, none.false_positive, none.false_negative) == (0.0, 0.0, 1.0)
    empty = score_frame([], frame())
    assert empty.accuracy == 1.0


def test_a_fifth_line_may_be_missed() -> None:
    true = frame(*(upright(100.0 * index) for index in range(1, 6)))
    score = score_frame([upright(100.0 * index) for index in range(1, 5)], true)
    assert (score.accuracy, score.false_negative) == (1.0, 0.0)


@pytest.mark.parametrize(
    ('text', 'message'),
    [(None, 'has no label file'), ('{"lanes": []}', 'raw_file, h_samples and lanes')],
)
def test_a_folder_that_is_no_data_set_is_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / 'labels.json').write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        list(read_frames(tmp_path))


def test_an_image_that_is_missing_is_refused(tmp_path: Path) -> None:
    dataset(tmp_path, images=1)
    (tmp_path / '0.png').unlink()
    with pytest.raises(ConfigurationError, match='cannot be read'):
        evaluate_dataset(tmp_path, colours(), MOUNT.z, FOV_RAD)
