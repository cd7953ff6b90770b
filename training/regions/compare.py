# SPDX-License-Identifier: Apache-2.0
"""Methods of segmentation side by side, and what synthetic pictures are worth.

    python -m training.regions.compare training/configs/compare-methods.yaml [--write] [--finished]

Trains every run of the config that is not finished yet (a stopped one goes on), once for each of
its seeds, scores it (once: `figures.json` in the run's folder), and prints the tables. `--write`
puts them into training/README.md and draws the curve into docs/images; `--finished` trains
nothing and leaves out what is not trained to the end.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from seg_ros.commands.evaluate.metrics import ConfusionMatrix
from training import compare
from training.boundary import BoundaryFigures, through_grid
from training.classes import ROAD_SCENE, ClassTable
from training.compare import cpu_ms, per_cent, table, validations, write_between
from training.config import read_config
from training.data import load
from training.evaluate import OnnxLabels
from training.export import export_onnx, load_checkpoint
from training.labelled_set import Image, LabelledSet
from training.regions import learning, mask_rcnn, sds
from training.regions.baseline import (
    described,
    fitted,
    is_learned,
    labels_by,
    learned_from,
)
from training.regions.features import RegionEncoder
from training.regions.labelling import resized_labels
from training.score import label_figures, score
from training.train import RUNS

__all__ = ['config_of', 'curve_table', 'draw_curve', 'figures_of', 'finished_runs', 'report']

README = Path(compare.__file__).with_name('README.md')
SECTION, CURVE_SECTION = 'training.regions.compare', 'training.regions.compare of the curve'
CURVE = Path('docs/images/synthetic-curve.svg')
FIGURES = 'figures.json'
NOT_TRAIN = ('kind', 'name', 'idea', 'refine', 'real', 'synthetic', 'lines')
GRID_STRIDES = (2, 4, 8, 16, 32)
SHOWN = ('pedestrian', 'vehicle', 'pole')

Scores = dict[str, Any]


def config_of(row: Mapping[str, Any], shared: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The training config of one run of a row."""
    own = {key: value for key, value in row.items() if key not in NOT_TRAIN}
    return {**shared, **own, 'seed': seed, 'run': f'{row["run"]}-{seed}'}


def scored(
    answers: Callable[[Image], Mapping[str, Image]], data: LabelledSet, classes: ClassTable
) -> dict[str, Scores]:
    """The figures of one set for each name that is answered.

    Args:
        answers: Label images of a picture by name, always the same names.
        data: Pictures with their truth.
        classes: Theirs.
    """
    books: dict[str, tuple[ConfusionMatrix, Any, BoundaryFigures]] = {}
    for index in range(len(data)):
        truth = np.ascontiguousarray(data.labels[index])
        for name, found in answers(np.ascontiguousarray(data.images[index])).items():
            if name not in books:
                books[name] = (
                    ConfusionMatrix(len(classes)),
                    label_figures(classes),
                    BoundaryFigures(len(classes), classes.folds),
                )
            for book in books[name]:
                book.add(truth, found)
    return {
        name: {
            'images': len(data),
            **score(matrix, classes),
            **figures.rounded(),
            **boundary.rounded(),
        }
        for name, (matrix, figures, boundary) in books.items()
    }


