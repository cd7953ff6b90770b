# SPDX-License-Identifier: Apache-2.0
"""The node as a process: start, refusals, signals, environment."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from std_msgs.msg import String

from seg_ros.ros.middleware import FASTDDS_PROFILE, PROFILE_VARIABLES, TRANSPORT_VARIABLE
from seg_ros.ros.segmentation_node import autostart
from test.paths import REPOSITORY
from test.ros.graph import LATCHED, Graph, wait_for
from test.ros.nodes import canned

RUN = [sys.executable, '-m', 'seg_ros.cli', 'run']
TOLD_TO_END_IN = """
import importlib, os, signal, sys, time
import rclpy

place, kind, name = sys.argv[1].split('.')
module = importlib.import_module(f'seg_ros.ros.{place}')
node = getattr(module, kind)
method = getattr(node, name)

def told_to_end(*arguments, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    # The gate has a word to say, and ROS goes on until then
    end_s = time.monotonic() + (0.2 if place == "gate_node" else 20.0)
    while rclpy.ok() and time.monotonic() < end_s:
        time.sleep(0.001)
    print('told to end', flush=True)
    return method(*arguments, **options)

setattr(node, name, told_to_end)
sys.exit(module.main(sys.argv[2:]))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / 'node.log'


@pytest.fixture
def node(domain_id: int, engine: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open('wb') as out:
        process = subprocess.Popen(
            [*RUN, '--ros-args', '-p', f'engine:={engine}', '-p', 'backend:=canned'],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
        )
        yield process
        process.kill()
        process.wait()


@pytest.mark.parametrize('word', [signal.SIGINT, signal.SIGTERM])
def test_the_process_activates_itself_and_ends_cleanly_on_a_signal(
    graph: Graph, node: subprocess.Popen[bytes], log: Path, word: signal.Signals
) -> None:
    classes = graph.collect(String, '/segmentation/classes', LATCHED)
    wait_for(lambda: classes, 'the classes, which an active node publishes')
    node.send_signal(word)
    assert node.wait(10.0) == 0
    assert 'Traceback' not in log.read_text()
    assert f'by {FASTDDS_PROFILE}' in log.read_text()


@pytest.mark.parametrize(
    'method',
    [
        'segmentation_node.SegmentationNode.__init__',
        'segmentation_node.SegmentationNode.on_configure',
        'segmentation_node.SegmentationNode._steady_timer',
        'gate_node.GateNode.__init__',
    ],
)
def test_a_process_that_is_told_to_end_while_it_starts_ends_as_cleanly(
    domain_id: int, engine: Path, method: str
) -> None:
    of_the_node = ('-p', f'engine:={engine}', '-p', 'backend:=canned')
    result = subprocess.run(
        [
            *(sys.executable, '-c', TOLD_TO_END_IN, method),
            *(('--ros-args', *of_the_node) if 'gate' not in method else ()),
        ],
        capture_output=True,
        text=True,
        timeout=30.0,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
    )
    assert 'told to end' in result.stdout
    assert (result.returncode, 'Traceback' in result.stderr) == (0, False), result.stderr


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['-p', 'engine:=nowhere'], 'nowhere'),
        (['-p', 'overlay_alpha:=1.7'], 'overlay_alpha'),
        (['-p', 'backend:=abacus'], 'Choose one of auto'),
        (['-p', 'camera_names:=[a, b]'], 'Give one topic per camera'),
        (['-p', 'inference_threads:=many'], 'inference_threads'),
    ],
)
def test_a_node_that_cannot_work_says_why_and_exits_with_1(
    domain_id: int, engine: Path, arguments: list[str], words: str
) -> None:
    result = subprocess.run(
        [*RUN, '--ros-args', '-p', f'engine:={engine}', '-p', 'backend:=canned', *arguments],
        capture_output=True,
        text=True,
        timeout=30.0,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
    )
    assert result.returncode == 1
    assert words in result.stderr
    assert 'Traceback' not in result.stderr


def test_the_help_of_run_lists_the_parameters() -> None:
    result = subprocess.run([*RUN, '--help'], capture_output=True, text=True, timeout=30.0)
    assert result.returncode == 0
    assert 'diagnostics_stale_s:=0.5' in result.stdout


def in_a_child(code: str, **variables: str) -> str:
    """Returns what Python code prints in a process without Fast DDS settings but these."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith('FAST')}
    result = subprocess.run(
        [sys.executable, '-c', f'from seg_ros.ros.middleware import *; prepare_process(); {code}'],
        capture_output=True,
        text=True,
        env={**environment, **variables},
        timeout=30.0,
        check=True,
    )
    return result.stdout.strip()


@pytest.mark.parametrize('variable', [*PROFILE_VARIABLES.values(), TRANSPORT_VARIABLE])
def test_the_users_own_fast_dds_settings_are_left_alone(variable: str) -> None:
    code = "import os; print(*(v for k, v in os.environ.items() if k.startswith('FAST')))"
    assert in_a_child(code, **{variable: 'theirs'}) == 'theirs'


def test_a_prepared_process_has_shared_memory_for_large_images(domain_id: int) -> None:
    code = (
        'import glob, os, rclpy; before = set(glob.glob("/dev/shm/fast*"));'
        'rclpy.init(); node = rclpy.create_node("n");'
        'made = set(glob.glob("/dev/shm/fast*")) - before;'
        'print(max(os.path.getsize(file) for file in made)); rclpy.shutdown()'
    )
    assert int(in_a_child(code, ROS_DOMAIN_ID=str(domain_id))) > 32 << 20


def test_the_shipped_parameters_file_starts_the_node(
    graph: Graph, domain_id: int, engine: Path
) -> None:
    file = REPOSITORY / 'config/segmentation.yaml'
    arguments = ['--params-file', str(file), '-p', f'engine:={engine}', '-p', 'backend:=canned']
    process = subprocess.Popen(
        [*RUN, '--ros-args', *arguments, '-r', '__ns:=/robot'],
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
    )
    try:
        classes = graph.collect(String, '/robot/segmentation/classes', LATCHED)
        wait_for(lambda: classes, 'the classes, which an active node publishes')
    finally:
        process.terminate()
        assert process.wait(10.0) == 0


def test_a_node_with_a_process_of_its_own_has_its_garbage_looked_through_but_once(
    graph: Graph, engine: Path
) -> None:
    node = graph.node(started=False, **canned(engine))
    node.owns_process = True
    assert autostart(node)
    assert gc.get_freeze_count() > 1000
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert gc.get_freeze_count() == 0
