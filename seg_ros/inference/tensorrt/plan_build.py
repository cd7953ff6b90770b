# SPDX-License-Identifier: Apache-2.0
"""Builds a TensorRT plan from an engine: label, confidence and health of a batch of images."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seg_ros.core.errors import BackendError, ConfigurationError, EngineError
from seg_ros.inference.engine import Engine, model_of, network_path
from seg_ros.inference.onnx.contract import IMAGE, read_model
from seg_ros.inference.onnx.model_file import read_inputs_and_outputs
from seg_ros.inference.onnx.plan_network import plan_network
from seg_ros.inference.tensorrt.api import TensorrtApi

__all__ = [
    'BUILD_REVISION',
    'PLAN_PRECISIONS',
    'BuildCancelled',
    'BuildOptions',
    'BuildStep',
    'BuiltPlan',
    'LayerReport',
    'build_plan',
    'network_of_plan',
    'possible_batch',
]

PLAN_PRECISIONS = ('fp16', 'fp32', 'int8')
"""What a plan can be built in; the first is what 'auto' means."""

BUILD_REVISION = '2'
"""Changes when this module, or one that it uses, makes another plan of the same network."""

LARGEST_BATCH = 64  # images; far above the cameras of a vehicle, and what a GPU has memory for


class BuildCancelled(BackendError):
    """A build that was told to stop."""


@dataclass(frozen=True)
class BuildOptions:
    """What a plan is built for.

    Attributes:
        precision: One of ``PLAN_PRECISIONS``.
        max_batch: Images that run together at most.
        targets: Architectures such as 'sm_86' for TensorRT for RTX; none for this machine's GPU.
    """

    precision: str = PLAN_PRECISIONS[0]
    max_batch: int = 1
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigurationError: With what was asked and what is there.
        """
        if self.precision not in PLAN_PRECISIONS:
            raise ConfigurationError(
                f"There is no plan in precision '{self.precision}'. Choose one of "
                f'{", ".join(PLAN_PRECISIONS)}.'
            )
        if not 1 <= self.max_batch <= LARGEST_BATCH:
            raise ConfigurationError(
                f'max_batch is {self.max_batch}; it must be from 1 to {LARGEST_BATCH}.'
            )


class BuildStep(NamedTuple):
    """How far a build is.

    Attributes:
        phase: What the builder does, in its own words.
        share: Of the whole, 0 to 1; never less than before.
    """

    phase: str
    share: float


@dataclass(frozen=True)
class LayerReport:
    """What the network and its engine consist of.

    Attributes:
        layers: Layers of the network as it was parsed.
        by_kind: How many of each kind.
        by_type: How many give each element type.
        engine: One line per layer of the engine, after its fusions; empty where the builder does
            not say it.
    """

    layers: int = 0
    by_kind: Mapping[str, int] = field(default_factory=dict)
    by_type: Mapping[str, int] = field(default_factory=dict)
    engine: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltPlan:
    """A plan and how it came to be.

    Attributes:
        data: What TensorRT deserialises.
        build_s: How long it took.
        report: Its layers.
        timing_cache: What the builder measured so far; empty where that means nothing.
    """

    data: bytes
    build_s: float
    report: LayerReport
    timing_cache: bytes = b''


def network_of_plan(engine: Engine, options: BuildOptions) -> bytes:
    """Returns the ONNX model that a plan is built from; ``plan_network`` says what is in it.

    Raises:
        ConfigurationError: The onnx package is not installed.
        EngineError: INT8 without its file, or a network that cannot be converted.
    """
    path = network_path(engine, options.precision)
    return plan_network(
        model_of(engine, path), str(path), options.precision, one_image=options.max_batch == 1
    )


def possible_batch(engine: Engine, wanted: int) -> int:
    """Returns how many images a plan can take together: a network exported for one takes one."""
    return min(wanted, _batch(read_model(engine.onnx_path)) or LARGEST_BATCH)


