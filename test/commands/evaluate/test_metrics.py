# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from seg_ros.commands.evaluate.metrics import ConfusionMatrix

SKY, ROAD, LANE = 0, 1, 2
UNLABELLED = 255


def matrix(truth: list[int], predicted: list[int], classes: int = 3) -> ConfusionMatrix:
    result = ConfusionMatrix(classes)
    result.add(np.array([truth], np.uint8), np.array([predicted], np.uint8))
    return result


def test_a_perfect_prediction_has_an_iou_of_one_in_every_class_that_occurs() -> None:
    perfect = matrix([SKY, ROAD, ROAD], [SKY, ROAD, ROAD])
    np.testing.assert_array_equal(perfect.iou(), [1.0, 1.0, np.nan])
    assert perfect.mean_iou() == 1.0
    assert perfect.pixel_accuracy() == 1.0


def test_iou_is_hits_over_truth_and_prediction_together() -> None:
    half = matrix([ROAD, ROAD, SKY, SKY], [ROAD, SKY, SKY, SKY])
    np.testing.assert_allclose(half.iou()[:2], [2 / 3, 1 / 2])
    assert half.pixel_accuracy() == 0.75


def test_unlabelled_truth_is_left_out_and_unlabelled_prediction_is_a_miss() -> None:
    result = matrix([UNLABELLED, ROAD, ROAD], [SKY, ROAD, UNLABELLED])
    assert result.iou()[ROAD] == 0.5
    assert np.isnan(result.iou()[SKY])


def test_lane_folded_into_road_equals_labels_that_never_had_lanes() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 500).astype(np.uint8)
    predicted = random.integers(0, 3, 500).astype(np.uint8)
    folded = matrix(truth.tolist(), predicted.tolist()).folded({LANE: ROAD})
    truth[truth == LANE] = ROAD
    predicted[predicted == LANE] = ROAD
    assert folded.mean_iou() == matrix(truth.tolist(), predicted.tolist()).mean_iou()
    assert np.isnan(folded.iou()[LANE])


def test_nothing_counted_gives_no_figure_rather_than_a_good_one() -> None:
    assert np.isnan(ConfusionMatrix(3).mean_iou())
    assert np.isnan(ConfusionMatrix(3).pixel_accuracy())


def test_label_images_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match='they must be the same'):
        ConfusionMatrix(3).add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
