# SPDX-License-Identifier: Apache-2.0
"""Train many networks by the same short schedule and put their figures side by side.

    python -m training.compare training/configs/compare.yaml [--write] [--finished] [--only NAME]

Trains every row of the config that is not finished yet (a stopped one goes on), exports it, and
scores it through ONNX Runtime on the validation sets. `--write` puts the tables into
training/README.md; `--finished` leaves out what is not trained to the end instead of training it.
`shared` may take `sources` and `augmentation` from another config, its `mixture`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from training.classes import classes_of
from training.config import read_config, with_mixture
from training.data import load
from training.evaluate import OnnxLabels, evaluate
from training.export import export_onnx, load_checkpoint
from training.mask_quality import mask_quality
from training.train import RUNS, train

__all__ = ['Figures', 'macs', 'parameters', 'write_between']

README = Path(__file__).with_name('README.md')
SECTION = 'training.compare'  # of the README; a config may name one of its own
NOT_TRAIN = ('name', 'buys', 'refine')  # keys of a row that training does not see
SHOWN = ('road', 'pole', 'vehicle', 'pedestrian', 'lane_marking')
TIMED_ROUNDS = 15


class Figures(NamedTuple):
    """What was measured of one row.

    Attributes:
        row: Of the config.
        parameters: Weights in the exported graph.
        macs: Multiplications of its convolutions for one image.
        scores: `training.score` on each validation set; the first is shown whole.
        labels_of: The exported network, to be timed.
    """

    row: Mapping[str, Any]
    parameters: int
    macs: int
    scores: Sequence[Mapping[str, Any]]
    labels_of: OnnxLabels


def parameters(path: Path) -> int:
    """How many numbers an exported graph holds; batch norms are folded in it."""
    graph = onnx.load(path).graph
    return sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)


def macs(network: nn.Module, size_wh: Sequence[int]) -> int:
    """Multiply-accumulates of all convolutions for one image."""
    total = 0

    def count(layer: nn.Conv2d, _: Any, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * int(np.prod(layer.weight.shape[1:]))

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    with torch.no_grad():
        network(torch.zeros(1, 3, size_wh[1], size_wh[0]))
    for hook in hooks:
        hook.remove()
    return total


def config_of(row: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The training config of a row: what all share, and its own keys."""
    return {**shared, **{key: value for key, value in row.items() if key not in NOT_TRAIN}}


def trained(config: dict[str, Any], device: str, workers: int = 0) -> Path:
    """The checkpoint of a finished run.

    Raises:
        ValueError: A run of that name was made by another config.
    """
    last = RUNS / config['run'] / 'last.pt'
    if last.exists():
        state = torch.load(last, map_location='cpu', weights_only=True)
        if state['config'] != config:
            raise ValueError(
                f'{last} was trained by another config. Remove {last.parent}, or name another run.'
            )
        if state['progress'] >= 1.0:
            return last
    train(config, device, workers=workers)
    return last


