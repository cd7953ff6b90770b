# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto

from seg_ros.core.errors import EngineError
from seg_ros.inference.engine import engine_search_path, find_engines, load_engine
from test.paths import REPOSITORY
from test.tiny_onnx import COLOURS, NAMES, SIZE_WH, network, spec, write_engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_engine(tmp_path / 'tiny')


def class_rows(**changes: Any) -> list[dict[str, Any]]:
    """Returns five right classes, the second of them changed."""
    rows: list[dict[str, Any]] = spec()['classes']
    rows[1] = {key: value for key, value in {**rows[1], **changes}.items() if value is not None}
    return rows


def test_an_engine_tells_what_its_spec_tells(folder: Path) -> None:
    engine = load_engine(folder)
    assert engine.name == 'tiny'
    assert engine.folder == folder
    assert engine.onnx_path == folder / 'model.onnx'
    assert engine.int8_path is None
    assert engine.network_size_wh == SIZE_WH
    assert engine.description == 'A network for tests.'
    assert engine.training == {'data': 'none'}
    assert engine.metrics == {'pixel_accuracy': 0.5}
    assert [row.name for row in engine.label_map.classes] == NAMES
    assert [list(row.colour_rgb) for row in engine.label_map.classes] == COLOURS
    assert engine.label_map.ids_with_role('pedestrian') == (3,)


def test_only_name_size_and_classes_must_be_in_a_spec(tmp_path: Path) -> None:
    folder = write_engine(
        tmp_path / 'bare', description=None, unlabelled=None, training=None, metrics=None
    )
    engine = load_engine(folder)
    assert engine.label_map.unlabelled == 255
    assert engine.training == {}


def test_an_int8_network_beside_the_other_is_found_and_checked(folder: Path) -> None:
    onnx.save(network(), folder / 'model.int8.onnx')
    assert load_engine(folder).int8_path == folder / 'model.int8.onnx'
    assert load_engine(folder).cpu_int8_path is None
    onnx.save(network(), folder / 'model.int8-cpu.onnx')
    assert load_engine(folder).cpu_int8_path == folder / 'model.int8-cpu.onnx'
    onnx.save(network(classes=4), folder / 'model.int8.onnx')
    with pytest.raises(EngineError, match='names 5 classes'):
        load_engine(folder)


def test_an_engine_is_found_by_name_and_the_first_place_wins(tmp_path: Path) -> None:
    places = [tmp_path / 'a', tmp_path / 'b', tmp_path / 'none']
    write_engine(places[0] / 'tiny')
    write_engine(places[1] / 'tiny')
    write_engine(places[1] / 'other')
    (places[1] / 'no-engine').mkdir()
    assert find_engines(places) == {
        'tiny': places[0] / 'tiny',
        'other': places[1] / 'other',
    }
    assert load_engine('tiny', places).folder == places[0] / 'tiny'


def test_a_path_is_taken_as_a_path_also_when_it_is_text(folder: Path) -> None:
    assert load_engine(str(folder), search_path=[]).folder == folder
    assert load_engine(os.path.relpath(folder), search_path=[]).name == 'tiny'


def test_a_missing_engine_is_answered_with_those_that_were_found(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"no engine 'huge'. Found are: tiny \(looked in "):
        load_engine('huge', [folder.parent])
    with pytest.raises(EngineError, match=r'None was found at all .* Set SEG_ROS_ENGINES'):
        load_engine('huge', [folder])
    with pytest.raises(EngineError, match=r"no engine folder '/none/here'.*Found are: tiny"):
        load_engine('/none/here', [folder.parent])


def test_engines_are_looked_for_where_the_user_says_then_where_they_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('SEG_ROS_ENGINES', f'{tmp_path / "mine"}{os.pathsep}{tmp_path / "ours"}')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/ws/install{os.pathsep}/opt/ros/jazzy')
    places = engine_search_path()
    assert places[:2] == [tmp_path / 'mine', tmp_path / 'ours']
    assert Path(sys.prefix) / 'share/seg_ros/engines' in places
    assert places[-2:] == [
        Path('/ws/install/share/seg_ros/engines'),
        Path('/opt/ros/jazzy/share/seg_ros/engines'),
    ]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'name': None}, 'name is missing; add a word'),
        ({'classes': None}, 'classes is missing'),
        ({'network_size': None}, r'network_size is missing; add \[width, height\]'),
        ({'network_size': [64]}, r'network_size is \[64\]; expected is \[width, height\]'),
        ({'network_size': [64, 0]}, r'network_size is \[64, 0\]'),
        ({'network_size': '64x32'}, "network_size is '64x32'"),
        ({'unlabeled': 255}, "'unlabeled' is no key of a spec. The keys are name, "),
        ({'unlabelled': 3}, "the id of class 'pedestrian'"),
        ({'training': 'much'}, "training is 'much'; expected is a mapping"),
        ({'classes': []}, 'at least one class'),
        ({'classes': class_rows(id=0)}, r'The id 0 belongs to 2 classes \(sky, road\)'),
        ({'classes': class_rows(id=7)}, r'ids are \[0, 2, 3, 4, 7\]; expected is each of 0 to 4'),
        ({'classes': class_rows(id=300)}, 'has the id 300; .* 0 to 254'),
        ({'classes': class_rows(name='sky')}, "Two classes are called 'sky'"),
        ({'classes': class_rows(name=False)}, 'in quotes'),
        ({'classes': class_rows(colour=[0, 0, 256])}, r'colour \[0, 0, 256\].* 0 to 255'),
        ({'classes': class_rows(colour='#804080')}, r"colour '#804080'.*both are lists"),
        ({'classes': class_rows(colour=None)}, 'a class is .*; expected is {id: 0'),
        ({'classes': class_rows(color=[1, 2, 3])}, 'a class is '),
        ({'classes': class_rows(roles=['drivabel'])}, "'drivabel', which nobody knows.*drivable"),
        ({'classes': ['sky']}, "a class is 'sky'"),
        ({'classes': spec()['classes'][:4]}, "names 4 classes, but 'logits: .*' has 5 channels"),
        ({'network_size': [32, 64]}, r'says network_size \[32, 64\].*the graph takes 64x32'),
    ],
)
def test_a_wrong_spec_is_refused_with_what_to_do(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=message):
        load_engine(write_engine(tmp_path / 'tiny', **changes))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (b'name: [tiny', r'spec\.yaml is not YAML; correct it there: .*line 1'),
        (b'\xff\xfe\x00', 'is not YAML'),
        (b'', 'holds NoneType; expected is a mapping with name'),
        (b'- tiny', 'holds list'),
    ],
)
def test_a_spec_that_is_no_mapping_is_refused(text: bytes, message: str, folder: Path) -> None:
    (folder / 'spec.yaml').write_bytes(text)
    with pytest.raises(EngineError, match=f'(?s){message}'):
        load_engine(folder)


