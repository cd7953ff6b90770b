# SPDX-License-Identifier: Apache-2.0
"""``seg_ros calibrate-engine``: measures by what an engine's pictures are told from blind ones.

    seg_ros calibrate-engine roadseg --dataset camvid/train --dataset bdd100k

Takes clean pictures of as many cameras as there are, spoils them in every way that
``evaluate --task sight`` knows, and writes what tells the ones from the others (``domain``) into
the engine's ``spec.yaml``; the stop refuses pictures that are like the spoilt ones
(``out_of_domain``). The limits are what pictures of data sets keep that were left out in turn, so
that a new camera is not refused for being new. What would stay clear in a data set, or of a family
of blindness, that was left out is told as well. An engine that was trained on the simulator alone
is measured with that alone: each weather is a data set of its own.

    seg_ros calibrate-engine roadsynth --simulated 300
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.sight.blindness import FAMILIES
from seg_ros.commands.evaluate.sight.clips import HARD, HARD_NS, hard_clip
from seg_ros.commands.evaluate.sight.pictures import clean_pictures
from seg_ros.commands.evaluate.sight.task import REASONS_OF_SIGHT, wilson
from seg_ros.commands.shared.numbers import zero_or_more
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.picture_sight import nothing_shown
from seg_ros.core.stop.picture_statistics import STATISTICS, StatisticsOfPictures
from seg_ros.core.types import RgbImage
from seg_ros.files import write_whole
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import BACKENDS, create_backend
from seg_ros.inference.spec import SPEC_FILE
from seg_ros.sim import SURROUNDINGS, WEATHERS, SceneConfig, World

__all__ = ['ELSEWHERE', 'Measured', 'add_arguments', 'figures_of', 'main', 'measured_domain',
           'with_domain']  # fmt: skip

Float64Array = NDArray[np.float64]
KEY = 'domain:'
# Fewer pictures than statistics say nothing of how these go together
LEAST_PICTURES = 2 * len(STATISTICS)
ELSEWHERE = 'another place'
SIMULATED = 'simulated'
SIMULATED_STEPS, SIMULATED_STEP_S = 8, 0.25  # from picture to picture, so that no two are alike
# Of what may be refused of data sets left out; the rest of it is for the other checks
OF_DOMAIN = 0.8
# Beyond the most of a known clean picture: it is a little different in another precision
KNOWN_SLACK = 1.05
# Frames of a clip in stop.stale_timeout_s of 0.5 s before one
BRIDGED = 500_000_000 // (HARD_NS[1] - HARD_NS[0])
SEED = 14


class Measured(NamedTuple):
    """Statistics of a picture, and what it is.

    Attributes:
        values: ``(K,)``.
        dataset: Where it is from: what is left out in turn.
        camera: Of which camera.
        kind: Of what kind of blindness; empty of a clean picture.
        family: The family of this kind.
        is_refused: Whether the stop refuses it for another reason of sight than the domain; a
            frame of a clip if it refuses those just before as well (see ``_Shown``).
        is_ground: Whether its zone is ground by its own labels, as far as it has some.
    """

    values: Float64Array
    dataset: str
    camera: str
    kind: str = ''
    family: str = ''
    is_refused: bool = False
    is_ground: bool = True


class _Scene(NamedTuple):
    """A clean picture, read when it is needed."""

    rgb: Callable[[], RgbImage]
    dataset: str
    camera: str
    is_ground: bool = True


class _Shown(NamedTuple):
    """A picture to be measured, and what it is (see ``Measured``).

    Attributes:
        before: The frames of its clip in ``stop.stale_timeout_s`` before it. What was seen in one
            of them is still believed: a step of the exposure, at the exit of a tunnel, is no stop.
    """

    image: RgbImage
    dataset: str
    camera: str
    kind: str = ''
    family: str = ''
    is_ground: bool = True
    before: tuple[RgbImage, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument('engine', help='name or folder of an engine')
    parser.add_argument(
        '--dataset', type=Path, action='append', default=[], metavar='FOLDER',
        help='clean pictures of one or more cameras; may be given several times',
    )  # fmt: skip
    parser.add_argument(
        '--elsewhere', type=Path, action='append', default=[], metavar='FOLDER',
        help='pictures of places that the engine was not made for, such as rooms',
    )  # fmt: skip
    parser.add_argument(
        '--pictures', type=int, default=120, metavar='N', help='at most so many of each folder'
    )
    parser.add_argument(
        '--simulated', type=int, default=60, metavar='N',
        help='pictures of the simulator, in every weather, so that its demo is known as well',
    )  # fmt: skip
    parser.add_argument(
        '--hard', type=int, default=20, metavar='N',
        help='clean pictures in each kind of hard light, such as at the exit of a tunnel',
    )  # fmt: skip
    parser.add_argument(
        '--spoilt', type=int, default=80, metavar='N',
        help='pictures of each kind of blindness',
    )  # fmt: skip
    parser.add_argument(
        '--families', nargs='+', choices=FAMILIES, default=list(FAMILIES),
        help='of blindness (default: all)',
    )  # fmt: skip
    parser.add_argument(
        '--refused', type=float, default=0.01, metavar='SHARE',
        help='of the pictures of data sets that were left out (default: 0.01); of those that '
        'were not, none is',
    )  # fmt: skip
    parser.add_argument('--backend', choices=['auto', *BACKENDS], default='auto')
    parser.add_argument('--threads', type=zero_or_more, default=0, help='0: one per free core')
    parser.add_argument('--dry-run', action='store_true', help='measure, and write nothing')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Measures and writes; returns the exit code."""
    engine = load_engine(arguments.engine, reads_domain=False)
    config = NodeConfig().stop
    clean, elsewhere = (
        [
            _Scene(picture.rgb, picture.dataset, picture.camera, picture.has_ground_ahead(config))
            for folder in folders
            for picture in clean_pictures(folder, arguments.pictures)
        ]
        for folders in (arguments.dataset, arguments.elsewhere)
    )
    clean += simulated_scenes(arguments.simulated)
    if len(clean) < LEAST_PICTURES:
        raise ConfigurationError(
            f'{len(clean)} pictures are too few for {len(STATISTICS)} statistics. Give at least '
            f'{LEAST_PICTURES}, of several cameras: --dataset, --simulated.'
        )
    backend = create_backend(arguments.backend, engine, threads=arguments.threads).backend
    kinds = _kinds(arguments.families)
    images = _shown(clean, elsewhere, kinds, arguments.hard, arguments.spoilt)
    total = len(clean) + len(elsewhere)
    total += len(HARD) * arguments.hard + len(kinds) * arguments.spoilt
    with contextlib.closing(backend):
        rows = statistics_of(backend, images, total)
    domain, left_out = measured_domain(rows, arguments.refused)
    figures = figures_of(rows, domain, left_out, arguments.refused)
    if not arguments.dry_run:
        path = engine.folder / SPEC_FILE
        write_whole(path, with_domain(path.read_text(encoding='utf-8'), domain))
        figures['written'] = str(path)
    print(json.dumps(figures) if arguments.json else yaml.safe_dump(figures, sort_keys=False))
    return 0


