# SPDX-License-Identifier: Apache-2.0
"""``seg_ros evaluate --task lane``: how far the lane track is from the truth.

On synthetic drives with the simulation's exact labels or with a network's; with ``--dataset`` on
images in TuSimple's layout.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seg_ros.commands.evaluate.lane.dataset import evaluate_dataset
from seg_ros.commands.evaluate.lane.drives import LANE_SCENARIOS, OnPicture, drive_scenario
from seg_ros.commands.evaluate.lane.loop import drive_loop
from seg_ros.commands.evaluate.lane.scores import AT_M, LaneScores, lane_figures
from seg_ros.commands.shared.node_parameters import (
    add_parameter_arguments,
    config_from_arguments,
)
from seg_ros.commands.shared.numbers import one_or_more, positive, positive_or_zero, zero_or_more
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.types import RgbImage
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import BACKENDS, create_backend
from seg_ros.pictures.picture_file import write_picture

__all__ = ['BARS', 'add_arguments', 'evaluate_drives', 'main']

FRAMES = 400
MAX_PICTURES = 20

BARS: Mapping[str, Mapping[str, float]] = {
    'exact': {
        'lateral_rms_m.5': 0.10,
        'lateral_rms_m.10': 0.10,
        'lateral_rms_m.15': 0.10,
        'lateral_rms_m.25': 0.25,
        'false_validity': 0.005,
        'cost_ms.p50': 2.0,
    },
    'network': {
        'lateral_rms_m.5': 0.15,
        'lateral_rms_m.10': 0.15,
        'lateral_rms_m.15': 0.15,
        'false_validity': 0.005,
        'cost_ms.p50': 2.0,
    },
}
"""Figures that must not be above their bar."""

MIN_AVAILABILITY = 0.97


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--labels',
        choices=('exact', 'network'),
        default='exact',
        help="the simulation's own labels, or a network's (exact)",
    )
    parser.add_argument('--engine', help='name or folder (as the parameters say: roadseg)')
    parser.add_argument('--backend', choices=('auto', *BACKENDS), help='(as the parameters say)')
    parser.add_argument(
        '--threads',
        type=zero_or_more,
        help='of inference; 0: one per core (as the parameters say: 0)',
    )
    parser.add_argument(
        '--frames', type=one_or_more, default=FRAMES, help=f'of each drive ({FRAMES})'
    )
    parser.add_argument(
        '--scenario', nargs='+', choices=LANE_SCENARIOS, help='drive these only (all)'
    )
    parser.add_argument(
        '--loop-km',
        type=positive_or_zero,
        default=0.0,
        help='also drive so far, steered by the track (0)',
    )
    parser.add_argument('--dataset', type=Path, metavar='DIR', help="images in TuSimple's layout")
    parser.add_argument(
        '--height-m', type=positive, default=1.6, help='of the data set camera (1.6)'
    )
    parser.add_argument(
        '--pitch-deg', type=float, help='of it, down positive (found from the lanes)'
    )
    parser.add_argument('--fov-deg', type=positive, default=60.0, help='of it, horizontal (60)')
    parser.add_argument('--pictures', type=Path, metavar='DIR', help='leave a PNG of each drive')
    add_parameter_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Evaluates and prints; returns 1 when a figure misses its bar, else 0."""
    notes: list[str] = []
    config = config_from_arguments(arguments, notes.append)
    for note in notes:
        print(note, file=sys.stderr)
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    if arguments.dataset:
        if config.lane != LaneConfig():
            raise ConfigurationError(
                'lane.* of --params and -p is for drives; --dataset has its own, for its layout.'
            )
        figures = evaluate_dataset(
            arguments.dataset,
            _network(arguments, config),
            arguments.height_m,
            math.radians(arguments.fov_deg),
            None if arguments.pitch_deg is None else math.radians(arguments.pitch_deg),
            _dataset_writer(arguments.pictures),
        )
        print(json.dumps({**figures, 'notes': notes}) if arguments.json else _lines(figures))
        return 0
    network = _network(arguments, config) if arguments.labels == 'network' else None
    figures = evaluate_drives(
        arguments.scenario or [*LANE_SCENARIOS],
        arguments.frames,
        network,
        arguments.pictures,
        config.lane,
    )
    if arguments.loop_km:
        loop = drive_loop(arguments.loop_km, config=config.lane)
        figures['closed_loop'] = asdict(loop)
    print(json.dumps({**figures, 'notes': notes}) if arguments.json else _table(figures))
    return 0 if _holds(figures, BARS[arguments.labels]) else 1


