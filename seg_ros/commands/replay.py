# SPDX-License-Identifier: Apache-2.0
"""``seg_ros replay``: any recording in, a finished bag out, the same every time."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from seg_ros.commands.shared.children import check_jobs
from seg_ros.commands.shared.node_parameters import (
    add_parameter_arguments,
    config_from_arguments,
)
from seg_ros.commands.shared.numbers import positive, positive_or_zero
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.recordings.recording import RecordedSpan
from seg_ros.replay.fleet import ReplayOutcome, fleet_jobs, run_processes, run_ray
from seg_ros.replay.job import ReplayJob, ReplaySummary
from seg_ros.replay.overlay_video import OVERLAY_TOPICS
from seg_ros.replay.replay import ReplayProgress, replay

__all__ = ['add_arguments', 'main']

SHOW_PERIOD_S = 0.2
TELLING_FRAMES = 10  # fewer tell nothing about the rest
EPILOG = """\
The same pipeline and decisions as the node's, without a graph: no frame is dropped, and nothing
takes time. A frame is judged at the moment of its recording (--clock stamps: at its own stamp),
and the heartbeat of the stop beats by the times of the recording. What the node says by its own
clock, /diagnostics, is not in the bag.

Two runs write the same bytes, whatever the number of threads: each stage goes by the order of the
recording, no clock is asked, and the backends for the CPU (onnxruntime; openvino in fp32 and bf16)
give the threads whole numbers to compute, never parts of a sum. Another backend, precision or
version of one may label a few pixels otherwise. --json has the SHA-256 of the labels to compare.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        'input',
        type=Path,
        help='a rosbag2 (folder, .mcap or .db3), ROS 1 bag, video, or folder of images',
    )
    parser.add_argument('-o', '--output', type=Path, required=True, help='the new bag, a folder')
    parser.add_argument(
        '--resume', action='store_true', help='go on with what an interrupted run has left'
    )
    parser.add_argument('--json', action='store_true', help='print what came of it as JSON')
    parser.add_argument(
        '--measure', action='store_true', help='time bare inference on the same images afterwards'
    )

    group = parser.add_argument_group('what is read')
    group.add_argument(
        '--topic',
        action='append',
        default=[],
        help='image topic, one per camera (default: that of the parameters, or the first camera)',
    )
    group.add_argument('--odometry', default='', metavar='TOPIC', help='nav_msgs/Odometry')
    group.add_argument(
        '--camera',
        type=Path,
        metavar='FILE',
        help='calibration as camera_calibration writes it, instead of the CameraInfo',
    )
    group.add_argument(
        '--start', type=positive_or_zero, default=0.0, metavar='S', help='seconds after the begin'
    )
    group.add_argument('--duration', type=positive, metavar='S', help='seconds of it')
    group.add_argument('--every', type=int, default=1, metavar='N', help='only each n-th image')
    group.add_argument(
        '--rate', type=positive, metavar='HZ', help='of a video or folder of images'
    )
    group.add_argument(
        '--clock',
        choices=('recording', 'stamps'),
        default='recording',
        help='what tells the time: when messages were recorded, or their header stamps',
    )

    group = parser.add_argument_group('what is written')
    group.add_argument(
        '--outputs',
        nargs='+',
        default=[],
        metavar='PATTERN',
        help='topics below the node, like label or lane_track* (default: all but confidence, '
        'label/color, overlay and overlay/compressed)',
    )
    group.add_argument(
        '--copy',
        nargs='+',
        default=['used'],
        metavar='PATTERN',
        help='input topics to copy byte for byte; used, all or none (default: used)',
    )
    group.add_argument(
        '--overlay',
        type=Path,
        metavar='FILE',
        help='a video with labels, stop, zone, people and lane, at size and rate of the input',
    )

    group = parser.add_argument_group('with what')
    add_parameter_arguments(group)

    group = parser.add_argument_group('many recordings: input and output are folders of them')
    group.add_argument(
        '--jobs', type=int, metavar='N', help='replay so many at a time, each in a process'
    )
    group.add_argument(
        '--ray',
        metavar='ADDRESS',
        help='replay on a Ray cluster whose machines see the same files; local starts one here',
    )


def main(arguments: argparse.Namespace) -> int:
    """Replays one recording, or a folder of them."""
    if arguments.jobs is not None or arguments.ray is not None:
        return replay_fleet(arguments)
    return replay_one(arguments)


