# SPDX-License-Identifier: Apache-2.0
"""Every network is compiled by the real builder of TensorRT for RTX, on the CPU."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from seg_ros.core.errors import BackendUnavailable, ConfigurationError, EngineError
from seg_ros.inference.cuda.gpu import find_gpu
from seg_ros.inference.cuda.recording_memory import RecordingMemory
from seg_ros.inference.engine import Engine, find_engines, load_engine
from seg_ros.inference.onnx.half_precision import half_precision
from seg_ros.inference.tensorrt import plan_build
from seg_ros.inference.tensorrt.api import TensorrtApi
from seg_ros.inference.tensorrt.plan_build import (
    BuildCancelled,
    BuildOptions,
    BuildStep,
    _optimisation_profile,
    build_plan,
    network_of_plan,
)
from seg_ros.inference.tensorrt.plan_runner import PlanRunner
from test.inference.tensorrt.compile_rtx import TARGETS, compile_rtx, rtx_api
from test.paths import REPOSITORY
from test.tiny_onnx import network, seeded_images, write_engine

SHIPPED = find_engines([REPOSITORY / 'engines'])


@pytest.fixture(scope='module')
def api() -> TensorrtApi:
    return rtx_api()


@pytest.fixture(scope='module')
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    made = network()
    for index, node in enumerate(made.graph.node):
        node.name = f'{node.op_type}_{index}'  # the quantiser leaves nodes out by name
    return with_int8(write_engine(tmp_path_factory.mktemp('engines') / 'tiny', made))


def with_int8(folder: Path) -> Engine:
    """Quantises an engine as training does: symmetric s8/s8, no quantised bias."""
    quantization = pytest.importorskip('onnxruntime.quantization')
    images = iter([{'image': image[np.newaxis]} for image in seeded_images(2)])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def get_next(self) -> dict[str, Any] | None:
            return next(images, None)

    quantization.quantize_static(
        folder / 'model.onnx',
        folder / 'model.int8.onnx',
        Reader(),
        op_types_to_quantize=['Conv'],
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        extra_options={
            'ActivationSymmetric': True,
            'WeightSymmetric': True,
            'QuantizeBias': False,
        },
    )
    return load_engine(folder)


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
@pytest.mark.parametrize('name', SHIPPED or ['none'])
def test_every_shipped_engine_builds(name: str, precision: str) -> None:
    if name not in SHIPPED:
        pytest.skip('engines/ holds no engine')
    engine = load_engine(SHIPPED[name])
    if precision == 'int8' and engine.int8_path is None:
        pytest.skip(f'{name} has no model.int8.onnx')
    compile_rtx(engine, precision)


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
@pytest.mark.parametrize('targets', [('sm_86',), ('sm_89',), TARGETS], ids=','.join)
def test_a_network_builds_in_every_precision_for_every_target(
    targets: tuple[str, ...], precision: str, api: TensorrtApi, engine: Engine
) -> None:
    plan = build_plan(api, engine, BuildOptions(precision, 2, targets))
    assert plan.data[:4] == b'vtrt'
    assert plan.report.layers == sum(plan.report.by_kind.values()) > 20
    assert plan.report.engine
    names = ' '.join(plan.report.engine)
    assert all(name in names for name in ('image', 'label', 'confidence', 'health'))
    assert 'logits' not in names.split('->')[-1]  # nobody downloads them


@pytest.mark.parametrize('half', ['weights', 'all'])
@pytest.mark.parametrize('batch', ['N', 1])
def test_networks_that_hold_halves_build_too(
    half: str, batch: str | int, api: TensorrtApi, tmp_path: Path
) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny', network(half=half, batch=batch)))
    for precision in ('fp32', 'fp16'):
        assert build_plan(api, engine, BuildOptions(precision, targets=TARGETS)).data


def test_the_graph_itself_says_its_precision(api: TensorrtApi, engine: Engine) -> None:
    types = {
        precision: build_plan(api, engine, BuildOptions(precision, targets=TARGETS)).report.by_type
        for precision in ('fp32', 'fp16', 'int8')
    }
    assert 'half' not in types['fp32']
    assert types['fp16']['half'] >= 10
    assert types['int8']['int8'] >= 2


def test_with_several_cameras_kernels_are_chosen_for_the_full_batch(engine: Engine) -> None:
    asked: list[Any] = []
    profile = SimpleNamespace(set_shape=lambda *shapes: asked.append(shapes))
    builder = SimpleNamespace(create_optimization_profile=lambda: profile)
    assert _optimisation_profile(builder, engine, 4) is profile
    width, height = engine.network_size_wh
    one, all_four = (1, height, width, 3), (4, height, width, 3)
    assert asked == [('image', one, all_four, all_four)]


def test_a_profile_and_a_bound_of_scratch_memory_are_given_where_they_are_asked_for(
    api: TensorrtApi, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image at a time needs no profile: its shape is fixed."""
    bounds: list[int] = []
    profiles: list[int] = []
    made = plan_build._optimisation_profile

    def profile(builder: Any, engine: Engine, most: int) -> Any:
        profiles.append(most)
        return made(builder, engine, most)

    monkeypatch.setattr(plan_build, '_optimisation_profile', profile)
    monkeypatch.setattr(api, 'set_workspace', lambda _, size: bounds.append(size))
    build_plan(api, engine, BuildOptions('fp32', 1, TARGETS))
    assert (bounds, profiles) == ([], [])
    build_plan(api, engine, BuildOptions('fp32', 2, TARGETS), workspace_bytes=1 << 20)
    assert (bounds, profiles) == ([1 << 20], [2])


