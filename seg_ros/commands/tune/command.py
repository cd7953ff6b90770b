# SPDX-License-Identifier: Apache-2.0
"""``seg_ros tune``: measures every way to run an engine on this CPU, and remembers the result.

    seg_ros tune                                   roadseg, one camera
    seg_ros tune roadsynth --cameras 4             beside the load of four
    seg_ros tune roadseg --pictures drive/         labels are compared on real pictures, too

The node does the same before it first runs an engine on a machine, on pictures of its own alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from seg_ros.commands.evaluate.labelled_folder import labelled_pictures
from seg_ros.commands.evaluate.metrics import ConfusionMatrix
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.types import LabelImage, RgbBatch
from seg_ros.inference import tune_process
from seg_ros.inference.cpu_backend import available_cores
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.inference.tune_process import tuned_rows
from seg_ros.inference.tuning.choice import Candidate, Timing, choose
from seg_ros.inference.tuning.measure import Effort, seeded_pictures
from seg_ros.inference.tuning.memory import IMAGE_HZ, recall, tune_key, tuned_path
from seg_ros.recordings.image_file import in_natural_order, is_image, rgb_of_file

__all__ = ['add_arguments', 'main']

PATIENT = Effort(first_runs=8, rounds=24, busy_rounds=12, budget_s=120.0, turns_s=60.0)
MOST_PICTURES = 24  # real ones, spread over the folder


@dataclass(frozen=True)
class TunePictures:
    """Real pictures at network size, and what is truly on them where that is known."""

    images: RgbBatch
    truths: tuple[LabelImage, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    tune_process.add_arguments(parser)
    parser.add_argument(
        '--pictures',
        type=Path,
        metavar='DIR',
        help='real pictures for the comparison of labels; with label images beside them (as for '
        'evaluate) the mean IoU is printed, too',
    )
    parser.add_argument(
        '--show', action='store_true', help='only print what is remembered; measure nothing'
    )
    parser.add_argument('--json', action='store_true', help='print the table as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Measures and prints the table; returns 0 where there is something to choose from."""
    engine = load_engine(arguments.engine, network_size=arguments.network_size)
    key = tune_key(engine, arguments.cameras)
    real = None if arguments.pictures is None else _pictures_of(arguments.pictures, engine)
    is_kept = arguments.show or (arguments.precision == 'auto' and not arguments.threads)
    if arguments.show:
        remembered = recall(engine, key, arguments.cache)
        if remembered.why:
            raise ConfigurationError(f'{remembered.why}. Measure: seg_ros tune {engine.name}')
        rows = list(remembered.rows)
    else:
        seeded = seeded_pictures(engine.network_size_wh)
        pictures = seeded if real is None else np.concatenate([seeded, real.images])
        with Progress(sys.stderr) as progress:
            rows = tuned_rows(
                engine,
                arguments,
                pictures,
                lambda text, share: progress.show(f'{share:4.0%}  {text}'),
                PATIENT,
            )
    doubt = recall(engine, key, arguments.cache).doubt if is_kept else ''
    scores = {} if real is None or not real.truths else _scores(engine, rows, real)
    period_ms = 1e3 / (IMAGE_HZ * arguments.cameras)
    chosen = choose(rows, available_cores(), period_ms, arguments.precision, arguments.threads)
    if arguments.json:
        table = {
            'engine': engine.name,
            'key': key,
            'chosen': None if chosen is None else asdict(chosen[0].candidate),
            'why': '' if chosen is None else chosen[1],
            'doubt': doubt,
            'rows': [asdict(row) | {'miou': scores.get(row.candidate)} for row in rows],
        }
        print(json.dumps(table, indent=2))
    else:
        print(*_table(rows, chosen, scores), sep='\n')
        if doubt:
            print(f'{doubt.capitalize()}: in quiet another one may be the fastest; measure again.')
        print(
            f'Remembered in {tuned_path(engine, key, arguments.cache)}.'
            if is_kept
            else 'Not remembered: --precision and --threads leave candidates out.'
        )
    return 0 if chosen is not None else 1


def _pictures_of(folder: Path, engine: Engine) -> TunePictures:
    """Returns up to ``MOST_PICTURES`` of a folder, with their truth where every one has it.

    Raises:
        ConfigurationError: There is none, or one cannot be read.
    """
    if not folder.is_dir():
        raise ConfigurationError(f'--pictures: there is no folder {folder}.')
    size_wh = engine.network_size_wh
    if (folder / 'masks').is_dir() or any(folder.glob('*.label.png')):
        both = [row.rgb_and_labels() for row in _spread(list(labelled_pictures(folder)))]
        images = np.stack([cv2.resize(rgb, size_wh) for rgb, _ in both])
        nearest = cv2.INTER_NEAREST
        return TunePictures(
            images, tuple(cv2.resize(label, size_wh, interpolation=nearest) for _, label in both)
        )
    files = in_natural_order([path for path in folder.iterdir() if is_image(path)])
    if not files:
        raise ConfigurationError(f'--pictures: {folder} has no picture (jpg, png, avif).')
    return TunePictures(
        np.stack([cv2.resize(rgb_of_file(path), size_wh) for path in _spread(files)])
    )


def _spread(rows: Sequence) -> list:  # type: ignore[type-arg]
    picks = np.linspace(0, len(rows) - 1, min(len(rows), MOST_PICTURES)).astype(int)
    return [rows[index] for index in picks]


def _scores(engine: Engine, rows: Sequence[Timing], real: TunePictures) -> dict[Candidate, float]:
    """Returns the mean IoU of what can run; the number of threads does not change it."""
    scores: dict[tuple[str, str], float] = {}
    for row in rows:
        kind = row.candidate.backend, row.candidate.precision
        if kind in scores or not row.median_ms:
            continue
        try:
            backend = create_backend(kind[0], engine, precision=kind[1]).backend
        except SegRosError:
            continue
        matrix = ConfusionMatrix(len(engine.label_map.classes))
        for image, truth in zip(real.images, real.truths, strict=True):
            matrix.add(truth, backend.infer(image[np.newaxis]).labels[0])
        backend.close()
        scores[kind] = round(matrix.mean_iou(), 4)
    return {
        row.candidate: scores[kind]
        for row in rows
        if (kind := (row.candidate.backend, row.candidate.precision)) in scores
    }


def _table(
    rows: Sequence[Timing],
    chosen: tuple[Timing, str] | None,
    scores: dict[Candidate, float],
) -> Iterator[str]:
    """Yields one line per candidate, and the choice."""
    head = f'  {"":<32}{"median":>8}{"p95":>8}{"busy":>8}{"as fp32":>9}{"(all)":>9}'
    yield head + (f'{"mIoU":>8}' if scores else '')
    for row in rows:
        mark = '*' if chosen is not None and row is chosen[0] else ' '
        line = f'{mark} {row.candidate!s:<32}'
        if row.median_ms:
            busy = f'{row.busy_ms:.1f}' if row.busy_ms else '-'
            line += f'{row.median_ms:>8.1f}{row.p95_ms:>8.1f}{busy:>8}'
            line += f'{row.agreement:>9.2%}{row.agreement_all:>9.2%}'
            if scores:
                line += f'{scores.get(row.candidate, float("nan")):>8.3f}'
        yield f'{line}  {row.why_not}'.rstrip()
    yield 'ms an image beside the cameras; busy: beside one more process that wants a core'
    yield 'as fp32: of the pixels whose label fp32 is sure of, and of all'
    if chosen is None:
        yield 'Nothing can be taken; auto goes by its rules.'
    else:
        yield f'auto takes {chosen[0].candidate}: {chosen[1]}.'