def validations(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sets that score; a config may name one or a list."""
    rows = config['validation']
    return [rows] if isinstance(rows, dict) else list(rows)


def is_finished(row: Mapping[str, Any]) -> bool:
    last = RUNS / row['run'] / 'last.pt'
    if not last.exists():
        return False
    return float(torch.load(last, map_location='cpu', weights_only=True)['progress']) >= 1.0


def measured(row: Mapping[str, Any], config: Mapping[str, Any], every: int) -> Figures:
    """Export and score one trained row."""
    run = config_of(row, config['shared'])
    last = RUNS / run['run'] / 'last.pt'
    network, _ = load_checkpoint(last, row.get('refine'))
    size_wh = config['network_size']
    path = last.with_name(f'{row["name"]}.onnx')
    export_onnx(network, path, size_wh)
    labels_of = OnnxLabels(path)
    scores = [
        evaluate(labels_of, load(source), classes_of(run), every=every)
        for source in validations(config)
    ]
    figures = Figures(row, parameters(path), macs(network, size_wh), scores, labels_of)
    print(row['name'], figures.parameters, figures.macs, scores, flush=True)
    return figures


def cpu_ms(networks: Sequence[OnnxLabels], rounds: int = TIMED_ROUNDS) -> list[float]:
    """Median CPU time of one image on one thread for each network.

    CPU time, and one network after the other in every round, so that other work on the machine
    touches all of them alike.
    """
    times: NDArray[np.float64] = np.zeros((rounds, len(networks)))
    for turn in range(rounds):
        for index, labels_of in enumerate(networks):
            image = np.full((*labels_of.size_wh[::-1], 3), turn, np.uint8)
            begin_s = time.process_time()
            labels_of.session.run(['logits'], {'image': image[None]})
            times[turn, index] = time.process_time() - begin_s
    return [float(value) * 1e3 for value in np.median(times, axis=0)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def per_cent(value: float | None) -> str:
    return '' if value is None else f'{100 * value:.1f}'


def architecture_table(
    found: Sequence[Figures], times_ms: Sequence[float], config: Mapping[str, Any]
) -> str:
    head = ['network', 'what it has', 'pretraining', 'parameters, M', 'MACs, G', 'CPU ms', 'mIoU']
    rows = [
        [
            one.row['name'],
            one.row['buys'],
            one.row.get('pretraining', 'none'),
            f'{one.parameters / 1e6:.2f}',
            f'{one.macs / 1e9:.2f}',
            f'{spent_ms:.0f}',
            *map(per_cent, [one.scores[0]['miou'], *(one.scores[0]['iou'].get(n) for n in SHOWN)]),
            *(per_cent(score['miou']) for score in one.scores[1:]),
        ]
        for one, spent_ms in zip(found, times_ms, strict=True)
    ]
    others = validations(config)[1:]
    head += [*(name.replace('_', ' ') for name in SHOWN), *(f'mIoU {o["name"]}' for o in others)]
    return table(head, rows)


def supervision_table(found: Sequence[Figures], config: Mapping[str, Any]) -> str:
    """Rows of masks and of boxes: how good the labels are, and what is learned from them."""
    sources = [source for row in config['supervision'] for source in row.get('sources', ())]
    names = next(source['classes'] for source in sources if source['kind'] == 'from_boxes')
    head = ['labels of', *(f'{name}: pixels right, found' for name in names), 'mIoU', *names]
    rows = []
    for one in found:
        run = config_of(one.row, config['shared'])
        classes, source = classes_of(run), run['sources'][0]
        drawn, truth = load(source).labels, load(source.get('of', source)).labels
        rows.append(
            [
                one.row['name'],
                *(
                    ', '.join(map(per_cent, mask_quality(drawn, truth, classes.id(name))))
                    for name in names
                ),
                *map(
                    per_cent,
                    [one.scores[0]['miou'], *(one.scores[0]['iou'].get(n) for n in names)],
                ),
            ]
        )
    return table(head, rows)


def report(
    config: Mapping[str, Any],
    architectures: Sequence[Figures],
    times_ms: Sequence[float],
    supervision: Sequence[Figures],
) -> str:
    """Both tables with what a reader must know of them."""
    shared, validation = config['shared'], validations(config)[0]
    width, height = config['network_size']
    crop_w, crop_h = shared['augmentation'][shared['sources'][0]['name']]['crop_wh']
    images = architectures[0].scores[0]['images']
    seeds = sorted({config_of(one.row, shared)['seed'] for one in architectures})
    seed = f'seed{"s" * (len(seeds) > 1)} {", ".join(map(str, seeds))}'
    intro = (
        f'Each after {shared["steps"]} steps of {shared["batch"]} crops of {crop_w}x{crop_h} from '
        f'{of_sources(shared["sources"])} ({seed}): a few minutes a network, so '
        f'that the figures compare networks and none is as good as it gets. IoU in % on '
        f'{validation["name"]} ({images} images, '
        f'{width}x{height}; nothing was selected on them) through ONNX Runtime; lane markings '
        'count as road in mIoU. MACs are those of the convolutions, CPU ms is the CPU time of one '
        'image of that size on one thread. One run a row: a few points may be chance.'
    )
    names = {one.row['name'] for one in architectures}
    left_out = [row['name'] for row in config['architectures'] if row['name'] not in names]
    if left_out:
        intro += f' Not trained to the end yet: {", ".join(left_out)}.'
    parts = [intro, architecture_table(architectures, times_ms, config)]
    boxes = (
        'Boxes instead of masks (`kind: from_boxes`, GrabCut inside each box): the same network, '
        'schedule and figures. "Pixels right" is the share of the drawn pixels that the '
        'true mask has, "found" the share of the true mask that was drawn.'
    )
    if supervision:
        parts += [boxes, supervision_table(supervision, config)]
    return '\n\n'.join(parts)


def of_sources(sources: Sequence[Mapping[str, Any]]) -> str:
    return sources[0]['name'] if len(sources) == 1 else f'{len(sources)} data sets'


def write_between(path: Path, text: str, section: str = SECTION) -> None:
    """Replace what stands between the two markers of a section.

    Raises:
        ValueError: The file lacks a marker.
    """
    begin, end = f'<!-- {section} begins -->', f'<!-- {section} ends -->'
    whole = path.read_text()
    if begin not in whole or end not in whole:
        raise ValueError(f'{path} must have the lines {begin} and {end}.')
    before, _, rest = whole.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f'{before}{begin}\n\n{text}\n\n{end}{after}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--every', type=int, default=1, help='score every n-th image only')
    parser.add_argument('--write', action='store_true', help=f'into {README.name}')
    parser.add_argument('--finished', action='store_true', help='train nothing')
    parser.add_argument('--only', nargs='*', help='names of the rows to train')
    parser.add_argument('--train', action='store_true', help='train, and score nothing')
    parser.add_argument(
        '--workers', type=int, default=0, help='processes that draw batches, for a GPU'
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', os.cpu_count() or 1)))
    cv2.setNumThreads(1)
    config = read_config(arguments.config)
    config['shared'] = with_mixture(config['shared'])
    rows = {
        kind: [
            row
            for row in config.get(kind, ())
            if is_finished(row) or not arguments.finished
            if arguments.only is None or row['name'] in arguments.only
        ]
        for kind in ('supervision', 'architectures')
    }
    for row in (*rows['supervision'], *rows['architectures']):
        trained(config_of(row, config['shared']), arguments.device, arguments.workers)
    if arguments.train:
        return
    found = {
        kind: [measured(row, config, arguments.every) for row in some]
        for kind, some in rows.items()
    }
    if not found['architectures']:
        raise SystemExit('No network of the table is trained to the end yet.')
    times_ms = cpu_ms([one.labels_of for one in found['architectures']])
    text = report(config, found['architectures'], times_ms, found['supervision'])
    print(text)
    if arguments.write:
        write_between(README, text, config.get('section', SECTION))


if __name__ == '__main__':
    main()
