# SPDX-License-Identifier: Apache-2.0
"""What ``seg_ros doctor`` looks at outside of ROS: Python, libraries, GPU, backends, engines."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np

from seg_ros.commands.doctor.check import CheckResult
from seg_ros.core.errors import BackendError, BackendUnavailable, SegRosError
from seg_ros.inference.cpu_backend import available_cores, bf16_instructions, inference_threads
from seg_ros.inference.cuda.device_memory import memory_version, open_device_memory
from seg_ros.inference.cuda.gpu import driver_version, find_gpu
from seg_ros.inference.engine import Engine, engine_search_path, find_engines, load_engine
from seg_ros.inference.registry import AUTO_ORDER, create_backend, probe_backends
from seg_ros.inference.tuning.memory import recall, tune_key
from seg_ros.ros.process import NUMPY_UNFIT

__all__ = [
    'backend_rows',
    'cuda_rows',
    'engine_rows',
    'gpu_rows',
    'library_rows',
    'machine_rows',
    'tensorrt_rows',
]

OLDEST_PYTHON = (3, 10)  # Humble's
CUDA_NAMES = ('libcuda.so.1', 'libcuda.so')
CHILD_TIMEOUT_S = 30.0  # to import TensorRT, or for nvidia-smi to answer

# Module, oldest version that works, command that installs it
LIBRARIES = (
    ('numpy', (1, 21), "pip install 'numpy>=1.21', or: apt install python3-numpy"),
    (
        'cv2',
        (4, 5),
        "pip install 'opencv-python-headless==5.0.0.93', or: apt install python3-opencv",
    ),
    ('yaml', (5, 4), "pip install 'pyyaml>=5.4', or: apt install python3-yaml"),
)
TRY_CV2 = """
import cv2, numpy
small = cv2.resize(numpy.zeros((4, 4, 3), numpy.uint8), (2, 2))
assert small.shape == (2, 2, 3)
print('numpy', numpy.__version__, numpy.__path__[0], 'cv2', cv2.__version__, cv2.__file__)
"""
# Each with the name that its bindings have when they are installed alone
TENSORRT_MODULES = (('tensorrt', 'tensorrt_bindings'), ('tensorrt_rtx', 'tensorrt_rtx_bindings'))

WAITS_WITHOUT_LOCK = (12, 9)  # cuda-bindings from which a wait lets Python go on

RUNS = 5  # the median leaves out the first, which is slower


def machine_rows() -> Iterable[CheckResult]:
    """Yields Python and the processor."""
    found = f'{platform.python_version()} ({sys.executable})'
    if sys.version_info >= OLDEST_PYTHON:
        yield CheckResult('Python', True, found)
    else:
        yield CheckResult('Python', False, found, 'Take Python 3.10 or newer.')
    flags = ', '.join(bf16_instructions()) or 'no bf16'
    yield CheckResult(
        'processor',
        True,
        f'{platform.machine()}, {available_cores()} cores for this process, '
        f'{inference_threads(0)} for inference, {flags}',
    )


def library_rows() -> Iterable[CheckResult]:
    """Yields the libraries that everything stands on."""
    for name, oldest, fix in LIBRARIES:
        try:
            version = str(import_module(name).__version__)
        except ImportError as error:
            yield CheckResult(name, False, f'cannot be imported: {error}', fix)
            continue
        numbers = tuple(int(part) for part in version.split('.')[:2] if part.isdigit())
        is_new_enough = numbers >= oldest
        yield CheckResult(name, is_new_enough, version, '' if is_new_enough else fix)
    yield _numpy_row()


def _numpy_row() -> CheckResult:
    """Tells whether what was compiled against numpy takes arrays of the one that is here.

    In a child: what was built for numpy 1 prints pages on numpy 2, raises, or ends the process.
    """
    name = 'cv2 with numpy'
    child = _child([sys.executable, '-c', TRY_CV2])
    if child is not None and child.returncode == 0:
        return CheckResult(name, True, 'they fit: ' + child.stdout.strip())
    said = (child.stderr.strip().splitlines() or ['it crashed'])[-1] if child else 'it hung'
    return CheckResult(
        name, False, f'they do not fit (numpy {np.__version__}): {said}', NUMPY_UNFIT
    )


def gpu_rows() -> Iterable[CheckResult]:
    """Yields the NVIDIA GPUs, or why none can be used. A GPU is an option."""
    for name in CUDA_NAMES:
        try:
            cuda = ctypes.CDLL(name)
            break
        except OSError:
            continue
    else:
        yield CheckResult('GPU', True, 'none (no libcuda); inference runs on the CPU')
        return
    if error := cuda.cuInit(0):
        yield CheckResult(
            'GPU',
            True,
            f'libcuda is there, but cuInit gives error {error}; inference runs on the CPU',
            'Compare the driver with the kernel module (nvidia-smi); in a container start it with '
            '--gpus all.',
        )
        return
    driver, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(driver))
    cuda.cuDeviceGetCount(ctypes.byref(count))
    version = f'CUDA {driver.value // 1000}.{driver.value % 1000 // 10}{_driver_release()}'
    if not count.value:
        yield CheckResult('GPU', True, f'none visible, {version}; inference runs on the CPU')
    for index in range(count.value):
        title = ctypes.create_string_buffer(100)
        cuda.cuDeviceGetName(title, len(title), index)
        yield CheckResult('GPU', True, f'{title.value.decode()}, {version}')


def cuda_rows() -> Iterable[CheckResult]:
    """Yields the library for GPU memory, tried, where there is a GPU. It is an option."""
    try:
        find_gpu()
    except BackendUnavailable:
        return
    try:
        name, version = memory_version()
        open_device_memory().close()
    except BackendError as error:
        yield CheckResult('GPU memory', True, 'cannot be used', str(error))
        return
    numbers = tuple(int(part) for part in version.split()[-1].split('.')[:2] if part.isdigit())
    fix = ''
    if name == 'cuda-bindings' and numbers < WAITS_WITHOUT_LOCK:
        fix = (
            "It holds Python's lock while it waits for the GPU, and all else waits with it: "
            "pip install 'cuda-bindings==12.9.10' (CUDA 12) or 'cuda-bindings==13.4.4' (CUDA 13)."
        )
    driver = '.'.join(map(str, driver_version()))
    yield CheckResult('GPU memory', True, f'{version} on a driver of CUDA {driver}', fix)


def tensorrt_rows() -> Iterable[CheckResult]:
    """Yields the TensorRT libraries. They are an option."""
    found = [[name for name in names if find_spec(name)] for names in TENSORRT_MODULES]
    for name, *_ in filter(None, found):
        # In a child: a TensorRT without its driver can take the process with it.
        command = f'import {name}; print({name}.__version__)'
        child = _child([sys.executable, '-c', command])
        if child is not None and child.returncode == 0:
            yield CheckResult('TensorRT', True, f'{name} {child.stdout.strip()}')
        else:
            said = (
                (child.stderr.strip().splitlines() or ['it crashed'])[-1] if child else 'it hung'
            )
            yield CheckResult(
                'TensorRT',
                True,
                f'{name} is installed, but cannot be imported: {said}',
                'Install the TensorRT libraries of the same version as its Python package.',
            )
    if not any(found):
        yield CheckResult('TensorRT', True, 'not installed; only a GPU needs it')


def _driver_release() -> str:
    child = _child(['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'])
    if child is None or child.returncode or not child.stdout.strip():
        return ''
    return f', driver {child.stdout.split()[0]}'


def _child(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """Runs a program; returns None when it is not there or hangs."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def backend_rows() -> Iterable[CheckResult]:
    """Yields every backend; one that can be chosen by itself must be there."""
    probes = [probe for probe in probe_backends() if probe.name in AUTO_ORDER]
    any_runs = any(probe.available for probe in probes)
    for probe in probes:
        yield CheckResult(f'backend {probe.name}', any_runs, probe.detail, probe.fix)