# What is shown to the network


def _kinds(families: Iterable[str]) -> dict[str, tuple[str, float | None]]:
    """Returns the kinds of blindness: their family, and their strength where there is but one."""
    kinds: dict[str, tuple[str, float | None]] = {}
    for name in families:
        if FAMILIES[name].has_kinds:
            for strength in FAMILIES[name].strengths:
                kinds[f'{name} {strength:.0f}'] = name, strength
        else:
            kinds[name] = name, None
    return kinds


def _shown(
    clean: Sequence[_Scene],
    elsewhere: Sequence[_Scene],
    kinds: Mapping[str, tuple[str, float | None]],
    hard: int,
    spoilt: int,
) -> Iterator[_Shown]:
    for picture in clean:
        yield _Shown(picture.rgb(), picture.dataset, picture.camera, is_ground=picture.is_ground)
    datasets = sorted({picture.dataset for picture in clean})
    for index, picture in enumerate(elsewhere):
        # They are of no camera; a part of them is left out with each data set
        dataset = datasets[index % len(datasets)]
        yield _Shown(picture.rgb(), dataset, '', ELSEWHERE, ELSEWHERE)
    random = np.random.default_rng(SEED)
    for light, change in HARD.items():
        for picture in _scenes(clean, hard, random):
            clip = hard_clip(picture.rgb(), change, random)
            frames = itertools.islice(clip, int(random.integers(len(HARD_NS))) + 1)
            *before, image = deque((frame for _, frame in frames), maxlen=1 + BRIDGED)
            # A camera of its own in each light: few count as much as many of the same
            yield _Shown(
                image, picture.dataset, light, is_ground=picture.is_ground, before=tuple(before)
            )
    for kind, (name, strength) in kinds.items():
        for picture in _scenes(clean, spoilt, random):
            family = FAMILIES[name]
            # The weakest are the hardest to find: they come more often
            weakest, strongest = family.strengths[0], family.strengths[-1]
            chosen = weakest + (strongest - weakest) * float(random.random()) ** 2
            image = family.spoil(
                picture.rgb(), chosen if strength is None else strength, random
            )  # fmt: skip
            yield _Shown(image, picture.dataset, picture.camera, kind, name)


