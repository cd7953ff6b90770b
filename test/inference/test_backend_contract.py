# SPDX-License-Identifier: Apache-2.0
"""One contract for every row of the registry; see ``seg_ros.inference.base``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from seg_ros.core.errors import BackendError
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import BACKENDS, create_backend, probe_backends
from seg_ros.inference.tensorrt.backend import plan_precision
from seg_ros.inference.tensorrt.plan_build import BuildOptions
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tensorrt.plan_maker import build_stack, make_plan
from test.tiny_onnx import SIZE_WH, network, seeded_images, write_engine

WHY_NOT = {row.name: row.detail for row in probe_backends() if not row.available}


class Variant(NamedTuple):
    """A backend as it is tested.

    Attributes:
        name: Its row in the registry.
        precision: What it is asked for.
        least_agreement: Share of the pixels whose label must be that of the graph; the others
            lie where two scores are within what the precision can tell apart.
        most_levels: By how many of 255 levels a confidence may differ.
    """

    name: str
    precision: str
    least_agreement: float
    most_levels: int


EXACT = [
    Variant('onnxruntime', 'fp32', 1.0, 1),
    Variant('openvino', 'fp32', 1.0, 1),
]
ROUGH = [Variant('openvino', 'bf16', 0.99, 4), Variant('tensorrt', 'fp16', 0.995, 4)]
WITHOUT_NETWORK = {'canned'}


def made(name: str, engine: Engine, precision: str = 'auto') -> InferenceBackend:
    if name in WHY_NOT:
        pytest.skip(WHY_NOT[name])
    if name == 'tensorrt':  # its plan must be there before it
        options = BuildOptions(plan_precision(precision))
        make_plan(build_stack(), engine, options, PlanCache())
    try:
        return create_backend(name, engine, threads=1, precision=precision).backend
    except BackendError as error:
        if precision != 'bf16':
            raise
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SEG_ROS_CACHE', str(tmp_path / 'plans'))


@pytest.fixture(scope='module')
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load_engine(write_engine(tmp_path_factory.mktemp('engines') / 'tiny'))


@pytest.fixture(params=BACKENDS)
def backend(
    request: pytest.FixtureRequest, engine: Engine, plans: None
) -> Iterator[InferenceBackend]:
    made_backend = made(request.param, engine)
    yield made_backend
    made_backend.close()


def in_graph(engine: Engine, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Returns all that the deployment graph itself computes."""
    session = onnxruntime.InferenceSession(engine.onnx_path, providers=['CPUExecutionProvider'])
    names = [row.name for row in session.get_outputs()]
    return dict(zip(names, session.run(names, {'image': images}), strict=True))


def test_every_backend_but_the_fake_is_compared_with_the_graph() -> None:
    assert {row.name for row in (*EXACT, *ROUGH)} == set(BACKENDS) - WITHOUT_NETWORK


@pytest.mark.parametrize('half', ['', 'weights', 'all'])
@pytest.mark.parametrize(
    'variant', [*EXACT, *ROUGH], ids=lambda row: f'{row.name}-{row.precision}'
)
def test_labels_and_confidence_are_those_of_the_graph(
    variant: Variant, half: str, tmp_path: Path
) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny', network(half=half)))
    images = seeded_images(3)
    expected = in_graph(engine, images)
    assert len(np.unique(expected['label'])) == 5  # the comparison means something

    backend = made(variant.name, engine, variant.precision)
    result = backend.infer(images, with_confidence=True)
    backend.close()
    assert result.confidence is not None
    assert (result.labels == expected['label']).mean() >= variant.least_agreement
    difference = result.confidence.astype(int) - expected['confidence']
    assert np.abs(difference).max() <= variant.most_levels


def test_another_network_gives_other_labels(engine: Engine, tmp_path: Path) -> None:
    """The negative control of the comparison above."""
    other = load_engine(write_engine(tmp_path / 'other', network(seed=7)))
    images = seeded_images(3)
    labels = [made('onnxruntime', row).infer(images).labels.copy() for row in (engine, other)]
    assert (labels[0] == labels[1]).mean() < 0.9


@pytest.mark.parametrize('count', [1, 2, 3])
def test_a_batch_gives_one_label_image_for_each_image(
    backend: InferenceBackend, count: int
) -> None:
    images = seeded_images(count)
    result = backend.infer(images, with_confidence=True)
    assert result.confidence is not None
    for array in (result.labels, result.confidence):
        assert array.dtype == np.uint8
        assert array.shape == (count, SIZE_WH[1], SIZE_WH[0])
    one_by_one = [backend.infer(images[i : i + 1]).labels.copy() for i in range(count)]
    together, expected = backend.infer(images).labels, np.concatenate(one_by_one)
    assert (together.shape, together.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(together, expected)


def test_the_batch_size_may_change_from_call_to_call(backend: InferenceBackend) -> None:
    images = seeded_images(3)
    alone = backend.infer(images[:1]).labels.copy()
    np.testing.assert_array_equal(backend.infer(images).labels[:1], alone)
    np.testing.assert_array_equal(backend.infer(images[:1]).labels, alone)


def test_confidence_is_made_only_when_asked_for(backend: InferenceBackend) -> None:
    assert backend.infer(seeded_images()).confidence is None
    assert backend.infer(seeded_images(), with_confidence=True).confidence is not None


def test_images_may_be_views_with_any_strides(backend: InferenceBackend) -> None:
    images = seeded_images()
    expected = backend.infer(images).labels.copy()
    padded = np.zeros((1, SIZE_WH[1], SIZE_WH[0] + 8, 3), np.uint8)
    padded[:, :, : SIZE_WH[0]] = images
    bgr = np.ascontiguousarray(images[..., ::-1])
    for view in (padded[:, :, : SIZE_WH[0]], bgr[..., ::-1]):
        np.testing.assert_array_equal(backend.infer(view).labels, expected)


def test_images_are_not_written_to(backend: InferenceBackend) -> None:
    images = seeded_images()
    images.flags.writeable = False
    backend.infer(images, with_confidence=True)


@pytest.mark.parametrize(
    ('images', 'came'),
    [
        (np.zeros((1, 3, 32, 64), np.uint8), r'uint8 \(1, 3, 32, 64\)'),
        (np.zeros((32, 64, 3), np.uint8), r'uint8 \(32, 64, 3\)'),
        (np.zeros((0, 32, 64, 3), np.uint8), r'uint8 \(0, 32, 64, 3\)'),
        (np.zeros((1, 64, 32, 3), np.uint8), r'uint8 \(1, 64, 32, 3\)'),
        (np.zeros((1, 32, 64, 3), np.float32), r'float32 \(1, 32, 64, 3\)'),
        ([[1, 2, 3]], 'list'),
    ],
)
def test_other_images_are_refused_with_what_came_and_what_was_expected(
    backend: InferenceBackend, images: Any, came: str
) -> None:
    with pytest.raises(BackendError, match=rf"'tiny' takes.*uint8 \(N, 32, 64, 3\).*{came}"):
        backend.infer(images)
    backend.infer(seeded_images())  # a refused image harms nothing


def test_a_backend_closes_twice_and_then_says_that_it_is_closed(
    backend: InferenceBackend,
) -> None:
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match=f"'{backend.name}' of engine 'tiny' is closed"):
        backend.infer(seeded_images())


def test_a_backend_says_what_it_is(backend: InferenceBackend, engine: Engine) -> None:
    assert backend.name in BACKENDS
    assert backend.detail
    assert backend.engine is engine
