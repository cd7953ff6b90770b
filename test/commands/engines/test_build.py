# SPDX-License-Identifier: Apache-2.0
"""``seg_ros build-engine``, ``engines`` and ``gpu-check``, on a machine without a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from seg_ros.cli import main
from seg_ros.commands.engines import plan_rows
from seg_ros.commands.engines.plan_rows import Machine, plan_row
from seg_ros.commands.gpu import command as gpu_check
from seg_ros.commands.gpu import memory_check as gpu_memory_check
from seg_ros.commands.gpu.command import check_plan_of
from seg_ros.commands.gpu.memory_check import CheckRow, check_memory, drift_of
from seg_ros.commands.gpu.roofline import Cost, network_cost, roofline
from seg_ros.core.errors import BackendUnavailable
from seg_ros.inference.cuda.gpu import GpuClocks, GpuInfo
from seg_ros.inference.cuda.recording_memory import FAKE_GPU, RecordingMemory
from seg_ros.inference.engine import load_engine
from seg_ros.inference.tensorrt import plan_maker
from seg_ros.inference.tensorrt.plan_build import BuildOptions
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tensorrt.plan_key import plan_key
from test.fake_tensorrt import Counter, FakeMachine, plan_for
from test.tiny_onnx import network, write_engine

ROW_KEYS = [
    'engine',
    'precision',
    'flavour',
    'version',
    'target',
    'size_mb',
    'build_s',
    'valid',
    'why',
]  # as the issue asks for them


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_engine(tmp_path / 'tiny')


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / 'cache'


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on a machine with a GPU."""

    def find(index: int = 0) -> GpuInfo:
        raise BackendUnavailable('it needs an NVIDIA GPU, and there is no driver (no libcuda)')

    for module in (
        'inference.tensorrt.backend',
        'commands.engines.plan_rows',
        'commands.gpu.command',
    ):
        monkeypatch.setattr(f'seg_ros.{module}.find_gpu', find)


@pytest.fixture
def rtx() -> None:
    pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')


def build(folder: Path, cache: Path, *words: str) -> int:
    return main(['build-engine', str(folder), '--for', 'sm_86', '--cache', str(cache), *words])