def test_progress_grows_to_its_end_and_names_what_is_done(
    api: TensorrtApi, engine: Engine
) -> None:
    steps: list[BuildStep] = []
    build_plan(
        api,
        engine,
        BuildOptions('fp16', targets=TARGETS),
        progress=lambda step: steps.append(step) or True,  # type: ignore[func-returns-value]
    )
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] == 1.0
    assert len(set(shares)) > 20
    assert {'Building engine', 'Optimizing graph'} <= {step.phase for step in steps}


def test_a_build_can_be_cancelled_and_the_builder_goes_on(
    api: TensorrtApi, engine: Engine
) -> None:
    options = BuildOptions('fp16', targets=TARGETS)
    with pytest.raises(BuildCancelled, match="'tiny' was cancelled"):
        build_plan(api, engine, options, progress=lambda step: step.share < 0.3)
    assert build_plan(api, engine, options).data


@pytest.mark.parametrize(
    ('target', 'why'),
    [
        ('sm_87', r'does not build for sm_87. It builds for sm_75, .*a Jetson \(sm_87\) .*itself'),
        ('sm_90', 'does not build for sm_90'),
    ],
)
def test_a_target_that_the_builder_does_not_know_is_refused(
    target: str, why: str, api: TensorrtApi, engine: Engine
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        build_plan(api, engine, BuildOptions('fp16', targets=('sm_86', target)))


def test_full_tensorrt_builds_for_its_own_gpu_only(api: TensorrtApi) -> None:
    full = TensorrtApi(api.module, 'tensorrt')
    with pytest.raises(ConfigurationError, match=r'--for sm_86 was asked, but .*runs on only'):
        full.check_targets(('sm_86',))


@pytest.mark.parametrize(
    ('changes', 'why'),
    [
        ({'precision': 'fp8'}, "no plan in precision 'fp8'. Choose one of fp16, fp32, int8"),
        ({'max_batch': 0}, 'max_batch is 0; it must be from 1 to 64'),
        ({'max_batch': 65}, 'max_batch is 65'),
    ],
)
def test_options_that_cannot_be_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        BuildOptions(**changes)


def test_a_network_for_one_image_takes_no_batch(api: TensorrtApi, tmp_path: Path) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny', network(batch=1)))
    with pytest.raises(ConfigurationError, match=r'exported for 1 image at a time.*max_batch 4'):
        build_plan(api, engine, BuildOptions('fp32', 4, TARGETS))


def test_int8_without_its_file_says_how_to_make_it(tmp_path: Path) -> None:
    engine = load_engine(write_engine(tmp_path / 'tiny'))
    with pytest.raises(EngineError, match=r'no model.int8.onnx in .*training.quantize'):
        network_of_plan(engine, BuildOptions('int8'))


def test_a_network_that_tensorrt_does_not_take_is_refused_with_its_words(
    api: TensorrtApi, tmp_path: Path
) -> None:
    made = network()
    node = next(row for row in made.graph.node if row.op_type == 'Relu')
    node.op_type, node.domain = 'Telepathy', 'nowhere'
    made.opset_import.append(helper.make_opsetid('nowhere', 1))
    engine = load_engine(write_engine(tmp_path / 'tiny', made))
    with pytest.raises(EngineError, match=r"does not take engine 'tiny' in fp32: .*Telepathy"):
        build_plan(api, engine, BuildOptions('fp32', targets=TARGETS))


@pytest.mark.parametrize(
    ('damage', 'why'),
    [
        (lambda _: b'', ''),
        (lambda plan: b'ftrt' + plan[4:], 'magicTag'),
        (lambda _: bytes(4096), 'magicTag'),
        (lambda plan: plan[:-100], 'blobSize'),
        (lambda plan: plan, 'cudaError|CUDA'),  # whole, but this machine has no GPU
    ],
    ids=['empty', 'of another tool', 'zeros', 'truncated', 'without a GPU'],
)
def test_the_real_runtime_refuses_a_plan_with_its_words_and_does_not_crash(
    damage: Any, why: str, api: TensorrtApi, engine: Engine
) -> None:
    if why.startswith('cuda'):
        try:
            find_gpu()
        except BackendUnavailable:
            pass
        else:
            pytest.skip('this machine has a GPU; make gpu-check looks at it')
    plan = damage(build_plan(api, engine, BuildOptions('fp16', targets=TARGETS)).data)
    memory = RecordingMemory()
    with pytest.raises(EngineError, match=rf'{api.title} refuses the plan: .*({why})'):
        PlanRunner(api, memory, plan, engine.network_size_wh)
    assert memory.open_count == 0


def labels_of(model: bytes, images: Any) -> Any:
    return onnxruntime.InferenceSession(model).run(['label'], {'image': images})[0]


@pytest.mark.parametrize('name', SHIPPED or ['none'])
def test_every_shipped_engine_keeps_its_labels_in_half_precision(name: str) -> None:
    if name not in SHIPPED:
        pytest.skip('engines/ holds no engine')
    engine = load_engine(SHIPPED[name])
    images = seeded_images(1, engine.network_size_wh)
    model = engine.onnx_path.read_bytes()
    made = half_precision(model, name)
    assert (labels_of(model, images) == labels_of(made, images)).mean() >= 0.995


@pytest.mark.parametrize('half', ['', 'weights', 'all'])
def test_half_precision_keeps_the_labels_and_half_the_size(half: str) -> None:
    made = network(half=half)
    halved = half_precision(made.SerializeToString(), 'tiny')
    model = onnx.load_from_string(halved)
    onnx.checker.check_model(model, full_check=True)
    images = seeded_images(2)
    assert (labels_of(made.SerializeToString(), images) == labels_of(halved, images)).all()
    other = network(seed=7).SerializeToString()
    assert (labels_of(other, images) == labels_of(halved, images)).mean() < 0.9  # control
    large = [row.data_type for row in model.graph.initializer if np.prod(row.dims) > 100]
    assert set(large) == {TensorProto.FLOAT16}


def test_sizes_inside_the_network_stay_float_in_half_precision() -> None:
    """A Resize before the logits takes its scales as float32, by definition."""
    made = network()
    nodes = made.graph.node
    relu = next(node for node in nodes if node.op_type == 'Relu')
    relu.output[0] = 'before'
    position = list(nodes).index(relu) + 1
    scales = helper.make_tensor('s', TensorProto.FLOAT, [4], [1, 1, 1, 1])
    nodes.insert(position, helper.make_node('Resize', ['before', '', 'twice'], ['r1']))
    nodes.insert(position, helper.make_node('Mul', ['ones', 'ones'], ['twice']))
    nodes.insert(position, helper.make_node('Constant', [], ['ones'], value=scales))
    halved = half_precision(made.SerializeToString(), 'tiny')
    onnx.checker.check_model(onnx.load_from_string(halved), full_check=True)
    images = seeded_images()
    assert (labels_of(made.SerializeToString(), images) == labels_of(halved, images)).all()


def test_a_quantised_network_is_not_halved(engine: Engine) -> None:
    assert engine.int8_path is not None
    with pytest.raises(EngineError, match=r'quantised already. Take precision int8'):
        half_precision(engine.int8_path.read_bytes(), 'tiny')


def test_a_network_with_branches_is_not_halved() -> None:
    made = network()
    out = helper.make_tensor_value_info('o', TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node('Identity', ['c1'], ['o'])], 'b', [], [out])
    relu = next(node for node in made.graph.node if node.op_type == 'Relu')
    relu.CopyFrom(
        helper.make_node('If', ['which'], ['r1'], then_branch=branch, else_branch=branch)
    )
    with pytest.raises(EngineError, match=r"operator 'If', which holds a graph.*precision fp32"):
        half_precision(made.SerializeToString(), 'tiny')
