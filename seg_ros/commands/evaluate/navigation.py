# SPDX-License-Identifier: Apache-2.0
"""``seg_ros evaluate --task navigation``: how well obstacles are placed, on synthetic drives."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera, without_pictures
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.commands.shared.node_parameters import (
    add_parameter_arguments,
    config_from_arguments,
)
from seg_ros.commands.shared.numbers import one_or_more
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.navigation.instances import PER_CLASS, Instances
from seg_ros.core.navigation.navigator import Navigation
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.watched_zones.config import ZoneConfig
from seg_ros.decisions import DECISIONS, FrameDecisions
from seg_ros.messages.outputs import detection_outputs, navigation_outputs, zone_outputs
from seg_ros.messages.types import Header
from seg_ros.sim import Person, SceneConfig, SimFrame
from seg_ros.sim.classes import PEDESTRIAN
from seg_ros.sim.labels.renderer import LabelWorld
from seg_ros.sim.paint.canvas import FIRST_CYCLIST_CODE, FIRST_PERSON_CODE

__all__ = ['NavigationTally', 'add_arguments', 'evaluate', 'main']

SEED = 7
FRAMES = 600
STEP_S = 0.25  # between two frames that are judged
FRAMES_PER_DRIVE = 60
SEEN_SHARE = 0.9
NEAREST_M, FARTHEST_M = 4.0, 25.0
MISSED_SHARE = 0.3  # of the distance: what is placed worse counts as missed
LANE_HALF_WIDTH_M = 1.2
LANE_REACH_M = 20.0
MATCH_IOU = 0.5
OUTLINES_EVERY = 4
ZONES = ZoneConfig(names=('crossing',), polygons=('ground 9 4 12 4 12 -4 9 -4',))
STAGES = ('navigation', 'autoware', 'instances', 'detections', 'zones', 'messages')
BARS = {
    'range_error_rel.p50': 0.05,
    'lateral_error_m.p50': 0.1,
    'false_marks_per_1000_frames': 0.0,
    'missed_share': 0.02,
    'cost_ms.p50': 4.0,
}
LEAST = {'panoptic_quality_person': 0.75}

Figures = dict[str, float | dict[str, float]]


class CodedWorld(LabelWorld):
    """A world that also tells whose pixel a pixel is."""

    def codes(self) -> NDArray[np.uint8]:
        """The labels of now, but everybody has a value of their own."""
        painter: Any = self._renderer
        classes = painter._classes
        painter._classes = np.arange(256, dtype=np.uint8)
        try:
            return self.render().labels
        finally:
            painter._classes = classes


@dataclass
class NavigationTally:
    """What the frames add up to."""

    range_errors: list[float] = field(default_factory=list)
    lateral_errors_m: list[float] = field(default_factory=list)
    missed: int = 0
    empty_frames: int = 0
    false_marks: int = 0
    costs_ms: list[float] = field(default_factory=list)  # of a CPU, messages included
    overlaps: list[float] = field(default_factory=list)
    unmatched: int = 0

    def add_outlines(self, codes: NDArray[np.uint8], found: Instances) -> None:
        """Books whose outline was found, however small it is.

        Args:
            codes: ``(H, W)`` truth; a person's pixels have a value of their own, from
                ``FIRST_PERSON_CODE`` up to ``FIRST_CYCLIST_CODE``.
            found: The instances of the same frame.
        """
        is_person = (codes >= FIRST_PERSON_CODE) & (codes < FIRST_CYCLIST_CODE)
        unmatched = set(np.unique(codes[is_person]).tolist())
        for code in found.codes[found.codes // PER_CLASS == PEDESTRIAN].tolist():
            mine = found.image == code
            whose = int(np.bincount(codes[mine & is_person], minlength=256).argmax())
            other = codes == whose
            overlap = float((mine & other).sum() / (mine | other).sum())
            if overlap > MATCH_IOU and whose in unmatched:
                self.overlaps.append(overlap)
                unmatched.remove(whose)
            else:
                self.unmatched += 1
        self.unmatched += len(unmatched)

    def add_people(self, frame: SimFrame, found: Navigation) -> None:
        """Books where people were placed who are in plain sight."""
        assert found.obstacles is not None
        mine = found.obstacles.class_ids == PEDESTRIAN
        points, columns = found.obstacles.points[mine], found.obstacles.columns[mine]
        for person in _in_plain_sight(frame):
            assert person.bbox is not None
            own = points[(columns >= person.bbox[0]) & (columns < person.bbox[2])]
            true_m = math.hypot(person.x_m, person.y_m)
            if not len(own):
                self.missed += 1
                continue
            x, y = np.median(own, axis=0).tolist()
            # Along the line of sight, and across it
            along = (x * person.x_m + y * person.y_m) / true_m
            across = (x * person.y_m - y * person.x_m) / true_m
            if abs(along - true_m) > MISSED_SHARE * true_m:
                self.missed += 1
                continue
            self.range_errors.append(abs(along - true_m) / true_m)
            self.lateral_errors_m.append(abs(across) * true_m / along)

    def add_empty(self, frame: SimFrame, found: Navigation) -> None:
        """Books a frame in which nothing is on the road."""
        assert found.obstacles is not None
        self.empty_frames += 1
        self.false_marks += int(_on_the_lane(found.obstacles.points, frame.lane_centre).any())

    def figures(self) -> Figures:
        """Returns the figures by name; NaN where nothing was measured."""
        placed = len(self.range_errors)
        return {
            'people': placed + self.missed,
            'empty_frames': self.empty_frames,
            'range_error_rel': _percentiles(self.range_errors),
            'lateral_error_m': _percentiles(self.lateral_errors_m),
            'false_marks_per_1000_frames': 1000.0 * self.false_marks / max(self.empty_frames, 1),
            'missed_share': self.missed / max(placed + self.missed, 1),
            'panoptic_quality_person': _panoptic_quality(self.overlaps, self.unmatched),
            'cost_ms': _percentiles(self.costs_ms),
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--frames',
        type=one_or_more,
        default=FRAMES,
        help=f'with people, and as many without ({FRAMES})',
    )
    parser.add_argument('--seed', type=int, default=SEED, help=f'of the drives ({SEED})')
    add_parameter_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Measures and prints; returns 1 when a figure misses its bar, else 0."""
    notes: list[str] = []
    config = config_from_arguments(arguments, notes.append)
    if config.zones != ZoneConfig():
        raise ConfigurationError(
            'zones.* of --params and -p is not measured here: the task has a zone of its own.'
        )
    with Progress(sys.stderr) as progress:
        figures = evaluate(arguments.frames, arguments.seed, progress, config)
    missed = [name for name, bar in BARS.items() if not _value(figures, name) <= bar]
    missed += [name for name, bar in LEAST.items() if not _value(figures, name) >= bar]
    for note in notes:
        print(note, file=sys.stderr)
    if arguments.json:
        print(json.dumps({**figures, 'notes': notes}))
    else:
        for name in (*BARS, *LEAST, 'range_error_rel.p95', 'lateral_error_m.p95', 'cost_ms.p95'):
            bar = f'at most {BARS[name]:g}' if name in BARS else ''
            bar = f'at least {LEAST[name]:g}' if name in LEAST else bar
            verdict = ' MISSED' if name in missed else ''
            print(f'{name:30}{_value(figures, name):10.4f}  {bar}{verdict}')
        print(f'{figures["people"]:g} people, {figures["empty_frames"]:g} frames of empty roads')
    return 1 if missed else 0


