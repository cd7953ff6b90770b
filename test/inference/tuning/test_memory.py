# SPDX-License-Identifier: Apache-2.0
"""What was measured counts here and now only, and a file that is wrong is no file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.tuning import memory
from seg_ros.inference.tuning.choice import Candidate, Timing
from seg_ros.inference.tuning.memory import recall, remember, tune_key, tuned_path
from test.tiny_onnx import network, write_engine

ROWS = [
    Timing(Candidate('openvino', 'fp32', 2), 1.0, 0.999, 65.0, 71.5, 90.0),
    Timing(Candidate('openvino', 'bf16', 2), why_not='it has no bf16'),
]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / 'cache'


@pytest.fixture
def kept(engine: Engine, cache: Path) -> Path:
    return remember(engine, tune_key(engine), ROWS, cache)


def test_what_is_remembered_comes_back_as_it_was(engine: Engine, kept: Path, cache: Path) -> None:
    assert list(recall(engine, tune_key(engine), cache).rows) == ROWS
    assert [path.name for path in cache.iterdir()] == [kept.name]  # nothing partial is left


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('available_cores', lambda: 64),
        ('quota_cores', lambda: 1.5),
        ('_processor', lambda _: ('Another CPU', 'avx2')),
        ('_processor', lambda _: (memory._processor(memory.CPUINFO)[0], 'other flags')),
        ('_version_of', lambda _: '0.0.1'),
    ],
    ids=['cores', 'quota', 'model', 'flags', 'runtime'],
)
def test_another_machine_or_version_is_measured_anew(
    name: str, value: Any, engine: Engine, kept: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = memory._processor(memory.CPUINFO)[0]
    if name == '_processor' and value(None)[0] == original:
        value = lambda _: (original, 'other flags')  # noqa: E731
    monkeypatch.setattr(memory, name, value)
    assert recall(engine, tune_key(engine), cache).why == 'nothing was measured here yet'


def test_other_weights_another_size_or_more_cameras_are_measured_anew(
    engine: Engine, kept: Path, cache: Path, tmp_path: Path
) -> None:
    other = load_engine(write_engine(tmp_path / 'tiny', network(seed=5)))
    assert recall(other, tune_key(other), cache).rows == ()
    assert recall(engine, tune_key(engine, cameras=4), cache).rows == ()


@pytest.mark.parametrize(
    'text',
    [
        '',
        '{',
        '[]',
        'null',
        '{"key": 1, "rows": []}',
        '[' * 100_000,
        b'\xff\xfe',
        {'rows': []},
        {'rows': [{}]},
        {'rows': [{'candidate': {'backend': 'openvino', 'precision': 'fp32', 'threads': 0}}]},
        {'median_ms': float('nan')},
        {'median_ms': -1.0},
        {'threads': 'many'},
    ],
)
def test_a_broken_file_is_no_file_and_never_raises(
    text: Any, engine: Engine, kept: Path, cache: Path
) -> None:
    if isinstance(text, dict):
        table = json.loads(kept.read_text())
        if 'rows' in text:
            table |= text
        elif 'threads' in text:
            table['rows'][0]['candidate'] |= text
        else:
            table['rows'][0] |= text
        text = json.dumps(table)
    kept.write_bytes(text if isinstance(text, bytes) else text.encode())
    remembered = recall(engine, tune_key(engine), cache)
    assert remembered.rows == ()
    assert kept.name in remembered.why


def test_a_file_of_another_machine_under_this_name_does_not_count(
    engine: Engine, kept: Path, cache: Path
) -> None:
    table = json.loads(kept.read_text())
    table['key']['cpu'] = 'Another CPU'
    kept.write_text(json.dumps(table))
    assert 'another machine' in recall(engine, tune_key(engine), cache).why


def test_what_others_can_write_is_not_believed(engine: Engine, kept: Path, cache: Path) -> None:
    kept.chmod(0o666)
    assert 'can be written by everybody' in recall(engine, tune_key(engine), cache).why
    kept.chmod(0o644)
    cache.chmod(0o777)
    assert 'can be written by everybody' in recall(engine, tune_key(engine), cache).why


def test_a_file_of_another_user_is_not_believed(
    engine: Engine, kept: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, 'geteuid', lambda: kept.stat().st_uid + 1)
    remembered = recall(engine, tune_key(engine), cache)
    if kept.stat().st_uid == 0:  # the administrator's files are
        assert remembered.rows
    else:
        assert 'belongs to the user' in remembered.why


def test_a_pipe_in_place_of_the_file_is_not_waited_for(
    engine: Engine, kept: Path, cache: Path
) -> None:
    kept.unlink()
    os.mkfifo(kept)
    assert recall(engine, tune_key(engine), cache).rows == ()


def test_a_folder_that_cannot_be_written_is_told(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match='Cannot write to the engine cache /proc/nothing'):
        remember(engine, tune_key(engine), ROWS, Path('/proc/nothing'))


def test_the_file_has_the_engine_in_its_name(engine: Engine, cache: Path) -> None:
    assert tuned_path(engine, tune_key(engine), cache).name.startswith('tiny-')


@pytest.mark.parametrize(('share', 'is_doubted'), [(0.0, False), (0.25, False), (0.26, True)])
def test_what_was_measured_while_others_took_more_than_a_quarter_is_doubted(
    share: float, is_doubted: bool, engine: Engine, cache: Path
) -> None:
    remember(engine, tune_key(engine), ROWS, cache, share)
    remembered = recall(engine, tune_key(engine), cache)
    assert list(remembered.rows) == ROWS
    assert bool(remembered.doubt) is is_doubted


def test_a_file_of_a_version_that_did_not_look_for_others_counts(
    engine: Engine, kept: Path, cache: Path
) -> None:
    table = json.loads(kept.read_text())
    del table['others_share']
    kept.write_text(json.dumps(table))
    remembered = recall(engine, tune_key(engine), cache)
    assert list(remembered.rows) == ROWS
    assert not remembered.doubt


@pytest.mark.parametrize('share', [-0.1, 1.5, '0.5', None, float('nan')])
def test_a_share_that_cannot_be_is_no_file(
    share: object, engine: Engine, kept: Path, cache: Path
) -> None:
    table = json.loads(kept.read_text())
    kept.write_text(json.dumps(table | {'others_share': share}))
    assert 'cannot be read' in recall(engine, tune_key(engine), cache).why
