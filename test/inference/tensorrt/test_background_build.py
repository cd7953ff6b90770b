# SPDX-License-Identifier: Apache-2.0
"""A plan is built in a process of its own, which ends with ours and tells how far it is."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seg_ros.core.errors import BackendError, EngineError
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import PlanOptions, create_backend
from seg_ros.inference.switchable_backend import backend_status
from seg_ros.inference.tensorrt import build_process
from seg_ros.inference.tensorrt.backend import PlanMissing
from seg_ros.inference.tensorrt.background_build import BackgroundBuild, build_command
from seg_ros.inference.tensorrt.plan_build import BuildOptions
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from test.fake_tensorrt import FakeMachine, store
from test.inference.fake_builds import build_of, stubs, until
from test.paths import REPOSITORY
from test.tiny_onnx import seeded_images, write_engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return load_engine(write_engine(tmp_path / 'tiny'))


def test_the_real_command_builds_a_plan_in_a_child_and_tells_how_far_it_is(
    engine: Engine, tmp_path: Path
) -> None:
    pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')
    cache = PlanCache(tmp_path / 'cache')
    command = build_command(engine, BuildOptions(), cache.folder)
    build = BackgroundBuild([*command, '--for', 'sm_86'])
    assert not build.state().is_done
    state = build.wait()
    assert state.is_done
    assert state.failure == ''
    assert state.share == 1.0
    (plan,) = cache.plans()
    assert plan.read()[1] == ''
    build.close()
    build.close()


def test_what_the_command_refuses_is_the_reason(engine: Engine, tmp_path: Path) -> None:
    pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')
    build = BackgroundBuild(
        [*build_command(engine, BuildOptions(), tmp_path / 'cache'), '--for', 'sm_87']
    )
    assert 'does not build for sm_87' in build.wait().failure


def test_the_process_that_builds_imports_no_command_line(engine: Engine, tmp_path: Path) -> None:
    module = build_command(engine, BuildOptions(), tmp_path)[2]
    assert module == build_process.__name__
    code = (
        f'import sys, {module}\n'
        'print([name for name in sys.modules if name.startswith(("seg_ros.c", "seg_ros.r"))])'
    )
    child = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    names = json.loads(child.stdout.replace("'", '"'))
    assert [name for name in names if not name.startswith('seg_ros.core')] == []


def test_progress_is_what_the_last_line_said() -> None:
    build = build_of(
        'import sys\n'
        'print("a library talks")\n'
        'print(\'{"phase": "Timing tactics", "share": 0.25}\', flush=True)\n'
        'sys.stdin.read()'
    )
    until(lambda: build.state().share == 0.25)
    assert build.state().phase == 'Timing tactics'
    assert not build.state().is_done
    build.close()
    assert build.state().failure == 'it was ended'


@pytest.mark.parametrize(
    ('code', 'why'),
    [
        ('import os; os.kill(os.getpid(), 9)', 'its process ended with signal 9'),
        ('raise SystemExit("out of luck")', 'its process ended with exit code 1: out of luck'),
        ('pass', 'its process ended with exit code 0'),
        ('print(\'{"failed": "No room."}\')', 'No room.'),
    ],
)
def test_a_build_that_dies_is_a_reason_not_a_crash(code: str, why: str) -> None:
    build = build_of(code)
    assert build.wait().failure == why
    build.close()


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BackendError, match='cannot be started'):
        BackgroundBuild(['/nowhere/python'])


KILLED = """
import os, sys
from seg_ros.inference.tensorrt import build_process
def tell(step):
    if step.share > 0.3:
        os.kill(os.getpid(), 9)
    return True
build_process._tell_step = tell
build_process.main(sys.argv[1:])
"""


def test_a_build_that_was_killed_leaves_a_cache_that_the_next_build_fills(
    engine: Engine, tmp_path: Path
) -> None:
    pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')
    cache = PlanCache(tmp_path / 'cache')
    command = [*build_command(engine, BuildOptions(), cache.folder), '--for', 'sm_86']
    build = BackgroundBuild([sys.executable, '-c', KILLED, *command[3:]])
    assert build.wait().failure.startswith('its process ended with signal 9')
    assert [path.suffix for path in cache.folder.iterdir()] == ['.lock']
    assert BackgroundBuild(command).wait().failure == ''
    assert [plan.damage for plan in cache.plans()] == ['']


def test_two_nodes_that_start_at_once_build_one_plan(engine: Engine, tmp_path: Path) -> None:
    pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')
    cache = PlanCache(tmp_path / 'cache')
    command = [*build_command(engine, BuildOptions(), cache.folder), '--for', 'sm_86']
    builds = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [[json.loads(line) for line in build.communicate()[0].splitlines()] for build in builds]
    assert [build.returncode for build in builds] == [0, 0]
    built = [rows for rows in said if any(row.get('phase') == 'Building engine' for row in rows)]
    assert len(built) == 1
    assert said[0][-1] == said[1][-1]
    assert [plan.damage for plan in cache.plans()] == ['']


PARENT = """
import os, sys, time
from seg_ros.inference.tensorrt.background_build import BackgroundBuild
child = "import os, sys; print('{\\"phase\\": \\"' + str(os.getpid()) + '\\", \\"share\\": 0.5}', "
child += "flush=True); from seg_ros.inference.tensorrt import build_process; "
child += "build_process._end_with_caller()"
build = BackgroundBuild([sys.executable, '-c', child])
while build.state().share == 0.0:
    time.sleep(0.01)
