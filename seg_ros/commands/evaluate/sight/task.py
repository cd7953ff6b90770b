# SPDX-License-Identifier: Apache-2.0
"""``seg_ros evaluate --task sight``: blind pictures are refused, clean ones are not.

    seg_ros evaluate --task sight --dataset camvid/val --dataset lanes --json

Real scenes of the data sets that are proven clear go blind: by every family of blindness, in each
strength, and by a camera that gets stuck. One that is clear a second later, or at any time from
then on, is a false clear. Clean pictures, and clips in hard light, are refused where the reason is
one of sight, not a person.

Families that the engine's domain was measured with (``seg_ros calibrate-engine``) and others are
told apart; how families fare that were left out in turn, ``calibrate-engine`` says. Those in
``kept_blindness`` have a figure of their own: no check was made for them.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.sight.blindness import FAMILIES
from seg_ros.commands.evaluate.sight.clips import (
    HARD,
    STUCK,
    STUCK_FROM_NS,
    hard_clip,
    moving,
    stuck_clip,
    with_noise,
)
from seg_ros.commands.evaluate.sight.kept_blindness import KEPT
from seg_ros.commands.evaluate.sight.pictures import CleanPicture, clean_pictures
from seg_ros.commands.shared.node_parameters import (
    add_parameter_arguments,
    config_from_arguments,
)
from seg_ros.commands.shared.numbers import zero_or_more
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import BACKENDS, create_backend
from seg_ros.perception import SeenFrame

__all__ = ['REASONS_OF_SIGHT', 'add_arguments', 'main', 'wilson']

REASONS_OF_SIGHT = (
    StopKind.ZONE_NOT_IN_VIEW, StopKind.GROUND_NOT_SEEN, StopKind.PICTURE_BLIND,
    StopKind.OUT_OF_DOMAIN, StopKind.LOW_CONTRAST, StopKind.LOW_CONFIDENCE, StopKind.FROZEN,
    StopKind.NO_DETAIL, StopKind.COLOURS_DISAGREE, StopKind.PICTURE_TURNED,
    StopKind.ROWS_SHIFTED, StopKind.OUT_OF_FOCUS, StopKind.PARTLY_COVERED,
    StopKind.PICTURE_NEGATIVE, StopKind.FEW_SHADES, StopKind.PICTURE_DOUBLED,
)  # fmt: skip
DATASETS = ('camvid', 'cityscapes', 'bdd100k', 'mapillary', 'a2d2', 'lanes')
# The frames of a stream that decide: with confirm_frames 3, the third is the first clear one
FRAMES = 3
FRAME_NS = 50_000_000
# Stamps from the first blind frame on, and when it must be known. Between two frames there is
# less than stop.stale_timeout_s, after which every stream is a stop
BLIND_NS = tuple(ms * 1_000_000 for ms in (0, 400, 800, 1000, 1200, 1400))
KNOWN_NS = NS_PER_S
ALL = {**FAMILIES, **KEPT}
Z_95 = 1.96  # of a confidence interval of 95 %


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument('--engine', help='name or folder (as the parameters say: roadseg)')
    parser.add_argument('--backend', choices=('auto', *BACKENDS), help='(as the parameters say)')
    parser.add_argument(
        '--threads',
        type=zero_or_more,
        help='of inference; 0: one per core (as the parameters say: 0)',
    )
    parser.add_argument(
        '--dataset', type=Path, action='append', default=None, metavar='FOLDER',
        help=f'clean pictures; may be given several times, such as {", ".join(DATASETS)}; one '
        'that is not there is skipped, visibly',
    )  # fmt: skip
    parser.add_argument(
        '--pictures', type=int, default=40, metavar='N', help='clean ones of each data set'
    )
    parser.add_argument('--scenes', type=int, default=5, metavar='N', help='to be blinded')
    parser.add_argument(
        '--families', nargs='+', choices=(*FAMILIES, *STUCK, *KEPT),
        default=[*FAMILIES, *STUCK, *KEPT], help='(default: all)',
    )  # fmt: skip
    parser.add_argument(
        '--sample', type=zero_or_more, default=0, metavar='N',
        help='blind only N of the scenes with each strength, drawn by --seed (default: 0, all)',
    )  # fmt: skip
    parser.add_argument('--seed', type=zero_or_more, default=0, metavar='N', help='of --sample')
    add_parameter_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print one row of JSON')


def main(arguments: argparse.Namespace) -> int:
    """Measures; returns the exit code."""
    notes: list[str] = []
    config = config_from_arguments(arguments, notes.append)
    folders = arguments.dataset or []
    there = [folder for folder in folders if folder.is_dir()]
    notes += [f'Skipped: there is no folder {row}.' for row in folders if row not in there]
    for note in notes:
        print(note, file=sys.stderr)
    if not there:
        said = 'Nothing was measured: give folders with clean pictures, --dataset FOLDER.'
        if folders:
            raise ConfigurationError(said)
        print(said, file=sys.stderr)
        return 0
    sets: dict[str, list[CleanPicture]] = {}
    for folder in there:
        for picture in clean_pictures(folder, arguments.pictures):
            sets.setdefault(picture.dataset, []).append(picture)
    engine = load_engine(arguments.engine or config.engine)
    threads = config.inference_threads if arguments.threads is None else arguments.threads
    backend = create_backend(
        arguments.backend or config.backend, engine, threads=threads, precision=config.precision
    ).backend
    with contextlib.closing(backend), Progress(sys.stderr) as progress:
        judge = _Judge(EvaluatedCamera(backend, config))
        clean = _clean_figures(judge, sets, config.stop, progress)
        scenes = _clear_scenes(judge, sets, arguments.scenes)
        known = () if engine.domain is None else tuple(engine.domain.weights)
        drawn = _Sample(arguments.sample, arguments.seed)
        blind = _blind_figures(judge, scenes, arguments.families, known, drawn, progress)
        hard = _hard_figures(judge, scenes, progress)
    figures = {
        'engine': engine.name, 'knows_domain': engine.domain is not None, **clean, **hard, **blind,
        'notes': notes,
    }  # fmt: skip
    print(json.dumps(figures) if arguments.json else _report(figures))
    return 0


class _Sample(NamedTuple):
    """Which scenes go blind.

    Attributes:
        count: How many with each strength; 0: all.
        seed: Draws them.
    """

    count: int
    seed: int

    def of(self, scenes: int, place: int, index: int) -> list[int]:
        """Returns the numbers of the scenes for a strength of a family."""
        if not 0 < self.count < scenes:
            return list(range(scenes))
        random = np.random.default_rng([self.seed, place, index])
        return sorted(random.choice(scenes, self.count, replace=False).tolist())


class _Judge:
    """Asks the stop about streams of pictures."""

    def __init__(self, camera: EvaluatedCamera) -> None:
        self._camera = camera

    def kind(self, picture: RgbImage) -> StopKind:
        """Returns what the stop says at the end of a stream that begins with the picture."""
        self._camera.reset()
        random = np.random.default_rng(zlib.crc32(np.ascontiguousarray(picture[::16]).data))
        kind = StopKind.UNPROVEN
        for index in range(FRAMES):
            kind = self._next(with_noise(picture, random), (index + 1) * FRAME_NS)
            if kind in REASONS_OF_SIGHT:
                break  # a stream of the same picture does not get better
        return kind

    def begin(self, scene: RgbImage) -> list[SeenFrame]:
        """Returns the frames before a stream goes blind; see ``goes_on``."""
        random = np.random.default_rng(0)
        return [
            _kept(self._camera.see(moving(scene, stamp_ns / NS_PER_S, random), stamp_ns, {'stop'}))
            for stamp_ns in ((index + 1) * FRAME_NS for index in range(FRAMES))
        ]  # fmt: skip

    def goes_on(
        self, began: list[SeenFrame], stream: Iterable[tuple[int, RgbImage]]
    ) -> Iterator[tuple[int, StopKind]]:
        """Yields what the stop says of each frame of a stream after the frames of its beginning.

        Args:
            began: The frames before.
            stream: Stamps from the first frame after them on, and the frames.
        """
        self._camera.reset()
        for seen in began:
            self._camera.finish(seen)
        first_ns = began[-1].prepared.frame.stamp_ns + FRAME_NS
        for stamp_ns, picture in stream:
            yield stamp_ns, self._next(picture, first_ns + stamp_ns)

    def _next(self, picture: RgbImage, stamp_ns: int) -> StopKind:
        stop = self._camera.process(picture, stamp_ns, {'stop'}).decisions.stop
        assert stop is not None
        return stop.kind


def _kept(seen: SeenFrame) -> SeenFrame:
    """A copy that outlives the next frame, the picture as well."""
    kept = seen.kept()
    return replace(kept, view=replace(kept.view, picture=kept.view.picture.copy()))


def _clean_figures(
    judge: _Judge, sets: dict[str, list[CleanPicture]], config: StopConfig, progress: Progress
) -> dict[str, Any]:
    rows = {}
    for name, pictures in sets.items():
        kinds: list[StopKind] = []
        of_ground = [picture.has_ground_ahead(config) for picture in pictures]
        for index, picture in enumerate(pictures):
            progress.show(f'{name}: {index} of {len(pictures)} clean pictures')
            kinds.append(judge.kind(picture.rgb()))
        is_refused = [kind in REASONS_OF_SIGHT for kind in kinds]
        refused = [kind for kind in kinds if kind in REASONS_OF_SIGHT]
        rows[name] = {
            **_refused(is_refused),
            'of_ground': _refused(list(itertools.compress(is_refused, of_ground))),
            'reasons': {str(kind): refused.count(kind) for kind in dict.fromkeys(refused)},
        }
    return {'clean': rows}


def _refused(is_refused: list[bool]) -> dict[str, Any]:
    """How many of some pictures are refused."""
    count, hits = len(is_refused), sum(is_refused)
    low, high = wilson(hits, count)
    return {
        'pictures': count,
        'clean_refused_share': round(hits / count, 4) if count else None,
        'interval_95': [round(low, 4), round(high, 4)],
    }


def _hard_figures(judge: _Judge, scenes: list[CleanPicture], progress: Progress) -> dict[str, Any]:
    rows = {}
    for place, (name, hard) in enumerate(HARD.items()):
        progress.show(f'{name}: {len(scenes)} clips')
        refused = []
        for number, scene in enumerate(scenes):
            picture = scene.rgb()
            clip = hard_clip(picture, hard, np.random.default_rng([place, number]))
            kinds = [kind for _, kind in judge.goes_on(judge.begin(picture), clip)]
            refused += [kind in REASONS_OF_SIGHT for kind in kinds]
        rows[name] = {
            'frames': len(refused),
            'refused_share': round(float(np.mean(refused)), 4) if refused else None,
        }
    return {'hard': rows}


def _blind_figures(
    judge: _Judge,
    scenes: list[CleanPicture],
    families: Iterable[str],
    known: tuple[str, ...],
    sample: _Sample,
    progress: Progress,
) -> dict[str, Any]:
    names = list(families) if scenes else []  # nothing goes blind that never saw
    began = [judge.begin(scene.rgb()) for scene in scenes]
    rows: dict[str, dict[str, float]] = {}
    streams = 0
    for place, name in enumerate(names):
        strengths = STUCK.get(name) or dict.fromkeys(map(str, ALL[name].strengths))
        known_ns = KNOWN_NS + (STUCK_FROM_NS if name in STUCK else 0)
        rows[name] = {}
        for index, strength in enumerate(strengths):
            progress.show(f'{name}: {index} of {len(strengths)} strengths')
            false_clear = []
            for number in sample.of(len(scenes), place, index):
                streams += 1
                random = np.random.default_rng([place, index, number])
                stream = _blind_stream(scenes[number].rgb(), name, strength, random)
                said = judge.goes_on(began[number], stream)
                false_clear.append(
                    any(kind is StopKind.CLEAR for ns, kind in said if ns >= known_ns)
                )
            rows[name][strength] = round(float(np.mean(false_clear)), 4)
    shares = {name: float(np.mean(list(row.values()))) for name, row in rows.items()}
    # A camera that is stuck is found by its pictures alone, however the engine was measured
    is_known = {name: any(kind.startswith(name) for kind in known) for name in names}
    asked = [name for name in names if name not in KEPT]
    return {
        'scenes': [scene.path.name for scene in scenes],
        'streams': streams,
        'sample': sample._asdict() if sample.count else None,
        'false_clear_share': _mean(shares, asked),
        'false_clear_share_measured_with': _mean(shares, [n for n in asked if is_known[n]]),
        'false_clear_share_others': _mean(shares, [n for n in asked if not is_known[n]]),
        'false_clear_share_kept': _mean(shares, [name for name in names if name in KEPT]),
        'families': {
            name: {
                'false_clear_share': round(shares[name], 4),
                'by_strength': row,
                'unit': ALL[name].unit if name in ALL else '',
            }
            for name, row in rows.items()
        },
    }


def _blind_stream(
    picture: RgbImage, name: str, strength: str, random: np.random.Generator
) -> Iterator[tuple[int, RgbImage]]:
    if name in STUCK:
        yield from stuck_clip(picture, STUCK[name][strength], random)
        return
    spoilt = ALL[name].spoil(picture, float(strength), random)
    for stamp_ns in BLIND_NS:
        yield stamp_ns, with_noise(spoilt, random)


def _mean(shares: dict[str, float], names: list[str]) -> float | None:
    return round(float(np.mean([shares[name] for name in names])), 4) if names else None


def _clear_scenes(
    judge: _Judge, sets: dict[str, list[CleanPicture]], count: int
) -> list[CleanPicture]:
    """Returns scenes that are clear, of all data sets in turn, from the middle of each on.

    What is a stop before it goes blind proves nothing by being one afterwards.
    """
    turns = [pictures[len(pictures) // 2 :] for pictures in sets.values()]
    longest = max(map(len, turns))
    mixed = (row[index] for index in range(longest) for row in turns if index < len(row))
    clear = (scene for scene in mixed if judge.kind(scene.rgb()) is StopKind.CLEAR)
    return list(itertools.islice(clear, count))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Returns the interval of 95 % confidence of a share (Wilson's, good for few and for none)."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = hits / count, Z_95 * Z_95
    middle = share + z2 / (2.0 * count)
    half = Z_95 * math.sqrt(share * (1.0 - share) / count + z2 / (4.0 * count * count))
    whole = 1.0 + z2 / count
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def _report(figures: dict[str, Any]) -> str:
    lines = [
        f'{name:12} {row["pictures"]:4} clean pictures, {row["clean_refused_share"]:6.1%} refused '
        f'({row["interval_95"][0]:.1%} to {row["interval_95"][1]:.1%}) {row["reasons"] or ""}; of '
        f'{row["of_ground"]["pictures"]} with ground ahead '
        f'{row["of_ground"]["clean_refused_share"] or 0.0:.1%}'
        for name, row in figures['clean'].items()
    ]
    lines += [
        f'{name:16} {row["frames"]:4} frames of hard light, {row["refused_share"]:6.1%} refused'
        for name, row in figures['hard'].items()
        if row['frames']
    ]
    lines += [
        f'{name:16} {row["false_clear_share"]:6.1%} false clear  '
        f'{row["by_strength"]} {row["unit"]}'
        for name, row in figures['families'].items()
    ]
    lines.append(
        f'false clear {figures["false_clear_share"]}; families that the engine was measured with '
        f'{figures["false_clear_share_measured_with"]}, others '
        f'{figures["false_clear_share_others"]}; families that no check was made for '
        f'{figures["false_clear_share_kept"]} (a forecast: a check that is made for one takes it '
        'out of this figure)'
    )
    return '\n'.join(lines)
