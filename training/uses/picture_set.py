# SPDX-License-Identifier: Apache-2.0
"""Folders of pictures and masks as training and `seg_ros evaluate` read them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

__all__ = [
    'messages_of',
    'new_folder',
    'parsers',
    'print_figures',
    'write_mask',
    'write_picture',
]


def parsers(
    title: str, judged: str = ''
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Returns the parser of a use's command line, and that of its word `render`.

    Args:
        title: What the use is.
        judged: What its word `judge` prints of a bag; without it there is no such word.
    """
    parser = argparse.ArgumentParser(description=title)
    words = parser.add_subparsers(dest='word', required=True)
    drawing = words.add_parser('render', help='write pictures and masks')
    drawing.add_argument('folder', type=Path)
    drawing.add_argument('--pictures', type=int, default=240, help='to train on (240)')
    drawing.add_argument('--seed', type=int, default=1)
    if judged:
        judging = words.add_parser('judge', help=judged)
        judging.add_argument('folder', type=Path)
        judging.add_argument('bag', type=Path)
    return parser, drawing


def new_folder(path: Path) -> Path:
    """Makes a folder that does not exist yet, so that nobody's files are mixed with ours."""
    if path.exists():
        sys.exit(f'{path} is there already: name a new folder, or remove it.')
    path.mkdir(parents=True)
    return path


def write_picture(folder: Path, name: str, picture: NDArray[Any]) -> None:
    """Writes ``images/NAME.png``: RGB of 8 bits, or one channel of 8 or 16 bits."""
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    stored = picture[..., ::-1] if picture.ndim == 3 else picture
    cv2.imwrite(str(folder / 'images' / f'{name}.png'), stored)


def write_mask(folder: Path, name: str, labels: NDArray[np.uint8]) -> None:
    """Writes ``masks/NAME.png``: a class id a pixel."""
    (folder / 'masks').mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / 'masks' / f'{name}.png'), labels)


def messages_of(bag: Path, topic: str) -> Iterator[tuple[float, Any]]:
    """Yields (seconds since the begin of the bag, message) of a topic.

    Raises:
        SystemExit: The bag has no such topic.
    """
    types = get_typestore(Stores.ROS2_JAZZY)
    with AnyReader([bag], default_typestore=types) as reader:
        rows = [row for row in reader.connections if row.topic == topic]
        if not rows:
            sys.exit(f'{bag} has no {topic}; its topics are {", ".join(sorted(reader.topics))}.')
        for row, at_ns, raw in reader.messages(rows):
            yield (at_ns - reader.start_time) * 1e-9, reader.deserialize(raw, row.msgtype)


def print_figures(figures: dict[str, Any]) -> None:
    """Prints figures as one line of JSON."""
    print(json.dumps(figures))
