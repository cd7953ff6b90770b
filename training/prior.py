# SPDX-License-Identifier: Apache-2.0
"""Move the classes' scores to where most is right on pictures that are for selecting.

    python -m training.prior engines/NAME --config training/configs/NAME.yaml [--write]
        [--offsets pole=0.4 sign=0.2 ...]

A loss with weights, hard pixels and pasted people leaves a network with other priors than the
road has. One number a class, added to its score, sets that right (Saerens et al., 2002; logit
adjustment, Menon et al., arXiv 2007.07314), and costs nothing: it is the last layer's bias.

The numbers are found by coordinate ascent on the mean IoU of those `validation` sets of the config
that are not among its sources, on every fifth pixel of every fifth row. Not taken is a step that
finds fewer people or sees more phantoms on the whole pictures, or that lowers the mean IoU of a
validation set that was trained on: such a set proves no gain, but it shows a loss, and what one
city gains another may lose. A class that these sets do not label moves with what it counts as.
What the numbers are worth on pictures that they were not found on is told first: found on every
second picture, measured on the others. `--offsets` looks for nothing and takes those given, which
a search with other aims has found. `--write` puts them into the network, its int8 forms and
spec.yaml.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import numpy_helper

from seg_ros.commands.evaluate.metrics import ConfusionMatrix
from seg_ros.core.image.upsample import Upsampler
from training.classes import UNLABELLED, ClassTable, classes_of
from training.config import read_config
from training.data import load
from training.evaluate import OnnxLabels
from training.labelled_set import Image, LabelledSet
from training.score import label_figures, score

__all__ = ['Answers', 'add_to_bias', 'find_offsets']

Offsets = NDArray[np.float32]

STEPS = (0.4, 0.2, 0.1)  # nats; a finer one changes no figure that is printed
FURTHEST = 2.0  # nats; a class that asks for more has another trouble than its prior
SAMPLED = 5  # every so many pixels and rows; 4 would see one corner of each cell of the logits
ROUNDS = 6  # through all classes, at most, of each step
FORMS = ('model.onnx', 'model.int8.onnx', 'model.int8-cpu.onnx')


@dataclass(frozen=True)
class Answers:
    """What a network says of a set.

    Attributes:
        data: The set.
        logits: float16 [C,h,w] of each picture.
        size_wh: Of the network's image.
    """

    data: LabelledSet
    logits: Sequence[NDArray[np.float16]]
    size_wh: tuple[int, int]

    @staticmethod
    def of(network: OnnxLabels, data: LabelledSet) -> Answers:
        logits = [network.logits(np.asarray(image)).astype(np.float16) for image in data.images]
        return Answers(data, logits, network.size_wh)

    def pixels(self, every: slice) -> tuple[NDArray[np.float32], Image]:
        """Scores [n,C] and truths [n] of the sampled pixels that some pictures know."""
        scores, truths = [], []
        for logits, labels in zip(self.logits[every], self.data.labels[every], strict=True):
            truth = np.asarray(labels[::SAMPLED, ::SAMPLED])
            x, y = (
                (np.arange(0, there, SAMPLED) + 0.5) * of / there - 0.5
                for there, of in zip(labels.shape[::-1], logits.shape[:0:-1], strict=True)
            )
            at = [grid.astype(np.float32) for grid in np.meshgrid(x, y)]
            known = truth != UNLABELLED
            planes = [
                cv2.remap(plane, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[known]
                for plane in logits.astype(np.float32)
            ]
            scores.append(np.stack(planes, 1))
            truths.append(truth[known])
        return np.concatenate(scores), np.concatenate(truths)

    def figures(self, offsets: Offsets, classes: ClassTable) -> dict[str, Any]:
        """What `training.evaluate` would report with these offsets, of the whole pictures."""
        upsampler = Upsampler(self.logits[0].shape, self.size_wh)
        matrix, figures = ConfusionMatrix(len(classes)), label_figures(classes)
        for logits, truth in zip(self.logits, self.data.labels, strict=True):
            moved = logits.astype(np.float32) + offsets[:, None, None]
            found = np.asarray(
                cv2.resize(
                    upsampler.labels(moved),
                    truth.shape[::-1],
                    interpolation=cv2.INTER_NEAREST_EXACT,
                )
            )
            matrix.add(np.asarray(truth), found)
            figures.add(np.ascontiguousarray(truth), found)
        return {**score(matrix, classes), **figures.rounded()}


class Goodness:
    """Mean IoU over the classes of the truth, meaned over the sets, of sampled pixels."""

    def __init__(self, sets: Sequence[Answers], classes: ClassTable, every: slice) -> None:
        self.pixels = [answers.pixels(every) for answers in sets]
        self.classes = classes

    def __call__(self, offsets: Offsets) -> float:
        return float(np.mean([self._of_set(*pixels, offsets) for pixels in self.pixels]))

    @property
    def groups(self) -> list[list[int]]:
        """Class ids that move together: one each, but what no set labels goes with its fold."""
        labelled = np.unique(np.concatenate([truths for _, truths in self.pixels]))
        groups = {i: [i] for i in range(len(self.classes))}
        for source, target in self.classes.folds.items():
            if source not in labelled:
                groups[target] += groups.pop(source)
        return list(groups.values())

    def _of_set(self, scores: NDArray[np.float32], truths: Image, offsets: Offsets) -> float:
        matrix = ConfusionMatrix(len(self.classes))
        matrix.add(truths, (scores + offsets).argmax(1).astype(np.uint8))
        there = matrix.counts.sum(1) > 0
        folded = matrix.folded({k: v for k, v in self.classes.folds.items() if not there[k]})
        return float(np.mean(folded.iou()[there]))


def find_offsets(
    goodness: Callable[[Offsets], float],
    groups: Sequence[Sequence[int]],
    allowed: Callable[[Offsets], bool] = lambda _: True,
) -> Offsets:
    """Coordinate ascent from zero, with smaller and smaller steps.

    Args:
        goodness: To be raised.
        groups: Class ids that have one offset.
        allowed: Asked before a step that is better is taken.
    """
    classes = sum(len(group) for group in groups)
    offsets = np.zeros(classes, np.float32)
    best = goodness(offsets)
    for step in STEPS:
        moves = list(neighbours(groups, step))
        for _ in range(ROUNDS):
            before = best
            refused = []
            for index, move in enumerate(moves):
                moved = offsets + move
                if np.abs(moved).max() > FURTHEST:
                    continue
                value = goodness(moved)
                if value <= best:
                    continue
                if allowed(moved):
                    best, offsets = value, moved
                else:
                    refused.append(index)  # asking is slow: not again before a finer step
            moves = [move for index, move in enumerate(moves) if index not in refused]
            if best == before:
                break
    # only differences count: with the median at zero most classes stay as they were
    return np.asarray(offsets - np.median(offsets), np.float32)


def neighbours(groups: Sequence[Sequence[int]], step: float) -> Iterator[Offsets]:
    for group in groups:
        for sign in (1, -1):
            move = np.zeros(sum(len(row) for row in groups), np.float32)
            move[list(group)] = sign * step
            yield move


def unseen_and_seen(config: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of `validation` of which no source has pictures, and the others.

    Raises:
        ValueError: There is none of the first.
    """
    rows = config.get('validation') or []
    rows = [rows] if isinstance(rows, dict) else rows
    trained = set().union(*(parts_of(row) for row in config['sources']))
    found = [row for row in rows if not parts_of(row) & trained]
    if not found:
        raise ValueError(
            'Every validation set of this config is trained on, too: there is nothing to find '
            'offsets on. Give it one of pictures that no source has.'
        )
    return found, [row for row in rows if row not in found]