class Method:
    """How one kind of row is trained and scored."""

    def train(self, run: dict[str, Any]) -> None:
        raise NotImplementedError

    def is_finished(self, run: dict[str, Any]) -> bool:
        return learning.is_finished(run)

    def measure(
        self, row: Mapping[str, Any], run: dict[str, Any], config: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The figures of each of the row's lines on each set.

        Beside the sets stands `spent_ms`, CPU time by stage, where a picture takes more than a
        graph that `compare.cpu_ms` can time.
        """
        raise NotImplementedError


class Network(Method):
    """A network of `training.models`, through ONNX Runtime."""

    def train(self, run: dict[str, Any]) -> None:
        compare.trained(run, 'cpu')

    def measure(
        self, row: Mapping[str, Any], run: dict[str, Any], config: Mapping[str, Any]
    ) -> dict[str, Any]:
        labels_of, name = exported(row, run, config['network_size']), row['name']

        def answers(image: Image) -> dict[str, Image]:
            return {name: labels_of(image)}

        return by_line(answers, [name], config)


def exported(row: Mapping[str, Any], run: Mapping[str, Any], size_wh: Sequence[int]) -> OnnxLabels:
    last = RUNS / run['run'] / 'last.pt'
    network, _ = load_checkpoint(last, row.get('refine'))
    path = last.with_name(f'{"refined" if "refine" in row else "model"}.onnx')
    export_onnx(network, path, (size_wh[0], size_wh[1]))
    return OnnxLabels(path)


class Spent:
    """CPU seconds by stage of many pictures."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, float]] = []

    def medians_ms(self) -> dict[str, float]:
        return {
            name: round(1e3 * float(np.median([row[name] for row in self.rows])), 1)
            for name in self.rows[0]
        }


class RegionSvms(Method):
    """`baseline.py`: a line for each of `features`."""

    def train(self, run: dict[str, Any]) -> None:
        learned_from(run, ROAD_SCENE)

    def is_finished(self, run: dict[str, Any]) -> bool:
        return is_learned(run)

    def measure(
        self, row: Mapping[str, Any], run: dict[str, Any], config: Mapping[str, Any]
    ) -> dict[str, Any]:
        machines = dict(zip(row['lines'], fitted(run, ROAD_SCENE), strict=True))
        encoder = RegionEncoder(run['encoder'], run.get('pretrained', True)).eval()
        spent = {name: Spent() for name in machines}
        size_wh = tuple(run['size_wh'])

        def answers(image: Image) -> dict[str, Image]:
            seen = described(image, size_wh, encoder)
            labels = {}
            for name, svms in machines.items():
                begin_s = time.process_time()
                labels[name] = labels_by(svms, seen, image.shape[1::-1])
                rest_s = time.process_time() - begin_s
                parts = {k: seen.spent_s[k] for k in ('proposals', *svms.kinds)}
                spent[name].rows.append({**parts, 'SVMs and labels': rest_s})
            return labels

        return by_line(answers, row['lines'], config, spent)


class JointRegions(Method):
    """`sds.py`: a line without the refinement, and one with it."""

    def train(self, run: dict[str, Any]) -> None:
        sds.trained(run, ROAD_SCENE)

    def measure(
        self, row: Mapping[str, Any], run: dict[str, Any], config: Mapping[str, Any]
    ) -> dict[str, Any]:
        network, refinement = sds.fitted(run, ROAD_SCENE)
        coarse, refined = row['lines']
        spent = {name: Spent() for name in row['lines']}

        def answers(image: Image) -> dict[str, Image]:
            labels, spent_s = sds.labels_by(network, refinement, image, tuple(run['size_wh']))
            spent[refined].rows.append(spent_s)
            spent[coarse].rows.append({k: v for k, v in spent_s.items() if k != 'refinement'})
            return {coarse: labels['coarse'], refined: labels['refined']}

        return by_line(answers, row['lines'], config, spent)


class MaskHead(Method):
    """`mask_rcnn.py`: a line with its masks, and one of its logits alone."""

    def train(self, run: dict[str, Any]) -> None:
        mask_rcnn.trained(run, ROAD_SCENE)

    def measure(
        self, row: Mapping[str, Any], run: dict[str, Any], config: Mapping[str, Any]
    ) -> dict[str, Any]:
        labels_of = mask_rcnn.fitted(run, ROAD_SCENE)
        spent = {name: Spent() for name in row['lines']}

        def answers(image: Image) -> dict[str, Image]:
            labels = {}
            for name, masks in zip(row['lines'], (True, False), strict=True):
                begin_s = time.process_time()
                labels[name] = labels_of(image, masks)
                spent[name].rows.append({'network': time.process_time() - begin_s})
            return labels

        return by_line(answers, row['lines'], config, spent)


def by_line(
    answers: Callable[[Image], Mapping[str, Image]],
    lines: Sequence[str],
    config: Mapping[str, Any],
    spent: Mapping[str, Spent] | None = None,
) -> dict[str, Any]:
    of_sets = {
        source['name']: scored(answers, load(source), ROAD_SCENE) for source in validations(config)
    }
    figures: dict[str, Any] = {
        line: {name: scores[line] for name, scores in of_sets.items()} for line in lines
    }
    for line, times in (spent or {}).items():
        figures[line]['spent_ms'] = times.medians_ms()
    return figures


METHODS: dict[str, Method] = {
    'network': Network(),
    'regions': RegionSvms(),
    'sds': JointRegions(),
    'mask_rcnn': MaskHead(),
}


def method_of(row: Mapping[str, Any]) -> Method:
    return METHODS[row.get('kind', 'network')]


def figures_of(
    row: Mapping[str, Any], run: dict[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """What `measure` said of a run; measured once, unless sets or network size are others now."""
    path = RUNS / run['run'] / FIGURES
    stamp = json.loads(json.dumps({'size': config['network_size'], 'sets': validations(config)}))
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get('stamp') != stamp:
        kept = {'stamp': stamp, 'lines': {}}
    lines = row.get('lines', [row['name']])
    if any(line not in kept['lines'] for line in lines):
        kept['lines'] |= method_of(row).measure(row, run, config)
        path.write_text(json.dumps(kept, indent=1))
        print(run['run'], json.dumps({line: kept['lines'][line] for line in lines}), flush=True)
    return {line: kept['lines'][line] for line in lines}


def finished_runs(row: Mapping[str, Any], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of a row that are trained to the end."""
    runs = [config_of(row, config['shared'], seed) for seed in config['seeds']]
    return [run for run in runs if method_of(row).is_finished(run)]


def mean_and_spread(values: Sequence[float | None]) -> str:
    """In per cent: the mean of the seeds, and how far the farthest is from it."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return ''
    if len(known) == 1:
        return per_cent(known[0])
    mean = sum(known) / len(known)
    return f'{100 * mean:.1f} ± {100 * max(abs(value - mean) for value in known):.1f}'


def method_table(
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    rows: Mapping[str, Mapping[str, Any]],
    times_ms: Mapping[str, float],
    config: Mapping[str, Any],
) -> str:
    """One row a line; `found` has the figures of each seed."""
    first, *others = (source['name'] for source in validations(config))
    head = ['method', 'what it is', 'pretraining', 'CPU ms', 'mIoU', 'boundary F']
    head += ['right at borders', 'right elsewhere', *SHOWN, 'people found']
    head += [f'mIoU {name}' for name in others]
    lines = []
    for name, seeds in found.items():
        idea = rows[name]['idea']
        scores = [seed[first] for seed in seeds]
        people = [score.get('people_found', {}).get('40_px_and_more') for score in scores]
        lines.append(
            [
                name,
                idea[rows[name]['lines'].index(name)] if isinstance(idea, list) else idea,
                rows[name].get('pretraining', 'none'),
                f'{times_ms[name]:.0f}',
                *(
                    mean_and_spread([score.get(key) for score in scores])
                    for key in ('miou', 'boundary_f', 'right_at_borders', 'right_elsewhere')
                ),
                *(
                    mean_and_spread([score['iou'].get(label) for score in scores])
                    for label in SHOWN
                ),
                mean_and_spread(people),
                *(mean_and_spread([seed[other]['miou'] for seed in seeds]) for other in others),
            ]
        )
    return table(head, lines)


def spent_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Where the time of region methods goes."""
    lines = []
    for name, seeds in found.items():
        if 'proposals' not in seeds[0].get('spent_ms', {}):
            continue
        parts = {
            k: float(np.mean([s['spent_ms'][k] for s in seeds])) for k in seeds[0]['spent_ms']
        }
        first_ms, total_ms = parts['proposals'], sum(parts.values())
        rest = ', '.join(f'{k} {v:.0f}' for k, v in parts.items() if k != 'proposals')
        share = per_cent(first_ms / total_ms)
        lines.append([name, f'{first_ms:.0f}', rest, f'{total_ms:.0f}', share])
    return table(['method', 'proposals, ms', 'the rest, ms', 'in all, ms', 'proposals, %'], lines)


def grid_table(config: Mapping[str, Any]) -> str:
    """What is left of the truth itself on grids of each stride."""
    head = ['stride of the grid', 'mIoU', 'boundary F', 'right at borders', *SHOWN]
    lines = [
        [
            name,
            *(per_cent(one.get(key)) for key in ('miou', 'boundary_f', 'right_at_borders')),
            *(per_cent(one['iou'].get(label)) for label in SHOWN),
        ]
        for name, one in grid_figures(config).items()
    ]
    return table(head, lines)


def grid_figures(config: Mapping[str, Any]) -> dict[str, Scores]:
    """The figures of the truth on each grid; measured once, as those of a run."""
    source, size_wh = validations(config)[0], config['network_size']
    path = RUNS / f'grids-{source["name"]}.json'
    stamp = json.loads(json.dumps({'size': size_wh, 'set': source}))
    if path.exists() and (kept := json.loads(path.read_text()))['stamp'] == stamp:
        return dict(kept['figures'])
    data, count = load(source), len(ROAD_SCENE)
    truths = iter(range(len(data)))

    def answers(image: Image) -> dict[str, Image]:
        small = resized_labels(np.asarray(data.labels[next(truths)]), size_wh)
        return {
            str(stride): resized_labels(through_grid(small, stride, count), image.shape[1::-1])
            for stride in (1, *GRID_STRIDES)
        }

    figures = scored(answers, data, ROAD_SCENE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({'stamp': stamp, 'figures': figures}, indent=1))
    return figures


def report(
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    rows: Mapping[str, Mapping[str, Any]],
    times_ms: Mapping[str, float],
    config: Mapping[str, Any],
    left_out: Sequence[str] = (),
) -> str:
    """All tables of methods with what a reader must know of them."""
    shared, (width, height) = config['shared'], config['network_size']
    crop_w, crop_h = next(iter(shared['augmentation'].values()))['crop_wh']
    first = validations(config)[0]['name']
    images = len(load(validations(config)[0]))
    intro = (
        f'Each after {shared["steps"]} steps of {shared["batch"]} crops of {crop_w}x{crop_h} from '
        f'{" and ".join(row["name"] for row in shared["sources"])}, for networks and proposals of '
        f'{width}x{height}; region methods have the schedules of their rows in the config. '
        f'In %, the mean of {len(config["seeds"])} seeds on {first} ({images} images at '
        'their own size, no run was selected on them), ± how far one is off. Lane '
        'markings count as road in mIoU and have no border. Boundary F and pixels at borders: '
        'within 2 px at 360 rows. People found: those of 40 px and more at 360 rows. '
        'CPU ms is CPU time of one picture on one thread: networks through ONNX Runtime, what '
        'has regions or boxes through OpenCV and torch (crops of regions in bf16).'
    )
    single = [name for name, seeds in found.items() if len(seeds) < len(config['seeds'])]
    if single:
        intro += f' Of fewer seeds yet, without a ±: {", ".join(single)}.'
    if left_out:
        intro += f' Not trained to the end yet: {", ".join(left_out)}.'
    parts = [intro]
    if found:
        parts.append(method_table(found, rows, times_ms, config))
    if any('proposals' in seeds[0].get('spent_ms', {}) for seeds in found.values()):
        parts += ['Where the time of a picture goes that is cut into regions:', spent_table(found)]
    limit = (
        f"What is left of {first}'s truth itself, when each cell of a grid on {width}x{height} "
        "has the classes' shares of its pixels, and these are enlarged as logits are:"
    )
    parts += [limit, grid_table(config)]
    return '\n\n'.join(parts)


def curve_points(
    config: Mapping[str, Any],
) -> Iterator[tuple[float, bool, list[Mapping[str, Any]]]]:
    """Share of the real pictures, whether synthetic ones were added, and each seed's scores."""
    first = validations(config)[0]['name']
    for row in sorted(config['curve'], key=lambda r: (r['real'], r['synthetic'])):
        found = [
            figures_of(row, run, config)[row['name']][first] for run in finished_runs(row, config)
        ]
        if found:
            yield row['real'], row['synthetic'], found


CURVE_KEYS: tuple[tuple[str, Callable[[Mapping[str, Any]], float | None]], ...] = (
    ('mIoU', lambda scores: scores['miou']),
    ('vehicle', lambda scores: scores['iou'].get('vehicle')),
    ('pedestrian', lambda scores: scores['iou'].get('pedestrian')),
    ('cyclist', lambda scores: scores['iou'].get('cyclist')),
    ('road', lambda scores: scores['iou'].get('road')),
)

Point = tuple[float, bool, Sequence[Mapping[str, Any]]]


def curve_table(points: Sequence[Point]) -> str:
    """A row for each share, and in each cell without and with synthetic pictures."""
    head = ['real pictures, %', *(f'{name}, alone | {name}, with' for name, _ in CURVE_KEYS)]
    cells = {(share, added): seeds for share, added, seeds in points}
    lines = []
    for share in sorted({share for share, _ in cells}):
        line = [f'{100 * share:.0f}']
        for _, value in CURVE_KEYS:
            for added in (False, True):
                seeds = cells.get((share, added), ())
                line.append(mean_and_spread([value(seed) for seed in seeds]) if seeds else '–')
        lines.append(line)
    return table(' | '.join(head).split(' | '), lines)


def draw_curve(points: Sequence[Point], path: Path) -> None:
    """The curve as SVG: a dot for each seed, a line through their means."""
    import matplotlib

    matplotlib.use('Agg')
    matplotlib.rcParams['svg.hashsalt'] = 'curve'  # the same picture has the same bytes
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.6))
    for axes, (name, value) in zip(panels, CURVE_KEYS, strict=False):
        for added, colour, text in (
            (False, 'tab:blue', 'real pictures alone'),
            (True, 'tab:orange', 'with synthetic ones'),
        ):
            mine = [(100 * share, seeds) for share, is_with, seeds in points if is_with == added]
            values = [[100 * (value(seed) or 0.0) for seed in seeds] for _, seeds in mine]
            shares = [share for share, _ in mine]
            axes.plot(shares, [np.mean(v) for v in values], '-', color=colour, label=text)
            for share, of_seeds in zip(shares, values, strict=True):
                axes.plot([share] * len(of_seeds), of_seeds, 'o', color=colour, markersize=4)
        axes.set_xlabel('real pictures, % of CamVid train')
        axes.set_ylabel(f'{name}, % on CamVid val')
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    panels[0].legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={'Date': None})
    pyplot.close(figure)


def in_order(config: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], dict[str, Any]]]:
    """All rows with their runs; the second seed of a row comes after the first of all rows."""
    rows = [*config['methods'], *config['curve']]
    return [
        (row, config_of(row, config['shared'], seed)) for seed in config['seeds'] for row in rows
    ]


