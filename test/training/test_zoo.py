# SPDX-License-Identifier: Apache-2.0
"""The architectures of training/models in the node's own environment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seg_ros.core.image.camera_image import Frame
from seg_ros.core.image.decoding import decode_raw
from seg_ros.inference.engine import load_engine
from seg_ros.inference.onnx.network_size import resized
from seg_ros.inference.reference import check_images, reference_labels
from seg_ros.inference.registry import create_backend
from seg_ros.perception import Perception
from test.inference.tensorrt.compile_rtx import compile_rtx
from test.through_perception import processed
from test.training.training_python import needs_training, run_training
from test.training.zoo import IMAGES, KINDS, LABELS, OTHER, OTHER_SIZE_WH, SIZE_WH

pytestmark = needs_training


@pytest.fixture(scope='module')
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('zoo')
    run_training('test.training.zoo', folder, folder=folder)
    return folder


@pytest.mark.parametrize('backend_name', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize('kind', KINDS)
def test_the_backends_of_the_node_give_the_labels_of_torch(
    zoo: Path, kind: str, backend_name: str
) -> None:
    engine = load_engine(zoo / kind)
    backend = create_backend(backend_name, engine, threads=1, precision='fp32').backend
    labels = backend.infer(np.load(zoo / kind / IMAGES)).labels
    assert (labels == np.load(zoo / kind / LABELS)).mean() >= 0.999


@pytest.mark.parametrize('kind', KINDS)
def test_a_frame_leaves_the_pipeline_with_the_labels_of_torch(zoo: Path, kind: str) -> None:
    backend = create_backend('onnxruntime', load_engine(zoo / kind), threads=1).backend
    pixels = np.load(zoo / kind / IMAGES)[0]
    height, width = pixels.shape[:2]
    image = decode_raw(
        pixels.tobytes(), width=width, height=height, step=3 * width, encoding='rgb8',
        is_bigendian=False,
    )  # fmt: skip
    frame = Frame('front', 7, 'front_optical', image)
    result = processed(Perception(backend), frame, ['label'])
    assert (result.label == np.load(zoo / kind / LABELS)[0]).mean() >= 0.999


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
@pytest.mark.parametrize('kind', KINDS)
def test_tensorrt_compiles_it_in_every_precision(zoo: Path, kind: str, precision: str) -> None:
    compile_rtx(load_engine(zoo / kind), precision)


@pytest.mark.parametrize('kind', KINDS)
def test_its_graph_at_another_size_gives_the_labels_of_an_export_at_that_size(
    zoo: Path, kind: str
) -> None:
    exports = {
        size_wh: (zoo / kind / name).read_bytes()
        for size_wh, name in ((SIZE_WH, 'model.onnx'), (OTHER_SIZE_WH, OTHER))
    }
    for old, new in ((SIZE_WH, OTHER_SIZE_WH), (OTHER_SIZE_WH, SIZE_WH)):
        images = check_images(new)
        found = reference_labels(resized(exports[old], new, kind), images)
        assert (found == reference_labels(exports[new], images)).mean() >= 0.9999
