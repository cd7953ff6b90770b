# SPDX-License-Identifier: Apache-2.0
"""``seg_ros sample``: a drive of five seconds as a bag, for ``play``, ``replay`` and ``report``.

Somebody crosses in the middle of it. Rendered and labelled here, so that it shows what this
version says, and nobody's pictures are passed on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from seg_ros.commands.golden.drives import SAMPLE_DRIVE, config_for, write_drive
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import replay

__all__ = ['add_arguments', 'main']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('out/sample'), help='new bag (out/sample)'
    )
    parser.add_argument(
        '--engine', default=NodeConfig().engine, metavar='NAME', help="engine (the node's)"
    )
    parser.add_argument('--backend', default='auto', metavar='NAME', help='backend (auto)')


def main(arguments: argparse.Namespace) -> int:
    """Drives, labels, and says what to do with the bag."""
    folder: Path = arguments.output
    if folder.exists():
        raise ConfigurationError(f'{folder} is there already. Remove it, or name another with -o.')
    config = config_for(SAMPLE_DRIVE, arguments.engine, arguments.backend)
    with tempfile.TemporaryDirectory() as made, Progress(sys.stderr) as progress:
        write_drive(
            Path(made),
            SAMPLE_DRIVE,
            config.stop,
            lambda share: progress.show(f'Driving {share:4.0%}'),
        )
        job = ReplayJob(source=Path(made) / 'recording', output=folder, config=config)
        replay(job, lambda state: progress.show(f'Labelling {state.share:4.0%}'))
    (bag,) = folder.glob('*.mcap')
    print(
        f'{bag}: {SAMPLE_DRIVE.seconds:g} s, {bag.stat().st_size / 1e6:.1f} MB. Then:\n'
        f'  seg_ros report {folder}          a page: out/report/report.html\n'
        f'  seg_ros play {folder} --loop     on the graph; seg_ros view shows it\n'
        f'  seg_ros replay {folder} -o out/again -p stop.hold_s:=2.0'
    )
    return 0
