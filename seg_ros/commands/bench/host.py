# SPDX-License-Identifier: Apache-2.0
"""What one frame costs the processor beside its network: each stage, on one core.

The frames are of the synthetic road with two or three people in view, 1280x720, and the labels
exact, so that nothing but our own code is measured, in the thread's own time. Label image
(publish) and lane (publish_lane) are published as the node does it, to somebody who listens in
this process; the way of an image to the node is not in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.node import Node

from seg_ros.commands.bench.process import bench_environment
from seg_ros.commands.bench.stage import HD_WH
from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.core.errors import SegRosError
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.zones import Motion
from seg_ros.inference.engine import Engine
from seg_ros.messages.conversions import header_of
from seg_ros.messages.outputs import IMAGE_OUTPUTS, decision_outputs
from seg_ros.messages.types import message_type
from seg_ros.ros.middleware import prepare_process
from seg_ros.ros.outputs import CameraOutputs, DecisionOutputs
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.frame import SimFrame
from seg_ros.sim.world import World

__all__ = ['BUDGET_MS', 'host_ms', 'host_table', 'main', 'measure_apart', 'measure_host']

LABEL_AND_PUBLISH = 'label_and_publish'  # postprocess and publish, which share a budget
SHARED = ('postprocess', 'publish')

BUDGET_MS: Mapping[str, float] = {
    'preprocess': 1.0,
    'sight': 0.8,
    'lane': 1.0,
    'stop': 1.0,
    LABEL_AND_PUBLISH: 1.2,
}
"""What each stage may cost on a small processor's core; 5.0 ms in sum."""

SHRINK = 2  # the network's size is half the camera's
SCENE = SceneConfig(seed=10, size_wh=HD_WH, rate_hz=20.0)
PEOPLE = (2, 3)  # in view, least and most
LEAST_SHARE, LEAST_HEIGHT = 0.5, 40  # seen of a figure, and its rows, to count as in view
TOPICS = ('label', 'lane_track')  # what is listened to
DISCOVERY_S = 30.0
FRAMES, WARM_UP = 60, 10
MOST_RENDERED = 400


def measure_apart() -> dict[str, Any]:
    """Returns what ``measure_host`` does, of a process that is prepared as the node's is."""
    words = [sys.executable, '-m', 'seg_ros.commands.bench.host']
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SegRosError(f'the work of a frame was not measured: {done.stderr.strip()[-1000:]}')
    samples: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return samples


def measure_host(frames: int = FRAMES, warm_up: int = WARM_UP) -> dict[str, Any]:
    """Returns samples of every stage (ms), and how many of the frames had people in view."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return {'host': _samples(frames, warm_up)}
    finally:
        cv2.setNumThreads(threads)


def host_ms(raw: Mapping[str, Any]) -> dict[str, float]:
    """Returns the median of every stage as ``host_ms.{stage}``, and their sum; {} without any."""
    stages = raw.get('host', {}).get('stages_ms', {})
    values = {name: median(rows) for name, rows in stages.items() if rows}
    if not values:
        return {}
    shared = sum(values.get(name, 0.0) for name in SHARED)
    sums = {LABEL_AND_PUBLISH: shared, 'sum': sum(values.values())}
    return {f'host_ms.{name}': value for name, value in (values | sums).items()}


def host_table(values: Mapping[str, float]) -> str:
    """Returns a line for each stage with its budget: of this processor, and no bar for others."""
    budgets = {**BUDGET_MS, 'sum': sum(BUDGET_MS.values())}
    lines = []
    for name, value in values.items():
        budget = budgets.get(name.removeprefix('host_ms.'))
        words = '' if budget is None else f'budget {budget:g} ms'
        lines.append(f'{name:<25}{value:>8.3f}  {words}'.rstrip())
    return '\n'.join(lines)


def _samples(count: int, warm_up: int) -> dict[str, Any]:
    width, height = HD_WH
    labels = ExactLabels((width // SHRINK, height // SHRINK))
    with _published(labels.engine) as (images, decisions):
        return _samples_of(count, warm_up, labels, images, decisions)


def _samples_of(
    count: int,
    warm_up: int,
    labels: ExactLabels,
    images: CameraOutputs,
    decisions: DecisionOutputs,
) -> dict[str, Any]:
    world = World(SCENE)
    camera = EvaluatedCamera(labels, NodeConfig(), Camera(world.camera, world.mount))
    stages: dict[str, list[float]] = defaultdict(list)
    taken = rendered = 0
    while taken < warm_up + count and rendered < MOST_RENDERED:
        frame = world.render()
        world.step(1.0 / SCENE.rate_hz)
        rendered += 1
        camera.moved(Motion(frame.stamp_ns, frame.ego.speed_mps, 0.0))
        exact = np.ascontiguousarray(frame.labels[::SHRINK, ::SHRINK])
        seen = camera.see(frame.image, frame.stamp_ns, ('stop', 'lane'), ('label',), exact)
        perceived = camera.finish(seen, images.allocate)
        header = header_of(frame.stamp_ns, 'camera')
        images.publish(header, perceived.images, NodeConfig().jpeg_quality)
        seen.prepared.timer.stage('publish')
        decisions.publish(header, perceived.decisions)
        seen.prepared.timer.stage('publish_lane')
        if not PEOPLE[0] <= _people_in_view(frame) <= PEOPLE[1]:
            continue
        taken += 1
        if taken > warm_up:
            for name, value in seen.prepared.timer.stages_ms.items():
                stages[name].append(value)
    stages.pop('infer', None)
    return {'stages_ms': dict(stages), 'frames': max(0, taken - warm_up)}


@contextmanager
def _published(engine: Engine) -> Iterator[tuple[CameraOutputs, DecisionOutputs]]:
    """Makes publishers to which somebody listens, on a graph of their own."""
    config = NodeConfig()
    context = rclpy.Context()
    domain_id = int(bench_environment(Path())['ROS_DOMAIN_ID'])
    rclpy.init(context=context, domain_id=domain_id)
    node, listener = Node('host', context=context), Node('listener', context=context)
    try:
        images = CameraOutputs(node, '~', engine)
        decisions = DecisionOutputs(node, '~', config.base_frame, decision_outputs(config))
        types = {row.topic: row.type_name for row in decision_outputs(config)}
        types['label'] = IMAGE_OUTPUTS['label'].type_name
        for topic in TOPICS:
            kind = message_type(types[topic])
            listener.create_subscription(kind, f'/host/{topic}', lambda _: None, 1)
        deadline_s = time.monotonic() + DISCOVERY_S
        while not (images.wanted() and decisions.wanted()):
            if time.monotonic() > deadline_s:
                raise SegRosError(f'the listener was not found in {DISCOVERY_S:g} s')
            time.sleep(0.01)
        yield images, decisions
    finally:
        node.destroy_node()
        listener.destroy_node()
        rclpy.shutdown(context=context)


def _people_in_view(frame: SimFrame) -> int:
    return sum(
        person.visible_share >= LEAST_SHARE
        and person.bbox is not None
        and person.bbox[3] - person.bbox[1] >= LEAST_HEIGHT
        for person in frame.people
    )


def main() -> None:
    """Measures and prints the samples as JSON."""
    prepare_process()
    print(json.dumps(measure_host()))


if __name__ == '__main__':
    main()
