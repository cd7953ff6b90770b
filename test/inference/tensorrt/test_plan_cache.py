# SPDX-License-Identifier: Apache-2.0
"""Plans are in the cache whole or not at all, and never another one than was asked for."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from seg_ros.core.errors import (
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    EngineError,
)
from seg_ros.inference.cuda.gpu import GpuInfo
from seg_ros.inference.cuda.recording_memory import FAKE_GPU, RecordingMemory
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.tensorrt import plan_maker
from seg_ros.inference.tensorrt.plan_build import (
    BuildCancelled,
    BuildOptions,
    BuiltPlan,
)
from seg_ros.inference.tensorrt.plan_cache import PlanCache, cache_folder
from seg_ros.inference.tensorrt.plan_lock import LockBusy, is_locked, plan_lock
from seg_ros.inference.tensorrt.plan_maker import BuildStack, make_plan
from test.fake_tensorrt import MAGIC, Counter, FakeMachine, plan_for
from test.inference.tensorrt.plans import KEY, PLAN
from test.paths import REPOSITORY
from test.tiny_onnx import network, write_engine


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / 'cache')


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


def test_a_plan_comes_back_as_it_was_with_a_sidecar_that_says_what_it_is(
    cache: PlanCache,
) -> None:
    plan = cache.store(KEY, PLAN, 12.5, {'check': 'fine'})
    assert cache.load(KEY) == (PLAN, '')
    row = json.loads(plan.path.with_suffix('.json').read_text())
    assert row['key'] == asdict(KEY)
    assert (row['size'], row['build_s'], row['notes']) == (len(PLAN), 12.5, {'check': 'fine'})
    assert sorted(path.suffix for path in cache.folder.iterdir()) == ['.json', '.plan']


def test_the_cache_is_where_the_user_says_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('SEG_ROS_CACHE', raising=False)
    monkeypatch.setenv('XDG_CACHE_HOME', '/somewhere')
    assert cache_folder() == Path('/somewhere/seg_ros')
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert cache_folder() == Path.home() / '.cache' / 'seg_ros'
    monkeypatch.setenv('SEG_ROS_CACHE', '/else')
    assert cache_folder() == Path('/else')


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        ({'onnx_sha256': 'b' * 64}, 'was built from another network file'),
        ({'version': '10.3.0'}, 'was built by tensorrt 10.16.1.11, this is tensorrt 10.3.0'),
        ({'flavour': 'tensorrt_rtx'}, 'this is tensorrt_rtx'),
        ({'target': 'RTX 4090 sm_89'}, 'is for Orin sm_87, this is RTX 4090 sm_89'),
        ({'precision': 'int8'}, 'is in fp16, asked is int8'),
        ({'network_size': '640x360'}, 'takes 64x32, asked is 640x360'),
        ({'max_batch': 4}, 'takes 1 images at most, asked is 4'),
        ({'builder': '0'}, 'was built by another seg_ros'),
        ({'engine': 'other'}, 'none was built yet for Orin sm_87 in fp16'),
    ],
)
def test_every_difference_is_another_plan_and_is_named(
    change: dict[str, Any], why: str, cache: PlanCache
) -> None:
    cache.store(KEY, PLAN, 1.0, {})
    data, reason = cache.load(replace(KEY, **change))
    assert data == b''
    assert why in reason
    assert replace(KEY, **change).stem != KEY.stem
    assert cache.load(KEY)[0] == PLAN  # and the one at hand stays


def test_a_plan_of_tensorrt_for_rtx_serves_each_gpu_that_it_was_built_for(
    cache: PlanCache,
) -> None:
    built = replace(KEY, flavour='tensorrt_rtx', target='sm_86,sm_89')
    cache.store(built, PLAN, 1.0, {})
    assert cache.load(replace(built, target='RTX 4090 sm_89'))[0] == PLAN
    assert cache.load(replace(built, target='RTX 5090 sm_120'))[0] == b''


@pytest.mark.parametrize(
    ('damage', 'why'),
    [
        (lambda plan: plan.write_bytes(PLAN[:-1]), r'is truncated: 10239 of 10240 bytes'),
        (lambda plan: plan.write_bytes(b''), 'is truncated: 0 of'),
        (lambda plan: plan.write_bytes(PLAN[:-1] + b'x'), 'checksum is not the one'),
        (lambda plan: plan.unlink(), 'is missing'),
        (lambda plan: plan.with_suffix('.json').unlink(), 'no sidecar: its build was ended early'),
        (lambda plan: plan.with_suffix('.json').write_text('{'), 'cannot be read (JSONDecodeErr'),
        (lambda plan: plan.with_suffix('.json').write_text('[]'), 'cannot be read (TypeError)'),
        (lambda plan: plan.with_suffix('.json').write_text('{"key": {}}'), '(KeyError)'),
        (lambda plan: plan.with_suffix('.json').write_bytes(b'\xff'), '(UnicodeDecodeError)'),
    ],
    ids=['truncated', 'empty', 'a bit', 'no plan', 'no sidecar', 'json', 'list', 'key', 'utf-8'],
)
def test_a_damaged_plan_is_never_given_out_and_is_replaced(
    damage: Any, why: str, cache: PlanCache
) -> None:
    damage(cache.store(KEY, PLAN, 1.0, {}).path)
    data, reason = cache.load(KEY)
    assert data == b''
    assert why in reason
    cache.store(KEY, PLAN, 1.0, {})
    assert cache.load(KEY) == (PLAN, '')


def test_a_folder_that_cannot_be_written_is_said_before_the_build(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(ConfigurationError, match=r'Cannot write to the engine cache .*--cache'):
        PlanCache(tmp_path / 'file' / 'cache').check_writable()


def test_a_read_only_folder_is_said(cache: PlanCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, PLAN, 1.0, {})

    def refuse(*_: object, **__: object) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr('seg_ros.inference.tensorrt.plan_cache.tempfile.TemporaryFile', refuse)
    with pytest.raises(ConfigurationError, match=r'cache .*: Read-only file system\. Name a fold'):
        cache.check_writable()
    monkeypatch.setattr('seg_ros.inference.tensorrt.plan_cache.Path.open', refuse)
    with pytest.raises(ConfigurationError, match='Read-only file system'):
        cache.store(KEY, PLAN, 1.0, {})
    monkeypatch.undo()
    assert cache.load(KEY) == (PLAN, '')  # reading needs no writing


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from test.inference.tensorrt.plans import KEY, PLAN
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    PlanCache(Path(sys.argv[1])).store(KEY, PLAN, 1.0, {})
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_disk_that_fills_up_while_writing_leaves_nothing_behind(cache: PlanCache) -> None:
    """The kernel refuses the second half of the file, as it does on a full disk."""
    child = subprocess.run(
        [sys.executable, '-c', FULL_DISK, str(cache.folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert child.stdout.startswith('ConfigurationError There is no room in the engine cache')
    assert '0.0 MB are needed' in child.stdout
    assert 'seg_ros engines --prune' in child.stdout
    assert list(cache.folder.iterdir()) == []


def test_a_full_disk_is_said_before_the_build(
    cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r'no room .*No space left on device'):
        cache.check_writable(1 << 60)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('seg_ros.inference.tensorrt.plan_cache.os.fsync', full)
    with pytest.raises(ConfigurationError, match=r'no room .*No space left on device'):
        cache.store(KEY, PLAN, 1.0, {})
    assert list(cache.folder.iterdir()) == []


def test_a_hint_that_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path / 'cache')
    assert cache.hint('timing', KEY) == b''
    cache.store_hint('timing', KEY, b'measured')
    assert cache.hint('timing', KEY) == b'measured'
    assert cache.hint('timing', replace(KEY, version='11')) == b''
    (tmp_path / 'file').write_text('')
    PlanCache(tmp_path / 'file').store_hint('timing', KEY, b'measured')


HOLDER = """
import sys, time
from pathlib import Path
from seg_ros.inference.tensorrt.plan_lock import plan_lock
with plan_lock(Path(sys.argv[1])):
    print('held', flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_process_and_let_go_by_its_death(tmp_path: Path) -> None:
    path = tmp_path / 'plan.lock'
    child = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == 'held\n'
    assert is_locked(path)
    holders: list[str] = []
    with (
        pytest.raises(LockBusy, match=rf'process \(pid {child.pid}\) builds the same'),
        plan_lock(path, lambda holder: bool(holders.append(holder))),
    ):
        pass
    assert holders == [str(child.pid)]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with plan_lock(path):
        assert path.read_text() == f'{os.getpid()}\n'
    assert not is_locked(path)


def test_a_lock_whose_file_is_removed_is_taken_on_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / 'plan.lock'
    taken = threading.Event()

    def wait() -> None:
        with plan_lock(path, lambda _: True):
            taken.set()

    with plan_lock(path):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
        path.unlink()  # a prune that thought it was free
        assert taken.wait(5)
    thread.join()


def shop_of(machine: FakeMachine) -> BuildStack:
    return BuildStack(machine.stack.api, machine.stack)


def test_two_that_want_the_same_plan_build_it_once(
    engine: Engine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = Counter(plan_for(engine), 0.3)
    monkeypatch.setattr(plan_maker, 'build_plan', builder)
    made: list[Any] = []
    phases: list[str] = []

    def make() -> None:
        made.append(
            make_plan(
                shop_of(FakeMachine()),
                engine,
                BuildOptions(),
                cache,
                progress=lambda step: phases.append(step.phase) or True,  # type: ignore[func-returns-value]
            )
        )

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builder.builds == 1
    assert made[0] == made[1]
    assert f'waiting for process {os.getpid()}, which builds the same' in phases


def test_waiting_for_another_build_can_be_cancelled(engine: Engine, cache: PlanCache) -> None:
    machine = FakeMachine()
    key = plan_maker.plan_key(engine, BuildOptions(), machine.stack.api, machine.stack.gpu)
    with (
        cache.lock(key),
        pytest.raises(BuildCancelled, match=rf'Another process \(pid {os.getpid()}\)'),
    ):
        make_plan(shop_of(machine), engine, BuildOptions(), cache, progress=lambda _: False)


def test_a_plan_that_agrees_is_kept_and_says_how_well(
    engine: Engine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_maker, 'build_plan', Counter(plan_for(engine)))
    machine = FakeMachine()
    plan = make_plan(shop_of(machine), engine, BuildOptions(), cache)
    assert plan.notes['check'].startswith('100.000% of the labels are those of ONNX Runtime on 3')
    assert 'proves little' not in plan.notes['check']
    assert plan.read() == (plan_for(engine), '')
    assert machine.memory.open_count == 0
    assert cache.hint('timing', plan.key) == b'measured'  # type: ignore[arg-type]


def test_a_network_that_says_the_same_of_every_image_proves_little(
    tmp_path: Path, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = network()
    for row in made.graph.initializer:
        if row.name == 'w2':
            row.raw_data = bytes(len(row.raw_data))
    engine = load_engine(write_engine(tmp_path / 'blind', made))
    monkeypatch.setattr(plan_maker, 'build_plan', Counter(plan_for(engine)))
    plan = make_plan(shop_of(FakeMachine()), engine, BuildOptions(), cache)
    assert plan.notes['check'] == (
        '100.000% of the labels are those of ONNX Runtime on 3 seeded images, 100.0% those of '
        'another of these images; confidence differs by 0.00 of 255 levels, which proves little'
    )


def test_a_plan_that_disagrees_is_not_kept(
    engine: Engine, cache: PlanCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: the same size and classes, other weights."""
    other = load_engine(write_engine(tmp_path / 'other', network(seed=7)))
    monkeypatch.setattr(plan_maker, 'build_plan', Counter(plan_for(other)))
    with pytest.raises(EngineError, match=r'disagrees with ONNX Runtime and is not saved: .*99.5'):
        make_plan(shop_of(FakeMachine()), engine, BuildOptions(), cache)
    assert not list(cache.plans())


def test_a_plan_whose_labels_agree_and_whose_confidence_does_not_is_not_kept(
    engine: Engine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load_from_string(plan_for(engine)[len(MAGIC) :])
    for node in model.graph.node:
        if 'confidence' in node.output:
            node.input[0], was = 'dimmed', node.input[0]
            half = helper.make_node('Mul', [was, 'half'], ['dimmed'])
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), 'half'))
    model.graph.node.insert(len(model.graph.node) - 4, half)
    last = next(row for row in model.graph.node if 'confidence' in row.output)
    model.graph.node.remove(last)
    model.graph.node.append(last)
    dimmed = MAGIC + model.SerializeToString()
    monkeypatch.setattr(plan_maker, 'build_plan', Counter(dimmed))
    with pytest.raises(EngineError, match=r'100.000% of the labels .*confidence differs by [1-9]'):
        make_plan(shop_of(FakeMachine()), engine, BuildOptions(), cache)
    assert not list(cache.plans())


def test_a_plan_whose_scores_are_no_numbers_is_not_kept(
    engine: Engine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every frame fails, and every start loads it again."""
    monkeypatch.setattr(plan_maker, 'build_plan', Counter(plan_for(engine)))
    machine = FakeMachine()
    machine.gives_no_numbers = True
    with pytest.raises(EngineError, match='gives scores that are no numbers'):
        make_plan(shop_of(machine), engine, BuildOptions(), cache)
    assert not list(cache.plans())


def test_the_memory_is_opened_before_a_plan_is_built(
    engine: Engine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = Counter(plan_for(engine))
    monkeypatch.setattr(plan_maker, 'build_plan', builder)
    machine = FakeMachine()
    machine.failing = ('make_stream', 'CUDA_ERROR_SYSTEM_DRIVER_MISMATCH')

    def refused() -> RecordingMemory:
        raise BackendError('CUDA_ERROR_SYSTEM_DRIVER_MISMATCH')

    stack = machine.stack._replace(open_memory=refused)
    with pytest.raises(BackendError, match='DRIVER_MISMATCH'):
        make_plan(BuildStack(stack.api, stack), engine, BuildOptions(), cache)
    assert builder.builds == 0


@pytest.mark.parametrize(
    ('gpu', 'expected'),
    [
        (FAKE_GPU, 0),
        (FAKE_GPU._replace(is_integrated=True, total_bytes=8 << 30), 1 << 30),
        (FAKE_GPU._replace(is_integrated=True, total_bytes=2 << 30), 1 << 29),
    ],
    ids=['own memory', 'Orin Nano', 'very small'],
)
def test_scratch_memory_is_bounded_where_memory_is_shared(
    gpu: GpuInfo,
    expected: int,
    engine: Engine,
    cache: PlanCache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def build(*_: Any, workspace_bytes: int, **__: Any) -> BuiltPlan:
        asked.append(workspace_bytes)
        return Counter(plan_for(engine))()

    monkeypatch.setattr(plan_maker, 'build_plan', build)
    make_plan(shop_of(FakeMachine(gpu)), engine, BuildOptions(), cache)
    assert asked == [expected]


def test_a_plan_in_the_cache_is_not_built_again_unless_it_is_damaged_or_forced(
    engine: Engine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = Counter(plan_for(engine))
    monkeypatch.setattr(plan_maker, 'build_plan', builder)

    def make(**more: Any) -> Any:
        return make_plan(shop_of(FakeMachine()), engine, BuildOptions(), cache, **more)

    path = make().path
    make()
    assert builder.builds == 1
    make(force=True)
    assert builder.builds == 2
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert make().read()[1] == ''
    assert builder.builds == 3


def test_without_a_gpu_a_plan_for_this_machine_is_refused_with_the_way_out(
    engine: Engine, cache: PlanCache
) -> None:
    stack = BuildStack(FakeMachine().stack.api, None, 'there is no driver (no libcuda)')
    with pytest.raises(BackendUnavailable, match=r'no libcuda\)\. Build it on .*--for sm_89'):
        make_plan(stack, engine, BuildOptions(), cache)
    assert not cache.folder.exists()


def test_pruning_removes_what_is_damaged_left_over_or_unwanted(cache: PlanCache) -> None:
    wanted = cache.store(KEY, PLAN, 1.0, {})
    other = cache.store(replace(KEY, precision='fp32'), PLAN, 1.0, {})
    halves = cache.folder / f'{KEY.stem}.plan.1.partial'
    halves.write_bytes(b'half')
    (cache.folder / 'old.lock').write_text('1\n')
    (cache.folder / 'killed.plan').write_bytes(PLAN)
    removed = cache.prune(lambda plan: plan.key == KEY and not plan.damage)
    assert {path.name for path in removed} == {
        other.path.name,
        other.path.with_suffix('.json').name,
        halves.name,
        'old.lock',
        'killed.plan',
    }
    assert cache.load(KEY) == (PLAN, '')
    assert [plan.path for plan in cache.plans()] == [wanted.path]


def test_pruning_leaves_alone_what_is_being_built(cache: PlanCache) -> None:
    with cache.lock(KEY):
        halves = cache.folder / f'{KEY.stem}.plan.1.partial'
        halves.write_bytes(b'half')
        assert cache.prune(lambda _: False) == []
    assert cache.prune(lambda _: False) == [halves, cache.folder / f'{KEY.stem}.lock']


NEEDS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason='only root can give a file to somebody else'
)


@pytest.mark.parametrize('what', ['plan', 'sidecar', 'folder'])
@pytest.mark.parametrize('how', ['chmod', pytest.param('chown', marks=NEEDS_ROOT)])
def test_what_others_could_have_put_there_is_refused_by_name(
    cache: PlanCache, what: str, how: str
) -> None:
    """A plan is code: TensorRT runs what is in it."""
    plan = cache.store(KEY, PLAN, 1.0, {})
    path = {
        'plan': plan.path,
        'sidecar': plan.path.with_suffix('.json'),
        'folder': cache.folder,
    }[what]
    if how == 'chmod':
        path.chmod(path.stat().st_mode | 0o002)
    else:
        os.chown(path, 4242, 4242)
    data, why = cache.load(KEY)
    assert data == b''
    assert str(path) in why
    assert ('everybody' if how == 'chmod' else 'belongs to the user 4242') in why
    assert plan.path.exists()  # refused, and not removed
    assert cache.hint('timing', KEY) == b''
    assert [row.damage for row in cache.plans()] == [why]
    if what == 'folder':
        with pytest.raises(ConfigurationError, match='Make it yours'):
            cache.store(KEY, PLAN, 1.0, {})


def test_a_plan_that_changes_hands_after_it_was_found_is_not_read(cache: PlanCache) -> None:
    plan = cache.store(KEY, PLAN, 1.0, {})
    plan.path.chmod(0o666)
    assert plan.read()[0] == b''


SPOILT = (
    [], 'x', 7, None, {}, {'key': 'x'}, {'key': {}}, {'key': []},
    {'size': 'x'}, {'size': None}, {'size': []}, {'size': float('inf')}, {'size': float('nan')},
    {'build_s': {}}, {'notes': 7}, {'notes': 'abc'}, {'sha256': []},
    *({'key': {name: value}} for name in asdict(KEY) for value in (None, [], {}, 1.5, True)),
)  # fmt: skip


@pytest.mark.parametrize('change', SPOILT, ids=str)
def test_a_sidecar_with_values_of_any_type_raises_nothing(cache: PlanCache, change: Any) -> None:
    plan = cache.store(KEY, PLAN, 1.0, {})
    sidecar = plan.path.with_suffix('.json')
    row = json.loads(sidecar.read_text())
    if isinstance(change, dict) and change:
        key = {**row['key'], **change['key']} if isinstance(change.get('key'), dict) else None
        row.update({**change, **({'key': key} if key else {})})
    else:
        row = change
    sidecar.write_text(json.dumps(row))
    data, _ = cache.load(KEY)
    assert data in (b'', PLAN)
    list(cache.plans())
    cache.prune(lambda plan: not plan.damage)


def test_a_sidecar_that_is_deep_or_a_pipe_raises_nothing_and_does_not_hang(
    cache: PlanCache,
) -> None:
    plan = cache.store(KEY, PLAN, 1.0, {})
    sidecar = plan.path.with_suffix('.json')
    sidecar.write_text('[' * 100_000)
    assert cache.load(KEY)[0] == b''
    sidecar.unlink()
    os.mkfifo(sidecar)
    assert cache.load(KEY)[0] == b''