def evaluate(frames: int, seed: int, progress: Progress, config: NodeConfig) -> Figures:
    """Returns the figures over drives with people, and over empty roads, with exact labels."""
    config = without_pictures(replace(config, zones=ZONES))
    tally = NavigationTally()
    outputs = _Outputs()
    busy = SceneConfig(seed=seed, people_density=2.0, car_density=0.5)
    empty = replace(busy, people_density=0.0, car_density=0.0, cyclist_density=0.0)
    for scene, add in ((busy, tally.add_people), (empty, tally.add_empty)):
        for count, (frame, world, camera) in enumerate(_frames(scene, frames, config)):
            found, cost_ms = outputs.make(frame, camera)
            tally.costs_ms.append(cost_ms)
            assert found.navigation is not None
            assert found.instances is not None
            add(frame, found.navigation)
            if scene is busy and count % OUTLINES_EVERY == 0:
                tally.add_outlines(world.codes(), found.instances)
            progress.show(f'frame {count + 1} of {frames}')
    return tally.figures()


class _Outputs:
    """Makes everything that navigation stacks can be given of a frame, as the node does."""

    def __init__(self) -> None:
        self._rows = (*navigation_outputs(), *zone_outputs(ZONES), *detection_outputs())
        self._header = Header()

    def make(self, frame: SimFrame, camera: EvaluatedCamera) -> tuple[FrameDecisions, float]:
        """Returns what was decided, and the milliseconds of a CPU that it cost with its messages.

        Lane and stop are decided, too, since detections name the people that the stop follows;
        their cost is not that of these outputs.
        """
        perceived = camera.process(frame.image, frame.stamp_ns, DECISIONS, exact=frame.labels)
        for row in self._rows:
            row.make(self._header, perceived.decisions)
        perceived.timer.stage('messages')
        return perceived.decisions, sum(perceived.timer.stages_ms[name] for name in STAGES)


