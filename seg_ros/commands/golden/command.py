# SPDX-License-Identifier: Apache-2.0
"""``seg_ros golden``: replays three simulated drives and compares with what is expected.

The drives are made anew, by their seeds; their figures are in ``test/golden_drives.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seg_ros.commands.golden.drives import (
    GOLDEN_DRIVES,
    GoldenDrive,
    config_for,
    write_drive,
)
from seg_ros.commands.golden.scores import METRICS, comparisons, scores_of
from seg_ros.commands.shared.numbers import positive
from seg_ros.commands.shared.output_folder import claim, clear
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.files import read_text, write_whole
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import replay
from seg_ros.report.build import drive_report
from seg_ros.report.drive import read_drive
from seg_ros.report.page import page_html

__all__ = ['EXPECTATIONS', 'add_arguments', 'main']

EXPECTATIONS = Path(__file__).parents[3] / 'test/golden_drives.json'
LARGEST = 16 << 20  # bytes of what is expected
BACKEND = 'onnxruntime'  # fp32: the same figures on every machine
WRITTEN = (
    'recording',
    'recording.partial',
    'replayed',
    'replayed.partial',
    'truth.json',
    'report.html',
)

Scores = Mapping[str, Mapping[str, float | None]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--engine', default=NodeConfig().engine, metavar='NAME', help='engine (roadseg)'
    )
    parser.add_argument(
        '--drives', nargs='+', choices=GOLDEN_DRIVES, default=list(GOLDEN_DRIVES),
        help='these only',
    )  # fmt: skip
    parser.add_argument(
        '--seconds', type=positive, metavar='S', help='of each drive, at most (all of it)'
    )
    parser.add_argument(
        '--expect', type=Path, default=EXPECTATIONS, metavar='FILE',
        help='what is expected (test/golden_drives.json)',
    )  # fmt: skip
    parser.add_argument(
        '--update', action='store_true', help='show what moved, and expect it from now on'
    )
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('out/golden'), help='folder (out/golden)'
    )


def main(arguments: argparse.Namespace) -> int:
    """Returns 1 when anything is worse than expected."""
    known = _read(arguments.expect)
    expected: Scores = known.get(arguments.engine, {})
    found: dict[str, dict[str, float | None]] = {}
    with Progress(sys.stderr) as progress:
        for name in arguments.drives:
            found[name] = _score(name, arguments, progress)
    worse = _show(found, expected, as_json=arguments.json)
    if arguments.update:
        known[arguments.engine] = {**expected, **found}
        text = json.dumps(known, indent=2, sort_keys=True) + '\n'
        write_whole(arguments.expect, text)
        print(f'{arguments.expect} expects this now.', file=sys.stderr)
        return 0
    if worse:
        print(
            f'{worse} figures are worse than expected. Look at {arguments.output}/*/report.html. '
            'If it is meant so: UPDATE=1 make replay.',
            file=sys.stderr,
        )
    return int(worse > 0)


def _score(
    name: str, arguments: argparse.Namespace, progress: Progress
) -> dict[str, float | None]:
    """Makes, replays and judges one drive."""
    golden = GOLDEN_DRIVES[name]
    if arguments.seconds is not None:
        golden = GoldenDrive(golden.scene, min(golden.seconds, arguments.seconds))
    folder: Path = arguments.output / name
    config = config_for(golden, arguments.engine, BACKEND)
    claim(folder, 'golden', WRITTEN)
    clear(folder, WRITTEN)
    truths = write_drive(
        folder, golden, config.stop, lambda share: progress.show(f'{name}: driving {share:4.0%}')
    )
    output = folder / 'replayed'
    job = ReplayJob(source=folder / 'recording', output=output, config=config)
    replay(job, lambda state: progress.show(f'{name}: replaying {state.share:4.0%}'))
    drive = read_drive(output)
    page, _ = drive_report(drive)
    write_whole(folder / 'report.html', page_html(page))
    return scores_of(drive, truths, folder / 'recording', config.stop)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(read_text(path, LARGEST))
    except ValueError as error:
        msg = f'{path} was to be read as JSON, but: {error}. Make it anew: UPDATE=1 make replay.'
        raise ConfigurationError(msg) from error
    return found


def _show(found: Scores, expected: Scores, *, as_json: bool) -> int:
    """Prints every figure beside what was expected; returns how many are worse, or unknown."""
    rows = {name: comparisons(found[name], expected.get(name, {})) for name in found}
    if as_json:
        print(json.dumps({name: [row._asdict() for row in part] for name, part in rows.items()}))
    else:
        width = max(map(len, METRICS))
        for name, part in rows.items():
            print(f'\n{name:{width}}   expected      found  tolerance')
            for row in part:
                numbers = f'{_text(row.expected)} {_text(row.found)} {_text(row.tolerance)}'
                print(f'{row.metric:{width}} {numbers}  {row.verdict}')
    return sum(row.verdict in ('worse', 'new') for part in rows.values() for row in part)


def _text(value: float | None) -> str:
    return f'{"-" if value is None else f"{value:g}":>10}'
