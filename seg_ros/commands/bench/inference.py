# SPDX-License-Identifier: Apache-2.0
"""Bare inference for ``seg_ros bench``: the node's backend, in a process prepared as the node's.

    {"seconds": 3}  →  {"infer_ms": [12.1, …]}

Its first line says what runs: {"backend": "onnxruntime", "detail": "…"}.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from seg_ros.commands.bench.process import Orders, answer
from seg_ros.core.units import NS_PER_MS, NS_PER_S
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.ros.middleware import prepare_process

__all__ = ['main']

SEED = 0


def measure(backend: InferenceBackend, seconds: float, rate_hz: float) -> list[float]:
    """Returns the time of each ``infer`` (ms), at a rate; 0 is one after the other.

    At a camera's rate the processor is idle and its caches go cold in between, for the bare
    network as for the node: latencies are compared at the same rate.
    """
    width, height = backend.engine.network_size_wh
    images = np.random.default_rng(SEED).integers(0, 256, (1, height, width, 3), np.uint8)
    times_ms = []
    end_ns = time.perf_counter_ns() + round(seconds * NS_PER_S)
    while (start_ns := time.perf_counter_ns()) < end_ns:
        backend.infer(images)
        spent_ns = time.perf_counter_ns() - start_ns
        times_ms.append(spent_ns / NS_PER_MS)
        if rate_hz > 0.0:
            time.sleep(max(0.0, 1.0 / rate_hz - spent_ns / NS_PER_S))
    return times_ms


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--engine', required=True)
    parser.add_argument('--backend', required=True)
    parser.add_argument('--precision', required=True)
    parser.add_argument('--threads', type=int, required=True)
    arguments = parser.parse_args()
    prepare_process()
    engine = load_engine(arguments.engine)
    backend = create_backend(
        arguments.backend, engine, threads=arguments.threads, precision=arguments.precision
    ).backend
    answer(backend=backend.name, detail=backend.detail)
    orders = Orders()
    while (order := orders.next()) is not None:
        answer(infer_ms=measure(backend, order['seconds'], order['rate_hz']))
    backend.close()


if __name__ == '__main__':
    main()
