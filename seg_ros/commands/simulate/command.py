# SPDX-License-Identifier: Apache-2.0
"""``seg_ros simulate``: the closed loop over DDS, a vehicle that follows what the node publishes.

Two processes on a ROS graph of their own: the node as it is, and the vehicle with its road
(``seg_ros.commands.simulate.simulator``, which says how they stay in step). The course is driven
in legs; each that is done is kept in the output folder, so that a command that was ended goes on
where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seg_ros.commands.shared.children import Child, Children, LatestCounts
from seg_ros.commands.shared.output_folder import claim
from seg_ros.commands.shared.own_graph import own_graph
from seg_ros.commands.shared.progress import Progress
from seg_ros.commands.simulate.course_picture import course_picture
from seg_ros.core.errors import ConfigurationError
from seg_ros.files import write_whole
from seg_ros.inference.registry import BACKENDS
from seg_ros.pictures.picture_file import write_picture
from seg_ros.sim.config import DEFAULT_MOUNT
from seg_ros.sim.courses import STOP, course
from seg_ros.sim.leg_record import figures_of

__all__ = ['add_arguments', 'main', 'misses']

POLL_S = 0.2  # between looks at the processes
HEARTBEAT_HZ = 50.0  # the vehicle waits for the beat after each frame
LATERAL_BAR_M = 0.25  # RMS; the vehicle has 0.8 m to either side in a lane of 3.5 m
LEGS = 'legs.jsonl'
WRITTEN = (LEGS, 'settings.json', 'figures.json', 'course.png', 'vehicle.log', 'node.log')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--km', type=float, default=1.0, help='how far (1)')
    parser.add_argument('--seed', type=int, default=1, help='of roads, weathers and people (1)')
    parser.add_argument(
        '--labels',
        choices=('exact', 'network'),
        default='network',
        help="a network's labels, or the simulation's own (network)",
    )
    parser.add_argument('--engine', default='roadseg', help='name or folder (roadseg)')
    parser.add_argument('--backend', default='auto', choices=('auto', *BACKENDS))
    parser.add_argument('--threads', type=int, default=0, help='of inference; 0: one per core')
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('out/simulate'), help='folder (out/simulate)'
    )
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Drives, prints the figures and leaves a picture; returns 1 when a bar is missed, else 0."""
    if not 0.0 < arguments.km < math.inf:
        raise ConfigurationError(f'--km {arguments.km:g}: give more than 0.')
    folder: Path = arguments.output
    claim(folder, 'simulate', WRITTEN)
    log = _log_of(folder, _settings(arguments))
    legs = len(course(arguments.km, arguments.seed))
    if len(_rows_of(log)) < legs:
        graph = own_graph(os.environ, os.getpid())
        with Progress(sys.stderr) as progress, Children(folder, graph.environment) as children:
            if graph.warning:
                progress.say(graph.warning)
            vehicle = children.start('vehicle', _vehicle_words(arguments, log))
            node = children.start('node', _node_words(arguments))
            _watch(vehicle, node, legs, progress)
    rows = _rows_of(log)
    figures = figures_of(rows)
    write_whole(folder / 'figures.json', json.dumps(figures, indent=2) + '\n')
    picture = course_picture([row['samples'] for row in rows])
    write_picture(folder / 'course.png', picture)
    missed = misses(figures, arguments.km)
    print(json.dumps(figures) if arguments.json else _lines(figures, missed, folder))
    return 1 if missed else 0


