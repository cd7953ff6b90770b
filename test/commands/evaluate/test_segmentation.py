# SPDX-License-Identifier: Apache-2.0
"""Labels against the truth: folding, ignored pixels, figures, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from seg_ros.commands.evaluate.command import main
from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.labelled_folder import labelled_pictures
from seg_ros.commands.evaluate.segmentation import CAMVID_CLASSES, LabelTally
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.image.decoding import decode_raw
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import InferenceResult
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import load_engine
from test.tiny_onnx import COLOURS, NAMES, SIZE_WH, write_engine

LANE = len(CAMVID_CLASSES)
ROAD, PAVEMENT = CAMVID_CLASSES.index('road'), CAMVID_CLASSES.index('pavement')


class RememberingBackend(CannedBackend):
    """Keeps the last images that it was given."""

    seen: RgbBatch

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        self.seen = images.copy()
        return super().infer(images, with_confidence=with_confidence)


def road_scene() -> LabelMap:
    """Returns CamVid's classes and lane markings, with roles."""
    roles = {'road': ('drivable',), 'pavement': ('walkable',), 'pedestrian': ('pedestrian',)}
    rows = [
        LabelClass(index, name, (index, 0, 0), roles.get(name, ('static',)))
        for index, name in enumerate(CAMVID_CLASSES)
    ]
    return LabelMap((*rows, LabelClass(LANE, 'lane_marking', (9, 9, 9), ('drivable', 'lane'))))


def test_lane_markings_count_as_road() -> None:
    tally = LabelTally(road_scene(), CAMVID_CLASSES)
    accuracy = tally.add(np.full((4, 4), ROAD, np.uint8), np.full((4, 4), LANE, np.uint8))
    assert accuracy == 1.0
    assert tally.figures()['iou'] == {'road': 1.0}


def test_the_mean_is_over_the_classes_that_the_truth_has() -> None:
    tally = LabelTally(road_scene(), None)  # ids of the engine, of which the truth has two
    truth = np.full((4, 4), ROAD, np.uint8)
    truth[:2] = PAVEMENT
    said = truth.copy()
    said[3] = LANE  # a kind of road: right
    said[0] = CAMVID_CLASSES.index('pedestrian')  # no kind of pavement: wrong
    tally.add(truth, said)
    figures = tally.figures()
    assert figures['iou'] == {'road': 1.0, 'pavement': 0.5}
    assert figures['dice'] == {'road': 1.0, 'pavement': 0.6667}  # 2 · 4 of 4 and 8 pixels
    assert figures['miou'] == 0.75
    assert figures['pixel_accuracy'] == 0.75


def test_unlabelled_pixels_count_nowhere() -> None:
    tally = LabelTally(road_scene(), CAMVID_CLASSES)
    truth = np.array([[ROAD, len(CAMVID_CLASSES)]], np.uint8)
    tally.add(truth, np.array([[ROAD, PAVEMENT]], np.uint8))
    assert tally.figures()['miou'] == 1.0
    assert tally.figures()['pixel_accuracy'] == 1.0


def test_a_truth_without_any_known_id_is_an_error_and_no_nan() -> None:
    tally = LabelTally(road_scene(), CAMVID_CLASSES)
    truth = np.full((4, 4), 33, np.uint8)
    tally.add(truth, np.zeros_like(truth))
    with pytest.raises(ConfigurationError, match=r'id that is known.*33 \(16 pixels\).*--ids'):
        tally.figures()


def test_ids_that_are_no_class_are_named() -> None:
    tally = LabelTally(road_scene(), CAMVID_CLASSES)
    truth = np.array([[ROAD, 11, 255, 40, 40]], np.uint8)  # road, unlabelled twice, and what?
    tally.add(truth, np.full_like(truth, ROAD))
    (note,) = tally.notes()
    assert 'nowhere: 40 (2 pixels). Expected are 0 to 10 (sky to cyclist)' in note
    assert tally.figures()['miou'] == 1.0


def test_a_lane_pixel_beside_the_pavement_is_a_kerb() -> None:
    tally = LabelTally(road_scene(), CAMVID_CLASSES)
    truth = np.full((20, 40), ROAD, np.uint8)
    truth[:, :10] = PAVEMENT
    lane = np.zeros_like(truth)
    lane[:, 12] = lane[:, 30] = 255  # the first is a kerb
    said = np.full_like(truth, ROAD)
    said[:, 30] = LANE
    tally.add(truth, said, lane)
    assert tally.figures()['iou']['lane_marking'] == 1.0


def test_found_people_phantoms_and_lines_are_told_beside_the_iou() -> None:
    tally = LabelTally(road_scene(), CAMVID_CLASSES)
    person = CAMVID_CLASSES.index('pedestrian')
    truth = np.full((360, 640), ROAD, np.uint8)
    truth[100:150, 100:120] = truth[100:130, 300:312] = person
    said = truth.copy()
    said[100:130, 300:312] = ROAD  # of 30 px, missed
    said[200:220, 500:508] = person  # nobody is there
    lane = np.zeros_like(truth)
    lane[300:340, 50] = lane[300:340, 600] = 255
    said[300:340, 52] = LANE  # the second line is not seen
    tally.add(truth, said, lane)
    figures = tally.figures()
    assert figures['people_found'] == {'20_to_40_px': 0.0, '40_px_and_more': 1.0}
    assert figures['phantoms_per_picture'] == 1.0
    assert figures['lane_recall'] == 0.5
    assert figures['lane_painted'] == 0.5


