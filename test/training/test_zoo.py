"""The architectures of training/models in the node's own environment."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from seg_ros.core.encodings import decode_raw
from seg_ros.core.timing import StageTimer
from seg_ros.core.types import Frame
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.pipeline import PipelineOptions, SegmentationPipeline
from test.training.training_python import needs_training, run_training
from test.training.zoo import IMAGES, KINDS, LABELS

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
    ticks = itertools.count()
    result = SegmentationPipeline(backend).process(
        Frame('front', 7, 'front_optical', image),
        ['label'],
        PipelineOptions(),
        StageTimer(lambda: next(ticks)),
    )
    assert (result.label == np.load(zoo / kind / LABELS)[0]).mean() >= 0.999