def cpu_times_ms(
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    rows: Mapping[str, Mapping[str, Any]],
    config: Mapping[str, Any],
) -> dict[str, float]:
    """CPU ms of each line: networks side by side, the others as they were measured."""
    times = {
        name: float(np.mean([sum(seed['spent_ms'].values()) for seed in seeds]))
        for name, seeds in found.items()
        if 'spent_ms' in seeds[0]
    }
    names = [name for name in found if name not in times]
    networks = [
        exported(rows[name], finished_runs(rows[name], config)[0], config['network_size'])
        for name in names
    ]
    if networks:
        times |= dict(zip(names, cpu_ms(networks), strict=True))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--write', action='store_true', help=f'into {README.name} and {CURVE}')
    parser.add_argument('--finished', action='store_true', help='train nothing')
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', os.cpu_count() or 1)))
    cv2.setNumThreads(1)
    config = read_config(arguments.config)
    for row, run in in_order(config):
        if not method_of(row).is_finished(run) and not arguments.finished:
            method_of(row).train(run)
        if method_of(row).is_finished(run):
            figures_of(row, run, config)
    found: dict[str, list[Mapping[str, Any]]] = {}
    rows: dict[str, Mapping[str, Any]] = {}
    left_out = []
    for row in config['methods']:
        seeds = [figures_of(row, run, config) for run in finished_runs(row, config)]
        if not seeds:
            left_out.append(row['name'])
            continue
        for line in row.get('lines', [row['name']]):
            found[line], rows[line] = [seed[line] for seed in seeds], row
    text = report(found, rows, cpu_times_ms(found, rows, config), config, left_out)
    points = list(curve_points(config))
    curve = curve_table(points) if points else 'No run of the curve is trained to the end yet.'
    print(text, curve, sep='\n\n')
    if arguments.write:
        write_between(README, text, SECTION)
        write_between(README, curve, CURVE_SECTION)
        if points:
            draw_curve(points, CURVE)


if __name__ == '__main__':
    main()