def replay_one(arguments: argparse.Namespace) -> int:
    job = job_of(arguments)
    shown_s = 0.0
    with Progress(sys.stderr) as progress:

        def show(state: ReplayProgress) -> None:
            nonlocal shown_s
            now_s = time.monotonic()
            if now_s - shown_s < SHOW_PERIOD_S:
                return
            shown_s = now_s
            text = f'{state.share:4.0%}  {state.frames} frames'
            if state.frames >= TELLING_FRAMES:
                text += f', {state.frames_per_s:.1f} a second, {state.remaining_s:.0f} s to go'
            progress.show(text)

        summary = replay(job, show)
    for sentence in summary.trouble:
        print(sentence, file=sys.stderr)
    print(json.dumps(summary.as_json()) if arguments.json else sentence_of(summary))
    return 0


def replay_fleet(arguments: argparse.Namespace) -> int:
    """Replays what is not done yet, and prints a table; returns 1 if anything failed."""
    workers = 1 if arguments.jobs is None else arguments.jobs
    check_jobs(workers)
    if arguments.overlay is not None:
        raise ConfigurationError('--overlay is for one recording, without --jobs and --ray.')
    job = job_of(arguments)
    jobs = fleet_jobs(job, 0 if arguments.ray else workers)
    outcomes: list[ReplayOutcome] = []
    with Progress(sys.stderr) as progress:
        progress.show(f'0 of {len(jobs)} recordings')
        many = run_ray(jobs, arguments.ray) if arguments.ray else run_processes(jobs, workers)
        for outcome in many:
            outcomes.append(outcome)
            progress.show(f'{len(outcomes)} of {len(jobs)} recordings')
    outcomes.sort(key=lambda outcome: outcome.source)
    for sentence in job.notes:  # once for all of them
        print(sentence, file=sys.stderr)
    for outcome in outcomes:
        own = [row for row in outcome.summary.get('notes', ()) if row not in job.notes]
        for sentence in own:
            print(f'{outcome.source}: {sentence}', file=sys.stderr)
    if arguments.json:
        print(json.dumps([outcome.as_json() for outcome in outcomes]))
    else:
        print(table_of(outcomes))
    return int(any(outcome.state == 'failed' for outcome in outcomes))


def table_of(outcomes: Sequence[ReplayOutcome]) -> str:
    """Returns a line for each recording."""
    rows = [('recording', 'state', 'frames', 'skipped', 'frames/s', '')]
    for outcome in outcomes:
        figures = [
            str(outcome.summary.get(name, '')) for name in ('frames', 'skipped', 'frames_per_s')
        ]
        rows.append((outcome.source, outcome.state, *figures, outcome.reason))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = (
        '  '.join((row[0].ljust(widths[0]), row[1].ljust(widths[1]),
                   *(row[at].rjust(widths[at]) for at in (2, 3, 4)), row[5]))
        for row in rows
    )  # fmt: skip
    return '\n'.join(line.rstrip() for line in lines)


def job_of(arguments: argparse.Namespace) -> ReplayJob:
    """Returns what the command line asks for.

    Raises:
        ConfigurationError: It cannot be.
    """
    if arguments.every < 1:
        raise ConfigurationError(f'--every {arguments.every}: give 1 for every image, or more.')
    outputs = arguments.outputs
    if arguments.overlay is not None and outputs:
        outputs = [*outputs, *OVERLAY_TOPICS]  # the video is made of them
    notes: list[str] = []
    return ReplayJob(
        source=arguments.input,
        output=arguments.output,
        config=config_from_arguments(arguments, notes.append),
        topics=tuple(arguments.topic),
        odometry=arguments.odometry,
        outputs=tuple(outputs),
        copied=tuple(arguments.copy),
        lens=arguments.camera,
        span=RecordedSpan(arguments.start, arguments.duration),
        every=arguments.every,
        rate_hz=arguments.rate,
        by_stamps=arguments.clock == 'stamps',
        overlay=arguments.overlay,
        resume=arguments.resume,
        measure=arguments.measure,
        notes=tuple(notes),
    )


def sentence_of(summary: ReplaySummary) -> str:
    """Returns what came of it, for people."""
    words = (
        f'{summary.output}: {summary.frames} frames, {summary.written} messages, '
        f'{summary.frames_per_s} frames a second on {summary.backend}'
    )
    if summary.skipped:
        words += f'; {summary.skipped} images could not be read'
    if summary.over_bare_rate is not None:
        words += f'; {summary.over_bare_rate} of bare inference'
    return words
