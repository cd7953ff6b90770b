# SPDX-License-Identifier: Apache-2.0
"""A thousand frames of empty roads over DDS: no consumer marks anything on the lane.

The synthetic road is shown in the engine's colours, so that the canned backend gives exact labels.
The next frame is sent when every topic has answered the last one; best effort may lose an answer,
then the frame is sent again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2

from seg_ros.sim import SceneConfig, SimFrame
from seg_ros.sim.labels.renderer import LabelWorld
from test.ros.graph import TIMEOUT_S, Graph, image_message, pixels_of, wait_for
from test.ros.nav2_consumers import (
    SENSOR_DATA_50,
    CollisionMonitor,
    ObstacleLayer,
    parameters,
    stamp_s,
    xyz_of,
)
from test.ros.nodes import canned
from test.ros.painted_road import COLOURS, IDS, LAYER, SPEC
from test.tiny_onnx import network, write_engine

DRIVES, FRAMES_PER_DRIVE = 10, 100
STEP_S = 0.25
ANSWER_S = 2.0  # an answer takes milliseconds
EMPTY = SceneConfig(size_wh=(320, 180), people_density=0.0, car_density=0.0, cyclist_density=0.0)
LANE_HALF_WIDTH_M = 1.2
TOPICS = {
    'obstacles': PointCloud2,
    'scan': LaserScan,
    'costmap/mask': Image,
    'costmap/points': PointCloud2,
}


class LockStep:
    """A camera that waits for the answers to each of its frames."""

    def __init__(self, graph: Graph, world: LabelWorld) -> None:
        self._image = graph.publisher()
        self._info = graph.publisher(CameraInfo, '/camera_info')
        self._clock = graph.peer.get_clock()
        lens = world.camera
        self._lens = CameraInfo(width=lens.width, height=lens.height)
        self._lens.distortion_model, self._lens.d = 'plumb_bob', [0.0] * 5
        self._lens.k = lens.k.reshape(-1).tolist()
        self._answers = {
            topic: graph.collect(kind, f'/segmentation/{topic}', SENSOR_DATA_50)
            for topic, kind in TOPICS.items()
        }
        first = world.render()
        wait_for(lambda: self._send(first) and all(self._answers.values()), 'every topic')

    def show(self, frame: SimFrame) -> dict[str, Any]:
        """Returns the answer of every topic to a frame."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while True:
            stamp = self._send(frame)
            with contextlib.suppress(AssertionError):
                wait_for(lambda s=stamp: self._answered(s), 'the answers', ANSWER_S)
                return self._newest()
            assert time.monotonic() < deadline_s, 'no answer'

    def _answered(self, stamp: float) -> bool:
        return {stamp_s(row) for row in self._newest().values()} == {stamp}

    def _newest(self) -> dict[str, Any]:
        return {topic: rows[-1] for topic, rows in self._answers.items()}

    def _send(self, frame: SimFrame) -> float:
        now_ns = self._clock.now().nanoseconds
        message = image_message(COLOURS[frame.labels], stamp_ns=now_ns)
        self._lens.header = message.header
        self._info.publish(self._lens)
        self._image.publish(message)
        return stamp_s(message)


def empty_roads() -> Iterator[tuple[SceneConfig, SimFrame]]:
    """Yields a thousand moments; every second road is straight."""
    for drive in range(DRIVES):
        scene = replace(EMPTY, seed=drive + 1, straight=drive % 2 == 0)
        world = LabelWorld(scene)
        for _ in range(FRAMES_PER_DRIVE):
            world.step(STEP_S)
            yield scene, world.render()


def on_the_lane(points: NDArray[np.float64], centre: NDArray[np.float64]) -> int:
    """Returns how many of ``(N, 2)`` points are on the lane."""
    if not len(points):
        return 0
    distance = np.linalg.norm(points[:, None] - centre[None], axis=2).min(axis=1)
    return int((distance < LANE_HALF_WIDTH_M).sum())


class Consumers:
    """What Nav2 makes of a frame with the parameters of config/nav2."""

    def __init__(self) -> None:
        values = parameters('costmap_obstacle_layer.yaml', *LAYER)
        self._resolution_m = values['resolution']
        layer = values['obstacle_layer']
        self._layer = {**layer, 'scan': {**layer['scan'], 'clearing': False}}
        camera = parameters('costmap_semantic_layer.yaml', *LAYER)['semantic_layer']['camera']
        names = [*camera['danger']['classes'], *camera['people']['classes']]
        self._lethal = [IDS[name] for name in names]
        self._monitor = CollisionMonitor(
            parameters('collision_monitor_jazzy.yaml', 'collision_monitor', 'ros__parameters'),
            ignores_stale=False,
        )

    def marks(self, answers: dict[str, Any]) -> NDArray[np.float64]:
        """Returns the cells that the obstacle layer marks; nothing is cleared."""
        layer = ObstacleLayer(self._layer, self._resolution_m)
        layer.on_cloud('obstacles', answers['obstacles'], 0.0)
        layer.on_scan('scan', answers['scan'], 0.0)
        return layer.marks()

    def lethal(self, answers: dict[str, Any]) -> NDArray[np.float64]:
        """Returns where the semantic layer is told of something lethal."""
        lethal = np.isin(pixels_of(answers['costmap/mask']).ravel(), self._lethal)
        points = xyz_of(answers['costmap/points'])
        return points[lethal & np.isfinite(points[:, 2]), :2]

    def action(self, answers: dict[str, Any]) -> str:
        """Returns what the collision monitor does."""
        self._monitor.on_cloud(answers['obstacles'])
        return self._monitor.action(stamp_s(answers['obstacles']))


@pytest.mark.slow
def test_nothing_is_marked_on_the_lane_of_a_thousand_empty_roads(
    graph: Graph, tmp_path_factory: pytest.TempPathFactory
) -> None:
    engine = write_engine(
        tmp_path_factory.mktemp('empty') / 'tiny',
        network(EMPTY.size_wh, classes=len(IDS)),
        network_size=list(EMPTY.size_wh),
        classes=SPEC['classes'],
    )
    mount = {f'mount.{name}': [getattr(EMPTY.mount, name)] for name in ('x', 'z', 'pitch')}
    graph.node(**canned(engine, **mount))
    camera = LockStep(graph, LabelWorld(EMPTY))
    consumers = Consumers()
    stamps, marks, lethal = set(), 0, 0
    for scene, frame in empty_roads():
        answers = camera.show(frame)
        stamps.add(stamp_s(answers['obstacles']))
        marked, told = consumers.marks(answers), consumers.lethal(answers)
        assert on_the_lane(marked, frame.lane_centre) == 0
        assert on_the_lane(told, frame.lane_centre) == 0
        marks, lethal = marks + len(marked), lethal + len(told)
        if scene.straight:
            assert consumers.action(answers) != 'stop'
    assert len(stamps) == DRIVES * FRAMES_PER_DRIVE
    # Beside the lane there are kerbs, posts and walls, so that nobody is blind
    assert marks > 100 * len(stamps)
    assert lethal > len(stamps)
