# SPDX-License-Identifier: Apache-2.0
"""Camera sources: where images come from when there is no camera; one row per kind."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.types import LabelImage, RgbImage

__all__ = [
    'SOURCES',
    'ImageSource',
    'SourceFrame',
    'SourceOptions',
    'add_source_arguments',
    'open_source',
    'options_from_arguments',
    'words_from_options',
]


@dataclass(frozen=True)
class SourceFrame:
    """One picture of a source.

    Attributes:
        image: The picture; nobody else writes to it.
        stamp_ns: Time of the picture by the source's own clock; only differences mean something.
        label: The exact label image, where the source knows it.
    """

    image: RgbImage
    stamp_ns: int
    label: LabelImage | None = None


class ImageSource(Protocol):
    """Something that can be played as a camera.

    Attributes:
        name: What it is, for people: ``drive.mp4``.
        camera: The lens, None where nobody calibrated it.
        mount: Where the camera is on the vehicle, None where nobody measured it.
        class_names: Names of the ids in the exact labels; None where there are none.
    """

    name: str
    camera: CameraIntrinsics | None
    mount: Mount | None
    class_names: Mapping[int, str] | None

    def frames(self) -> Iterator[SourceFrame]:
        """Yields the pictures from the first to the last, each time anew."""
        ...


@dataclass(frozen=True)
class SourceOptions:
    """Which source, and how it is played.

    Attributes:
        kind: A row of ``SOURCES``.
        what: Scenario of the synthetic drive, else the path of the file or folder.
        topic: Image topic of a bag; empty takes the first camera.
        rate_hz: Frames a second; None leaves the source its own pace.
        seed: Seed of the synthetic drive; None leaves the scenario its own.
    """

    kind: str = 'scenario'
    what: str = 'city'
    topic: str = ''
    rate_hz: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.rate_hz is not None and not 0.01 <= self.rate_hz <= 1000.0:
            msg = f'--rate {self.rate_hz}: give a rate from 0.01 to 1000 frames a second.'
            raise ConfigurationError(msg)


class SourceRow(NamedTuple):
    """One kind of source.

    Attributes:
        metavar: What its option takes.
        module: Where what makes it is, imported only when it is asked for.
        function: What makes it, out of the options.
        help: For people.
    """

    metavar: str
    module: str
    function: str
    help: str


RECORDED = 'seg_ros.recordings.recorded_camera'
SOURCES = {
    'scenario': SourceRow(
        'NAME',
        'seg_ros.recordings.synthetic_drive',
        'open_scenario_source',
        'drive the synthetic road (default: city)',
    ),
    'video': SourceRow('FILE', RECORDED, 'open_video_source', 'play a video file'),
    'images': SourceRow(
        'FOLDER', RECORDED, 'open_folder_source', 'play a folder of images by name'
    ),
    'bag': SourceRow('PATH', RECORDED, 'open_bag_source', 'play the images of a ROS bag'),
}


def open_source(options: SourceOptions) -> ImageSource:
    """Returns the source that the options name, ready to be played.

    Raises:
        ConfigurationError: It is not there or cannot be played.
    """
    if options.kind != 'scenario' and not Path(options.what).exists():
        msg = f'--{options.kind} {options.what}: there is no such file or folder. Check the path.'
        raise ConfigurationError(msg)
    row = SOURCES[options.kind]
    source: ImageSource = getattr(importlib.import_module(row.module), row.function)(options)
    return source


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose a source; ``options_from_arguments`` reads them."""
    group = parser.add_argument_group('what the camera sees (one of)')
    kinds = group.add_mutually_exclusive_group()
    for kind, row in SOURCES.items():
        kinds.add_argument(f'--{kind}', metavar=row.metavar, help=row.help)
    more = parser.add_argument_group('how it is played')
    more.add_argument(
        '--topic', default='', help='image topic of the bag (default: the first camera)'
    )
    more.add_argument(
        '--rate', type=float, metavar='HZ', help="frames a second (default: the source's own pace)"
    )
    more.add_argument('--seed', type=int, help='seed of the synthetic drive')


def options_from_arguments(arguments: argparse.Namespace) -> SourceOptions:
    """Returns what was asked for on the command line."""
    chosen = {kind: what for kind in SOURCES if (what := getattr(arguments, kind)) is not None}
    kind, what = next(iter(chosen.items()), (SourceOptions.kind, SourceOptions.what))
    return SourceOptions(kind, what, arguments.topic, arguments.rate, arguments.seed)


def words_from_options(options: SourceOptions) -> list[str]:
    """Returns the command line of the options, for another process."""
    words = [f'--{options.kind}', options.what]
    if options.topic:
        words += ['--topic', options.topic]
    if options.rate_hz is not None:
        words += ['--rate', str(options.rate_hz)]
    if options.seed is not None:
        words += ['--seed', str(options.seed)]
    return words
