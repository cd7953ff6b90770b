# SPDX-License-Identifier: Apache-2.0
"""The whole node on the graph with ``backend:=tensorrt``, cuda-bindings and the stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from seg_ros.ros.device_lost import EXIT_DEVICE_LOST
from test.gpu_stand_in.stand_in import StandIn
from test.gpu_stand_in.tiny_plan import TinyPlan
from test.ros.fixtures import *  # noqa: F403
from test.ros.graph import Graph, image_message, latest_status, values_of, wait_for
from test.ros.nodes import canned, street

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')

CYCLES = 100
RUN = [sys.executable, '-m', 'seg_ros.cli', 'run', '--ros-args']


def on_gpu(engine: Path, cache: Path, **more: Any) -> dict[str, Any]:
    return canned(engine, backend='tensorrt', cache_path=str(cache), **more)


def test_the_plan_is_built_behind_the_node_and_takes_over(
    graph: Graph,
    engine: Path,
    gpu: StandIn,
    tmp_path: Path,
) -> None:
    """The build is a process of its own, on a driver of its own."""
    node = graph.node(**on_gpu(engine, tmp_path / 'cache'))
    assert node.chosen is not None
    assert node.chosen.backend.name in ('openvino', 'onnxruntime')
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)

    def served_by_the_gpu() -> bool:
        camera.publish(image_message(street()[0]))
        return bool(node.chosen is not None and node.chosen.backend.name == 'tensorrt')

    wait_for(served_by_the_gpu, 'TensorRT serves', 60.0)
    before = len(labels)
    wait_for(lambda: served_by_the_gpu() and len(labels) > before + 3, 'labels from it')
    graph.destroy(node)


def test_a_hundred_times_configured_and_cleaned_up_nothing_is_left(
    graph: Graph,
    gpu: StandIn,
    tmp_path: Path,
) -> None:
    plan = TinyPlan(tmp_path)
    node = graph.node(started=False, **on_gpu(plan.engine.folder, plan.cache.folder))
    threads = threading.active_count()
    for _ in range(CYCLES):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        assert gpu.open() == {}
    assert threading.active_count() == threads


def test_a_failure_that_the_gpu_survives_stops_the_vehicle_for_a_frame(
    graph: Graph,
    gpu: StandIn,
    tmp_path: Path,
) -> None:
    plan = TinyPlan(tmp_path)
    node = graph.node(**on_gpu(plan.engine.folder, plan.cache.folder))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)
    camera.publish(image_message(street()[0]))
    wait_for(lambda: len(labels) == 1, 'a label image from the GPU')
    gpu.fail('cuStreamSynchronize', error=999)
    camera.publish(image_message(street()[0]))
    wait_for(
        lambda: values_of(latest_status(diagnostics)).get('inference_failures') == '1',
        'the failure is told',
    )
    vehicle = node._decide_stop(node._now_ns())
    assert vehicle.stop
    assert 'CUDA_ERROR_UNKNOWN' in vehicle.decision.reason
    camera.publish(image_message(street()[0]))
    wait_for(lambda: len(labels) == 2, 'a label image after the GPU was started again')
    assert not node.lost
    graph.destroy(node)


def test_a_gpu_that_is_lost_is_told_by_the_stop_and_ends_the_process(
    graph: Graph,
    careless_gpu: StandIn,
    domain_id: int,
    tmp_path: Path,
) -> None:
    plan = TinyPlan(tmp_path)
    stops = graph.collect(Bool, '/segmentation/pedestrian_stop')
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    camera = graph.publisher()
    words = on_gpu(plan.engine.folder, plan.cache.folder)
    parameters = [word for name, value in words.items() for word in ('-p', f'{name}:={value}')]
    with (tmp_path / 'node.log').open('wb') as log:
        process = subprocess.Popen(
            [*RUN, *parameters],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                'ROS_DOMAIN_ID': str(domain_id),
                'SEG_ROS_STAND_IN_FAIL': 'cuStreamSynchronize 30 719 1',
            },
        )
    try:
        wait_for(lambda: status and stops, 'the process is heard before it meets an image', 60.0)

        def ended() -> bool:
            camera.publish(image_message(street()[0]))
            return process.poll() is not None

        wait_for(ended, 'the process ends', 60.0)
    finally:
        process.kill()
        process.wait()
    said = (tmp_path / 'node.log').read_text(encoding='utf-8', errors='replace')
    assert process.returncode == EXIT_DEVICE_LOST, said[-3000:]
    assert 'The process ends: ' in said
    assert 'a new one can: start it again' in said
    assert 'terminate called' not in said
    reasons = [row.message for row in status]
    assert any('CUDA_ERROR_LAUNCH_FAILED' in row for row in reasons), reasons[-5:]
    first = next(i for i, row in enumerate(reasons) if 'CUDA_ERROR_LAUNCH_FAILED' in row)
    assert values_of(status[first])['kind'] == 'failed'
    assert len(reasons) - first >= 3  # the last words are heard
    assert stops[-1].data