def misses(figures: Mapping[str, Any], km: float) -> list[str]:
    """Returns a sentence for each bar that is missed.

    Args:
        figures: Of ``figures_of``.
        km: That were to be driven.
    """
    rms_m = figures['lateral_rms_m']
    rows = {
        f'{figures["km"]} of {km:g} km were driven': figures['km'] < km - 1e-3,
        f'the vehicle left its lane {figures["departures"]} times': figures['departures'] > 0,
        f'lateral RMS {rms_m} m, {LATERAL_BAR_M} m is the bar': not (
            rms_m is not None and rms_m <= LATERAL_BAR_M
        ),
        f'{figures["persons_hit"]} people were hit': figures['persons_hit'] > 0,
        # Where a leg ends in a stop nobody waits for its resume
        f'{figures["resumes"]} resumes after {figures["stops"]} stops': (
            figures['resumes'] + figures['legs_that_end_stopped'] != figures['stops']
        ),
        f'{figures["legs_given_up"]} legs were given up, the vehicle stood for too long': (
            figures['legs_given_up'] > 0
        ),
        f'{figures["frames_unanswered"]} frames were not answered': (
            figures['frames_unanswered'] > 0
        ),
    }
    return [sentence for sentence, missed in rows.items() if missed]


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ('km', 'seed', 'labels', 'engine', 'backend')
    return {name: getattr(arguments, name) for name in names}


def _log_of(folder: Path, settings: Mapping[str, Any]) -> Path:
    """Returns the log of the legs; empty, unless the same course was begun in this folder."""
    log, told = folder / LEGS, folder / 'settings.json'
    text = json.dumps(settings, indent=2) + '\n'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (log.exists() and told.exists() and told.read_text() == text):
            write_whole(told, text)
            write_whole(log, '')
    except OSError as error:
        msg = f'-o {folder}: the folder cannot be written ({error}). Name another one.'
        raise ConfigurationError(msg) from error
    return log


def _rows_of(log: Path) -> list[dict[str, Any]]:
    """Returns the legs that are done, in order."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return sorted(rows, key=lambda row: int(row['leg']))


def _watch(vehicle: Child, node: Child, legs: int, progress: Progress) -> None:
    """Returns once the vehicle has driven all legs."""
    counts = LatestCounts(vehicle.log)
    while vehicle.exit_code is None:
        node.check()
        at = counts.read()
        if at:
            progress.show(f'leg {at["leg"] + 1} of {legs}, {at["way_m"]} m')
        time.sleep(POLL_S)
    vehicle.check(may_end=True)


def _vehicle_words(arguments: argparse.Namespace, log: Path) -> Sequence[str]:
    words = [sys.executable, '-m', 'seg_ros.commands.simulate.simulator', '--log', str(log)]
    for name in ('km', 'seed', 'engine', 'labels'):
        words += [f'--{name}', str(getattr(arguments, name))]
    return words


def _node_words(arguments: argparse.Namespace) -> Sequence[str]:
    exact = arguments.labels == 'exact'
    values: dict[str, Any] = {
        'use_sim_time': 'true',
        'engine': arguments.engine,
        'backend': 'canned' if exact else arguments.backend,
        'auto_tune': 'false',  # nothing of a drive is lost to it
        'inference_threads': arguments.threads,
        'heartbeat_hz': HEARTBEAT_HZ,
        'stop.anticipate_s': STOP.anticipate_s,
        'stop.clock_timeout_s': 0.0,  # the clock waits for the node
        **{f'mount.{name}': [float(value)] for name, value in asdict(DEFAULT_MOUNT).items()},
    }
    if exact:
        values['stop.frozen_timeout_s'] = 0.0  # labels have no noise
    words = [sys.executable, '-m', 'seg_ros.cli', 'run', '--ros-args']
    words += ['-r', 'image:=/camera/image', '-r', 'odom:=/odom']
    for name, value in values.items():
        words += ['-p', f'{name}:={value}']
    return words


def _lines(figures: Mapping[str, Any], missed: Sequence[str], folder: Path) -> str:
    rows = [
        f'{name}: {value:.4g}' if isinstance(value, float) else f'{name}: {value}'
        for name, value in figures.items()
    ]
    rows += [f'Missed: {sentence}.' for sentence in missed]
    return '\n'.join([*rows, f'Look at {folder / "course.png"}.'])