print(build.state().phase, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_build_ends_when_its_caller_is_killed() -> None:
    parent = subprocess.run(
        [sys.executable, '-c', PARENT], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    pid = int(parent.stdout)

    def is_gone() -> bool:
        try:
            state = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0]
        except OSError:
            return True
        return state == 'Z'  # dead, and nobody has asked how

    until(is_gone)


@pytest.mark.parametrize('name', ['auto', 'tensorrt'])
def test_masks_come_at_once_while_the_plan_is_built_and_then_from_the_gpu(
    name: str, machine: FakeMachine, engine: Engine, tmp_path: Path
) -> None:
    plans = PlanOptions(tmp_path / 'cache', build_in_background=True)
    start_s = time.monotonic()
    backend, reason = create_backend(name, engine, threads=1, plans=plans)
    images = seeded_images()
    expected = backend.infer(images).labels.copy()
    assert time.monotonic() - start_s < 10.0
    assert backend.name in ('openvino', 'onnxruntime')
    assert reason.startswith('tensorrt: ')
    assert (
        f'{backend.name} serves until its plan is built (none was built yet for no GPU' in reason
    )
    assert backend_status(backend).state == 'building'
    (stub,) = stubs
    assert stub.command[2:5] == [build_process.__name__, str(engine.folder), '--precision']

    store(PlanCache(plans.cache_path), engine, machine)
    stub.end()

    def is_gpu() -> bool:
        assert (backend.infer(images).labels == expected).mean() > 0.99
        return backend.name == 'tensorrt'

    until(is_gpu)
    assert backend_status(backend).state == 'ready'
    backend.close()
    assert machine.memory.open_count == 0


def test_with_its_plan_in_the_cache_the_gpu_serves_at_once(
    machine: FakeMachine, engine: Engine, tmp_path: Path
) -> None:
    store(PlanCache(tmp_path / 'cache'), engine, machine)
    for background in (False, True):
        plans = PlanOptions(tmp_path / 'cache', build_in_background=background)
        backend, reason = create_backend('auto', engine, plans=plans)
        assert backend.name == 'tensorrt'
        assert reason == 'tensorrt: there is an NVIDIA GPU with TensorRT'
        backend.close()
    assert not stubs


def test_who_does_not_want_to_build_is_told_what_is_missing(
    machine: FakeMachine, engine: Engine, tmp_path: Path
) -> None:
    plans = PlanOptions(tmp_path / 'cache')
    backend, reason = create_backend('auto', engine, threads=1, plans=plans)
    assert backend.name in ('openvino', 'onnxruntime')
    assert 'not tensorrt: There is no TensorRT plan' in reason
    assert 'seg_ros build-engine tiny' in reason
    with pytest.raises(PlanMissing):
        create_backend('tensorrt', engine, plans=plans)
    assert not stubs


def test_a_gpu_without_memory_lets_auto_take_the_cpu_and_says_so(
    machine: FakeMachine, engine: Engine, tmp_path: Path
) -> None:
    store(PlanCache(tmp_path / 'cache'), engine, machine)
    machine.capacity = 4096
    plans = PlanOptions(tmp_path / 'cache', build_in_background=True)
    backend, reason = create_backend('auto', engine, threads=1, plans=plans)
    assert backend.name in ('openvino', 'onnxruntime')
    assert 'not tensorrt: allocate failed on no GPU' in reason
    assert 'The GPU has no memory left.' in reason
    with pytest.raises(BackendError, match='no memory left'):
        create_backend('tensorrt', engine, plans=plans)


def test_int8_of_an_engine_that_has_none_is_refused_at_once(
    machine: FakeMachine, engine: Engine, tmp_path: Path
) -> None:
    plans = PlanOptions(tmp_path / 'cache', build_in_background=True)
    for name in ('auto', 'tensorrt'):
        with pytest.raises(EngineError, match=r'no model.int8.onnx .*another precision'):
            create_backend(name, engine, precision='int8', plans=plans)
    assert not stubs


@pytest.mark.parametrize('damage', ['truncated', 'refused', 'other version', 'changed onnx'])
def test_a_plan_that_is_no_good_is_rebuilt_while_the_cpu_serves(
    damage: str, machine: FakeMachine, engine: Engine, tmp_path: Path
) -> None:
    """The acceptance test: four of four recover without a restart."""
    import onnx

    from test.tiny_onnx import network

    cache = PlanCache(tmp_path / 'cache')
    if damage == 'other version':
        store(cache, engine, FakeMachine(version='10.3.0'))
    else:
        store(cache, engine, machine, b'refused' if damage == 'refused' else None)
    if damage == 'truncated':
        (path,) = cache.folder.glob('*.plan')
        path.write_bytes(path.read_bytes()[:-9])
    if damage == 'changed onnx':
        onnx.save(network(seed=3), engine.onnx_path)
    plans = PlanOptions(cache.folder, build_in_background=True)
    backend, reason = create_backend('auto', engine, threads=1, plans=plans)
    assert backend.name != 'tensorrt'
    assert {
        'truncated': 'is truncated',
        'refused': 'refuses the plan',
        'other version': 'was built by tensorrt 10.3.0, this is tensorrt 10.16.1.11',
        'changed onnx': 'was built from another network file',
    }[damage] in reason
    store(cache, engine, machine)  # what the build does
    stubs[0].end()
    images = seeded_images()

    def is_gpu() -> bool:
        backend.infer(images)
        return backend.name == 'tensorrt'

    until(is_gpu)
    backend.close()
