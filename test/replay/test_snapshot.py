# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is data: what it can hold, and what it cannot do."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pickle
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import replay
from seg_ros.replay.snapshot import LENGTH, MAGIC, restored, snapshot
from seg_ros.replay.unfinished import Unfinished
from seg_ros.replay.vehicle import Link, TransformTree
from test.replay.recordings import drive_rows, write_bag

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(SCALARS, inner)
        | st.frozensets(SCALARS)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(VALUES)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    back = restored(snapshot(value))
    assert back == value
    if 'frozenset' not in repr(value):  # which has no order
        assert repr(back) == repr(value)  # 1 is not 1.0, and no True


def test_arrays_and_numbers_of_numpy_come_back_with_type_and_shape() -> None:
    for value in (
        np.arange(12, dtype=np.int16).reshape(3, 4),
        np.float64(np.nan),
        np.asarray(np.zeros((0, 3), np.float32)),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(5),
    ):
        back = restored(snapshot(value))
        np.testing.assert_array_equal(back, value)
        assert (back.dtype, type(back)) == (value.dtype, type(value))


def test_what_is_shared_stays_shared_and_what_holds_itself_does_so() -> None:
    shared = [1]
    ring: dict[str, Any] = {'a': shared, 'b': (shared, deque([shared], 3))}
    ring['self'] = ring
    back = restored(snapshot(ring))
    assert back['self'] is back
    assert back['a'] is back['b'][0] is back['b'][1][0]
    assert back['b'][1].maxlen == 3


def test_objects_of_ours_come_back_with_their_methods() -> None:
    tree = TransformTree()
    tree._links['camera'] = Link('base_link', (1.0, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0), 7)
    look_up = functools.partial(tree.look_up, 'base_link')
    config = replace(NodeConfig(), camera_names=('front',))
    back, found, kind = restored(snapshot([config, look_up, StopKind.NO_GEOMETRY]))
    assert back == config
    assert kind is StopKind.NO_GEOMETRY
    assert found('camera').transform.translation.z == 2.0


@dataclass
class Stranger:
    x: int = 0


@pytest.mark.parametrize(
    'value', [Stranger(), os.getcwd, lambda: 0, Path, np.array([object()]), {1: Stranger}]
)
def test_what_is_not_ours_is_not_kept(value: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        snapshot(value)


def made_of(*nodes: Any) -> bytes:
    text = json.dumps({'root': [0], 'nodes': nodes}).encode()
    body = LENGTH.pack(len(text)) + text
    return MAGIC + hashlib.sha256(body).digest() + body


@pytest.mark.parametrize(
    'nodes',
    [
        [['object', 'os:_Environ', [1]], ['dict', []]],
        [['object', 'subprocess:Popen', [1]], ['dict', []]],
        [['object', 'seg_ros.core.labels:np.memmap', [1]], ['dict', []]],
        [['object', 'seg_ros.commands.demo.command:Cast', [1]], ['dict', []]],
        [['enum', 'builtins:eval', 'x']],
        [['partial', [1], [2], [3]], ['path', 'x'], ['tuple', []], ['dict', []]],
        [['method', [1], '__init__'], ['object', 'seg_ros.replay.vehicle:TransformTree', [2]],
         ['dict', []]],
        [['method', [1], 'joinpath'], ['path', 'x']],
        [['array', '|O', [1], 0, 8]],
        [['array', '<(8', [1], 0, 8]],
        [['array', '(2,)<f4', [1], 0, 8]],
        [['array', 'int; import os', [1], 0, 8]],
        [['get', 1]],
        [['made', 1]],
        [['_made', 1]],
        [['nothing']],
        [[]],
        [['list', [[7]]]],
        [['tuple', [[0]]]],
    ],
)  # fmt: skip
def test_a_file_cannot_name_what_is_not_ours_nor_call_anything(nodes: list[Any]) -> None:
    with pytest.raises(ValueError, match='no snapshot'):
        restored(made_of(*nodes))


@settings(deadline=None)
@given(st.data())
def test_a_damaged_snapshot_is_refused_as_a_whole(data: st.DataObject) -> None:
    whole = bytearray(snapshot([1, 'two', np.arange(5)]))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match='no snapshot'):
        restored(bytes(whole))
    with pytest.raises(ValueError, match='no snapshot'):
        restored(bytes(whole[:at]))


class Bomb:
    """A pickle of it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize('resume', [False, True])
def test_a_pickle_in_the_place_of_a_checkpoint_is_never_run(
    tmp_path: Path, config: NodeConfig, resume: bool
) -> None:
    bag = write_bag(tmp_path / 'drive', drive_rows(3))
    job = ReplayJob(bag, tmp_path / 'out', config, resume=resume)
    partial = tmp_path / 'out.partial'
    partial.mkdir()
    for age in (0, 1):
        (partial / f'checkpoint.{age}').write_bytes(pickle.dumps(Bomb(tmp_path / 'ran')))
    if resume:
        (partial / 'replay').mkdir()
        (partial / 'work.json').write_text('[' * 5000)
        with pytest.raises(ConfigurationError, match='cannot be gone on with'):
            replay(job)
    else:
        assert replay(job).frames == 3
    assert not (tmp_path / 'ran').exists()


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file to somebody else')
@pytest.mark.parametrize('name', ['', 'lock', 'checkpoint.0', 'checkpoint.1'])
def test_what_another_user_put_there_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with Unfinished(tmp_path / 'out', {}, resume=True) as first:
        first.bag.mkdir()
        first.save(1)
        first.save(2)
    foreign = tmp_path / 'out.partial' / name
    os.chown(foreign, 4242, 4242)
    with (
        pytest.raises(ConfigurationError, match=f'{foreign.name} belongs to the user 4242'),
        Unfinished(tmp_path / 'out', {}, resume=True),
    ):
        pass


def test_links_and_what_everybody_can_write_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'out.partial').symlink_to(tmp_path / 'elsewhere')
    with (
        pytest.raises(ConfigurationError, match=r'out\.partial is a link'),
        Unfinished(tmp_path / 'out', {}, resume=True),
    ):
        pass
    (tmp_path / 'out.partial').unlink()
    (tmp_path / 'out.partial').mkdir()
    (tmp_path / 'out.partial').chmod(0o777)
    with (
        pytest.raises(ConfigurationError, match='written by everybody'),
        Unfinished(tmp_path / 'out', {}, resume=True),
    ):
        pass


def test_the_folder_of_a_run_is_its_users_alone(tmp_path: Path) -> None:
    with Unfinished(tmp_path / 'out', {}, resume=False):
        assert (tmp_path / 'out.partial').stat().st_mode & 0o077 == 0


def test_the_bytes_do_not_depend_on_the_name_of_the_output(
    tmp_path: Path, config: NodeConfig
) -> None:
    bag = write_bag(tmp_path / 'drive', drive_rows(3))
    made = []
    for name in ('a', 'a name that is longer'):
        replay(ReplayJob(bag, tmp_path / name, config))
        made.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {'metadata.yaml', 'replay.mcap'}
