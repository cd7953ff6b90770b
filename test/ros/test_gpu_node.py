# SPDX-License-Identifier: Apache-2.0
"""The node with TensorRT, on a machine whose GPU is a fake: what fails there stops the vehicle."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import Image

from seg_ros.inference.cuda import gpu
from seg_ros.inference.engine import load_engine
from seg_ros.inference.tensorrt.backend import MOST_RESTARTS
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from test.fake_tensorrt import FakeMachine, store
from test.inference.fake_builds import machine  # noqa: F401  a fixture
from test.ros.graph import Graph, image_message, latest_status, values_of, wait_for
from test.ros.nodes import canned, street

CYCLES = 100


@pytest.fixture
def on_gpu(machine: FakeMachine, engine: Path, tmp_path: Path) -> dict[str, Any]:  # noqa: F811
    """Returns the parameters of a node whose plan is in the cache."""
    cache = tmp_path / 'cache'
    store(PlanCache(cache), load_engine(engine), machine)
    return canned(engine, backend='tensorrt', cache_path=str(cache))


def test_a_gpu_that_fails_stops_the_vehicle_with_its_reason_and_is_started_again(
    graph: Graph,
    machine: FakeMachine,  # noqa: F811
    on_gpu: dict[str, Any],
) -> None:
    node = graph.node(**on_gpu)
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)

    def failures(count: int) -> str:
        """Publishes a frame and returns why the vehicle stops once it has failed."""
        camera.publish(image_message(street()[0]))
        wait_for(
            lambda: values_of(latest_status(diagnostics)).get('inference_failures') == str(count),
            'the failure is told',
        )
        vehicle = node._decide_stop(node._now_ns())
        assert vehicle.stop
        return vehicle.decision.reason

    camera.publish(image_message(street()[0]))
    wait_for(lambda: len(labels) == 1, 'a label image from the GPU')
    machine.memory.failing = ('synchronise', 'CUDA_ERROR_SYSTEM_NOT_READY')
    assert 'CUDA_ERROR_SYSTEM_NOT_READY' in failures(1)

    camera.publish(image_message(street()[0]))
    wait_for(lambda: len(labels) == 2, 'a label image after the GPU was started again')
    assert len(machine.memories) == 3  # of the sets, and of two runners

    machine.memory.failing = machine.failing = ('synchronise', 'CUDA_ERROR_UNKNOWN')
    for count in range(2, MOST_RESTARTS + 2):
        assert 'CUDA_ERROR_UNKNOWN' in failures(count)
    for count in (MOST_RESTARTS + 2, MOST_RESTARTS + 3):
        assert 'is left alone now' in failures(count)
    assert len(machine.memories) == 2 + MOST_RESTARTS
    assert len(labels) == 2
    assert not node.lost  # the node stays, and its stop says why


def test_a_hundred_times_configured_and_cleaned_up_the_node_leaves_nothing_on_the_gpu(
    graph: Graph,
    machine: FakeMachine,  # noqa: F811
    on_gpu: dict[str, Any],
) -> None:
    node = graph.node(started=False, **on_gpu)
    threads = threading.active_count()
    for _ in range(CYCLES):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    assert [memory.open_count for memory in machine.memories] == [0] * 2 * CYCLES
    assert {memory.free_bytes() for memory in machine.memories} == {machine.capacity}
    assert threading.active_count() == threads


def test_asked_for_tensorrt_the_node_refuses_to_start_without_a_gpu_and_says_why(
    graph: Graph, engine: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, 'LIBRARY_NAMES', ('libnothing_cuda.so',))
    node = graph.node(started=False, **canned(engine, backend='tensorrt'))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    said = capfd.readouterr().err
    assert "Backend 'tensorrt' cannot run here: it needs an NVIDIA GPU" in said
    assert 'no libcuda' in said
    vehicle = node._decide_stop(node._now_ns())
    assert vehicle.stop
    assert 'no libcuda' in vehicle.decision.reason
