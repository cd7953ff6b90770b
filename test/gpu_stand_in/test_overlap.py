# SPDX-License-Identifier: Apache-2.0
"""The node on the graph while a batch is always under way on the GPU: nothing is lost, or stale.

Each image has labels of its own and its own stamp, so that a result under another's stamp is seen.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from seg_ros.ros.segmentation_node import SegmentationNode
from test.gpu_stand_in.stand_in import StandIn
from test.gpu_stand_in.tiny_plan import IMAGES, TinyPlan
from test.ros.fixtures import *  # noqa: F403
from test.ros.graph import Graph, image_message, latest_status, pixels_of, values_of, wait_for
from test.ros.nodes import canned

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')

EXECUTE_MS = 30.0
PERIOD_S = 0.012  # a frame always waits
MANY = 8
STOP = '/segmentation/pedestrian_stop'


class Drive:
    """A node on the stand-in, and a camera that is faster than its GPU."""

    def __init__(self, graph: Graph, gpu: StandIn, folder: Path, **more: Any) -> None:
        self.graph, self.gpu = graph, gpu
        self.plan = TinyPlan(folder)
        self.node: SegmentationNode = graph.node(
            **canned(
                self.plan.engine.folder,
                backend='tensorrt',
                cache_path=str(self.plan.cache.folder),
                heartbeat_hz=200.0,
                **more,
            )
        )
        self.camera = graph.publisher()
        self.labels: list[Image] = graph.collect(Image, '/segmentation/label')
        self.diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
        self.stops = graph.collect(Bool, STOP)
        self.status = graph.collect(DiagnosticStatus, f'{STOP}/status')
        graph.connected(self.camera)
        gpu.be(execute_ms=EXECUTE_MS)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    def _publish(self) -> None:
        stamp_ns = 0
        while not self._over.wait(PERIOD_S):
            stamp_ns += 1
            image = IMAGES[stamp_ns % len(IMAGES)]
            self.camera.publish(image_message(image, stamp_ns))

    def said(self, key: str) -> str:
        return values_of(latest_status(self.diagnostics)).get(key, '')

    def set(self, **parameters: Any) -> None:
        rows = [Parameter(name, value=value) for name, value in parameters.items()]
        assert all(row.successful for row in self.node.set_parameters(rows))

    def more_labels(self, count: int = MANY) -> None:
        target = len(self.labels) + count
        wait_for(lambda: len(self.labels) >= target, f'{count} more label images')

    def overlapping(self) -> None:
        wait_for(lambda: self.said('turn_ms.p50'), 'a frame that waited for its turn')

    def end(self, least_agreement: float = 1.0) -> None:
        """Ends the camera and looks at all that came."""
        self._over.set()
        self._thread.join()
        statistics = self.node._ports['camera'].statistics

        def accounted() -> bool:
            """Every frame that arrived was published, replaced by a newer one, or has failed."""
            ends = statistics.published + statistics.dropped + statistics.failures
            return statistics.received == ends

        wait_for(accounted, 'nothing is lost')
        wait_for(lambda: len(self.labels) == statistics.published, 'all label images')
        assert statistics.broken.total() == statistics.idle == 0
        stamps = [row.header.stamp.nanosec for row in self.labels]
        assert stamps == sorted(set(stamps))
        for stamp, message in zip(stamps, self.labels, strict=True):
            agreements = (self.plan.expected.labels == pixels_of(message)).mean(axis=(1, 2))
            assert agreements.argmax() == stamp % len(IMAGES)
            assert agreements.max() >= least_agreement
        assert all(row.data for row in self.stops)
        self.graph.destroy(self.node)


@pytest.fixture
def drive(graph: Graph, gpu: StandIn, tmp_path: Path) -> Iterator[Drive]:
    drive = Drive(graph, gpu, tmp_path)
    yield drive
    drive._over.set()


def test_every_label_is_of_its_own_image_and_in_order(drive: Drive) -> None:
    drive.overlapping()
    drive.more_labels()
    drive.end()


def test_a_frame_with_nobody_behind_it_is_published_at_once(
    graph: Graph, gpu: StandIn, tmp_path: Path
) -> None:
    """It does not wait for the next one to come."""
    plan = TinyPlan(tmp_path)
    parameters = canned(plan.engine.folder, backend='tensorrt', cache_path=str(plan.cache.folder))
    node = graph.node(**parameters)
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    for count in range(1, 4):
        camera.publish(image_message(IMAGES[0], count))
        wait_for(lambda n=count: len(labels) == n, 'its label image')
    graph.destroy(node)


def test_with_a_depth_of_one_nothing_overlaps_and_it_may_change_in_mid_drive(
    drive: Drive,
) -> None:
    drive.overlapping()

    statistics = drive.node._ports['camera'].statistics

    def turns() -> int:
        return statistics.latency._rings['turn']._count

    def none_waits() -> None:
        drive.set(pipeline_depth=1)
        # Two may have begun before; counted where they end, not where they are heard: on a busy
        # machine, labels of long ago still arrive.
        target = statistics.published + 3
        wait_for(lambda: statistics.published >= target, 'what had begun has ended')
        before = turns()
        drive.more_labels()
        assert turns() == before

    none_waits()
    before = turns()
    drive.set(pipeline_depth=2)
    wait_for(lambda: turns() > before, 'a frame that waits for its turn')
    none_waits()
    drive.end()


def test_a_batch_that_fails_under_way_costs_that_frame_alone_and_stops_the_vehicle(
    drive: Drive,
) -> None:
    drive.overlapping()
    drive.gpu.fail('cuStreamSynchronize', error=999)
    wait_for(lambda: drive.said('inference_failures') == '1', 'the failure is told')
    drive.more_labels()
    assert any('CUDA_ERROR_UNKNOWN' in row.message for row in drive.status)
    assert drive.said('inference_failures') == '1'
    assert not drive.node.lost
    drive.end()


def test_a_batch_that_cannot_be_begun_is_told_after_the_one_before_it(drive: Drive) -> None:
    """Else the stop would forget the failure with the good frame that was finished later."""
    drive.overlapping()
    port = drive.node._ports['camera']
    order: list[str] = []
    failed, processed = port.decisions.failed, port.statistics.processed

    def noted(reason: str) -> None:
        order.append('failed')
        failed(reason)

    def counted(stamp_ns: int, latencies_ms: dict[str, float]) -> None:
        order.append(str(stamp_ns))
        processed(stamp_ns, latencies_ms)

    port.decisions.failed = noted  # type: ignore[method-assign]
    port.statistics.processed = counted  # type: ignore[method-assign]
    drive.gpu.fail('cuGraphLaunch', error=999)
    wait_for(lambda: 'failed' in order, 'the failure')
    drive.more_labels()
    stamps = [int(row) for row in order if row != 'failed']
    assert stamps == sorted(stamps)
    at = order.index('failed')
    assert order.count('failed') == 1
    assert int(order[at + 1]) - int(order[at - 1]) > 1  # what is missing lies between the two
    drive.end()


def test_nothing_is_published_after_deactivate_and_nothing_old_after_activate(
    drive: Drive,
) -> None:
    drive.overlapping()
    assert drive.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    statistics = drive.node._ports['camera'].statistics
    published, received = statistics.published, statistics.received
    newest_ns = statistics.newest_stamp_ns
    assert newest_ns is not None
    vehicle = drive.node._decide_stop(drive.node._now_ns())
    assert vehicle.stop
    assert vehicle.decision.kind == 'inactive'
    wait_for(lambda: len(drive.labels) >= published, 'what was on its way')
    assert drive.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    drive.more_labels()
    assert statistics.received > received
    stamps = [row.header.stamp.nanosec for row in drive.labels]
    assert stamps == sorted(set(stamps))
    assert stamps[published] > newest_ns
    drive._over.set()
    assert all(row.data for row in drive.stops)
    drive.graph.destroy(drive.node)


def test_the_engine_switches_in_mid_drive_and_no_frame_is_lost(
    graph: Graph, gpu: StandIn, tmp_path: Path
) -> None:
    """From the CPU, which serves alone, to a GPU with two batches on their way."""
    drive = Drive(graph, gpu, tmp_path, precision='fp32')  # of which there is no plan yet
    chosen = drive.node.chosen
    assert chosen is not None
    assert chosen.backend.name in ('openvino', 'onnxruntime')
    drive.more_labels(2)
    wait_for(lambda: chosen.backend.name == 'tensorrt', 'TensorRT serves')
    drive.overlapping()
    drive.more_labels()
    drive.end(least_agreement=0.99)  # of what the CPU said, in bf16 on some
