# SPDX-License-Identifier: Apache-2.0
"""``seg_ros calibrate-engine``: measures which pictures an engine knows.

    seg_ros calibrate-engine roadseg --dataset camvid --dataset bdd100k

Takes clean pictures of as many cameras as there are, and writes their statistics (``domain``) into
the engine's ``spec.yaml``; the stop refuses pictures that are unlike them (``out_of_domain``). The
limit is what pictures of cameras keep that were left out in turn, so that a new camera is not
refused for being new.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.sight.pictures import clean_pictures
from seg_ros.commands.shared.numbers import zero_or_more
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.picture_statistics import STATISTICS, StatisticsOfPictures
from seg_ros.core.types import RgbImage
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import BACKENDS, create_backend
from seg_ros.inference.spec import SPEC_FILE
from seg_ros.sim import SURROUNDINGS, WEATHERS, SceneConfig, World

__all__ = ['add_arguments', 'distances_left_out', 'main', 'measured_domain', 'with_domain']

Float64Array = NDArray[np.float64]
KEY = 'domain:'
# Fewer pictures than statistics say nothing of how these go together
LEAST_PICTURES = 2 * len(STATISTICS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument('engine', help='name or folder of an engine')
    parser.add_argument(
        '--dataset', type=Path, action='append', required=True, metavar='FOLDER',
        help='clean pictures of one or more cameras; may be given several times',
    )  # fmt: skip
    parser.add_argument(
        '--pictures', type=int, default=80, metavar='N', help='at most so many of each folder'
    )
    parser.add_argument(
        '--simulated', type=int, default=120, metavar='N',
        help='pictures of the simulator, in every weather, so that its demo is known as well',
    )  # fmt: skip
    parser.add_argument(
        '--refused', type=float, default=0.01, metavar='SHARE',
        help='of the pictures of cameras that were left out (default: 0.01)',
    )  # fmt: skip
    parser.add_argument('--backend', choices=['auto', *BACKENDS], default='auto')
    parser.add_argument('--threads', type=zero_or_more, default=0, help='0: one per free core')
    parser.add_argument('--dry-run', action='store_true', help='measure, and write nothing')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Measures and writes; returns the exit code."""
    engine = load_engine(arguments.engine)
    pictures = [
        picture for folder in arguments.dataset
        for picture in clean_pictures(folder, arguments.pictures)
    ]  # fmt: skip
    count = len(pictures) + arguments.simulated
    if count < LEAST_PICTURES:
        raise ConfigurationError(
            f'{count} pictures are too few for {len(STATISTICS)} statistics. Give at least '
            f'{LEAST_PICTURES}, of several cameras.'
        )
    backend = create_backend(arguments.backend, engine, threads=arguments.threads).backend
    images = itertools.chain(
        ((picture.camera, picture.rgb()) for picture in pictures),
        simulated_pictures(arguments.simulated),
    )
    with contextlib.closing(backend):
        cameras, values = statistics_of(backend, images, count)
    domain = measured_domain(engine.network_size_wh, values, cameras, arguments.refused)
    figures = {
        'pictures': count,
        'cameras': len(set(cameras)),
        'limit': round(domain.limit, 3),
        'refused': round(
            float(np.mean([domain.distance(row) > domain.limit for row in values])), 4
        ),
        'refused_left_out': arguments.refused,
    }
    if not arguments.dry_run:
        path = engine.folder / SPEC_FILE
        path.write_text(with_domain(path.read_text(encoding='utf-8'), domain), encoding='utf-8')
        figures['written'] = str(path)
    print(json.dumps(figures) if arguments.json else yaml.safe_dump(figures, sort_keys=False))
    return 0


def statistics_of(
    backend: InferenceBackend, images: Iterable[tuple[str, RgbImage]], count: int
) -> tuple[list[str], Float64Array]:
    """Returns the camera of each image, and ``(N, K)`` their statistics."""
    seen_by = EvaluatedCamera(backend, NodeConfig())
    take = StatisticsOfPictures(backend.engine.label_map)
    cameras, rows = [], []
    with Progress(sys.stderr) as progress:
        for index, (camera, image) in enumerate(images):
            progress.show(f'{index} of {count} pictures')
            cameras.append(camera)
            rows.append(take.of(seen_by.see(image, index + 1, {'stop'}).view).values)
    return cameras, np.array(rows)


def simulated_pictures(count: int) -> Iterator[tuple[str, RgbImage]]:
    """Yields so many pictures of drives through every weather, with a camera for each."""
    for place, weather in enumerate(WEATHERS):
        wanted = count * (place + 1) // len(WEATHERS) - count * place // len(WEATHERS)
        surroundings = SURROUNDINGS[place % len(SURROUNDINGS)]
        # Two seconds from picture to picture, so that no two show the same
        world = World(
            SceneConfig(seed=place, weather=weather, surroundings=surroundings, rate_hz=0.5)
        )
        for _ in range(wanted):
            yield f'simulated/{weather}', world.render().image


def measured_domain(
    size_wh: tuple[int, int], values: Float64Array, cameras: list[str], refused: float
) -> Domain:
    """Returns the domain of pictures, with the limit that refuses a share of those left out."""
    whole = Domain.fitted(size_wh, values, cameras)
    limit = float(np.quantile(distances_left_out(size_wh, values, cameras), 1.0 - refused))
    return Domain(size_wh, whole.mean, whole.deviation, whole.correlation, limit)


def distances_left_out(
    size_wh: tuple[int, int], values: Float64Array, cameras: list[str]
) -> Float64Array:
    """Returns ``(N,)`` how unlike the pictures of all other cameras each picture is."""
    names = np.array(cameras)
    distances = np.empty(len(values))
    for camera in set(cameras):
        is_out = names == camera
        if is_out.all():
            raise ConfigurationError(
                f'All pictures are of one camera, {camera}. Give pictures of another one as well.'
            )
        others = Domain.fitted(size_wh, values[~is_out], names[~is_out].tolist())
        distances[is_out] = [others.distance(row) for row in values[is_out]]
    return distances


def with_domain(spec: str, domain: Domain) -> str:
    """Returns the text of a spec with this domain, all else as it was."""
    kept: list[str] = []
    is_old = False
    for line in spec.splitlines():
        if line and not line[0].isspace() and not line.startswith('-'):
            is_old = line.startswith(KEY)
        if not is_old:
            kept.append(line)
    block = yaml.safe_dump(
        {'domain': domain.to_spec()}, default_flow_style=None, width=130, sort_keys=False
    )
    return '\n'.join(kept).rstrip('\n') + '\n' + block
