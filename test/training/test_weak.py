# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from training.mask_quality import mask_quality
from training.weak import Box, boxes_of, labels_from_boxes

ROAD, PEDESTRIAN, UNLABELLED = 3, 9, 255


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red figure on a noisy grey road."""
    random = np.random.default_rng(0)
    image = random.integers(90, 120, (80, 80, 3)).astype(np.uint8)
    labels = np.full((80, 80), ROAD, np.uint8)
    labels[20:60, 34:46] = PEDESTRIAN
    image[labels == PEDESTRIAN] = (200, 30, 30)
    return image, labels


def test_a_box_becomes_the_mask_of_what_is_in_it() -> None:
    image, labels = scene()
    drawn = labels_from_boxes(image, labels, [Box(30, 16, 50, 64, PEDESTRIAN)], [PEDESTRIAN])
    assert set(np.unique(drawn)) == {ROAD, PEDESTRIAN, UNLABELLED}
    assert (labels[drawn == PEDESTRIAN] == PEDESTRIAN).mean() > 0.98
    assert (drawn[labels == PEDESTRIAN] == PEDESTRIAN).mean() > 0.6


def test_what_a_box_leaves_open_counts_in_no_loss() -> None:
    image, labels = scene()
    drawn = labels_from_boxes(image, labels, [Box(30, 16, 50, 64, PEDESTRIAN)], [PEDESTRIAN])
    inside = drawn[16:64, 30:50]
    assert not (inside == ROAD).any()
    assert (drawn[:, :30] == ROAD).all()


def test_the_annotators_box_encloses_its_object() -> None:
    assert boxes_of(scene()[1], [PEDESTRIAN]) == [Box(34, 20, 46, 60, PEDESTRIAN)]


def test_what_is_too_small_for_a_box_is_left_open() -> None:
    image, labels = scene()
    labels[2:4, 2:4] = PEDESTRIAN
    drawn = labels_from_boxes(image, labels, boxes_of(labels, [PEDESTRIAN]), [PEDESTRIAN])
    assert (drawn[2:4, 2:4] == UNLABELLED).all()


def test_the_quality_of_masks_is_counted_by_pixels() -> None:
    truth = np.array([[[PEDESTRIAN, PEDESTRIAN, PEDESTRIAN, PEDESTRIAN, ROAD]]], np.uint8)
    drawn = np.array([[[ROAD, PEDESTRIAN, UNLABELLED, PEDESTRIAN, PEDESTRIAN]]], np.uint8)
    assert mask_quality(drawn, truth, PEDESTRIAN) == (2 / 3, 1 / 2)
