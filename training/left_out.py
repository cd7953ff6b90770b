# SPDX-License-Identifier: Apache-2.0
"""How good a network is in a world that it has not seen: groups of sets left out in turn.

    python -m training.left_out training/configs/roadseg-s-without-*.yaml
        --against ENGINE/model.onnx [--trained-on-all ENGINE/model.onnx]
        [--unweighted 0.5 --but lane_marking] [--write]

Each config is a recipe without a group of sets, and its `evaluation` names the sets left out. Its
run and another network are measured on the same pictures: mean IoU, or the recall of lane markings
where nothing else is labelled. `lane_painted_at_most` of a config, `{share: 1.3, sets: [...]}`,
raises the score of lane markings as long as on none of these sets, which were trained on, more
than that is painted for a true pixel. `--trained-on-all` tells what a network has that was trained
on these sets, which is more than can be asked. `--write` puts the table into training/README.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from training.classes import ClassTable, classes_of
from training.compare import README, per_cent, table, write_between
from training.config import read_config
from training.data import load
from training.evaluate import OnnxLabels, evaluate
from training.export import export_onnx, load_checkpoint, unweight
from training.prior import Answers
from training.train import RUNS

__all__ = ['exported', 'figure_of', 'lane_offset_of', 'report']

SECTION = 'training.left_out'
HEAD = ['left out', 'pictures', 'figure', 'the other network', 'without them', 'gain']
KNOWN = 'trained on them'


def exported(
    config: Mapping[str, Any], share: float, but: Sequence[str], lane_offset: float = 0.0
) -> OnnxLabels:
    """The network of a config's run, `share` of the class weights of its loss taken back."""
    network, told = load_checkpoint(RUNS / config['run'] / 'last.pt')
    classes = classes_of(dict(config))
    unweight(network, told['class_weights'], share, [classes.id(name) for name in but])
    with torch.no_grad():
        network.classify.bias[lane_of(classes)] += lane_offset
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(network, Path(folder) / 'model.onnx', config['validation_wh'])
        return OnnxLabels(Path(folder) / 'model.onnx')


def lane_of(classes: ClassTable) -> int:
    (lane,) = (i for i, row in enumerate(classes.rows) if 'lane' in row.roles)
    return lane


def lane_offset_of(config: Mapping[str, Any], network: OnnxLabels) -> float:
    """How far the score of lane markings may be raised, in nats, by `lane_painted_at_most`."""
    limit = config['lane_painted_at_most']
    classes = classes_of(dict(config))
    rows = {row['name']: row for row in config['sources']}
    sets = [Answers.of(network, load(rows[name])) for name in limit['sets']]
    found = 0.0
    for offset in np.arange(1, 31) / 10:
        offsets = np.zeros(len(classes), np.float32)
        offsets[lane_of(classes)] = offset
        figures = [answers.figures(offsets, classes) for answers in sets]
        if any(figure['lane_painted'] > limit['share'] for figure in figures):
            break
        found = float(offset)
    return found


def figure_of(scores: Mapping[str, Any]) -> tuple[str, float]:
    """What a set can be asked for: its mean IoU, or how much of its lines is found.

    Lane markings count as road in the mean, which says nothing where all else is unknown.
    """
    if set(scores['iou']) <= {'road', 'lane_marking'}:
        return 'lane recall', scores['lane_recall']
    return 'mIoU', scores['miou']


def report(rows: Sequence[tuple[str, int, str, float, float]], known: Sequence[float] = ()) -> str:
    """The table.

    Args:
        rows: A group's name, pictures, figure, and what the other network and the one without the
            group have of it, each the mean of the group's sets.
        known: What one has that was trained on them.
    """
    lines = [
        [
            name,
            str(pictures),
            figure,
            per_cent(other),
            per_cent(own),
            f'{100 * (own - other):+.1f}',
        ]
        for name, pictures, figure, other, own in rows
    ]
    others = np.array([other for *_, other, _ in rows])
    gains = np.array([own for *_, own in rows]) - others
    lines.append(['mean', '', '', '', '', f'{100 * float(gains.mean()):+.1f}'])
    if not known:
        return table(HEAD, lines)
    cells = [per_cent(one) for one in known] + [f'{100 * float((known - others).mean()):+.1f}']
    return table([*HEAD, KNOWN], [[*line, cell] for line, cell in zip(lines, cells, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+')
    parser.add_argument('--against', type=Path, required=True, help='model.onnx of the other one')
    parser.add_argument('--trained-on-all', type=Path, help='model.onnx of one that knows them')
    parser.add_argument('--unweighted', type=float, default=0.0)
    parser.add_argument('--but', nargs='*', default=[])
    parser.add_argument('--write', action='store_true', help=f'into {README.name}')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    other = OnnxLabels(arguments.against)
    knows = OnnxLabels(arguments.trained_on_all) if arguments.trained_on_all else None
    rows, known = [], []
    for path in arguments.configs:
        config = read_config(path)
        classes = classes_of(config)
        own = exported(config, arguments.unweighted, arguments.but)
        if 'lane_painted_at_most' in config:
            offset = lane_offset_of(config, own)
            print(f'{config["run"]}: lane markings {offset:+.1f}', flush=True)
            own = exported(config, arguments.unweighted, arguments.but, offset)
        found: list[tuple[str, float, float]] = []
        pictures = 0
        of_known = []
        for row in config['evaluation']:
            data = load(row)
            theirs, ours = (evaluate(network, data, classes) for network in (other, own))
            name, value = figure_of(ours)
            found.append((name, figure_of(theirs)[1], value))
            pictures += len(data)
            if knows is not None:
                of_known.append(figure_of(evaluate(knows, data, classes))[1])
            print(row['name'], *found[-1], ours['iou'], flush=True)
        (name,) = {one[0] for one in found}
        means = (float(np.mean([one[k] for one in found])) for k in (1, 2))
        group = ', '.join(r['name'].removesuffix('-left-out') for r in config['evaluation'])
        rows.append((group, pictures, name, *means))
        if knows is not None:
            known.append(float(np.mean(of_known)))
    text = report(rows, known)
    print(text)
    if arguments.write:
        write_between(README, text, SECTION)


if __name__ == '__main__':
    main()
