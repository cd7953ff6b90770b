# SPDX-License-Identifier: Apache-2.0
"""A network at another size than its export's says what an export at that size would say."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from seg_ros.core.errors import ConfigurationError, EngineError
from seg_ros.inference.cuda.recording_memory import FAKE_GPU
from seg_ros.inference.engine import find_engines, load_engine
from seg_ros.inference.onnx import wrapping
from seg_ros.inference.onnx.network_size import resized
from seg_ros.inference.reference import check_images
from seg_ros.inference.registry import create_backend
from seg_ros.inference.tensorrt.plan_build import BuildOptions
from seg_ros.inference.tensorrt.plan_key import plan_key
from test.fake_tensorrt import FakeMachine
from test.inference.tensorrt.compile_rtx import compile_rtx
from test.paths import REPOSITORY
from test.tiny_onnx import CLASSES, constant, label_nodes, model, network, write_engine

SHIPPED = find_engines([REPOSITORY / 'engines'])
SIZES = [(64, 32), (72, 40), (104, 56), (136, 96)]  # at stride 16 none, both or one side rounds
NETWORK = np.random.default_rng(0)
WEIGHTS = {
    'w1': NETWORK.normal(0, 0.3, (8, 3, 3, 3)),
    'w2': NETWORK.normal(0, 0.3, (8, 8, 3, 3)),
    'w3': NETWORK.normal(0, 0.3, (8, 16, 3, 3)),
    'w4': NETWORK.normal(0, 0.3, (8, 8, 3, 3)),
    'w5': NETWORK.normal(0, 0.3, (CLASSES, 8, 1, 1)),
}
BORDER = 2


def exported(size_wh: tuple[int, int], pool: int = 0) -> onnx.ModelProto:
    """Returns a network with its sizes written into it, as exporters do.

    Mean of the map by Expand, enlargements with a crop where one is needed, a window that looks
    over the border (Pad and Slice), and an enlargement to a size that a Concat makes.

    Args:
        size_wh: Network size.
        pool: Cells along each side of an adaptive pool; 0 for none.
    """
    width, height = size_wh
    made: list[onnx.NodeProto] = []
    values = {name: row.astype(np.float32) for name, row in WEIGHTS.items()}

    def node(operator: str, *inputs: str, **attributes: Any) -> str:
        name = f'{operator}_{len(made)}'
        made.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def numbers(*row: int) -> str:
        value = helper.make_tensor('', TensorProto.INT64, [len(row)], row)
        return node('Constant', value=value)

    def at(stride: int) -> tuple[int, int]:
        return -(-height // stride), -(-width // stride)

    def conv(x: str, weights: str, stride: int = 1) -> str:
        pads = [WEIGHTS[weights].shape[2] // 2] * 4
        return node('Conv', x, weights, strides=[stride, stride], pads=pads)

    def doubled_and_cropped(x: str, stride: int) -> str:
        x = node('Resize', x, '', 'double', mode='linear')
        for axis, (side, coarse) in enumerate(zip(at(stride), at(stride * 2), strict=True), 2):
            if any(row != 2 * low for row, low in zip(at(stride), at(stride * 2), strict=True)):
                x = node('Slice', x, numbers(0), numbers(side), numbers(axis), numbers(1))
            assert coarse * 2 - side in (0, 1)
        return x

    x = node('Cast', 'image', to=TensorProto.FLOAT)
    x = node('Transpose', node('Mul', x, 'scale'), perm=[0, 3, 1, 2])
    fine = node('Relu', conv(conv(x, 'w1', 2), 'w2', 2))
    deep = node('Relu', conv(conv(fine, 'w2', 2), 'w4', 2))
    if pool:
        window = [side // pool for side in at(16)]
        cells = node('AveragePool', deep, kernel_shape=window, strides=window)
        batch = node('Slice', node('Shape', cells), numbers(0), numbers(2))
        sizes = node('Concat', batch, numbers(*at(16)), axis=0)
        mean = node('Resize', cells, '', '', sizes, mode='linear')
    else:
        # exporters write expand(-1, -1, h, w) like this
        wish, one = numbers(-1, -1, *at(16)), numbers(-1)
        ones = node('ConstantOfShape', numbers(4), value=helper.make_tensor('', 7, [1], [1]))
        shape = node('Where', node('Equal', wish, one), ones, wish)
        mean = node('Expand', node('ReduceMean', deep, axes=[2, 3], keepdims=1), shape)
    deep = conv(node('Concat', deep, mean, axis=1), 'w3')
    middle = node('Relu', conv(doubled_and_cropped(deep, 8), 'w4'))  # a layer behind the crop
    middle = node('Add', middle, conv(fine, 'w2', 2))
    padded = node('Pad', middle, numbers(0, 0, BORDER, BORDER, 0, 0, BORDER, BORDER), mode='edge')
    ends = [1 + side for side in at(8)]
    near = node('Slice', padded, numbers(1, 1), numbers(*ends), numbers(2, 3), numbers(1, 1))
    middle = node('Mul', node('Sigmoid', near), middle)
    batch = node('Slice', node('Shape', middle), numbers(0), numbers(2))
    sizes = node('Concat', batch, numbers(*at(4)), axis=0)
    large = node('Resize', middle, '', '', sizes, mode='linear')
    made.append(helper.make_node('Conv', [node('Add', large, fine), 'w5'], ['logits']))
    values |= {
        'scale': np.array(1 / 255, np.float32),
        'double': np.array([1, 1, 2, 2], np.float32),
        'scales': np.array([1, 1, 4, 4], np.float32),
        'levels': np.array(255.0, np.float32),
    }
    tensors = [constant(name, row) for name, row in values.items()]
    tensors.append(constant('channel_axis', np.array([1], np.int64)))

    def images(name: str, *more: int) -> onnx.ValueInfoProto:
        shape = ['N', height, width, *more]
        return helper.make_tensor_value_info(name, TensorProto.UINT8, shape)

    logits = helper.make_tensor_value_info('logits', TensorProto.FLOAT, ['N', CLASSES, *at(4)])
    outputs = [logits, images('label'), images('confidence')]
    nodes = [*made, *label_nodes()]
    return model(helper.make_graph(nodes, 'many sizes', [images('image', 3)], outputs, tensors))


def outputs_of(data: bytes, images: Any) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options)
    return session.run(['logits', 'label', 'confidence'], {'image': images})  # type: ignore[no-any-return]


@lru_cache
def export(size_wh: tuple[int, int]) -> bytes:
    return exported(size_wh).SerializeToString()


@pytest.mark.parametrize('new', SIZES, ids=str)
@pytest.mark.parametrize('old', SIZES, ids=str)
def test_a_network_at_another_size_says_what_its_export_at_that_size_says(
    old: tuple[int, int], new: tuple[int, int]
) -> None:
    images = check_images(new, 2)
    found = outputs_of(resized(export(old), new, 'it'), images)
    for ours, theirs in zip(found, outputs_of(export(new), images), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(found[1])) > 1


@pytest.mark.parametrize('file', ['model.onnx', 'model.int8.onnx'])
@pytest.mark.parametrize('name', SHIPPED or ['none'])
def test_every_shipped_engine_takes_other_sizes_and_comes_back_the_same(
    name: str, file: str
) -> None:
    if name not in SHIPPED or not (SHIPPED[name] / file).exists():
        pytest.skip(f'there is no {file} of {name}')
    data = (SHIPPED[name] / file).read_bytes()
    size_wh = load_engine(SHIPPED[name]).network_size_wh
    small = resized(data, (320, 184), name)
    assert outputs_of(small, check_images((320, 184), 1))[1].shape == (1, 184, 320)
    images = check_images(size_wh, 1)
    back = resized(resized(small, (512, 256), name), size_wh, name)
    for ours, theirs in zip(outputs_of(back, images), outputs_of(data, images), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_the_backends_of_the_cpu_run_at_the_size_that_is_asked(
    backend: str, tmp_path: Path
) -> None:
    pytest.importorskip(backend)
    folder = write_engine(tmp_path / 'tiny', exported((64, 32)))
    engine = load_engine(folder, network_size='104x56')
    made = create_backend(backend, engine, threads=1, precision='fp32').backend
    images = check_images((104, 56), 1)
    _, label, _ = outputs_of(export((104, 56)), images)
    assert (made.infer(images).labels == label).mean() > 0.99
    made.close()


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_tensorrt_builds_the_size_that_is_asked(precision: str, tmp_path: Path) -> None:
    folder = write_engine(tmp_path / 'tiny', exported((64, 32)))
    plan = compile_rtx(load_engine(folder, network_size='104x56'), precision, 2)
    assert '-1,56,104,3' in ' '.join(plan.report.engine)


def test_a_plan_of_another_size_is_another_plan(tmp_path: Path) -> None:
    folder = write_engine(tmp_path / 'tiny')
    api = FakeMachine().stack.api
    keys = [
        plan_key(load_engine(folder, network_size=size), BuildOptions(), api, FAKE_GPU)
        for size in ('', '64x32', '96x48')
    ]
    assert keys[0] == keys[1]
    assert keys[2].network_size == '96x48'
    assert keys[2].stem != keys[0].stem
    assert not keys[0].serves(keys[2])


def test_a_size_that_the_scores_cannot_cover_is_refused() -> None:
    with pytest.raises(
        EngineError, match=r"cannot run at 66x32: its 'label' would be 68x32; that size would do"
    ):
        resized(export((64, 32)), (66, 32), 'it')


def test_pools_that_divide_the_map_are_refused() -> None:
    """At another size they would not make as many cells as the network was trained with."""
    made = exported((640, 352), pool=2).SerializeToString()
    with pytest.raises(EngineError, match=r"'AveragePool_\d+' is 1x8x2x2 where the image is 352x"):
        resized(made, (320, 192), 'it')


def test_a_crop_of_no_part_of_the_image_is_refused() -> None:
    made = exported((72, 40))
    crop = next(
        row for row in made.graph.node if row.op_type == 'Slice' and 'Resize' in row.input[0]
    )
    size = next(row for row in made.graph.node if row.output[0] == crop.input[2])
    odd_size, odd_crop = made.graph.node.add(), made.graph.node.add()
    odd_size.CopyFrom(size)
    odd_size.output[0] = 'odd_size'
    odd_size.attribute[0].t.int64_data[0] = 4
    odd_crop.CopyFrom(crop)
    odd_crop.input[2], odd_crop.output[0] = 'odd_size', 'odd_crop'
    with pytest.raises(EngineError, match=r'a size of 4 is written into its graph.*part of 40'):
        resized(made.SerializeToString(), (64, 32), 'it')


def test_a_network_with_a_fixed_number_of_positions_is_refused() -> None:
    made = network()
    nodes = made.graph.node
    relu = next(row for row in nodes if row.op_type == 'Relu')
    relu.output[0] = 'before'
    place = list(nodes).index(relu) + 1
    for name, row in (('line', [0, 8, 16 * 32]), ('square', [0, 8, 16, 32])):
        made.graph.initializer.append(constant(name, np.array(row, np.int64)))
    nodes.insert(place, helper.make_node('Reshape', ['tokens', 'square'], ['r1']))
    nodes.insert(place, helper.make_node('Reshape', ['before', 'line'], ['tokens']))
    onnx.checker.check_model(made, full_check=True)
    with pytest.raises(EngineError, match=r'cannot run at 96x48: .*or export the network at'):
        resized(made.SerializeToString(), (96, 48), 'it')


def test_an_operator_of_which_nobody_knows_the_size_is_refused() -> None:
    made = network()
    node = next(row for row in made.graph.node if row.op_type == 'Relu')
    node.op_type, node.domain = 'Telepathy', 'nowhere'
    made.opset_import.append(helper.make_opsetid('nowhere', 1))
    with pytest.raises(EngineError, match="the size of its 'r1' is not known"):
        resized(made.SerializeToString(), (96, 48), 'it')


@pytest.mark.parametrize('text', ['480', '480x', '0x272', 'x', '480x-2', 'large'])
def test_a_size_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"The network size is '{text}'\. Give width"):
        load_engine(write_engine(tmp_path / 'tiny'), network_size=text)


def test_without_the_onnx_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f'No module named {name}')

    monkeypatch.setattr(wrapping, 'import_module', missing)
    engine = load_engine(write_engine(tmp_path / 'tiny'), network_size='96x48')
    with pytest.raises(ConfigurationError, match=r'needs the onnx package.*pip install'):
        create_backend('onnxruntime', engine, threads=1)
    create_backend('onnxruntime', load_engine(tmp_path / 'tiny'), threads=1).backend.close()