def parts_of(row: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The folders that a set reads."""
    root = row.get('root') or row.get('images') or row['name']
    return {(root, split) for split in row.get('splits', [row.get('split', 'train')])}


def no_worse(figures: dict[str, Any], than: dict[str, Any]) -> bool:
    """As many people are found, of every height, and no more phantoms are seen."""
    people = than.get('people_found', {})
    return figures['phantoms_per_picture'] <= than['phantoms_per_picture'] and all(
        figures['people_found'][height] >= share for height, share in people.items()
    )


def guard(
    sets: Sequence[Answers], seen: Sequence[Goodness], classes: ClassTable
) -> Callable[[Offsets], bool]:
    """What tells whether offsets cost no person, phantom, or IoU of what was trained on."""
    zero = np.zeros(len(classes), np.float32)
    floors = [goodness(zero) for goodness in seen]
    before = [answers.figures(zero, classes) for answers in sets]

    def allowed(offsets: Offsets) -> bool:
        if any(goodness(offsets) < floor for goodness, floor in zip(seen, floors, strict=True)):
            return False
        return all(
            no_worse(answers.figures(offsets, classes), than)
            for answers, than in zip(sets, before, strict=True)
        )

    return allowed


def add_to_bias(model: onnx.ModelProto, offsets: Offsets) -> None:
    """Add the offsets to the bias of the convolution that makes the logits.

    Raises:
        ValueError: Between it and the logits is more than a change of size, or what is taken off
            where nobody surely is (`training.export --sure-of-people`).
    """
    made_by = {output: node for node in model.graph.node for output in node.output}
    node = made_by['logits']
    while node.op_type in ('Resize', 'Identity', 'Slice', 'Cast', 'Sub'):
        node = made_by[node.input[0]]
    if node.op_type != 'Conv' or len(node.input) < 3:
        raise ValueError(f'The logits come out of {node.op_type}, not of a convolution with bias.')
    (bias,) = (t for t in model.graph.initializer if t.name == node.input[2])
    moved = numpy_helper.to_array(bias) + offsets
    bias.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), bias.name))


def moved(path: Path, offsets: Offsets, threads: int) -> OnnxLabels:
    """The network with the offsets, which may come before something else in its graph."""
    model = onnx.load(path)
    add_to_bias(model, offsets)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / 'model.onnx')
        return OnnxLabels(Path(folder) / 'model.onnx', threads)


def write(engine: Path, offsets: Offsets, names: Sequence[str], found_on: Sequence[str]) -> None:
    """Into the network, its int8 forms, whose last convolution is in fp32, too, and spec.yaml."""
    for form in FORMS:
        if (engine / form).exists():
            model = onnx.load(engine / form)
            add_to_bias(model, offsets)
            onnx.save(model, engine / form)
    spec = yaml.safe_load((engine / 'spec.yaml').read_text())
    before = spec['training'].get('offsets', {}).get('nats', {})
    total = {
        name: round(float(offset) + before.get(name, 0.0), 3)
        for name, offset in zip(names, offsets, strict=True)
    }
    spec['training']['offsets'] = {
        'nats': {name: value for name, value in total.items() if value},
        'found_on': list(found_on),
    }
    text = yaml.safe_dump(spec, sort_keys=False, default_flow_style=None, width=120)
    (engine / 'spec.yaml').write_text(text)


def given_offsets(words: Sequence[str], names: Sequence[str]) -> Offsets:
    """Offsets as the command line has them, CLASS=NATS.

    Raises:
        ValueError: A class that there is not, or no number.
    """
    offsets = np.zeros(len(names), np.float32)
    for word in words:
        name, _, value = word.partition('=')
        if name not in names:
            raise ValueError(
                f'--offsets {word}: there is no class {name!r}, but {", ".join(names)}.'
            )
        offsets[names.index(name)] = float(value)
    return offsets


def told(figures: dict[str, Any]) -> str:
    found = figures.get('people_found', {})
    classes = ' '.join(f'{name} {100 * iou:.1f}' for name, iou in figures['iou'].items())
    people = ' '.join(f'{100 * share:.1f} ({height})' for height, share in found.items())
    phantoms = figures['phantoms_per_picture']
    return f'mIoU {100 * figures["miou"]:.2f}, people {people}, phantoms {phantoms}; {classes}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('engine', type=Path)
    parser.add_argument('--config', required=True, help='its `validation` is what is selected on')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--offsets', nargs='*', metavar='CLASS=NATS', help='take these, look for none'
    )
    parser.add_argument('--write', action='store_true')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    config = read_config(arguments.config)
    classes = classes_of(config)
    network = OnnxLabels(arguments.engine / 'model.onnx', arguments.threads)
    rows, trained = unseen_and_seen(config)
    sets = [Answers.of(network, load(row)) for row in rows]
    zero = np.zeros(len(classes), np.float32)
    before = [answers.figures(zero, classes) for answers in sets]

    if arguments.offsets:
        offsets = given_offsets(arguments.offsets, classes.names)
    else:
        half, rest = (Goodness(sets, classes, slice(first, None, 2)) for first in (0, 1))
        print(
            'Found on every second picture, mean IoU of the others: '
            f'{100 * rest(zero):.2f} -> {100 * rest(find_offsets(half, half.groups)):.2f}',
            flush=True,
        )
        seen = [
            Goodness([Answers.of(network, load(row))], classes, slice(None)) for row in trained
        ]
        goodness = Goodness(sets, classes, slice(None))
        offsets = find_offsets(goodness, goodness.groups, guard(sets, seen, classes))
    after = moved(arguments.engine / 'model.onnx', offsets, arguments.threads)
    for answers, than in zip(sets, before, strict=True):
        print(f'{answers.data.name} before: {told(than)}')
        figures = Answers.of(after, answers.data).figures(zero, classes)
        print(f'{answers.data.name} after:  {told(figures)}')
    pairs = zip(classes.names, offsets, strict=True)
    print('offsets', {name: round(float(offset), 2) for name, offset in pairs if offset})
    if arguments.write:
        found_on = [answers.data.name for answers in sets]
        write(arguments.engine, offsets, classes.names, found_on)


if __name__ == '__main__':
    main()
