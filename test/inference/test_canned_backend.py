# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from seg_ros.core.errors import BackendError
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import create_backend
from test.tiny_onnx import CLASSES, SIZE_WH, seeded_images, write_engine

SHAPE_HW = (SIZE_WH[1], SIZE_WH[0])


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


def test_an_image_in_the_colours_of_the_classes_comes_out_as_their_labels(engine: Engine) -> None:
    backend = create_backend('canned', engine).backend
    labels = np.random.default_rng(0).integers(0, CLASSES, (2, *SHAPE_HW)).astype(np.uint8)
    images = engine.label_map.colour_lut_rgb()[labels, 0]
    np.testing.assert_array_equal(backend.infer(images).labels, labels)


def test_a_colour_that_a_camera_has_changed_goes_to_the_nearest_class(engine: Engine) -> None:
    labels = np.full((1, *SHAPE_HW), 3, np.uint8)
    images = engine.label_map.colour_lut_rgb()[labels, 0] + np.uint8(6)
    np.testing.assert_array_equal(CannedBackend(engine).infer(images).labels, labels)


def test_given_label_images_come_out_in_turn(engine: Engine) -> None:
    given = [np.full(SHAPE_HW, value, np.uint8) for value in (4, 255)]
    backend = CannedBackend(engine, labels=given)
    images = seeded_images()
    assert [backend.infer(images).labels[0, 0, 0] for _ in range(3)] == [4, 255, 4]
    assert backend.calls == 3


def test_a_function_of_the_images_comes_out(engine: Engine) -> None:
    backend = CannedBackend(engine, labels=lambda images: images[..., 0] // 64)
    images = seeded_images(2)
    np.testing.assert_array_equal(backend.infer(images).labels, images[..., 0] // 64)


def test_its_confidence_can_be_set(engine: Engine) -> None:
    backend = CannedBackend(engine)
    backend.confidence = 40
    result = backend.infer(seeded_images(), with_confidence=True)
    assert result.confidence is not None
    assert np.unique(result.confidence).tolist() == [40]


def test_it_fails_on_command_until_it_recovers(engine: Engine) -> None:
    backend = CannedBackend(engine)
    backend.fail('the cable is out')
    for _ in range(2):
        with pytest.raises(BackendError, match='fails on command: the cable is out'):
            backend.infer(seeded_images())
    backend.recover()
    backend.infer(seeded_images())


def test_it_takes_the_time_that_it_is_told(engine: Engine) -> None:
    backend = CannedBackend(engine)
    backend.delay_s = 0.05
    start = time.monotonic()
    backend.infer(seeded_images())
    assert time.monotonic() - start >= 0.05


def hanging(backend: CannedBackend) -> tuple[threading.Thread, list[str]]:
    """Starts an inference that hangs; its outcome will be in the list."""
    outcome: list[str] = []

    def infer() -> None:
        try:
            backend.infer(seeded_images())
            outcome.append('labels')
        except BackendError as error:
            outcome.append(str(error))

    backend.hang()
    thread = threading.Thread(target=infer)
    thread.start()
    while backend.calls == 0:
        time.sleep(0.001)
    return thread, outcome


def test_it_hangs_on_command_until_it_recovers(engine: Engine) -> None:
    backend = CannedBackend(engine)
    thread, outcome = hanging(backend)
    thread.join(0.05)
    assert thread.is_alive()
    assert outcome == []
    backend.recover()
    thread.join(10.0)
    assert outcome == ['labels']


def test_closing_it_ends_a_hanging_inference(engine: Engine) -> None:
    backend = CannedBackend(engine)
    thread, outcome = hanging(backend)
    backend.close()
    thread.join(10.0)
    assert 'is closed' in outcome[0]