@pytest.mark.parametrize('name', ['spec.yaml', 'model.onnx'])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(EngineError, match=f'Cannot read .*tiny/{name}: No such file'):
        load_engine(folder)


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda _: b'',
        lambda _: b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
        lambda data: b'PK\x03\x04' + data,
    ],
    ids=['half of it', 'last byte missing', 'empty', 'git lfs pointer', 'a zip file'],
)
def test_a_file_that_is_no_whole_onnx_model_is_refused(
    damage: Callable[[bytes], bytes], folder: Path
) -> None:
    path = folder / 'model.onnx'
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EngineError, match=r'bytes\) is not a whole ONNX model: .*truncated'):
        load_engine(folder)


def renamed(which: str, name: str) -> Callable[[onnx.GraphProto], None]:
    def change(graph: onnx.GraphProto) -> None:
        row = next(row for row in (*graph.input, *graph.output) if row.name == which)
        row.name = name

    return change


def retyped(which: str, element: int, axes: list[int]) -> Callable[[onnx.GraphProto], None]:
    def change(graph: onnx.GraphProto) -> None:
        row = next(row for row in (*graph.input, *graph.output) if row.name == which)
        row.CopyFrom(onnx.helper.make_tensor_value_info(which, element, axes))

    return change


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (renamed('image', 'input.1'), r"input 'input\.1: uint8 .*' came, expected is one input"),
        (
            retyped('image', TensorProto.FLOAT, [1, 3, 32, 64]),
            r"'image: float32 \[1, 3, 32, 64\]' came, expected is 'image: uint8 \[N, 32, 64, 3\]'",
        ),
        (
            retyped('image', TensorProto.UINT8, [1, 3, 32, 64]),
            r"'image: uint8 \[1, 3, 32, 64\]' came",
        ),
        (retyped('image', TensorProto.UINT8, [8, 32, 64, 3]), 'a batch size that is 1 or open'),
        (
            retyped('image', TensorProto.UINT8, [1, 0, 0, 3]),
            r"'image: uint8 \[1, \?, \?, 3\]' came",
        ),
        (renamed('logits', 'output'), "no 'logits' among 'image: .*', 'output: "),
        (retyped('logits', TensorProto.INT64, [1, 5, 8, 16]), r"'logits: int64 .*float32 \[N, 5,"),
        (
            renamed('label', 'labels'),
            r"no 'label' among .*expected is 'label: uint8 \[N, 32, 64\]'",
        ),
        (retyped('label', TensorProto.INT64, [1, 32, 64]), "'label: int64 .*' came"),
        (
            retyped('confidence', TensorProto.UINT8, [1, 8, 16]),
            "'confidence: uint8 .*8, 16.*' came",
        ),
    ],
)
def test_a_graph_with_another_contract_is_refused_and_pointed_to_wrap(
    change: Callable[[onnx.GraphProto], None], message: str, folder: Path
) -> None:
    made = network()
    change(made.graph)
    onnx.save(made, folder / 'model.onnx')
    with pytest.raises(EngineError, match=f'{message}.*seg_ros wrap model.onnx --spec spec.yaml'):
        load_engine(folder)


@pytest.mark.parametrize('batch', ['N', 1])
def test_the_batch_size_may_be_open_or_one(batch: str | int, tmp_path: Path) -> None:
    assert load_engine(write_engine(tmp_path / 'tiny', network(batch=batch))).name == 'tiny'


def test_the_engines_of_this_repository_fit() -> None:
    repository = REPOSITORY / 'engines'
    for path in find_engines([repository]).values():
        assert load_engine(path).label_map.ids_with_role('drivable')


UNKNOWN = 'unknown, its spec.yaml names none'


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (
            {'licence': 'MIT', 'training_data': 'streets; pretraining: ImageNet'},
            'licence: MIT; training data: streets; pretraining: ImageNet',
        ),
        (
            {'training': {'data': ['a', 'b'], 'pretraining': 'ImageNet'}},
            f'licence: {UNKNOWN}; training data: a, b; pretraining: ImageNet',
        ),
        ({'training': None}, f'licence: {UNKNOWN}; training data: {UNKNOWN}'),
    ],
)
def test_an_engine_says_its_licence_and_what_it_has_seen(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    assert load_engine(write_engine(tmp_path / 'tiny', **changes)).origin == said
