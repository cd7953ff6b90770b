# SPDX-License-Identifier: Apache-2.0
"""The networks that the benchmark makes: the textbook's and the small one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from seg_ros.commands.bench.networks import write_small_engine, write_textbook_network
from seg_ros.core.errors import EngineError
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
from test.tiny_onnx import network, seeded_images, write_engine


def test_the_textbook_network_gives_the_labels_of_the_engine(tmp_path: Path) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    textbook = write_textbook_network(engine, tmp_path)
    session = onnxruntime.InferenceSession(textbook.onnx_path)
    assert [row.name for row in session.get_inputs()] != ['image']
    images = seeded_images(3)
    for image in images:
        normalised = (image.astype(np.float32) / 255.0 - textbook.mean) / textbook.std
        tensor = normalised.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
        (scores,) = session.run(None, {session.get_inputs()[0].name: tensor})
        assert scores.shape == (1, 5, 32, 64)
        labels = create_backend('onnxruntime', engine).backend.infer(image[np.newaxis]).labels
        assert (scores[0].argmax(axis=0) == labels[0]).mean() > 0.999


def test_an_engine_that_does_not_begin_or_end_as_expected_is_refused(tmp_path: Path) -> None:
    model = network()
    next(node for node in model.graph.node if node.op_type == 'Mul').op_type = 'Pow'
    engine = load_engine(write_engine(tmp_path / 'strange', model))
    with pytest.raises(EngineError, match=r"goes into \['Pow'\]"):
        write_textbook_network(engine, tmp_path)

    model = network()
    model.graph.node.append(onnx.helper.make_node('Mul', ['label_', 'one'], ['label']))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(1, np.uint8), 'one'))
    next(row for row in model.graph.node if row.output == ['label']).output[0] = 'label_'
    engine = load_engine(write_engine(tmp_path / 'odd', model))
    with pytest.raises(EngineError, match='not made by ArgMax'):
        write_textbook_network(engine, tmp_path)


def test_the_small_engine_tells_bright_from_dark(tmp_path: Path) -> None:
    engine = load_engine(write_small_engine(tmp_path / 'small'))
    backend = create_backend('onnxruntime', engine).backend
    width, height = engine.network_size_wh
    image = np.zeros((1, height, width, 3), np.uint8)
    image[:, :, width // 2 :] = 255
    labels = backend.infer(image).labels[0]
    assert not labels[:, : width // 2 - 8].any()
    assert labels[:, width // 2 + 8 :].all()
