# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.image.upsample import Logits, Upsampler

LENGTH = st.integers(1, 12)


def enlarged(logits: Logits, size_wh: tuple[int, int]) -> NDArray[Any]:
    return np.stack([cv2.resize(plane, size_wh) for plane in logits])


def random_logits(shape_chw: tuple[int, int, int], seed: int, levels: int) -> Logits:
    """Few levels make many ties."""
    random = np.random.default_rng(seed)
    halves = random.integers(-levels, levels + 1, shape_chw).astype(np.float32)
    return np.multiply(halves, 0.5, dtype=np.float32)


@settings(max_examples=150, deadline=None)
@given(
    classes=st.integers(1, 8),
    height=LENGTH,
    width=LENGTH,
    size_wh=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 1000),
    levels=st.sampled_from([0, 1, 3, 1000]),
)
def test_labels_are_the_argmax_of_the_bilinear_planes_and_ties_go_to_the_lowest_id(
    classes: int, height: int, width: int, size_wh: tuple[int, int], seed: int, levels: int
) -> None:
    logits = random_logits((classes, height, width), seed, levels)
    labels = Upsampler(logits.shape, size_wh).labels(logits)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, enlarged(logits, size_wh).argmax(axis=0))


def test_labels_stay_right_with_the_most_classes_a_label_image_can_hold() -> None:
    logits = random_logits((255, 4, 6), seed=0, levels=1000)
    labels = Upsampler(logits.shape, (12, 8)).labels(logits)
    np.testing.assert_array_equal(labels, enlarged(logits, (12, 8)).argmax(axis=0))
    assert labels.max() > 200


@settings(max_examples=50, deadline=None)
@given(
    shape_chw=st.tuples(st.integers(1, 6), LENGTH, LENGTH),
    size_wh=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 1000),
)
def test_confidence_is_the_enlarged_probability_of_the_winner_rounded_to_a_byte(
    shape_chw: tuple[int, int, int], size_wh: tuple[int, int], seed: int
) -> None:
    logits = random_logits(shape_chw, seed, levels=6)
    odds = np.exp(logits.astype(np.float64))
    winner = (odds / odds.sum(axis=0)).max(axis=0)
    exact = cv2.resize(winner, size_wh) * 255.0
    confidence = Upsampler(shape_chw, size_wh).confidence(logits)
    assert confidence.dtype == np.uint8
    assert np.abs(confidence - exact).max() <= 0.5 + 1e-3


def test_confidence_does_not_overflow_with_large_scores() -> None:
    logits = np.array([1000.0, -1000.0], np.float32).reshape(2, 1, 1)
    assert Upsampler((2, 1, 1), (2, 2)).confidence(logits).tolist() == [[255, 255], [255, 255]]


def test_results_are_written_where_the_caller_says_and_scratch_does_not_leak() -> None:
    upsampler = Upsampler((4, 3, 5), (20, 12))
    out = np.full((2, 12, 20), 77, np.uint8)
    for seed in range(3):
        logits = random_logits((4, 3, 5), seed, levels=9)
        assert np.shares_memory(upsampler.labels(logits, out=out[0]), out)
        assert np.shares_memory(upsampler.confidence(logits, out=out[1]), out)
        np.testing.assert_array_equal(out[0], enlarged(logits, (20, 12)).argmax(axis=0))


@pytest.mark.parametrize('shape_chw', [(0, 2, 2), (256, 2, 2), (3, 0, 2), (1, 3, 2, 2), (3,)])
def test_shapes_without_a_picture_are_refused(
    shape_chw: tuple[int, ...],
) -> None:
    with pytest.raises(ConfigurationError, match='1 to 255 classes'):
        Upsampler(shape_chw, (4, 4))