def engine_rows() -> Iterable[CheckResult]:
    """Yields every engine: its files fit each other, and it runs here."""
    engines = find_engines()
    if not engines:
        places = ', '.join(str(place) for place in engine_search_path())
        yield CheckResult(
            'engines',
            False,
            f'none found in {places}',
            'Set SEG_ROS_ENGINES to the folder that holds the engine folders, or make one: make '
            'engine',
        )
    for name, folder in engines.items():
        yield _engine_row(name, folder)


# Of an engine; said where nobody has measured it
UNMEASURED = (
    'no domain: fog, defocus or a room are no reason to stop (seg_ros calibrate-engine measures '
    'it); '
)


def _engine_row(name: str, folder: Path) -> CheckResult:
    try:
        engine = load_engine(folder)
        chosen = create_backend('auto', engine)
        backend = chosen.backend
        advice = '' if backend.name == 'tensorrt' else _measuring_advice(engine, name)
        width, height = engine.network_size_wh
        images = np.zeros((1, height, width, 3), np.uint8)
        times_s = []
        for _ in range(RUNS):
            start_s = time.perf_counter()
            backend.infer(images)
            times_s.append(time.perf_counter() - start_s)
        backend.close()
    except SegRosError as error:
        return CheckResult(f'engine {name}', False, 'cannot be used', str(error))
    return CheckResult(
        f'engine {name}',
        True,
        f'{width}x{height}, {len(engine.label_map.classes)} classes, '
        f'{median(times_s) * 1e3:.1f} ms with {backend.name} ({backend.detail}); {chosen.reason}; '
        f'{UNMEASURED if engine.domain is None else ""}{engine.origin}; {folder}',
        advice,
    )


def _measuring_advice(engine: Engine, name: str) -> str:
    """Returns what to do so that the fastest way to run an engine here is known."""
    remembered = recall(engine, tune_key(engine))
    if remembered.why:
        return f'What is fastest here was not measured ({remembered.why}): seg_ros tune {name}'
    if remembered.doubt:
        return f'{remembered.doubt.capitalize()}; measure again in quiet: seg_ros tune {name}'
    return ''
