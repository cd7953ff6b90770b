# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/engines.md: what each engine finds, and how fast it is on which CPU.

    python -m training.engine_table [--tuned out/tune/*.json] [--write]

What they find is in `spec.yaml` (`training.evaluate … --write`). How fast they are, `seg_ros tune
NAME --json` measures; each of its tables takes the place of the row of that CPU, engine and number
of cores, and rows of other CPUs stay as the page has them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml

from training.compare import per_cent, table, write_between
from training.quantize import unpack_half

__all__ = ['gigamacs', 'speed_table', 'table_of_engines']

PAGE = Path('docs/engines.md')
ENGINES = Path('engines')
FINDS, SPEED = 'training.engine_table', 'training.engine_table of the speed'
TEST, SELECTED_ON = 'camvid-test', 'cityscapes-val'
PERSON_M = 1.7
FOCAL_PX = 533  # 62 degrees across 640 columns
WAYS = (  # columns of the speed
    ('onnxruntime', 'fp32'), ('onnxruntime', 'int8'),
    ('openvino', 'fp32'), ('openvino', 'bf16'), ('openvino', 'int8'),
)  # fmt: skip


def gigamacs(path: Path) -> float:
    """Multiply-adds of a graph's convolutions for one picture, in thousand millions."""
    model = onnx.load(path)
    unpack_half(model)
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    }
    weights = {tensor.name: tensor.dims for tensor in inferred.graph.initializer}
    for node in inferred.graph.node:
        if node.op_type == 'Identity' and node.input[0] in weights:  # equal tensors are kept once
            weights[node.output[0]] = weights[node.input[0]]
    return (
        sum(
            float(np.prod(shapes[node.output[0]][1:])) * float(np.prod(weights[node.input[1]][1:]))
            for node in inferred.graph.node
            if node.op_type == 'Conv'
        )
        / 1e9
    )


def table_of_engines(folders: Iterable[Path]) -> str:
    """A row for each engine that was measured on both sets."""
    near, far = (PERSON_M * FOCAL_PX / rows for rows in (40, 20))
    head = [
        'engine', 'multiply-adds, file', 'CamVid: mIoU, pedestrian, lane',
        'cityscapes-val: mIoU, pedestrian, pavement, cyclist',
        f'people found there up to {near:.0f} m (≥ 40 px)',
        f'{near:.0f} to {far:.0f} m (20 to 40 px)',
        'phantoms a picture',
    ]  # fmt: skip
    rows = []
    for folder in folders:
        metrics = yaml.safe_load((folder / 'spec.yaml').read_text())['metrics']
        if not {TEST, SELECTED_ON} <= metrics.keys():
            continue
        test, chosen = metrics[TEST], metrics[SELECTED_ON]
        megabytes = (folder / 'model.onnx').stat().st_size / 1e6
        rows.append(
            [
                f'`{folder.name}`',
                f'{gigamacs(folder / "model.onnx"):.1f} G, {megabytes:.1f} MB',
                _ious(test, 'pedestrian', 'lane_marking'),
                _ious(chosen, 'pedestrian', 'pavement', 'cyclist'),
                f'{per_cent(chosen["people_found"]["40_px_and_more"])} %',
                f'{per_cent(chosen["people_found"]["20_to_40_px"])} %',
                f'{chosen["phantoms_per_picture"]:.2f}',
            ]
        )
    return table(head, rows)


def _ious(metrics: Mapping[str, Any], *names: str) -> str:
    return ', '.join(per_cent(v) for v in (metrics['miou'], *(metrics['iou'][n] for n in names)))


def speed_table(tuned: Sequence[Mapping[str, Any]], before: str) -> str:
    """Pictures a second of each way through an engine, with the number of threads that is best.

    Args:
        tuned: What `seg_ros tune --json` printed.
        before: The table as it stands.
    """
    head = ['CPU, cores', 'engine', *(' '.join(way) for way in WAYS), '`auto` takes']
    rows = dict(_rows_of(before, len(head)))
    for one in tuned:
        row = _speed_row(one)
        rows[row[0], row[1]] = row
    return table(head, [rows[key] for key in sorted(rows)])


def _rows_of(text: str, columns: int) -> Iterable[tuple[tuple[str, str], list[str]]]:
    for line in text.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
        if len(cells) == columns:
            yield (cells[0], cells[1]), cells


def _speed_row(one: Mapping[str, Any]) -> list[str]:
    key = one['key']
    cells = []
    for backend, precision in WAYS:
        times = {
            row['candidate']['threads']: row['median_ms']
            for row in one['rows']
            if (row['candidate']['backend'], row['candidate']['precision']) == (backend, precision)
            and row['median_ms']
        }
        best = min(times, key=lambda threads: times[threads], default=0)
        cells.append(f'{1e3 / times[best]:.0f} ({best})' if best else '')
    taken = one['chosen']
    chosen = f'{taken["backend"]} {taken["precision"]}, {taken["threads"]}' if taken else ''
    return [f'{key["cpu"]}, {key["cores"]}', f'`{one["engine"]}`', *cells, chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--tuned', type=Path, nargs='*', default=[], help='what `seg_ros tune NAME --json` printed'
    )
    parser.add_argument('--write', action='store_true', help=f'into {PAGE}')
    arguments = parser.parse_args()
    page = PAGE.read_text()
    begin, end = f'<!-- {SPEED} begins -->', f'<!-- {SPEED} ends -->'
    before = page.partition(begin)[2].partition(end)[0].strip()
    found = table_of_engines(sorted(path.parent for path in ENGINES.glob('*/spec.yaml')))
    speed = speed_table([json.loads(path.read_text()) for path in arguments.tuned], before)
    print(found, speed, sep='\n\n')
    if arguments.write:
        write_between(PAGE, found, FINDS)
        write_between(PAGE, speed, SPEED)


if __name__ == '__main__':
    main()