def test_an_engine_that_lacks_a_class_of_the_truth_is_refused() -> None:
    few = LabelMap((LabelClass(0, 'sky', (0, 0, 0), ('sky',)),))
    with pytest.raises(ConfigurationError, match="no class 'building'"):
        LabelTally(few, CAMVID_CLASSES)


def test_the_command_measures_a_folder_and_leaves_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = write_engine(tmp_path / 'tiny')
    labels = np.arange(SIZE_WH[0] * SIZE_WH[1]).reshape(SIZE_WH[::-1]).astype(np.uint8) // 8 % 5
    (tmp_path / 'data/test').mkdir(parents=True)
    for name, right in (('good', True), ('bad', False)):
        image = np.array(COLOURS, np.uint8)[labels if right else np.zeros_like(labels)]
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(tmp_path / f'data/test/{name}.png'), bgr)
        cv2.imwrite(str(tmp_path / f'data/test/{name}.label.png'), labels)
    words = ['--engine', str(engine), '--backend', 'canned', '--ids', 'engine', '--json']
    words += ['--dataset', str(tmp_path / 'data'), '--split', 'test', '-o', str(tmp_path / 'out')]
    assert main(words) == 0
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert figures['images'] == 2
    assert set(figures['iou']) == set(NAMES)
    share = float((labels == 0).mean())
    assert figures['pixel_accuracy'] == pytest.approx((1 + share) / 2, abs=0.001)
    assert (tmp_path / 'out/confusion.png').exists()
    worst = next((tmp_path / 'out').glob('worst_1_bad_*.png'))
    picture, truth, answer = np.split(cv2.imread(str(worst)).astype(int), 3, axis=1)
    assert picture.shape[:2] == SIZE_WH[::-1]
    colours = np.array(COLOURS)[labels][..., ::-1]
    assert np.abs(truth - (picture + colours) / 2).max() <= 1
    assert np.abs(answer - picture).max() <= 1  # the picture shows its own wrong labels

    assert figures['notes'] == []
    assert figures['network_size'] == list(SIZE_WH)
    assert main([*words, '--network-size', '96x48']) == 0
    assert json.loads(capsys.readouterr().out)['network_size'] == [96, 48]


@pytest.mark.parametrize('scale', [1.5, 2.5, 5])
def test_a_large_picture_goes_to_the_network_as_the_node_brings_it_there(
    scale: float, tmp_path: Path
) -> None:
    width, height = (round(scale * side) for side in SIZE_WH)
    large = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    backend = RememberingBackend(load_engine(write_engine(tmp_path / 'tiny')))
    EvaluatedCamera(backend, NodeConfig()).process(large, 0, images=('label',))
    camera_image = decode_raw(
        large.tobytes(), width=width, height=height, step=3 * width, encoding='rgb8',
        is_bigendian=False,
    )  # fmt: skip
    np.testing.assert_array_equal(backend.seen[0], camera_image.rgb(SIZE_WH))


def test_pictures_and_masks_may_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    for name in ('images', 'masks'):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / 'images/a.jpg'), np.full((4, 6, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / 'masks/a.png'), np.full((4, 6), 2, np.uint8))
    (picture,) = labelled_pictures(tmp_path)
    assert picture.name == 'a'
    assert picture.rgb().shape == (4, 6, 3)
    assert (picture.labels() == 2).all()
    assert picture.lane is None
    (tmp_path / 'images/a.jpg').unlink()
    with pytest.raises(ConfigurationError, match=r'masks/a\.png has no picture .*images/a'):
        list(labelled_pictures(tmp_path))


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    engine = write_engine(tmp_path / 'tiny')
    words = ['--engine', str(engine), '--backend', 'canned', '--ids', 'engine']
    with pytest.raises(ConfigurationError, match='side by side'):
        main([*words, '--dataset', str(tmp_path)])


def test_it_goes_by_the_parameters_and_tells_what_they_hold_for_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = write_engine(tmp_path / 'tiny')
    (tmp_path / 'data').mkdir()
    labels = np.zeros(SIZE_WH[::-1], np.uint8)
    picture = np.full((*labels.shape, 3), COLOURS[0][::-1], np.uint8)
    cv2.imwrite(str(tmp_path / 'data/a.png'), picture)
    cv2.imwrite(str(tmp_path / 'data/a.label.png'), labels)
    file = tmp_path / 'mine.yaml'
    file.write_text(
        f'/**:\n  ros__parameters:\n    engine: {engine}\n    backend: canned\n'
        '    network_size: 96x48\n    planner_hz: 5.0\n'
    )
    words = ['--dataset', str(tmp_path / 'data'), '--ids', 'engine', '--json']
    words += ['--params', str(file), '-o', str(tmp_path / 'out')]
    assert main(words) == 0
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert figures['network_size'] == [96, 48]
    assert (figures['engine'], figures['backend']) == ('tiny', 'canned')
    (note,) = figures['notes']
    assert 'There is no parameter planner_hz' in note
    assert note in printed.err
    assert main([*words, '--network-size', '64x32']) == 0  # an option wins
    assert json.loads(capsys.readouterr().out)['network_size'] == [64, 32]