def test_a_plan_is_built_reported_listed_verified_and_pruned(
    rtx: None, folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(folder, cache) == 0
    said = capsys.readouterr()
    for words in ('sm_86, fp16, tensorrt_rtx 1.', 'network  3', 'engine   1 layers', 'half'):
        assert words in said.out
    assert 'check    not compared with ONNX Runtime: it needs an NVIDIA GPU' in said.out
    assert '0%' in said.err  # the bar

    assert main(['engines', '--cache', str(cache), '--verify']) == 0
    assert capsys.readouterr().out.startswith('ok  tiny 64x32 fp16, sm_86, tensorrt_rtx 1.')

    (plan,) = cache.glob('*.plan')
    data = bytearray(plan.read_bytes())
    data[-1] ^= 1
    plan.write_bytes(data)
    assert main(['engines', '--cache', str(cache)]) == 0  # its size is right
    assert main(['engines', '--cache', str(cache), '--verify']) == 1
    assert 'is damaged: its checksum' in capsys.readouterr().out
    assert main(['engines', '--cache', str(cache), '--verify', '--prune']) == 0
    said = capsys.readouterr()
    assert f'removed {plan}' in said.out
    assert 'There is no plan' in said.out


def test_the_row_has_the_keys_of_the_issue_in_both_commands(
    rtx: None, folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(folder, cache, '--json', '--precision', 'fp32') == 0
    row = json.loads(capsys.readouterr().out)
    assert list(row) == ROW_KEYS
    assert (row['engine'], row['precision'], row['target'], row['valid']) == (
        'tiny',
        'fp32',
        'sm_86',
        True,
    )
    assert row['size_mb'] > 0.1
    main(['engines', '--cache', str(cache), '--json'])
    assert json.loads(capsys.readouterr().out) == [row]


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['--network-size', '66x33'], r"cannot run at 66x33: its 'label' would be 68x36"),
        (['--network-size', 'large'], "The network size is 'large'"),
        (['--for', '86'], "--for has '86'; it takes THIS, or architectures such as sm_86,sm_89"),
        (['--for', 'THIS'], 'A plan for the GPU of this machine was asked for'),
        (['--precision', 'int8'], 'no model.int8.onnx'),
        (['--max-batch', '0'], 'max_batch is 0'),
        (['--cache', '/proc/nothing'], 'Cannot write to the engine cache /proc/nothing'),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    words: list[str],
    said: str,
    rtx: None,
    folder: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import re

    assert build(folder, cache, *words) == 1
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert 'Traceback' not in error


def test_each_network_size_is_a_plan_of_its_own(
    rtx: None, folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for size in ('64x32', '96x48', '64x32'):
        assert build(folder, cache, '--network-size', size) == 0
    keys = [plan.key for plan in PlanCache(cache).plans()]
    assert {key.network_size for key in keys if key} == {'64x32', '96x48'}
    assert len(keys) == 2
    main(['engines', '--cache', str(cache)])
    said = capsys.readouterr().out
    assert 'ok  tiny 64x32 fp16, sm_86' in said
    assert 'ok  tiny 96x48 fp16, sm_86' in said


def test_programs_get_json_lines(
    rtx: None,
    folder: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (cache.parent / 'nothing').open('w+') as nothing:
        monkeypatch.setattr('sys.stdin', nothing)
        monkeypatch.setattr('os.nice', lambda _: 0)
        assert build(folder, cache, '--json-progress') == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert all(set(row) == {'phase', 'share'} for row in rows[:-1])
        assert set(rows[-1]) == {'plan', 'row'}
        assert build(folder, cache, '--json-progress', '--for', 'sm_87') == 1
        assert 'sm_87' in json.loads(capsys.readouterr().out)['failed']


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        ('onnx', 'has changed since'),
        ('gone', 'is gone'),
        ('version', 'it was built by tensorrt 10.3.0, this is tensorrt 10.16.1.11'),
        ('gpu', 'it is for no GPU (recording fake) (0 SMs) sm_86, this is RTX 4090 (0 SMs) sm_89'),
        ('', ''),
    ],
)
def test_a_plan_that_nobody_asks_for_any_more_is_not_valid(
    change: str, why: str, folder: Path, cache: Path
) -> None:
    machine = FakeMachine(version='10.3.0' if change == 'version' else '10.16.1.11')
    engine = load_engine(folder)
    key = plan_key(engine, BuildOptions(), machine.stack.api, machine.gpu)
    plan = PlanCache(cache).store(key, b'plan', 1.0, {'onnx': str(engine.onnx_path)})
    if change == 'onnx':
        onnx.save(network(seed=3), engine.onnx_path)
    if change == 'gone':
        engine.onnx_path.unlink()
    gpu = FAKE_GPU._replace(name='RTX 4090', capability=(8, 9)) if change == 'gpu' else FAKE_GPU
    row = plan_row(plan, Machine(FakeMachine().stack.api, gpu), verify=True)
    assert row.valid == (not why)
    assert row.why.endswith(why)


def test_without_a_gpu_the_check_says_so_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / 'gpu-check.json'
    assert main(['gpu-check', '-o', str(output)]) == 1
    assert 'Nothing can be checked here: it needs an NVIDIA GPU' in capsys.readouterr().err
    assert not output.exists()


def test_the_check_of_the_memory_runs_on_the_fake_and_finds_a_leak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu_memory_check, 'COPY_BYTES', 1 << 16)
    rows: list[CheckRow] = []
    figures = check_memory(lambda: RecordingMemory(), rows.append, 5)
    assert [row.check for row in rows if not row.ok] == []
    assert {'pinned copies', 'events', 'CUDA graph', 'mapped memory', 'too much memory'} <= {
        row.check for row in rows
    }
    assert figures['drift']['left_open'] == figures['drift']['bytes_per_cycle'] == 0

    shrinking = iter(range(1 << 30, 0, -(1 << 22)))  # the negative control
    rows.clear()
    check_memory(lambda: RecordingMemory(capacity=next(shrinking)), rows.append, 5)
    assert [row.check for row in rows if not row.ok] == ['5 memories']


def test_the_check_of_the_memory_alone_needs_a_gpu_too_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('seg_ros.inference.cuda.gpu.LIBRARY_NAMES', ('libnothing_cuda.so',))
    assert gpu_memory_check.main() == 1
    assert 'Nothing can be checked here: it needs an NVIDIA GPU' in capsys.readouterr().err


