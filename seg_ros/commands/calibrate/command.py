# SPDX-License-Identifier: Apache-2.0
"""``seg_ros calibrate``: how a camera is mounted, from the lane markings that it sees.

Pitch, yaw and roll come from where parallel lines meet (``core/geometry/vanishing_point.py``). The
height is measured by the user: nothing in a picture tells it, but the width of a lane or the
height of people can contradict it.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.calibrate.findings import Findings, people_in_heights
from seg_ros.commands.calibrate.focal import lens_by_sight
from seg_ros.commands.calibrate.picture import mounting_picture
from seg_ros.commands.calibrate.pictures import Pictures, pictures_of
from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.geometry.vanishing_point import (
    Lines,
    estimate_mounting,
    lines_of,
    own_lane,
)
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.types import RgbImage
from seg_ros.files import write_whole
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import engine_search_path, load_engine
from seg_ros.inference.registry import create_backend

__all__ = ['add_arguments', 'calibrate', 'main']

DEFAULT_PICTURES = 150
DEFAULT_SECONDS = 30.0
JPEG_QUALITY = 90


class Seen(NamedTuple):
    """What a network says of one picture.

    Attributes:
        lines: Of the lane markings.
        paint: ``(H, W)`` not 0 where they are.
        people: The same of people.
    """

    lines: Lines
    paint: NDArray[np.uint8]
    people: NDArray[np.uint8]


class Telling(NamedTuple):
    """A picture that tells much.

    Attributes:
        image: As it came.
        paint: ``(H, W)`` not 0 where lane markings are, at the network's size.
        own_lane_m: How far left its two lines are; none where they were not seen.
    """

    image: RgbImage
    paint: NDArray[np.uint8]
    own_lane_m: tuple[float, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'what', metavar='CAMERA|BAG|VIDEO', help='an image topic, a bag, a video or a folder'
    )
    parser.add_argument(
        '--height', type=float, required=True, metavar='M', help='of the lens above the ground'
    )
    parser.add_argument('--fov', type=float, metavar='DEG', help='field of view across')
    parser.add_argument(
        '--camera', type=Path, metavar='FILE', help='calibration as camera_calibration writes it'
    )
    parser.add_argument(
        '--lane-width', type=float, metavar='M', help='between the middles of two lines, if known'
    )
    parser.add_argument('--topic', default='', help='image topic of a bag (default: the first)')
    parser.add_argument(
        '--odometry', default='', metavar='TOPIC',
        help='of a bag without CameraInfo: tells the focal length against dashes',
    )  # fmt: skip
    parser.add_argument(
        '--pictures', type=int, default=DEFAULT_PICTURES, metavar='N',
        help=f'at most ({DEFAULT_PICTURES}), spread over a recording',
    )  # fmt: skip
    parser.add_argument(
        '--seconds', type=float, default=DEFAULT_SECONDS, metavar='S',
        help=f'how long a camera is listened to ({DEFAULT_SECONDS:g})',
    )  # fmt: skip
    parser.add_argument('--engine', default=NodeConfig().engine, metavar='NAME', help='engine')
    parser.add_argument('--backend', default='auto', metavar='NAME', help='backend (auto)')
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('out/calibrate'), help='folder (out/calibrate)'
    )


def main(arguments: argparse.Namespace) -> int:
    """Writes mount.yaml and mount.jpg; returns 1 where what the user says contradicts itself."""
    _check(arguments)
    engine = load_engine(arguments.engine, engine_search_path())
    if not engine.label_map.role_mask_lut('lane').any():
        raise ConfigurationError(
            f'Engine {engine.name} has no class with the role lane, so that it sees no line. Take '
            'another with --engine.'
        )
    with Progress(sys.stderr) as progress:
        progress.show(f'Reading {arguments.what}')
        pictures = pictures_of(arguments, progress)
        backend = create_backend(arguments.backend, engine).backend
        try:
            calibration = calibrate(
                pictures, backend, arguments.height, arguments.lane_width, progress
            )
        finally:
            backend.close()
    findings, best = calibration
    folder: Path = arguments.output
    camera = Camera(findings.lens.intrinsics, findings.mount)
    drawn = mounting_picture(best.image, best.paint, camera, best.own_lane_m)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f'-o {folder}: it cannot be written ({error}). Name another folder.'
        raise ConfigurationError(msg) from error
    write_whole(folder / 'mount.yaml', findings.params_file())
    write_whole(folder / 'camera.yaml', findings.camera_file())
    bgr = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    write_whole(folder / 'mount.jpg', data.tobytes())
    print('\n'.join(findings.sentences()))
    print(
        f'Look at {folder / "mount.jpg"}: do horizon and lines at 5, 10 and 20 m lie where they '
        f'belong? Then: seg_ros run --ros-args --params-file {folder / "mount.yaml"}\n'
        'A recording without CameraInfo: seg_ros replay RECORDING -o BAG --overlay VIDEO --camera '
        f'{folder / "camera.yaml"} --params {folder / "mount.yaml"}'
    )
    return int(findings.is_contradicted)


def calibrate(
    pictures: Pictures,
    backend: InferenceBackend,
    height_m: float,
    lane_width_m: float | None,
    progress: Progress,
) -> tuple[Findings, Telling]:
    """Returns what was found, and the picture that shows most lines.

    Raises:
        ConfigurationError: Too few pictures show where lines meet.
    """
    lut = backend.engine.label_map.role_mask_lut
    lens = pictures.lens.intrinsics.scaled(backend.engine.network_size_wh)
    eye = EvaluatedCamera(backend, NodeConfig())
    seen: list[Seen] = []
    for number, image in enumerate(pictures.images):
        progress.show(f'{number} of {len(pictures.images)} pictures')
        labels = eye.see(image, 0, ()).view.labels
        paint = cv2.LUT(labels, lut('lane'))
        people = cv2.LUT(labels, lut('pedestrian'))
        seen.append(Seen(lines_of(paint, lens), paint, people))
    found = estimate_mounting([row.lines for row in seen])
    if found is not None and not pictures.lens.is_known:
        progress.show('Looking for the focal length')
        by_sight = lens_by_sight(pictures, [row.paint for row in seen], found, height_m)
        if by_sight is not None:
            pictures = pictures._replace(lens=by_sight)
            lens = by_sight.intrinsics.scaled(backend.engine.network_size_wh)
            seen = [row._replace(lines=lines_of(row.paint, lens)) for row in seen]
            found = estimate_mounting([row.lines for row in seen])
    if found is None:
        raise ConfigurationError(
            f'Too few of {len(seen)} pictures of {pictures.name} show two or more painted lines '
            'that meet. Drive along a straight road with lane markings, in daylight, or name an '
            'engine that sees them (--engine).'
        )
    camera = Camera(lens, found.mount(1.0))
    people_heights = [value for row in seen for value in people_in_heights(row.people, camera)]
    best = max(range(len(seen)), key=lambda index: float(seen[index].lines.weight.sum()))
    findings = Findings(
        found,
        pictures.lens,
        height_m,
        lane_width_m,
        people_heights,
        pictures.name,
        len(pictures.images),
    )
    pair = own_lane(seen[best].lines, found.vanishing_point, found.roll_rad) or ()
    lane_m = tuple(height_m * side for side in pair)
    return findings, Telling(pictures.images[best], seen[best].paint, lane_m)


def _check(arguments: argparse.Namespace) -> None:
    for name, low, high in (
        ('height', 0.03, 12.0),
        ('fov', 5.0, 175.0),
        ('lane_width', 0.3, 20.0),
        ('pictures', 8, 10_000),
        ('seconds', 1.0, 3600.0),
    ):
        value = getattr(arguments, name)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            option = name.replace('_', '-')
            raise ConfigurationError(f'--{option} {value:g}: give {low:g} to {high:g}.')
