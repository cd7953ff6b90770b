#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ``pipeline_depth`` gains, on a GPU that is none: a part of ``seg_ros bench``.

The worker of the real node, cuda-bindings and our GPU code on the stand-in driver of
``test/gpu_stand_in``, whose network takes 3 ms and no processor. Frames are handed to the worker
in the process, one always waits; its labels are published over DDS. Depth 1 and 2 take turns. It
says nothing about any GPU: only what the order of the work is worth.

    python bench/overlap.py SECONDS ROUNDS     JSON on stdout
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
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
    import rclpy
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import Image

    from seg_ros.ros.middleware import prepare_process
    from seg_ros.ros.segmentation_node import SWITCH_INTERVAL_S, SegmentationNode
    from test.gpu_stand_in.stand_in import StandIn

    prepare_process()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    cv2.setNumThreads(1)
    store_plan(folder)
    gpu = StandIn()
    gpu.be(execute_ms=EXECUTE_MS)
    waits_ms = {name: wait_cpu_ms(folder, flag) for name, flag in (('asleep', 4), ('spinning', 1))}
    rclpy.init()
    values = {'backend': 'tensorrt', 'cache_path': str(folder), 'engine': 'roadseg'}
    values |= {'heartbeat_process': False, 'autostart': False}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = SegmentationNode(parameter_overrides=overrides)
    node.trigger_configure()
    listener = Node('listener')
    listener.create_subscription(Image, '/segmentation/label', lambda _: None, 10)
    while not node._ports['camera'].outputs.wanted():
        time.sleep(0.05)
    result = [{str(depth): turn(node, depth, seconds) for depth in (1, 2)} for _ in range(rounds)]
    node.destroy_node()
    listener.destroy_node()
    rclpy.shutdown()
    return {'execute_ms': EXECUTE_MS, 'rounds': result, 'wait_cpu_ms': waits_ms}


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


def turn(node: Any, depth: int, seconds: float) -> dict[str, Any]:
    """Lets a worker work for a while; returns its rate and the time of its stages."""
    from seg_ros.ros.diagnostics import CameraStatistics
    from seg_ros.ros.worker import FrameWorker

    statistics = CameraStatistics()
    ports = {'camera': node._ports['camera']._replace(statistics=statistics)}
    config = replace(node.config, pipeline_depth=depth)
    mailbox = one_always_waiting(node)
    worker = FrameWorker(
        node, node._perception, ports, lambda: config, lambda: True, print, mailbox
    )
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
    if cache is None:
        sys.exit(main(length_s, count))
    print(json.dumps(measure(length_s, count, Path(cache) / 'cache')))