def test_the_check_of_a_plan_runs_on_the_fake(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load_engine(folder)
    machine = FakeMachine(max_batch=2)
    plan = plan_for(engine, 2)
    monkeypatch.setattr(plan_maker, 'build_plan', Counter(plan))
    monkeypatch.setattr(gpu_check, 'gpu_clocks', lambda: GpuClocks(1_000_000, 10, 1_000_000, 64))
    monkeypatch.setattr(gpu_check, 'RUNS', 3)
    rows: list[CheckRow] = []
    figures = check_plan_of(
        machine.stack, engine, BuildOptions('fp16', 2), PlanCache(cache), rows.append, 3
    )
    assert [row.check for row in rows if not row.ok] == []
    assert set(figures['stages']) == {'batch 1', 'batch 2'}
    assert figures['drift']['left_open'] == 0
    assert figures['activations'] == 64 * 32 * 3 + 16 * 32 * 8 * 2 + 8 * 16 * 5
    assert figures['layers_of_engine'] == 2
    assert json.loads(json.dumps(figures)) == figures


def test_the_whole_check_writes_its_evidence(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On the fake, and so none of its figures means anything."""
    machine = FakeMachine()
    plan = plan_for(load_engine(folder))
    monkeypatch.setattr(plan_maker, 'build_plan', Counter(plan))
    monkeypatch.setattr(gpu_memory_check, 'COPY_BYTES', 1 << 16)
    for name, value in (
        ('find_gpu', lambda: FAKE_GPU),
        ('gpu_clocks', lambda: GpuClocks(1_000_000, 10, 1_000_000, 64)),
        ('open_device_memory', machine.open_memory),
        ('gpu_stack', lambda: machine.stack),
        ('BATCH', 1),
        ('RUNS', 2),
    ):
        monkeypatch.setattr(gpu_check, name, value)
    output = tmp_path / 'out' / 'gpu-check.json'
    words = ['gpu-check', str(folder), '-o', str(output), '--cycles', '2']
    assert main(words) == 0, capsys.readouterr().out
    figures = json.loads(output.read_text())
    assert figures['ok']
    assert [row['precision'] for row in figures['plans']] == ['fp16', 'fp32']
    assert figures['gpu']['name'] == 'no GPU (recording fake)'

    def missing() -> Any:
        raise BackendUnavailable('it needs TensorRT, which is not installed')

    monkeypatch.setattr(gpu_check, 'gpu_stack', missing)
    assert main(words) == 1
    figures = json.loads(output.read_text())
    assert [row['check'] for row in figures['checks'] if not row['ok']] == ['TensorRT']
    assert figures['memory']['drift']['bytes_per_cycle'] == 0


@pytest.mark.parametrize(
    ('step', 'noise', 'ok'),
    [(0, 0, True), (0, 20 << 20, True), (1 << 16, 1 << 16, False), (1 << 22, 20 << 20, False)],
    ids=['still', 'a busy Jetson', 'a leak', 'a leak on a busy Jetson'],
)
def test_a_leak_is_told_from_what_the_rest_of_a_jetson_does(
    step: int, noise: int, ok: bool
) -> None:
    """There the free memory is the whole system's, and 1 MB of it is nothing."""
    random = np.random.default_rng(1)
    cycles = 0

    def memory() -> RecordingMemory:
        taken = int(random.normal(0.0, noise)) if noise else 0
        return RecordingMemory(capacity=(8 << 30) - step * cycles - taken)

    def cycle(open_memory: Any) -> None:
        nonlocal cycles
        cycles += 1
        open_memory().close()

    assert drift_of(memory, cycle, 100).ok == ok


def test_what_is_left_open_is_a_leak_whatever_the_free_memory_says() -> None:
    drift = drift_of(RecordingMemory, lambda open_memory: open_memory().allocate(8), 3)
    assert drift.left_open == 2 * 3  # with its stream
    assert not drift.ok


def test_the_cost_of_a_network_is_what_its_convolutions_multiply() -> None:
    cost = network_cost(network().SerializeToString())
    first = 8 * 3 * 9 * (16 * 32)
    second = 5 * 8 * 9 * (8 * 16)
    moved = 64 * 32 * 3 + 16 * 32 * 8 * 2 + 8 * 16 * 5
    assert cost == Cost(first + second, 8 * 3 * 9 + 5 * 8 * 9, moved, 64 * 32, 0)


def test_the_roofline_is_the_larger_of_arithmetic_and_memory() -> None:
    clocks = GpuClocks(1_000_000, 10, 1_000_000, 64)
    cost = Cost(
        multiply_adds=512 * 10 * 1_000_000, weights=500, activations=500, pixels=0, unknown=0
    )
    least = roofline(cost, FAKE_GPU, clocks, 'fp16')
    assert least.arithmetic_ms == pytest.approx(1.0)
    assert roofline(cost, FAKE_GPU, clocks, 'int8').arithmetic_ms == pytest.approx(0.5)
    assert least.memory_ms == pytest.approx(2000 / (1_000_000 * 2 * 8))
    assert least.least_ms == pytest.approx(1.0)
    orin = FAKE_GPU._replace(is_integrated=True)  # its driver tells another clock
    assert roofline(cost, orin, clocks, 'fp16').memory_ms is None
    unknown = FAKE_GPU._replace(capability=(99, 0))
    assert roofline(cost, unknown, GpuClocks(0, 0, 0, 0), 'fp16').least_ms is None


def test_a_machine_without_tensorrt_or_gpu_is_held_against_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> Any:
        raise BackendUnavailable('it needs TensorRT')

    monkeypatch.setattr(plan_rows, 'load_tensorrt', missing)
    assert plan_rows.this_machine() == Machine(None, None)


def test_every_engine_is_listed_with_its_licence_and_what_it_has_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engines = tmp_path / 'engines'
    write_engine(engines / 'ours', licence='MIT', training_data='our street')
    write_engine(engines / 'broken', licence=['MIT'])
    monkeypatch.setenv('SEG_ROS_ENGINES', str(engines))
    assert main(['engines', '--cache', str(tmp_path / 'cache')]) == 0
    said = capsys.readouterr().out
    assert f'ours: licence: MIT; training data: our street; {engines / "ours"}\n' in said
    assert 'broken: ' in said
    assert "licence is ['MIT']; expected is a text" in said
    assert 'roadseg: licence: research only; CamVid' in said
