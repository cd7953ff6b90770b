# SPDX-License-Identifier: Apache-2.0
"""The images of a frame, with a fake network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.errors import BackendError
from seg_ros.core.image.camera_image import Frame
from seg_ros.core.image.decoding import decode_raw
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import load_engine
from seg_ros.perception import Perception
from seg_ros.pipeline import IMAGES, PipelineOptions
from test.through_perception import processed
from test.tiny_onnx import COLOURS, SIZE_WH, write_engine

LABELS = np.arange(SIZE_WH[0] * SIZE_WH[1]).reshape(SIZE_WH[::-1]).astype(np.uint8) // 8 % 5


@pytest.fixture
def backend(tmp_path: Path) -> CannedBackend:
    return CannedBackend(load_engine(write_engine(tmp_path / 'tiny')), labels=[LABELS])


def frame(size_wh: tuple[int, int] = (128, 64)) -> Frame:
    width, height = size_wh
    pixels = np.full((height, width, 3), 90, np.uint8)
    image = decode_raw(
        pixels.tobytes(),
        width=width,
        height=height,
        step=3 * width,
        encoding='rgb8',
        is_bigendian=False,
    )
    return Frame('front', 7, 'front_optical', image)


def process(
    backend: CannedBackend,
    wanted: Any,
    more: Any = None,
    size_wh: tuple[int, int] = (128, 64),
    **options: Any,
) -> Any:
    perception = Perception(backend)
    return processed(perception, frame(size_wh), wanted, PipelineOptions(**options), more)


@pytest.mark.parametrize(
    'wanted', [[], ['label'], ['color'], ['confidence'], ['overlay'], list(IMAGES)]
)
def test_only_what_is_wanted_is_returned(backend: CannedBackend, wanted: list[str]) -> None:
    result = process(backend, wanted)
    made = {name for name in IMAGES if getattr(result, name) is not None}
    assert made - {'label'} == set(wanted) - {'label'}
    assert ('label' in made) == bool({'label', 'color', 'overlay'} & set(wanted))


def test_labels_keep_their_values_at_the_cameras_size(backend: CannedBackend) -> None:
    label = process(backend, ['label']).label
    np.testing.assert_array_equal(label, LABELS.repeat(2, axis=0).repeat(2, axis=1))


def test_labels_do_not_move_when_they_are_brought_to_a_smaller_camera(tmp_path: Path) -> None:
    columns = np.tile(np.arange(SIZE_WH[0], dtype=np.uint8), (SIZE_WH[1], 1))
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    label = process(CannedBackend(engine, labels=[columns]), ['label'], size_wh=(48, 24)).label
    centres = (np.arange(48) + 0.5) * SIZE_WH[0] / 48 - 0.5
    assert abs(np.mean(label - centres)) < 0.2  # plain INTER_NEAREST: half a pixel to the left


def test_the_colours_are_those_of_the_classes_and_unlabelled_is_black(
    backend: CannedBackend,
) -> None:
    result = process(backend, ['label', 'color'])
    np.testing.assert_array_equal(result.color, np.array(COLOURS)[result.label])
    backend.confidence = 0
    assert not process(backend, ['color'], min_confidence=0.5).color.any()


def test_the_overlay_mixes_image_and_colours(backend: CannedBackend) -> None:
    result = process(backend, ['overlay', 'label'], overlay_alpha=0.25)
    expected = 0.25 * np.array(COLOURS)[result.label] + 0.75 * 90
    assert np.abs(result.overlay - expected).max() <= 1.0


def test_uncertain_pixels_are_unlabelled(backend: CannedBackend) -> None:
    backend.confidence = 100
    assert process(backend, ['label'], min_confidence=0.38).label.max() < 5
    assert process(backend, ['label'], min_confidence=0.40).label.min() == 255


def test_the_results_are_written_to_the_callers_arrays(backend: CannedBackend) -> None:
    arrays: dict[str, NDArray[np.uint8]] = {}

    def allocate(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return arrays.setdefault(name, np.zeros(shape, np.uint8))

    result = process(backend, list(IMAGES), allocate)
    for name in IMAGES:
        assert getattr(result, name) is arrays[name]


def test_the_second_frame_of_a_size_allocates_no_new_results(backend: CannedBackend) -> None:
    perception = Perception(backend)
    results = [processed(perception, frame(), IMAGES) for _ in range(2)]
    for name in IMAGES:
        assert getattr(results[0], name) is getattr(results[1], name)


def test_labels_of_a_picture_of_another_shape_are_refused(tmp_path: Path) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    sideways = CannedBackend(engine, labels=[np.ascontiguousarray(LABELS.T)])
    with pytest.raises(BackendError, match=r'uint8 \(1, 64, 32\), not as uint8 \(1, 32, 64\)'):
        processed(Perception(sideways), frame(), {'label'})
