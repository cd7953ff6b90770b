# SPDX-License-Identifier: Apache-2.0
"""What differs between TensorRT 10, 11 and for RTX, where their builders cannot run here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from seg_ros.core.errors import BackendUnavailable, ConfigurationError
from seg_ros.inference.tensorrt.api import TensorrtApi, load_tensorrt
from test.fake_tensorrt import Logger

FLAGS_10 = SimpleNamespace(FP16='fp16', INT8='int8', TF32='tf32')
FLAGS_11 = SimpleNamespace(TF32='tf32')


class Recorder:
    """Answers every call with what it is told to, and remembers it."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        def call(*words: Any) -> Any:
            self.calls.append((name, *words))
            answer = self.answers.get(name)
            return answer(*words) if callable(answer) else answer

        return call


def api_of(flags: Any, flavour: str = 'tensorrt', **more: Any) -> TensorrtApi:
    module = SimpleNamespace(
        __version__='10.3.0',
        ILogger=Logger,
        BuilderFlag=flags,
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1),
        **more,
    )
    return TensorrtApi(module, flavour)


@pytest.mark.parametrize('flags', [FLAGS_10, FLAGS_11], ids=['10', '11'])
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
def test_the_builder_chooses_no_precision_on_any_tensorrt(precision: str, flags: Any) -> None:
    api = api_of(flags)
    builder = Recorder()
    api.network(builder)
    assert builder.calls == [('create_network', 1 << 1)]  # STRONGLY_TYPED
    api.set_precision(config := Recorder(), precision)
    assert config.calls == ([('clear_flag', 'tf32')] if precision == 'fp32' else [])


def test_scratch_memory_is_bounded_where_it_is_said() -> None:
    api = api_of(FLAGS_10, MemoryPoolType=SimpleNamespace(WORKSPACE='workspace'))
    api.set_workspace(config := Recorder(), 1 << 30)
    assert config.calls == [('set_memory_pool_limit', 'workspace', 1 << 30)]


def test_only_errors_and_warnings_are_kept_of_the_log() -> None:
    api = api_of(FLAGS_10)
    for severity in ('verbose', 'info', 'warning', 'error'):
        api._logger.log(severity, f'an {severity} line')
    assert [row.text for row in api.log] == ['an warning line', 'an error line']
    api._logger.log('verbose', 'Engine Layer Information:\nLayer(a): b\nno layer')
    assert api.layer_lines == ['Layer(a): b']


def test_what_was_measured_helps_the_next_build_and_a_foreign_cache_harms_nothing() -> None:
    api = api_of(FLAGS_10)
    config = Recorder(create_timing_cache=lambda data: f'cache of {data!r}', set_timing_cache=True)
    api.set_timing_cache(config, b'measured')
    assert config.calls[-1] == ('set_timing_cache', "cache of b'measured'", False)
    config = Recorder(
        create_timing_cache=lambda data: data, set_timing_cache=lambda cache, _: cache == b''
    )
    api.set_timing_cache(config, b'of another GPU')
    assert config.calls[-1] == ('set_timing_cache', b'', False)

    def damaged(data: bytes) -> Any:
        if data:
            raise RuntimeError('pybind11: unable to parse')
        return data

    config = Recorder(create_timing_cache=damaged, set_timing_cache=True)
    api.set_timing_cache(config, b'half a file')
    assert config.calls[-1] == ('set_timing_cache', b'', False)
    api.set_timing_cache(Recorder(create_timing_cache=None), b'nobody makes one')
    cache = SimpleNamespace(serialize=lambda: b'more')
    assert api.timing_cache(Recorder(get_timing_cache=lambda: cache)) == b'more'
    assert api.timing_cache(Recorder()) == b''


def test_tensorrt_for_rtx_makes_its_graphs_itself_and_keeps_its_kernels() -> None:
    cache = Recorder()
    config = Recorder(create_runtime_cache=lambda: cache, set_runtime_cache=True)
    engine = Recorder(create_runtime_config=lambda: config, create_execution_context='context')
    graphs = SimpleNamespace(WHOLE_GRAPH_CAPTURE='whole')
    api = api_of(FLAGS_11, 'tensorrt_rtx', CudaGraphStrategy=graphs)
    assert api.captures_graphs_itself
    assert api.execution_context(engine, b'kernels') == ('context', cache)
    assert cache.calls == [('deserialize', b'kernels')]
    assert config.calls == [('create_runtime_cache',), ('set_runtime_cache', cache)]
    assert config.cuda_graph_strategy == 'whole'
    assert engine.calls[-1] == ('create_execution_context', config)
    config.answers['set_runtime_cache'] = False
    assert api.execution_context(engine) == ('context', None)  # it runs, and keeps none


def test_a_gpu_here_is_the_target_where_none_is_named() -> None:
    capability = SimpleNamespace(CURRENT='current', SM86='86', SM89='89')
    api = api_of(FLAGS_11, 'tensorrt_rtx', ComputeCapability=capability)
    config = Recorder(set_compute_capability=True)
    api.set_targets(config, ())
    assert config.calls == [('set_compute_capability', 'current', 0)]
    config = Recorder(set_compute_capability=True)
    api.set_targets(config, ('sm_86', 'sm_89'))
    assert config.num_compute_capabilities == 2
    assert config.calls[1] == ('set_compute_capability', '89', 1)
    api_of(FLAGS_10).set_targets(config := Recorder(), ())
    assert not config.calls
    with pytest.raises(ConfigurationError, match=r'refuses to build for SM86 \(SM86\)'):
        api.set_targets(Recorder(set_compute_capability=False), ('sm_86',))


def found(monkeypatch: pytest.MonkeyPatch, **modules: Any) -> None:
    def find(name: str) -> Any:
        if name not in modules:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
        if isinstance(modules[name], Exception):
            raise modules[name]
        return modules[name]

    monkeypatch.setattr('seg_ros.inference.tensorrt.api.import_module', find)


def test_full_tensorrt_is_taken_before_that_for_rtx(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(__version__='10.3.0', ILogger=Logger, BuilderFlag=FLAGS_10)
    found(monkeypatch, tensorrt=module, tensorrt_rtx=module)
    assert load_tensorrt().title == 'TensorRT 10.3.0'
    found(monkeypatch, tensorrt_rtx_bindings=module)
    assert load_tensorrt().title == 'TensorRT for RTX 10.3.0'


def test_a_process_has_one_tensorrt_and_so_one_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(__version__='10.3.0', ILogger=Logger, BuilderFlag=FLAGS_10)
    found(monkeypatch, tensorrt=module)
    assert load_tensorrt() is load_tensorrt()


def test_a_tensorrt_that_is_too_old_or_lacks_its_libraries_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = SimpleNamespace(__version__='8.6.2')
    broken = ImportError(
        'libnvinfer.so.10: cannot open shared object file', name='tensorrt.tensorrt'
    )
    found(monkeypatch, tensorrt=old, tensorrt_rtx=broken)
    with pytest.raises(
        BackendUnavailable,
        match=r'tensorrt 8.6.2 is too old, 10 or newer .*tensorrt_rtx cannot be imported: libnv',
    ):
        load_tensorrt()
