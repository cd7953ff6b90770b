# SPDX-License-Identifier: Apache-2.0
"""``seg_ros report``: what happened on a drive, as a page, a picture and JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2

from seg_ros.core.errors import ConfigurationError
from seg_ros.report.build import comparison_report, drive_report
from seg_ros.report.drive import read_drive
from seg_ros.report.page import page_html
from seg_ros.report.page_picture import page_picture

__all__ = ['add_arguments', 'main']

PER_FRAME = ('timeline', 'by_frame')  # ten times as much as all the figures: a file of its own


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
    drive = read_drive(arguments.bag, arguments.camera)
    if arguments.other is None:
        page, data = drive_report(drive)
    else:
        page, data = comparison_report(drive, read_drive(arguments.other, arguments.camera))
    figures = {name: value for name, value in data.items() if name not in PER_FRAME}
    frames = {name: value for name, value in data.items() if name in PER_FRAME}
    folder: Path = arguments.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'report.html').write_text(page_html(page), encoding='utf-8')
        for name, content in (('report.json', figures), ('frames.json', frames)):
            (folder / name).write_text(json.dumps(content, allow_nan=False), encoding='utf-8')
        picture = cv2.cvtColor(page_picture(page), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / 'report.png'), picture)
    except OSError as error:
        msg = f'-o {folder}: the report cannot be written ({error}). Name another folder.'
        raise ConfigurationError(msg) from error
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        print(f'{page.verdict.text}\nLook at {folder / "report.html"}.')
    return 0
