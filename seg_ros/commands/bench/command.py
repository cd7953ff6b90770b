# SPDX-License-Identifier: Apache-2.0
"""``seg_ros bench``: what the node adds to bare inference, and what the textbook node adds.

Camera, node and consumer are three processes on a DDS domain of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

from seg_ros.commands.bench.figures import (
    FIGURES,
    auto_over_best,
    figures_of,
    labels_per_s,
    overlap_figures,
    table_of,
)
from seg_ros.commands.bench.host import host_ms, host_table, measure_apart
from seg_ros.commands.bench.page import measure_view
from seg_ros.commands.bench.parts import (
    CAMERAS,
    Settings,
    measure_cameras,
    measure_choice,
    measure_cpu_overlap,
    measure_memory,
    measure_overlap,
    measure_speed,
    measure_transport,
    say,
)
from seg_ros.commands.bench.stage import HD_WH, NodeOptions
from seg_ros.commands.shared.tuned_first import tuned_first
from seg_ros.files import write_whole
from seg_ros.inference.base import PRECISIONS
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import BACKENDS

__all__ = ['add_arguments', 'main']

PARTS = ('speed', 'choice', 'cameras', 'memory', 'transport', 'host', 'overlap', 'view')

QUICK = Settings(
    rounds=1,
    bare_s=2.0,
    calm_s=4.0,
    busy_s=4.0,
    warm_up_s=0.5,
    cameras_s=5.0,
    memory_frames=600,
    transport_s=5.0,
    overlap_s=1.0,
    overlap_rounds=3,
    view_s=4.0,
    choice_s=3.0,
    choice_rounds=1,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--engine', default='roadseg', help='name or folder (roadseg)')
    parser.add_argument('--backend', default='auto', choices=('auto', *BACKENDS))
    parser.add_argument('--precision', default='auto', choices=PRECISIONS)
    parser.add_argument(
        '--threads', type=int, default=0, help='of inference; 0, the default: one per free core'
    )
    parser.add_argument(
        '--only', nargs='+', choices=PARTS, default=PARTS, help='measure these parts and no more'
    )
    parser.add_argument(
        '--camera-size',
        type=int,
        nargs=2,
        default=HD_WH,
        metavar=('W', 'H'),
        help='of the images whose speed is measured (1280x720)',
    )
    parser.add_argument(
        '--quick', action='store_true', help='two minutes instead of eleven; rough'
    )
    parser.add_argument('--json', action='store_true', help='print figures and samples as JSON')
    parser.add_argument('--output', type=Path, metavar='FILE', help='also write that JSON here')


def main(arguments: argparse.Namespace) -> int:
    """Measures and prints; returns 1 when a figure misses its bar, else 0."""
    signal.signal(signal.SIGTERM, _end)
    settings = replace(
        QUICK if arguments.quick else Settings(), camera_wh=tuple(arguments.camera_size)
    )
    engine = load_engine(arguments.engine)
    options = NodeOptions(
        engine.folder.resolve(), arguments.backend, arguments.precision, arguments.threads
    )
    if arguments.backend == 'auto':
        node_cameras = [1, CAMERAS] if 'cameras' in arguments.only else [1]
        if sentence := tuned_first(engine, node_cameras):
            say(sentence)
    raw: dict[str, Any] = {
        'settings': asdict(settings),
        'engine': engine.name,
        'cores': len(os.sched_getaffinity(0)),
        'platform': platform.platform(),
    }
    if 'speed' in arguments.only:
        raw.update(measure_speed(options, settings))
    if 'choice' in arguments.only:
        raw.update(measure_choice(engine, options, settings))
    if 'cameras' in arguments.only:
        raw.update(measure_cameras(options, settings))
    if 'memory' in arguments.only:
        raw.update(measure_memory(settings))
    if 'transport' in arguments.only:
        raw.update(measure_transport(settings))
    if 'host' in arguments.only:
        raw.update(measure_apart())
    if 'overlap' in arguments.only:
        raw.update(measure_overlap(settings))
        raw.update(measure_cpu_overlap(options, settings))
    if 'view' in arguments.only:
        say(f'view: {settings.view_s:g} s with a viewer, as long without')
        raw.update(measure_view(settings.view_s))
    values, rate, host = figures_of(raw), labels_per_s(raw), host_ms(raw)
    overlap = overlap_figures(raw)
    document = json.dumps({**values, **host, **overlap, 'labels_per_s': rate, 'raw': raw})
    if arguments.output:
        write_whole(arguments.output, document)
    reasons = [raw.get(name, '') for name in ('no_textbook', 'no_overlap', 'no_choice')]
    print(document if arguments.json else table_of(values, *reasons))
    if host and not arguments.json:
        print(host_table(host))
    if overlap and not arguments.json:
        print('\n'.join(f'{name:<33}{value:>8.3f}' for name, value in overlap.items()))
    if 'choice' in raw and not arguments.json:
        print(f'The best candidate set by hand: {auto_over_best(raw)[0]}.')
    if rate is not None and not arguments.json:
        width, height = settings.camera_wh
        print(f'{rate:.1f} labels a second of {width}x{height} images, in saturation.')
    held = [FIGURES[name].holds(value) for name, value in values.items() if value is not None]
    return 0 if all(held) else 1


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a signal handler
    """Ends this process as an exception does, so that no other one is left behind."""
    sys.exit(128 + number)
