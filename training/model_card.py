# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation as spec.yaml's `metrics` and as MODEL_CARD.md."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ['write_card', 'write_metrics']

Results = Mapping[str, Mapping[str, Any]]
KEPT = (
    'miou', 'pixel_accuracy', 'images', 'network_size', 'people_found',
    'phantoms_per_picture', 'lane_recall', 'lane_painted', 'iou',
)  # fmt: skip
BEYOND = ('people ≥ 40 px', '20–40 px', 'phantoms', 'lane recall')
LOG_ROWS = 24
MEASURED = """\
Through ONNX Runtime (rows "openvino": through OpenVINO), as the node runs it:
`python -m training.evaluate`. Rows "int8" are of the form for TensorRT, "openvino int8" of that
for CPUs. mIoU is over the classes that occur, lane markings counted as road;
the lane IoU on CamVid is against the soft lane labels at 0.5, which are no human's. None of these
images were trained on, and int8 was calibrated on none; a set that is also among the config's
validation was selected on.
"""


def write_metrics(engine: Path, config_path: str, results: Results) -> None:
    """Put the figures, and the config they belong to, into spec.yaml."""
    spec = yaml.safe_load((engine / 'spec.yaml').read_text())
    spec['training']['config'] = config_path
    spec['metrics'] = {
        name: {key: row[key] for key in KEPT if key in row} for name, row in results.items()
    }
    text = yaml.safe_dump(spec, sort_keys=False, default_flow_style=None, width=120)
    (engine / 'spec.yaml').write_text(text)


def write_card(
    engine: Path,
    config_path: str,
    results: Results,
    changed: Sequence[Mapping[str, Any]] = (),
    run: Path | None = None,
    beside: Path | None = None,
) -> None:
    """MODEL_CARD.md from spec.yaml, the results and the run's own config and log.

    Args:
        engine: The engine's folder.
        config_path: The training config; its `notes` are printed as they are.
        results: A row of figures for each set.
        changed: The robustness rows, if they were measured.
        run: The run's folder in out/train.
        beside: The folder of another run, whose figures are among the results.
    """
    spec = yaml.safe_load((engine / 'spec.yaml').read_text())
    config = yaml.safe_load(Path(config_path).read_text())
    names = [row['name'] for row in spec['classes']]
    width, height = spec['network_size']
    training = spec['training']
    origin = (
        f'Network size {width}x{height}. Pretraining: {training["pretraining"]}. Trained for '
        f'{training["steps"]} steps of {config["batch"]} crops from {", ".join(training["data"])} '
        f'by `{config_path}` (seed {config["seed"]}).'
    )
    if moved := training.get('offsets'):
        nats = ', '.join(f'{name} {value:+.2f}' for name, value in moved['nats'].items())
        origin += (
            f' The scores of the classes are moved by {nats} (`training.prior`, on '
            f'{", ".join(moved["found_on"])}).'
        )
    licence = f'Licence: {spec.get("licence", "unknown")}.'
    if seen := spec.get('training_data'):
        licence += f' Training data: {seen}.'
    parts = [f'# {spec["name"]}', spec['description'], origin, licence]
    if config.get('notes'):
        parts += [str(config['notes']).strip()]
    parts += ['## Measured', MEASURED.strip(), figures(results, names)]
    if beside is not None:
        other = yaml.safe_load((beside / 'config.yaml').read_text())
        parts.append(f'Rows "of {beside.name}": {other["description"]}')
    if changed:
        parts += [
            '## Other cameras, other days',
            f'Evenly spread images of {next(iter(results))}, changed:',
            figures({row['change']: row for row in changed}, names),
        ]
    if run is not None:
        parts += [
            '## Config and log of the run',
            f'```yaml\n{(run / "config.yaml").read_text().strip()}\n```',
            f'```\n{thinned(run / "log.csv")}\n```',
        ]
    (engine / 'MODEL_CARD.md').write_text('\n\n'.join(parts) + '\n')


def figures(results: Results, names: Sequence[str]) -> str:
    """A Markdown table in per cent: a row for each result, a column for each class.

    Beyond IoU: the share of people found by their height, phantoms a picture, and lane recall
    (`seg_ros.commands.evaluate.label_figures`).
    """
    head = ['', 'images', 'network', 'mIoU', 'pixels', *names, *BEYOND]
    rows = [head, ['---'] * len(head)]
    for name, result in results.items():
        iou = result['iou']
        rows.append(
            [
                name,
                str(result['images']),
                'x'.join(str(v) for v in result['network_size']),
                f'{100 * result["miou"]:.2f}',
                f'{100 * result["pixel_accuracy"]:.2f}',
                *(f'{100 * iou[n]:.1f}' if n in iou else '' for n in names),
                *beyond(result),
            ]
        )
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def beyond(result: Mapping[str, Any]) -> list[str]:
    """The cells of `BEYOND`, empty where nothing was measured."""
    found = result.get('people_found', {})
    shares = (found.get('40_px_and_more'), found.get('20_to_40_px'))
    cells = ['' if share is None else f'{100 * share:.1f}' for share in shares]
    phantoms, recall = result.get('phantoms_per_picture'), result.get('lane_recall')
    cells.append('' if phantoms is None else f'{phantoms:.2f}')
    cells.append('' if recall is None else f'{100 * recall:.1f}')
    return cells


def thinned(log: Path) -> str:
    """The log's head, its end, and some rows between."""
    with log.open() as file:
        head, *rows = (','.join(row) for row in csv.reader(file))
    step = max(1, len(rows) // LOG_ROWS)
    return '\n'.join([head, *rows[step - 1 :: step], *([rows[-1]] if len(rows) % step else [])])
