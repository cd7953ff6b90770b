# SPDX-License-Identifier: Apache-2.0
"""People as vision_msgs has them, from label images painted through a camera model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.types import NetworkView
from seg_ros.decisions import CameraDecisions
from seg_ros.messages.outputs import detection_outputs
from test import people_scene as scene
from test.messages.stand_ins import stand_ins, through_bytes
from test.ros.graph import header_of
from test.through_perception import decided

IMAGE_SIZE_WH = (1280, 720)  # twice that of the labels
PERIOD_NS = 50 * scene.MS
HEIGHT_M = 0.88 * 1.7 + 0.12  # of people_scene: the middle of the head, and its radius


@pytest.fixture(autouse=True)
def packages() -> Iterator[None]:
    with stand_ins():
        yield


class Watcher:
    """A camera of which 2D and 3D detections are wanted."""

    def __init__(self, camera: Camera | None = None) -> None:
        self._decisions = CameraDecisions(NodeConfig(), scene.LABEL_MAP)
        self._decisions.calibrate(camera)
        self._random = np.random.default_rng(1)
        self._stamp_ns = 0

    def see(self, labels: NDArray[np.uint8], *, covered: bool = False, sure: int = 204) -> Any:
        """Returns both messages about a frame, as a reader gets them; None where there is none."""
        self._stamp_ns += PERIOD_NS
        picture = np.zeros((*labels.shape, 3), np.uint8)
        if not covered:
            picture[:] = self._random.integers(100, 116, picture.shape)  # no two are the same
        view = NetworkView(picture, labels, np.full_like(labels, sure), IMAGE_SIZE_WH)
        rows = detection_outputs()
        wanted = {need for row in rows for need in row.needs}
        found = decided(self._decisions, view, self._stamp_ns, wanted)
        made = []
        for row in rows:
            message = row.make(header_of(self._stamp_ns, f'{row.frame}_frame'), found)
            made.append(None if message is None else through_bytes(message, row.type_name))
        return made


def test_people_are_boxes_in_the_picture_and_on_the_ground_with_the_same_id() -> None:
    watcher = Watcher(scene.camera())
    labels = scene.frame_with((8.0, 1.0), (14.0, -3.0))
    first, _ = watcher.see(labels)
    boxes, places = watcher.see(labels)

    assert boxes.header.frame_id == 'camera_frame'
    assert places.header.frame_id == 'base_frame'
    assert [row.id for row in first.detections] == [row.id for row in boxes.detections]
    assert {row.id for row in boxes.detections} == {row.id for row in places.detections}
    assert len({row.id for row in boxes.detections} - {''}) == 2

    for (x, y), box in zip(((8.0, 1.0), (14.0, -3.0)), boxes.detections, strict=True):
        (hypothesis,) = box.results
        assert hypothesis.hypothesis.class_id == str(scene.PERSON)
        assert hypothesis.hypothesis.score == pytest.approx(0.8)
        left, foot = scene.pixels(x, y + 0.25, 0.0)
        right, head = scene.pixels(x, y - 0.25, HEIGHT_M)
        centre = box.bbox.center.position
        assert centre.x == pytest.approx(left + right, abs=3.0)  # twice the mean
        assert centre.y == pytest.approx(foot + head, abs=3.0)
        assert box.bbox.size_x == pytest.approx(2.0 * (right - left), abs=5.0)
        assert box.bbox.size_y == pytest.approx(2.0 * (foot - head), abs=5.0)

        (place,) = (row for row in places.detections if row.id == box.id)
        assert place.results[0].hypothesis.class_id == str(scene.PERSON)
        where = place.results[0].pose.pose.position
        assert (where.x, where.z) == (pytest.approx(x, rel=0.05), 0.0)
        assert where.y == pytest.approx(y, abs=0.1)
        assert place.bbox.center.position.x == where.x
        assert place.bbox.center.position.z == pytest.approx(0.5 * place.bbox.size.z)
        assert place.bbox.size.z == pytest.approx(HEIGHT_M, rel=0.1)
        assert place.bbox.size.x == place.bbox.size.y == pytest.approx(0.5, abs=0.1)
        covariance = place.results[0].pose.covariance.reshape(6, 6)
        assert (np.linalg.eigvalsh(covariance[:2, :2]) > 0.0).all()


def test_an_empty_road_is_an_empty_message() -> None:
    boxes, places = Watcher(scene.camera()).see(scene.empty_road())
    assert (boxes.detections, places.detections) == ([], [])


def test_without_calibration_there_are_boxes_without_ids_and_nothing_on_the_ground() -> None:
    boxes, places = Watcher().see(scene.frame_with((8.0, 1.0)))
    assert [row.id for row in boxes.detections] == ['']
    assert places is None


def test_while_the_picture_cannot_be_believed_nothing_is_said() -> None:
    watcher = Watcher(scene.camera())
    labels = scene.frame_with((8.0, 1.0))
    assert None not in watcher.see(labels)
    assert watcher.see(labels, covered=True) == [None, None]
    assert watcher.see(labels, sure=50) == [None, None]
    assert None not in watcher.see(labels)


def test_a_cyclist_has_a_box_and_its_own_class() -> None:
    labels = scene.empty_road()
    scene.add_box(labels, 9.0, 0.0, scene.CYCLIST, width_m=0.6, to_m=1.7)
    boxes, _ = Watcher(scene.camera()).see(labels)
    assert [row.results[0].hypothesis.class_id for row in boxes.detections] == [str(scene.CYCLIST)]
