# SPDX-License-Identifier: Apache-2.0
"""Frames of several cameras that wait at the same time run through the network together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image

from seg_ros.inference.canned_backend import CannedBackend
from test.ros.graph import (
    RELIABLE,
    Graph,
    image_message,
    latest_status,
    pixels_of,
    values_of,
    wait_for,
)
from test.ros.nodes import canned
from test.tiny_onnx import COLOURS, SIZE_WH

CAMERAS = ('front', 'left', 'right')
SIZES_WH = {'front': SIZE_WH, 'left': (96, 80), 'right': (128, 48)}


class Rig:
    """A node with three cameras; each sees one class only, another than the others."""

    def __init__(self, graph: Graph, engine: Path) -> None:
        topics = [f'/{name}/image' for name in CAMERAS]
        self.graph = graph
        self.node = graph.node(**canned(engine, camera_names=CAMERAS, image_topics=topics))
        assert self.node.chosen is not None
        backend = self.node.chosen.backend
        assert isinstance(backend, CannedBackend)
        self.backend = backend
        self.batches: list[int] = []
        infer = backend.infer

        def counted(images: Any, **more: Any) -> Any:
            self.batches.append(len(images))
            return infer(images, **more)

        backend.infer = counted  # type: ignore[method-assign]
        backend.max_batch = len(CAMERAS)
        self.cameras = {name: graph.publisher(topic=f'/{name}/image') for name in CAMERAS}
        self.labels = {
            name: graph.collect(Image, f'/segmentation/{name}/label', RELIABLE) for name in CAMERAS
        }
        for name in CAMERAS:
            graph.connected(self.cameras[name], f'/segmentation/{name}/label')

    def see(self, camera: str, stamp_ns: int, **more: Any) -> None:
        """Publishes an image in the colour of the camera's own class."""
        width, height = SIZES_WH[camera]
        pixels = np.full((height, width, 3), COLOURS[CAMERAS.index(camera)], np.uint8)
        self.cameras[camera].publish(image_message(pixels, stamp_ns, f'{camera}_optical', **more))

    def see_together(self, first_stamp_ns: int) -> None:
        """Lets a frame of each camera wait while the network is busy with another."""
        self.backend.hang()
        self.see('front', first_stamp_ns)
        wait_for(lambda: self.batches, 'the network is busy')
        for count, name in enumerate(CAMERAS, start=1):
            self.see(name, first_stamp_ns + count)
        ports = self.node._ports
        wait_for(
            lambda: [ports[name].statistics.received for name in CAMERAS] == [2, 1, 1],
            'a frame of each camera waits',
        )
        self.batches.clear()


@pytest.fixture
def rig(graph: Graph, engine: Path) -> Rig:
    return Rig(graph, engine)


def test_labels_of_a_batch_go_to_their_own_camera_with_their_own_stamp(rig: Rig) -> None:
    rig.see_together(10)
    rig.backend.recover()
    wait_for(lambda: all(rig.labels.values()) and len(rig.labels['front']) == 2, 'all labels')
    assert rig.batches == [3]
    assert [row.header.stamp.nanosec for row in rig.labels['front']] == [10, 11]
    for class_id, name in enumerate(CAMERAS):
        message = rig.labels[name][-1]
        assert message.header.stamp.nanosec == 11 + class_id
        assert message.header.frame_id == f'{name}_optical'
        assert (message.width, message.height) == SIZES_WH[name]
        assert set(np.unique(pixels_of(message))) == {class_id}


def test_a_camera_alone_does_not_wait_for_a_partner(rig: Rig) -> None:
    for stamp_ns in (1, 2, 3):
        rig.see('left', stamp_ns)
        wait_for(lambda n=stamp_ns: len(rig.labels['left']) == n, 'its labels')
    assert rig.batches == [1, 1, 1]
    assert not rig.labels['front']


def test_a_backend_that_gains_nothing_gets_one_frame_after_the_other(rig: Rig) -> None:
    rig.backend.max_batch = 1
    rig.see_together(10)
    rig.backend.recover()
    wait_for(lambda: all(rig.labels.values()), 'all labels')
    assert rig.batches == [1, 1, 1]


def test_a_batch_that_fails_stops_the_vehicle_for_each_of_its_cameras(rig: Rig) -> None:
    diagnostics = rig.graph.collect(DiagnosticArray, '/diagnostics')
    rig.see_together(10)
    rig.backend.fail('Xid 79')
    rig.backend._may_go_on.set()

    def failures(name: str) -> str:
        return values_of(latest_status(diagnostics, name)).get('inference_failures', '')

    wait_for(lambda: [failures(name) for name in CAMERAS] == ['2', '1', '1'], 'all failures')
    assert rig.batches == [3]
    assert not any(rig.labels.values())
    vehicle = rig.node._decide_stop(rig.node._now_ns())
    assert vehicle.stop
    for name in CAMERAS:
        assert vehicle.cameras[name].stop
        assert 'Xid 79' in vehicle.cameras[name].reason


def test_a_frame_that_cannot_be_read_harms_no_other_of_its_batch(rig: Rig) -> None:
    rig.backend.hang()
    rig.see('front', 1)
    wait_for(lambda: rig.batches, 'the network is busy')
    broken = image_message(np.zeros((32, 64, 3), np.uint8), 2)
    broken.step = 7
    rig.cameras['front'].publish(broken)
    rig.see('left', 3)
    rig.see('right', 4)
    ports = rig.node._ports
    wait_for(
        lambda: [ports[name].statistics.received for name in CAMERAS] == [2, 1, 1],
        'a frame of each camera waits',
    )
    rig.backend.recover()
    wait_for(lambda: rig.labels['left'] and rig.labels['right'], 'labels of the others')
    assert rig.batches == [1, 2]
    assert set(np.unique(pixels_of(rig.labels['right'][0]))) == {2}
    assert ports['front'].statistics.broken.total() == 1
    assert [ports[name].statistics.failures for name in CAMERAS] == [0, 0, 0]


def test_the_plan_is_asked_for_as_many_images_as_there_are_cameras(
    graph: Graph, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seg_ros.ros import segmentation_node

    create, asked = segmentation_node.create_backend, []

    def recorded(*words: Any, **more: Any) -> Any:
        asked.append(more['plans'].max_batch)
        return create(*words, **more)

    monkeypatch.setattr(segmentation_node, 'create_backend', recorded)
    topics = [f'/{name}/image' for name in CAMERAS]
    node = graph.node(**canned(engine, camera_names=CAMERAS, image_topics=topics))
    assert asked == [3]
    assert node.chosen is not None
