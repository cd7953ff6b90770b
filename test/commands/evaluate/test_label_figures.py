# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from seg_ros.commands.evaluate.label_figures import LabelFigures

ROAD, PEDESTRIAN, CYCLIST, LANE, UNKNOWN = 3, 9, 10, 11, 255


def picture(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """640x360 of road with boxes (left, top, width, height, class)."""
    labels = np.full((360, 640), ROAD, np.uint8)
    for left, top, width, height, label in boxes:
        labels[top : top + height, left : left + width] = label
    return labels


def figures_of(truth: np.ndarray, predicted: np.ndarray) -> dict[str, object]:
    figures = LabelFigures([PEDESTRIAN], [PEDESTRIAN, CYCLIST], [LANE])
    figures.add(truth, predicted)
    return figures.rounded()


def test_somebody_is_found_by_a_blob_that_covers_enough_of_them() -> None:
    tall, small = (100, 100, 20, 50, PEDESTRIAN), (300, 100, 12, 30, PEDESTRIAN)
    truth = picture(tall, small, (500, 100, 4, 10, PEDESTRIAN))  # the last is too small to count
    found = figures_of(truth, picture((100, 100, 20, 16, PEDESTRIAN), small))['people_found']
    assert found == {'20_to_40_px': 1.0, '40_px_and_more': 1.0}  # 16 of 50 rows: IoU 0.32
    found = figures_of(truth, picture((100, 100, 20, 14, PEDESTRIAN)))['people_found']
    assert found == {'20_to_40_px': 0.0, '40_px_and_more': 0.0}


def test_what_is_predicted_on_the_unknown_does_not_count_against_a_find() -> None:
    person = (100, 100, 20, 50, PEDESTRIAN)
    truth = picture((60, 60, 100, 120, UNKNOWN), person)
    found = figures_of(truth, picture((60, 60, 100, 120, PEDESTRIAN)))['people_found']
    assert found == {'40_px_and_more': 1.0}


def test_people_whom_the_unknown_parts_are_found_one_by_one() -> None:
    people = [(100 + 30 * i, 100, 20, 50, PEDESTRIAN) for i in range(5)]
    truth = picture((90, 90, 170, 70, UNKNOWN), *people)
    found = figures_of(truth, picture((100, 100, 140, 50, PEDESTRIAN)))['people_found']
    assert found == {'40_px_and_more': 1.0}


def test_heights_are_those_of_a_picture_with_360_rows() -> None:
    truth = picture((100, 100, 20, 50, PEDESTRIAN))[::2, ::2]
    assert figures_of(truth, truth)['people_found'] == {'40_px_and_more': 1.0}


@pytest.mark.parametrize(
    ('truth', 'count'),
    [
        (picture(), 1.0),
        (picture((100, 100, 20, 50, CYCLIST)), 0.0),  # there is somebody
        (picture((100, 100, 20, 4, PEDESTRIAN)), 1.0),  # 8 % of the blob
        (picture((100, 100, 20, 6, PEDESTRIAN)), 0.0),  # 12 %
        (picture((100, 100, 20, 30, UNKNOWN)), 0.0),
        (picture((100, 100, 20, 20, UNKNOWN)), 1.0),
    ],
)
def test_a_phantom_is_a_blob_on_nobody(truth: np.ndarray, count: float) -> None:
    predicted = picture((100, 100, 20, 50, PEDESTRIAN))
    assert figures_of(truth, predicted)['phantoms_per_picture'] == count


def test_a_speck_is_no_phantom() -> None:
    assert figures_of(picture(), picture((9, 9, 30, 7, PEDESTRIAN)))['phantoms_per_picture'] == 0


def test_phantoms_are_counted_by_the_picture() -> None:
    figures = LabelFigures([PEDESTRIAN], [PEDESTRIAN], [])
    figures.add(picture(), picture((9, 9, 9, 20, PEDESTRIAN), (99, 9, 9, 20, PEDESTRIAN)))
    figures.add(picture(), picture())
    assert figures.rounded() == {'phantoms_per_picture': 1.0}


def test_a_lane_is_recalled_within_two_pixels_and_paint_elsewhere_is_told() -> None:
    truth = picture((100, 0, 1, 360, LANE))
    for shift, recall in ((2, 1.0), (3, 0.0)):
        lane = figures_of(truth, picture((100 + shift, 0, 1, 360, LANE)))
        assert (lane['lane_recall'], lane['lane_painted']) == (recall, 1.0)
    everywhere = figures_of(truth, picture((0, 0, 640, 360, LANE)))
    assert (everywhere['lane_recall'], everywhere['lane_painted']) == (1.0, 640.0)
    assert figures_of(truth, picture())['lane_recall'] == 0.0


def test_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match='must be the same'):
        LabelFigures([], [], []).add(picture(), picture()[::2])
