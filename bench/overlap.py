#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ``pipeline_depth`` gains, on a GPU that is none: a part of ``seg_ros bench``.

The worker of the real node, cuda-bindings and our GPU code on the stand-in driver of
``test/gpu_stand_in``, whose network takes 3 ms and no processor. Frames are handed to the worker
in the process, one always waits; its labels are published over DDS. Depth 1 and 2 take turns. It
says nothing about any GPU: only what the order of the work is worth.

    python bench/overlap.py SECONDS ROUNDS     JSON on stdout

With ``cpu ENGINE BACKEND PRECISION THREADS`` behind it the same worker runs a CPU backend instead,
without any stand-in: depth 1 is the node as it is, depth 2 has the network in a thread of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

INSIDE = 'SEG_ROS_BENCH_CACHE'  # set in the process that has the driver
EXECUTE_MS = 3.0
WAITS = 100  # of which the processor time is measured
MESSAGES = 4  # more than are on their way at once
WARM_UP_S = 0.5


def main(seconds: float, rounds: int) -> int:
    """Builds the driver and measures in a process that has it."""
    from test.gpu_stand_in.stand_in import build, environment

    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        more = {INSIDE: folder, 'SEG_ROS_STAND_IN_CANNED': '1', 'ROS_LOG_DIR': folder}
        words = [sys.executable, __file__, str(seconds), str(rounds)]
        return subprocess.run(words, env=environment(Path(folder), **more), check=False).returncode


def measure(seconds: float, rounds: int, folder: Path) -> dict[str, Any]:
    """Returns the samples; see the docstring of the file."""
    import cv2

    from seg_ros.ros.middleware import prepare_process
    from seg_ros.ros.segmentation_node import SWITCH_INTERVAL_S
    from test.gpu_stand_in.stand_in import StandIn

    prepare_process()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    cv2.setNumThreads(1)
    store_plan(folder)
    gpu = StandIn()
    gpu.be(execute_ms=EXECUTE_MS)
    waits_ms = {name: wait_cpu_ms(folder, flag) for name, flag in (('asleep', 4), ('spinning', 1))}
    values = {'backend': 'tensorrt', 'cache_path': str(folder), 'engine': 'roadseg'}
    with node_with(values) as node:
        perception = node._perception
        result = [
            {str(depth): turn(node, perception, depth, seconds) for depth in (1, 2)}
            for _ in range(rounds)
        ]
    return {'execute_ms': EXECUTE_MS, 'rounds': result, 'wait_cpu_ms': waits_ms}


def measure_on_cpu(seconds: float, rounds: int, words: list[str]) -> dict[str, Any]:
    """Returns the samples of a CPU backend: engine, backend, precision and threads are given."""
    import cv2

    from seg_ros.perception import Perception
    from seg_ros.ros.middleware import prepare_process
    from seg_ros.ros.segmentation_node import SWITCH_INTERVAL_S

    prepare_process()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    cv2.setNumThreads(1)
    engine, backend, precision, threads = words
    values = {'engine': engine, 'backend': backend, 'precision': precision, 'auto_tune': False}
    with node_with({**values, 'inference_threads': int(threads)}) as node:
        ways = {1: node._perception, 2: Perception(BesideTheWorker(node.chosen.backend))}
        result = [
            {str(depth): turn(node, way, depth, seconds) for depth, way in ways.items()}
            for _ in range(rounds)
        ]
        chosen = f'{node.chosen.backend.name}, {node.chosen.backend.detail}'
    return {'backend': chosen, 'rounds': result}


class BesideTheWorker:
    """An ``OverlappingBackend`` of one that is none: its network runs in a thread of its own."""

    overlaps = True

    def __init__(self, backend: Any) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._backend = backend
        self._thread = ThreadPoolExecutor(1)
        self._rooms: list[Any] = []
        self.name, self.detail, self.engine = backend.name, backend.detail, backend.engine
        self.max_batch = backend.max_batch

    def room(self, count: int) -> Any:
        """Returns one of two arrays, in turns."""
        import numpy as np

        width, height = self.engine.network_size_wh
        if not self._rooms or self._rooms[0].shape[0] != count:
            self._rooms = [np.empty((count, height, width, 3), np.uint8) for _ in range(2)]
        self._rooms.reverse()
        return self._rooms[0]

    def begin(self, images: Any, *, with_confidence: bool = False) -> Any:
        """Lets the thread run the network; what waits for it has a result of its own."""
        return self._thread.submit(self._run, images, with_confidence).result

    def _run(self, images: Any, with_confidence: bool) -> Any:
        result = self._backend.infer(images, with_confidence=with_confidence)
        # 0.4 MB of 640x360; a product would let two sets take turns
        confidence = None if result.confidence is None else result.confidence.copy()
        return replace(result, labels=result.labels.copy(), confidence=confidence)

    def infer(self, images: Any, *, with_confidence: bool = False) -> Any:
        """Runs the network and waits."""
        return self.begin(images, with_confidence=with_confidence)()

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()


