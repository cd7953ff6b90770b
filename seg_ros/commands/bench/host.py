# SPDX-License-Identifier: Apache-2.0
"""What one frame costs the processor beside its network: each stage, on one core.

The frames are of the synthetic road with two or three people in view, 1280x720, and the labels
exact, so that nothing but our own code is measured, in the thread's own time. Messages and DDS are
not in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import median
from typing import Any

import cv2
import numpy as np

from seg_ros.commands.bench.stage import HD_WH
from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.zones import Motion
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.frame import SimFrame
from seg_ros.sim.world import World

__all__ = ['BUDGET_MS', 'host_ms', 'host_table', 'measure_host']

BUDGET_MS: Mapping[str, float] = {
    'preprocess': 1.0,
    'sight': 0.8,
    'lane': 1.0,
    'stop': 1.0,
    'postprocess': 1.2,
}
"""What each stage may cost on a small processor's core; 5.0 ms in sum."""

SHRINK = 2  # the network's size is half the camera's
SCENE = SceneConfig(seed=10, size_wh=HD_WH, rate_hz=20.0)
PEOPLE = (2, 3)  # in view, least and most
LEAST_SHARE, LEAST_HEIGHT = 0.5, 40  # seen of a figure, and its rows, to count as in view
FRAMES, WARM_UP = 60, 10
MOST_RENDERED = 400


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
    values = {f'host_ms.{name}': median(rows) for name, rows in stages.items() if rows}
    return {**values, 'host_ms.sum': sum(values.values())} if values else {}


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
    world = World(SCENE)
    width, height = HD_WH
    camera = EvaluatedCamera(
        ExactLabels((width // SHRINK, height // SHRINK)),
        NodeConfig(),
        Camera(world.camera, world.mount),
    )
    stages: dict[str, list[float]] = defaultdict(list)
    taken = rendered = 0
    while taken < warm_up + count and rendered < MOST_RENDERED:
        frame = world.render()
        world.step(1.0 / SCENE.rate_hz)
        rendered += 1
        camera.moved(Motion(frame.stamp_ns, frame.ego.speed_mps, 0.0))
        exact = np.ascontiguousarray(frame.labels[::SHRINK, ::SHRINK])
        seen = camera.see(frame.image, frame.stamp_ns, ('stop', 'lane'), ('label',), exact)
        camera.finish(seen)
        if not PEOPLE[0] <= _people_in_view(frame) <= PEOPLE[1]:
            continue
        taken += 1
        if taken > warm_up:
            for name, value in seen.prepared.timer.stages_ms.items():
                stages[name].append(value)
    stages.pop('infer', None)
    return {'stages_ms': dict(stages), 'frames': max(0, taken - warm_up)}


def _people_in_view(frame: SimFrame) -> int:
    return sum(
        person.visible_share >= LEAST_SHARE
        and person.bbox is not None
        and person.bbox[3] - person.bbox[1] >= LEAST_HEIGHT
        for person in frame.people
    )
