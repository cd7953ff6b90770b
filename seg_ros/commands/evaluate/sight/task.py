# SPDX-License-Identifier: Apache-2.0
"""``seg_ros evaluate --task sight``: blind pictures are refused, clean ones are not.

    seg_ros evaluate --task sight --dataset camvid --dataset lanes --json

Every family of blindness, in each strength, is laid over real scenes of the data sets; each
picture is judged as the node judges a stream of them. A picture counts as refused where the reason
is one of sight, not a person. Thresholds may be chosen by the families of the first half; those of
the second half are for measuring, and both are told.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.sight.blindness import FAMILIES
from seg_ros.commands.evaluate.sight.pictures import CleanPicture, clean_pictures
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.types import RgbImage
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import BACKENDS, create_backend

__all__ = ['REASONS_OF_SIGHT', 'add_arguments', 'main', 'wilson']

REASONS_OF_SIGHT = (
    StopKind.ZONE_NOT_IN_VIEW, StopKind.GROUND_NOT_SEEN, StopKind.PICTURE_BLIND,
    StopKind.OUT_OF_DOMAIN, StopKind.LOW_CONTRAST, StopKind.LOW_CONFIDENCE, StopKind.FROZEN,
)  # fmt: skip
DATASETS = ('camvid', 'cityscapes', 'bdd100k', 'mapillary', 'a2d2', 'lanes')
# The frames of a stream that decide: with confirm_frames 3, the third is the first clear one
FRAMES = 3
FRAME_NS = 50_000_000
SENSOR_NOISE = 1.0  # grey levels, so that no two frames of a still scene are the same
Z_95 = 1.96  # of a confidence interval of 95 %


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument('--engine', default='roadseg', help='name or folder of an engine')
    parser.add_argument('--backend', choices=['auto', *BACKENDS], default='auto')
    parser.add_argument('--threads', type=int, default=0, help='0: one per free core')
    parser.add_argument(
        '--dataset', type=Path, action='append', default=None, metavar='FOLDER',
        help=f'clean pictures; may be given several times, such as {", ".join(DATASETS)}; one '
        'that is not there is skipped, visibly',
    )  # fmt: skip
    parser.add_argument(
        '--pictures', type=int, default=40, metavar='N', help='clean ones of each data set'
    )
    parser.add_argument('--scenes', type=int, default=5, metavar='N', help='to be blinded')
    parser.add_argument('--families', nargs='+', choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument('--json', action='store_true', help='print one row of JSON')


def main(arguments: argparse.Namespace) -> int:
    """Measures; returns the exit code."""
    folders = arguments.dataset or []
    there = [folder for folder in folders if folder.is_dir()]
    for folder in folders:
        if folder not in there:
            print(f'Skipped: there is no folder {folder}.', file=sys.stderr)
    if not there:
        print(
            'Nothing was measured: give folders with clean pictures, --dataset FOLDER.',
            file=sys.stderr,
        )
        return 0
    engine = load_engine(arguments.engine)
    backend = create_backend(arguments.backend, engine, threads=arguments.threads).backend
    with contextlib.closing(backend), Progress(sys.stderr) as progress:
        judge = _Judge(EvaluatedCamera(backend, NodeConfig()))
        sets = {folder.name: clean_pictures(folder, arguments.pictures) for folder in there}
        clean = _clean_figures(judge, sets, progress)
        blind = _blind_figures(
            judge, _scenes(sets, arguments.scenes), arguments.families, progress
        )
    figures = {'engine': engine.name, 'knows_domain': engine.domain is not None, **clean, **blind}
    print(json.dumps(figures) if arguments.json else _report(figures))
    return 0


class _Judge:
    """Asks the stop about a stream of one picture."""

    def __init__(self, camera: EvaluatedCamera) -> None:
        self._camera = camera

    def kind(self, picture: RgbImage) -> StopKind:
        """Returns what the stop says at the end of a stream that begins with the picture."""
        self._camera.reset()
        random = np.random.default_rng(zlib.crc32(np.ascontiguousarray(picture[::16]).data))
        kind = StopKind.UNPROVEN
        for index in range(FRAMES):
            noise = random.normal(0.0, SENSOR_NOISE, picture.shape)
            frame = np.clip(picture + noise, 0.0, 255.0).astype(np.uint8)
            stop = self._camera.process(frame, (index + 1) * FRAME_NS, {'stop'}).decisions.stop
            assert stop is not None
            kind = stop.kind
            if kind in REASONS_OF_SIGHT:
                break  # a stream of the same picture does not get better
        return kind


def _clean_figures(
    judge: _Judge, sets: dict[str, list[CleanPicture]], progress: Progress
) -> dict[str, Any]:
    rows = {}
    for name, pictures in sets.items():
        kinds: list[StopKind] = []
        for index, picture in enumerate(pictures):
            progress.show(f'{name}: {index} of {len(pictures)} clean pictures')
            kinds.append(judge.kind(picture.rgb()))
        refused = [kind for kind in kinds if kind in REASONS_OF_SIGHT]
        low, high = wilson(len(refused), len(kinds))
        rows[name] = {
            'pictures': len(kinds),
            'clean_refused_share': round(len(refused) / len(kinds), 4),
            'interval_95': [round(low, 4), round(high, 4)],
            'reasons': {str(kind): refused.count(kind) for kind in dict.fromkeys(refused)},
        }
    return {'clean': rows}


def _blind_figures(
    judge: _Judge, scenes: list[CleanPicture], families: Iterable[str], progress: Progress
) -> dict[str, Any]:
    false_clear: dict[str, list[list[bool]]] = defaultdict(list)
    names = list(families)
    for place, name in enumerate(names):
        family = FAMILIES[name]
        for index, strength in enumerate(family.strengths):
            progress.show(f'{name}: {index} of {len(family.strengths)} strengths')
            row = []
            for number, scene in enumerate(scenes):
                random = np.random.default_rng([place, index, number])
                kind = judge.kind(family.spoil(scene.rgb(), strength, random))
                row.append(kind is StopKind.CLEAR)
            false_clear[name].append(row)
    shares = {name: float(np.mean(rows)) for name, rows in false_clear.items()}
    return {
        'scenes': [scene.path.name for scene in scenes],
        'false_clear_share': round(float(np.mean(list(shares.values()))), 4),
        'false_clear_share_chosen_on': _mean(shares, names[::2]),
        'false_clear_share_others': _mean(shares, names[1::2]),
        'families': {
            name: {
                'false_clear_share': round(shares[name], 4),
                'by_strength': dict(
                    zip(
                        map(str, FAMILIES[name].strengths),
                        [round(float(np.mean(row)), 2) for row in rows],
                        strict=True,
                    )
                ),
                'unit': FAMILIES[name].unit,
            }
            for name, rows in false_clear.items()
        },
    }


def _mean(shares: dict[str, float], names: list[str]) -> float | None:
    return round(float(np.mean([shares[name] for name in names])), 4) if names else None


def _scenes(sets: dict[str, list[CleanPicture]], count: int) -> list[CleanPicture]:
    """Returns scenes of all data sets in turn, from the middle of each on."""
    turns = [pictures[len(pictures) // 2 :] for pictures in sets.values()]
    longest = max(map(len, turns))
    mixed = [row[index] for index in range(longest) for row in turns if index < len(row)]
    return mixed[:count]


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Returns the interval of 95 % confidence of a share (Wilson's, good for few and for none)."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = hits / count, Z_95 * Z_95
    middle = share + z2 / (2.0 * count)
    half = Z_95 * math.sqrt(share * (1.0 - share) / count + z2 / (4.0 * count * count))
    whole = 1.0 + z2 / count
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def _report(figures: dict[str, Any]) -> str:
    lines = [
        f'{name:12} {row["pictures"]:4} clean pictures, {row["clean_refused_share"]:6.1%} refused '
        f'({row["interval_95"][0]:.1%} to {row["interval_95"][1]:.1%}) {row["reasons"] or ""}'
        for name, row in figures['clean'].items()
    ]
    lines += [
        f'{name:16} {row["false_clear_share"]:6.1%} false clear  '
        f'{row["by_strength"]} {row["unit"]}'
        for name, row in figures['families'].items()
    ]
    lines.append(
        f'false clear {figures["false_clear_share"]:.1%}; families to choose on '
        f'{figures["false_clear_share_chosen_on"]}, others {figures["false_clear_share_others"]}'
    )
    return '\n'.join(lines)
