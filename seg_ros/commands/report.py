# SPDX-License-Identifier: Apache-2.0
"""``seg_ros report``: what happened on a drive, as a page, a picture and JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.shared.output_folder import claim
from seg_ros.commands.shared.patience import Patience
from seg_ros.files import write_whole
from seg_ros.pictures.picture_file import write_picture
from seg_ros.report.build import comparison_report, drive_report
from seg_ros.report.drive import read_drive
from seg_ros.report.page import Page, page_html
from seg_ros.report.page_picture import page_picture

__all__ = ['add_arguments', 'main']

PER_FRAME = ('timeline', 'by_frame')  # ten times as much as all the figures: a file of its own
WRITTEN = ('report.html', 'report.json', 'frames.json', 'report.png')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('bag', type=Path, metavar='BAG', help="a bag with the node's topics")
    parser.add_argument(
        'other', type=Path, nargs='?', metavar='OTHER',
        help='another run over the same recording: report what changed from BAG to OTHER',
    )  # fmt: skip
    parser.add_argument('--camera', default='', metavar='NAME', help='which one of several')
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('out/report'), help='folder (out/report)'
    )
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Writes report.html, .png and .json, and frames.json; returns the exit code."""
    with Patience(sys.stderr) as patience:
        page, data, picture = _made(arguments, patience.show)
    for sentence in data['notes']:
        print(sentence, file=sys.stderr)
    figures = {name: value for name, value in data.items() if name not in PER_FRAME}
    frames = {name: value for name, value in data.items() if name in PER_FRAME}
    folder: Path = arguments.output
    claim(folder, 'report', WRITTEN)
    write_whole(folder / 'report.html', page_html(page))
    for name, content in (('report.json', figures), ('frames.json', frames)):
        write_whole(folder / name, json.dumps(content, allow_nan=False))
    write_picture(folder / 'report.png', picture)
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        print(f'{page.verdict.text}\nLook at {folder / "report.html"}.')
    return 0


def _made(
    arguments: argparse.Namespace, show: Callable[[str], object]
) -> tuple[Page, dict[str, Any], NDArray[np.uint8]]:
    """Returns the page, its figures and its picture."""
    show(f'Reading {arguments.bag}')
    drive = read_drive(arguments.bag, arguments.camera)
    notes = drive.notes
    if arguments.other is None:
        show('Looking at the drive')
        page, data = drive_report(drive)
    else:
        show(f'Reading {arguments.other}')
        other = read_drive(arguments.other, arguments.camera)
        notes = [*notes, *other.notes]
        page, data = comparison_report(drive, other)
    show('Drawing its picture')
    return page, {**data, 'notes': notes}, page_picture(page)
