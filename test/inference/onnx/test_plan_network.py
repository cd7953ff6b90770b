# SPDX-License-Identifier: Apache-2.0
"""The network of a plan computes what the deployment graph does, in a way that TensorRT likes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from seg_ros.inference.engine import find_engines, load_engine
from seg_ros.inference.onnx.plan_network import plan_network
from seg_ros.inference.reference import check_images
from test.paths import REPOSITORY
from test.tiny_onnx import network, seeded_images

SHIPPED = find_engines([REPOSITORY / 'engines'])
LARGEST_HALF = 65504.0


def run(model: bytes, images: Any, *names: str) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options)
    return list(session.run(list(names), {'image': images}))


def graph_of(made: bytes) -> Any:
    model = onnx.load_from_string(made)
    onnx.checker.check_model(model, full_check=True)
    return model.graph


def operators(made: bytes) -> Counter[str]:
    return Counter(node.op_type for node in graph_of(made).node)


@pytest.mark.parametrize('half', ['', 'weights', 'all'])
@pytest.mark.parametrize('batch', ['N', 1])
def test_labels_and_confidence_are_those_of_the_deployment_graph(
    batch: str | int, half: str
) -> None:
    data = network(half=half, batch=batch).SerializeToString()
    images = seeded_images(1 if batch == 1 else 3)
    made = plan_network(data, 'tiny', 'fp32', one_image=batch == 1)
    for name in ('label', 'confidence'):
        np.testing.assert_array_equal(run(made, images, name), run(data, images, name))
    assert [row.name for row in graph_of(made).output] == ['label', 'confidence', 'health']


@pytest.mark.parametrize('name', SHIPPED or ['none'])
def test_of_every_shipped_engine_too(name: str) -> None:
    if name not in SHIPPED:
        pytest.skip('engines/ holds no engine')
    engine = load_engine(SHIPPED[name])
    images = check_images(engine.network_size_wh, 1)
    data = engine.onnx_path.read_bytes()
    for precision, least in (('fp32', 1.0), ('fp16', 0.995)):
        made = plan_network(data, name, precision, one_image=True)
        expected, found = run(data, images, 'label')[0], run(made, images, 'label')[0]
        assert (expected == found).mean() >= least
        assert 'ArgMax' not in operators(made)


def test_the_first_of_equal_classes_wins_as_with_an_arg_max() -> None:
    made = network()
    for row in made.graph.initializer:
        if row.name == 'w2':  # every class the same score
            equal = np.repeat(numpy_helper.to_array(row)[:1], row.dims[0], axis=0)
            row.CopyFrom(numpy_helper.from_array(equal, 'w2'))
    data = made.SerializeToString()
    plan = plan_network(data, 'tiny', 'fp32', one_image=True)
    assert operators(plan)['ArgMax'] == operators(plan)['TopK'] == 0
    assert (run(plan, seeded_images(), 'label')[0] == run(data, seeded_images(), 'label')[0]).all()
    assert not run(plan, seeded_images(), 'label')[0].any()


def test_only_floats_are_cast_to_bytes() -> None:
    """TensorRT 10.3, NvInfer.h: kUINT8 is cast from and to kFLOAT and kHALF only."""
    graph = graph_of(plan_network(network().SerializeToString(), 'tiny', 'fp32', one_image=True))
    model = onnx.helper.make_model(graph)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    types = {row.name: row.type.tensor_type.elem_type for row in inferred.value_info}
    sources = [
        types[node.input[0]]
        for node in graph.node
        if node.op_type == 'Cast' and node.attribute[0].i == TensorProto.UINT8
    ]
    assert sources == [TensorProto.FLOAT] * 2


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_weights_that_are_stored_as_halves_are_constants(precision: str) -> None:
    """Else TensorRT takes a convolution for a dynamic one."""
    data = network(half='weights').SerializeToString()
    graph = graph_of(plan_network(data, 'tiny', precision, one_image=True))
    constants = {row.name for row in graph.initializer}
    kernels = [node.input[1] for node in graph.node if node.op_type == 'Conv']
    assert kernels
    assert set(kernels) <= constants
    read = {name for node in graph.node for name in node.input}
    assert constants <= read  # nothing is carried along for nobody


def test_for_one_image_at_a_time_its_shape_is_fixed() -> None:
    data = network().SerializeToString()
    for one_image, expected in ((True, 1), (False, 0)):
        graph = graph_of(plan_network(data, 'tiny', 'fp32', one_image=one_image))
        assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == expected


def test_health_is_finite_in_halves_where_the_sum_of_the_scores_is_not() -> None:
    """A sum of scores is −2·10⁵ to −6·10⁵ per image; a half ends at 65 504."""
    rows, columns = 360, 640
    data = network((columns, rows)).SerializeToString()
    graph = graph_of(plan_network(data, 'tiny', 'fp32', one_image=True))
    reduce = next(node for node in graph.node if node.output[0] == 'health')
    scale = next(node for node in graph.node if node.output[0] == reduce.input[0])
    share = next(
        float(numpy_helper.to_array(row)) for row in graph.initializer if row.name in scale.input
    )
    scores = np.full((5, rows // 4, columns // 4), -8.0, np.float16)
    with np.errstate(over='ignore'):
        assert np.isinf(scores.sum(dtype=np.float16))  # the negative control
    scaled = scores * np.float16(share)
    assert -8.0 <= scaled.sum(dtype=np.float16) < 0.0


@pytest.mark.parametrize('wrong', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_health_is_no_number_where_one_score_is_none(precision: str, wrong: float) -> None:
    made = network()
    for row in made.graph.initializer:
        if row.name == 'w2':
            broken = numpy_helper.to_array(row).copy()
            broken[0, 0, 0, 0] = wrong
            row.CopyFrom(numpy_helper.from_array(broken, 'w2'))
    data = made.SerializeToString()
    if precision == 'fp16' and np.isinf(wrong):  # which clips its weights, and so mends it
        return
    health = run(plan_network(data, 'tiny', precision, one_image=True), seeded_images(), 'health')
    assert not np.isfinite(health[0]).any()
    good = plan_network(network().SerializeToString(), 'tiny', precision, one_image=True)
    assert np.isfinite(run(good, seeded_images(), 'health')[0]).all()


QUANTISED = [name for name in SHIPPED if (SHIPPED[name] / 'model.int8.onnx').is_file()]


@pytest.mark.parametrize('name', QUANTISED or ['none'])
def test_only_weighted_layers_read_what_is_quantised(name: str) -> None:
    """A pair between a convolution and its activation keeps the two from being one kernel."""
    if name not in QUANTISED:
        pytest.skip('no engine has a model.int8.onnx')
    data = (SHIPPED[name] / 'model.int8.onnx').read_bytes()
    graph = graph_of(plan_network(data, name, 'int8', one_image=True))
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    readers = {
        node.op_type
        for node in graph.node
        if any(made_by.get(name) == 'DequantizeLinear' for name in node.input)
    }
    assert readers == {'Conv'}
    # Each is read: none is left over from where another layer read it
    read = {name for node in graph.node for name in node.input}
    narrow = [node.output[0] for node in graph.node if node.op_type == 'QuantizeLinear']
    assert set(narrow) <= read
    assert len(narrow) > 20


def test_a_graph_without_an_arg_max_over_classes_keeps_what_it_has(tmp_path: Path) -> None:
    made = network()
    node = next(row for row in made.graph.node if row.op_type == 'ArgMax')
    node.attribute.append(helper.make_attribute('select_last_index', 1))
    data = made.SerializeToString()
    plan = plan_network(data, 'tiny', 'fp32', one_image=True)
    assert operators(plan)['ArgMax'] == 1
    assert (run(plan, seeded_images(), 'label')[0] == run(data, seeded_images(), 'label')[0]).all()
