# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from seg_ros.cli import main
from seg_ros.commands.doctor import command as doctor
from seg_ros.commands.doctor import machine as doctor_machine
from seg_ros.commands.doctor import ros as doctor_ros
from seg_ros.commands.doctor.check import CheckResult
from seg_ros.commands.doctor.ros import Finding
from seg_ros.core.errors import BackendUnavailable
from seg_ros.inference import onnxruntime_backend, openvino_backend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.tensorrt import backend as tensorrt_backend
from seg_ros.inference.tuning.choice import Candidate, Timing
from seg_ros.inference.tuning.memory import remember, tune_key
from seg_ros.ros.middleware import FASTDDS_PROFILE as PROFILE
from seg_ros.ros.middleware import profile_variable
from test.tiny_onnx import network, write_engine

FOUND = Finding('rmw_fastrtps_cpp', received=True)
Usage = namedtuple('Usage', ['total', 'used', 'free'])  # noqa: PYI024  as shutil returns it


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(('ROS_', 'FASTDDS_', 'FASTRTPS_', 'SEG_ROS_')):
            monkeypatch.delenv(name)


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes one engine, and the places where others are found invisible."""
    write_engine(tmp_path / 'tiny')
    monkeypatch.setattr(doctor_machine, 'engine_search_path', lambda: [tmp_path])
    monkeypatch.setattr('seg_ros.inference.engine.engine_search_path', lambda: [tmp_path])
    return tmp_path


def one(rows: Iterable[CheckResult], check: str) -> CheckResult:
    (row,) = [row for row in rows if row.check == check]
    return row


def test_a_machine_that_can_run_the_main_job_gets_exit_code_0_and_a_list_of_checks(
    engines: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', str(os.getpid() % 100))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    code = main(['doctor', '--json'])
    rows = json.loads(capsys.readouterr().out)
    assert [row for row in rows if not row['ok']] == []
    assert code == 0
    assert all(set(row) == {'check', 'ok', 'value', 'fix'} for row in rows)
    found = {row['check']: row['value'] for row in rows}
    assert 'an image came through' in found['middleware']
    assert re.match(r'64x32, 5 classes, [\d.]+ ms with ', found['engine tiny'])
    assert {'Python', 'numpy', 'cv2', 'ROS', 'shared memory', 'GPU', 'TensorRT'} <= set(found)


def test_one_check_that_fails_is_marked_in_the_table_and_in_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        CheckResult('wheels', True, 'four'),
        CheckResult('horn', True, 'quiet', 'Press harder.'),
        CheckResult('brakes', False, 'none', 'Do not drive; ' + 'walk ' * 30),
    ]
    monkeypatch.setattr(doctor, '_look', lambda _: iter(rows))
    assert main(['doctor']) == 1
    table = capsys.readouterr().out
    assert re.search(r'^ok    wheels  four$', table, re.MULTILINE)
    assert re.search(r'^hint  horn    quiet\n +-> Press harder\.$', table, re.MULTILINE)
    assert re.search(r'^FIX   brakes  none\n +-> Do not drive', table, re.MULTILINE)
    assert '1 of 3 checks must be fixed' in table
    assert max(map(len, table.splitlines())) <= 120


def test_a_ros_that_does_not_start_is_said_with_its_reason_and_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor_ros, 'CHILD', 'import rclpy_of_nobody')
    finding = doctor_ros.find_ros()
    row = one(doctor_ros.ros_rows(finding), 'ROS')
    assert not row.ok
    assert row.value == "does not start: ModuleNotFoundError: No module named 'rclpy_of_nobody'"
    assert 'pip install' in row.fix
    assert 'source /opt/ros' in row.fix


@pytest.mark.parametrize(
    ('error', 'said', 'fix'),
    [
        (
            "RCLError: failed to initialize logging: Failed to create log directory '/x', at /a:1",
            "Failed to create log directory '/x'",
            'set one to what this user can write',
        ),
        (
            'rclpy.RCLError: failed to initialize rcl: ROS_DOMAIN_ID is odd, at /src/domain.c:4',
            'ROS_DOMAIN_ID is odd',
            'Set ROS_DOMAIN_ID to a number from 0 to 232',
        ),
    ],
)
def test_a_ros_that_is_installed_and_does_not_start_is_not_to_be_installed(
    error: str, said: str, fix: str
) -> None:
    row = one(doctor_ros.ros_rows(Finding(error=error)), 'ROS')
    assert row.value == f'does not start: {said}'
    assert fix in row.fix
    assert 'pip install' not in row.fix


def test_a_node_that_waits_in_vain_is_shown_with_what_was_probably_meant() -> None:
    finding = FOUND._replace(
        cameras={'/camera/image': 'reliable'},
        unfed={
            '/segmentation': {'/image': 'sensor_msgs/msg/Image'},
            '/gate': {'/pedestrian_stop': 'std_msgs/msg/Bool'},
        },
    )
    rows = list(doctor_ros.ros_rows(finding))
    node = one(rows, 'node /segmentation')
    assert (node.mark, node.value) == ('hint', 'waits for /image (sensor_msgs/msg/Image)')
    assert 'image topics here: /camera/image (did you mean it?)' in node.fix
    assert one(rows, 'node /gate').fix == 'Nobody publishes /pedestrian_stop.'


def test_what_nodes_wait_for_is_found_among_all_that_they_read() -> None:
    readers = {
        '/segmentation': {
            '/image': ['sensor_msgs/msg/Image'],
            '/camera_info': ['sensor_msgs/msg/CameraInfo'],
            '/odom': ['nav_msgs/msg/Odometry'],
            '/parameter_events': ['rcl_interfaces/msg/ParameterEvent'],
        },
        '/gate': {'/s/pedestrian_stop': ['std_msgs/msg/Bool'], '/door': ['std_msgs/msg/Bool']},
        '/rviz': {'/camera_info': ['sensor_msgs/msg/CameraInfo']},
    }
    assert doctor_ros._unfed(readers, {'/camera_info'}) == {
        '/segmentation': {'/image': 'sensor_msgs/msg/Image'},
        '/gate': {'/s/pedestrian_stop': 'std_msgs/msg/Bool'},
    }


def test_a_ros_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_ros, 'CHILD', 'import time; time.sleep(60)')
    monkeypatch.setattr(doctor_ros, 'CHILD_TIMEOUT_S', 0.2)
    assert 'did not answer' in doctor_ros.find_ros().error


def test_an_image_that_does_not_come_back_must_be_fixed() -> None:
    row = one(doctor_ros.ros_rows(Finding('rmw_fastrtps_cpp')), 'middleware')
    assert not row.ok
    assert 'ROS_AUTOMATIC_DISCOVERY_RANGE' in row.fix


def test_missing_message_packages_are_named_as_apt_calls_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor_ros, 'MESSAGES', ('std_msgs', 'moon_msgs'))
    row = one(doctor_ros.ros_rows(FOUND), 'messages')
    assert not row.ok
    assert re.fullmatch(r'apt install ros-\w+-moon-msgs', row.fix)


def test_topics_that_a_missing_package_costs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_ros, 'MORE', {'std_msgs': 'words', 'moon_msgs': 'moon'})
    row = one(doctor_ros.ros_rows(FOUND), 'messages')
    assert (row.ok, row.value) == (True, 'all; without moon_msgs no moon')


def test_a_sourced_distribution_beside_the_wheels_of_another_is_a_hint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor_ros, '_wheel_distributions', lambda: ['jazzy'])
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    row = one(doctor_ros.ros_rows(FOUND), 'ROS')
    assert row.mark == 'hint'
    assert row.value == 'jazzy as wheels, humble sourced'


def test_best_effort_cameras_are_told_what_they_need() -> None:
    finding = FOUND._replace(cameras={'/front/image': 'best effort', '/rear/image': 'reliable'})
    row = one(doctor_ros.ros_rows(finding), 'cameras')
    assert row.value == '/front/image (best effort), /rear/image (reliable)'
    assert f'{profile_variable()}={PROFILE}' in row.fix
    assert one(doctor_ros.ros_rows(FOUND), 'cameras').mark == 'ok'


@pytest.mark.parametrize(
    ('name', 'value', 'check', 'mark'),
    [
        ('ROS_DOMAIN_ID', '42', 'domain', 'ok'),
        ('ROS_DOMAIN_ID', '233', 'domain', 'FIX'),
        ('ROS_DOMAIN_ID', 'robot', 'domain', 'FIX'),
        ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST', 'discovery', 'ok'),
        ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF', 'discovery', 'FIX'),
        ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCAL', 'discovery', 'FIX'),
    ],
)
def test_discovery_settings_are_checked(
    name: str, value: str, check: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    row = one(doctor_ros.discovery_rows(), check)
    assert row.mark == mark
    assert value in row.value or mark == 'ok'


@pytest.mark.parametrize(('free_mb', 'mark'), [(4000, 'ok'), (64, 'hint'), (8, 'FIX')])
def test_little_shared_memory_is_a_hint_and_none_must_be_fixed(
    free_mb: int, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = Usage(8000 << 20, 0, free_mb << 20)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    row = one(doctor_ros.shared_memory_rows(FOUND), 'shared memory')
    assert row.mark == mark
    assert row.value.startswith(f'{free_mb} of 8000 MB free')


def fast_dds() -> CheckResult:
    return one(doctor_ros.shared_memory_rows(FOUND), 'Fast DDS')


def test_camera_drivers_are_told_of_our_profile() -> None:
    assert fast_dds().mark == 'hint'
    assert f'export {profile_variable()}={PROFILE}' in fast_dds().fix


def test_our_profile_holds_what_the_doctor_says_it_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(profile_variable(), str(PROFILE))
    assert fast_dds().mark == 'ok'
    copy = shutil.copy(PROFILE, tmp_path)
    monkeypatch.setenv(profile_variable(), str(copy))
    assert fast_dds() == CheckResult('Fast DDS', True, f'{copy} with 32 MB of shared memory')


def test_a_profile_that_is_missing_or_small_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs = tmp_path / 'theirs.xml'
    monkeypatch.setenv(profile_variable(), str(theirs))
    assert fast_dds().mark == 'FIX'
    theirs.write_text('<dds><segment_size>1048576</segment_size></dds>')
    assert fast_dds().mark == 'hint'
    assert '1 MB of shared memory' in fast_dds().value


def test_transports_of_the_users_own_are_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4')
    assert fast_dds().mark == 'hint'
    assert 'FASTDDS_BUILTIN_TRANSPORTS=UDPv4' in fast_dds().value


def test_another_middleware_needs_no_profile() -> None:
    row = one(doctor_ros.shared_memory_rows(Finding('rmw_zenoh_cpp', True)), 'Fast DDS')
    assert row == CheckResult('Fast DDS', True, 'not in use (rmw_zenoh_cpp)')


class FakeCuda:
    """libcuda, as far as the doctor asks it."""

    def __init__(self, error: int = 0, devices: tuple[str, ...] = ()) -> None:
        self._error = error
        self._devices = devices

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._error

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 13000
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self._devices)
        return 0

    def cuDeviceGetName(self, title: Any, size: int, index: int) -> int:  # noqa: N802
        title.value = self._devices[index].encode()
        return 0


@pytest.mark.parametrize(
    ('cuda', 'values', 'mark'),
    [
        (FakeCuda(devices=('Orin', 'H200')), ['Orin, CUDA 13.0', 'H200, CUDA 13.0'], 'ok'),
        (FakeCuda(), ['none visible, CUDA 13.0; inference runs on the CPU'], 'ok'),
        (FakeCuda(error=999), ['libcuda is there, but cuInit gives error 999'], 'hint'),
    ],
)
def test_gpus_are_an_option(
    cuda: FakeCuda, values: list[str], mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, 'CDLL', lambda _: cuda)
    monkeypatch.setattr(doctor_machine, '_driver_release', str)
    rows = list(doctor_machine.gpu_rows())
    assert all(row.value.startswith(value) for row, value in zip(rows, values, strict=True))
    assert {row.mark for row in rows} == {mark}


def test_a_machine_without_libcuda_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, 'CDLL', missing)
    (row,) = doctor_machine.gpu_rows()
    assert row == CheckResult('GPU', True, 'none (no libcuda); inference runs on the CPU')


@pytest.mark.parametrize(
    ('code', 'mark', 'value'),
    [
        ("__version__ = '10.3.0'", 'ok', 'tensorrt 10.3.0'),
        ("raise ImportError('libnvinfer.so.10')", 'hint', 'ImportError: libnvinfer.so.10'),
        ('import os; os.abort()', 'hint', 'it crashed'),
    ],
)
def test_tensorrt_is_asked_in_a_child_that_may_crash(
    code: str, mark: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'tensorrt.py').write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.setattr(doctor_machine, 'TENSORRT_MODULES', (('tensorrt', 'tensorrt_bindings'),))
    (row,) = doctor_machine.tensorrt_rows()
    assert row.mark == mark
    assert row.value.endswith(value)


def test_an_old_or_missing_library_must_be_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (('numpy', (99, 0), 'pip install numpy'), ('moon', (1, 0), 'pip install moon'))
    monkeypatch.setattr(doctor_machine, 'LIBRARIES', rows)
    old, missing, _ = doctor_machine.library_rows()
    assert (old.mark, old.fix) == ('FIX', 'pip install numpy')
    assert missing.value == "cannot be imported: No module named 'moon'"


def test_cv2_that_takes_the_arrays_of_numpy_is_told() -> None:
    row = one(doctor_machine.library_rows(), 'cv2 with numpy')
    assert row.mark == 'ok'
    assert row.value.startswith('they fit: numpy ')


@pytest.mark.parametrize('command', ['doctor', 'replay', 'run'])
def test_cv2_of_another_numpy_is_one_sentence_with_what_to_do_in_every_command(
    command: str, tmp_path: Path
) -> None:
    """Ubuntu's cv2 under numpy 2 of pip: a traceback of twenty lines, and nothing to do in it."""
    (tmp_path / 'cv2.py').write_text("raise ImportError('numpy.core.multiarray failed to import')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    child = subprocess.run(
        [sys.executable, '-m', 'seg_ros.cli', command],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 1
    assert 'Traceback' not in child.stderr
    assert 'multiarray failed to import. cv2 and cv_bridge of Ubuntu' in child.stderr
    assert "pip install 'numpy<2'" in child.stderr


def test_cv2_that_breaks_at_its_first_call_is_found_in_a_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = 'import os; print("Segmentation fault", file=__import__("sys").stderr); os.abort()'
    monkeypatch.setattr(doctor_machine, 'TRY_CV2', broken)
    row = one(doctor_machine.library_rows(), 'cv2 with numpy')
    assert row.mark == 'FIX'
    assert 'they do not fit' in row.value
    assert "'numpy<2'" in row.fix


def test_one_backend_is_enough_and_the_other_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    def version() -> str:
        raise BackendUnavailable('it is not installed.')

    monkeypatch.setattr(openvino_backend, 'version', version)
    assert one(doctor_machine.backend_rows(), 'backend openvino').mark == 'hint'
    monkeypatch.setattr(onnxruntime_backend, 'version', version)
    assert {row.mark for row in doctor_machine.backend_rows()} == {'FIX'}


def test_an_engine_that_does_not_fit_is_found_by_running_it(engines: Path) -> None:
    write_engine(engines / 'wrong', network(classes=4))
    wrong = network()
    wrong.graph.node[3].op_type = 'Convolution'
    write_engine(engines / 'unknown', wrong)
    rows = list(doctor_machine.engine_rows())
    assert one(rows, 'engine tiny').ok
    assert "names 5 classes, but 'logits: " in one(rows, 'engine wrong').fix
    assert 'cannot load' in one(rows, 'engine unknown').fix


def test_no_engine_at_all_must_be_fixed(engines: Path) -> None:
    shutil.rmtree(engines / 'tiny')
    (row,) = doctor_machine.engine_rows()
    assert row.mark == 'FIX'
    assert 'SEG_ROS_ENGINES' in row.fix


def test_the_doctor_itself_never_imports_ros() -> None:
    code = (
        'import sys, seg_ros.commands.doctor.command; '
        "print([name for name in sys.modules if name.split('.')[0] in ('rclpy', 'sensor_msgs')])"
    )
    child = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() == '[]'


def test_what_is_fastest_is_shown_where_it_was_measured_and_else_how_to_measure_it(
    engines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('SEG_ROS_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(tensorrt_backend, 'version', unavailable)
    row = one(doctor_machine.engine_rows(), 'engine tiny')
    assert 'licence: unknown, its spec.yaml names none; training data: none' in row.value
    assert 'no domain: fog, defocus or a room are no reason to stop' in row.value
    assert row.mark == 'hint'
    assert row.fix == (
        'What is fastest here was not measured (nothing was measured here yet): seg_ros tune tiny'
    )
    engine = load_engine(engines / 'tiny')
    times = Timing(Candidate('openvino', 'fp32', 1), 1.0, 1.0, 65.0, 70.0, 80.0)
    remember(engine, tune_key(engine), [times])
    row = one(doctor_machine.engine_rows(), 'engine tiny')
    assert row.mark == 'ok'
    assert 'openvino: measured 65 ms an image' in row.value


def test_what_was_measured_on_a_busy_machine_is_to_be_measured_again(
    engines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('SEG_ROS_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(tensorrt_backend, 'version', unavailable)
    engine = load_engine(engines / 'tiny')
    times = Timing(Candidate('openvino', 'fp32', 1), 1.0, 1.0, 65.0, 70.0, 80.0)
    remember(engine, tune_key(engine), [times], others_share=0.63)
    row = one(doctor_machine.engine_rows(), 'engine tiny')
    assert row.mark == 'hint'
    assert row.fix == (
        'Others took 63% of the processors when it was measured; measure again in quiet: '
        'seg_ros tune tiny'
    )
    assert 'openvino: measured 65 ms an image' in row.value  # it counts all the same


def unavailable() -> str:
    raise BackendUnavailable('it is not installed.')
