# SPDX-License-Identifier: Apache-2.0
"""``seg_ros soak``: the node with four cameras for a long time, and whether anything grows.

Beside it a bare timer process wakes up at the rate of the heartbeat, so that what a busy machine
does to every process is told from what the node does to its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_ros.commands.faults.scene import CAMERA, SIZE_WH, write_engine
from seg_ros.commands.shared.children import end_with_parent
from seg_ros.commands.shared.own_graph import own_graph
from seg_ros.commands.shared.process_figures import (
    ProcessFigures,
    children_of,
    figures_of_process,
)
from seg_ros.commands.shared.progress import Progress
from seg_ros.commands.shared.told_process import ToldProcess
from seg_ros.commands.soak.cameras import CAMERAS, PAINTED_FOR, image_topic
from seg_ros.commands.soak.drift import SoakSample, drift_of, misses, period_figures
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.types import RgbImage
from seg_ros.files import write_whole
from seg_ros.inference.engine import load_engine
from seg_ros.pictures.drawing import blank, draw_text
from seg_ros.pictures.picture_file import write_picture

__all__ = ['add_arguments', 'main']

HEARTBEAT_HZ = 20.0
SAMPLE_S = 10.0
SETTLE_S = 15.0  # discovery and the first frames are no steady state
SILENT_S = 60.0  # without a label; less is a starved machine
FIRST_LABEL_S = 180.0  # it may measure first what runs the network fastest here
PLOT_W, ROW_H, LEFT = 900, 150, 90
BLUE, GREY = (90, 160, 240), (96, 106, 122)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--minutes', type=float, default=60.0, help='how long (60)')
    parser.add_argument(
        '--engine', help='a network that runs (by default exact labels, without inference)'
    )
    parser.add_argument('--rate', type=float, default=5.0, help='of each camera, in Hz (5)')
    parser.add_argument('--busy', action='store_true', help='keep every core busy beside it')
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('out/soak'), help='folder (out/soak)'
    )


def main(arguments: argparse.Namespace) -> int:
    """Runs it; returns 1 when something drifted, else 0."""
    if not arguments.minutes * 60.0 >= 2.0 * SAMPLE_S:
        raise ConfigurationError(f'--minutes {arguments.minutes:g}: give 0.34 at least.')
    if not 0.1 <= arguments.rate <= 100.0:
        raise ConfigurationError(f'--rate {arguments.rate:g}: give 0.1 to 100.')
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    graph = own_graph(os.environ, os.getpid())
    with Progress(sys.stderr) as progress, tempfile.TemporaryDirectory() as temporary:
        if arguments.engine:
            parameters = _parameters(load_engine(arguments.engine).folder)
        else:
            road = Path(temporary) / 'engine'
            write_engine(load_engine(PAINTED_FOR).folder, road)
            size = f'{SIZE_WH[0]}x{SIZE_WH[1]}'
            parameters = _parameters(road, '-p', 'backend:=canned', '-p', f'network_size:={size}')
        run = SoakRun(parameters, arguments.rate, folder, graph.environment, busy=arguments.busy)
        try:
            samples = run.samples(60.0 * arguments.minutes, progress)
        finally:
            run.close()
    heartbeat = period_figures(run.beats_ns, 1.0 / HEARTBEAT_HZ)
    timer = period_figures(run.woken_ns, 1.0 / HEARTBEAT_HZ)
    drift = drift_of(samples)
    missed = misses(drift, heartbeat, timer)
    figures: dict[str, Any] = {
        'minutes': arguments.minutes,
        'busy': arguments.busy,
        'engine': arguments.engine or 'none: exact labels',
        'frames': run.frames,
        'beats': len(run.beats_ns),
        'stops': run.stops,
        'drift': drift,
        'heartbeat': heartbeat,
        'bare_timer': timer,
        'missed': missed,
        'samples': [row._asdict() for row in samples],
    }
    write_whole(folder / 'soak.json', json.dumps(figures, indent=1) + '\n')
    write_picture(folder / 'soak.png', _plot(samples))
    shown = {name: value for name, value in figures.items() if name not in ('samples', 'missed')}
    for name, value in shown.items():
        print(f'{name}: {value}')
    for sentence in missed:
        print(f'Missed: {sentence}.')
    print(f'Look at {folder / "soak.png"}.')
    return 1 if missed else 0


class SoakRun:
    """The processes of a run, and what is heard of them.

    Args:
        parameters: Of the node, as words of its command line.
        rate_hz: Of each camera.
        folder: Of the logs.
        environment: Of the processes.
        busy: Whether all cores are kept busy.
    """

    def __init__(
        self,
        parameters: Sequence[str],
        rate_hz: float,
        folder: Path,
        environment: Mapping[str, str],
        *,
        busy: bool,
    ) -> None:
        self.beats_ns: list[int] = []
        self.woken_ns: list[int] = []
        self.frames = self.stops = 0
        self._late_ms: list[float] = []
        self._is_settled = False

        def start(name: str, words: Sequence[str], hear: Any = lambda _row: None) -> ToldProcess:
            return ToldProcess(name, list(words), folder, environment, hear)

        room = 'seg_ros.commands.soak'
        self._node = start('node', ['seg_ros.cli', 'run', '--ros-args', *parameters])
        self._all = [
            start('cameras', [f'{room}.cameras', str(rate_hz)]),
            self._node,
            start('listener', [f'{room}.listener'], self._hear),
            start('timer', [f'{room}.bare_timer', str(1.0 / HEARTBEAT_HZ)], self._wake),
        ]
        self._folder = folder
        cores = len(os.sched_getaffinity(0)) if busy else 0
        self._burners = [
            subprocess.Popen(
                [sys.executable, '-c', 'while True: pass'], preexec_fn=end_with_parent
            )
            for _ in range(cores)
        ]

    def close(self) -> None:
        """Ends every process."""
        for burner in self._burners:
            burner.kill()
            burner.wait()
        for process in reversed(self._all):
            process.end()

    def samples(self, seconds: float, progress: Progress) -> list[SoakSample]:
        """Returns a look at the node every ``SAMPLE_S``.

        Raises:
            SegRosError: One of the processes ended early.
        """
        self._wait_for_labels(FIRST_LABEL_S)
        time.sleep(SETTLE_S)
        self._late_ms.clear()
        self._is_settled = True
        found: list[SoakSample] = []
        begun_s = last_s = time.monotonic()
        node, heartbeat = self._look()
        while time.monotonic() - begun_s < seconds:
            time.sleep(SAMPLE_S)
            self._wait_for_labels(SILENT_S)
            was, (node, heartbeat), now_s = (node, heartbeat), self._look(), time.monotonic()
            late_ms, self._late_ms = self._late_ms, []
            p50, p95, p99 = np.percentile(late_ms, (50.0, 95.0, 99.0))
            found.append(
                SoakSample(
                    round(now_s - begun_s, 1),
                    round(node.rss_mb, 2),
                    round(node.own_mb, 2),
                    round(node.shared_mb, 2),
                    round(heartbeat.rss_mb, 2),
                    round((heartbeat.cpu_s - was[1].cpu_s) / (now_s - last_s), 4),
                    node.files,
                    node.threads,
                    round((node.cpu_s - was[0].cpu_s) / (now_s - last_s), 3),
                    (round(float(p50), 2), round(float(p95), 2), round(float(p99), 2)),
                )
            )
            last_s = now_s
            minutes = found[-1].at_s / 60.0
            progress.show(f'{minutes:.1f} min, {node.rss_mb:.1f} MB, p95 {p95:.0f} ms')
        return found

    def _wait_for_labels(self, most_s: float) -> None:
        """Waits until there is a label since the last look.

        Raises:
            SegRosError: None comes in time, or one of the processes has ended.
        """
        begun_s = time.monotonic()
        while not self._late_ms:
            if time.monotonic() - begun_s > most_s:
                raise SegRosError(f'No labels come. Look at {self._folder}.')
            self._check_alive()
            time.sleep(0.5)
        self._check_alive()

    def _check_alive(self) -> None:
        if dead := [row.name for row in self._all if not row.is_alive]:
            raise SegRosError(f'The process {dead[0]} has ended. Look at {self._folder}.')

    def _look(self) -> tuple[ProcessFigures, ProcessFigures]:
        """Returns what the node takes, and the process that speaks for it."""
        node = figures_of_process(self._node.pid)
        children = [n for n, words in children_of(self._node.pid).items() if 'heartbeat' in words]
        heartbeats = [row for row in map(figures_of_process, children) if row is not None]
        if node is None or not heartbeats:
            raise SegRosError(f'The node has ended. Look at {self._folder}.')
        return node, heartbeats[0]

    def _hear(self, row: dict[str, Any]) -> None:
        self._late_ms += row['late_ms']
        if self._is_settled:
            self.frames += len(row['late_ms'])
            self.beats_ns += row['beats_ns']
            self.stops += row['stops']

    def _wake(self, row: dict[str, Any]) -> None:
        if self._is_settled:
            self.woken_ns += row['woken_ns']


def _parameters(engine: Path, *more: str) -> list[str]:
    count = len(CAMERAS)
    values = {
        'engine': engine,
        'camera_names': f'[{", ".join(CAMERAS)}]',
        'image_topics': f'[{", ".join(image_topic(name) for name in CAMERAS)}]',
        'heartbeat_hz': HEARTBEAT_HZ,
        'mount.source': 'parameters',
        **{f'mount.{name}': [getattr(CAMERA.mount, name)] * count for name in ('x', 'z', 'pitch')},
    }
    return [*(word for row in values.items() for word in ('-p', ':='.join(map(str, row)))), *more]


def _plot(samples: Sequence[SoakSample]) -> RgbImage:
    """Returns memory, latency and the rest over time, one row each."""
    rows = {
        'node, MB: all, its own, shared': [
            [getattr(row, name) for row in samples] for name in ('rss_mb', 'own_mb', 'shared_mb')
        ],
        'heartbeat, MB': [[row.heartbeat_rss_mb for row in samples]],
        'files': [[float(row.files) for row in samples]],
        'threads': [[float(row.threads) for row in samples]],
        'latency p50, p95, p99, ms': [[row.latency_ms[i] for row in samples] for i in range(3)],
        'cores': [[row.cores for row in samples]],
        'cores of the heartbeat': [[row.heartbeat_cores for row in samples]],
    }
    picture = blank(PLOT_W, ROW_H * len(rows) + 30)
    times = np.array([row.at_s for row in samples])
    x = LEFT + (PLOT_W - LEFT - 20) * times / max(times[-1], 1.0)
    for index, (name, curves) in enumerate(rows.items()):
        top, bottom = index * ROW_H + 30, (index + 1) * ROW_H
        highest = max(max(curve) for curve in curves) * 1.1 + 1e-9
        draw_text(picture, name, (LEFT, top - 8), 14)
        draw_text(picture, f'{highest:.3g}', (10, top + 12), 12)
        draw_text(picture, '0', (10, bottom), 12)
        cv2.line(picture, (LEFT, bottom), (PLOT_W - 20, bottom), GREY, 1)
        for curve in curves:
            y = bottom - (bottom - top) * np.array(curve) / highest
            points = np.stack([x, y], axis=1).round().astype(np.int32)
            cv2.polylines(picture, [points], isClosed=False, color=BLUE, thickness=2)
    draw_text(picture, f'{times[-1] / 60.0:.0f} min', (PLOT_W - 90, len(rows) * ROW_H + 22), 13)
    return picture
