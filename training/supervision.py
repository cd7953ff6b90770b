# SPDX-License-Identifier: Apache-2.0
"""How much of full supervision weak labels of real people reach.

    python -m training.supervision training/configs/people.yaml [--write]

Trains every row of the config with every seed, unless it is trained already (a stopped one goes
on), and scores it through ONNX Runtime on sets that none was trained on. `--write` puts the table
into training/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from training.classes import classes_of
from training.compare import README, per_cent, table, trained, write_between
from training.config import read_config
from training.data import load
from training.evaluate import OnnxLabels, evaluate
from training.export import export_onnx, load_checkpoint
from training.mask_quality import MaskQuality, mask_quality
from training.people import PERSON

__all__ = ['Row', 'config_of', 'measured', 'report']

SECTION = 'training.supervision'


class Row(NamedTuple):
    """What was measured of one kind of labels.

    Attributes:
        name: Of the config.
        pictures: That are labelled.
        quality: Of the labels, against the masks.
        iou: Of people, by validation set, of each seed.
    """

    name: str
    pictures: int
    quality: MaskQuality
    iou: Mapping[str, Sequence[float]]


def source_of(row: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The data set of a row."""
    every = row.get('every', 1)
    name = f'people-{row["labels"]}' + (f'-{every}' if every > 1 else '')
    return {'name': name, 'kind': 'people', 'of': config['of'], 'labels': row['labels'],
            'every': every, 'share': 1.0}  # fmt: skip


def config_of(row: Mapping[str, Any], config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The training config of a row."""
    source = source_of(row, config)
    return {
        **config['shared'],
        'run': f'supervision/{source["name"]}-{seed}',
        'seed': seed,
        'sources': [source],
        'augmentation': {source['name']: config['crops']},
    }


def measured(row: Mapping[str, Any], config: Mapping[str, Any]) -> Row:
    """Train a row where it is not yet, and score it."""
    iou: dict[str, list[float]] = {source['name']: [] for source in config['validation']}
    for seed in config['seeds']:
        scores = scored(config_of(row, config, seed), config)
        for name, found in iou.items():
            found.append(scores[name])
        print(row['name'], seed, json.dumps({name: f[-1] for name, f in iou.items()}), flush=True)
    drawn = load(source_of(row, config))
    truth = load(source_of({**row, 'labels': 'masks'}, config))
    return Row(row['name'], len(drawn), mask_quality(drawn.labels, truth.labels, PERSON), iou)


def scored(run: dict[str, Any], config: Mapping[str, Any]) -> dict[str, float]:
    """IoU of people by validation set; of a run that was scored before, what it was."""
    last = trained(run, 'cpu')
    kept, stamp = last.with_name('scores.json'), json.dumps(config['validation'])
    if kept.exists() and json.loads(kept.read_text())['of'] == stamp:
        return dict(json.loads(kept.read_text())['iou'])
    network, _ = load_checkpoint(last)
    path = last.with_name('model.onnx')
    export_onnx(network, path, config['network_size'])
    labels_of = OnnxLabels(path)
    iou = {
        source['name']: evaluate(labels_of, load(source), classes_of(run))['iou']['person']
        for source in config['validation']
    }
    kept.write_text(json.dumps({'of': stamp, 'iou': iou}))
    return iou


def report(rows: Sequence[Row], config: Mapping[str, Any]) -> str:
    """The table with what a reader must know of it; the first row is full supervision."""
    shared, (crop_w, crop_h) = config['shared'], config['crops']['crop_wh']
    sizes = {source['name']: len(load(source)) for source in config['validation']}
    shown = ', '.join(f'{name} ({count} pictures)' for name, count in sizes.items())
    intro = (
        f'Real people, and nothing but: `person` and `nobody`. Each after {shared["steps"]} steps '
        f'of {shared["batch"]} crops of {crop_w}x{crop_h} from ImageNet weights, IoU of people in '
        f'% on {shown}, which nothing was trained or selected on; mean of {len(config["seeds"])} '
        'seeds, and half of what they are apart. "Pixels right" is the share of the pixels '
        'labelled person that the true mask has, "found" the share of the true mask that is '
        'labelled; what is labelled neither person nor nobody is unknown and has no loss.'
    )
    head = ['labels', 'pictures', 'pixels right, found']
    head += [text for name in sizes for text in (name, 'of full')]
    lines = []
    for row in rows:
        line = [row.name, str(row.pictures), ', '.join(map(per_cent, row.quality))]
        for name in sizes:
            found, full = row.iou[name], float(np.mean(rows[0].iou[name]))
            apart = f' ± {100 * (max(found) - min(found)) / 2:.1f}' if len(found) > 1 else ''
            mean = float(np.mean(found))
            line += [per_cent(mean) + apart, per_cent(mean / full if full else None)]
        lines.append(line)
    return f'{intro}\n\n{table(head, lines)}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--write', action='store_true', help=f'into {README.name}')
    parser.add_argument('--readme', type=Path, default=README, help='another file to write into')
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', os.cpu_count() or 1)))
    cv2.setNumThreads(1)
    config = read_config(arguments.config)
    text = report([measured(row, config) for row in config['rows']], config)
    print(text)
    if arguments.write:
        write_between(arguments.readme, text, SECTION)


if __name__ == '__main__':
    main()
