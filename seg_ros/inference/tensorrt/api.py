# SPDX-License-Identifier: Apache-2.0
"""TensorRT 10, TensorRT 11 and TensorRT for RTX behind one face: the differences live here.

|                     | 10 (JetPack 6)  | 11              | for RTX                      |
|---------------------|-----------------|-----------------|------------------------------|
| a plan is for       | the GPU here    | the GPU here    | a list of architectures      |
| timing cache        | yes             | yes             | a no-op                      |
| CUDA graph          | captured by us  | captured by us  | by the library itself        |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from seg_ros.core.errors import BackendUnavailable, ConfigurationError
from seg_ros.inference.cuda.gpu import GpuInfo

__all__ = ['FIX', 'MODULES', 'RTX', 'TensorrtApi', 'load_tensorrt']

FIX = (
    'Only a machine with an NVIDIA GPU needs it. On a Jetson it comes with JetPack: sudo apt '
    'install nvidia-jetpack, and a virtual environment sees it with --system-site-packages. '
    'Elsewhere: https://docs.nvidia.com/deeplearning/tensorrt, or for GeForce RTX: pip install '
    "'tensorrt-rtx-cu13-bindings==1.7.1.116' 'tensorrt-rtx-cu13-libs==1.7.1.116'"
)

FULL, RTX = 'tensorrt', 'tensorrt_rtx'

# Each flavour under the name that its whole package has, and under that of its bindings alone
MODULES = (
    (FULL, 'tensorrt'),
    (FULL, 'tensorrt_bindings'),
    (RTX, 'tensorrt_rtx'),
    (RTX, 'tensorrt_rtx_bindings'),
)

TITLES = {FULL: 'TensorRT', RTX: 'TensorRT for RTX'}
OLDEST_MAJOR = 10  # 8 addresses tensors by index
LOG_LINES = 50  # that are kept: why() tells the last three errors among the warnings


class Problem(NamedTuple):
    """A line of TensorRT's log.

    Attributes:
        is_error: Whether it is an error.
        text: What it says.
    """

    is_error: bool
    text: str


class TensorrtApi:
    """A TensorRT that was imported.

    Args:
        module: Its Python module.
        flavour: 'tensorrt' or 'tensorrt_rtx'.

    Attributes:
        log: Its latest lines, the newest last.
        layer_lines: What the latest build said about the layers of its engine.
    """

    def __init__(self, module: Any, flavour: str) -> None:
        self.module = module
        self.flavour = flavour
        self.version = str(module.__version__)
        self.log: list[Problem] = []
        self.layer_lines: list[str] = []
        self._logger = self._make_logger()

    @property
    def title(self) -> str:
        """'TensorRT 10.16.1.11'."""
        return f'{TITLES[self.flavour]} {self.version}'

    @property
    def has_timing_cache(self) -> bool:
        """Whether measured kernels of one build help the next."""
        return self.flavour == FULL

    @property
    def captures_graphs_itself(self) -> bool:
        """Whether the library makes CUDA graphs by itself, because it compiles kernels late."""
        return hasattr(self.module, 'CudaGraphStrategy')

    def why(self) -> str:
        """Returns what TensorRT's errors said since ``forget``, on one line."""
        said = [row.text for row in self.log if row.is_error] or [row.text for row in self.log]
        return ' '.join(' / '.join(said[-3:]).split()) or 'it does not say why'

    def forget(self) -> None:
        """Empties the log."""
        self.log.clear()
        self.layer_lines.clear()

    def builder(self) -> Any:
        return self.module.Builder(self._logger)

    def network(self, builder: Any) -> Any:
        """Returns an empty network that takes its types from the graph, on every TensorRT.

        A builder that may choose them adds up in halves what only a float can hold.
        """
        return builder.create_network(
            1 << int(self.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        )

    def parser(self, network: Any) -> Any:
        return self.module.OnnxParser(network, self._logger)

    def runtime(self) -> Any:
        return self.module.Runtime(self._logger)

    def set_precision(self, config: Any, precision: str) -> None:
        """Says what the graph cannot: that fp32 means all of its bits."""
        if precision == 'fp32':
            config.clear_flag(self.module.BuilderFlag.TF32)  # which has 10 bits of mantissa

    def set_workspace(self, config: Any, size: int) -> None:
        """Bounds the scratch memory of a layer, in bytes; without, it is all of the device's."""
        config.set_memory_pool_limit(self.module.MemoryPoolType.WORKSPACE, size)

    def check_targets(self, targets: Sequence[str]) -> None:
        """Checks that plans can be made for GPUs that are not here.

        Args:
            targets: Architectures such as 'sm_86'; none for the GPU of this machine.

        Raises:
            ConfigurationError: An architecture that this TensorRT does not know, or any with full
                TensorRT.
        """
        if not targets:
            return
        if self.flavour == FULL:
            raise ConfigurationError(
                f'--for {",".join(targets)} was asked, but {self.title} builds for the GPU that '
                'it runs on only. Build on that machine with --for THIS, or take TensorRT for RTX.'
            )
        known = self.architectures()
        if unknown := [target for target in targets if target not in known]:
            raise ConfigurationError(
                f'{self.title} does not build for {", ".join(unknown)}. It builds for '
                f'{", ".join(known)}; a Jetson (sm_87) and a data-centre Hopper (sm_90) need '
                'TensorRT itself, on that machine.'
            )

    def check_gpu(self, gpu: GpuInfo) -> None:
        """Checks that plans can run on a GPU.

        Raises:
            BackendUnavailable: TensorRT for RTX does not know this GPU.
        """
        if self.flavour == RTX and gpu.architecture not in self.architectures():
            raise BackendUnavailable(
                f'{self.title} does not run on {gpu.name} ({gpu.architecture}), only on '
                f'{", ".join(self.architectures())}. Install TensorRT itself.'
            )

    def architectures(self) -> list[str]:
        """Returns what TensorRT for RTX can build for."""
        names = vars(self.module.ComputeCapability)
        return [f'sm_{name[2:]}' for name in names if name[:2] == 'SM' and name[2:].isdigit()]

    def set_targets(self, config: Any, targets: Sequence[str]) -> None:
        """Says what the plan is for; full TensorRT knows only the GPU it builds on.

        Raises:
            ConfigurationError: It refuses one.
        """
        if self.flavour == FULL:
            return
        names = [f'SM{target[3:]}' for target in targets] or ['CURRENT']
        config.num_compute_capabilities = len(names)
        for index, name in enumerate(names):
            if not config.set_compute_capability(
                getattr(self.module.ComputeCapability, name), index
            ):
                raise ConfigurationError(
                    f'{self.title} refuses to build for {name} ({", ".join(names)}): {self.why()}.'
                )

    def set_timing_cache(self, config: Any, data: bytes) -> None:
        """Gives a build what earlier builds measured; what is foreign or damaged is left out."""
        if not self.has_timing_cache:
            return
        for content in (data, b''):
            try:
                cache = config.create_timing_cache(content)
            except (RuntimeError, TypeError):  # as pybind11 words a damaged one
                continue
            if cache is not None and config.set_timing_cache(cache, False):
                return

    def timing_cache(self, config: Any) -> bytes:
        """Returns what builds measured so far; empty where it means nothing."""
        if not self.has_timing_cache:
            return b''
        cache = config.get_timing_cache()
        return b'' if cache is None else bytes(cache.serialize())

    def progress_monitor(self, report: Callable[[str, str, int, int], bool]) -> Any:
        """Returns a monitor for a builder's configuration.

        Args:
            report: Gets phase, parent phase (or empty), step and number of steps; step is -1 at
                the start and equals the number at the end of a phase. False cancels the build.
        """
        base: Any = self.module.IProgressMonitor
        steps: dict[str, tuple[str, int]] = {}

        class Monitor(base):  # type: ignore[misc]
            def __init__(self) -> None:
                base.__init__(self)

            def phase_start(self, phase: str, parent: str | None, count: int) -> None:
                steps[phase] = (parent or '', count)
                report(phase, parent or '', -1, count)

            def phase_finish(self, phase: str) -> None:
                parent, count = steps.pop(phase, ('', 1))
                report(phase, parent, count, count)

            def step_complete(self, phase: str, step: int) -> bool:
                parent, count = steps.get(phase, ('', 1))
                return report(phase, parent, step, count)

        return Monitor()

    def execution_context(self, engine: Any, kernels: bytes = b'') -> tuple[Any, Any]:
        """Returns a context that runs the engine, and its cache of kernels.

        Args:
            engine: What to run.
            kernels: Those that were compiled on this GPU before, for TensorRT for RTX, which
                compiles them at their first use.

        Returns:
            The context, None with the reason in the log; and a cache whose ``serialize`` gives
            the kernels for the next time, None where there is nothing to compile.
        """
        if not self.captures_graphs_itself:
            return engine.create_execution_context(), None
        config = engine.create_runtime_config()
        config.cuda_graph_strategy = self.module.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        cache = config.create_runtime_cache()
        if kernels:
            cache.deserialize(kernels)  # those of another GPU are left out by the library
        if not config.set_runtime_cache(cache):
            cache = None  # then they are compiled at every start
        return engine.create_execution_context(config), cache

    def describe_layers(self, engine: Any) -> list[str]:
        """Returns one line per layer of an engine, after its fusions."""
        inspector = engine.create_engine_inspector()
        kind = self.module.LayerInformationFormat.ONELINE
        return str(inspector.get_engine_information(kind)).splitlines()

    def _make_logger(self) -> Any:
        base: Any = self.module.ILogger
        errors = (base.ERROR, base.INTERNAL_ERROR)
        serious = (*errors, base.WARNING)
        api = self

        class Log(base):  # type: ignore[misc]
            def __init__(self) -> None:
                base.__init__(self)

            def log(self, severity: Any, text: str) -> None:
                # First: a build says thousands of other lines, and each comes here. TensorRT
                # filters for its own logger alone, which prints and cannot be asked.
                if severity in serious:
                    api.log.append(Problem(severity in errors, text))
                    del api.log[:-LOG_LINES]
                elif text.startswith(('Engine Layer Information', 'Layer(')):
                    api.layer_lines += [
                        line for line in text.splitlines() if line.startswith('Layer(')
                    ]

        return Log()


_made: list[TensorrtApi] = []  # TensorRT keeps the first logger of a process, and warns of others


def _api_of(module: Any, flavour: str) -> TensorrtApi:
    """Returns the one of this process."""
    for api in _made:
        if api.module is module and api.flavour == flavour:
            return api
    _made.append(TensorrtApi(module, flavour))
    return _made[-1]


def load_tensorrt() -> TensorrtApi:
    """Returns the TensorRT of this machine; full TensorRT wins over that for RTX.

    Raises:
        BackendUnavailable: None can be imported, or it is too old; the message says why for each.
    """
    reasons = []
    for flavour, name in MODULES:
        try:
            module = import_module(name)
        except ImportError as error:
            if getattr(error, 'name', None) != name:  # it is there, and something of it is not
                reasons.append(f'{name} cannot be imported: {" ".join(str(error).split())}')
            continue
        version = getattr(module, '__version__', '')
        if flavour == FULL and int(version.split('.')[0] or 0) < OLDEST_MAJOR:
            reasons.append(f'{name} {version} is too old, {OLDEST_MAJOR} or newer is needed')
            continue
        return _api_of(module, flavour)
    raise BackendUnavailable(
        f'it needs TensorRT, which is not installed{": " if reasons else ""}{"; ".join(reasons)}. '
        f'{FIX}'
    )
