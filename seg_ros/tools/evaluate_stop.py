"""``seg_ros evaluate --task stop``: how well the stop does, on drives and on labelled pictures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from seg_ros.core.image_health import health_of
from seg_ros.core.labels import LabelMap
from seg_ros.core.stop_config import StopConfig
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.sim import SceneConfig, SimFrame, World
from seg_ros.sim.label_renderer import LabelWorld
from seg_ros.tools.labelled_folder import labelled_pictures
from seg_ros.tools.progress import Progress
from seg_ros.tools.stop_drives import (
    EXACT_LABEL_MAP,
    RATE_HZ,
    Judged,
    Moment,
    PlannedDrive,
    crossing_drives,
    moments_of,
    quiet_drives,
)
from seg_ros.tools.stop_figures import Figures, Tally, bars_for, missed_bars, table_of
from seg_ros.tools.stop_folder import FolderTally, at_network_size

__all__ = ['add_arguments', 'evaluate_drives', 'evaluate_folder', 'main']

EVENTS = 216
QUIET_MINUTES = 10.5
SEED = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--labels',
        choices=('exact', 'network'),
        default='exact',
        help='judge the true labels of the drives (exact), or what the engine makes of them',
    )
    parser.add_argument('--engine', default='roadseg', help='name or folder (roadseg)')
    parser.add_argument('--backend', default='auto', help='what runs it (auto)')
    parser.add_argument(
        '--threads', type=int, default=0, help='of inference; 0: one per free core'
    )
    parser.add_argument('--events', type=int, default=EVENTS, help=f'planned crossings ({EVENTS})')
    parser.add_argument(
        '--quiet-minutes',
        type=float,
        default=QUIET_MINUTES,
        help=f'of drives without crossings ({QUIET_MINUTES:g})',
    )
    parser.add_argument('--seed', type=int, default=SEED, help=f'of the drives ({SEED})')
    parser.add_argument(
        '--dataset',
        type=Path,
        metavar='DIR',
        help='instead of drives: NAME.avif (png, jpg) with NAME.label.png, ids as in CamVid',
    )
    parser.add_argument(
        '--image-polygon',
        type=float,
        nargs='+',
        metavar='SHARE',
        help='u1 v1 u2 v2 … of the image zone that --dataset is judged with (stop.image_polygon)',
    )
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Measures and prints; returns 1 when a figure misses its bar, else 0."""
    config = StopConfig()
    if arguments.image_polygon:
        config = replace(config, image_polygon=tuple(arguments.image_polygon))
    labels = 'network' if arguments.dataset else arguments.labels
    with Progress(sys.stderr) as progress:
        if labels == 'exact':
            figures = evaluate_drives(
                config, arguments.events, arguments.quiet_minutes, arguments.seed, progress
            )
        else:
            engine = load_engine(arguments.engine)
            chosen = create_backend(arguments.backend, engine, threads=arguments.threads)
            try:
                if arguments.dataset:
                    figures = evaluate_folder(config, arguments.dataset, chosen.backend, progress)
                else:
                    figures = evaluate_drives(
                        config,
                        arguments.events,
                        arguments.quiet_minutes,
                        arguments.seed,
                        progress,
                        chosen.backend,
                    )
            finally:
                chosen.backend.close()
    bars = bars_for(labels, config.hold_s)
    print(json.dumps(figures) if arguments.json else table_of(figures, bars))
    return 1 if missed_bars(figures, bars) else 0


def evaluate_drives(
    config: StopConfig,
    events: int,
    quiet_minutes: float,
    seed: int,
    progress: Progress,
    backend: InferenceBackend | None = None,
) -> Figures:
    """Returns the figures over synthetic drives, with exact labels where no backend is given."""
    make_world: Callable[[SceneConfig], World] = LabelWorld
    label_map: LabelMap = EXACT_LABEL_MAP
    judge: Callable[[SimFrame], Judged] = _exact
    size_wh = 640, 360
    if backend is not None:
        make_world, label_map, judge = World, backend.engine.label_map, _network(backend)
        size_wh = backend.engine.network_size_wh
    crossings = crossing_drives(events, config, seed, size_wh)
    quiet = quiet_drives(quiet_minutes, seed, size_wh)
    tally = Tally()
    clock = _Clock(progress, [*crossings, *quiet])
    for drive in [*crossings, *quiet]:
        moments: list[Moment] = []
        for moment in moments_of(drive, config, label_map, judge, make_world):
            moments.append(moment)
            clock.tick(moment)
        if drive.events:
            tally.add_crossings(moments)
        else:
            tally.add_quiet(moments)
        clock.drive_ends()
    return tally.figures()


def evaluate_folder(
    config: StopConfig, folder: Path, backend: InferenceBackend, progress: Progress
) -> Figures:
    """Returns the figures over a folder of labelled pictures, with the image zone."""
    tally = FolderTally(config, backend.engine.label_map)
    pictures = list(labelled_pictures(folder))
    for count, picture in enumerate(pictures, 1):
        image, truth = at_network_size(picture, backend.engine.network_size_wh)
        tally.add(truth, backend.infer(image[np.newaxis]).labels[0])
        progress.show(f'picture {count} of {len(pictures)}')
    return tally.figures()


def _exact(frame: SimFrame) -> Judged:
    return Judged(frame.labels)


def _network(backend: InferenceBackend) -> Callable[[SimFrame], Judged]:
    def judge(frame: SimFrame) -> Judged:
        result = backend.infer(frame.image[np.newaxis], with_confidence=True)
        confidence = None if result.confidence is None else result.confidence[0]
        return Judged(result.labels[0], confidence, health_of(frame.image))

    return judge


class _Clock:
    """Says how far it is and how long it will take."""

    def __init__(self, progress: Progress, drives: list[PlannedDrive]) -> None:
        self._progress = progress
        self._expected_s = [_expected_s(drive) for drive in drives]
        self._done = 0
        self._frames = 0
        self._driven_s = 0.0
        self._started_s = time.monotonic()

    def tick(self, moment: Moment) -> None:
        self._frames += 1
        driven_s = self._driven_s + moment.stamp_ns / 1e9
        rest_s = max(sum(self._expected_s) - driven_s, 0.0)
        spent_s = time.monotonic() - self._started_s
        left_s = spent_s * rest_s / max(driven_s, 1.0)
        self._progress.show(
            f'drive {self._done + 1} of {len(self._expected_s)}, {self._frames} frames, '
            f'about {left_s / 60.0:.1f} min left'
        )

    def drive_ends(self) -> None:
        self._driven_s += self._expected_s[self._done]
        self._done += 1


def _expected_s(drive: PlannedDrive) -> float:
    return min(drive.limit_s, 1.3 * drive.length_m / drive.scene.speed_mps + 1.0 / RATE_HZ)
