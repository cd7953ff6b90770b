# SPDX-License-Identifier: Apache-2.0
"""The whole node on the graph with ``backend:=tensorrt``, cuda-bindings and the stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from seg_ros.inference.tensorrt.host_sets import SETS
from seg_ros.inference.tensorrt.plan_runner import CAPTURE_AFTER, PlanRunner
from seg_ros.ros.device_lost import EXIT_DEVICE_LOST
from test.gpu_stand_in.stand_in import StandIn
from test.gpu_stand_in.tiny_plan import IMAGES, TinyPlan
from test.ros.fixtures import *  # noqa: F403
from test.ros.graph import Graph, image_message, latest_status, pixels_of, values_of, wait_for
from test.ros.nodes import canned, street

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')

CAMERAS = ('front', 'left', 'right')
CYCLES = 100
WARM_UP = CAPTURE_AFTER + SETS  # runs with which a plan is loaded
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


@pytest.mark.parametrize(('error', 'sticks'), [(999, False), (719, True)])
def test_a_plan_whose_first_frame_fails_leaves_that_frame_and_all_others_to_the_cpu(
    error: int, sticks: bool, graph: Graph, engine: Path, careless_gpu: StandIn, tmp_path: Path
) -> None:
    node = graph.node(**on_gpu(engine, tmp_path / 'cache'))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)
    # Nobody else is on this driver: the plan is built and compared in another process
    careless_gpu.fail('cuStreamSynchronize', at=WARM_UP + 1, error=error, sticks=sticks)
    sent = 0

    def said() -> dict[str, str]:
        """Publishes a picture, waits for its labels, and returns what the operator reads."""
        nonlocal sent
        sent += 1
        camera.publish(image_message(street()[0], sent))
        wait_for(lambda: len(labels) == sent, 'labels of every picture')
        return values_of(latest_status(diagnostics))

    wait_for(lambda: said().get('backend_state') == 'failed', 'the failure is told', 60.0)
    for _ in range(3):
        values = said()
    assert values['backend'] in ('openvino', 'onnxruntime')
    assert 'cuStreamSynchronize failed on no GPU' in values['backend_status']
    assert values['inference_failures'] == '0'
    assert not node.lost  # the CPU serves, and needs no other process
    graph.destroy(node)
    careless_gpu.heal()


@pytest.mark.parametrize('is_integrated', [False, True], ids=['own memory', 'shared'])
def test_pictures_of_several_cameras_run_together_and_come_back_to_their_own(
    is_integrated: bool,
    graph: Graph,
    gpu: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu.be(is_integrated=is_integrated)
    plan = TinyPlan(tmp_path, len(CAMERAS))
    counts: list[int] = []
    begin = PlanRunner.begin

    def counted(self: PlanRunner, images: Any, **more: Any) -> Any:
        counts.append(len(images))
        return begin(self, images, **more)

    monkeypatch.setattr(PlanRunner, 'begin', counted)
    topics = [f'/{name}/image' for name in CAMERAS]
    words = on_gpu(plan.engine.folder, plan.cache.folder)
    node = graph.node(**words, camera_names=CAMERAS, image_topics=topics)
    cameras = [graph.publisher(topic=topic) for topic in topics]
    labels = [graph.collect(Image, f'/segmentation/{name}/label') for name in CAMERAS]
    for camera, name in zip(cameras, CAMERAS, strict=True):
        graph.connected(camera, f'/segmentation/{name}/label')
    gpu.be(is_integrated=is_integrated, execute_ms=30.0)  # the others come meanwhile
    stamp_ns = 0

    def all_ran_together() -> bool:
        nonlocal stamp_ns
        stamp_ns += 1
        for index, camera in enumerate(cameras):
            camera.publish(image_message(IMAGES[(stamp_ns + 4 * index) % len(IMAGES)], stamp_ns))
        return counts.count(len(CAMERAS)) >= 20 and all(len(rows) >= 20 for rows in labels)

    wait_for(all_ran_together, 'twenty batches of all cameras')
    graph.destroy(node)
    for index, rows in enumerate(labels):
        for row in rows:
            picture = (row.header.stamp.nanosec + 4 * index) % len(IMAGES)
            np.testing.assert_array_equal(pixels_of(row), plan.expected.labels[picture])


def test_too_little_memory_keeps_the_node_from_its_work_or_gives_it_to_the_cpu(
    graph: Graph, gpu: StandIn, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = TinyPlan(tmp_path)
    gpu.be(total_bytes=(1 << 16) + 4096)
    words = on_gpu(plan.engine.folder, plan.cache.folder)
    node = graph.node(started=False, **words)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    vehicle = node._decide_stop(node._now_ns())
    assert vehicle.stop
    assert vehicle.decision.kind == 'inactive'
    for said in (vehicle.decision.reason, capfd.readouterr().err):
        assert 'CUDA_ERROR_OUT_OF_MEMORY' in said
        assert 'MB are free' in said
        assert 'End other programs on it' in said
    assert not node.lost
    assert gpu.open() == {}
    graph.destroy(node)
    node = graph.node(**{**words, 'backend': 'auto'})
    assert node.chosen is not None
    assert node.chosen.backend.name in ('openvino', 'onnxruntime')
    assert 'CUDA_ERROR_OUT_OF_MEMORY' in node.chosen.reason
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
