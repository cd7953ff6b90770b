# SPDX-License-Identifier: Apache-2.0
"""``seg_ros gpu-check``: all that only a machine with a GPU can say about our GPU code.

It runs without TensorRT, too, and then looks at the memory alone. What it writes is the evidence
for every line that is "not verified on hardware" elsewhere.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seg_ros.commands.gpu.memory_check import (
    CYCLES,
    CheckRow,
    check_memory,
    drift_of,
)
from seg_ros.commands.gpu.roofline import network_cost, roofline
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import BackendUnavailable, EngineError, SegRosError
from seg_ros.files import write_whole
from seg_ros.inference.cuda.device_memory import open_device_memory
from seg_ros.inference.cuda.gpu import GpuInfo, find_gpu, gpu_clocks
from seg_ros.inference.engine import Engine, find_engines, load_engine
from seg_ros.inference.reference import check_images
from seg_ros.inference.registry import PlanOptions, create_backend
from seg_ros.inference.tensorrt.backend import GpuStack, TensorrtBackend, gpu_stack
from seg_ros.inference.tensorrt.plan_build import (
    PLAN_PRECISIONS,
    BuildOptions,
    network_of_plan,
    possible_batch,
)
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tensorrt.plan_maker import BuildStack, make_plan
from seg_ros.inference.tensorrt.plan_runner import PlanRunner

__all__ = ['add_arguments', 'check_plan_of', 'main']

RUNS, WARM_UP_RUNS = 200, 20
BATCH = 4  # images; cameras of a vehicle
PERCENTILES = (50, 95, 99)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument('engines', nargs='*', metavar='ENGINE', help='all that are found')
    parser.add_argument('-o', '--output', type=Path, default=Path('out/gpu-check.json'))
    parser.add_argument('--json', action='store_true', help='print the same, too')
    parser.add_argument(
        '--cycles', type=int, default=CYCLES, help='how often all is made and freed'
    )


def main(arguments: argparse.Namespace) -> int:
    """Checks this machine's GPU; returns 0 if all is well."""
    try:
        gpu = find_gpu()
    except BackendUnavailable as error:
        raise BackendUnavailable(
            f'Nothing can be checked here: {str(error).rstrip(".")}. Nothing was written. Run it '
            'on a machine with an NVIDIA GPU.'
        ) from error
    figures: dict[str, Any] = {
        'machine': platform.platform(),
        'gpu': gpu._asdict(),
        'clocks': gpu_clocks()._asdict(),
        'plans': [],
    }
    rows: list[CheckRow] = []
    with Progress(sys.stderr) as progress:

        def keep(row: CheckRow) -> None:
            rows.append(row)
            progress.say(f'{"ok  " if row.ok else "FAIL"} {row.check}: {row.value}')

        progress.show('memory')
        figures['memory'] = check_memory(open_device_memory, keep, arguments.cycles)
        try:
            stack = gpu_stack()
        except BackendUnavailable as error:
            keep(CheckRow('TensorRT', False, str(error)))
        else:
            figures['tensorrt'] = stack.api.title
            cache = PlanCache(arguments.output.resolve().parent / 'gpu-check-plans')
            for engine in _engines(arguments.engines):
                for precision in PLAN_PRECISIONS:
                    if precision == 'int8' and engine.int8_path is None:
                        continue
                    progress.show(f'{engine.name} {precision}')
                    options = BuildOptions(precision, possible_batch(engine, BATCH))
                    try:
                        figures['plans'].append(
                            check_plan_of(stack, engine, options, cache, keep, arguments.cycles)
                        )
                    except SegRosError as error:
                        keep(CheckRow(f'{engine.name} {precision}', False, str(error)))
    figures['checks'] = [row._asdict() for row in rows]
    figures['ok'] = all(row.ok for row in rows)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=2)
    write_whole(arguments.output, f'{text}\n')
    if arguments.json:
        print(text)
    else:
        print(f'{arguments.output}: {sum(row.ok for row in rows)} of {len(rows)} checks are well.')
    return 0 if figures['ok'] else 1