def _scenes(pictures: Sequence[_Scene], count: int, random: np.random.Generator) -> list[_Scene]:
    """Returns random pictures; every camera has the same chance, by the root of its pictures."""
    share = _shares([picture.camera for picture in pictures])
    chosen = random.choice(len(pictures), size=count, replace=count > len(pictures), p=share)
    return [pictures[index] for index in chosen.tolist()]


def simulated_scenes(count: int) -> list[_Scene]:
    """Returns so many pictures of drives through every weather, each a data set of its own."""
    scenes = []
    for place, weather in enumerate(WEATHERS):
        wanted = count * (place + 1) // len(WEATHERS) - count * place // len(WEATHERS)
        surroundings = SURROUNDINGS[place % len(SURROUNDINGS)]
        world = World(SceneConfig(seed=place, weather=weather, surroundings=surroundings))
        name = f'{SIMULATED} {weather}'
        for _ in range(wanted):
            image = world.render().image
            scenes.append(_Scene(lambda image=image: image, name, name))  # type: ignore[misc]
            for _ in range(SIMULATED_STEPS):
                world.step(SIMULATED_STEP_S)
    return scenes


def statistics_of(
    backend: InferenceBackend, images: Iterable[_Shown], count: int
) -> list[Measured]:
    """Returns the statistics of each image as this backend's network sees it."""
    config = NodeConfig()
    seen_by = EvaluatedCamera(backend, config)
    take = StatisticsOfPictures(backend.engine.label_map)

    def asked(image: RgbImage, stamp_ns: int) -> tuple[Float64Array, bool]:
        seen = seen_by.see(image, stamp_ns, {'stop'})
        statistics = take.of(seen.view)
        if nothing_shown(statistics, config.stop) is not None:
            return statistics.values, True
        seen_by.reset()
        stop = seen_by.finish(seen).decisions.stop
        return statistics.values, stop is not None and stop.kind in REASONS_OF_SIGHT

    rows = []
    with Progress(sys.stderr) as progress:
        for index, (image, *what, is_ground, before) in enumerate(images):
            progress.show(f'{index} of {count} pictures')
            values, is_refused = asked(image, index + 1)
            is_refused = is_refused and all(asked(frame, index + 1)[1] for frame in before)
            rows.append(Measured(values, *what, is_refused, is_ground))
    return rows


# What follows from it


def measured_domain(rows: Sequence[Measured], refused: float) -> tuple[Domain, Float64Array]:
    """Returns the domain of pictures, and how each fares that is left out with its data set.

    Args:
        rows: The pictures.
        refused: The share of clean ones that are left out and shall be refused.

    Returns:
        The domain with its limits, and ``(N,)`` shares of the limit.
    """
    whole = _fitted(rows)
    kinds = tuple(whole.weights)
    scores = _scores_left_out(rows, kinds)
    limits = _limits(rows, scores, whole, refused)
    domain = whole.limited(dict(zip(kinds, limits.tolist(), strict=True)))
    return domain, (scores / limits).max(axis=1)


def figures_of(
    rows: Sequence[Measured], domain: Domain, left_out: Float64Array, refused: float
) -> dict[str, Any]:
    """Returns what the domain of these pictures does, and how far that can be trusted.

    The same of the whole stop, which has other reasons of sight as well.
    """
    known = domain.scores(_values(rows)).max(axis=1) > 1.0
    is_refused = np.array([row.is_refused for row in rows])
    return {
        'pictures': len(rows),
        'cameras': len({row.camera for row in rows if not row.kind}),
        **_shares_of(rows, known, left_out > 1.0, _of_other_half(rows, refused)),
        'whole_stop': _shares_of(
            rows,
            known | is_refused,
            (left_out > 1.0) | is_refused,
            _of_other_half(rows, refused, with_stop=True),
        ),
    }


def _shares_of(
    rows: Sequence[Measured],
    known: NDArray[np.bool_],
    out: NDArray[np.bool_],
    other_half: dict[str, float],
) -> dict[str, Any]:
    is_clean = np.array([not row.kind for row in rows])
    is_ground = is_clean & np.array([row.is_ground for row in rows])
    datasets = np.array([row.dataset for row in rows])
    families = np.array([row.family for row in rows])
    names = [name for name in dict.fromkeys(families) if name]
    return {
        'clean_refused_share': _share_with_interval(known[is_clean]),
        'clean_refused_share_of_ground': _share_with_interval(known[is_ground]),
        'clean_refused_share_left_out': {
            str(name): _share_with_interval(out[is_clean & (datasets == name)])
            for name in dict.fromkeys(datasets[is_clean])
        },
        'clean_refused_share_left_out_of_ground': _share_with_interval(out[is_ground]),
        'false_clear_share_left_out': {
            str(name): round(1.0 - float(out[families == name].mean()), 4) for name in names
        },
        'false_clear_share_of_other_half': other_half,
    }