@contextmanager
def node_with(values: dict[str, Any]) -> Iterator[Any]:
    """Makes a configured node, to whose labels somebody listens."""
    import rclpy
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import Image

    from seg_ros.ros.segmentation_node import SegmentationNode

    rclpy.init()
    values = {**values, 'heartbeat_process': False, 'autostart': False}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = SegmentationNode(parameter_overrides=overrides)
    node.trigger_configure()
    listener = Node('listener')
    listener.create_subscription(Image, '/segmentation/label', lambda _: None, 10)
    while not node._ports['camera'].outputs.wanted():
        time.sleep(0.05)
    try:
        yield node
    finally:
        node.destroy_node()
        listener.destroy_node()
        rclpy.shutdown()


def store_plan(folder: Path) -> None:
    """Puts a plan of roadseg for the stand-in into a cache."""
    from seg_ros.inference.engine import load_engine
    from seg_ros.inference.tensorrt.backend import gpu_stack
    from seg_ros.inference.tensorrt.plan_build import BuildOptions, network_of_plan
    from seg_ros.inference.tensorrt.plan_cache import PlanCache
    from seg_ros.inference.tensorrt.plan_key import plan_key

    engine, stack = load_engine('roadseg'), gpu_stack()
    plan = b'STANDIN\x01' + network_of_plan(engine, BuildOptions('fp32', 1))
    key = plan_key(engine, BuildOptions('fp16', 1), stack.api, stack.gpu)
    PlanCache(folder).store(key, plan, 1.0, {})


def wait_cpu_ms(folder: Path, flag: int) -> float:
    """Returns the processor time of one inference, waiting as a flag of cuda.h says."""
    from seg_ros.inference.cuda import cuda_bindings_memory
    from seg_ros.inference.engine import load_engine
    from seg_ros.inference.tensorrt.backend import TensorrtBackend

    usual, cuda_bindings_memory.BLOCKING_SYNC = cuda_bindings_memory.BLOCKING_SYNC, flag
    backend = TensorrtBackend(load_engine('roadseg'), cache_path=folder)
    room = backend.room(1)
    start_ns = time.process_time_ns()
    for _ in range(WAITS):
        backend.infer(room)
    spent_ms = (time.process_time_ns() - start_ns) / 1e6 / WAITS
    backend.close()
    cuda_bindings_memory.BLOCKING_SYNC = usual
    return spent_ms


def turn(node: Any, perception: Any, depth: int, seconds: float) -> dict[str, Any]:
    """Lets a worker work for a while; returns its rate and the time of its stages."""
    from seg_ros.ros.diagnostics import CameraStatistics
    from seg_ros.ros.worker import FrameWorker

    statistics = CameraStatistics()
    ports = {'camera': node._ports['camera']._replace(statistics=statistics)}
    config = replace(node.config, pipeline_depth=depth)
    mailbox = one_always_waiting(node)
    worker = FrameWorker(node, perception, ports, lambda: config, lambda: True, print, mailbox)
    time.sleep(WARM_UP_S)
    first, start_s = statistics.published, time.monotonic()
    time.sleep(seconds)
    rate_hz = (statistics.published - first) / (time.monotonic() - start_s)
    worker.stop()
    if statistics.failures or statistics.broken:
        raise SystemExit(f'frames failed: {statistics.failing} {statistics.broken}')
    rows = statistics.latency.percentiles().items()
    return {'rate_hz': rate_hz, 'stages_ms': {name: row.p50 for name, row in rows}}


def one_always_waiting(node: Any) -> Any:
    """Returns a mailbox in which a frame of now always waits."""
    import numpy as np
    from sensor_msgs.msg import Image

    from seg_ros.ros.mailbox import Mailbox
    from seg_ros.ros.worker import Received

    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    messages = []
    for _ in range(MESSAGES):
        message = Image(height=720, width=1280, encoding='rgb8', step=3 * 1280)
        message.data = noise.tobytes()
        message.header.frame_id = 'camera_optical'
        messages.append(message)

    class OneAlwaysWaiting(Mailbox[Received]):
        taken = 0

        def take(
            self,
            most: int = 1,  # noqa: ARG002  there is one camera
            *,
            wait: bool = True,  # noqa: ARG002  nobody need wait
        ) -> list[tuple[str, Received]]:
            if self.closed:
                return []
            message = messages[self.taken % MESSAGES]
            self.taken += 1
            message.header.stamp = node.get_clock().now().to_msg()
            return [('camera', Received(message, time.monotonic_ns()))]

    return OneAlwaysWaiting()


if __name__ == '__main__':
    length_s, count = float(sys.argv[1]), int(sys.argv[2])
    cache = os.environ.get(INSIDE)
    if sys.argv[3:4] == ['cpu']:
        print(json.dumps(measure_on_cpu(length_s, count, sys.argv[4:])))
        sys.exit()
    if cache is None:
        sys.exit(main(length_s, count))
    print(json.dumps(measure(length_s, count, Path(cache) / 'cache')))