def check_plan_of(
    stack: GpuStack,
    engine: Engine,
    options: BuildOptions,
    cache: PlanCache,
    keep: Callable[[CheckRow], None],
    cycles: int = CYCLES,
) -> dict[str, Any]:
    """Builds a plan, compares, times and cycles it; returns its figures.

    Raises:
        SegRosError: It cannot be built, or disagrees with ONNX Runtime.
    """
    title = f'{engine.name} {options.precision}'
    plan = make_plan(BuildStack(stack.api, stack), engine, options, cache, force=True)
    agreement = str(plan.notes['check'])
    keep(CheckRow(f'{title} agrees', 'ONNX Runtime on' in agreement, agreement))

    data, why = plan.read()
    if why:
        raise EngineError(why)
    runner = PlanRunner(stack.api, stack.open_memory(), data, engine.network_size_wh)
    try:
        stages = {f'batch {count}': _stages(runner, count) for count in {1, runner.max_batch}}
        layers = runner.layers()
    finally:
        runner.close()

    def backend(open_memory: Callable[[], Any] = stack.open_memory) -> TensorrtBackend:
        return TensorrtBackend(
            engine,
            precision=options.precision,
            max_batch=options.max_batch,
            cache_path=cache.folder,
            stack=stack._replace(open_memory=open_memory),
        )

    images = check_images(engine.network_size_wh, 1)
    made = backend()
    infer_ms = _percentiles(_wall_ms(lambda: made.infer(images, with_confidence=True)))
    detail = made.detail
    made.close()
    drift = drift_of(stack.open_memory, lambda opened: backend(opened).close(), cycles)
    keep(CheckRow(f'{title} {cycles} times', drift.ok, str(drift)))
    cost = network_cost(network_of_plan(engine, options))
    least = roofline(cost, stack.gpu, gpu_clocks(), options.precision)
    execute_ms = stages['batch 1']['execute_ms']['p50']
    share = least.least_ms / execute_ms if least.least_ms else None
    keep(CheckRow(f'{title} speed', True, f'{execute_ms:.3f} ms, {_words(share, stack.gpu)}'))
    return {
        'engine': engine.name,
        'precision': options.precision,
        'detail': detail,
        'build_s': plan.build_s,
        'size_mb': len(data) / 1e6,
        'agreement': agreement,
        'layers_of_engine': len(layers),
        'stages': stages,
        'infer_ms': infer_ms,
        'cpu_infer_ms': _cpu_ms(engine, images),
        'multiply_adds': cost.multiply_adds,
        'layers_not_counted': cost.unknown,
        'roofline_ms': least._asdict(),
        'share_of_roofline': share,
        'activations': cost.activations,
        'drift': drift._asdict(),
    }


def _engines(names: list[str]) -> Iterator[Engine]:
    for name in names or list(find_engines()):
        yield load_engine(name)


def _stages(runner: PlanRunner, count: int) -> dict[str, dict[str, float]]:
    samples = runner.timed(count, WARM_UP_RUNS + RUNS)[WARM_UP_RUNS:]
    return {
        name: _percentiles([getattr(row, name) for row in samples])
        for name in ('upload_ms', 'execute_ms', 'download_ms')
    }


def _wall_ms(run: Callable[[], object], runs: int = RUNS) -> list[float]:
    times = []
    for _ in range(WARM_UP_RUNS + runs):
        start_s = time.perf_counter()
        run()
        times.append((time.perf_counter() - start_s) * 1e3)
    return times[WARM_UP_RUNS:]


def _cpu_ms(engine: Engine, images: Any) -> dict[str, float]:
    backend = create_backend('onnxruntime', engine, plans=PlanOptions()).backend
    try:
        return _percentiles(_wall_ms(lambda: backend.infer(images, with_confidence=True), 30))
    finally:
        backend.close()


def _percentiles(samples: list[float]) -> dict[str, float]:
    return {f'p{row}': float(np.percentile(samples, row)) for row in PERCENTILES}


def _words(share: float | None, gpu: GpuInfo) -> str:
    if share is None:
        return f'the roofline of {gpu.architecture} is not known'
    return f'{share:.0%} of what the roofline allows'