def _of_other_half(
    rows: Sequence[Measured], refused: float, *, with_stop: bool = False
) -> dict[str, float]:
    """Returns what stays clear of each family if only the other half of them is known."""
    names = list(dict.fromkeys(row.family for row in rows if row.kind))
    shares = {}
    for half in (0, 1):
        measured, asked = names[half::2], names[1 - half :: 2]
        if not measured or not asked:
            continue
        known = [row for row in rows if not row.kind or row.family in measured]
        domain, _ = measured_domain(known, refused)
        for name in asked:
            blind = [row for row in rows if row.family == name]
            is_clear = domain.scores(_values(blind)).max(axis=1) <= 1.0
            if with_stop:
                is_clear &= ~np.array([row.is_refused for row in blind])
            shares[str(name)] = round(float(is_clear.mean()), 4)
    return shares


def _fitted(rows: Sequence[Measured]) -> Domain:
    clean = [row for row in rows if not row.kind]
    kinds = dict.fromkeys(row.kind for row in rows if row.kind)
    blind = {kind: _values([row for row in rows if row.kind == kind]) for kind in kinds}
    return Domain.fitted(_values(clean), [row.camera for row in clean], blind)


def _limits(
    rows: Sequence[Measured], left_out: Float64Array, whole: Domain, refused: float
) -> Float64Array:
    """Returns ``(kinds,)`` what all but a share of the clean pictures keep."""
    scores = left_out[np.array([not row.kind for row in rows])]
    kinds = scores.shape[1]
    share = _shares([row.camera for row in rows if not row.kind])
    # No kind refuses much more than its part; then all of them together what was asked for, be it
    # of cameras or of pictures
    limits = np.array([
        _quantile(column, share, 1.0 - 2.0 * refused / kinds) for column in scores.T
    ])  # fmt: skip
    limits = np.maximum(limits, 1e-6)
    worst = (scores / limits).max(axis=1)
    limits *= max(
        _quantile(worst, share, 1.0 - refused), _quantile(worst, None, 1.0 - OF_DOMAIN * refused)
    )
    # A kind to which one clean picture is alike gives way, all others need not
    known = whole.scores(_values([row for row in rows if not row.kind]))
    return np.asarray(np.maximum(limits, KNOWN_SLACK * known.max(axis=0)))


def _scores_left_out(rows: Sequence[Measured], kinds: tuple[str, ...]) -> Float64Array:
    """Returns ``(N, kinds)`` what a domain without its data set says of each picture."""
    datasets = np.array([row.dataset for row in rows])
    scores = np.empty((len(rows), len(kinds)))
    for dataset in dict.fromkeys(datasets):
        is_out = datasets == dataset
        others = [row for row, out in zip(rows, is_out, strict=True) if not out]
        if not any(not row.kind for row in others):
            raise ConfigurationError(
                f'All pictures are of one data set, {dataset}. Give another one as well: each is '
                'left out in turn, to see how pictures of a new camera fare.'
            )
        domain = _fitted(others)
        missing = [kind for kind in kinds if kind not in domain.weights]
        if missing:
            raise ConfigurationError(
                f'Without {dataset} there is no picture of {", ".join(missing)}. Give more: '
                '--spoilt, --elsewhere.'
            )
        found = domain.scores(_values([row for row, out in zip(rows, is_out, strict=True) if out]))
        order = [tuple(domain.weights).index(kind) for kind in kinds]
        scores[is_out] = found[:, order]
    return scores


def _values(rows: Sequence[Measured]) -> Float64Array:
    return np.array([row.values for row in rows]).reshape(-1, len(STATISTICS))


def _shares(cameras: Sequence[str]) -> Float64Array:
    """Returns how much each picture counts, its camera by the root of the number of its own."""
    _, index, counts = np.unique(cameras, return_inverse=True, return_counts=True)
    share = 1.0 / np.sqrt(counts[index])
    return np.asarray(share / share.sum())


def _quantile(values: Float64Array, share: Float64Array | None, below: float) -> float:
    """Returns the value that so large a share lies below; all count the same without shares."""
    if share is None:
        return float(np.quantile(values, below))
    order = np.argsort(values)
    return float(np.interp(below, np.cumsum(share[order]), values[order]))


def _share_with_interval(hits: NDArray[np.bool_]) -> dict[str, Any]:
    low, high = wilson(int(hits.sum()), len(hits))
    return {
        'share': round(float(hits.mean()), 4),
        'interval_95': [round(low, 4), round(high, 4)],
        'pictures': len(hits),
    }


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
