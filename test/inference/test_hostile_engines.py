# SPDX-License-Identifier: Apache-2.0
"""Engine folders that somebody made to hang a node, to fill its memory or to read its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml

from seg_ros.core.errors import EngineError
from seg_ros.files import SMALL
from seg_ros.inference.engine import load_engine, model_of
from seg_ros.inference.registry import create_backend
from test.tiny_onnx import network, seeded_images, write_engine

QUICK_S = 5.0


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_device(path: Path) -> None:
    path.symlink_to('/dev/zero')


def as_folder(path: Path) -> None:
    path.mkdir()


def as_its_own_link(path: Path) -> None:
    path.symlink_to(path)


def laughs(path: Path) -> None:
    rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    rows += [f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]' for n in range(1, 30)]
    path.write_text('\n'.join(rows))


def chain(path: Path) -> None:
    """Each line is short and flat; what it becomes is not."""
    rows = [f'a{n}: &a{n} [*a{n - 1}]' for n in range(1, 2000)]
    path.write_text('\n'.join(['a0: &a0 [x]', *rows]))


def of_itself(path: Path) -> None:
    path.write_text('name: &a [*a]')


def nested(path: Path) -> None:
    path.write_text('name: ' + '[' * 60_000)


def huge(path: Path) -> None:
    path.write_text('name: tiny\n' + '# \n' * SMALL)


def many_digits(path: Path) -> None:
    path.write_text('name: tiny\nunlabelled: ' + '9' * 100_000)


def no_day(path: Path) -> None:
    path.write_text('name: 2026-13-45')


def graphs_in_graphs(path: Path) -> None:
    """Deeper than protobuf itself would write: a node with an attribute with a graph with…"""
    made = b''
    for _ in range(2000):
        for number in (1, 6, 5):  # a graph's node, an attribute's graph, a node's attribute
            made = part(number, made)
    path.write_bytes(network().SerializeToString() + part(7, made))


def part(number: int, message: bytes) -> bytes:
    """A field of protobuf that holds a message."""
    size, rest = bytearray(), len(message)
    while rest > 0x7F:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([number << 3 | 2, *size, rest]) + message


def many_fields(path: Path) -> None:
    path.write_bytes(network().SerializeToString() + b'\x08\x01' * 3_000_000)


def long_number(path: Path) -> None:
    path.write_bytes(network().SerializeToString() + b'\x80' * 3_000_000)


ANYTHING = (as_pipe, as_device, as_folder, as_its_own_link)


@pytest.mark.parametrize(
    'make', [*ANYTHING, laughs, chain, of_itself, nested, huge, many_digits, no_day]
)
def test_a_spec_that_is_a_trap_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    folder = write_engine(tmp_path / 'tiny')
    (folder / 'spec.yaml').unlink()
    make(folder / 'spec.yaml')
    began_s = time.process_time()
    with pytest.raises(EngineError, match=r'spec\.yaml'):
        load_engine(folder)
    assert time.process_time() - began_s < QUICK_S


def test_references_that_stay_small_are_read_for_pyyaml_writes_them(tmp_path: Path) -> None:
    folder = write_engine(tmp_path / 'tiny')
    text = (folder / 'spec.yaml').read_text()
    (folder / 'spec.yaml').write_text(
        f'{text}\nlicence: &a MIT\ndescription: *a\n'.replace(
            'description: A network for tests.\n', ''
        )
    )
    assert load_engine(folder).description == 'MIT'


@pytest.mark.parametrize('name', ['model.onnx', 'model.int8.onnx'])
@pytest.mark.parametrize('make', [*ANYTHING, graphs_in_graphs, many_fields, long_number])
def test_a_network_that_is_a_trap_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    folder = write_engine(tmp_path / 'tiny')
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    if make is as_its_own_link and name == 'model.int8.onnx':
        assert load_engine(folder).int8_path is None  # a link to nothing is no file
        return
    began_s = time.process_time()
    with pytest.raises(EngineError, match=r'onnx'):
        load_engine(folder)
    assert time.process_time() - began_s < QUICK_S


def with_weights_beside(folder: Path, location: str = 'weights.bin') -> Path:
    """An engine whose weights are in a file of their own, as large exports have them."""
    write_engine(folder)
    onnx.save(
        network(),
        folder / 'model.onnx',
        save_as_external_data=True,
        location='weights.bin',
        size_threshold=0,
    )
    if location != 'weights.bin':
        made = onnx.load(folder / 'model.onnx', load_external_data=False)
        for tensor in made.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == 'location':
                    entry.value = location
        (folder / 'model.onnx').write_bytes(made.SerializeToString())
    return folder


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_weights_that_lie_beside_the_network_are_found_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    if backend == 'openvino':
        pytest.importorskip('openvino')
    folder = with_weights_beside(tmp_path / 'apart')
    images = seeded_images()

    def labels(engine_folder: Path) -> Any:
        made = create_backend(backend, load_engine(engine_folder), threads=1).backend
        answer = made.infer(images).labels.copy()
        made.close()
        return answer

    expected = labels(write_engine(tmp_path / 'whole'))
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    assert (labels(folder) == expected).all()
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize('location', ['../secret', '/etc/passwd', './a/../../secret', 'link'])
def test_weights_outside_of_the_engines_folder_are_never_read(
    tmp_path: Path, location: str
) -> None:
    (tmp_path / 'secret').write_bytes(bytes(10_000))
    folder = with_weights_beside(tmp_path / 'apart', location)
    (folder / 'link').symlink_to(tmp_path / 'secret')
    with pytest.raises(EngineError, match='outside of its folder'):
        load_engine(folder)


def test_weights_that_are_missing_or_cut_or_a_pipe_are_told(tmp_path: Path) -> None:
    folder = with_weights_beside(tmp_path / 'apart')
    weights = folder / 'weights.bin'
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(EngineError, match=r'weights.* are not there'):
        load_engine(folder)
    weights.unlink()
    with pytest.raises(EngineError, match='Copy that file, too'):
        load_engine(folder)
    os.mkfifo(weights)
    with pytest.raises(EngineError, match='pipe'):
        load_engine(folder)


def test_other_weights_are_another_network(tmp_path: Path) -> None:
    """So that a plan of the old ones does not count: its key is of what is read."""
    folder = with_weights_beside(tmp_path / 'apart')
    engine = load_engine(folder)
    before = model_of(engine, engine.onnx_path)
    weights = bytearray((folder / 'weights.bin').read_bytes())
    weights[0] ^= 1
    (folder / 'weights.bin').write_bytes(weights)
    assert model_of(engine, engine.onnx_path) != before


@pytest.mark.parametrize('key', ['mean', 'deviation', 'weights'])
def test_a_domain_of_no_numbers_is_refused_for_every_picture_would_be_in_it(
    tmp_path: Path, key: str
) -> None:
    real = yaml.safe_load(Path('engines/roadseg/spec.yaml').read_text(encoding='utf-8'))['domain']
    value = real[key]
    lists = value if isinstance(value, dict) else {key: value}
    lists = {name: [float('nan'), *row[1:]] for name, row in lists.items()}
    spoilt = lists if isinstance(value, dict) else lists[key]
    folder = write_engine(tmp_path / 'tiny', domain={**real, key: spoilt})
    with pytest.raises(EngineError, match='domain cannot be read'):
        load_engine(folder)
