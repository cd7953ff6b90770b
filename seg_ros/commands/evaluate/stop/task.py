# SPDX-License-Identifier: Apache-2.0
"""``seg_ros evaluate --task stop``: how well the stop does, on drives and on labelled pictures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

from seg_ros.commands.evaluate.labelled_folder import labelled_pictures
from seg_ros.commands.evaluate.stop.clips import ClipTally, figures_of_clips, figures_with_people
from seg_ros.commands.evaluate.stop.drills import drill_figures, drills_of
from seg_ros.commands.evaluate.stop.drives import (
    RATE_HZ,
    Moment,
    PlannedDrive,
    crossing_drives,
    crowded_drive,
    quiet_drives,
)
from seg_ros.commands.evaluate.stop.figures import Figures, Tally, bars_for, missed_bars, table_of
from seg_ros.commands.evaluate.stop.folder import FolderTally, is_anybody_in, is_labelled
from seg_ros.commands.evaluate.stop.guessed_way import guessed_way_figures
from seg_ros.commands.evaluate.stop.near import near_figures, near_who_figures
from seg_ros.commands.evaluate.stop.processes import Judge, judged_drives
from seg_ros.commands.evaluate.stop.unlabelled_people import UNLABELLED_PEOPLE
from seg_ros.commands.shared.children import check_jobs
from seg_ros.commands.shared.node_parameters import (
    add_parameter_arguments,
    config_from_arguments,
)
from seg_ros.commands.shared.numbers import positive_or_zero, zero_or_more
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.types import RgbImage
from seg_ros.inference.engine import load_engine
from seg_ros.recordings.opening import open_recording
from seg_ros.recordings.recording import IMAGES, Recording

__all__ = ['add_arguments', 'evaluate_drives', 'evaluate_folders', 'evaluate_videos', 'main']

EVENTS = 216
QUIET_MINUTES = 10.5
DRILL_EVENTS = 6
SEED = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--labels',
        choices=('exact', 'network'),
        default='exact',
        help='judge the true labels of the drives (exact), or what the engine makes of them',
    )
    parser.add_argument('--engine', help='name or folder (as the parameters say: roadseg)')
    parser.add_argument('--backend', help='what runs it (as the parameters say: auto)')
    parser.add_argument(
        '--threads',
        type=zero_or_more,
        help='of inference; 0: one per free core (as the parameters say: 0)',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        metavar='N',
        help='drives at a time, each in a process of its own (1); with --threads 1, one per core',
    )
    parser.add_argument(
        '--events', type=zero_or_more, default=EVENTS, help=f'planned crossings ({EVENTS})'
    )
    parser.add_argument(
        '--quiet-minutes',
        type=positive_or_zero,
        default=QUIET_MINUTES,
        help=f'of drives without crossings ({QUIET_MINUTES:g})',
    )
    parser.add_argument(
        '--drill-events',
        type=int,
        default=DRILL_EVENTS,
        metavar='N',
        help='crossings for each rate of frames, each kind of people, runners and flickering '
        f'labels ({DRILL_EVENTS}); 0: none of these',
    )
    parser.add_argument('--seed', type=int, default=SEED, help=f'of the drives ({SEED})')
    parser.add_argument(
        '--dataset',
        type=Path,
        nargs='+',
        metavar='DIR',
        help='instead of drives: folders of NAME.avif (png, jpg) with NAME.label.png, ids as in '
        'CamVid',
    )
    parser.add_argument(
        '--image-polygon',
        type=float,
        nargs='+',
        metavar='SHARE',
        help='u1 v1 u2 v2 … of the image zone that --dataset is judged with (stop.image_polygon)',
    )
    parser.add_argument(
        '--clips',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='with --dataset: also make a clip of 3 s of each picture in which nobody is '
        'labelled, and tell how much of the time it is stopped (yes)',
    )
    parser.add_argument(
        '--video',
        type=Path,
        nargs='+',
        metavar='PATH',
        help='instead of drives: videos, bags or folders of pictures in which nobody is in the '
        'way, and how much of the time they are stopped, without a calibration',
    )
    add_parameter_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')


def main(arguments: argparse.Namespace) -> int:
    """Measures and prints; returns 1 when a figure misses its bar, else 0."""
    notes: list[str] = []
    given = config_from_arguments(arguments, notes.append)
    for note in notes:
        print(note, file=sys.stderr)
    config = given.stop
    if arguments.image_polygon:
        polygon = tuple(arguments.image_polygon)
        config = replace(config, image_polygon=polygon, image_zone_adapts=False)
    check_jobs(arguments.jobs)
    if arguments.dataset and arguments.video:
        msg = '--dataset and --video: one of them at a time, please.'
        raise ConfigurationError(msg)
    labels = 'network' if arguments.dataset or arguments.video else arguments.labels
    judge = judge_of(arguments, given)
    with Progress(sys.stderr) as progress:
        if arguments.dataset:
            figures = evaluate_folders(
                config, arguments.dataset, judge, progress, arguments.clips, notes
            )
        elif arguments.video:
            figures = evaluate_videos(config, arguments.video, judge, progress, notes)
        else:
            figures = evaluate_drives(
                config,
                arguments.events,
                arguments.quiet_minutes,
                arguments.seed,
                progress,
                judge if labels == 'network' else None,
                arguments.jobs,
                arguments.drill_events,
            )
    bars = bars_for(labels, config.hold_s)
    print(json.dumps({**figures, 'notes': notes}) if arguments.json else table_of(figures, bars))
    return 1 if missed_bars(figures, bars) else 0


def judge_of(arguments: argparse.Namespace, given: NodeConfig) -> Judge:
    """Returns the network that is asked for, by an option or else by the parameters."""
    threads = given.inference_threads if arguments.threads is None else arguments.threads
    return Judge(
        arguments.engine or given.engine,
        arguments.backend or given.backend,
        threads,
        given.precision,
    )


def evaluate_drives(
    config: StopConfig,
    events: int,
    quiet_minutes: float,
    seed: int,
    progress: Progress,
    judge: Judge | None = None,
    jobs: int = 1,
    drill_events: int = 0,
) -> Figures:
    """Returns the figures over synthetic drives, by their exact labels unless a network judges."""
    size_wh = 640, 360
    if judge is not None:
        size_wh = load_engine(judge.engine).network_size_wh
    crossings = crossing_drives(events, config, seed, size_wh)
    quiet = quiet_drives(quiet_minutes, seed, size_wh)
    drives = [*crossings, *quiet, crowded_drive(seed, size_wh)]
    adders = [
        *[Tally.add_crossings] * len(crossings),
        *[Tally.add_quiet] * len(quiet),
        Tally.add_crowded,
    ]
    drills = drills_of(drill_events, config, seed, size_wh, exact=judge is None)
    drives += [drill.drive for drill in drills]
    tally = Tally()
    clock = _Clock(progress, drives)
    judged = clock.counted(judged_drives(drives, config, judge, jobs))
    for add, moments in zip(adders, islice(judged, len(adders)), strict=True):
        add(tally, moments)
    figures = {**tally.figures(), **drill_figures(drills, judged)}
    if drill_events and judge is None:
        figures['near'] = near_figures(config)
        figures['near_who'] = near_who_figures(config)
        figures.update(guessed_way_figures(config))
    return figures


def evaluate_folders(
    config: StopConfig,
    folders: Sequence[Path],
    judge: Judge,
    progress: Progress,
    with_clips: bool = False,
    notes: list[str] | None = None,
) -> Figures:
    """Returns the figures over folders of labelled pictures, with the image zone.

    Args:
        config: Of the stop.
        folders: With pictures and labels.
        judge: The network.
        progress: Is told how far it is, and what else is to be said.
        with_clips: Whether clips are made of pictures in which nobody is labelled.
        notes: Gets what else is to be said, too.
    """
    engine = load_engine(judge.engine)
    pictures = [(folder, picture) for folder in folders for picture in labelled_pictures(folder)]
    with closing(judge.backend_of(engine)) as backend:
        tally = FolderTally(config, backend)
        clips = {folder: ClipTally(config, backend) for folder in folders}
        with_people = ClipTally(config, backend)
        unlabelled = 0
        for count, (folder, picture) in enumerate(pictures, 1):
            image, labels = picture.rgb_and_labels()
            tally.add(image, labels)
            if with_clips and picture.name in UNLABELLED_PEOPLE:
                with_people.add(image)
            elif with_clips and not is_anybody_in(labels):
                clips[folder].add(image)
                unlabelled += not is_labelled(labels)
            progress.show(f'picture {count} of {len(pictures)}')
    said = []
    if unlabelled:
        said.append(
            f'{unlabelled} of the pictures of which clips were made have labels for less than '
            'half of their pixels: their labels do not say that nobody is in them.'
        )
    if with_people.frames:
        said.append(
            'Clips of pictures that show somebody whom the labels leave out are counted apart '
            f'(unlabelled_people): {with_people.stopped} of {with_people.frames} frames are '
            'stopped.'
        )
    for note in said:
        progress.say(note)
    if notes is not None:
        notes += said
    return {
        **tally.figures(),
        **figures_of_clips(clips),
        **figures_with_people(with_people, clips.values()),
    }


def evaluate_videos(
    config: StopConfig,
    paths: Sequence[Path],
    judge: Judge,
    progress: Progress,
    notes: list[str] | None = None,
) -> Figures:
    """Returns how much of the time recordings are stopped, in which nobody is in the way.

    What could not be read of them is said, and added to the notes.
    """
    engine = load_engine(judge.engine)
    with closing(judge.backend_of(engine)) as backend:
        tally = ClipTally(config, backend)
        for path in paths:
            recording = open_recording(path)
            topics = [name for name, row in recording.topics.items() if row.type_name in IMAGES]
            for topic in topics:
                tally.add_frames(_frames_of(recording, topic, progress))
            if not topics:
                raise ConfigurationError(f'{path} has no pictures. Name a recording of a camera.')
            for sentence in recording.trouble:
                progress.say(sentence)
            if notes is not None:
                notes += recording.trouble
    return {**tally.figures()}


def _frames_of(
    recording: Recording, topic: str, progress: Progress
) -> Iterator[tuple[RgbImage, int]]:
    for count, message in enumerate(recording.messages([topic]), 1):
        progress.show(f'{recording.path.name} {topic}: picture {count}')
        try:
            yield recording.picture(message), message.recorded_ns
        except FrameError as error:
            recording.tell(f'{recording.place(message)} was left out: {error}')


class _Clock:
    """Says how far it is and how long it will take."""

    def __init__(self, progress: Progress, drives: list[PlannedDrive]) -> None:
        self._progress = progress
        self._expected_s = [_expected_s(drive) for drive in drives]
        self._done = 0
        self._started_s = time.monotonic()
        progress.say(f'  {len(drives)} drives')

    def counted(self, judged: Iterator[list[Moment]]) -> Iterator[list[Moment]]:
        """Yields what is judged, and tells of each."""
        for moments in judged:
            self._drive_ends()
            yield moments

    def _drive_ends(self) -> None:
        self._done += 1
        driven_s = sum(self._expected_s[: self._done])
        rest_s = sum(self._expected_s[self._done :])
        left_s = (time.monotonic() - self._started_s) * rest_s / driven_s
        self._progress.show(
            f'{self._done} of {len(self._expected_s)} drives, about {left_s / 60.0:.1f} min left'
        )


def _expected_s(drive: PlannedDrive) -> float:
    return min(drive.limit_s, 1.3 * drive.length_m / drive.scene.speed_mps + 1.0 / RATE_HZ)