def build_plan(
    api: TensorrtApi,
    engine: Engine,
    options: BuildOptions,
    *,
    timing_cache: bytes = b'',
    workspace_bytes: int = 0,
    progress: Callable[[BuildStep], bool] = lambda _: True,
) -> BuiltPlan:
    """Returns a plan; takes seconds for TensorRT for RTX, and minutes for TensorRT on a Jetson.

    Args:
        api: The builder.
        engine: Its network, at the size that the engine runs at.
        options: What to build it for.
        timing_cache: What an earlier build of the same TensorRT on the same GPU measured.
        workspace_bytes: Scratch memory that a layer may take on the GPU; 0 for all that there is.
        progress: Is told how far it is; False cancels.

    Raises:
        BuildCancelled: ``progress`` said so.
        ConfigurationError: Targets that this TensorRT does not build for, or a batch that the
            network does not take.
        EngineError: TensorRT does not take the network, or fails to build it.
    """
    start_s = time.monotonic()
    api.check_targets(options.targets)
    batch = _batch(engine.onnx_path.read_bytes())
    if batch is not None and options.max_batch > batch:
        raise ConfigurationError(
            f"Engine '{engine.name}' was exported for {batch} image at a time, asked was "
            f'max_batch {options.max_batch}. Export it with an open batch size, or take 1.'
        )
    model = network_of_plan(engine, options)
    api.forget()
    builder = api.builder()
    if builder is None:
        raise EngineError(f'{api.title} gives no builder: {api.why()}.')
    network = api.network(builder)
    parser = api.parser(network)
    if not parser.parse(model):
        errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        raise EngineError(
            f"{api.title} does not take engine '{engine.name}' in {options.precision}: "
            f'{" ".join(" / ".join(errors).split()) or api.why()}. Export it with opset 17, or '
            "take backend 'onnxruntime'."
        )
    layers = _layers(network)

    config = builder.create_builder_config()
    api.set_precision(config, options.precision)
    api.set_targets(config, options.targets)
    api.set_timing_cache(config, timing_cache)
    if workspace_bytes:
        api.set_workspace(config, workspace_bytes)
    if options.max_batch > 1:
        profile = _optimisation_profile(builder, engine, options.max_batch)
        if config.add_optimization_profile(profile) < 0:
            raise EngineError(
                f"{api.title} refuses 1 to {options.max_batch} images for engine '{engine.name}': "
                f'{api.why()}.'
            )
    watcher = _Watcher(progress)
    config.progress_monitor = api.progress_monitor(watcher.report)
    plan = builder.build_serialized_network(network, config)
    if watcher.cancelled:
        raise BuildCancelled(f"The build of engine '{engine.name}' was cancelled.")
    if plan is None:
        raise EngineError(
            f"{api.title} cannot build engine '{engine.name}' in {options.precision}: "
            f"{api.why()}. Look at the GPU's free memory, take precision fp32, or backend "
            "'onnxruntime'."
        )
    return BuiltPlan(
        bytes(memoryview(plan)),
        time.monotonic() - start_s,
        LayerReport(
            layers=sum(layers.values()),
            by_kind=_counted(layers, 0),
            by_type=_counted(layers, 1),
            engine=tuple(api.layer_lines),
        ),
        api.timing_cache(config),
    )


class _Watcher:
    """Turns the nested phases of a builder into one share that only grows."""

    def __init__(self, progress: Callable[[BuildStep], bool]) -> None:
        self._progress = progress
        self._shares: dict[str, tuple[str, float, int]] = {}
        self._share = 0.0
        self.cancelled = False

    def report(self, phase: str, parent: str, step: int, count: int) -> bool:
        """Returns whether the build goes on."""
        if step >= count and parent:
            self._shares.pop(phase, None)
        else:
            self._shares[phase] = (parent, (step + 1) / max(1, count), count)
        self._share = max(self._share, min(1.0, self._whole(phase)))
        if not self.cancelled and not self._progress(BuildStep(phase, self._share)):
            self.cancelled = True
        return not self.cancelled

    def _whole(self, phase: str) -> float:
        """Returns the share of the outermost phase that contains this one."""
        parent, share, _ = self._shares.get(phase, ('', 0.0, 1))
        seen = {phase}
        while parent in self._shares and parent not in seen:
            seen.add(parent)
            grandparent, done, count = self._shares[parent]
            share = done + share / max(1, count)
            parent = grandparent
        return share


def _batch(model: bytes) -> int | None:
    """Returns the batch size of the graph, None where it is open."""
    inputs, _ = read_inputs_and_outputs(model)
    shape = next(row.shape for row in inputs if row.name == IMAGE)
    return shape[0] if shape else None


def _optimisation_profile(builder: Any, engine: Engine, max_batch: int) -> Any:
    width, height = engine.network_size_wh
    one, most = (1, height, width, 3), (max_batch, height, width, 3)
    profile = builder.create_optimization_profile()
    # Cameras of a vehicle run together: the full batch is what its kernels are chosen for.
    profile.set_shape(IMAGE, one, most, most)
    return profile


def _layers(network: Any) -> Counter[tuple[str, str]]:
    """Returns how many layers there are of each kind and element type."""
    counts: Counter[tuple[str, str]] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        output = layer.get_output(0)
        element = output.dtype.name.lower() if output is not None else 'none'
        counts[layer.type.name.lower(), element] += 1
    return counts


def _counted(layers: Counter[tuple[str, str]], column: int) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for key, count in layers.items():
        counts[key[column]] += count
    return dict(counts.most_common())