def evaluate_drives(
    names: list[str],
    frames: int = FRAMES,
    network: InferenceBackend | None = None,
    pictures: Path | None = None,
    config: LaneConfig | None = None,
) -> dict[str, Any]:
    """Returns the figures of all drives together, and under ``drives`` of each.

    Args:
        names: Rows of ``LANE_SCENARIOS``. Those without paint need exact labels and are left out
            with a network.
        frames: Of each drive.
        network: Makes the labels; None takes the exact ones.
        pictures: Folder for a picture of each drive.
        config: Of the lane track.
    """
    scores: dict[str, LaneScores] = {}
    for name in names:
        scenario = LANE_SCENARIOS[name]
        if scenario.painted or network is None:
            writer = _writer(pictures, name)
            scores[name] = drive_scenario(scenario, frames, network, config, on_picture=writer)
    figures = lane_figures(scores.values())
    figures['drives'] = {name: lane_figures([drive]) for name, drive in scores.items()}
    return figures


def _network(arguments: argparse.Namespace, config: NodeConfig) -> InferenceBackend:
    threads = config.inference_threads if arguments.threads is None else arguments.threads
    engine = load_engine(arguments.engine or config.engine)
    return create_backend(
        arguments.backend or config.backend, engine, threads=threads, precision=config.precision
    ).backend


def _writer(folder: Path | None, name: str) -> OnPicture | None:
    if folder is None:
        return None
    path = folder / f'{name.replace(" ", "_")}.png'
    return lambda picture: write_picture(path, picture)


def _dataset_writer(folder: Path | None) -> Callable[[int, RgbImage], None] | None:
    if folder is None:
        return None

    def write(index: int, picture: RgbImage) -> None:
        if index < MAX_PICTURES:
            write_picture(folder / f'dataset_{index:04d}.png', picture)

    return write


def _holds(figures: Mapping[str, Any], bars: Mapping[str, float]) -> bool:
    availability = figures['availability']
    if availability is not None and availability < MIN_AVAILABILITY:
        return False
    return all(value is None or value <= bar for value, bar in _against(figures, bars))


def _against(
    figures: Mapping[str, Any], bars: Mapping[str, float]
) -> list[tuple[float | None, float]]:
    rows = []
    for name, bar in bars.items():
        value: Any = figures
        for part in name.split('.'):
            value = value[part]
        rows.append((value, bar))
    return rows


def _table(figures: Mapping[str, Any]) -> str:
    head = f'{"drive":14}' + ''.join(f'{f"rms {at_m} m":>10}' for at_m in AT_M)
    rows = [head + f'{"heading":>10}{"available":>11}{"false":>8}{"p50 ms":>8}{"p95 ms":>8}']
    drives = {**figures['drives'], 'all': figures}
    for name, drive in drives.items():
        lateral = ''.join(f'{_text(drive["lateral_rms_m"][str(at)], 3):>10}' for at in AT_M)
        rows.append(
            f'{name:14}{lateral}{_text(drive["heading_rms_rad"], 4):>10}'
            f'{_text(drive["availability"], 3):>11}{_text(drive["false_validity"], 4):>8}'
            f'{_text(drive["cost_ms"]["p50"], 2):>8}{_text(drive["cost_ms"]["p95"], 2):>8}'
        )
    if 'closed_loop' in figures:
        rows.append('closed loop   ' + _lines(figures['closed_loop']).replace('\n', ', '))
    return '\n'.join(rows)


def _text(value: float | None, digits: int) -> str:
    return '-' if value is None else f'{value:.{digits}f}'


def _lines(figures: Mapping[str, Any]) -> str:
    return '\n'.join(
        f'{name}: {value:.4g}' if isinstance(value, float) else f'{name}: {value}'
        for name, value in figures.items()
    )
