# SPDX-License-Identifier: Apache-2.0
"""Every name of TensorRT that our code uses is there, in each TensorRT that it is meant for.

The wheels hold the real bindings without their libraries; a stub of a library makes them
importable, so that they can be looked at (docs: platform-facts, section 1). Nothing is run.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from seg_ros.inference.tensorrt import api as tensorrt_api
from seg_ros.inference.tensorrt import plan_build as engine_build
from seg_ros.inference.tensorrt import plan_runner
from test.paths import REPOSITORY

# A wheel is of one Python, and make test-oldest runs these with another
WHEELS = REPOSITORY / 'out' / 'tensorrt-wheels' / str(sys.implementation.cache_tag)
DOWNLOAD_TIMEOUT_S = 60

FOR_RTX = frozenset(
    {
        'ComputeCapability',
        'ComputeCapability.CURRENT',
        'CudaGraphStrategy',
        'CudaGraphStrategy.WHOLE_GRAPH_CAPTURE',
        'IBuilderConfig.num_compute_capabilities',
        'IBuilderConfig.set_compute_capability',
        'IRuntimeConfig.create_runtime_cache',
        'IRuntimeConfig.cuda_graph_strategy',
        'IRuntimeConfig.set_runtime_cache',
        'IRuntimeCache.deserialize',
        'IRuntimeCache.serialize',
    }
)


class Bindings(NamedTuple):
    """A TensorRT whose names are looked at."""

    package: str
    version: str
    module: str
    missing: frozenset[str]


FULL = [
    Bindings(
        'tensorrt-cu12-bindings',
        '10.3.0',
        'tensorrt_bindings',
        FOR_RTX | {'ICudaEngine.create_runtime_config'},
    ),
    Bindings('tensorrt-cu12-bindings', '10.13.3.9', 'tensorrt_bindings', FOR_RTX),
    Bindings('tensorrt-cu12-bindings', '10.16.1.11', 'tensorrt_bindings', FOR_RTX),
    Bindings(
        'tensorrt-cu13-bindings',
        '11.4.0.106',
        'tensorrt_bindings',
        FOR_RTX,
    ),
]
RTX = Bindings('tensorrt-rtx', '', 'tensorrt_rtx_bindings', frozenset())

# Which class a variable of our code holds, file by file
VARIABLES = {
    tensorrt_api: {
        'builder': ['Builder'],
        'network': ['INetworkDefinition'],
        'config': ['IBuilderConfig', 'IRuntimeConfig'],
        'engine': ['ICudaEngine'],
        'cache': ['ITimingCache', 'IRuntimeCache'],
        'inspector': ['EngineInspector'],
        'base': ['ILogger'],
        'flags': ['BuilderFlag'],
        'capability': ['ComputeCapability'],
    },
    engine_build: {
        'builder': ['Builder'],
        'network': ['INetworkDefinition'],
        'config': ['IBuilderConfig'],
        'parser': ['OnnxParser'],
        'profile': ['IOptimizationProfile'],
        'layer': ['ILayer'],
        'output': ['ITensor'],
    },
    plan_runner: {
        '_runtime': ['Runtime'],
        '_engine': ['ICudaEngine'],
        '_context': ['IExecutionContext'],
        '_kernels': ['IRuntimeCache'],
    },
}
OURS = {'_fields', 'text', 'is_error'}  # of our own rows

STUB = ' '.join(
    f'void *{name}(void) {{ return 0; }}'
    for name in (
        'createInferBuilder_INTERNAL',
        'createInferRefitter_INTERNAL',
        'createInferRuntime_INTERNAL',
        'createNvOnnxParserRefitter_INTERNAL',
        'createNvOnnxParser_INTERNAL',
        'getBuilderPluginRegistry',
        'getNvOnnxParserVersion',
        'getPluginRegistry',
        'initLibNvInferPlugins',
    )
)

LIST = """
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
classes = {name: dir(value) for name, value in vars(module).items() if isinstance(value, type)}
print(json.dumps({'version': module.__version__, 'classes': classes}))
"""


def used_names() -> Iterator[list[str]]:
    """Yields every name that our code uses, as its possible classes with it."""
    for module, variables in VARIABLES.items():
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):  # type: ignore[attr-defined]
            if not isinstance(node, ast.Attribute) or node.attr in OURS:
                continue
            inner = node.value
            if isinstance(inner, ast.Attribute) and inner.attr == 'module':
                yield [node.attr]
            elif (
                isinstance(inner, ast.Attribute)
                and isinstance(inner.value, ast.Attribute)
                and inner.value.attr == 'module'
            ):
                yield [f'{inner.attr}.{node.attr}']
            else:
                base = getattr(inner, 'id', getattr(inner, 'attr', ''))
                if base in variables and node.attr not in ('text',):
                    yield [f'{kind}.{node.attr}' for kind in variables[base]]


def listed(bindings: Bindings, path: Path, environment: dict[str, str]) -> dict[str, list[str]]:
    """Returns the classes of the real bindings with what they have, from a child process."""
    child = subprocess.run(
        [sys.executable, '-c', LIST, bindings.module],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, 'PYTHONPATH': str(path), **environment},
    )
    told = json.loads(child.stdout)
    assert told['version'] == bindings.version or not bindings.version
    classes: dict[str, list[str]] = told['classes']
    return classes


def check_names(classes: dict[str, list[str]], missing: frozenset[str]) -> None:
    has = {f'{kind}.{name}' for kind, names in classes.items() for name in names} | set(classes)
    has.add('__version__')
    used = list(used_names())
    assert len(used) > 60
    lacking = [names for names in used if not has & set(names)]
    assert [names for names in lacking if not set(names) & missing] == []
    assert {
        name for name in missing if '.' not in name or name.split('.')[0] in classes
    } & has == (set())  # what we take for missing is missing


def unpacked(bindings: Bindings) -> Path:
    """Returns the folder of a wheel, downloaded once."""
    folder = WHEELS / bindings.version
    if folder.is_dir():
        return folder
    WHEELS.mkdir(parents=True, exist_ok=True)
    words = [
        sys.executable,
        '-m',
        'pip',
        'download',
        '--quiet',
        '--no-deps',
        '--dest',
        str(WHEELS),
    ]
    try:
        subprocess.run(
            [*words, f'{bindings.package}=={bindings.version}'],
            check=True,
            capture_output=True,
            timeout=DOWNLOAD_TIMEOUT_S,
        )
        (wheel,) = WHEELS.glob(f'*-{bindings.version}-*.whl')
    except (subprocess.SubprocessError, ValueError):
        pytest.skip(f'{bindings.package} {bindings.version} cannot be downloaded here')
    partial = WHEELS / f'{bindings.version}.{os.getpid()}'
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(partial)
    with contextlib.suppress(OSError):  # another test was faster
        partial.rename(folder)
    return folder


@pytest.mark.parametrize('bindings', FULL, ids=lambda row: row.version)
def test_every_name_that_is_used_is_in_tensorrt(bindings: Bindings, tmp_path: Path) -> None:
    if shutil.which('gcc') is None:
        pytest.skip('gcc is not installed, and makes the stub of the libraries')
    folder = unpacked(bindings)
    major = bindings.version.split('.')[0]
    (tmp_path / 'stub.c').write_text(STUB)
    for name in ('nvinfer', 'nvonnxparser', 'nvinfer_plugin'):
        target = tmp_path / f'lib{name}.so.{major}'
        subprocess.run(
            ['gcc', '-shared', '-fPIC', str(tmp_path / 'stub.c'), '-o', str(target)], check=True
        )
    paths = f'{tmp_path}:{os.environ.get("LD_LIBRARY_PATH", "")}'
    classes = listed(bindings, folder, {'LD_LIBRARY_PATH': paths})
    check_names(classes, bindings.missing)


def test_every_name_that_is_used_is_in_tensorrt_for_rtx() -> None:
    pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')
    check_names(listed(RTX, Path(), {}), RTX.missing)


ANSWERS = """
import importlib, json
module = importlib.import_module('tensorrt_rtx_bindings')
print(json.dumps([
    f'{kind.__name__}.{name}'
    for kind in vars(module).values()
    if isinstance(kind, type)
    for name, value in vars(kind).items()
    if '-> bool' in (getattr(value, '__doc__', None) or '')
]))
"""
NO_MATTER = 'IRuntimeCache.deserialize'  # documented: what does not fit changes nothing


def unread(source: str, variables: dict[str, list[str]], answering: set[str]) -> list[str]:
    """Returns what is called as a statement, though it answers whether it went well."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(call := node.value.func, ast.Attribute)
        ):
            base = getattr(call.value, 'id', getattr(call.value, 'attr', ''))
            names = {f'{kind}.{call.attr}' for kind in variables.get(base, [])}
            found += [f'{node.lineno}: {name}' for name in names & answering]
    return found


def test_no_yes_or_no_of_tensorrt_is_left_unread() -> None:
    """It raises nothing: who does not look goes on with what TensorRT has refused."""
    pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX is missing')
    child = subprocess.run(
        [sys.executable, '-c', ANSWERS], capture_output=True, text=True, check=True
    )
    answering = set(json.loads(child.stdout)) - {NO_MATTER}
    control = 'self._context.set_input_shape(1)\n'
    assert unread(control, VARIABLES[plan_runner], answering)
    for module, variables in VARIABLES.items():
        source = Path(module.__file__).read_text()  # type: ignore[attr-defined]
        assert unread(source, variables, answering) == [], module.__name__


def test_a_name_that_is_nowhere_would_be_found() -> None:
    """The negative control."""
    names = {name for row in used_names() for name in row}
    assert {'IExecutionContext.execute_async_v3', 'Builder.build_serialized_network'} <= names
    classes: dict[str, list[str]] = {}
    for name in names - {'IExecutionContext.execute_async_v3'}:
        kind, _, attribute = name.partition('.')
        classes.setdefault(kind, []).append(attribute)
    with pytest.raises(AssertionError, match='execute_async_v3'):
        check_names(classes, frozenset())
