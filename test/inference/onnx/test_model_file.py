# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from seg_ros.inference.onnx.model_file import cut_to_outputs, read_inputs_and_outputs
from test.tiny_onnx import constant, model, network, seeded_images

WHOLE = network().SerializeToString()


def operators(data: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(data).graph.node]


def test_names_types_and_shapes_are_read_and_open_axes_are_none() -> None:
    inputs, outputs = read_inputs_and_outputs(WHOLE)
    assert [str(row) for row in inputs] == ['image: uint8 [?, 32, 64, 3]']
    assert [str(row) for row in outputs] == [
        'logits: float32 [?, 5, 8, 16]',
        'label: uint8 [?, 32, 64]',
        'confidence: uint8 [?, 32, 64]',
    ]
    assert inputs[0].shape == (None, 32, 64, 3)


def test_weights_that_old_exporters_list_as_inputs_are_no_inputs() -> None:
    made = network()
    made.graph.input.append(helper.make_tensor_value_info('w1', TensorProto.FLOAT, [8, 3, 3, 3]))
    inputs, _ = read_inputs_and_outputs(made.SerializeToString())
    assert [row.name for row in inputs] == ['image']


@pytest.mark.parametrize('size', [-1, 0, 3])
def test_an_axis_without_a_usable_length_is_open(size: int) -> None:
    made = network()
    made.graph.output[0].type.tensor_type.shape.dim[2].dim_value = size
    _, outputs = read_inputs_and_outputs(made.SerializeToString())
    assert outputs[0].shape == (None, 5, size if size > 0 else None, 16)


def test_a_cut_model_is_whole_and_computes_only_what_is_left() -> None:
    cut = cut_to_outputs(WHOLE, ['logits'])
    onnx.checker.check_model(onnx.load_from_string(cut))
    assert operators(cut) == ['Cast', 'Sub', 'Mul', 'Transpose', 'Conv', 'Relu', 'Conv', 'Cast']

    images = seeded_images(2)
    whole_session = onnxruntime.InferenceSession(WHOLE)
    cut_session = onnxruntime.InferenceSession(cut)
    (expected,) = whole_session.run(['logits'], {'image': images})
    (logits,) = cut_session.run(None, {'image': images})
    assert (logits == expected).all()


def test_a_cut_keeps_what_only_an_inner_graph_reads() -> None:
    """The branches of an If take their tensors from outside without naming them as inputs."""

    def branch(name: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(f'{name}_out', TensorProto.FLOAT, [2])
        node = helper.make_node('Identity', [name], [f'{name}_out'])
        return helper.make_graph([node], name, [], [out])

    graph = helper.make_graph(
        [
            helper.make_node('Relu', ['x'], ['positive']),
            helper.make_node('Neg', ['x'], ['negative']),
            helper.make_node('Abs', ['x'], ['unused']),
            helper.make_node(
                'If',
                ['which'],
                ['y'],
                then_branch=branch('positive'),
                else_branch=branch('negative'),
            ),
        ],
        'choice',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, [2])],
        [
            helper.make_tensor_value_info('y', TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info('unused', TensorProto.FLOAT, [2]),
        ],
        [constant('which', np.array(True))],
    )
    cut = cut_to_outputs(model(graph).SerializeToString(), ['y'])
    onnx.checker.check_model(onnx.load_from_string(cut))
    assert operators(cut) == ['Relu', 'Neg', 'If']


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, len(WHOLE) - 1))
@example(length=len(WHOLE) - 6)  # between the graph and the operator set, which is all that lacks
def test_a_model_that_ends_too_early_is_never_taken_for_whole(length: int) -> None:
    with pytest.raises(ValueError, match=r'it ends|it announces|no graph'):
        read_inputs_and_outputs(WHOLE[:length])


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_other_bytes_raise_nothing_but_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r'.'):
        read_inputs_and_outputs(data)


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_a_flipped_byte_raises_nothing_but_a_value_error(position: int, value: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[position] = value
    try:
        read_inputs_and_outputs(bytes(damaged))
        cut_to_outputs(bytes(damaged), ['logits'])
    except ValueError:
        pass