def _frames(
    scene: SceneConfig, count: int, config: NodeConfig
) -> Iterator[tuple[SimFrame, CodedWorld, EvaluatedCamera]]:
    """Yields frames of several drives, each with the camera that sees it."""
    for drive in range(math.ceil(count / FRAMES_PER_DRIVE)):
        world = CodedWorld(replace(scene, seed=scene.seed + drive))
        camera = EvaluatedCamera(
            ExactLabels(scene.size_wh), config, Camera(world.camera, world.mount)
        )
        for _ in range(min(FRAMES_PER_DRIVE, count - drive * FRAMES_PER_DRIVE)):
            world.step(STEP_S)
            yield world.render(), world, camera


def _in_plain_sight(frame: SimFrame) -> Iterator[Person]:
    height, width = frame.labels.shape
    boxes = [person.bbox for person in (*frame.people, *frame.cyclists) if person.bbox]
    for person in frame.people:
        box = person.bbox
        if box is None or person.visible_share < SEEN_SHARE:
            continue
        inside = box[0] > 0 and box[2] < width and box[3] < height
        beside = sum(other[0] < box[2] and box[0] < other[2] for other in boxes) > 1
        if inside and not beside and NEAREST_M < math.hypot(person.x_m, person.y_m) < FARTHEST_M:
            yield person


def _on_the_lane(points: NDArray[np.float32], centre: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points are within the lane that the vehicle is in."""
    if not len(points):
        return np.zeros(0, np.bool_)
    near = points[np.hypot(points[:, 0], points[:, 1]) < LANE_REACH_M]
    distance = np.linalg.norm(near[:, None] - centre[None], axis=2).min(axis=1)
    return np.asarray(distance < LANE_HALF_WIDTH_M) if len(near) else np.zeros(0, np.bool_)


def _panoptic_quality(overlaps: list[float], unmatched: int) -> float:
    """Sum of the overlaps over matches and half of what has no match, true or found."""
    return sum(overlaps) / max(len(overlaps) + 0.5 * unmatched, 1.0)


def _percentiles(values: list[float]) -> dict[str, float]:
    p50, p95 = np.percentile(values, [50, 95]).tolist() if values else (math.nan, math.nan)
    return {'p50': p50, 'p95': p95}


def _value(figures: Figures, name: str) -> float:
    first, _, rest = name.partition('.')
    value = figures[first]
    return value[rest] if isinstance(value, dict) else value
