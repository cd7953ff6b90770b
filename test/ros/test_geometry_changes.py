# SPDX-License-Identifier: Apache-2.0
"""A new calibration or mounting is taken over at once: the ground table is made anew."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray

from seg_ros.core.geometry.camera import Camera, GroundTable
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.types import NetworkView
from seg_ros.decisions import CameraDecisions
from seg_ros.messages.camera_info import Calibration, camera_info_message
from test import people_scene
from test.ros.drive import Drive
from test.ros.graph import Graph, wait_for
from test.ros.mounted_camera import LENS, MOUNT, WHERE, camera_info, person_at
from test.ros.nodes import canned
from test.through_perception import decided

PERIOD_NS = 50_000_000
CONFIG = StopConfig(coast_s=0.0, min_contrast=0.0, frozen_timeout_s=0.0)
PLACE_M = (8.0, 3.0)
LABELS = people_scene.frame_with(PLACE_M)
VIEW = NetworkView(np.zeros((*LABELS.shape, 3), np.uint8), LABELS)


class Subject:
    """A camera whose CameraInfo and mounting come anew with every frame."""

    def __init__(self) -> None:
        self.camera = people_scene.camera()
        self._calibration = Calibration(lambda _frame_id, _now_ns: (self.camera.mount, ''))
        self._decisions = CameraDecisions(NodeConfig(stop=CONFIG), people_scene.LABEL_MAP)
        self._stamp_ns = 0

    def see(self) -> SeenPerson:
        """Returns the person of the one picture there is."""
        self._stamp_ns += PERIOD_NS
        lens = self.camera.intrinsics
        self._calibration.take(camera_info_message(lens, (lens.width, lens.height)))
        self._decisions.calibrate(
            self._calibration.camera(self._stamp_ns, (lens.width, lens.height))
        )
        found = decided(self._decisions, VIEW, self._stamp_ns, {'stop'})
        (person,) = (row.seen for row in found.people if not row.is_coasting)
        return person


def lens_of(camera: Camera, zoom: float, distortion: float = 0.0) -> Camera:
    """Returns a camera with another lens."""
    old = camera.intrinsics
    k = old.k * [[zoom], [zoom], [1.0]]
    k[:2, 2] = old.k[:2, 2]
    d = np.array([distortion, 0.0, 0.0, 0.0, 0.0])
    return replace(camera, intrinsics=CameraIntrinsics(old.width, old.height, k, 'plumb_bob', d))


CHANGES: dict[str, Callable[[Camera], Camera]] = {
    'zoom': lambda camera: lens_of(camera, 1.3),
    'distortion': lambda camera: lens_of(camera, 1.0, -0.25),
    'height': lambda camera: replace(camera, mount=replace(camera.mount, z=1.7)),
    'pitch': lambda camera: replace(camera, mount=replace(camera.mount, pitch=0.08)),
}


@pytest.mark.parametrize('what', CHANGES)
def test_people_stand_where_the_newest_calibration_says(what: str) -> None:
    subject = Subject()
    for _ in range(3):
        before = subject.see()

    subject.camera = CHANGES[what](subject.camera)
    after = subject.see()

    (expected,) = subject.camera.ground_points([after.foot_px])
    assert (before.x_m, before.y_m) == pytest.approx(PLACE_M, abs=0.2)
    assert math.hypot(after.x_m - before.x_m, after.y_m - before.y_m) > 0.3
    assert (after.x_m, after.y_m) == pytest.approx(tuple(expected), rel=0.01)


def test_the_ground_table_is_made_once_for_each_calibration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, made = Camera.ground_table, []

    def counted(camera: Camera, size_wh: Any = None) -> GroundTable:
        made.append(camera)
        return make(camera, size_wh)

    monkeypatch.setattr(Camera, 'ground_table', counted)
    subject = Subject()
    first, second = subject.camera, CHANGES['zoom'](subject.camera)
    for subject.camera in (first, first, first, second, second, first):
        subject.see()
    assert [camera.intrinsics.k[0, 0] for camera in made] == [
        camera.intrinsics.k[0, 0] for camera in (first, second, first)
    ]


def test_people_move_when_the_camera_sends_another_calibration(graph: Graph, engine: Path) -> None:
    people = graph.collect(PoseArray, '/segmentation/pedestrians')
    graph.node(**canned(engine, **WHERE))
    drive = Drive(graph, image=person_at(8.0, 1.0), info=camera_info())

    def stands_at(x_m: float, y_m: float) -> bool:
        if not people or len(people[-1].poses) != 1:
            return False
        place = people[-1].poses[0].position
        return math.isclose(place.x, x_m, rel_tol=0.08) and math.isclose(
            place.y, y_m, abs_tol=0.25
        )

    zoomed = lens_of(Camera(LENS, MOUNT), 1.4)
    foot_px, _ = Camera(LENS, MOUNT).project([[8.0, 1.0, 0.0]])
    (further,) = zoomed.ground_points(foot_px)
    try:
        wait_for(lambda: stands_at(8.0, 1.0), 'the person is where it is')
        drive.info = camera_info(k=zoomed.intrinsics.k.reshape(-1).tolist())
        wait_for(lambda: stands_at(*further), 'the person is where the other lens sees it')
        drive.info = camera_info()
        wait_for(lambda: stands_at(8.0, 1.0), 'the person is back')
    finally:
        drive.close()
